//! The hand that breaks things, and repairs them. What it does to disks is in `ruin`.

use std::collections::BTreeSet;

use onecopy_core::NodeId;
use onecopy_views::Command;

use crate::clock::{MS, SECOND, Time};
use crate::env::{Event, Undo};
use crate::faults::Fault;
use crate::network::Network;
use crate::node::Happened;
use crate::world::World;

impl World {
    /// The next fault happens.
    pub(crate) fn inject(&mut self) {
        if !self.may_strike() {
            return;
        }
        let env = &mut self.env;
        let next = env.time + env.dice.between(1, 2 * env.profile.fault_interval);
        env.schedule(next, Event::Fault);
        let total: u64 = env.profile.weights.values().sum();
        let mut at = env.dice.below(total);
        let drawn = env.profile.weights.iter().find(|(_, weight)| match at < **weight {
            true => true,
            false => {
                at -= **weight;
                false
            }
        });
        let Some((fault, _)) = drawn else { return };
        let fault = *fault;
        let node = NodeId(1 + env.dice.below(self.nodes.len() as u64) as u32);
        let length = match env.dice.chance(500) {
            true => env.dice.between(10 * MS, 700 * MS).min(env.profile.fault_length),
            false => env.dice.between(100 * MS, env.profile.fault_length),
        };
        if self.strike(fault, node, length) {
            *self.env.stats.faults.entry(fault).or_default() += 1;
        }
    }

    fn may_strike(&self) -> bool {
        let happened: u64 = self.env.stats.faults.values().sum();
        self.is_faulty() && happened < self.env.profile.faults_max
    }

    /// A leader of the view service dies young.
    pub(crate) fn regicide(&mut self, node: NodeId) {
        let length = self.env.dice.between(10 * MS, self.env.profile.fault_length);
        if self.may_strike() && self.crash(node, length) {
            *self.env.stats.faults.entry(Fault::Regicide).or_default() += 1;
        }
    }

    /// Returns whether it could be done.
    fn strike(&mut self, fault: Fault, node: NodeId, length: Time) -> bool {
        let until = self.env.time + length;
        let undo = match fault {
            Fault::Crash | Fault::Regicide => return self.crash(node, length),
            Fault::CrashSeveral => return self.crash_several(length),
            Fault::LoseData | Fault::LoseDisk => return self.lose(fault, node, length),
            Fault::WriteError => return self.fail_writes(node, until),
            Fault::Rot => return self.rot(node),
            Fault::Flip => return self.flip(node),
            Fault::Handover => return self.hand_over(),
            Fault::Drain => return self.drain(node, until),
            Fault::Members => return self.change_members(),
            Fault::HandOverViews => return self.hand_over_views(),
            Fault::AddNode => return self.add_node(),
            Fault::RemoveNode => return self.remove_node(node, until),
            Fault::Stop => return self.stop(node, until),
            Fault::FarApart => return self.move_apart(),
            Fault::Pause => {
                self.say(node, "stands still");
                self.node(node).paused_until = until;
                return true;
            }
            Fault::DataStall => {
                self.say(node, "its data thread stands still");
                self.node(node).stalled_until = until;
                return true;
            }
            Fault::LongCommand => {
                self.say(node, "executes something long");
                // The machine of one database, or all at once.
                let several = self.env.checks.groups.len() > 1;
                let group = (several && self.env.dice.chance(700)).then(|| self.some_group());
                let machine = self.node(node);
                (machine.executes_until, machine.executes_for) = (until, group);
                return true;
            }
            Fault::LongTurn => {
                self.say(node, "executes something long, and nothing else");
                let time = self.env.time;
                let machine = self.node(node);
                machine.stalled_until = until;
                machine.busy_since.get_or_insert(time);
                return true;
            }
            Fault::DiskStall => {
                self.say(node, "its disk stands still");
                // No longer than the faults last: what is written meanwhile has its time then.
                self.node(node).disk_stalled_until = until.min(self.env.profile.fault_time);
                return true;
            }
            Fault::SetClock => {
                let by = self.env.dice.below(20_000) as i64 - 10_000;
                let now = self.env.time;
                self.say(node, &format!("its wall clock is set {by} ms forward"));
                self.node(node).clock.set_wall(now, by);
                self.compare_clocks();
                return true;
            }
            Fault::LargeValues => {
                self.env.note(NodeId(0), || "!! links are narrow".to_owned());
                self.env.network.narrow(true);
                Undo::Wide
            }
            Fault::FullDisk => return self.fill(node, until),
            Fault::SecondProcess => return self.stray(node),
            Fault::CostlyRead => {
                let can = !self.asks_costly && self.env.subject.is_none();
                self.asks_costly |= can;
                return can;
            }
            Fault::Moved => return self.move_away(node, length),
            Fault::WrongClock => return self.mislead(node, until),
            Fault::Partition | Fault::Deaf | Fault::Broken => self.cut(fault, node),
            Fault::Storm => {
                let loss = self.env.dice.between(100, 600);
                self.env.network.storm(loss);
                Undo::Calm(loss)
            }
            Fault::SlowDisk => {
                self.say(node, "its disk is slow");
                self.node(node).slow_disk += 1;
                Undo::FastDisk(node)
            }
            Fault::SlowNode => {
                self.say(node, "is slow");
                self.node(node).slow_node += 1;
                Undo::FastNode(node)
            }
            Fault::SlowPath if self.env.profile.alone.is_some() && self.env.network.has_slow_path() => {
                return false;
            }
            Fault::SlowPath => {
                let to = *self.env.dice.pick(&self.others(node));
                self.say(node, &format!("is slow to reach {to}"));
                self.env.network.slow_path(node, to, self.env.time);
                Undo::FastPath(node, to)
            }
            Fault::ViewOutage => {
                self.say(NodeId(0), "the view nodes do not hear each other");
                self.env.network.view_outage(true);
                Undo::ViewService
            }
        };
        self.env.schedule(until, Event::Undo(undo));
        true
    }

