//! One replica with its state machine: carries out what the protocol wants done.
//!
//! A turn of a group begins with whatever has happened ([`Group::offer`], [`Group::step`],
//! [`Group::persisted`], [`Group::archived`]) and ends with [`Group::end_turn`]: all batches of writes that
//! were handed in become one entry, all batches of reads wait for one confirmation of the view, and a
//! snapshot that is being taken goes on by a piece.

mod counters;
mod dirty;
mod effect;
mod execution;
mod fiber;
mod image;
mod observer;
mod parked;
mod quiescence;
mod replication;
mod requests;
mod room;
mod settings;
mod snapshots;
mod switching;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use onecopy_core::payload::Batch;
use onecopy_core::{
    AnswerBounds, Digest, Encodings, Entry, Eviction, GroupId, Index, Instant, Level, Levels, NodeId,
    Recovered, Replicated, Rules, StateMachine, Ticket, Timestamp, View,
};
use onecopy_replica::{Input, Standing};
use onecopy_views::Options;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::clock::EntryTime;
use crate::disk::{ArchiveEvent, Out};
use crate::journal::Journal;
use crate::message::{GroupMessage, Outcome};
pub use counters::Counters;
use dirty::Dirty;
pub use effect::{GroupEffect, Origin};
pub use execution::Busy;
use execution::Execution;
use fiber::Fiber;
pub use image::Restoring;
pub use observer::GroupObserver;
use parked::Parked;
pub use replication::{Corrupt, CorruptRecord, Placement, Replication, is_raft, view_number};
pub use requests::ENTRY_BYTES_MAX;
pub use settings::{Fresh, GroupSettings, Restored, SLICE_STEPS};
use snapshots::Snapshots;
use switching::Switching;

/// Reads whose confirmation was asked for together.
#[derive(Debug)]
struct Asked {
    reads: Vec<(Origin, Bytes)>,
    /// They are answered as of this time at least.
    time: Timestamp,
}

/// One replica of one group, with all that it needs.
#[derive(Debug)]
pub struct Group<M> {
    id: GroupId,
    replication: Replication,
    state: Fiber<M>,
    /// Within which bounds answers are remembered.
    bounds: AnswerBounds,
    /// Everything through here was known to be committed when the group was started.
    replays: Index,
    /// The last entry that the state reflects, and its time.
    applied: Index,
    applied_time: Timestamp,
    memory_max: u64,
    /// What is set for the whole cluster counts instead, if something is.
    memory_set: Option<u64>,
    /// What goes where there is no room; whether the machine observes for that.
    eviction: Eviction,
    eviction_set: Option<Eviction>,
    /// Up to which sizes values are said to have compact encodings.
    encodings: Encodings,
    /// The level in force, and those that are known.
    level: Level,
    levels: Levels,
    observes: bool,
    /// How much there was when an entry was made to let something go, and when the next one is.
    memory_over: u64,
    next_room: Instant,
    /// What the other groups of the node occupy of that.
    memory_beside: u64,
    min_copies: u32,
    /// What is set for this database alone counts instead, if something is.
    min_copies_set: Option<u32>,
    /// An idle primary makes an entry so often, for replicas to compare themselves by (rule P10).
    scrub_interval: Option<Duration>,
    /// How many groups the node has: those that are quiescent make such entries in turn.
    groups: u32,
    next_scrub: Instant,
    /// Until then no entry is made for time alone.
    next_lapse: Instant,
    /// The machine has work that nobody waits for.
    tidies: bool,
    chance: ChaCha8Rng,
    fresh: Fresh<M>,
    rules: Rules,
    journal: Journal<(NodeId, GroupMessage)>,
    /// Batches of this turn: writes to be proposed, reads to be confirmed.
    writes: Vec<(Origin, Batch)>,
    reads: Vec<(Origin, Bytes)>,
    /// What reads at a backup may have to wait for.
    dirty: Dirty,
    /// Who is to be answered when an entry of this index has been executed.
    proposed: VecDeque<(Index, Vec<Origin>)>,
    /// Who is to be answered when a later entry has an answer.
    parked: Parked,
    /// Reads by the token under which their confirmation was asked for.
    confirming: BTreeMap<u64, Asked>,
    next_token: u64,
    /// Reads that are being executed, or wait for nothing else. One that comes again, because it takes long,
    /// is not executed twice.
    executing: BTreeSet<Origin>,
    snapshots: Snapshots<M>,
    execution: Execution,
    entry_time: EntryTime,
    /// The time of entries at the end of the last turn, and when that was.
    clock: Timestamp,
    clock_read: Instant,
    counters: Counters,
    /// Of the entries that were just executed: the replica has to hear of them.
    digests: Vec<Digest>,
    switching: Switching,
}

