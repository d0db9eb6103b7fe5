//! Execution behind the log: what is committed waits here until it is executed, and reads until what they
//! must see is.
//!
//! An entry that is committed is settled, and its answer with it. When it is executed is nobody else's
//! business: the replica goes on to receive, persist and acknowledge entries, and to renew leases, while its
//! machine is behind (rule `AcknowledgedWhileBusy`). In one turn a group executes a slice and no more, be it
//! many entries or a part of one command (see [`fiber`](super::fiber)); the next turn follows at once, and
//! other groups, peers and clients have theirs between. Where there is little to do it is done in the turn in
//! which it was committed. A single command that has used up a whole slice goes on in shorter ones, and only
//! once what the turn has to say is on its way ([`Group::go_on`]): what others wait for visits this thread
//! several times, and waits for a slice each time.
//!
//! Entries and batches of reads take turns, so that neither keeps the other waiting for ever. Whatever comes
//! while something long is being executed waits behind it, as in Redis.
//!
//! # What follows from being behind
//!
//! - A read that may be answered once the log is executed through i waits until it is (rule
//!   `ExecuteBeforeReading`). It holds up nothing: entries after i may be executed before it.
//! - A snapshot of the state after i begins between i and the entry after it. While the machine is away, an
//!   image goes on as little as anything else that looks into it.
//! - A primary that has stepped down still answers what was committed while it led: nothing can take that
//!   back.
//! - A snapshot that arrives, and a replica that begins anew, make whatever waits here superfluous.
//! - A replica that is behind by a whole log is *full*: the log behind a snapshot cannot go before the
//!   snapshot can be taken. A primary takes no more writes then, a backup no more entries
//!   ([`Replica::hold_back`]), until half of it is executed. The node says in its pings that it is busy, so
//!   that it is not dropped for that at once.
//!
//! [`Replica::hold_back`]: onecopy_replica::Replica::hold_back

use std::collections::{BTreeMap, VecDeque};

use onecopy_core::{
    Answer, BatchId, Digest, Entry, EntryId, ExecuteError, Index, Instant, Rule, StateMachine, Timestamp,
    UnknownLevel,
};
use onecopy_replica::Input;

use super::fiber::{Done, Work};
use super::{Asked, Group, GroupEffect, GroupObserver, Origin};
use crate::disk::Out;
use crate::message::Outcome;

/// A long command goes on in slices that are shorter by this factor.
const LONG_SLICES: u64 = 4;
/// An entry weighs as much as its payload, and so much more for itself.
const ENTRY_BYTES: usize = 256;
/// A replica is full when so many entries wait.
const ENTRIES_MAX: usize = 1 << 16;

/// What is committed, and has not been executed.
#[derive(Debug)]
pub(super) struct Execution {
    entries: VecDeque<Entry>,
    /// What they weigh, and the one that is being executed.
    bytes: usize,
    bytes_max: usize,
    /// Since when it can hold no more.
    full_since: Option<Instant>,
    /// Reads by the last entry that they must see, and by their token.
    reads: BTreeMap<(Index, u64), Asked>,
    /// Reads that have only to be executed.
    readable: VecDeque<Asked>,
    /// What is being executed.
    running: Option<Running>,
    /// The last thing was a batch of reads: it is the turn of an entry.
    has_read: bool,
    /// The replica wants a snapshot of the state as it is after this entry.
    snapshot: Option<(EntryId, Timestamp)>,
    /// The log wants one, of whichever state.
    is_snapshot_wanted: bool,
    /// How many steps a turn executes.
    slice: u64,
    /// How many this turn may still execute.
    left: u64,
    /// Nothing goes on.
    is_held: bool,
    /// Nothing goes on, ever: the next entry is of a level that this version does not know.
    unknown: Option<UnknownLevel>,
}

/// What is being executed.
#[derive(Debug)]
enum Running {
    Entry { id: EntryId, time: Timestamp, weight: usize, since: Instant },
    Reads { origins: Vec<Origin>, since: Instant },
}

/// What a machine is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    /// When it began.
    pub since: Instant,
    /// The command, as the machine calls it.
    pub command: &'static str,
    /// It changes nothing, and no other copy executes it.
    pub reads: bool,
}

