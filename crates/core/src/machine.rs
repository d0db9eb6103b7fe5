//! The determinism contract of a replicated state machine.

use bytes::Bytes;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::encodings::Encodings;
use crate::eviction::{Eviction, Need, Policy};
use crate::footprint::Footprint;
use crate::id::{BatchId, Incarnation, Index};
use crate::level::Level;
use crate::time::Timestamp;

/// What a command may know about its execution, all of it settled in the entry by the primary; and what it
/// may spend before others have their turn.
#[derive(Clone, Copy, Debug)]
pub struct ApplyContext<'a> {
    /// The position of the entry in the log.
    pub index: Index,
    /// The time of the entry.
    pub time: Timestamp,
    /// The seed of the entry.
    pub seed: u64,
    /// By the rules of which level it is executed (rule E4).
    pub level: Level,
    /// Commands that need memory are refused while the state occupies so many bytes; 0: never.
    pub memory_max: u64,
    /// What is replicated beside the machine, such as remembered answers, occupies so many bytes: they count.
    pub memory_beside: u64,
    /// What goes where there is no room for a command that needs memory.
    pub policy: Policy,
    /// What goes first, as the primary's machine has [named](StateMachine::victims) it.
    pub victims: &'a [u8],
    /// Up to which sizes a value is said to have a compact encoding.
    pub encodings: Encodings,
    /// The body, if nothing else needs its memory: it came in [parts](crate::parts).
    pub own_body: Option<&'a Bytes>,
    /// Which batch it is. Whatever is not a batch cannot be [parked](crate::segments::PARKED).
    pub batch: Option<BatchId>,
    /// No part of the entry, and without any effect on what comes of it: where execution pauses.
    pub budget: Budget<'a>,
}

/// What an entry says to a batch of an earlier one, which was [parked](crate::segments::PARKED).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// To which batch.
    pub to: BatchId,
    /// Its response: of its one segment.
    pub response: Bytes,
}

impl ApplyContext<'_> {
    /// An entry without a memory limit, whose execution does not pause.
    #[must_use]
    pub fn new(index: Index, time: Timestamp, seed: u64) -> Self {
        let (memory_max, memory_beside, own_body, batch) = (0, 0, None, None);
        let (policy, victims, budget) = (Policy::NoEviction, &[][..], Budget::ENDLESS);
        let (encodings, level) = (Encodings::default(), Level::FIRST);
        Self {
            index,
            time,
            seed,
            level,
            memory_max,
            memory_beside,
            policy,
            victims,
            encodings,
            own_body,
            batch,
            budget,
        }
    }

    /// Whether a machine that occupies so many bytes may not grow.
    #[must_use]
    pub fn is_full(&self, machine_bytes: u64) -> bool {
        self.memory_max > 0 && machine_bytes.saturating_add(self.memory_beside) >= self.memory_max
    }

    /// These bytes of the body, without a copy, if its memory is for nothing else, and they are nearly all of
    /// it. So whoever stores them stores little more.
    #[must_use]
    pub fn share(&self, bytes: &[u8]) -> Option<Bytes> {
        let body = self.own_body?;
        let (outer, inner) = (body.as_ptr_range(), bytes.as_ptr_range());
        let is_within = outer.start <= inner.start && inner.end <= outer.end;
        (is_within && bytes.len() >= body.len() - body.len() / 16).then(|| body.slice_ref(bytes))
    }

    /// The random numbers of the `ordinal`-th command that asks for some within the entry: the same at every
    /// replica.
    #[must_use]
    pub fn rng(&self, ordinal: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(ordinal);
        rng
    }
}

/// What a read may know about its execution.
#[derive(Clone, Copy, Debug)]
pub struct QueryContext<'a> {
    /// The wall clock of the replica that answers, but never lower than the time of the last applied entry.
    /// Only for answers about remaining time: what has expired is decided by entries.
    pub now: Timestamp,
    /// That of the state: reads are executed by the rules of the entry before them.
    pub level: Level,
    /// Where execution pauses.
    pub budget: Budget<'a>,
}

impl QueryContext<'_> {
    /// A read at this time, which does not pause.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { now, level: Level::FIRST, budget: Budget::ENDLESS }
    }
}

/// Where in a state the next look begins ([`StateMachine::scrub`]). What the numbers mean is the machine's
/// business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Which object.
    pub object: u64,
    /// Where within it: a large one is looked at in pieces.
    pub within: u64,
}

impl Place {
    /// Where a look at the whole state begins.
    pub const BEGINNING: Self = Self { object: 0, within: 0 };
}

/// What was seen of a part of a state ([`StateMachine::scrub`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The digest of what is there.
    pub digest: u64,
    /// Where the next part begins; after the last one, the beginning.
    pub next: Place,
    /// What it cost: the bytes that were hashed, and some for each object that had to be found.
    pub bytes: usize,
}

/// A snapshot could not be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the snapshot cannot be restored: {reason}")]
pub struct RestoreError {
    /// What is wrong with it, and where.
    pub reason: String,
}

