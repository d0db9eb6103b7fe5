//! One replica with its state machine: carries out what the protocol wants done, as the node crate does.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use onecopy_core::payload::{Batch, Builder, Header};
use onecopy_core::{
    BatchId, BootNumber, Entry, Incarnation, Index, Instant, Member, NodeId, Protocol, QueryContext,
    StateMachine, Ticket, Timestamp, View, ViewNumber, Write, machine,
};
use onecopy_keyspace::Keyspace;
use onecopy_replica::{Effect, Input, Message, Refusal, Replica, Standing};

use super::Out;
use super::archive::{ArchiveEvent, ArchiveJob};
use super::snapshots::Snapshots;
use crate::disk::{DATA_GROUP, Job};
use crate::env::Env;
use crate::message::{Forward, Kind, Outcome};

/// Where a batch came from, and so where its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The coordinator of this node.
    Local(u64),
    /// That of another one: the node, the start of its coordinator, and its batch.
    Remote(NodeId, Incarnation, u64),
}

/// What a group wants of the rest of the node.
#[derive(Debug)]
pub enum Wish {
    /// Send this to a replica of the group.
    Send(NodeId, Message),
    /// Answer a coordinator.
    Answer(Origin, Outcome),
    /// The replica has adopted a view.
    Learnt(View),
    /// Tell the view service that a replica is silent.
    Suspect(ViewNumber, NodeId, Duration),
    /// Ask the view service to make a learner a member.
    AskMembership(ViewNumber, Member),
}

/// One replica of the data group, with all that it needs.
#[derive(Debug)]
pub struct Group {
    me: Member,
    boot: BootNumber,
    /// The protocol.
    pub replica: Replica,
    /// The state.
    pub machine: Keyspace,
    /// The last entry that the state reflects.
    pub applied: Index,
    durable: Ticket,
    held: VecDeque<(Ticket, NodeId, Message)>,
    writes: Vec<(Origin, Batch)>,
    reads: Vec<(Origin, Bytes)>,
    proposed: VecDeque<(Index, Vec<Origin>)>,
    confirming: BTreeMap<u64, Vec<(Origin, Bytes)>>,
    next_token: u64,
    pub(super) snapshots: Snapshots,
    clock: Timestamp,
}

impl Group {
    /// Puts a group together and carries out what its replica wanted at its start.
    pub fn start(
        (me, boot): (Member, BootNumber),
        replica: Replica,
        machine: Keyspace,
        applied: Index,
        effects: Vec<Effect>,
        env: &mut Env,
        out: &mut Out,
    ) -> Self {
        let mut group = Self {
            me,
            boot,
            replica,
            machine,
            applied,
            durable: Ticket::default(),
            held: VecDeque::new(),
            writes: Vec::new(),
            reads: Vec::new(),
            proposed: VecDeque::new(),
            confirming: BTreeMap::new(),
            next_token: 0,
            snapshots: Snapshots::default(),
            clock: Timestamp(0),
        };
        let mut nobody = Vec::new();
        std::mem::swap(&mut nobody, &mut out.wishes);
        group.carry_out(effects, env, out);
        // Nobody has asked for anything yet, and what would be sent now is sent again.
        std::mem::swap(&mut nobody, &mut out.wishes);
        group
    }

    /// A coordinator hands in a batch. It is answered now if it cannot be taken.
    pub fn offer(&mut self, origin: Origin, forward: Forward, out: &mut Out) {
        if let Err(refusal) = self.replica.admit(forward.view) {
            let outcome = match refusal {
                Refusal::NotPrimary(view) => Outcome::NotPrimary(view),
                Refusal::Behind(_) | Refusal::Busy | Refusal::HandingOver => Outcome::Busy,
            };
            return out.wishes.push(Wish::Answer(origin, outcome));
        }
        match forward.kind {
            Kind::Read => self.reads.push((origin, forward.body)),
            Kind::Write => {
                let id = BatchId { coordinator: forward.coordinator, sequence: forward.sequence };
                self.writes.push((origin, Batch { id, done_below: 0, body: forward.body }));
            }
        }
    }

