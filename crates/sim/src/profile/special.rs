//! What is special about some runs: drawn beside everything else, mostly from dice of its own.

use std::time::Duration;

use onecopy_core::{GroupId, Policy, Rule};
use onecopy_views::{Kind, MAIN};

use super::Profile;
use crate::client::{CACHED_BYTES, Family};
use crate::clock::{MS, SECOND};
use crate::dice::Dice;
use crate::faults::Fault;

/// How many times smaller everything is then: a gigabyte more or less proves nothing.
const SCALE: usize = 32;
/// Of a thousand runs, in how many there is little memory.
const MEMORY: u64 = 120;
/// Of those with several databases, in how many one is dropped.
const DROPPED: u64 = 250;
/// In how many runs a database is replicated in another way.
const SWITCHED: u64 = 250;
/// And in how many, if there are more nodes than three, one has its copies moved.
const MOVED: u64 = 400;
/// Of a thousand runs with an optimistic database, in how many it has more copies now, and fewer then.
const RESIZED: u64 = 500;
/// And in how many its writes wait for several copies.
const CAREFUL: u64 = 300;
/// And in how many the wall clocks are hours and years apart.
const APART: u64 = 60;
/// Of a thousand runs in which nothing else is special, in how many the cluster is upgraded.
const ROLLED: u64 = 250;

impl Profile {
    /// If there are several databases, one of them may be dropped, and the copies of another be moved. Drawn
    /// from dice of its own.
    pub fn draw_changes(&mut self, dice: &mut Dice) {
        if self.databases > 1 && self.alone.is_none() && dice.chance(DROPPED) {
            let group = GroupId(MAIN.0 + dice.between(1, u64::from(self.databases) - 1) as u32);
            self.dropped = Some((dice.between(2 * SECOND, self.fault_time.max(3 * SECOND)), group));
        }
        if self.databases > 1 && self.alone.is_none() && self.nodes > 3 && dice.chance(MOVED) {
            let group = GroupId(MAIN.0 + dice.below(u64::from(self.databases)) as u32);
            let at = dice.between(2 * SECOND, self.fault_time.max(3 * SECOND));
            self.moved =
                Some((at, group)).filter(|_| self.dropped.is_none_or(|(_, dropped)| dropped != group));
        }
    }

    /// The cluster may be upgraded while it goes on. Drawn from dice of its own.
    pub fn draw_versions(&mut self, dice: &mut Dice, sabotaged: Option<Rule>) {
        let is_meant = sabotaged.is_some_and(|rule| [Rule::OneMeaning, Rule::KnownToAll].contains(&rule));
        let is_plain = self.alone.is_none() && self.race.is_none() && self.scale == 1 && self.memory_max == 0;
        // Where links are slow, those who restart processes would keep the view service without a leader.
        let is_far = self.weights.contains_key(&Fault::FarApart);
        if is_plain && !is_far && (is_meant || sabotaged.is_none() && dice.chance(ROLLED)) {
            self.rolls = Some(dice.between(SECOND, self.fault_time * 3 / 4));
        }
    }

    /// One of the databases may be replicated in another way, and in the first one again, soon or late. Drawn
    /// from dice of its own.
    pub fn draw_switches(&mut self, dice: &mut Dice, sabotaged: Option<Rule>) {
        let is_meant = sabotaged == Some(Rule::SealedIsOver);
        let is_plain = self.alone.is_none() && self.race.is_none() && self.scale == 1 && self.nodes >= 3;
        if !is_plain || sabotaged.is_some() != is_meant || !(is_meant || dice.chance(SWITCHED)) {
            return;
        }
        if self.nodes < 5 {
            for fault in [Fault::AddNode, Fault::RemoveNode] {
                self.weights.remove(&fault);
            }
        }
        let group = dice.below(u64::from(self.databases));
        let is_raft = self.raft_copies.is_some() && group + 1 == u64::from(self.databases);
        let (mut at, mut raft) = (dice.between(SECOND, self.fault_time.max(2 * SECOND)), is_raft);
        for _ in 0..dice.between(1, 4) {
            // Afterwards nothing is to change any more.
            if at > self.fault_time {
                break;
            }
            raft = !raft;
            let kind = if raft { Kind::Raft } else { Kind::PrimaryBackup };
            self.switched.push((at, GroupId(MAIN.0 + group as u32), kind));
            at += if dice.chance(500) { dice.below(500 * MS) } else { dice.between(SECOND, 6 * SECOND) };
        }
    }