    /// Whether the clocks can still tell the time.
    pub(crate) fn compare_clocks(&mut self) {
        let (now, is_cut) = (self.env.time, self.env.network.is_broken());
        self.env.checks.clocks.look(now, &self.nodes, is_cut);
    }

    /// A wall clock is wrong for a while, by up to some hours. Most clocks are right.
    fn mislead(&mut self, node: NodeId, until: Time) -> bool {
        let now = self.env.time;
        let others = self.nodes.iter().filter(|other| other.id != node);
        let wrong = others.filter(|other| other.clock.is_wrong()).count();
        if 2 * (wrong + 1) >= self.nodes.len() || self.node(node).clock.is_wrong() {
            return false;
        }
        let by = self.env.dice.between(15_000, 6 * 3_600_000) as i64;
        let by = if self.env.dice.chance(700) { by } else { -by };
        self.say(node, &format!("its wall clock is set {by} ms forward"));
        self.node(node).clock.set_wall(now, by);
        if self.env.dice.chance(200) {
            let soon = self.env.dice.between(10 * MS, SECOND);
            self.crash(node, soon);
        }
        self.compare_clocks();
        self.env.schedule(until.min(now + 7 * SECOND), Event::Undo(Undo::RightClock(node)));
        true
    }

    /// A process dies, and is started again elsewhere. One at a time, and one that knows where some other is:
    /// where all have gone, nobody could find out.
    fn move_away(&mut self, node: NodeId, length: Time) -> bool {
        let Some(table) = self.newest_table() else { return false };
        let is_known = |other: &NodeId| {
            let address = self.env.network.address(*other);
            table.nodes().get(other).is_some_and(|known| known.addresses.peer == address)
        };
        let is_right = |(other, at)| other != node && self.env.network.address(other) == at;
        let knows = self.nodes[node.0 as usize - 1].remembered.places().any(is_right);
        if !(knows && self.ids().iter().all(is_known) && self.crash(node, length)) {
            return false;
        }
        self.say(node, "moves");
        self.env.network.moved(node);
        true
    }

    pub(crate) fn say(&mut self, node: NodeId, what: &str) {
        self.env.note(node, || format!("!! {what}"));
    }

