//! Execution behind the log: what is committed waits here until it is executed, and reads until what they
//! must see is.
//!
//! An entry that is committed is settled, and its answer with it. When it is executed is nobody else's
//! business: the replica goes on to receive, persist and acknowledge entries, and to renew leases, while its
//! machine is behind (rule `AcknowledgedWhileBusy`). In one turn a group executes so much and no more; the
//! next turn follows at once, and other groups, peers and clients have theirs between. Where there is little
//! to do it is done in the turn in which it was committed.
//!
//! # What follows from being behind
//!
//! - A read that may be answered once the log is executed through i waits until it is (rule
//!   `ExecuteBeforeReading`). It holds up nothing: entries after i may be executed before it.
//! - A snapshot of the state after i begins between i and the entry after it.
//! - A primary that has stepped down still answers what was committed while it led: nothing can take that
//!   back.
//! - A snapshot that arrives, and a replica that begins anew, make whatever waits here superfluous.
//! - A primary that is behind by a whole log takes no more writes: the log behind a snapshot cannot go before
//!   the snapshot can be taken.

use std::collections::{BTreeMap, VecDeque};

use onecopy_core::{Entry, EntryId, Index, Instant, Protocol, Rule, StateMachine, Timestamp};
use onecopy_replica::Input;

use super::{Asked, Group, GroupEffect, GroupObserver};
use crate::disk::Out;

/// A turn executes no further entry when those that it has executed weigh so much: some ten milliseconds of
/// small commands.
const SLICE_BYTES: usize = 1 << 20;
/// An entry weighs as much as its payload, and so much more for itself.
const ENTRY_BYTES: usize = 256;
/// A primary takes no more writes while so many entries wait.
const ENTRIES_MAX: usize = 1 << 16;

/// What is committed, and has not been executed.
#[derive(Debug)]
pub(super) struct Execution {
    entries: VecDeque<Entry>,
    /// What they weigh.
    bytes: usize,
    bytes_max: usize,
    /// Reads by the last entry that they must see, and by their token.
    reads: BTreeMap<(Index, u64), Asked>,
    /// The replica wants a snapshot of the state as it is after this entry.
    snapshot: Option<(EntryId, Timestamp)>,
    /// How much this turn may still execute.
    left: usize,
    /// Nothing is executed.
    is_held: bool,
}

impl Execution {
    /// Nothing waits. A primary takes no more writes while more than `bytes_max` do.
    pub(super) fn new(bytes_max: usize) -> Self {
        let (entries, reads) = (VecDeque::new(), BTreeMap::new());
        Self { entries, bytes: 0, bytes_max, reads, snapshot: None, left: SLICE_BYTES, is_held: false }
    }

    /// How many entries are committed and not executed.
    pub(super) fn behind(&self) -> u64 {
        self.entries.len() as u64
    }

    pub(super) fn is_behind(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Whether a primary must take no more writes.
    pub(super) fn is_full(&self) -> bool {
        self.bytes > self.bytes_max || self.entries.len() >= ENTRIES_MAX
    }

    /// Whether the next turn should be soon, to go on.
    pub(super) fn wants_turn(&self) -> bool {
        self.is_behind() && !self.is_held
    }

    /// The last entry that is known to be committed, and its time.
    pub(super) fn last(&self) -> Option<(Index, Timestamp)> {
        self.entries.back().map(|entry| (entry.id.index, entry.time))
    }

    pub(super) fn wants_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }

    pub(super) fn want_snapshot(&mut self, at: EntryId, time: Timestamp) {
        self.snapshot = Some((at, time));
    }

    pub(super) fn committed(&mut self, entries: Vec<Entry>) {
        self.bytes += entries.iter().map(weight).sum::<usize>();
        self.entries.extend(entries);
    }

    /// A read waits until the log is executed through here.
    pub(super) fn await_execution(&mut self, through: Index, token: u64, asked: Asked) {
        self.reads.insert((through, token), asked);
    }

    /// The reads that have seen everything that they must.
    fn answerable(&mut self, applied: Index) -> impl Iterator<Item = Asked> + use<> {
        let later = self.reads.split_off(&(applied.next(), 0));
        std::mem::replace(&mut self.reads, later).into_values()
    }

    /// The state that all this was for is gone. Returns the reads that waited for it.
    pub(super) fn forget(&mut self) -> impl Iterator<Item = Asked> + use<> {
        (self.bytes, self.snapshot) = (0, None);
        self.entries.clear();
        self.forget_reads()
    }

    /// The state is of no use for reads. Returns those that waited for it.
    pub(super) fn forget_reads(&mut self) -> impl Iterator<Item = Asked> + use<> {
        std::mem::take(&mut self.reads).into_values()
    }

    /// A new turn may execute as much as any other.
    pub(super) fn renew(&mut self) {
        self.left = SLICE_BYTES;
    }

    /// The next entry, unless this turn has executed enough.
    fn next(&mut self) -> Option<Entry> {
        if self.is_held || self.left == 0 {
            return None;
        }
        let entry = self.entries.pop_front()?;
        let weight = weight(&entry);
        self.bytes -= weight;
        self.left = self.left.saturating_sub(weight);
        Some(entry)
    }
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

    /// Lets nothing be executed, or everything again: as if the machine was in the middle of something long.
    /// For those who want to see what happens beside it.
    pub fn hold_execution(&mut self, is_held: bool) {
        self.execution.is_held = is_held;
    }

    /// Whether it hears nobody until it has executed what is committed: never (rule `AcknowledgedWhileBusy`).
    pub(crate) fn is_deaf(&self) -> bool {
        self.execution.is_behind() && !self.rules.hold(Rule::AcknowledgedWhileBusy)
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
        while let Some(entry) = self.execution.next() {
            self.apply(&entry, observer, out);
            self.begin_wanted_snapshot(observer);
            for asked in self.execution.answerable(self.applied) {
                self.answer_reads(asked, out);
            }
        }
        // The replica compares what came of the entries; that has effects too, but commits nothing.
        if !self.digests.is_empty() {
            let digests = std::mem::take(&mut self.digests);
            self.replica.step(now, Input::Executed { digests }, &mut self.effects);
            self.carry_out_once(observer, out);
        }
    }

    /// Begins the snapshot that the replica wants, if the state is the one that it wants it of.
    pub(super) fn begin_wanted_snapshot(&mut self, observer: &mut impl GroupObserver<M>) {
        let is_due = |(at, _): &mut (EntryId, Timestamp)| at.index <= self.applied;
        if let Some((at, time)) = self.execution.snapshot.take_if(is_due) {
            assert_eq!(at.index, self.applied, "a snapshot of {at} would be of a later state");
            self.begin_snapshot(at, time, observer);
        }
    }
}
