//! The data plane of a node: the coordinators and the replicas of all groups, in turns.
//!
//! One *turn* takes everything that has happened ([`DataPlane::submit`] and the others), then
//! [`DataPlane::route`] lets the coordinators make batches of the clients' requests, and
//! [`DataPlane::end_turn`] lets each group make one entry of all batches that are for a primary here, and
//! collects what is to be sent.

mod agenda;
mod dropping;
#[cfg(test)]
mod dropping_tests;
mod effect;
mod making_way;
#[cfg(test)]
mod making_way_tests;
mod occupied;
mod optimistic;
mod quiescence;
#[cfg(test)]
mod quiescence_tests;
mod router;
mod share;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use onecopy_core::{
    Encodings, Eviction, GroupId, Incarnation, Instant, Level, NodeId, StateMachine, Ticket, Timestamp,
};
use onecopy_replica::Input;
use onecopy_views::{Kind as Replication, Table};

use crate::clock::SteadyClock;
use crate::coordinator::{Coordinator, CoordinatorConfig, Dispatch, ReadBatches, Reply, Submission};
use crate::disk::{ArchiveEvent, Out};
use crate::group::{Corrupt, Fresh, Group, GroupEffect, GroupObserver, GroupSettings, Origin, Restored};
use crate::heartbeat::SharedHeartbeat;
use crate::message::{Answer, Forward, GroupMessage, Kind, Outcome};
use crate::optimistic::OptimisticCopy;
use agenda::Agenda;
use dropping::Dropping;
pub use effect::DataEffect;
use making_way::MakingWay;
use occupied::Occupied;
use quiescence::Quiescence;
use router::Router;
pub use share::Share;

/// What the other data planes of the node have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Elsewhere {
    /// Bytes of memory that the states of their groups occupy.
    pub occupied: u64,
    /// Bytes that snapshots of all of them have.
    pub snapshots: u64,
    /// How many groups they have.
    pub groups: usize,
}

/// The coordinators and the replicas of one node, or of its [`Share`] of them.
#[derive(Debug)]
pub struct DataPlane<M, T> {
    me: NodeId,
    share: Share,
    elsewhere: Elsewhere,
    /// How much memory the states of all groups may have, if that is set for the whole cluster.
    memory_set: Option<u64>,
    /// What goes where there is no room, if that is set.
    eviction_set: Option<Eviction>,
    /// Up to which sizes values are said to have compact encodings.
    encodings: Encodings,
    /// The level in force, as far as is known.
    level: Level,
    /// Empty on a node that holds no data.
    groups: BTreeMap<GroupId, Group<M>>,
    /// The copies of optimistic databases.
    copies: BTreeMap<GroupId, OptimisticCopy>,
    /// Which of them want a turn.
    agenda: Agenda,
    quiescence: Quiescence,
    occupied: Occupied,
    router: Router<T>,
    clock: SteadyClock,
    making_way: MakingWay,
    dropping: Dropping<M>,
    /// Of the groups, during a turn. Empty between turns, but for effects; kept for its memory.
    asked: Out<GroupEffect>,
    dispatches: Vec<Dispatch>,
    /// Whose turn it is. Empty between turns.
    turns: Vec<GroupId>,
    /// Which groups are in the middle of a long command, in this turn.
    long: Vec<GroupId>,
    /// To whom something has happened since somebody asked.
    changed: BTreeSet<GroupId>,
}

impl<M: StateMachine, T> DataPlane<M, T> {
    /// The data plane of a node that holds no data yet. `incarnation` is of this start of the process; no two
    /// starts, anywhere, may have the same. For the others see [`Coordinator`].
    #[must_use]
    pub fn new(me: NodeId, incarnation: Incarnation, config: CoordinatorConfig) -> Self {
        Self {
            me,
            share: Share::WHOLE,
            elsewhere: Elsewhere::default(),
            memory_set: None,
            eviction_set: None,
            encodings: Encodings::default(),
            level: Level::FIRST,
            groups: BTreeMap::new(),
            copies: BTreeMap::new(),
            agenda: Agenda::default(),
            quiescence: Quiescence::new(incarnation),
            occupied: Occupied::default(),
            router: Router::new(incarnation, config),
            clock: SteadyClock::default(),
            making_way: MakingWay::default(),
            dropping: Dropping::default(),
            asked: Out::default(),
            dispatches: Vec::new(),
            turns: Vec::new(),
            long: Vec::new(),
            changed: BTreeSet::new(),
        }
    }