    /// One more database, which every node writes to by itself. No node comes or goes. Drawn from dice of its
    /// own.
    pub fn add_optimistic(&mut self, dice: &mut Dice) {
        // So small that whoever was away for long has to be repaired.
        self.optimistic = Some(if dice.chance(600) { dice.between(300, 5_000) as usize } else { 1 << 20 });
        for fault in [Fault::AddNode, Fault::RemoveNode] {
            self.weights.remove(&fault);
        }
    }

    /// The optimistic database may have more copies now, and fewer then, and have them elsewhere. Drawn from
    /// dice of its own.
    pub fn resize_optimistic(&mut self, dice: &mut Dice, sabotaged: Option<Rule>) {
        let of_places = [Rule::FilledBeforeItCounts, Rule::HandedOnBeforeItGoes, Rule::OwnLife];
        let is_meant = sabotaged.is_some_and(|rule| of_places.contains(&rule));
        if !is_meant && (sabotaged.is_some() || !dice.chance(RESIZED)) {
            return;
        }
        self.merged_copies = dice.between(1, u64::from(self.nodes)) as u32;
        let mut at = dice.between(SECOND, 4 * SECOND);
        while at < self.fault_time {
            self.resized.push((at, dice.between(1, u64::from(self.nodes)) as u32));
            at += if dice.chance(300) { dice.below(500 * MS) } else { dice.between(SECOND, 6 * SECOND) };
        }
        let is_far = self.weights.contains_key(&Fault::FarApart);
        if self.alone.is_none() && !is_far && dice.chance(500) {
            self.weights.insert(Fault::Drain, dice.between(1, 10));
        }
    }

    /// Writes to the optimistic database may wait for several copies. Drawn from dice of its own.
    pub fn wait_for_copies(&mut self, dice: &mut Dice, sabotaged: Option<Rule>) {
        let is_meant = sabotaged == Some(Rule::EnoughCopiesBeforeOk);
        if is_meant || sabotaged.is_none() && dice.chance(CAREFUL) {
            self.before_ok = dice.between(2, u64::from(self.nodes)) as u32;
        }
    }

    /// The wall clocks may be hours and years apart. Drawn from dice of its own.
    pub fn set_clocks_apart(&mut self, dice: &mut Dice, sabotaged: Option<Rule>) {
        let is_meant = sabotaged == Some(Rule::ClocksAreHints);
        self.years_apart = is_meant || sabotaged.is_none() && dice.chance(APART);
        if self.years_apart {
            // Nobody sets them right meanwhile.
            for fault in [Fault::SetClock, Fault::WrongClock] {
                self.weights.remove(&fault);
            }
            self.weights.entry(Fault::Crash).or_insert(1);
        }
    }

    /// There is less memory than clients fill, and a policy. Drawn from dice of its own.
    pub fn limit_memory(&mut self, dice: &mut Dice, sabotaged: Option<Rule>) {
        let is_meant = sabotaged == Some(Rule::EvictWhatIsNamed);
        let is_plain = self.alone.is_none() && self.race.is_none() && self.scale == 1;
        if !is_plain || sabotaged.is_some() != is_meant || !(is_meant || dice.chance(MEMORY)) {
            return;
        }
        let all = [Policy::AllkeysLru, Policy::AllkeysLfu, Policy::AllkeysRandom];
        let volatile =
            [Policy::VolatileLru, Policy::VolatileLfu, Policy::VolatileRandom, Policy::VolatileTtl];
        self.policy = *dice.pick(&[&all[..], &volatile].concat());
        // Seven of these, at most, and whatever there is beside them.
        self.memory_max = dice.between(4, 7) * CACHED_BYTES as u64 + (48 << 10);
        let beside = [Family::Register, Family::Counter, Family::Set, Family::Accounts];
        let may_stay = self.policy.is_volatile() && self.value_bytes < 1_000;
        self.workload.weights.retain(|family, _| may_stay && beside.contains(family));
        self.workload.weights.insert(Family::Cache, 10);
        (self.workload.keys, self.workload.tokens) = (dice.between(10, 20), 0);
        // What takes a share of the memory is bounded by it, and is looked at in other runs.
        (self.ears, self.parts) = (0, None);
        if !may_stay {
            // What those who cache read would go as well, or leave no room for anything else.
            self.shelves = 0;
        }
        // Groups of a node share its memory: one that has nothing to let go of gets none.
        (self.databases, self.raft_copies) = (1, None);
        // A copy that holds more than the others lets go of more: then its clients see the damage.
        self.weights.remove(&Fault::Flip);
        let bytes = (self.log_bytes_max, self.uncommitted_bytes_max, self.log_memory_bytes_max);
        let least = 40 * CACHED_BYTES;
        self.log_bytes_max = bytes.0.max(least);
        self.uncommitted_bytes_max = bytes.1.max(least);
        self.log_memory_bytes_max = bytes.2.max(least);
    }