impl Execution {
    /// Nothing waits. A turn executes so many steps. When more than `bytes_max` wait it can hold no more.
    pub(super) fn new(slice: u64, bytes_max: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            bytes: 0,
            bytes_max,
            full_since: None,
            reads: BTreeMap::new(),
            readable: VecDeque::new(),
            running: None,
            has_read: false,
            snapshot: None,
            is_snapshot_wanted: false,
            slice,
            left: slice,
            is_held: false,
            unknown: None,
        }
    }

    /// Why it executes nothing more, if it does not.
    pub(super) fn unknown_level(&self) -> Option<UnknownLevel> {
        self.unknown
    }

    /// How many entries are committed and not executed.
    pub(super) fn behind(&self) -> u64 {
        self.entries.len() as u64 + u64::from(matches!(self.running, Some(Running::Entry { .. })))
    }

    pub(super) fn is_behind(&self) -> bool {
        self.behind() > 0
    }

    /// What is committed and not executed weighs so much.
    pub(super) fn behind_bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it can hold no more.
    pub(super) fn is_full(&self) -> bool {
        self.full_since.is_some()
    }

    /// Looks how much waits: full is full until half of it is executed.
    fn weigh(&mut self, now: Instant) {
        let is_above =
            |share: usize| self.bytes > self.bytes_max / share || self.entries.len() >= ENTRIES_MAX / share;
        match self.full_since {
            None => self.full_since = is_above(1).then_some(now),
            Some(_) if is_above(2) => {}
            Some(_) => self.full_since = None,
        }
    }

    /// Whether the next turn should be soon, to go on.
    pub(super) fn wants_turn(&self) -> bool {
        let goes_on = !self.is_held && self.unknown.is_none();
        goes_on && (self.running.is_some() || !self.entries.is_empty() || !self.readable.is_empty())
    }

    /// The last entry that is known to be committed, and its time.
    pub(super) fn last(&self) -> Option<(Index, Timestamp)> {
        let running = match self.running {
            Some(Running::Entry { id, time, .. }) => Some((id.index, time)),
            _ => None,
        };
        self.entries.back().map(|entry| (entry.id.index, entry.time)).or(running)
    }

    pub(super) fn wants_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }

    pub(super) fn want_snapshot(&mut self, at: EntryId, time: Timestamp) {
        self.snapshot = Some((at, time));
    }

    /// The log wants a snapshot of whichever state, as soon as it can be looked into.
    pub(super) fn want_any_snapshot(&mut self) {
        self.is_snapshot_wanted = true;
    }

    pub(super) fn committed(&mut self, entries: Vec<Entry>) {
        self.bytes += entries.iter().map(weight).sum::<usize>();
        self.entries.extend(entries);
    }

    /// A read waits until the log is executed through here.
    pub(super) fn await_execution(&mut self, through: Index, token: u64, asked: Asked) {
        self.reads.insert((through, token), asked);
    }

    /// A read has seen everything that it must, and is executed next.
    pub(super) fn read_next(&mut self, asked: Asked) {
        self.readable.push_back(asked);
    }

    /// The reads that have seen everything that they must are executed next.
    fn executed(&mut self, through: Index) {
        let later = self.reads.split_off(&(through.next(), 0));
        self.readable.extend(std::mem::replace(&mut self.reads, later).into_values());
    }

    /// The state that all this was for is gone. Returns who waits for reads.
    pub(super) fn forget(&mut self) -> impl Iterator<Item = Origin> + use<> {
        self.entries.clear();
        let origins = self.forget_reads();
        (self.bytes, self.snapshot, self.running) = (0, None, None);
        self.full_since = None;
        (self.is_snapshot_wanted, self.has_read) = (false, false);
        origins
    }

    /// The state is of no use for reads. Returns who waits for some.
    pub(super) fn forget_reads(&mut self) -> impl Iterator<Item = Origin> + use<> {
        let running = match &mut self.running {
            Some(Running::Reads { origins, .. }) => std::mem::take(origins),
            _ => Vec::new(),
        };
        let readable = std::mem::take(&mut self.readable).into_iter();
        let waiting = readable.chain(std::mem::take(&mut self.reads).into_values());
        running.into_iter().chain(waiting.flat_map(|asked| asked.reads).map(|(origin, _)| origin))
    }

    /// A turn may execute a slice, or nothing yet while a long command goes on.
    pub(super) fn renew(&mut self, is_long: bool) {
        self.left = if is_long { 0 } else { self.slice };
    }

    /// A long command may go on.
    fn renew_long(&mut self) {
        self.left = (self.slice / LONG_SLICES).max(1);
    }

    /// The next thing to begin, unless this turn has executed enough: entries and reads by turns.
    fn next(&mut self) -> Option<Next> {
        // Whoever is held begins something, and gets no further than into the middle of it.
        if self.left == 0 && !self.is_held || self.unknown.is_some() {
            return None;
        }
        let reads = self.readable.pop_front_if(|_| !self.has_read || self.entries.is_empty());
        self.has_read = reads.is_some();
        reads.map(Next::Reads).or_else(|| self.entries.pop_front().map(Next::Entry))
    }
}