    /// The data plane of a part of the groups. The others belong to other data planes of the same node, each
    /// with an incarnation of its own.
    #[must_use]
    pub fn with_share(self, share: Share) -> Self {
        Self { share, quiescence: self.quiescence.with_share(share), ..self }
    }

    /// Adds a replica, see [`Group::start`].
    ///
    /// # Errors
    /// When what the log kept cannot be understood.
    pub fn start_group(
        &mut self,
        settings: GroupSettings,
        restored: Restored<M>,
        fresh: Fresh<M>,
        now: Instant,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<DataEffect>,
    ) -> Result<(), Corrupt> {
        let last = restored.recovered.entries.last().map_or(restored.base.time, |entry| entry.time);
        self.clock.set_rules(settings.replica.rules);
        self.clock.go_on_from(now, last);
        self.quiescence.set_pace(settings.replica.heartbeat_interval, settings.replica.failure_timeout);
        let group = Group::start(settings, restored, fresh, now, observer, &mut self.asked)?;
        self.agenda.touch(group.id());
        self.groups.insert(group.id(), group);
        self.pass_on(out);
        Ok(())
    }

    /// One of the replicas.
    #[must_use]
    pub fn group(&self, id: GroupId) -> Option<&Group<M>> {
        self.groups.get(&id)
    }

    /// Harms the machine of a replica, see [`Group::damage`].
    pub fn damage(&mut self, group: GroupId, harm: impl FnOnce(&mut M)) -> bool {
        self.groups.get_mut(&group).is_some_and(|group| group.damage(harm))
    }

    /// Lets the machine of a replica execute nothing, or everything again, see [`Group::hold_execution`].
    pub fn hold_execution(&mut self, group: GroupId, is_held: bool) {
        if let Some(replica) = self.groups.get_mut(&group) {
            replica.hold_execution(is_held);
            self.agenda.touch(group);
        }
    }

    /// This node.
    #[must_use]
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// All replicas.
    pub fn groups(&self) -> impl Iterator<Item = &Group<M>> {
        self.groups.values()
    }

