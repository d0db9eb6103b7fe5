//! The hand that breaks disks, and the operator who deals with it as `docs/operations.md` says. It never
//! destroys the last copy of what was acknowledged: no protocol could keep it.

use onecopy_core::{Incarnation, NodeId, View};
use onecopy_host::VIEW_GROUP;
use onecopy_host::known_nodes::KnownNodes;

use crate::checks::{liveness, members};
use crate::clock::{MS, SECOND, Time};
use crate::env::{Event, Undo};
use crate::faults::Fault;
use crate::node::Node;
use crate::world::World;

impl World {
    /// Starts the process of a machine, unless one runs. A start that finds damage is refused (the storage
    /// crate checks every record and every block that it reads); after a while the operator moves the data
    /// directory away.
    pub(crate) fn start(&mut self, node: NodeId) {
        if self.node(node).process.is_some() {
            return;
        }
        if self.node(node).disk.is_damaged() && !self.may_lose(node, true) {
            // Meanwhile it has become the last copy.
            self.node(node).disk.spare();
        }
        if self.node(node).disk.is_damaged() {
            self.env.stats.refused += 1;
            self.say(node, "does not start: its disk is damaged");
            let later = self.env.time + self.env.dice.between(100 * MS, 3 * SECOND);
            return self.env.schedule(later, Event::Undo(Undo::Empty(node)));
        }
        self.nodes[node.0 as usize - 1].start(&mut self.env);
        self.compare_clocks();
    }

    /// The operator moves a damaged data directory away and starts the node again.
    pub(crate) fn empty(&mut self, node: NodeId) {
        if self.node(node).process.is_none() && self.node(node).disk.is_damaged() {
            match self.may_lose(node, true) {
                true => self.destroy(node, true),
                false => self.node(node).disk.spare(),
            }
        }
        self.start(node);
    }

    /// A disk is lost.
    pub(crate) fn lose(&mut self, fault: Fault, node: NodeId, length: Time) -> bool {
        let whole = fault == Fault::LoseDisk;
        if !self.may_lose(node, whole) || !self.crash(node, length) {
            return false;
        }
        self.destroy(node, whole);
        true
    }

    /// A bit flips.
    pub(crate) fn rot(&mut self, node: NodeId) -> bool {
        if !self.may_lose(node, true) {
            return false;
        }
        let data = Some(self.some_group());
        let what = *self.env.dice.pick(&[None, data, data, Some(VIEW_GROUP)]);
        self.env.note(node, || format!("!! a bit flips, in the snapshot of {what:?} or in the log"));
        self.node(node).disk.rot(what);
        true
    }

    /// Writes are refused: of the log until the process is started again, or of one snapshot.
    pub(crate) fn fail_writes(&mut self, node: NodeId, until: Time) -> bool {
        if self.env.dice.chance(400) {
            self.say(node, "the next snapshot cannot be written");
            self.node(node).disk.health.image_fails = true;
            return true;
        }
        if self.node(node).process.is_none() {
            return false;
        }
        self.say(node, "its disk refuses writes");
        let machine = self.node(node);
        machine.disk.health.log_fails = true;
        let generation = machine.generation;
        self.env.schedule(until, Event::Undo(Undo::MendDisk(node, generation)));
        true
    }

    /// A disk is full, or all are. Whatever is written finds no room, until there is some.
    pub(crate) fn fill(&mut self, node: NodeId, until: Time) -> bool {
        let all = self.env.dice.chance(300);
        for node in self.ids().into_iter().filter(|other| all || *other == node) {
            self.say(node, "its disk is full");
            self.node(node).disk.health.is_full = true;
            self.env.schedule(until, Event::Undo(Undo::Room(node)));
        }
        true
    }

    /// The operator mends a disk, and starts the process again that had given up on it.
    pub(crate) fn mend_disk(&mut self, node: NodeId, generation: u64) {
        if self.node(node).generation == generation {
            self.crash(node, 20 * MS);
        }
    }

    /// The faults are over: every process runs, on a disk that takes writes.
    pub(crate) fn mend_all(&mut self) {
        for node in self.ids() {
            let health = &mut self.node(node).disk.health;
            (health.image_fails, health.is_full) = (false, false);
            // A process whose log found no room begins anew by itself.
            if health.log_fails && !health.wants_room {
                self.crash(node, 0);
            }
            self.empty(node);
        }
    }

    /// Whether another member of the newest view of each group has its data, and enough view nodes theirs, if
    /// this one has not.
    pub(crate) fn may_lose(&mut self, node: NodeId, whole: bool) -> bool {
        let is_founded = self.is_founded();
        let is_whole = |other: NodeId| !self.nodes[other.0 as usize - 1].disk.is_rotten();
        // Of every group.
        let survives = |view: &View| {
            view.members.iter().any(|member| {
                let other = &self.nodes[member.node.0 as usize - 1];
                member.node != node && other.incarnation == member.incarnation && is_whole(other.id)
            })
        };
        let others = self.nodes.iter().filter(|other| other.id != node && is_whole(other.id));
        let mut groups = self.env.checks.groups.values().filter(|group| !group.is_gone);
        let survives = groups.all(|group| match &group.raft {
            None => group.views.newest().is_some_and(survives),
            // Whoever loses the data of a Raft group has no vote in it any more.
            Some(raft) => {
                let lives = |member| others.clone().any(|node| liveness::lives(node, member));
                raft.members.committed().is_some() && raft.members.survive(lives)
            }
        });
        // A disk that is rotten will be lost sooner or later.
        let stays = |other: &&Node| is_whole(other.id) && other.id != node;
        let is_led = self
            .env
            .checks
            .members
            .survive(|member| self.nodes.iter().filter(stays).any(|other| members::lives(other, member)));
        // Or those whom it would ask then, all fresh like itself, would found a second cluster.
        let is_remembered = self
            .nodes
            .iter()
            .filter(stays)
            .any(|other| other.view_nodes.contains_key(&other.id) && other.disk.is_founded());
        survives && (!whole || (is_founded && is_led && is_remembered))
    }

    pub(crate) fn destroy(&mut self, node: NodeId, whole: bool) {
        let life = Incarnation(self.env.new_life());
        let whole_life = Incarnation(self.env.new_life());
        self.say(node, if whole { "loses its disk" } else { "loses its data" });
        for group in self.env.checks.groups.values_mut() {
            group.digests.scarred.remove(&node);
        }
        if let Some(merged) = &mut self.env.checks.merged {
            merged.lost(node);
        }
        let moves = self.env.network.moves().clone();
        let machine = self.node(node);
        machine.incarnation = life;
        if whole {
            // Whoever sets it up again writes new settings.
            machine.settings = moves;
            machine.view_member = whole_life;
            machine.remembered = KnownNodes::default();
            machine.disk.forget_all();
        } else {
            machine.disk.forget_data();
        }
    }
}
