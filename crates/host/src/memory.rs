//! A state machine for tests.

use onecopy_core::machine::RestoreError;
use onecopy_core::{ApplyContext, Footprint, QueryContext, StateMachine, Timestamp};

/// Remembers every byte that it was given, one in each step, and answers each body with its first. Each byte
/// is a key of its own.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) bytes: Vec<u8>,
    image: Option<Vec<u8>>,
    pub(crate) due: Option<Timestamp>,
    /// How many entries it takes until nothing is left to remove.
    pub(crate) leftovers: usize,
}

impl StateMachine for Memory {
    fn advance(&mut self, context: &ApplyContext<'_>) {
        self.due.take_if(|due| *due <= context.time);
        self.leftovers = self.leftovers.saturating_sub(1);
    }

    fn apply(&mut self, context: &ApplyContext<'_>, body: &[u8], response: &mut Vec<u8>) {
        context.budget.begin("remember");
        for byte in body {
            context.budget.spend(1);
            self.bytes.push(*byte);
        }
        response.extend_from_slice(&body[..1]);
    }

    fn query(&self, context: &QueryContext<'_>, body: &[u8], response: &mut Vec<u8>) {
        context.budget.begin("recall");
        body.iter().for_each(|_| context.budget.spend(1));
        response.extend_from_slice(body);
        response.push(self.bytes.len() as u8);
    }

    fn changes(&self, body: &[u8], footprint: &mut Footprint) {
        body.chunks(1).for_each(|key| footprint.key(key));
    }

    fn looks_at(&self, body: &[u8], footprint: &mut Footprint) -> Option<Timestamp> {
        self.changes(body, footprint);
        self.due
    }

    fn due(&self) -> Option<Timestamp> {
        self.due
    }

    fn has_leftovers(&self) -> bool {
        self.leftovers > 0
    }

    fn memory(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn digest(&self) -> u64 {
        0
    }

    fn snapshot_begin(&mut self) {
        self.image = Some(self.bytes.clone());
    }

    fn snapshot_read(&mut self, _: usize, chunk: &mut Vec<u8>) -> bool {
        chunk.append(&mut self.image.take().expect("an image was begun"));
        false
    }

    fn snapshot_abandon(&mut self) {
        self.image = None;
    }

    fn restore(&mut self, chunk: &[u8]) -> Result<(), RestoreError> {
        self.bytes.extend_from_slice(chunk);
        match chunk.contains(&b'!') {
            true => Err(RestoreError { reason: "an exclamation".to_owned() }),
            false => Ok(()),
        }
    }

    fn restore_finish(&mut self) -> Result<(), RestoreError> {
        Ok(())
    }
}