impl<M: StateMachine> Group<M> {
    /// Puts a group together and begins to execute what is known to be committed; turns go on with the rest.
    ///
    /// # Errors
    /// When what the log kept cannot be understood, or is of a level that is not known.
    pub fn start(
        settings: GroupSettings,
        restored: Restored<M>,
        fresh: Fresh<M>,
        now: Instant,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) -> Result<Self, Corrupt> {
        let Restored { recovered, state, base, configuration } = restored;
        let level = state.level();
        let id = settings.replica.group;
        let rules = settings.replica.rules;
        let applied = recovered.base.index;
        let execution = Execution::new(settings.slice_steps, settings.replica.log_bytes_max);
        let replication = Replication::start(&settings, recovered, (base, configuration), now)?;
        let mut group = Self {
            id,
            replication,
            bounds: state.bounds(),
            state: Fiber::new(state.knowing(settings.levels)),
            replays: Index(0),
            applied,
            applied_time: base.time,
            memory_max: settings.memory_max,
            memory_set: None,
            eviction: settings.eviction,
            eviction_set: None,
            encodings: Encodings::default(),
            level,
            levels: settings.levels,
            observes: false,
            memory_over: 0,
            next_room: now,
            memory_beside: 0,
            min_copies: settings.min_copies,
            min_copies_set: None,
            scrub_interval: settings.scrub_interval,
            groups: 1,
            next_scrub: now,
            next_lapse: now,
            tidies: false,
            chance: ChaCha8Rng::from_seed(settings.seed),
            fresh,
            rules,
            journal: Journal::of(id),
            writes: Vec::new(),
            reads: Vec::new(),
            dirty: Dirty::default(),
            proposed: VecDeque::new(),
            parked: Parked::default(),
            confirming: BTreeMap::new(),
            next_token: 0,
            executing: BTreeSet::new(),
            snapshots: Snapshots::default(),
            execution,
            entry_time: EntryTime::default(),
            clock: Timestamp(0),
            clock_read: now,
            counters: Counters::default(),
            digests: Vec::new(),
            switching: Switching::new(settings, now),
        };
        // Nobody has asked for anything yet, and the coordinator learns the view from the view service: what
        // the log kept may be long out of date.
        group.replays = group.replication.commit();
        let effects = out.effects.len();
        group.carry_out(now, observer, out);
        group.note_seal(out);
        out.effects.truncate(effects);
        match group.execution.unknown_level() {
            Some(unknown) => Err(unknown.into()),
            None => Ok(group),
        }
    }

    /// The group is gone. What it held is nobody's any more, and is given back by and by
    /// ([`Replicated::tidy`]); `None` if it is in the middle of a command.
    #[must_use]
    pub fn into_state(mut self) -> Option<Replicated<M>> {
        let mut state = self.state.take()?;
        state.discard();
        Some(state)
    }

    /// Which group it is.
    #[must_use]
    pub fn id(&self) -> GroupId {
        self.id
    }

    /// See [`decline_leases`](onecopy_replica::Replica::decline_leases). Those of a Raft group end with the
    /// leadership.
    pub fn decline_leases(&mut self) {
        if let Some(replica) = self.replication.primary_backup_mut() {
            replica.decline_leases();
        }
    }

    /// The protocol.
    #[must_use]
    pub fn replica(&self) -> &Replication {
        &self.replication
    }

    /// The state machine; `None` while it is [in the middle of something](Self::busy).
    #[must_use]
    pub fn machine(&self) -> Option<&M> {
        self.state().map(Replicated::machine)
    }

    /// The state machine, and what is replicated beside it; `None` while it is in the middle of something.
    #[must_use]
    pub fn state(&self) -> Option<&Replicated<M>> {
        self.state.here()
    }

    /// Harms the machine, see [`Replicated::damage`]; whether that could be done, because it was not in the
    /// middle of something.
    pub fn damage(&mut self, harm: impl FnOnce(&mut M)) -> bool {
        self.state.here_mut().map(|state| state.damage(harm)).is_some()
    }

    /// What is set for this database alone.
    pub fn set_options(&mut self, options: &Options) {
        self.min_copies_set = options.min_copies;
        self.replication.confirm_all_reads(options.confirms_reads);
    }

