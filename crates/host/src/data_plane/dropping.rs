//! Databases that were dropped: their groups go, with all that they have in memory and on the disk.
//!
//! The view table gives numbers to groups in a row and uses none again, so a group that it does not name any
//! more is gone, also for a node that was away when that happened. What waits for it is answered. What it
//! held is given back bit by bit: other groups have their turns meanwhile.

use std::collections::BTreeSet;

use onecopy_core::{GroupId, Replicated, StateMachine, Ticket, Write};
use onecopy_views::Table;

use super::{DataEffect, DataPlane};
use crate::coordinator::{Reply, Submission};
use crate::disk::{ArchiveJob, Job, Out};

/// After this ticket of a group none comes.
const LAST: Ticket = Ticket(u64::MAX);

/// What is left of groups that are gone.
#[derive(Debug)]
pub(super) struct Dropping<M> {
    /// The groups that there are, and the last one that was ever made, as the newest table says.
    there: BTreeSet<GroupId>,
    last: GroupId,
    /// The log is about to forget these; then their snapshots can go.
    forgetting: BTreeSet<GroupId>,
    /// What they held.
    states: Vec<Replicated<M>>,
}

impl<M> Default for Dropping<M> {
    fn default() -> Self {
        Self { there: BTreeSet::new(), last: GroupId(0), forgetting: BTreeSet::new(), states: Vec::new() }
    }
}

impl<M: StateMachine> Dropping<M> {
    fn is_gone(&self, group: GroupId) -> bool {
        group <= self.last && !self.there.contains(&group)
    }

    /// Whether a turn is wanted, to go on with giving memory back.
    pub(super) fn wants_turn(&self) -> bool {
        !self.states.is_empty()
    }

    /// Gives back some memory.
    pub(super) fn go_on(&mut self) {
        if self.states.last_mut().is_some_and(|state| !state.tidy()) {
            self.states.pop();
        }
    }
}

impl<M: StateMachine, T> DataPlane<M, T> {
    /// Of what there is here, what the table says is gone, goes.
    pub(super) fn drop_gone(&mut self, table: &Table, out: &mut Out<DataEffect>) {
        self.dropping.there = table.groups().keys().copied().collect();
        self.dropping.last = table.last_group();
        let here = self.groups.keys().chain(self.copies.keys()).copied();
        let known = self.router.coordinators().map(crate::coordinator::Coordinator::group);
        let gone: BTreeSet<GroupId> =
            here.chain(known).filter(|group| self.dropping.is_gone(*group)).collect();
        gone.into_iter().for_each(|group| self.drop_group(group, out));
    }

    fn drop_group(&mut self, id: GroupId, out: &mut Out<DataEffect>) {
        self.router.disband(id);
        self.agenda.set(id, None);
        self.quiescence.forget(id);
        self.occupied.forget(id);
        self.changed.insert(id);
        let group = self.groups.remove(&id);
        if self.copies.remove(&id).is_none() && group.is_none() {
            return;
        }
        self.dropping.states.extend(group.and_then(|group| group.into_state()));
        self.dropping.forgetting.insert(id);
        // Behind everything that the group has asked for itself.
        out.writes.push(Job { group: id, ticket: LAST, writes: vec![Write::Forget] });
    }

    /// The log has forgotten a group: snapshots go after that. A start that finds one without the other finds
    /// a snapshot that nobody needs, and no log that lacks its beginning.
    pub(super) fn forgotten(&mut self, group: GroupId, ticket: Ticket, out: &mut Out<DataEffect>) {
        if ticket == LAST && self.dropping.forgetting.remove(&group) {
            out.archive.push(ArchiveJob::Forget { group });
        }
    }

    /// A client wants something of a database that was dropped: it is told so at once.
    pub(super) fn refuse_gone(&mut self, group: GroupId, submission: Submission<T>) -> Option<Submission<T>> {
        if self.router.coordinator(group).is_some() || !self.dropping.is_gone(group) {
            return Some(submission);
        }
        self.router.answer(submission.client, Reply::NoDatabase);
        None
    }
}
