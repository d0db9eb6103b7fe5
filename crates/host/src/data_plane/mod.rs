//! The data plane of a node: the coordinator and the replicas of all groups, in turns.
//!
//! One *turn* takes everything that has happened ([`DataPlane::submit`] and the others), then [`DataPlane::route`] lets the
//! coordinator make batches of the clients' requests, and [`DataPlane::end_turn`] lets each group make one entry of all batches
//! that are for a primary here, and collects what is to be sent.

mod effect;
mod making_way;
#[cfg(test)]
mod making_way_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use onecopy_core::{GroupId, Instant, NodeId, StateMachine, Ticket, Timestamp, View};
use onecopy_replica::{CorruptPromise, Input, Message};
use onecopy_views::Table;

use crate::clock::SteadyClock;
use crate::coordinator::{Coordinator, Dispatch, ReadBatches, Reply, Submission};
use crate::disk::{ArchiveEvent, Out};
use crate::group::{Fresh, Group, GroupEffect, GroupObserver, GroupSettings, Origin, Restored};
use crate::message::{Answer, Forward, Kind, Outcome};
pub use effect::DataEffect;
use making_way::MakingWay;

/// The coordinator and the replicas of one node.
#[derive(Debug)]
pub struct DataPlane<M, T> {
    me: NodeId,
    /// Empty on a node that holds no data.
    groups: BTreeMap<GroupId, Group<M>>,
    coordinator: Coordinator<T>,
    clock: SteadyClock,
    making_way: MakingWay,
    /// Of the groups, during a turn. Empty between turns, but for effects; kept for its memory.
    asked: Out<GroupEffect>,
    dispatches: Vec<Dispatch>,
}

impl<M: StateMachine, T> DataPlane<M, T> {
    /// The data plane of a node that holds no data yet.
    #[must_use]
    pub fn new(me: NodeId, coordinator: Coordinator<T>) -> Self {
        Self {
            me,
            groups: BTreeMap::new(),
            coordinator,
            clock: SteadyClock::default(),
            making_way: MakingWay::default(),
            asked: Out::default(),
            dispatches: Vec::new(),
        }
    }