    /// Without how many copies writes are refused.
    fn min_copies(&self) -> u32 {
        self.min_copies_set.unwrap_or(self.min_copies)
    }

    /// The node has so many groups, this one included.
    pub fn set_groups(&mut self, groups: usize) {
        self.groups = groups as u32;
    }

    /// The last entry that the state reflects.
    #[must_use]
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// While it executes what the log kept at the start: the last entry of that.
    #[must_use]
    pub fn replays(&self) -> Option<Index> {
        Some(self.replays).filter(|replays| *replays > self.applied)
    }

    /// What it has done.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Another copy has said something. What it says of another kind of group is for nobody.
    pub fn received(
        &mut self,
        now: Instant,
        from: NodeId,
        message: GroupMessage,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) {
        self.replication.hear(now, from, message);
        self.carry_out(now, observer, out);
    }

    /// Tells the replication what has happened, and carries out what it wants.
    pub fn step(
        &mut self,
        now: Instant,
        input: Input,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) {
        self.replication.step(now, input);
        self.carry_out(now, observer, out);
    }

    /// All writes up to `ticket` are durable.
    pub fn persisted(
        &mut self,
        now: Instant,
        ticket: Ticket,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) {
        self.journal.persisted(ticket, out);
        while let Some((to, message)) = self.journal.next() {
            out.effects.push(GroupEffect::Send { group: self.id, to, message });
        }
        if let Some(ticket) = self.journal.of_protocol(ticket) {
            self.step(now, Input::Persisted { ticket }, observer, out);
        }
    }

    /// The archive has done something.
    pub fn archived(
        &mut self,
        now: Instant,
        event: ArchiveEvent,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) {
        if let Some(input) = self.understand(event, observer, out) {
            self.step(now, input, observer, out);
        }
    }

    /// The turn is over: everything that was handed in becomes one entry, and one confirmation for all reads.
    /// `steady` is what the node takes for the time; it may be set back.
    pub fn end_turn(
        &mut self,
        now: Instant,
        steady: Timestamp,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) {
        self.execution.renew(self.executes_long());
        self.execute(now, observer, out);
        self.clock = self.entry_time.read(now, steady, self.committed().1);
        self.clock_read = now;
        self.observe(self.clock);
        let leads = self.replication.standing() == Standing::Primary;
        let cares = leads || !self.reads.is_empty();
        // What has not been executed may say that something expires earlier than anything that the state
        // knows of.
        let due =
            cares && (self.execution.is_behind() || self.state.due().is_some_and(|due| due <= self.clock));
        while !self.writes.is_empty() {
            self.propose(now, observer, out);
        }
        // Time alone changes the state: that, too, is an entry. One at a time is enough.
        let scrubs = self.scrubs_at().is_some_and(|at| at <= now);
        let is_paced = self.next_lapse <= now;
        let lapses = due && (is_paced || !self.reads.is_empty())
            || (self.has_leftovers() || self.parked.has_news()) && is_paced;
        let is_free = match self.execution.is_behind() {
            // What was made for time is executed late. Only a read needs another one meanwhile.
            true => is_paced && !self.reads.is_empty() && self.is_settled(),
            false => self.proposed.is_empty(),
        };
        let is_over = leads && is_free && self.makes_room(now);
        if leads && (lapses || scrubs || is_over) && is_free && !self.is_sealed() {
            self.propose(now, observer, out);
        }
        if !self.reads.is_empty() {
            self.confirm(now, due, observer, out);
        }
        if self.replication.deadline().is_some_and(|deadline| deadline <= now) {
            self.step(now, Input::Elapsed, observer, out);
        }
        self.yield_to_another(now, observer, out);
        self.go_on_moving(now, observer, out);
        self.go_on_switching(now, observer, out);
        self.go_on_turning(now, observer, out);
        self.repeat_late_answers(now, out);
        self.continue_snapshot(out);
        self.tidies = self.state.here_mut().is_some_and(|state| state.tidy());
    }

