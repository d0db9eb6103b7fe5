//! The copies of optimistic databases among the replicas of a node.

use onecopy_core::{GroupId, Instant, Member, NodeId, StateMachine, Timestamp, View};
use onecopy_views::Table;

use super::{DataEffect, DataPlane};
use crate::disk::Out;
use crate::group::GroupEffect;
use crate::optimistic::{CorruptCopy, OptimisticCopy, Restored, Settings};

impl<M: StateMachine, T> DataPlane<M, T> {
    /// Adds a copy of an optimistic database, see [`OptimisticCopy::start`].
    ///
    /// # Errors
    /// When what the disk kept cannot be understood.
    pub fn start_copy(
        &mut self,
        settings: Settings,
        restored: Restored,
        now: Instant,
    ) -> Result<(), CorruptCopy> {
        self.clock.set_rules(settings.rules);
        let last = restored.recovered.entries.last().map_or(Timestamp(0), |entry| entry.time);
        self.clock.go_on_from(now, last);
        let copy = OptimisticCopy::start(settings, restored, now)?;
        self.agenda.touch(copy.id());
        self.copies.insert(copy.id(), copy);
        Ok(())
    }

    /// One of the copies of optimistic databases.
    #[must_use]
    pub fn copy(&self, group: GroupId) -> Option<&OptimisticCopy> {
        self.copies.get(&group)
    }

    /// The copies of optimistic databases.
    pub fn copies(&self) -> impl Iterator<Item = &OptimisticCopy> {
        self.copies.values()
    }

    /// The same, for whoever takes their news.
    pub fn copies_mut(&mut self) -> impl Iterator<Item = &mut OptimisticCopy> {
        self.copies.values_mut()
    }

    /// The view table says something of an optimistic database.
    pub(super) fn copies_announced(
        &mut self,
        now: Instant,
        id: GroupId,
        table: &Table,
        out: &mut Out<DataEffect>,
    ) {
        let Some(view) = table.groups().get(&id).map(|group| &group.view) else { return };
        self.router.take_any(id);
        let view = first_asked(view, self.me, |node| table.is_leaving(id, node));
        self.router.learn(id, &view);
        self.with_copy(id, out, |copy, asked| copy.announced(now, table, asked));
    }

    pub(super) fn end_turn_of_copy(&mut self, now: Instant, steady: Timestamp, id: GroupId) {
        let Some(copy) = self.copies.get_mut(&id) else { return };
        copy.set_memory(self.memory_set, self.occupied.beside(id));
        copy.end_turn(now, steady, &mut self.asked);
        self.occupied.set(id, copy.memory());
        self.agenda.set(id, Some(copy.deadline(now)));
        if copy.serves() {
            self.router.come_home(id);
        }
    }

    /// Lets a copy do something. What it wants of the disk is passed on at once, the rest at the end of the
    /// turn.
    pub(super) fn with_copy(
        &mut self,
        group: GroupId,
        out: &mut Out<DataEffect>,
        step: impl FnOnce(&mut OptimisticCopy, &mut Out<GroupEffect>),
    ) {
        if let Some(copy) = self.copies.get_mut(&group) {
            step(copy, &mut self.asked);
            self.agenda.touch(group);
            self.pass_on(out);
        }
    }
}

/// Which copies a node asks, and which first: its own; without one, nodes ask different ones. Those that are
/// to go are asked last.
fn first_asked(view: &View, me: NodeId, goes: impl Fn(NodeId) -> bool) -> View {
    let (mut members, going): (Vec<Member>, Vec<Member>) =
        view.members.iter().partition(|member| !goes(member.node));
    let own = members.iter().find(|member| member.node == me).map(|member| member.node);
    let others = if members.is_empty() { &going } else { &members };
    let primary = own.unwrap_or_else(|| others[me.0 as usize % others.len()].node);
    members.extend(going);
    View { primary, members, ..view.clone() }
}