enum Next {
    Entry(Entry),
    Reads(Asked),
}

fn weight(entry: &Entry) -> usize {
    entry.payload.len() + ENTRY_BYTES
}

impl<M: StateMachine> Group<M> {
    /// How many entries are committed and not executed yet.
    #[must_use]
    pub fn behind(&self) -> u64 {
        self.execution.behind()
    }

    /// How many bytes these entries occupy, about.
    #[must_use]
    pub fn behind_bytes(&self) -> usize {
        self.execution.bytes
    }

    /// Since when it is so far behind that it takes no more, if it is.
    #[must_use]
    pub fn full_since(&self) -> Option<Instant> {
        self.execution.full_since
    }

    /// What the machine is in the middle of, if that takes more than a turn.
    #[must_use]
    pub fn busy(&self) -> Option<Busy> {
        let (Running::Entry { since, .. } | Running::Reads { since, .. }) =
            self.execution.running.as_ref()?;
        let reads = matches!(self.execution.running, Some(Running::Reads { .. }));
        Some(Busy { since: *since, command: self.state.executes()?, reads })
    }

    /// The read that is being executed is to stop, if it can: a script. An entry cannot: all copies execute
    /// it to the same end.
    pub fn stop_read(&mut self) {
        if self.busy().is_some_and(|busy| busy.reads) {
            self.state.stop();
        }
    }

    /// Whether a long command goes on: with [`Group::go_on`], and not before.
    #[must_use]
    pub fn executes_long(&self) -> bool {
        self.state.executes_long() && !self.execution.is_held
    }

    /// Goes on with the long command that is being executed: at the end of a turn, once everything that it
    /// has to say is on its way.
    pub fn go_on(&mut self, now: Instant, observer: &mut impl GroupObserver<M>, out: &mut Out<GroupEffect>) {
        self.execution.renew_long();
        self.execute(now, observer, out);
    }

    /// Lets nothing go on, or everything again: the machine stays in the middle of what it executes next, as
    /// if that was something long. For those who want to see what happens beside it.
    pub fn hold_execution(&mut self, is_held: bool) {
        self.execution.is_held = is_held;
    }

    /// Whether it hears nobody until it has executed what it has to: never (rule `AcknowledgedWhileBusy`).
    pub(crate) fn is_deaf(&self) -> bool {
        let is_busy = self.execution.is_behind() || self.execution.running.is_some();
        is_busy && !self.rules.hold(Rule::AcknowledgedWhileBusy)
    }

    /// The last entry that is known to be committed here, and its time.
    pub(super) fn committed(&self) -> (Index, Timestamp) {
        self.execution.last().unwrap_or((self.applied, self.applied_time))
    }