    /// When the group next wants a turn.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let leads = self.replication.standing() == Standing::Primary;
        let is_idle = leads && self.proposed.is_empty() && !self.execution.is_behind() && !self.is_sealed();
        let due = is_idle.then(|| self.state.due()).flatten().map(|due| {
            let wait = due.0.saturating_sub(self.clock.0).max(1);
            self.next_lapse.max(self.clock_read + Duration::from_millis(wait))
        });
        let has_more = self.has_leftovers() || self.parked.has_news();
        let removal = (is_idle && has_more).then_some(self.next_lapse);
        let repeat = self.parked.repeats_at().filter(|_| self.may_repeat());
        let images = self.snapshots.want_turn() && self.state.here().is_some();
        let busy = (images || self.tidies || self.execution.wants_turn()).then_some(now);
        let scrub = self.scrubs_at().filter(|_| is_idle);
        let room = if is_idle { self.makes_room_at() } else { None };
        let switching = self.switches_at();
        let all = [self.replication.deadline(), due, removal, repeat, scrub, room, busy, switching];
        all.into_iter().flatten().min()
    }

    /// When an idle primary makes an entry for replicas to compare themselves by. However many groups of a
    /// node are quiescent, all of them together make one in each interval.
    fn scrubs_at(&self) -> Option<Instant> {
        let others = if self.replication.is_quiescent() { self.groups.saturating_sub(1) } else { 0 };
        self.scrub_interval.map(|interval| self.next_scrub + interval * others)
    }

    /// Whether the machine has something left to remove that nobody sees any more.
    fn has_leftovers(&self) -> bool {
        self.machine().is_some_and(StateMachine::has_leftovers)
    }

    /// Whether everything in the log is committed.
    fn is_settled(&self) -> bool {
        self.replication.commit() == self.replication.log().last().index
    }

    /// Carries out what the replication wants, and executes what it has committed.
    fn carry_out(&mut self, now: Instant, observer: &mut impl GroupObserver<M>, out: &mut Out<GroupEffect>) {
        self.carry_out_once(observer, out);
        self.execute(now, observer, out);
    }

    /// Sends a message, once what it promises is durable.
    fn send(&mut self, message: (NodeId, GroupMessage), after: Option<Ticket>, out: &mut Out<GroupEffect>) {
        if let Some((to, message)) = self.journal.hold(after, message) {
            out.effects.push(GroupEffect::Send { group: self.id, to, message });
        }
    }

    /// These entries are known to be committed now.
    fn committed_now(&mut self, entries: Vec<Entry>, observer: &mut impl GroupObserver<M>) {
        entries.iter().for_each(|entry| observer.committed(self, entry));
        self.execution.committed(entries);
    }

    fn view_changed(
        &mut self,
        view: View,
        standing: Standing,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) {
        self.counters.view_changes += 1;
        self.parked.view_changed(standing == Standing::Primary);
        // What is committed will be executed, and answered, whoever leads.
        let committed = self.committed().0;
        let unknown = if standing == Standing::Primary { 0 } else { self.disown_proposals(committed, out) };
        observer.view_changed(self, &view, standing, unknown);
        out.effects.push(GroupEffect::Learnt { group: self.id, view });
    }

    /// Nobody can say any more what becomes of what was proposed after `committed`; of how many batches.
    fn disown_proposals(&mut self, committed: Index, out: &mut Out<GroupEffect>) -> usize {
        let first = self.proposed.partition_point(|(index, _)| *index <= committed);
        let origins: Vec<Origin> = self.proposed.drain(first..).flat_map(|(_, origins)| origins).collect();
        let unknown = origins.len();
        origins.into_iter().for_each(|origin| self.answer(origin, Outcome::Unknown, out));
        unknown
    }

    fn answer(&self, origin: Origin, outcome: Outcome, out: &mut Out<GroupEffect>) {
        out.effects.push(GroupEffect::Answer { group: self.id, origin, outcome });
    }

    /// The state is not what it should be: the group begins anew, as if it had executed nothing.
    fn rebuild(&mut self, observer: &mut impl GroupObserver<M>, out: &mut Out<GroupEffect>) {
        self.give_up_execution(out);
        let state = self.fresh_state();
        self.state.replace(state);
        self.snapshots.forget();
        self.applied = Index(0);
        self.applied_time = Timestamp(0);
        self.note_seal(out);
        observer.rebuilt(self);
    }

    /// Another state takes the place of the one that was about to execute what is committed.
    fn give_up_execution(&mut self, out: &mut Out<GroupEffect>) {
        self.disown_proposals(Index(0), out);
        self.execution.forget().for_each(|origin| self.refuse(origin, out));
        self.digests.clear();
    }

    /// A state that has executed nothing.
    fn fresh_state(&mut self) -> Replicated<M> {
        let seed = [self.seed(), self.seed()];
        Replicated::new(self.fresh.machine(seed), self.rules).bounded(self.bounds).knowing(self.levels)
    }

    fn seed(&mut self) -> u64 {
        self.chance.next_u64()
    }
}
