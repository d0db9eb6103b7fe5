//! The keyspace as a state machine: how entries, reads and images reach the databases.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use onecopy_core::machine::RestoreError;
use onecopy_core::{
    ApplyContext, Budget, Encodings, Eviction, Footprint, Incarnation, Need, Output, Place, QueryContext,
    Rules, Seen, StateMachine, Timestamp,
};
use onecopy_script::Engine;

use crate::channels::Channels;
use crate::counts::Counts;
use crate::database::Database;
use crate::digest;
use crate::error::{CommandError, Outcome};
use crate::eviction::{Evicting, Observer};
use crate::execution::{Entry, Query, respond};
use crate::footprint;
use crate::image::{self, Beside, BesideMut, Image, Restore, encode};
use crate::moves::Moves;
use crate::notifications::Notifications;
use crate::scripts::Scripts;
use crate::scrub;
use crate::seed::Seed;
use crate::spectator::Spectator;
use crate::tokens::Tokens;
use crate::tracking::Tracking;
use crate::trash::FREED_TOGETHER;
use crate::undo::Journal;
use crate::value::TEXT_BYTES_MAX;
use crate::waiters::Waiters;
use crate::watches::Watches;

/// How many databases there are, as in Redis by default.
pub const DATABASES: u8 = 16;

/// How many expired keys an entry removes at most, for each millisecond since the one before. The rest is
/// absent, and waits for the next entries: however much expires at once, and however fast entries follow each
/// other, removing takes a share of the time, and not all of it.
const EXPIRED_PER_MS: u64 = 150;
/// But so many at least: a clock that was set back makes entry time stand still.
const EXPIRED_PER_ENTRY_MIN: u64 = 8;
/// And at most so many after a long rest, which takes a few milliseconds.
const EXPIRED_PER_ENTRY_MAX: u64 = 1500;

/// The longest reply to a command: a string of the largest size, and what is around it. A command whose reply
/// would exceed it answers an error instead.
pub const REPLY_BYTES_MAX: usize = TEXT_BYTES_MAX + 1024;
/// Once the answers to a request are so long, the commands behind are not executed. A response is thus never
/// longer than this, one reply, and an error for each of those commands.
pub const RESPONSE_BYTES_WANTED: usize = 192 << 20;

