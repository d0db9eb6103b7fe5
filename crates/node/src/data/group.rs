//! One replica with its state machine: this carries out what the protocol wants done.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use onecopy_core::payload::{self, Batch, Header};
use onecopy_core::{
    BatchId, Entry, GroupId, Incarnation, Index, Instant, Member, NodeId, Protocol, QueryContext,
    StateMachine, Ticket, Timestamp, View, ViewNumber, Write, machine,
};
use onecopy_keyspace::Keyspace;
use onecopy_replica::{Effect, Input, Message, Refusal, Replica, Standing};
use tracing::{info, warn};

use super::snapshots::Snapshots;
use crate::archive::{Archive, ArchiveEvent};
use crate::journal::{Journal, JournalEvent};
use crate::peer::message::{Forward, Kind, Outcome};

/// An entry is closed when its batches have grown to this many bytes; the rest goes into the next one.
const ENTRY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Where a batch came from, and so where its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The coordinator of this node.
    Local { sequence: u64 },
    /// That of another one, in this life of it: its next process counts from the beginning.
    Remote { node: NodeId, coordinator: Incarnation, sequence: u64 },
}

/// What a group wants of the rest of the node.
#[derive(Debug)]
pub(crate) enum Wish {
    /// Send this to a replica of the group.
    Send { to: NodeId, message: Message },
    /// Answer a coordinator.
    Answer { origin: Origin, outcome: Outcome },
    /// The replica has adopted a view.
    Learnt { view: View },
    /// Tell the view service that a replica is silent.
    Suspect { view: ViewNumber, node: NodeId, silent_for: Duration },
    /// Ask the view service to make a learner a member.
    AskMembership { view: ViewNumber, learner: Member },
}

/// One replica of one group, with all that it needs.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) id: GroupId,
    pub(crate) replica: Replica,
    pub(crate) machine: Keyspace,
    journal: Journal,
    pub(crate) archive: Archive,
    /// Commands that need memory are refused beyond this; 0: never.
    memory_max: u64,
    /// The last ticket that is durable.
    durable: Ticket,
    /// Messages that wait for a ticket.
    held: VecDeque<(Ticket, NodeId, Message)>,
    /// Batches of this turn: writes to be proposed, reads to be confirmed.
    writes: Vec<(Origin, Batch)>,
    reads: Vec<(Origin, Bytes)>,
    /// Who is to be answered when an entry of this index has been executed.
    proposed: VecDeque<(Index, Vec<Origin>)>,
    /// Reads by the token under which their confirmation was asked for.
    confirming: BTreeMap<u64, Vec<(Origin, Bytes)>>,
    next_token: u64,
    /// Compactions on their way to the disk: the snapshots before them can go when they are durable.
    pub(crate) snapshots: Snapshots,
    pub(crate) clock: Timestamp,
    pub(crate) counters: Counters,
}

/// What the group has done, for metrics and `INFO`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) entries: u64,
    pub(crate) batches: u64,
    pub(crate) reads: u64,
    pub(crate) view_changes: u64,
}

impl Group {
    /// Puts a group together and carries out what its replica wanted at its start.
    pub(crate) fn start(
        id: GroupId,
        replica: Replica,
        machine: Keyspace,
        (journal, archive): (Journal, Archive),
        memory_max: u64,
        effects: Vec<Effect>,
    ) -> Self {
        let mut group = Self {
            id,
            replica,
            machine,
            journal,
            archive,
            memory_max,
            durable: Ticket::default(),
            held: VecDeque::new(),
            writes: Vec::new(),
            reads: Vec::new(),
            proposed: VecDeque::new(),
            confirming: BTreeMap::new(),
            next_token: 0,
            snapshots: Snapshots::default(),
            clock: Timestamp(0),
            counters: Counters::default(),
        };
        // Nobody has asked for anything yet, and the coordinator learns the view from the view service.
        group.carry_out(effects, &mut Vec::new());
        group
    }

    /// Keys and keys with an expiry of every database that has some.
    pub(crate) fn databases(&self) -> Vec<(u8, u64, u64)> {
        let sizes = self.machine.database_sizes();
        sizes.map(|size| (size.number, size.keys as u64, size.expires as u64)).collect()
    }

    /// Bytes that the state occupies.
    pub(crate) fn memory(&self) -> u64 {
        self.machine.memory()
    }