    /// Steps the replica and carries out what it wants.
    pub fn step(&mut self, now: Instant, input: Input, env: &mut Env, out: &mut Out) {
        let mut effects = Vec::new();
        self.replica.step(now, input, &mut effects);
        self.replica.check_invariants();
        self.carry_out(effects, env, out);
    }

    /// The turn is over: everything that was handed in becomes one entry, and one confirmation for all reads.
    pub fn end_turn(&mut self, now: Instant, wall: Timestamp, env: &mut Env, out: &mut Out) {
        self.clock = wall;
        let due = self.machine.due().is_some_and(|due| due <= wall);
        let leads = self.replica.standing() == Standing::Primary;
        if !self.writes.is_empty() || (due && leads && self.proposed.is_empty()) {
            self.propose(now, wall, env, out);
        }
        if !self.reads.is_empty() {
            self.confirm(now, due, env, out);
        }
        if self.replica.deadline().is_some_and(|deadline| deadline <= now) {
            self.step(now, Input::Elapsed, env, out);
        }
        self.continue_snapshot(out);
    }

    /// When the group next wants a turn.
    pub fn deadline(&self) -> Option<Instant> {
        self.replica.deadline()
    }

    fn propose(&mut self, now: Instant, wall: Timestamp, env: &mut Env, out: &mut Out) {
        let mut builder = Builder::new(Header { memory_full: false });
        self.writes.iter().for_each(|(_, batch)| builder.push(batch));
        let origins: Vec<Origin> = self.writes.drain(..).map(|(origin, _)| origin).collect();
        let mut effects = Vec::new();
        let input = Input::Propose { payload: builder.finish(), time: wall, seed: env.dice.number() };
        self.replica.step(now, input, &mut effects);
        self.replica.check_invariants();
        match effects.first() {
            Some(Effect::Proposed { id }) => self.proposed.push_back((id.index, origins)),
            _ => {
                let view = self.replica.view().cloned();
                let refuse = |origin| Wish::Answer(origin, Outcome::NotPrimary(view.clone()));
                out.wishes.extend(origins.into_iter().map(refuse));
            }
        }
        self.carry_out(effects, env, out);
    }

    fn confirm(&mut self, now: Instant, due: bool, env: &mut Env, out: &mut Out) {
        let token = self.next_token;
        self.next_token += 1;
        self.confirming.insert(token, std::mem::take(&mut self.reads));
        let at_least = if due { self.replica.log().last().index } else { Index(0) };
        self.step(now, Input::Read { token, at_least }, env, out);
    }

    fn carry_out(&mut self, effects: Vec<Effect>, env: &mut Env, out: &mut Out) {
        for effect in effects {
            match effect {
                Effect::Persist { ticket, writes } => self.persist(ticket, writes, env, out),
                Effect::Send { to, message, after } => match after {
                    Some(ticket) if ticket > self.durable => self.held.push_back((ticket, to, message)),
                    _ => out.wishes.push(Wish::Send(to, message)),
                },
                Effect::Apply { entries } => entries.iter().for_each(|entry| self.apply(entry, env, out)),
                // Seen to by whoever proposed.
                Effect::Proposed { .. } | Effect::Refused => {}
                Effect::AskHandover { .. } | Effect::HandoverFailed { .. } => {}
                Effect::ReadReady { token } => self.answer_reads(token, out),
                Effect::ReadRefused { token } => self.refuse_reads(token, out),
                Effect::ViewChanged { view, standing } => self.view_changed(view, standing, env, out),
                Effect::Suspect { view, node, silent_for } => {
                    out.wishes.push(Wish::Suspect(view, node, silent_for));
                }
                Effect::AskMembership { view, learner } => {
                    env.note(self.me.node, || format!("asks to make {learner:?} a member of {view}"));
                    out.wishes.push(Wish::AskMembership(view, learner));
                }
                Effect::TakeSnapshot { at, time } => {
                    env.stats.snapshots[0] += 1;
                    env.note(self.me.node, || format!("takes a snapshot at {at}"));
                    self.begin_snapshot(at, time);
                }
                Effect::ReadSnapshot { to, snapshot, offset } => {
                    out.archive.push(ArchiveJob::Read { group: DATA_GROUP, to, id: snapshot, offset });
                }
                Effect::WriteSnapshot { chunk } => self.receive_chunk(chunk, env, out),
                Effect::InstallSnapshot { snapshot, time } => self.finish_receiving(snapshot, time, out),
            }
        }
    }

