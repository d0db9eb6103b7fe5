//! A state machine to be tried, and a second one that must come to the same.

use bytes::{Bytes, BytesMut};
use onecopy_core::{ApplyContext, Index, StateMachine, Timestamp};
use onecopy_keyspace::Keyspace;
use onecopy_keyspace::request::{BodyBuilder, SegmentBuilder, split_response};
use onecopy_resp::{Limits, Parser, Version};

/// A state machine with a log position and a clock.
pub struct Machine {
    keyspace: Keyspace,
    context: ApplyContext<'static>,
}

impl Machine {
    /// An empty one, with a memory limit, so that no input exhausts the memory of the machine that tries it.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut context = ApplyContext::new(Index(0), Timestamp(1_700_000_000_000), 42);
        context.memory_max = 64 << 20;
        Self { keyspace: Keyspace::new([seed, !seed]), context }
    }

    /// Executes a command as an entry of its own; its replies.
    pub fn apply(&mut self, version: Version, args: &[&[u8]]) -> Vec<u8> {
        self.context.index = self.context.index.next();
        self.context.time.0 += 7;
        self.context.seed = self.context.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.keyspace.advance(&self.context);
        let mut segment = SegmentBuilder::new(0, version);
        segment.push(args.iter().copied());
        let mut body = BodyBuilder::new();
        body.push(&segment.finish());
        let mut response = Vec::new();
        self.keyspace.apply(&self.context, &body.finish(), &mut response);
        self.keyspace.outputs();
        let mut segments = split_response(&Bytes::from(response));
        match segments.next() {
            Some(Ok(Some(replies))) => replies.to_vec(),
            // A command that waits is answered later.
            Some(Ok(None)) => Vec::new(),
            other => panic!("the machine has answered {other:?}"),
        }
    }

    /// Lets time pass.
    pub fn sleep(&mut self, milliseconds: u64) {
        self.context.time.0 += milliseconds;
        self.context.index = self.context.index.next();
        self.keyspace.advance(&self.context);
    }

    /// What it holds, as a number.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.keyspace.digest()
    }

    /// A machine that has been restored from an image of this one.
    ///
    /// # Panics
    /// If what was written cannot be read.
    #[must_use]
    pub fn restored(&mut self, seed: u64) -> Self {
        let mut restored = Self { context: self.context, ..Self::new(seed) };
        assert!(restored.restore(&self.image()), "what was written cannot be read");
        restored
    }

    /// An image of what it holds.
    #[must_use]
    pub fn image(&mut self) -> Vec<u8> {
        self.keyspace.snapshot_begin();
        let mut image = Vec::new();
        while self.keyspace.snapshot_read(1 << 16, &mut image) {}
        image
    }

    /// Restores from bytes that may be no image.
    pub fn restore(&mut self, bytes: &[u8]) -> bool {
        self.keyspace.restore(bytes).is_ok() && self.keyspace.restore_finish().is_ok()
    }
}

/// The inline commands in some bytes, as far as they can be understood.
#[must_use]
pub fn commands(bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut parser = Parser::new(Limits { args_max: 64, inline_bytes_max: 1 << 16, ..Limits::default() });
    let mut input = BytesMut::from(bytes);
    let mut commands = Vec::new();
    while let Ok(Some(request)) = parser.next(&mut input) {
        commands.push(request.iter().map(<[u8]>::to_vec).collect());
    }
    commands
}
