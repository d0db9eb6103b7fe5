//! The keyspace as a state machine: how entries, reads and images reach the databases.

use onecopy_core::machine::RestoreError;
use onecopy_core::{ApplyContext, Footprint, QueryContext, Rules, StateMachine, Timestamp};
use onecopy_resp::{Version, Writer};

use crate::command::{self, Command, Kind, Run};
use crate::context::{Context, View};
use crate::database::Database;
use crate::digest;
use crate::error::CommandError;
use crate::footprint;
use crate::image::{self, Image, Restore, encode};
use crate::request::{self, Args, Segment};
use crate::seed::Seed;
use crate::tokens::Tokens;

/// How many databases there are, as in Redis by default.
pub const DATABASES: u8 = 16;

/// How many expired keys one entry removes at most; the rest waits for the next entry, and is absent
/// meanwhile.
const EXPIRED_PER_ENTRY_MAX: usize = 1000;

/// The longest response to a segment. A command whose reply would exceed it answers an error instead.
pub(crate) const RESPONSE_BYTES_MAX: usize = 1 << 30;

/// The Redis state machine.
///
/// ```
/// use onecopy_core::{ApplyContext, Index, StateMachine, Timestamp};
/// use onecopy_keyspace::Keyspace;
/// use onecopy_keyspace::request::{BodyBuilder, SegmentBuilder};
/// use onecopy_resp::Version;
///
/// let mut segment = SegmentBuilder::new(0, Version::Two);
/// segment.push([b"SET".as_slice(), b"greeting", b"hello"]);
/// segment.push([b"STRLEN".as_slice(), b"greeting"]);
/// let mut body = BodyBuilder::new();
/// body.push(&segment.finish());
///
/// let mut keyspace = Keyspace::new([1, 2]);
/// let context = ApplyContext { index: Index(1), time: Timestamp(1_000), seed: 7, memory_full: false };
/// let mut response = Vec::new();
/// keyspace.apply(&context, &body.finish(), &mut response);
/// assert_eq!(response, b"\x09\0\0\0+OK\r\n:5\r\n");
/// ```
#[derive(Debug)]
pub struct Keyspace {
    pub(crate) seed: Seed,
    /// The time of the last entry. Decides what has expired.
    pub(crate) clock: Timestamp,
    pub(crate) databases: Vec<Option<Box<Database>>>,
    /// What was executed under tokens, in all databases.
    pub(crate) tokens: Tokens,
    pub(crate) rules: Rules,
    pub(crate) image: Option<Box<Image>>,
    restore: Option<Box<Restore>>,
}

impl Keyspace {
    /// A keyspace without keys. The seed keys the hash tables: it should be hard to guess, and need not be
    /// the same on every replica.
    #[must_use]
    pub fn new(seed: [u64; 2]) -> Self {
        let mut databases = Vec::new();
        databases.resize_with(usize::from(DATABASES), || None);
        let tokens = Tokens::beginning(Seed(seed), 0);
        let (clock, rules) = (Timestamp(0), Rules::default());
        Self { seed: Seed(seed), clock, databases, tokens, rules, image: None, restore: None }
    }

    /// The same under these rules, of which a simulator may have switched one off.
    #[must_use]
    pub fn under(self, rules: Rules) -> Self {
        Self { rules, ..self }
    }

    /// The time of the last entry.
    #[must_use]
    pub fn clock(&self) -> Timestamp {
        self.clock
    }

    /// For each database that has keys: its number, how many keys there are, and how many of them expire.
    pub fn database_sizes(&self) -> impl Iterator<Item = DatabaseSize> {
        self.databases.iter().zip(0u8..).filter_map(|(database, number)| {
            let database = database.as_ref().filter(|database| database.len() > 0)?;
            let expired = database.expired(self.clock);
            let keys = database.len().saturating_sub(expired);
            Some(DatabaseSize { number, keys, expires: database.expiring().saturating_sub(expired) })
        })
    }