    /// Nothing goes wrong but that one node is slow to reach another, at a time. Then no write may wait for
    /// long.
    pub(super) fn turn_gray(&mut self, dice: &mut Dice) {
        self.weights = [(Fault::SlowPath, 1)].into();
        (self.loss, self.late, self.churn, self.regicide) = (0, 0, 0, 0);
        self.fault_length = dice.between(6_000, 12_000) * MS;
        self.alone = Some(Fault::SlowPath);
    }

    /// Nothing goes wrong but that all view nodes that are left are needed, and far from each other: one must
    /// lead all the same.
    pub(super) fn turn_far(&mut self, dice: &mut Dice) {
        self.weights = [(Fault::FarApart, 1)].into();
        (self.loss, self.late, self.churn, self.regicide) = (0, 0, 0, 0);
        self.fault_length = dice.between(15_000, 25_000) * MS;
        self.fault_time = dice.between(30, 60) * SECOND;
        self.fault_interval = SECOND;
        self.think = SECOND;
    }

    /// Nothing goes wrong but that nodes execute something long. Then nobody loses their place.
    pub(super) fn turn_busy(&mut self, fault: Fault, dice: &mut Dice) {
        self.weights = [(fault, 1)].into();
        (self.loss, self.late, self.churn, self.regicide) = (0, 0, 0, 0);
        self.fault_interval = dice.between(1_000, 4_000) * MS;
        self.fault_length = dice.between(1_000, 10_000) * MS;
        // What nobody executes meanwhile must find room.
        (self.log_bytes_max, self.uncommitted_bytes_max) = (1 << 27, 1 << 26);
        self.alone = Some(fault);
    }

    /// Clients think for so long that most groups are quiescent most of the time.
    pub(super) fn turn_quiet(&mut self, dice: &mut Dice) {
        self.quiescent_after = Duration::from_millis(dice.between(0, 300));
        self.think = dice.between(500, 3_000) * MS;
        self.workload.reads = dice.between(300, 800);
        self.clients = dice.between(3, 6) as usize;
        if let Some(scrub) = self.scrub_interval {
            self.scrub_interval = Some(scrub * 4);
        }
    }

    /// Nothing goes wrong but that values take longer on their way than a node may be silent: values of 4 to
    /// 16 MiB on links as narrow as they may be, or rather a fraction of both.
    pub(super) fn turn_large(&mut self, dice: &mut Dice) {
        self.weights = [(Fault::LargeValues, 1)].into();
        (self.loss, self.late, self.double, self.churn, self.regicide) = (0, 0, 0, 0, 0);
        self.scale = SCALE;
        self.value_bytes = dice.between(4 << 20, 16 << 20) as usize / SCALE;
        (self.log_bytes_max, self.uncommitted_bytes_max) = ((1 << 27) / SCALE, (1 << 27) / SCALE);
        (self.prepare_bytes_max, self.window_bytes_max) = ((1 << 22) / SCALE, (1 << 25) / SCALE);
        if dice.chance(500) {
            // So much on its way that a heartbeat behind it comes later than a node may be silent.
            self.window_bytes_max *= 4;
        }
        self.workload.weights = [(Family::Register, 5), (Family::Counter, 1)].into();
        (self.workload.keys, self.workload.reads) = (dice.between(1, 3), dice.between(50, 300));
        (self.clients, self.think) = (dice.between(3, 12) as usize, dice.between(100, 800) * MS);
        (self.fault_time, self.fault_interval) = (10 * SECOND, dice.between(500, 2_000) * MS);
        self.fault_length = dice.between(2_000, 8_000) * MS;
        self.alone = Some(Fault::LargeValues);
    }
}