    /// Which start of which coordinator this is.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.router.incarnation()
    }

    /// The coordinator of a group; none as long as nobody has asked for the group, and no view of it is
    /// known.
    #[must_use]
    pub fn coordinator(&self, group: GroupId) -> Option<&Coordinator<T>> {
        self.router.coordinator(group)
    }

    /// The coordinators of all groups.
    pub fn coordinators(&self) -> impl Iterator<Item = &Coordinator<T>> {
        self.router.coordinators()
    }

    /// Bytes that the states of all replicas here occupy.
    #[must_use]
    pub fn occupied(&self) -> u64 {
        self.occupied.total()
    }

    /// What the other data planes of the node have: all share the memory, and the log.
    pub fn set_elsewhere(&mut self, elsewhere: Elsewhere) {
        self.occupied.set_elsewhere(elsewhere.occupied);
        self.elsewhere = elsewhere;
    }

    /// Bytes that snapshots of all groups here have, or would have.
    #[must_use]
    pub fn snapshot_bytes(&self) -> u64 {
        let groups = self.groups.values().map(|group| group.replica().snapshot_bytes());
        groups.chain(self.copies.values().map(OptimisticCopy::snapshot_bytes)).sum()
    }

    /// What the node takes for the time.
    #[must_use]
    pub fn clock(&self) -> &SteadyClock {
        &self.clock
    }

    /// The groups whose replica, or coordinator, has had a turn since this was last asked. About the others
    /// there is nothing new to tell.
    pub fn take_changed(&mut self) -> BTreeSet<GroupId> {
        std::mem::take(&mut self.changed)
    }

    /// What is to be told to clients.
    pub fn replies(&mut self) -> std::vec::Drain<'_, (T, Reply)> {
        self.router.replies()
    }

    // ---- what happens -------------------------------------------------------------------------------------

    /// A client wants something of a group.
    pub fn submit(&mut self, group: GroupId, submission: Submission<T>) {
        if let Some(submission) = self.refuse_gone(group, submission) {
            self.router.submit(group, submission);
        }
    }

    /// A connection to or from a node broke: what was on its way is lost.
    pub fn lost(&mut self, node: NodeId) {
        self.router.lost(node);
        for (id, group) in &mut self.groups {
            group.lost(node);
            self.agenda.touch(*id);
        }
        self.copies.values_mut().for_each(|copy| copy.lost(node));
    }

    /// A [`DataEffect::Forward`] for this group could not be sent.
    pub fn undelivered(&mut self, group: GroupId, sequence: u64) {
        self.router.complete(group, sequence, Outcome::Busy);
    }

    /// Another coordinator hands in a batch.
    pub fn forwarded(&mut self, from: NodeId, forward: Forward, out: &mut Out<DataEffect>) {
        let Forward { group, coordinator, sequence, .. } = forward;
        if let Some(copy) = self.copies.get_mut(&group) {
            copy.offer(Origin::Remote { node: from, coordinator, sequence }, forward, &mut self.asked);
            return self.agenda.touch(group);
        }
        match self.groups.get_mut(&group) {
            Some(replica) => {
                replica.offer(Origin::Remote { node: from, coordinator, sequence }, forward, &mut self.asked);
                self.agenda.touch(group);
            }
            None => {
                let answer = Answer { group, coordinator, sequence, outcome: Outcome::NotPrimary(None) };
                out.effects.push(DataEffect::Answer { to: from, answer });
            }
        }
    }

    /// Another node has answered a batch of this one.
    pub fn answered(&mut self, from: NodeId, answer: Answer) {
        self.router.answered(from, answer);
    }

    /// A replica of another node says something.
    pub fn received(
        &mut self,
        now: Instant,
        from: NodeId,
        group: GroupId,
        message: GroupMessage,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<DataEffect>,
    ) {
        let message = match message {
            GroupMessage::Optimistic(message) => {
                return self.with_copy(group, out, |copy, asked| copy.received(now, from, message, asked));
            }
            message => message,
        };
        self.with(group, out, |group, asked| {
            if group.is_deaf() {
                return;
            }
            group.received(now, from, message, observer, asked);
        });
    }

    /// Bytes of a message from this node are arriving, and more must come before it is whole.
    pub fn arriving(
        &mut self,
        now: Instant,
        from: NodeId,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<DataEffect>,
    ) {
        self.quiescence.arriving(now, from);
        for (id, group) in self.groups.iter_mut().filter(|(_, group)| !group.replica().is_quiescent()) {
            group.step(now, Input::Arriving { from }, observer, &mut self.asked);
            self.agenda.touch(*id);
        }
        self.pass_on(out);
    }

    /// Another node says something for all quiescent groups that it shares with this one.
    pub fn heartbeat(
        &mut self,
        now: Instant,
        from: NodeId,
        message: SharedHeartbeat,
        out: &mut Out<DataEffect>,
    ) {
        let groups = &mut quiescence::Groups { all: &mut self.groups, agenda: &mut self.agenda };
        let answer = self.quiescence.received(now, from, message, groups);
        out.effects.extend(answer.map(|message| DataEffect::Heartbeat { to: from, message }));
    }

    /// Writes have become durable.
    pub fn persisted(
        &mut self,
        now: Instant,
        group: GroupId,
        ticket: Ticket,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<DataEffect>,
    ) {
        self.forgotten(group, ticket, out);
        self.with_copy(group, out, |copy, asked| copy.persisted(now, ticket, asked));
        self.with(group, out, |group, asked| group.persisted(now, ticket, observer, asked));
    }

    /// The archive has done something.
    pub fn archived(
        &mut self,
        now: Instant,
        event: ArchiveEvent,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<DataEffect>,
    ) {
        if self.copies.contains_key(&event.group()) {
            return self.with_copy(event.group(), out, |copy, asked| copy.archived(event, asked));
        }
        self.with(event.group(), out, |group, asked| group.archived(now, event, observer, asked));
    }

    /// The log would let old segments go if there was a snapshot of this group: from the oldest that it needs
    /// on, they have so many bytes.
    pub fn snapshot_wanted(&mut self, group: GroupId, bytes: u64, observer: &mut impl GroupObserver<M>) {
        // Before the log is as long as the snapshots of all that write to it, they would cost more than it
        // does.
        let images = self.snapshot_bytes() + self.elsewhere.snapshots;
        if let Some(replica) = self.groups.get_mut(&group).filter(|_| bytes >= images) {
            replica.snapshot_wanted(observer);
            self.agenda.touch(group);
        }
        if let Some(copy) = self.copies.get_mut(&group).filter(|_| bytes >= images) {
            copy.snapshot_wanted();
            self.agenda.touch(group);
        }
    }

    /// The node has learnt a view table.
    pub fn announced(
        &mut self,
        now: Instant,
        table: &Table,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<DataEffect>,
    ) {
        let share = self.share;
        self.making_way.learn(table);
        self.memory_set = table.settings().memory_max();
        self.eviction_set = table.settings().eviction();
        self.encodings = table.settings().encodings();
        self.level = table.level();
        self.clock.told(table.clocks().get(&self.me).copied());
        self.drop_gone(table, out);
        for (id, group) in table.groups().iter().filter(|(id, _)| share.has(**id)) {
            if let Some(known) = self.groups.get_mut(id) {
                known.set_options(&table.options(*id));
                if known.learn_switch(table) {
                    self.agenda.touch(*id);
                }
            }
            match table.kind(*id) {
                Replication::PrimaryBackup => self.router.rely_on_views(*id),
                Replication::Raft => self.raft_announced(now, *id, table),
                Replication::Optimistic => {
                    self.copies_announced(now, *id, table, out);
                    continue;
                }
            }
            self.router.learn(*id, &group.view);
            // There may be many, in which nothing has happened.
            // A copy that is to be of another kind hears of its views when it is.
            let knows =
                |known: &Group<M>| known.is_turning() || known.replica().view_number() >= group.view.number;
            if self.groups.get(id).is_none_or(knows) {
                continue;
            }
            let view = group.view.clone();
            self.with(*id, out, |group, asked| group.step(now, Input::Announced { view }, observer, asked));
        }
    }

    /// The view table says something of a Raft group. Whoever leads it, it is one of the roster's nodes.
    fn raft_announced(&mut self, now: Instant, id: GroupId, table: &Table) {
        let Some(roster) = table.roster(id) else { return };
        let nodes = roster.members.iter().map(|member| member.node).collect();
        self.router.ask_around(id, nodes);
        if self.groups.get_mut(&id).is_some_and(|group| group.learn_roster(now, roster)) {
            self.agenda.touch(id);
        }
    }

    // ---- what follows from it -----------------------------------------------------------------------------

    /// The requests that have arrived become batches, on their way to the primary.
    pub fn route(&mut self, now: Instant, out: &mut Out<DataEffect>) {
        let mut turns = std::mem::take(&mut self.turns);
        let mut dispatches = std::mem::take(&mut self.dispatches);
        self.router.take(now, &mut turns);
        self.changed.extend(&turns);
        for group in turns.drain(..) {
            let reads = self.read_batches(now, group);
            self.router.dispatch(now, group, reads, &mut dispatches);
            dispatches.drain(..).for_each(|dispatch| self.forward(now, dispatch, out));
        }
        (self.turns, self.dispatches) = (turns, dispatches);
    }

    /// Does everything else that follows from what has happened. `wall` is the wall clock; it may be set
    /// forward and back.
    pub fn end_turn(
        &mut self,
        now: Instant,
        wall: Timestamp,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<DataEffect>,
    ) {
        let steady = self.clock.read(now, wall);
        let mut turns = std::mem::take(&mut self.turns);
        self.agenda.take(now, &mut turns);
        self.changed.extend(&turns);
        let count = self.groups.len() + self.elsewhere.groups;
        for id in turns.drain(..) {
            let Some(group) = self.groups.get_mut(&id) else {
                self.end_turn_of_copy(now, steady, id);
                continue;
            };
            group.set_memory_max(self.memory_set);
            group.set_eviction(self.eviction_set);
            group.set_encodings(self.encodings);
            group.set_level(self.level);
            group.set_memory_beside(self.occupied.beside(id));
            group.set_groups(count);
            group.end_turn(now, steady, observer, &mut self.asked);
            // In the middle of a command nobody can say.
            if let Some(state) = group.state() {
                self.occupied.set(id, state.memory());
            }
            if group.executes_long() {
                self.long.push(id);
            }
            match group.is_turning() {
                true => self.quiescence.forget(id),
                false => self.quiescence.follow(now, group),
            }
            self.agenda.set(id, group.deadline(now));
        }
        self.turns = turns;
        let groups = &mut quiescence::Groups { all: &mut self.groups, agenda: &mut self.agenda };
        let heartbeats = self.quiescence.turn(now, groups).into_iter();
        out.effects.extend(heartbeats.map(|(to, message)| DataEffect::Heartbeat { to, message }));
        self.make_way(now, observer, out);
        self.dropping.go_on();
        self.hand_out(out);
    }

    /// Collects what the groups want. For a shell that reports writes as [durable](Self::persisted) in the
    /// turn in which it was asked for them: what follows from that need not wait for the next turn.
    pub fn hand_out(&mut self, out: &mut Out<DataEffect>) {
        self.pass_on(out);
        let mut effects = std::mem::take(&mut self.asked.effects);
        effects.drain(..).for_each(|effect| self.grant(effect, out));
        self.asked.effects = effects;
    }

    /// Whether long commands are to [go on](Self::go_on).
    #[must_use]
    pub fn has_long(&self) -> bool {
        !self.long.is_empty()
    }

    /// The read that a replica is in the middle of is to stop, see [`Group::stop_read`].
    pub fn stop_read(&mut self, group: GroupId) {
        if let Some(replica) = self.groups.get_mut(&group) {
            replica.stop_read();
        }
    }

    /// Goes on with long commands, once everything that the turn has to say is on its way.
    pub fn go_on(&mut self, now: Instant, observer: &mut impl GroupObserver<M>, out: &mut Out<DataEffect>) {
        for id in std::mem::take(&mut self.long) {
            if let Some(group) = self.groups.get_mut(&id) {
                group.go_on(now, observer, &mut self.asked);
                self.agenda.touch(id);
            }
        }
        self.hand_out(out);
    }

    /// When the next turn is due if nothing happens.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let touched = self.agenda.touched().filter_map(|id| {
            let copy = self.copies.get(&id).map(|copy| copy.deadline(now));
            copy.or_else(|| self.groups.get(&id)?.deadline(now))
        });
        let others =
            [self.agenda.next(), self.quiescence.deadline(), self.router.deadline(), self.next_attempt()];
        let dropping = self.dropping.wants_turn().then_some(now);
        touched.chain(others.into_iter().flatten()).chain(dropping).min()
    }

    /// Lets a group do something. What it wants of the disk is passed on at once, the rest at the end of the
    /// turn.
    fn with(
        &mut self,
        group: GroupId,
        out: &mut Out<DataEffect>,
        step: impl FnOnce(&mut Group<M>, &mut Out<GroupEffect>),
    ) {
        if let Some(replica) = self.groups.get_mut(&group) {
            step(replica, &mut self.asked);
            self.agenda.touch(group);
            self.pass_on(out);
        }
    }

    fn pass_on(&mut self, out: &mut Out<DataEffect>) {
        out.writes.append(&mut self.asked.writes);
        out.archive.append(&mut self.asked.archive);
    }

    /// A batch of reads waits as long as the one of its reads that waits longest: where a backup answers that
    /// has not yet executed all that it holds, they had better not share one.
    fn read_batches(&self, now: Instant, group: GroupId) -> ReadBatches {
        let may_wait = self.groups.get(&group).is_some_and(|group| {
            let holds = group.replica().log().last().index;
            holds > group.applied() && group.replica().reads_as_backup(now)
        });
        if may_wait { ReadBatches::Apart } else { ReadBatches::Together }
    }

    /// Takes a batch of this node's coordinator to the primary; reads to the replica of this node, if it has
    /// a lease.
    fn forward(&mut self, now: Instant, dispatch: Dispatch, out: &mut Out<DataEffect>) {
        let Dispatch { to, forward, is_lost } = dispatch;
        let (id, sequence) = (forward.group, forward.sequence);
        let group = self.groups.get_mut(&id);
        if to != self.me {
            let backup = group.filter(|_| forward.kind == Kind::Read && !is_lost);
            match backup.filter(|group| group.replica().reads_as_backup(now)) {
                Some(group) => {
                    self.router.read_here(id, sequence);
                    group.offer_read(Origin::Local { sequence }, forward.body, &mut self.asked);
                }
                None => return out.effects.push(DataEffect::Forward { to, forward }),
            }
        } else if let Some(copy) = self.copies.get_mut(&id) {
            copy.offer(Origin::Local { sequence }, forward, &mut self.asked);
        } else if let Some(group) = group {
            group.offer(Origin::Local { sequence }, forward, &mut self.asked);
        } else {
            return self.router.complete(id, sequence, Outcome::Busy);
        }
        self.agenda.touch(id);
    }

    fn grant(&mut self, effect: GroupEffect, out: &mut Out<DataEffect>) {
        match effect {
            GroupEffect::Send { group, to, message } => {
                out.effects.push(DataEffect::Replica { to, group, message })
            }
            GroupEffect::Answer { group, origin: Origin::Local { sequence }, outcome } => {
                self.router.complete(group, sequence, outcome);
            }
            GroupEffect::Answer {
                group,
                origin: Origin::Remote { node, coordinator, sequence },
                outcome,
            } => {
                let answer = Answer { group, coordinator, sequence, outcome };
                out.effects.push(DataEffect::Answer { to: node, answer });
            }
            GroupEffect::Learnt { group, view } => self.router.learn(group, &view),
            GroupEffect::Petition(petition) => out.effects.push(DataEffect::Petition(petition)),
            GroupEffect::UnknownLevel(unknown) => out.effects.push(DataEffect::UnknownLevel(unknown)),
        }
    }
}