    /// Executes as much as this turn may, and answers whoever waits for it.
    pub(super) fn execute(
        &mut self,
        now: Instant,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) {
        while let Some(done) = self.execute_next(now, observer) {
            match done {
                Done::Entry { entry, answers } => self.executed(&entry, answers, observer, out),
                Done::Reads(responses) => self.answer_reads(responses, out),
            }
        }
        self.execution.weigh(now);
        self.replication.hold_back(self.execution.is_full());
        // The replica compares what came of the entries; that has effects too, but commits nothing.
        if !self.digests.is_empty() {
            let digests = std::mem::take(&mut self.digests);
            self.replication.step(now, Input::Executed { digests });
            self.carry_out_once(observer, out);
        }
    }

    /// Executes the next thing, or goes on with the last one; what is done. Nothing, if there is nothing more
    /// to do, or not in this turn.
    fn execute_next(&mut self, now: Instant, observer: &mut impl GroupObserver<M>) -> Option<Done> {
        let mut left = if self.execution.is_held { 0 } else { self.execution.left };
        let done = if self.execution.running.is_some() {
            if left == 0 {
                return None;
            }
            self.state.go_on(&mut left)
        } else {
            self.begin_wanted_snapshot(observer);
            let (work, running) = match self.execution.next()? {
                Next::Entry(entry) => {
                    let (id, time, weight) = (entry.id, entry.time, weight(&entry));
                    (Work::Entry(entry), Running::Entry { id, time, weight, since: now })
                }
                Next::Reads(Asked { reads, time }) => {
                    let (origins, bodies) = reads.into_iter().unzip();
                    let time = self.clock.max(self.applied_time).max(time);
                    (Work::Reads { now: time, bodies }, Running::Reads { origins, since: now })
                }
            };
            self.execution.running = Some(running);
            self.state.begin(work, &mut left)
        };
        self.execution.left = left;
        done
    }

    /// An entry has been executed: whoever asked for it is answered.
    fn executed(
        &mut self,
        entry: &Entry,
        answers: Result<Vec<(BatchId, Answer)>, ExecuteError>,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) {
        if let Some(Running::Entry { weight, .. }) = self.execution.running.take() {
            self.execution.bytes -= weight;
        }
        let answers = match answers {
            Ok(answers) => answers,
            // Going on would make this copy differ from the others. A newer version goes on where this one
            // ends.
            Err(ExecuteError::Level(unknown)) => {
                self.execution.unknown = Some(unknown);
                return out.effects.push(GroupEffect::UnknownLevel(unknown));
            }
            // Here stopping loudly is all that is left.
            Err(ExecuteError::Payload(error)) => {
                panic!("{} cannot execute entry {}: {error}", self.id, entry.id)
            }
        };
        self.answer_writes(entry.id.index, answers, out);
        let value = self.state.here().map_or(0, |state| state.digest());
        self.digests.push(Digest { after: entry.id.index, value });
        let before = std::mem::replace(&mut self.applied, entry.id.index);
        self.applied_time = entry.time;
        self.note_seal(out);
        observer.applied(self, before, entry);
        self.execution.executed(self.applied);
        self.begin_wanted_snapshot(observer);
    }

    /// Batches of reads have been executed: whoever asked for them is answered, unless nobody wants to know
    /// any more.
    fn answer_reads(&mut self, responses: Vec<bytes::Bytes>, out: &mut Out<GroupEffect>) {
        let Some(Running::Reads { origins, .. }) = self.execution.running.take() else { return };
        for (origin, response) in origins.into_iter().zip(responses) {
            self.executing.remove(&origin);
            let outcome = Outcome::Done { response, as_of: self.applied };
            self.answer(origin, outcome, out);
        }
    }

    /// Begins the snapshot that is wanted, if the state is here, and the one that it is wanted of.
    pub(super) fn begin_wanted_snapshot(&mut self, observer: &mut impl GroupObserver<M>) {
        if self.state.here().is_none() {
            return;
        }
        if std::mem::take(&mut self.execution.is_snapshot_wanted) {
            self.snapshot_wanted(observer);
        }
        let is_due = |(at, _): &mut (EntryId, Timestamp)| at.index <= self.applied;
        if let Some((at, time)) = self.execution.snapshot.take_if(is_due) {
            assert_eq!(at.index, self.applied, "a snapshot of {at} would be of a later state");
            self.begin_snapshot(at, time, observer);
        }
    }
}