    /// Adds a replica, see [`Group::start`].
    ///
    /// # Errors
    /// When the promise that the log kept cannot be understood.
    pub fn start_group(
        &mut self,
        settings: GroupSettings,
        restored: Restored<M>,
        fresh: Fresh<M>,
        now: Instant,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<DataEffect>,
    ) -> Result<(), CorruptPromise> {
        let last = restored.recovered.entries.last().map_or(restored.base.time, |entry| entry.time);
        self.clock = SteadyClock::new(settings.replica.rules).going_on_from(now, last);
        let group = Group::start(settings, restored, fresh, now, observer, &mut self.asked)?;
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
        if let Some(group) = self.groups.get_mut(&group) {
            group.hold_execution(is_held);
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

    /// The coordinator.
    #[must_use]
    pub fn coordinator(&self) -> &Coordinator<T> {
        &self.coordinator
    }

    /// What the node takes for the time.
    #[must_use]
    pub fn clock(&self) -> &SteadyClock {
        &self.clock
    }

    /// What is to be told to clients.
    pub fn replies(&mut self) -> std::vec::Drain<'_, (T, Reply)> {
        self.coordinator.replies()
    }

    // ---- what happens -------------------------------------------------------------------------------------

    /// A client wants something.
    pub fn submit(&mut self, submission: Submission<T>) {
        self.coordinator.submit(submission);
    }

    /// A connection to or from a node broke: what was on its way is lost.
    pub fn lost(&mut self, node: NodeId) {
        self.coordinator.lost(node);
    }

    /// A [`DataEffect::Forward`] could not be sent.
    pub fn undelivered(&mut self, sequence: u64) {
        self.coordinator.complete(sequence, Outcome::Busy);
    }

    /// Another coordinator hands in a batch.
    pub fn forwarded(&mut self, from: NodeId, forward: Forward, out: &mut Out<DataEffect>) {
        let Forward { coordinator, sequence, .. } = forward;
        match self.groups.get_mut(&forward.group) {
            Some(group) => {
                group.offer(Origin::Remote { node: from, coordinator, sequence }, forward, &mut self.asked);
            }
            None => {
                let answer = Answer { coordinator, sequence, outcome: Outcome::NotPrimary(None) };
                out.effects.push(DataEffect::Answer { to: from, answer });
            }
        }
    }

    /// Another node has answered a batch of this one.
    pub fn answered(&mut self, answer: Answer) {
        self.coordinator.answered(answer);
    }

    /// A replica of another node says something.
    pub fn received(
        &mut self,
        now: Instant,
        from: NodeId,
        group: GroupId,
        message: Message,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<DataEffect>,
    ) {
        self.with(group, out, |group, asked| {
            if group.is_deaf() {
                return;
            }
            group.step(now, Input::Received { from, message }, observer, asked);
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
        for group in self.groups.values_mut() {
            group.step(now, Input::Arriving { from }, observer, &mut self.asked);
        }
        self.pass_on(out);
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
        self.with(event.group(), out, |group, asked| group.archived(now, event, observer, asked));
    }

    /// The log would let old segments go if there was a snapshot of this group: from the oldest that it needs
    /// on, they have so many bytes.
    pub fn snapshot_wanted(&mut self, group: GroupId, bytes: u64, observer: &mut impl GroupObserver<M>) {
        // Before the log is as long as the snapshots of all that write to it, they would cost more than it does.
        let images: u64 = self.groups.values().map(|group| group.replica().snapshot_bytes()).sum();
        if let Some(group) = self.groups.get_mut(&group).filter(|_| bytes >= images) {
            group.snapshot_wanted(observer);
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
        self.making_way.learn(table);
        self.clock.told(table.clocks().get(&self.me).copied());
        for (id, group) in table.groups() {
            self.learn(*id, &group.view);
            let view = group.view.clone();
            self.with(*id, out, |group, asked| group.step(now, Input::Announced { view }, observer, asked));
        }
    }

    // ---- what follows from it -----------------------------------------------------------------------------

    /// The requests that have arrived become batches, on their way to the primary.
    pub fn route(&mut self, now: Instant, out: &mut Out<DataEffect>) {
        let reads = self.read_batches(now);
        self.coordinator.dispatch(now, reads, &mut self.dispatches);
        let mut dispatches = std::mem::take(&mut self.dispatches);
        dispatches.drain(..).for_each(|dispatch| self.forward(now, dispatch, out));
        self.dispatches = dispatches;
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
        for group in self.groups.values_mut() {
            group.end_turn(now, steady, observer, &mut self.asked);
        }
        self.make_way(now, observer, out);
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

    /// When the next turn is due if nothing happens.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let groups = self.groups.values().map(|group| group.deadline(now));
        groups.chain([self.coordinator.deadline(), self.next_attempt()]).flatten().min()
    }

    /// Lets a group do something. What it wants of the disk is passed on at once, the rest at the end of the turn.
    fn with(
        &mut self,
        group: GroupId,
        out: &mut Out<DataEffect>,
        step: impl FnOnce(&mut Group<M>, &mut Out<GroupEffect>),
    ) {
        if let Some(group) = self.groups.get_mut(&group) {
            step(group, &mut self.asked);
            self.pass_on(out);
        }
    }

    fn pass_on(&mut self, out: &mut Out<DataEffect>) {
        out.writes.append(&mut self.asked.writes);
        out.archive.append(&mut self.asked.archive);
    }

    fn learn(&mut self, group: GroupId, view: &View) {
        if group == self.coordinator.group() {
            self.coordinator.learn(view);
        }
    }

    /// A batch of reads waits as long as the one of its reads that waits longest: where a backup answers that has not yet executed all
    /// that it holds, they had better not share one.
    fn read_batches(&self, now: Instant) -> ReadBatches {
        let group = self.groups.get(&self.coordinator.group());
        let may_wait = group.is_some_and(|group| {
            let holds = group.replica().log().last().index;
            holds > group.applied() && group.replica().reads_as_backup(now)
        });
        if may_wait { ReadBatches::Apart } else { ReadBatches::Together }
    }

    /// Takes a batch of this node's coordinator to the primary; reads to the replica of this node, if it has a lease.
    fn forward(&mut self, now: Instant, Dispatch { to, forward }: Dispatch, out: &mut Out<DataEffect>) {
        let sequence = forward.sequence;
        if to != self.me {
            let backup = self.groups.get_mut(&forward.group).filter(|_| forward.kind == Kind::Read);
            return match backup.filter(|group| group.replica().reads_as_backup(now)) {
                Some(group) => group.offer_read(Origin::Local { sequence }, forward.body),
                None => out.effects.push(DataEffect::Forward { to, forward }),
            };
        }
        match self.groups.get_mut(&forward.group) {
            Some(group) => group.offer(Origin::Local { sequence }, forward, &mut self.asked),
            None => self.coordinator.complete(sequence, Outcome::Busy),
        }
    }

    fn grant(&mut self, effect: GroupEffect, out: &mut Out<DataEffect>) {
        match effect {
            GroupEffect::Send { group, to, message } => {
                out.effects.push(DataEffect::Replica { to, group, message })
            }
            GroupEffect::Answer { origin: Origin::Local { sequence }, outcome } => {
                self.coordinator.complete(sequence, outcome);
            }
            GroupEffect::Answer { origin: Origin::Remote { node, coordinator, sequence }, outcome } => {
                let answer = Answer { coordinator, sequence, outcome };
                out.effects.push(DataEffect::Answer { to: node, answer });
            }
            GroupEffect::Learnt { group, view } => self.learn(group, &view),
            GroupEffect::Petition(petition) => out.effects.push(DataEffect::Petition(petition)),
        }
    }
}