    /// A coordinator hands in a batch. It is answered now if it cannot be taken.
    pub(crate) fn offer(&mut self, origin: Origin, forward: Forward, wishes: &mut Vec<Wish>) {
        if let Err(refusal) = self.replica.admit(forward.view) {
            let outcome = match refusal {
                Refusal::NotPrimary(view) => Outcome::NotPrimary(view),
                Refusal::Behind(_) | Refusal::Busy | Refusal::HandingOver => Outcome::Busy,
            };
            wishes.push(Wish::Answer { origin, outcome });
            return;
        }
        match forward.kind {
            Kind::Read => self.reads.push((origin, forward.body)),
            Kind::Write => {
                let id = BatchId { coordinator: forward.coordinator, sequence: forward.sequence };
                let batch = Batch { id, done_below: forward.done_below, body: forward.body };
                self.writes.push((origin, batch));
            }
        }
    }

    /// Steps the replica and carries out what it wants.
    pub(crate) fn step(&mut self, now: Instant, input: Input, wishes: &mut Vec<Wish>) {
        let mut effects = Vec::new();
        self.replica.step(now, input, &mut effects);
        self.replica.check_invariants();
        self.carry_out(effects, wishes);
    }

    /// The turn is over: everything that was handed in becomes one entry, and one confirmation for all reads.
    pub(crate) fn end_turn(&mut self, now: Instant, wall: Timestamp, wishes: &mut Vec<Wish>) {
        self.clock = wall;
        let due = self.machine.due().is_some_and(|due| due <= wall);
        let leads = self.replica.standing() == Standing::Primary;
        while !self.writes.is_empty() {
            self.propose(now, wall, wishes);
        }
        // Time alone changes the state: that, too, is an entry. One at a time is enough.
        if due && leads && self.proposed.is_empty() {
            self.propose(now, wall, wishes);
        }
        if !self.reads.is_empty() {
            self.confirm(now, due, wishes);
        }
        if self.replica.deadline().is_some_and(|deadline| deadline <= now) {
            self.step(now, Input::Elapsed, wishes);
        }
        self.continue_snapshot();
    }

    /// When the group next wants a turn.
    pub(crate) fn deadline(&self, now: Instant, wall: Timestamp) -> Option<Instant> {
        let due = self.machine.due().filter(|_| self.replica.standing() == Standing::Primary).map(|due| {
            let wait = due.0.saturating_sub(wall.0).max(1);
            now + Duration::from_millis(wait)
        });
        [self.replica.deadline(), due].into_iter().flatten().min()
    }

    /// Proposes as many of the waiting writes as one entry takes; without any, an entry that lets time move on.
    fn propose(&mut self, now: Instant, wall: Timestamp, wishes: &mut Vec<Wish>) {
        let memory_full = self.memory_max > 0 && self.machine.memory() >= self.memory_max;
        let mut builder = payload::Builder::new(Header { memory_full });
        let mut count = 0;
        for (_, batch) in &self.writes {
            builder.push(batch);
            count += 1;
            if builder.size() >= ENTRY_BYTES_MAX {
                break;
            }
        }
        let origins: Vec<Origin> = self.writes.drain(..count).map(|(origin, _)| origin).collect();
        self.counters.batches += origins.len() as u64;
        let mut effects = Vec::new();
        let input = Input::Propose { payload: builder.finish(), time: wall, seed: rand::random() };
        self.replica.step(now, input, &mut effects);
        self.replica.check_invariants();
        match effects.first() {
            Some(Effect::Proposed { id }) => self.proposed.push_back((id.index, origins)),
            _ => {
                let view = self.replica.view().cloned();
                let refuse = |origin| Wish::Answer { origin, outcome: Outcome::NotPrimary(view.clone()) };
                wishes.extend(origins.into_iter().map(refuse));
            }
        }
        self.carry_out(effects, wishes);
    }

    fn confirm(&mut self, now: Instant, due: bool, wishes: &mut Vec<Wish>) {
        let token = self.next_token;
        self.next_token += 1;
        let reads = std::mem::take(&mut self.reads);
        self.counters.reads += reads.len() as u64;
        self.confirming.insert(token, reads);
        // What has expired by the clock must not show: the entry that says so is at the end of the log.
        let at_least = if due { self.replica.log().last().index } else { Index(0) };
        self.step(now, Input::Read { token, at_least }, wishes);
    }

