//! A primary whose node is to be empty, or is about to stop, makes way by itself.
//!
//! Nobody has to ask for it: it hands over to a member that stays, and tries again as long as it leads.
//! Without such a member it goes on: serving counts more than being empty.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use onecopy_core::{GroupId, Instant, NodeId, StateMachine};
use onecopy_replica::{HandoverError, Input, Refusal, Standing};
use onecopy_views::Table;

use super::{DataEffect, DataPlane};
use crate::disk::Out;
use crate::group::{Group, GroupObserver};

/// How long a primary on a drained node waits before it tries again: it takes no requests meanwhile, and
/// nobody is in a hurry.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same on a node that is about to stop.
const HURRY: Duration = Duration::from_millis(100);

/// Who is to hold nothing.
#[derive(Debug, Default)]
pub(super) struct MakingWay {
    drained: BTreeSet<NodeId>,
    /// Where alone the copies of some groups are to be.
    elsewhere: BTreeMap<GroupId, BTreeSet<NodeId>>,
    /// This node is about to stop.
    is_leaving: bool,
    /// When the next attempt may be made.
    next_attempt: Instant,
}

impl MakingWay {
    pub(super) fn learn(&mut self, table: &Table) {
        self.drained.clone_from(table.drained());
        let with_nodes = table.groups().keys().map(|group| (*group, table.options(*group).nodes));
        self.elsewhere = with_nodes.filter(|(_, nodes)| !nodes.is_empty()).collect();
    }

    /// Whether a group is to have no primary on a node.
    fn avoids(&self, group: GroupId, node: NodeId) -> bool {
        self.drained.contains(&node) || self.elsewhere.get(&group).is_some_and(|nodes| !nodes.contains(&node))
    }

    fn wants(&self, group: GroupId, me: NodeId) -> bool {
        self.is_leaving || self.avoids(group, me)
    }
}

impl<M: StateMachine, T> DataPlane<M, T> {
    /// The node is about to stop: from now on it makes way wherever it leads, and takes no leases that
    /// somebody would have to outlast.
    pub fn leave(&mut self) {
        self.groups.values_mut().for_each(Group::decline_leases);
        self.making_way.is_leaving = true;
        self.making_way.next_attempt = Instant::ZERO;
    }

    /// The best heir of a group that is led here: a member that stays, and has the least to catch up. None
    /// while a handover is under way.
    #[must_use]
    pub fn heir(&self, group: GroupId) -> Option<NodeId> {
        heir(self.groups.get(&group)?, self.me, &self.making_way)
    }

    /// Somebody wants `to` to be the primary of a group that is led here, or whoever is the best. What comes
    /// of it shows in the views; a handover that fails is told to the observer.
    pub fn hand_over(
        &mut self,
        now: Instant,
        group: GroupId,
        to: Option<NodeId>,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<DataEffect>,
    ) {
        let heir = to.or_else(|| self.heir(group));
        self.with(group, out, |group, asked| match heir {
            Some(to) => group.step(now, Input::HandOver { to }, observer, asked),
            None => observer.handover_failed(group, reason_for_none(group)),
        });
    }

    /// Hands over what is led here, if it is not to be led here any more.
    pub(super) fn make_way(
        &mut self,
        now: Instant,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<DataEffect>,
    ) {
        if now < self.making_way.next_attempt {
            return;
        }
        let patience = if self.making_way.is_leaving { HURRY } else { PATIENCE };
        let wants = |group: &&GroupId| self.making_way.wants(**group, self.me);
        let groups: Vec<GroupId> = self.groups.keys().filter(wants).copied().collect();
        for group in groups {
            if let Some(to) = self.heir(group) {
                self.making_way.next_attempt = now + patience;
                self.hand_over(now, group, Some(to), observer, out);
            }
        }
    }

    /// When the next attempt is due.
    pub(super) fn next_attempt(&self) -> Option<Instant> {
        let is_due = |group: &GroupId| self.making_way.wants(*group, self.me) && self.heir(*group).is_some();
        self.groups.keys().any(is_due).then_some(self.making_way.next_attempt)
    }
}

fn heir<M: StateMachine>(group: &Group<M>, me: NodeId, making_way: &MakingWay) -> Option<NodeId> {
    let replica = group.replica();
    let view = replica.view().filter(|_| replica.standing() == Standing::Primary)?;
    if replica.admit(view.number) == Err(Refusal::HandingOver) {
        return None;
    }
    let stays = |(node, _): &(NodeId, _)| {
        *node != me && view.member(*node).is_some() && !making_way.avoids(group.id(), *node)
    };
    let members = replica.acknowledged().into_iter().filter(stays);
    members.max_by_key(|(node, matched)| (*matched, std::cmp::Reverse(*node))).map(|(node, _)| node)
}

/// Why a group has no heir.
fn reason_for_none<M: StateMachine>(group: &Group<M>) -> HandoverError {
    let replica = group.replica();
    match replica.admit(replica.view_number()) {
        Err(Refusal::HandingOver) => HandoverError::UnderWay,
        Err(Refusal::NotPrimary(_)) => HandoverError::NotPrimary,
        _ => HandoverError::NotAMember,
    }
}
