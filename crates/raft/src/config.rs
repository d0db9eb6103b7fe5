//! What one member of a Raft group is told when it starts.

use std::time::Duration;

use onecopy_core::{Member, Rules, Timestamp};

use crate::configuration::Configuration;

/// The settings of one member of a Raft group. All members have the same, but for `id` and `seed`.
#[derive(Clone, Debug, Hash)]
pub struct Config {
    /// This member. Whether it belongs to the group, and votes, is told by the configuration in the log.
    pub id: Member,
    /// How long a follower hears nothing from a leader before it asks for an election, at the least: each
    /// wait is drawn anew from `[election_timeout, 2 * election_timeout)` (Raft paper, section 5.2). Also how
    /// long a leader goes on without hearing from a majority (check-quorum), and how long a follower that has
    /// heard a leader refuses to elect another.
    pub election_timeout: Duration,
    /// How often a leader tells its followers that it is there. At most a third of `election_timeout`, so
    /// that one lost heartbeat does not cost an election.
    pub heartbeat_interval: Duration,
    /// How many bytes of entries one append carries at most; but always at least one entry.
    pub append_bytes_max: usize,
    /// How many appends may be on their way to one follower at once.
    pub inflight_max: usize,
    /// How many bytes the log's window may hold before a snapshot is asked for. While a follower still needs
    /// what a snapshot has made superfluous, the window may grow to twice as much.
    pub log_bytes_max: usize,
    /// How many entries a learner may lack at most to be promoted. Until a new voter has what the others
    /// have, it may be needed for a majority and cannot be part of one.
    pub promotion_lag_max: u64,
    /// Whether reads may be answered from a lease, and what that rests on. `None`: every read takes a round.
    pub leases: Option<ClockDrift>,
    /// The seed of the random election timeouts. Different at every member, or they would all time out at
    /// once.
    pub seed: u64,
    /// The rules in force: all of them, but in a simulator that tests its own checks.
    pub rules: Rules,
}

/// How far the clock of any member may be from the truth in its *rate*, in millionths: over a second of real
/// time, it shows between `1 - d` and `1 + d` seconds. It need not show the right time. Below a million.
///
/// Lease reads are wrong if a clock is worse than that; a clock that stands still while a virtual machine is
/// moved is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClockDrift {
    /// Millionths.
    pub ppm: u32,
}

impl ClockDrift {
    /// What a fast clock measures of `timeout` is over no sooner than what a slow one measures of this.
    pub(crate) fn shorten(self, timeout: Duration) -> Duration {
        timeout * (1_000_000 - self.ppm) / (1_000_000 + self.ppm)
    }
}

/// What a member starts from beside its log: what its driver keeps with the snapshot at the log's base.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Base {
    /// The time of the last entry that the snapshot covers; zero without one.
    pub time: Timestamp,
    /// The configuration as of that entry. Without a snapshot, the one that the group was founded with, the
    /// same at all founding members; and an empty one at a node that is to join, and waits for a leader to
    /// turn to it.
    pub configuration: Configuration,
}

impl Config {
    /// Panics if the settings contradict each other: such a group could lose writes or never elect a leader.
    pub(crate) fn check(&self) {
        let drift = self.leases.map_or(0, |drift| drift.ppm);
        assert!(drift < 1_000_000, "raft config: no lease is right with clocks that differ by {drift} ppm");
        assert!(!self.heartbeat_interval.is_zero(), "raft config: the heartbeat interval is zero");
        assert!(
            self.heartbeat_interval * 3 <= self.election_timeout,
            "raft config: the heartbeat interval is more than a third of the election timeout"
        );
        assert!(self.inflight_max > 0, "raft config: no append may ever be in flight");
    }
}