    fn persist(&mut self, ticket: Ticket, writes: Vec<Write>, env: &mut Env, out: &mut Out) {
        for write in &writes {
            match write {
                Write::Compact { through: snapshot } | Write::Install { snapshot } => {
                    self.snapshots.superseded(ticket, *snapshot);
                }
                Write::Cut { from } => {
                    env.stats.cuts += 1;
                    env.note(self.me.node, || format!("cuts its tail from {from}"));
                }
                _ => {}
            }
        }
        out.jobs.push(Job { group: DATA_GROUP, ticket, writes });
    }

    /// Writes have become durable.
    pub fn persisted(&mut self, now: Instant, ticket: Ticket, env: &mut Env, out: &mut Out) {
        self.durable = self.durable.max(ticket);
        while let Some((_, to, message)) = self.held.pop_front_if(|(held, ..)| *held <= ticket) {
            out.wishes.push(Wish::Send(to, message));
        }
        if let Some(id) = self.snapshots.removable(ticket) {
            out.archive.push(ArchiveJob::Keep { group: DATA_GROUP, id });
        }
        self.step(now, Input::Persisted { ticket }, env, out);
    }

    /// The snapshot thread tells something.
    pub fn archived(&mut self, now: Instant, event: ArchiveEvent, env: &mut Env, out: &mut Out) {
        if let Some(input) = self.on_archived(event, env) {
            let installed = matches!(input, Input::SnapshotInstalled { .. });
            self.step(now, input, env, out);
            if installed {
                env.checks.installed(self.me.node, self.applied, &self.machine);
            }
        }
    }

    fn apply(&mut self, entry: &Entry, env: &mut Env, out: &mut Out) {
        let asked = self.proposed.pop_front_if(|(index, _)| *index == entry.id.index);
        let mut origins = asked.map(|(_, origins)| origins).unwrap_or_default().into_iter();
        let respond = |_: BatchId, response: Vec<u8>| {
            if let Some(origin) = origins.next() {
                let outcome = Outcome::Done(Bytes::from(response), entry.id.index);
                out.wishes.push(Wish::Answer(origin, outcome));
            }
        };
        if let Err(error) = machine::execute(&mut self.machine, entry, respond) {
            panic!("{} cannot execute entry {}: {error}", self.me.node, entry.id);
        }
        env.note(self.me.node, || format!("applies {}", entry.id));
        env.checks.applied(self.me.node, self.applied, entry, &self.machine);
        self.applied = entry.id.index;
        if self.replica.standing() == Standing::Primary {
            env.checks.commits.push((self.me.node, entry.id));
        }
    }

    fn answer_reads(&mut self, token: u64, out: &mut Out) {
        let context = QueryContext { now: self.clock.max(self.machine.clock()) };
        for (origin, body) in self.confirming.remove(&token).unwrap_or_default() {
            let mut response = Vec::new();
            self.machine.query(&context, &body, &mut response);
            out.wishes.push(Wish::Answer(origin, Outcome::Done(Bytes::from(response), self.applied)));
        }
    }

    fn refuse_reads(&mut self, token: u64, out: &mut Out) {
        for (origin, _) in self.confirming.remove(&token).unwrap_or_default() {
            out.wishes.push(Wish::Answer(origin, Outcome::NotPrimary(self.replica.view().cloned())));
        }
    }

    fn view_changed(&mut self, view: View, standing: Standing, env: &mut Env, out: &mut Out) {
        env.note(self.me.node, || format!("is {standing:?} in {view}"));
        env.checks.views.entered((self.me, self.boot), &view, standing);
        if standing != Standing::Primary {
            for origin in std::mem::take(&mut self.proposed).into_iter().flat_map(|(_, origins)| origins) {
                out.wishes.push(Wish::Answer(origin, Outcome::Unknown));
            }
        }
        out.wishes.push(Wish::Learnt(view));
    }
}
