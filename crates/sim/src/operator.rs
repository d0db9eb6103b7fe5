//! The operator who changes things while they go on: hands over, empties nodes; and the cosmic ray, which
//! nobody ordered.

mod databases;
mod machines;
mod versions;
mod view_nodes;

use onecopy_core::{GroupId, NodeId};
use onecopy_host::{Group, Replication};
use onecopy_replica::Standing;
use onecopy_views::{Command, Table};

use crate::clock::{MS, Time};
use crate::env::{Event, Undo};
use crate::node::Happened;
use crate::world::World;

impl World {
    /// Some node that leads is told to make way for another member.
    pub(crate) fn hand_over(&mut self) -> bool {
        let group = self.some_group();
        let leads = |node: &&crate::node::Node| {
            let replica = node.process.as_ref().and_then(|process| process.group(group));
            replica.is_some_and(|group| group.replica().standing() == Standing::Primary)
        };
        let Some(primary) = self.nodes.iter().find(leads) else { return false };
        let (id, process) = (primary.id, primary.process.as_ref().expect("it leads"));
        let view = process.group(group).and_then(|group| group.replica().view());
        let heirs: Vec<NodeId> =
            view.into_iter().flat_map(|view| view.backups().map(|member| member.node)).collect();
        if heirs.is_empty() {
            return false;
        }
        let heir = *self.env.dice.pick(&heirs);
        self.env.note(id, || format!("!! is told to hand over {group} to {heir}"));
        self.nodes[id.0 as usize - 1].happened(&mut self.env, Happened::HandOver(group, heir));
        true
    }

    /// One of the groups that hold databases.
    pub(crate) fn some_group(&mut self) -> GroupId {
        let groups: Vec<GroupId> = self.env.checks.groups.keys().copied().collect();
        if groups.len() == 1 { groups[0] } else { *self.env.dice.pick(&groups) }
    }

    /// A node is to be emptied, until then.
    pub(crate) fn drain(&mut self, node: NodeId, until: Time) -> bool {
        self.say(node, "is drained");
        self.operate(&Command::SetDrained { node, drained: true });
        self.env.schedule(until, Event::Undo(Undo::Undrain(node)));
        true
    }

    /// A process is told to stop, is killed if it takes too long, and is started again then.
    pub(crate) fn stop(&mut self, node: NodeId, until: Time) -> bool {
        let patience = self.env.dice.between(10 * MS, 2_000 * MS);
        let ends = self.env.time + patience;
        // One that would end after the faults would be one too many.
        if self.node(node).process.is_none() || ends >= self.env.profile.fault_time {
            return false;
        }
        self.say(node, "is told to stop");
        let starts_again = until.max(ends + MS);
        self.node(node).starts_again = starts_again;
        self.nodes[node.0 as usize - 1].happened(&mut self.env, Happened::Stop);
        self.env.schedule(ends, Event::GivesUp(node, starts_again));
        true
    }

    /// Tells the view service something, whoever leads it. An operator whose command is lost looks, and says
    /// it again.
    pub(crate) fn operate(&mut self, command: &Command) {
        for node in &mut self.nodes {
            if node.process.as_ref().is_some_and(|process| process.leads()) {
                node.happened(&mut self.env, Happened::Operated(command.clone()));
            }
        }
    }

    /// The newest view table that any process knows.
    pub(crate) fn newest_table(&self) -> Option<&Table> {
        let tables = self.nodes.iter().filter_map(|node| node.process.as_ref()?.view_table());
        tables.max_by_key(|table| table.version())
    }

    /// How many views began with a planned handover, of those that the view service still remembers.
    pub(crate) fn handovers(&self) -> u64 {
        let newest = self.newest_table();
        let planned =
            |event: &&onecopy_views::Event| matches!(event.proposal.command, Command::Handover { .. });
        newest.map_or(0, |table| table.events().iter().filter(planned).count() as u64)
    }

    /// Every node may be used again. Returns whether there were some that might not.
    pub(crate) fn undrain_all(&mut self) -> bool {
        let newest = self.newest_table();
        let drained: Vec<NodeId> = newest.iter().flat_map(|table| table.drained().iter().copied()).collect();
        for node in &drained {
            self.operate(&Command::SetDrained { node: *node, drained: false });
        }
        !drained.is_empty()
    }

    /// A bit flips in the memory of a node, unless it is the primary: what that holds is the truth. Nobody
    /// knows which bits of a machine of somebody's own are never touched.
    pub(crate) fn flip(&mut self, node: NodeId) -> bool {
        let group = self.some_group();
        let machine = &mut self.nodes[node.0 as usize - 1];
        let Some(process) = &mut machine.process else { return false };
        let is_backup = process
            .group(group)
            .map(Group::replica)
            .and_then(Replication::primary_backup)
            .is_some_and(|replica| replica.standing() == Standing::Backup);
        if !is_backup || self.env.subject.is_some() || !process.flip(group) {
            return false;
        }
        let checks = self.env.checks.group(group);
        checks.digests.scar(node);
        checks.images.forget(node);
        self.say(node, "a bit flips in its memory");
        true
    }
}
