//! Races: runs that are bent towards one narrow window each. What a uniform draw meets once in ten thousand
//! seeds, these meet often: two things that must not overtake each other, where the network or a clock lets
//! them try.
//!
//! They say nothing about what is right. They were found by asking, of each small mistake in
//! `crates/sim/mutations` that nobody noticed, what would have to happen for it to matter.

use std::time::Duration;

use crate::clock::{MS, SECOND};
use crate::dice::Dice;
use crate::faults::Fault;
use crate::profile::Profile;

/// A window, and what must get into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Race {
    /// A lease that is about to end, and a commit of the next primary. Clocks differ by up to a tenth.
    Leases,
    /// A lease that is given up, and a view that is not the one that it was given up for.
    Handovers,
    /// Reads that arrive while others are being confirmed, and a primary that is succeeded meanwhile.
    Rounds,
    /// A process that is back before the answers to its last life have arrived.
    Restarts,
    /// A learner that is about to count, and words about it that come a view too late.
    Joins,
    /// A tail that is cut, and reads and writes of what comes in its place.
    Tails,
    /// A joint configuration of the view nodes, and leaders that die in the midst of it (Raft paper, Figure
    /// 8).
    Joint,
    /// A request that nobody answers until its time is over.
    Outages,
    /// A request that comes once more when it has long been answered.
    Echoes,
    /// Images of many pieces, and whatever changes while they are made and sent.
    Images,
}

impl Race {
    const ALL: [Self; 10] = [
        Self::Leases,
        Self::Handovers,
        Self::Rounds,
        Self::Restarts,
        Self::Joins,
        Self::Tails,
        Self::Joint,
        Self::Outages,
        Self::Echoes,
        Self::Images,
    ];

