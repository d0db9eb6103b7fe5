//! The operator who buys machines, and gives them away: `onecopy node add`, `drain` and `remove`.

use onecopy_core::NodeId;
use onecopy_views::Command;

use crate::clock::{MS, SECOND, Time};
use crate::env::{Event, Undo};
use crate::node::Node;
use crate::world::World;

/// Nodes that were removed and return as another machine, per mille.
const REPLACED: u64 = 500;

impl World {
    /// A machine that has not been there yet is started.
    pub(crate) fn add_node(&mut self) -> bool {
        let is_new = |node: &&mut Node| node.generation == 0;
        let Some(node) = self.nodes.iter_mut().find(is_new) else { return false };
        self.env.note(node.id, || "!! is new in the cluster".to_owned());
        node.start(&mut self.env);
        true
    }

    /// A node is to be removed: it is drained, and until then it has time to become empty.
    pub(crate) fn remove_node(&mut self, node: NodeId, until: Time) -> bool {
        if self.node(node).process.is_none() {
            return false;
        }
        self.say(node, "is to be removed");
        self.operate(&Command::SetDrained { node, drained: true });
        self.env.schedule(until, Event::Undo(Undo::Retire(node)));
        true
    }

    /// If nothing is on the node, it is stopped and forgotten; and it returns, with its disk or without.
    /// Otherwise the operator thinks better of it.
    pub(crate) fn retire(&mut self, node: NodeId) {
        let is_empty = self.newest_table().is_some_and(|table| {
            table.drained().contains(&node) && !table.is_used(node) && !table.view_nodes().contains(&node)
        });
        let away = self.env.dice.between(10 * MS, 3 * SECOND);
        if !is_empty || !self.crash(node, away) {
            return self.operate(&Command::SetDrained { node, drained: false });
        }
        self.say(node, "is removed");
        self.operate(&Command::ForgetNode { node });
        if self.env.dice.chance(REPLACED) && self.may_lose(node, true) {
            self.destroy(node, true);
        }
    }
}
