//! View nodes that are far from each other, where all that are left are needed. Nothing else goes wrong
//! meanwhile, so one of them must lead.

use onecopy_core::NodeId;

use crate::checks::led;
use crate::clock::{MS, Time};
use crate::env::{Event, Undo};
use crate::node::Process;
use crate::world::World;

impl World {
    /// As many view nodes die as a majority can spare, and every message takes most of a second from now on.
    pub(crate) fn move_apart(&mut self) -> bool {
        let view_nodes: Vec<NodeId> = self
            .nodes
            .iter()
            .filter(|node| node.view_nodes.contains_key(&node.id))
            .map(|node| node.id)
            .collect();
        // A cluster is founded by all of its view nodes.
        let is_founded = |process: &Process| process.raft().is_some();
        let everybody_runs = self.nodes.iter().all(|node| {
            let is_view_node = node.view_nodes.contains_key(&node.id);
            node.process.as_ref().is_some_and(|process| !is_view_node || is_founded(process))
        });
        if self.env.network.is_far() || !everybody_runs || view_nodes.len() < 3 {
            return false;
        }
        let length = self.env.profile.fault_length;
        let first = self.env.dice.below(view_nodes.len() as u64) as usize;
        let spared = (view_nodes.len() - 1) / 2;
        let down: Vec<NodeId> = view_nodes.iter().cycle().skip(first).take(spared).copied().collect();
        for node in &down {
            // They stay down: what starts them is the end of it all.
            self.crash(*node, Time::MAX / 2);
        }
        let distance = self.env.dice.between(300, 700) * MS;
        self.say(NodeId(0), &format!("every message takes {} ms", distance / MS));
        self.env.network.set_distance(Some(distance));
        let (since, until) = (self.env.time, self.env.time + length);
        self.env.schedule(until, Event::Undo(Undo::Near(since, down)));
        true
    }

    pub(crate) fn move_together(&mut self, since: Time, down: &[NodeId]) {
        led::check(&self.nodes, self.env.time - since);
        self.env.network.set_distance(None);
        down.iter().for_each(|node| self.start(*node));
    }
}