    pub(crate) fn database(&self, number: u8) -> Option<&Database> {
        self.databases.get(usize::from(number))?.as_deref()
    }

    /// A database to write to. The number must be below [`DATABASES`].
    pub(crate) fn database_mut(&mut self, number: u8) -> &mut Database {
        let seed = self.seed;
        self.databases[usize::from(number)].get_or_insert_with(|| Box::new(Database::new(seed)))
    }

    /// Empties a database.
    pub(crate) fn flush(&mut self, number: u8) {
        if let Some(database) = self.databases.get_mut(usize::from(number)).and_then(Option::take)
            && let Some(image) = &mut self.image
        {
            image.detach(*database);
        }
    }

    /// Executes one command of an entry.
    fn execute(
        &mut self,
        call: &mut Call<'_>,
        command: &Command,
        args: &[&[u8]],
        reply: &mut Writer<'_>,
    ) -> Result<(), CommandError> {
        match command.run {
            Run::Read(run) => run(&View { keyspace: self, db: call.db, now: self.clock }, args, reply),
            Run::Write(run) => {
                let mut context = Context {
                    keyspace: self,
                    db: call.db,
                    apply: call.context,
                    random_ordinal: call.random_ordinal,
                };
                context.admit(&command.spec)?;
                run(&mut context, args, reply)
            }
        }
    }
}

/// How full a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseSize {
    /// Which database.
    pub number: u8,
    /// How many keys it has.
    pub keys: usize,
    /// How many of them expire.
    pub expires: usize,
}

/// Where a command of an entry comes from.
struct Call<'a> {
    db: u8,
    context: &'a ApplyContext,
    random_ordinal: &'a mut u64,
}

/// Finds the command, checks that it may be executed, and executes it.
fn dispatch<'a>(
    args: &[&'a [u8]],
    reply: &mut Writer<'_>,
    execute: impl FnOnce(&'static Command, &[&'a [u8]], &mut Writer<'_>) -> Result<(), CommandError>,
) {
    let start = reply.position();
    let outcome = match command::find(args[0]) {
        None => Err(CommandError::Unknown(command::unknown_command(args))),
        Some(command) => command.spec.check_arity(args.len()).and_then(|()| execute(command, args, reply)),
    };
    let outcome = if reply.overflowed() { Err(CommandError::ReplyTooLarge) } else { outcome };
    if let Err(error) = outcome {
        reply.truncate(start);
        reply.error(&error.to_string());
    }
}