/// A deterministic state machine.
///
/// `apply` may use nothing but its arguments and the state itself: no clock, no thread id, no order that
/// depends on a pointer or on an unseeded hash, no float whose result depends on the platform, no I/O. It
/// never panics, whatever the input: a command that makes no sense has an error for a response. Two machines
/// that applied the same entries are equal, and so are their digests.
///
/// A command that may take long says what it does as it goes along ([`Budget::spend`] of its context): then
/// it pauses from time to time, and others have their turn. It goes on where it stopped, or, if the replica
/// begins anew, never: then its stack is unwound, and the machine dropped as it is. One that says nothing
/// runs through.
pub trait StateMachine: 'static {
    /// Lets time move on to that of an entry, before the entry's commands are executed; also called for
    /// entries without commands. A machine with expiring data drops here what is due.
    fn advance(&mut self, context: &ApplyContext<'_>);

    /// Only coordinators that are known are still there, or may be: whatever is remembered on behalf of a
    /// connection to another one is of no use. Called now and then, after the same entry at every replica.
    fn coordinators_end(&mut self, is_known: &dyn Fn(Incarnation) -> bool) {
        let _ = is_known;
    }

    /// Of these coordinators the primary does not know whether they are there: what is
    /// [parked](crate::segments::PARKED) for them keeps its place, and is given nothing until they are
    /// [present](Self::present). So nothing is given to somebody who is gone, and whose place an heir knows
    /// of, but not their end.
    fn absent(&mut self, is_absent: &dyn Fn(Incarnation) -> bool) {
        let _ = is_absent;
    }

    /// A batch of this coordinator is in the entry: it is there, and the primary can answer it.
    fn present(&mut self, context: &ApplyContext<'_>, coordinator: Incarnation) {
        let _ = (context, coordinator);
    }

    /// What batches that were [parked](crate::segments::PARKED) are answered by what has been executed since
    /// this was last asked. Asked after each step of an entry.
    fn outputs(&mut self) -> Vec<Output> {
        Vec::new()
    }

    /// Executes the commands in `body` and appends the response: one reply for each
    /// [segment](crate::segments).
    fn apply(&mut self, context: &ApplyContext<'_>, body: &[u8], response: &mut Vec<u8>);

    /// Executes the reads in `body` and appends the response, like [`StateMachine::apply`]. Changes nothing.
    fn query(&self, context: &QueryContext<'_>, body: &[u8], response: &mut Vec<u8>);

    /// Adds what the commands in `body` may change, apart from what time changes. A backup that executes them
    /// late answers reads of everything else meanwhile (rule L5): a key too many makes them wait, a key too
    /// few makes them stale.
    fn changes(&self, body: &[u8], footprint: &mut Footprint) {
        let _ = body;
        footprint.everything();
    }

    /// Adds what the reads in `body` look at. Returns the earliest time at which time alone, by an entry
    /// without commands, would change what they see.
    fn looks_at(&self, body: &[u8], footprint: &mut Footprint) -> Option<Timestamp> {
        let _ = body;
        footprint.everything();
        self.due()
    }

    /// The earliest time at which an entry without commands would change what reads see, if there is one. The
    /// primary proposes such an entry when its clock gets there.
    fn due(&self) -> Option<Timestamp>;

    /// Whether there is something left to remove that nobody sees any more. Each entry removes some of it, so
    /// that none holds up the others: a primary that has nothing else to do makes entries for it, a few at a
    /// time.
    fn has_leftovers(&self) -> bool {
        false
    }

    /// Goes on, for a bounded time, with work that is no part of the state and that nobody sees, such as
    /// giving memory back. Returns whether there is more of it. Called between entries.
    fn tidy(&mut self) -> bool {
        false
    }

    /// Observes from now on what is used, as this wants it. What is observed is no part of the state.
    fn observe(&mut self, eviction: Eviction, now: Timestamp) {
        let _ = (eviction, now);
    }

    /// At the primary, before an entry is made: what should go first if there is no room when it is executed,
    /// in the machine's own encoding. Every copy finds it in the context of the entry.
    fn victims(&mut self, need: Need) -> Bytes {
        let _ = need;
        Bytes::new()
    }

    /// Nobody needs the state any more: what it holds is to be given back by [`tidy`](Self::tidy), bit by
    /// bit. A machine that holds little needs to do nothing.
    fn discard(&mut self) {}

    /// About how many bytes the state occupies. The same at every replica.
    fn memory(&self) -> u64;

    /// A digest of the whole state. Walks over all of it: for tests and checks, not for the hot path.
    fn digest(&self) -> u64;

    /// A digest of a part of the state: from `from` on, which is [`Place::BEGINNING`] or what the last call
    /// named, about as much of it as occupies `bytes`. Equal states have equal parts, also where the state
    /// has changed since the last call. Called with every entry, to find out whether memory still holds what
    /// was put there (rule P10); a machine that has no cheap way to do it leaves that to its responses.
    fn scrub(&self, from: Place, bytes: usize) -> Seen {
        let _ = bytes;
        Seen { digest: 0, next: from, bytes: 0 }
    }

    /// Begins a point-in-time image of the state as it is now. Later commands do not show in it. At most one
    /// image at a time: an older one is given up.
    fn snapshot_begin(&mut self);

    /// Appends about `bytes_max` bytes of the image to `chunk`. Returns whether there is more to come.
    fn snapshot_read(&mut self, bytes_max: usize, chunk: &mut Vec<u8>) -> bool;

    /// Gives up the image that was begun, if any.
    fn snapshot_abandon(&mut self);

    /// Takes the next piece of an image, cut anywhere. Only for a machine that has executed nothing yet.
    ///
    /// # Errors
    /// When the bytes are no image of such a machine; the machine is then of no further use.
    fn restore(&mut self, chunk: &[u8]) -> Result<(), RestoreError>;

    /// Ends the restoring.
    ///
    /// # Errors
    /// When the image is incomplete.
    fn restore_finish(&mut self) -> Result<(), RestoreError>;
}