/// Whether a reply of so many elements, with so many bytes together, may be built.
///
/// # Errors
/// When it would be too large.
pub(crate) fn check_reply(elements: usize, bytes: u64) -> Outcome {
    /// The header of an element.
    const HEADER: u64 = 12;
    let total = bytes.saturating_add((elements as u64).saturating_mul(HEADER));
    if total <= REPLY_BYTES_MAX as u64 { Ok(()) } else { Err(CommandError::ReplyTooLarge) }
}

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
/// let context = ApplyContext::new(Index(1), Timestamp(1_000), 7);
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
    /// What is watched, in all databases.
    pub(crate) watches: Watches,
    /// Who waits for what, in all databases.
    pub(crate) waiters: Waiters,
    /// Who listens to what is published.
    pub(crate) channels: Channels,
    /// Which keys change that clients may have cached.
    pub(crate) tracking: Tracking,
    /// Keys that go to other groups, and those that came from some.
    pub(crate) moves: Moves,
    /// What is published about keys.
    pub(crate) notifications: Notifications,
    /// Whether it is the one that messages go through.
    pub(crate) has_channels: bool,
    pub(crate) rules: Rules,
    pub(crate) image: Option<Box<Image>>,
    /// What a script has changed, while one runs.
    pub(crate) journal: Option<Box<Journal>>,
    /// The scripts and libraries that are known.
    pub(crate) scripts: Scripts,
    /// What the last script ran in. No part of the state.
    pub(crate) engine: RefCell<Option<Engine>>,
    /// Up to which sizes a value is said to have a compact encoding, as the last entry has said.
    pub(crate) encodings: Encodings,
    /// What is used, as far as this copy sees it. No part of the state.
    pub(crate) observer: Observer,
    /// How far the entry that is executed has come with eviction.
    pub(crate) evicting: Evicting,
    /// What this copy has done. No part of the state.
    pub(crate) counts: Counts,
    /// Who is shown what scripts do at this copy. No part of the state.
    pub(crate) spectator: Option<Arc<dyn Spectator>>,
    /// Databases that were flushed, and are not freed yet.
    pub(crate) flushed: Vec<Database>,
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
        Self {
            seed: Seed(seed),
            clock,
            databases,
            tokens,
            watches: Watches::default(),
            waiters: Waiters::default(),
            channels: Channels::default(),
            tracking: Tracking::default(),
            moves: Moves::default(),
            notifications: Notifications::default(),
            has_channels: true,
            rules,
            image: None,
            journal: None,
            scripts: Scripts::default(),
            engine: RefCell::new(None),
            encodings: Encodings::default(),
            observer: Observer::default(),
            evicting: Evicting::default(),
            counts: Counts::default(),
            spectator: None,
            flushed: Vec::new(),
            restore: None,
        }
    }

    /// The same for a group beside the one that messages go through: it refuses to publish. All copies of a
    /// group must agree on that.
    #[must_use]
    pub fn without_channels(self) -> Self {
        Self { has_channels: false, ..self }
    }

    /// The same, which shows somebody what scripts do.
    #[must_use]
    pub fn shown_to(self, spectator: Arc<dyn Spectator>) -> Self {
        Self { spectator: Some(spectator), ..self }
    }

    /// The same under these rules, of which a simulator may have switched one off.
    #[must_use]
    pub fn under(self, rules: Rules) -> Self {
        Self { rules, ..self }
    }

    /// How many removed values wait to be freed, and keys of databases that were flushed.
    #[must_use]
    pub fn freed_later(&self) -> u64 {
        let values: usize = self.databases.iter().flatten().map(|database| database.trash_count()).sum();
        let keys: usize = self.flushed.iter().map(Database::len).sum();
        (values + keys) as u64
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
            let expired = database.expired();
            let keys = database.len().saturating_sub(expired);
            Some(DatabaseSize { number, keys, expires: database.expiring().saturating_sub(expired) })
        })
    }

    pub(crate) fn database(&self, number: u8) -> Option<&Database> {
        self.databases.get(usize::from(number))?.as_deref()
    }

    /// A database to write to. The number must be below [`DATABASES`].
    pub(crate) fn database_mut(&mut self, number: u8) -> &mut Database {
        let (seed, clock) = (self.seed, self.clock);
        self.databases[usize::from(number)].get_or_insert_with(|| {
            let mut database = Box::new(Database::new(seed, clock));
            database.set_fresh(self.observer.is_on().then(|| self.observer.fresh(clock)));
            database
        })
    }

    /// How many libraries of functions there are, and how many functions.
    #[must_use]
    pub fn function_counts(&self) -> [usize; 2] {
        let libraries = self.scripts.libraries();
        [libraries.len(), libraries.map(|library| library.functions.len()).sum()]
    }

    /// Whether some node is told which keys change, since its clients cache.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        !self.tracking.is_empty()
    }

    /// How many keys are on their way to other groups.
    #[must_use]
    pub fn departures(&self) -> usize {
        self.moves.departures.len()
    }

    /// How many scripts are known by their names.
    #[must_use]
    pub fn script_count(&self) -> usize {
        self.scripts.count()
    }

    /// Bytes of all scripts and libraries.
    #[must_use]
    pub fn script_bytes(&self) -> u64 {
        self.scripts.memory()
    }

    /// What this copy has done since it was made.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Lets time pass.
    fn pass(&mut self, time: Timestamp, budget: Budget<'_>) {
        if time > self.clock {
            self.clock = time;
            self.databases.iter_mut().flatten().for_each(|database| database.advance(time, budget));
            if self.observer.is_on() {
                self.mark_new_keys(true);
            }
        }
    }

    /// What an image has beside keys and tokens.
    fn beside(&self) -> Beside<'_> {
        Beside {
            watches: &self.watches,
            waiters: &self.waiters,
            scripts: &self.scripts,
            channels: &self.channels,
            tracking: &self.tracking,
            moves: &self.moves,
            notified: self.notifications.flags,
        }
    }

    /// A command, or a whole transaction, has been executed: those who wait get what there is for them, and
    /// those whose clients cache hear of what has changed.
    pub(crate) fn settle(&mut self, context: &ApplyContext<'_>, random_ordinal: &mut u64) {
        self.tracking.settle(self.rules, context.memory_max);
        // What those who wait change, they change themselves.
        let by = self.tracking.by.take();
        self.serve(context, random_ordinal);
        self.tracking.settle(self.rules, context.memory_max);
        self.tracking.by = by;
    }

    /// New keys are marked from now on, as of now, or not.
    fn mark_new_keys(&mut self, are_marked: bool) {
        let fresh = are_marked.then(|| self.observer.fresh(self.clock));
        self.databases.iter_mut().flatten().for_each(|database| database.set_fresh(fresh));
    }

    /// See [`StateMachine::memory`].
    pub(crate) fn occupied(&self) -> u64 {
        let databases = self.databases.iter().flatten().map(|database| database.memory());
        let beside =
            self.tokens.memory() + self.watches.memory() + self.waiters.memory() + self.scripts.memory();
        let beside = beside + self.channels.memory() + self.tracking.memory() + self.moves.memory();
        databases.sum::<u64>() + beside
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

impl StateMachine for Keyspace {
    fn advance(&mut self, context: &ApplyContext<'_>) {
        let elapsed = context.time.0.saturating_sub(self.clock.0);
        context.budget.begin("expiry");
        self.encodings = context.encodings;
        self.pass(context.time, context.budget);
        self.end_waiting(context);
        self.channels.end_absent(self.rules, self.clock);
        self.tracking.end_absent(self.rules, self.clock);
        let count =
            elapsed.saturating_mul(EXPIRED_PER_MS).clamp(EXPIRED_PER_ENTRY_MIN, EXPIRED_PER_ENTRY_MAX);
        let left = self.remove_expired(context, count as usize);
        self.tokens.expire(self.clock, left);
        self.begin_evicting(context);
        self.tracking.settle(self.rules, context.memory_max);
    }

    fn observe(&mut self, eviction: Eviction, now: Timestamp) {
        if eviction == self.observer.eviction() {
            return;
        }
        if self.observer.set(eviction, now.max(self.clock)) {
            self.databases.iter_mut().flatten().for_each(|database| database.forget_marks());
            self.mark_new_keys(eviction.policy.evicts());
        }
    }

    fn victims(&mut self, need: Need) -> Bytes {
        let need = Need { now: need.now.max(self.clock), ..need };
        self.observer.name(&self.databases, need)
    }

    fn coordinators_end(&mut self, is_known: &dyn Fn(Incarnation) -> bool) {
        self.watches.retain(is_known);
        self.waiters.retain(is_known);
        self.channels.retain(is_known);
        self.tracking.retain(is_known);
    }

    fn absent(&mut self, is_absent: &dyn Fn(Incarnation) -> bool) {
        self.waiters.absent(self.clock, is_absent);
        self.channels.absent(self.clock, is_absent);
        self.tracking.absent(self.clock, is_absent);
    }

    fn present(&mut self, context: &ApplyContext<'_>, coordinator: Incarnation) {
        self.waiters.present(coordinator);
        self.channels.present(coordinator);
        self.tracking.present(coordinator);
        self.settle(context, &mut 0);
    }

    fn outputs(&mut self) -> Vec<Output> {
        let mut outputs = self.waiters.outputs();
        outputs.append(&mut self.channels.outputs());
        outputs.append(&mut self.tracking.outputs());
        outputs
    }

    fn apply(&mut self, context: &ApplyContext<'_>, body: &[u8], response: &mut Vec<u8>) {
        self.pass(context.time, context.budget);
        respond(context.budget, body, response, &mut Entry::new(self, context, body));
    }

    fn query(&self, context: &QueryContext<'_>, body: &[u8], response: &mut Vec<u8>) {
        let now = self.clock.max(context.now);
        respond(context.budget, body, response, &mut Query::new(self, now, context.budget, body));
    }

    fn changes(&self, body: &[u8], footprint: &mut Footprint) {
        footprint::of_entry(body, self.rules, footprint);
        if self.waiters.may_spread() {
            footprint.everything();
        }
    }

    fn looks_at(&self, body: &[u8], footprint: &mut Footprint) -> Option<Timestamp> {
        footprint::of_reads(self, body, footprint)
    }

    fn due(&self) -> Option<Timestamp> {
        let databases = self.databases.iter().flatten().filter_map(|database| database.due());
        let (waiters, channels) = (self.waiters.due(), self.channels.due());
        let tracking = self.tracking.due();
        let tokens = self.tokens.due().filter(|due| *due > self.clock);
        databases.chain(tokens).chain(waiters).chain(channels).chain(tracking).min()
    }

    fn has_leftovers(&self) -> bool {
        let mut databases = self.databases.iter().flatten();
        databases.any(|database| database.expired() > 0)
            || self.tokens.due().is_some_and(|due| due <= self.clock)
    }

    fn tidy(&mut self) -> bool {
        let mut left = FREED_TOGETHER;
        let waited = self.freed_later();
        for database in self.databases.iter_mut().flatten() {
            left = left.saturating_sub(database.tidy(left));
        }
        if left > 0 && self.flushed.last_mut().is_some_and(|database| !database.dismantle(left)) {
            self.flushed.pop();
        }
        self.counts.freed += waited.saturating_sub(self.freed_later());
        !self.flushed.is_empty() || self.databases.iter().flatten().any(|database| database.has_trash())
    }

    fn discard(&mut self) {
        self.flushed.extend(self.databases.iter_mut().filter_map(Option::take).map(|database| *database));
    }

    fn memory(&self) -> u64 {
        self.occupied()
    }

    fn digest(&self) -> u64 {
        digest::of(self.clock, &self.databases, &self.tokens, &self.watches, &self.waiters)
            .wrapping_add(digest::of_scripts(&self.scripts))
            .wrapping_add(digest::of_channels(&self.channels, self.notifications.flags))
            .wrapping_add(digest::of_tracking(&self.tracking))
            .wrapping_add(digest::of_moves(&self.moves))
    }

    fn scrub(&self, from: Place, bytes: usize) -> Seen {
        scrub::part(&self.databases, &self.tokens, from, bytes)
    }

    fn snapshot_begin(&mut self) {
        self.snapshot_abandon();
        let header = encode::header(self.seed, self.clock, self.tokens.first());
        self.image = Some(Box::new(Image::new(header, &self.beside())));
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
        self.flushed.extend(image.release());
        if !more {
            self.snapshot_abandon();
        }
        more
    }

    fn snapshot_abandon(&mut self) {
        self.flushed.extend(self.image.take().into_iter().flat_map(|image| image.give_up()));
        self.tokens.stop_imaging();
        self.databases.iter_mut().flatten().for_each(|database| database.stop_imaging());
    }

    fn restore(&mut self, chunk: &[u8]) -> Result<(), RestoreError> {
        let restore = self.restore.get_or_insert_with(|| Box::new(Restore::new()));
        let (databases, tokens) = (&mut self.databases, &mut self.tokens);
        let (watches, waiters, scripts) = (&mut self.watches, &mut self.waiters, &mut self.scripts);
        let (channels, notified) = (&mut self.channels, &mut self.notifications.flags);
        let (tracking, moves) = (&mut self.tracking, &mut self.moves);
        let beside = &mut BesideMut { watches, waiters, scripts, channels, tracking, moves, notified };
        restore.take(chunk, databases, tokens, beside)?;
        if let Some((seed, clock)) = restore.header() {
            self.seed = seed;
            self.clock = clock;
        }
        Ok(())
    }

    fn restore_finish(&mut self) -> Result<(), RestoreError> {
        match self.restore.take() {
            Some(restore) => {
                let (around, tokens) = ((self.seed, self.clock), &self.tokens);
                restore.finish(image::digest(around, &self.databases, tokens, &self.beside()))
            }
            None => Err(RestoreError { reason: "there is no image".into() }),
        }
    }
}
