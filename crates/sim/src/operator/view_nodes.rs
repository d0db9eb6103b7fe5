//! The operator of the view service itself: it grows, it shrinks, and its leader makes way.

use onecopy_core::NodeId;
use onecopy_host::MemberChange;

use crate::node::{Happened, Node};
use crate::world::World;

/// Changes that add view nodes, per mille, if there is somebody to be added and to be removed.
const GROWTH: u64 = 550;
/// Changes of two nodes at once, per mille, if there are two.
const PAIRS: u64 = 400;

impl World {
    /// Some nodes become view nodes, or are not any more.
    pub(crate) fn change_members(&mut self) -> bool {
        let Some(configuration) = self.env.checks.members.committed() else { return false };
        let is_member = |id: &NodeId| configuration.voters.iter().any(|member| member.node == *id);
        let (mut members, mut others): (Vec<NodeId>, Vec<NodeId>) =
            self.ids().iter().partition(|id| is_member(id));
        let grows = members.len() < 2 || (!others.is_empty() && self.env.dice.chance(GROWTH));
        let from = if grows { &mut others } else { &mut members };
        let most = if grows { from.len() } else { from.len() - 1 };
        let count = if most > 1 && self.env.dice.chance(PAIRS) { 2 } else { most.min(1) };
        let mut chosen = Vec::new();
        for _ in 0..count {
            let at = self.env.dice.below(from.len() as u64) as usize;
            chosen.push(from.swap_remove(at));
        }
        let change = if grows { MemberChange::Add(chosen) } else { MemberChange::Remove(chosen) };
        self.env.note(NodeId(0), || format!("!! an operator: {change:?}"));
        count > 0 && self.tell_view_leaders(&|| Happened::ChangeMembers(change.clone()))
    }

    /// The leader of the view service is to make way.
    pub(crate) fn hand_over_views(&mut self) -> bool {
        self.tell_view_leaders(&|| Happened::HandOverViews)
    }

    /// Tells whoever believes to lead the view service. Returns whether there is one.
    fn tell_view_leaders(&mut self, what: &dyn Fn() -> Happened) -> bool {
        let leads = |node: &&mut Node| node.process.as_ref().is_some_and(|process| process.leads());
        let mut any = false;
        for node in self.nodes.iter_mut().filter(leads) {
            node.happened(&mut self.env, what());
            any = true;
        }
        any
    }
}