    fn carry_out(&mut self, effects: Vec<Effect>, wishes: &mut Vec<Wish>) {
        for effect in effects {
            match effect {
                Effect::Persist { ticket, writes } => self.persist(ticket, writes),
                Effect::Send { to, message, after } => match after {
                    Some(ticket) if ticket > self.durable => self.held.push_back((ticket, to, message)),
                    _ => wishes.push(Wish::Send { to, message }),
                },
                Effect::Apply { entries } => entries.iter().for_each(|entry| self.apply(entry, wishes)),
                // Seen to by whoever proposed.
                Effect::Proposed { .. } | Effect::Refused => {}
                Effect::AskHandover { .. } | Effect::HandoverFailed { .. } => {}
                Effect::ReadReady { token } => self.answer_reads(token, wishes),
                Effect::ReadRefused { token } => self.refuse_reads(token, wishes),
                Effect::ViewChanged { view, standing } => self.view_changed(view, standing, wishes),
                Effect::Suspect { view, node, silent_for } => {
                    wishes.push(Wish::Suspect { view, node, silent_for });
                }
                Effect::AskMembership { view, learner } => wishes.push(Wish::AskMembership { view, learner }),
                Effect::TakeSnapshot { at, time } => self.begin_snapshot(at, time),
                Effect::ReadSnapshot { to, snapshot, offset } => {
                    self.archive.read(self.id, to, snapshot, offset);
                }
                Effect::WriteSnapshot { chunk } => self.receive_chunk(chunk),
                Effect::InstallSnapshot { snapshot, time } => self.finish_receiving(snapshot, time),
            }
        }
    }

    fn persist(&mut self, ticket: Ticket, writes: Vec<Write>) {
        for write in &writes {
            if let Write::Compact { through: snapshot } | Write::Install { snapshot } = write {
                self.snapshots.superseded(ticket, *snapshot);
            }
        }
        self.journal.submit(self.id, ticket, writes);
    }

    /// The log thread tells something.
    pub(crate) fn on_journal(&mut self, now: Instant, event: JournalEvent, wishes: &mut Vec<Wish>) {
        match event {
            JournalEvent::Persisted { ticket, .. } => {
                self.durable = self.durable.max(ticket);
                while self.held.front().is_some_and(|(held, ..)| *held <= ticket) {
                    let Some((_, to, message)) = self.held.pop_front() else { break };
                    wishes.push(Wish::Send { to, message });
                }
                if let Some(keep) = self.snapshots.removable(ticket) {
                    self.archive.keep(self.id, keep);
                }
                self.step(now, Input::Persisted { ticket }, wishes);
            }
            JournalEvent::SnapshotWanted { .. } => self.snapshot_now(),
        }
    }

    /// The snapshot thread tells something.
    pub(crate) fn on_archive(&mut self, now: Instant, event: ArchiveEvent, wishes: &mut Vec<Wish>) {
        if let Some(input) = self.archived(event) {
            self.step(now, input, wishes);
        }
    }

    /// Executes a committed entry, and answers those who asked for it.
    fn apply(&mut self, entry: &Entry, wishes: &mut Vec<Wish>) {
        self.counters.entries += 1;
        let asked = self.proposed.pop_front_if(|(index, _)| *index == entry.id.index);
        let mut origins = asked.map(|(_, origins)| origins).unwrap_or_default().into_iter();
        let respond = |_: BatchId, response: Vec<u8>| {
            if let Some(origin) = origins.next() {
                wishes.push(Wish::Answer { origin, outcome: Outcome::Done(Bytes::from(response)) });
            }
        };
        if let Err(error) = machine::execute(&mut self.machine, entry, respond) {
            // Going on would make this copy differ from the others: stopping loudly is all that is left.
            panic!("{} cannot execute entry {}: {error}", self.id, entry.id);
        }
    }

    fn answer_reads(&mut self, token: u64, wishes: &mut Vec<Wish>) {
        let context = QueryContext { now: self.clock.max(self.machine.clock()) };
        for (origin, body) in self.confirming.remove(&token).unwrap_or_default() {
            let mut response = Vec::new();
            self.machine.query(&context, &body, &mut response);
            wishes.push(Wish::Answer { origin, outcome: Outcome::Done(Bytes::from(response)) });
        }
    }

    fn refuse_reads(&mut self, token: u64, wishes: &mut Vec<Wish>) {
        for (origin, _) in self.confirming.remove(&token).unwrap_or_default() {
            wishes.push(Wish::Answer { origin, outcome: Outcome::NotPrimary(self.replica.view().cloned()) });
        }
    }

    fn view_changed(&mut self, view: View, standing: Standing, wishes: &mut Vec<Wish>) {
        info!(group = %self.id, %view, ?standing, "view changed");
        self.counters.view_changes += 1;
        if standing != Standing::Primary && !self.proposed.is_empty() {
            let unknown: usize = self.proposed.iter().map(|(_, origins)| origins.len()).sum();
            warn!(group = %self.id, batches = unknown, "no longer the primary: their outcome is unknown");
            for origin in std::mem::take(&mut self.proposed).into_iter().flat_map(|(_, origins)| origins) {
                wishes.push(Wish::Answer { origin, outcome: Outcome::Unknown });
            }
        }
        wishes.push(Wish::Learnt { view });
    }
}