/// Answers each segment of a body with the replies that `run` writes.
fn respond(
    body: &[u8],
    response: &mut Vec<u8>,
    mut run: impl FnMut(&Segment<'_>, &mut Args<'_>, &mut Writer<'_>),
) {
    for segment in request::segments(body) {
        let header = response.len();
        response.extend_from_slice(&[0; 4]);
        let version = segment.as_ref().map_or(Version::Two, |segment| segment.version);
        let mut reply = Writer::with_limit(response, version, header.saturating_add(RESPONSE_BYTES_MAX));
        match segment {
            Err(malformed) => reply.error(&CommandError::from(malformed).to_string()),
            Ok(segment) if segment.db >= DATABASES => {
                reply.error(&CommandError::DatabaseOutOfRange.to_string());
            }
            Ok(segment) => {
                let mut commands = segment.commands();
                let mut args = Args::new();
                loop {
                    match commands.next_into(&mut args) {
                        Ok(false) => break,
                        Ok(true) => run(&segment, &mut args, &mut reply),
                        Err(malformed) => reply.error(&CommandError::from(malformed).to_string()),
                    }
                }
            }
        }
        // Each command beyond the limit adds a few dozen bytes; a body that has enough of them for 4 GiB is
        // larger than any batch.
        let length = u32::try_from(response.len() - header - 4).unwrap_or(u32::MAX);
        response[header..header + 4].copy_from_slice(&length.to_le_bytes());
    }
}

impl StateMachine for Keyspace {
    fn advance(&mut self, context: &ApplyContext) {
        self.clock = self.clock.max(context.time);
        let mut left = EXPIRED_PER_ENTRY_MAX;
        for database in self.databases.iter_mut().flatten() {
            left -= database.remove_expired(self.clock, left);
            if left == 0 {
                return;
            }
        }
        self.tokens.expire(self.clock, left);
    }

    fn apply(&mut self, context: &ApplyContext, body: &[u8], response: &mut Vec<u8>) {
        self.clock = self.clock.max(context.time);
        let mut random_ordinal = 0;
        respond(body, response, |segment, args, reply| {
            let mut call = Call { db: segment.db, context, random_ordinal: &mut random_ordinal };
            dispatch(args, reply, |command, args, reply| self.execute(&mut call, command, args, reply));
        });
    }

    fn query(&self, context: &QueryContext, body: &[u8], response: &mut Vec<u8>) {
        let now = self.clock.max(context.now);
        respond(body, response, |segment, args, reply| {
            let view = View { keyspace: self, db: segment.db, now };
            dispatch(args, reply, |command, args, reply| match (command.spec.kind, &command.run) {
                (Kind::Read, Run::Read(run)) => run(&view, args, reply),
                _ => Err(CommandError::NotARead(command.spec.name)),
            });
        });
    }

    fn changes(&self, body: &[u8], footprint: &mut Footprint) {
        footprint::of_entry(body, footprint);
    }

    fn looks_at(&self, body: &[u8], footprint: &mut Footprint) -> Option<Timestamp> {
        footprint::of_reads(self, body, footprint)
    }

    fn due(&self) -> Option<Timestamp> {
        let databases = self.databases.iter().flatten().filter_map(|database| database.due());
        databases.chain(self.tokens.due()).min()
    }

    fn memory(&self) -> u64 {
        let databases = self.databases.iter().flatten().map(|database| database.memory());
        databases.sum::<u64>() + self.tokens.memory()
    }

    fn digest(&self) -> u64 {
        digest::of(self.clock, &self.databases, &self.tokens)
    }

    fn scrub(&self, from: u64, objects: usize) -> (u64, u64) {
        digest::of_some(&self.databases, &self.tokens, from, objects)
    }

    fn snapshot_begin(&mut self) {
        let header = encode::header(self.seed, self.clock, self.tokens.first());
        self.image = Some(Box::new(Image::new(header)));
        self.tokens.begin_imaging();
        for (database, number) in self.databases.iter_mut().zip(0u8..) {
            if let Some(database) = database {
                database.begin_imaging(number);
            }
        }
    }

    fn snapshot_read(&mut self, bytes_max: usize, chunk: &mut Vec<u8>) -> bool {
        let Some(image) = &mut self.image else { return false };
        let more = image.read(&mut self.databases, &mut self.tokens, bytes_max, chunk);
        if !more {
            self.snapshot_abandon();
        }
        more
    }

    fn snapshot_abandon(&mut self) {
        self.image = None;
        self.tokens.stop_imaging();
        self.databases.iter_mut().flatten().for_each(|database| database.stop_imaging());
    }

    fn restore(&mut self, chunk: &[u8]) -> Result<(), RestoreError> {
        let restore = self.restore.get_or_insert_with(|| Box::new(Restore::new()));
        restore.take(chunk, &mut self.databases, &mut self.tokens)?;
        if let Some((seed, clock)) = restore.header() {
            self.seed = seed;
            self.clock = clock;
        }
        Ok(())
    }

    fn restore_finish(&mut self) -> Result<(), RestoreError> {
        match self.restore.take() {
            Some(restore) => {
                restore.finish(image::digest(self.seed, self.clock, &self.databases, &self.tokens))
            }
            None => Err(RestoreError { reason: "there is no image".into() }),
        }
    }
}