    pub(crate) fn crash(&mut self, node: NodeId, length: Time) -> bool {
        if self.node(node).process.is_none() {
            return false;
        }
        self.say(node, "is killed");
        self.nodes[node.0 as usize - 1].crash(&mut self.env);
        self.hang_up(node);
        for other in self.others(node) {
            // Connections break, unless the machine is gone with its network.
            if self.env.dice.chance(700) {
                let other = &mut self.nodes[other.0 as usize - 1];
                other.happened(&mut self.env, Happened::Lost(node));
                other.happened(&mut self.env, Happened::Refused(node));
            }
        }
        self.env.schedule(self.env.time + length, Event::Undo(Undo::Start(node)));
        true
    }

    fn crash_several(&mut self, length: Time) -> bool {
        let mut any = false;
        for node in self.ids() {
            if self.env.dice.chance(600) {
                let length = self.env.dice.between(MS, length);
                any |= self.crash(node, length);
            }
        }
        any
    }

    fn cut(&mut self, fault: Fault, node: NodeId) -> Undo {
        let (ids, others) = (self.ids(), self.others(node));
        let directions = match fault {
            Fault::Partition => {
                let part: BTreeSet<NodeId> = match self.env.dice.chance(500) {
                    true => [node].into(),
                    false => ids.iter().copied().filter(|_| self.env.dice.chance(500)).collect(),
                };
                Network::between(&part, &ids)
            }
            Fault::Deaf => {
                let hears = self.env.dice.chance(500);
                others.iter().map(|other| if hears { (node, *other) } else { (*other, node) }).collect()
            }
            _ => {
                let other = *self.env.dice.pick(&others);
                vec![(node, other), (other, node)]
            }
        };
        self.env.note(NodeId(0), || format!("!! cut: {directions:?}"));
        self.env.network.cut(&directions, self.env.time);
        for (from, to) in &directions {
            if self.env.dice.chance(300) {
                self.nodes[to.0 as usize - 1].happened(&mut self.env, Happened::Lost(*from));
            }
        }
        self.compare_clocks();
        Undo::Mend(directions)
    }

    pub(crate) fn ids(&self) -> Vec<NodeId> {
        self.nodes.iter().map(|node| node.id).collect()
    }

    fn others(&self, node: NodeId) -> Vec<NodeId> {
        self.nodes.iter().map(|other| other.id).filter(|other| *other != node).collect()
    }

    /// A fault ends, unless all have ended already.
    pub(crate) fn undo(&mut self, undo: Undo) {
        // A start that found damage is seen to whenever it was: a process may also end itself after the
        // faults.
        if !self.is_faulty() && !matches!(undo, Undo::Empty(_)) {
            return;
        }
        self.env.note(NodeId(0), || format!("over: {undo:?}"));
        match undo {
            Undo::Start(node) => self.start(node),
            Undo::Empty(node) => self.empty(node),
            Undo::MendDisk(node, generation) => self.mend_disk(node, generation),
            Undo::Mend(directions) => self.env.network.mend(&directions),
            Undo::Calm(loss) => self.env.network.calm(loss),
            Undo::FastDisk(node) => {
                let machine = self.node(node);
                machine.slow_disk = machine.slow_disk.saturating_sub(1);
            }
            Undo::FastNode(node) => {
                let machine = self.node(node);
                machine.slow_node = machine.slow_node.saturating_sub(1);
            }
            Undo::FastPath(from, to) => self.env.network.fast_path(from, to),
            Undo::Wide => self.env.network.narrow(false),
            Undo::Room(node) => self.node(node).disk.health.is_full = false,
            Undo::RightClock(node) => {
                let now = self.env.time;
                self.node(node).clock.set_right(now);
                self.compare_clocks();
            }
            Undo::ViewService => self.env.network.view_outage(false),
            Undo::Near(since, down) => self.move_together(since, &down),
            Undo::Retire(node) => self.retire(node),
            Undo::Undrain(node) => self.operate(&Command::SetDrained { node, drained: false }),
        }
    }
}
