//! Takes the requests of clients to the coordinators of their groups. Each group has its own: one that cannot
//! be served keeps no other waiting, and what is remembered of its batches is no business of the others.

use std::collections::BTreeMap;

use onecopy_core::{GroupId, Incarnation, Instant, NodeId, View};

use super::agenda::Agenda;
use crate::coordinator::{Coordinator, CoordinatorConfig, Dispatch, ReadBatches, Reply, Submission};
use crate::message::{Answer, Outcome};

/// The coordinators of all groups that somebody has asked for, or of which a view is known.
#[derive(Debug)]
pub(super) struct Router<T> {
    incarnation: Incarnation,
    config: CoordinatorConfig,
    coordinators: BTreeMap<GroupId, Coordinator<T>>,
    agenda: Agenda,
    /// What is to be told to clients.
    replies: Vec<(T, Reply)>,
}

impl<T> Router<T> {
    pub(super) fn new(incarnation: Incarnation, config: CoordinatorConfig) -> Self {
        let (coordinators, agenda) = (BTreeMap::new(), Agenda::default());
        Self { incarnation, config, coordinators, agenda, replies: Vec::new() }
    }

    pub(super) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    pub(super) fn coordinator(&self, group: GroupId) -> Option<&Coordinator<T>> {
        self.coordinators.get(&group)
    }

    pub(super) fn coordinators(&self) -> impl Iterator<Item = &Coordinator<T>> {
        self.coordinators.values()
    }

    pub(super) fn replies(&mut self) -> std::vec::Drain<'_, (T, Reply)> {
        self.replies.drain(..)
    }

    pub(super) fn submit(&mut self, group: GroupId, submission: Submission<T>) {
        self.with(group, |coordinator| coordinator.submit(submission));
    }

    pub(super) fn learn(&mut self, group: GroupId, view: &View) {
        let known = self.coordinators.get(&group).and_then(Coordinator::view);
        if known.is_some_and(|known| known.number > view.number || known == view) {
            return;
        }
        self.with(group, |coordinator| coordinator.learn(view));
    }

    /// See [`Coordinator::ask_around`].
    pub(super) fn ask_around(&mut self, group: GroupId, nodes: Vec<NodeId>) {
        let asked = self.coordinators.get(&group).and_then(Coordinator::asks_beside);
        if asked != Some(&nodes) {
            self.with(group, |coordinator| coordinator.ask_around(nodes));
        }
    }

    /// See [`Coordinator::rely_on_views`].
    pub(super) fn rely_on_views(&mut self, group: GroupId) {
        self.coordinators.get_mut(&group).into_iter().for_each(Coordinator::rely_on_views);
    }

    /// See [`Coordinator::take_any`].
    pub(super) fn take_any(&mut self, group: GroupId) {
        if self.coordinators.get(&group).is_none_or(|coordinator| !coordinator.takes_any()) {
            self.with(group, Coordinator::take_any);
        }
    }

    /// See [`Coordinator::come_home`].
    pub(super) fn come_home(&mut self, group: GroupId) {
        self.coordinators.get_mut(&group).into_iter().for_each(Coordinator::come_home);
    }

    /// The group is gone: what waits for it is answered.
    pub(super) fn disband(&mut self, group: GroupId) {
        self.agenda.set(group, None);
        if let Some(coordinator) = self.coordinators.remove(&group) {
            self.replies.extend(coordinator.disband());
        }
    }

    /// A client is answered without a coordinator.
    pub(super) fn answer(&mut self, client: T, reply: Reply) {
        self.replies.push((client, reply));
    }

    pub(super) fn lost(&mut self, node: NodeId) {
        for (group, coordinator) in &mut self.coordinators {
            coordinator.lost(node);
            self.agenda.touch(*group);
        }
    }

    pub(super) fn answered(&mut self, from: NodeId, answer: Answer) {
        // What nobody has asked for is for nobody.
        if self.coordinators.contains_key(&answer.group) {
            self.with(answer.group, |coordinator| coordinator.answered(from, answer));
        }
    }

    pub(super) fn complete(&mut self, group: GroupId, sequence: u64, outcome: Outcome) {
        self.with(group, |coordinator| coordinator.complete(sequence, outcome));
    }

    /// See [`Coordinator::read_here`].
    pub(super) fn read_here(&mut self, group: GroupId, sequence: u64) {
        if let Some(coordinator) = self.coordinators.get_mut(&group) {
            coordinator.read_here(sequence);
        }
    }

    /// Moves to `groups` those that may have something to send.
    pub(super) fn take(&mut self, now: Instant, groups: &mut Vec<GroupId>) {
        self.agenda.take(now, groups);
    }

    /// See [`Coordinator::dispatch`].
    pub(super) fn dispatch(
        &mut self,
        now: Instant,
        group: GroupId,
        reads: ReadBatches,
        dispatches: &mut Vec<Dispatch>,
    ) {
        let Some(coordinator) = self.coordinators.get_mut(&group) else { return };
        coordinator.dispatch(now, reads, dispatches);
        self.replies.extend(coordinator.replies());
        self.agenda.set(group, coordinator.deadline());
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let wants = |group| self.coordinators.get(&group).and_then(Coordinator::deadline);
        self.agenda.touched().filter_map(wants).chain(self.agenda.next()).min()
    }

    fn with(&mut self, group: GroupId, act: impl FnOnce(&mut Coordinator<T>)) {
        let (incarnation, config) = (self.incarnation, self.config);
        let new = || Coordinator::new(group, incarnation, config);
        let coordinator = self.coordinators.entry(group).or_insert_with(new);
        act(coordinator);
        self.replies.extend(coordinator.replies());
        self.agenda.touch(group);
    }
}