    /// One of them.
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        *dice.pick(&Self::ALL)
    }

    /// Bends a run towards it.
    pub(crate) fn bend(self, profile: &mut Profile, dice: &mut Dice) {
        let ms = |dice: &mut Dice, low: u64, high: u64| dice.between(low, high) * MS;
        // What was thought of later draws from dice of its own: all other runs stay what they were.
        let later = &mut Dice::new(dice.clone().number(), 0);
        profile.fault_time = profile.fault_time.min(15 * SECOND);
        match self {
            Self::Leases => {
                profile.weights = [(Fault::Partition, 30), (Fault::Deaf, 10), (Fault::Broken, 10)].into();
                profile.lease = Some(Duration::from_millis(dice.between(300, 2_000)));
                profile.drift_ppm = dice.between(1_000, 100_000) as i64;
                profile.latency = dice.between(200, 2_000) * 1_000;
                (profile.late, profile.lateness) = (dice.between(0, 100), ms(dice, 50, 1_000));
                profile.fault_interval = ms(dice, 300, 1_500);
                profile.fault_length = ms(dice, 700, 4_000);
                (profile.copies, profile.think) = (if dice.chance(500) { 3 } else { 2 }, 40 * MS);
                if dice.chance(500) {
                    // The last promise is long on its way, on clocks that agree, and nothing after it
                    // arrives.
                    profile.weights = [(Fault::Partition, 1)].into();
                    profile.lease = Some(Duration::from_millis(dice.between(800, 2_000)));
                    (profile.drift_ppm, profile.leaks) = (dice.between(0, 500) as i64, true);
                    (profile.late, profile.lateness) = (dice.between(200, 500), ms(dice, 500, 1_500));
                    profile.fault_interval = ms(dice, 1_000, 2_500);
                    profile.fault_length = ms(dice, 2_000, 5_000);
                } else if dice.chance(500) {
                    profile.weights.extend([(Fault::LoseData, 15), (Fault::Crash, 10)]);
                }
                if profile.copies == 3 && later.chance(400) {
                    // A primary falls apart from the view service together with one of its two backups.
                    (profile.nodes, profile.workload.reads) = (5, 700);
                    (profile.fault_interval, profile.fault_length) = (2 * SECOND, 5 * SECOND);
                }
            }
            Self::Handovers => {
                profile.weights = [(Fault::Handover, 60), (Fault::Partition, 15), (Fault::Crash, 15)].into();
                profile.lease = Some(Duration::from_millis(dice.between(600, 3_000)));
                profile.fault_interval = ms(dice, 100, 500);
                profile.fault_length = ms(dice, 500, 3_000);
                (profile.copies, profile.nodes) = (3, profile.nodes.max(3));
                (profile.think, profile.drift_ppm) = (30 * MS, dice.between(0, 20_000) as i64);
                if dice.chance(500) {
                    // Who has given up its lease is cut off before it hears of the view that it asked for.
                    profile.latency = ms(dice, 10, 80);
                    (profile.workload.reads, profile.workload.keys) = (600, 1);
                    profile.weights = [(Fault::Handover, 50), (Fault::Partition, 30)].into();
                    profile.fault_interval = ms(dice, 100, 300);
                    profile.fault_length = ms(dice, 1_500, 3_000);
                }
                profile.stray(dice, 200, 1_500);
                if dice.chance(250) {
                    // Whoever asks for the next view gives up before any of its questions has arrived.
                    (profile.strays, profile.straying) = (700, ms(dice, 700, 2_000));
                }
            }
            Self::Rounds => {
                profile.weights = [(Fault::Partition, 30), (Fault::Deaf, 20), (Fault::Broken, 10)].into();
                profile.lease = None;
                profile.workload.reads = 600;
                profile.clients = 6;
                // Answers that are long on their way, and nothing after them.
                profile.leaks = true;
                (profile.late, profile.lateness) = (dice.between(100, 400), ms(dice, 800, 2_500));
                profile.fault_interval = ms(dice, 700, 2_000);
                profile.fault_length = ms(dice, 2_000, 5_000);
                profile.think = 10 * MS;
                if later.chance(600) {
                    // Whoever asks while a round is under way has not asked before: nobody waits for an
                    // answer all the time.
                    (profile.clients, profile.think) = (12, ms(later, 500, 2_000));
                    profile.workload.keys = later.between(1, 2);
                }
            }
            Self::Restarts => {
                profile.weights = [(Fault::Crash, 40), (Fault::CrashSeveral, 5)].into();
                if dice.chance(500) {
                    profile.weights.extend([(Fault::LoseData, 10), (Fault::LoseDisk, 10)]);
                }
                profile.fault_interval = ms(dice, 60, 300);
                profile.fault_length = ms(dice, 5, 150);
                (profile.late, profile.lateness) = (dice.between(100, 400), ms(dice, 100, 1_000));
                (profile.clients, profile.think) = (6, 20 * MS);
                profile.stray(dice, 100, 2_000);
            }
            Self::Joins => {
                profile.weights = [
                    (Fault::LoseData, 20),
                    (Fault::Crash, 15),
                    (Fault::Partition, 20),
                    (Fault::Deaf, 10),
                    (Fault::SlowPath, 10),
                    (Fault::DataStall, 10),
                ]
                .into();
                profile.copies = if dice.chance(600) { 2 } else { 3 };
                profile.join_lag_max = dice.between(0, 20);
                profile.fault_interval = ms(dice, 150, 800);
                profile.fault_length = ms(dice, 300, 1_500);
                profile.think = 10 * MS;
                profile.stray(dice, 200, 2_000);
                if dice.chance(500) {
                    profile.weights.extend([(Fault::AddNode, 15), (Fault::RemoveNode, 15)]);
                    profile.nodes = 5;
                }
            }
            Self::Tails => {
                profile.weights = [(Fault::Partition, 30), (Fault::Broken, 10), (Fault::Crash, 15)].into();
                (profile.copies, profile.clients) = (3, 6);
                profile.lease = Some(Duration::from_millis(dice.between(100, 300)));
                profile.latency = ms(dice, 1, 60);
                profile.sync = ms(dice, 1, 80);
                profile.loss = dice.between(0, 150);
                profile.fault_interval = ms(dice, 300, 900);
                profile.fault_length = ms(dice, 600, 1_500);
                (profile.think, profile.workload.reads) = (10 * MS, 400);
                if dice.chance(300) {
                    profile.weights.insert(Fault::SetClock, 10);
                }
            }
            Self::Joint => {
                profile.weights = [
                    (Fault::Members, 50),
                    (Fault::HandOverViews, 10),
                    (Fault::Crash, 20),
                    (Fault::Partition, 20),
                    (Fault::Broken, 10),
                    (Fault::LoseDisk, 10),
                ]
                .into();
                profile.nodes = 5;
                profile.raft_append_bytes_max = if dice.chance(700) { 1 } else { 1 << 20 };
                profile.log_bytes_max = 1 << 27;
                profile.churn = dice.between(5, 40);
                profile.regicide = dice.below(600);
                profile.loss = dice.between(0, 250);
                profile.latency = ms(dice, 2, 40);
                profile.fault_interval = ms(dice, 60, 400);
                profile.fault_length = ms(dice, 150, 1_200);
                (profile.clients, profile.think) = (1, SECOND);
                profile.stray(dice, 100, 1_000);
                if later.chance(400) {
                    // A snapshot takes long to be written, and meanwhile somebody else leads, who has the
                    // entries.
                    let slow = [(Fault::DiskStall, 40), (Fault::SlowDisk, 20), (Fault::HandOverViews, 30)];
                    profile.weights.extend(slow);
                    (profile.raft_log_bytes_max, profile.churn) = (1_000, later.between(20, 80));
                    profile.raft_append_bytes_max = 1 << 20;
                }
            }
            Self::Outages => {
                profile.weights =
                    [(Fault::CrashSeveral, 10), (Fault::Partition, 10), (Fault::Pause, 10)].into();
                profile.fault_interval = ms(dice, 2_000, 6_000);
                profile.fault_length = ms(dice, 4_500, 8_000);
                profile.clients = 6;
                profile.min_copies = if dice.chance(500) { profile.copies } else { 1 };
                profile.fault_time = 30 * SECOND;
            }
            Self::Echoes => {
                profile.weights = [(Fault::Pause, 10), (Fault::Handover, 10), (Fault::Crash, 10)].into();
                (profile.late, profile.lateness) = (dice.between(100, 400), ms(dice, 1_500, 4_000));
                profile.clients = dice.between(1, 3) as usize;
                profile.think = ms(dice, 300, 1_500);
                profile.workload.reads = 200;
            }
            Self::Images => {
                profile.weights = [(Fault::LoseData, 20), (Fault::Crash, 10), (Fault::SlowDisk, 5)].into();
                profile.value_bytes = dice.between(60_000, 120_000) as usize;
                let entry = profile.value_bytes;
                profile.log_bytes_max = dice.between(6, 20) as usize * entry;
                profile.uncommitted_bytes_max = 1 << 26;
                (profile.prepare_bytes_max, profile.window_bytes_max) = (1 << 22, 1 << 25);
                profile.workload.keys = dice.between(4, 12);
                profile.workload.reads = 200;
                (profile.clients, profile.think) = (4, 150 * MS);
                (profile.double, profile.late) = (dice.between(0, 300), dice.between(0, 100));
                profile.fault_interval = ms(dice, 500, 2_000);
                profile.fault_length = ms(dice, 300, 1_500);
                if dice.chance(500) {
                    // Whoever is left behind gets an image in the middle of one of its own, or of a command.
                    profile.weights =
                        [(Fault::Partition, 20), (Fault::LongCommand, 15), (Fault::SlowDisk, 10)].into();
                    (profile.copies, profile.nodes) = (2, 3);
                    profile.fault_length = ms(dice, 1_000, 3_000);
                    profile.think = 50 * MS;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_window_is_tried() {
        let races: Vec<Option<Race>> =
            (0..1_000).map(|seed| Profile::draw(&mut Dice::new(seed, 0), None, None).race).collect();
        for race in Race::ALL {
            assert!(races.iter().filter(|drawn| **drawn == Some(race)).count() >= 10, "{race:?}");
        }
        assert!(races.iter().filter(|drawn| drawn.is_none()).count() > 500, "most runs are not bent");
    }
}
