//! What one member of a Raft group is told when it starts.

use std::time::Duration;

use onecopy_core::{NodeId, Rules};

/// The settings of one member of a Raft group. All members have the same, but for `id` and `seed`.
#[derive(Clone, Debug, Hash)]
pub struct Config {
    /// This member.
    pub id: NodeId,
    /// All voting members, this one among them. Fixed for the life of the value.
    pub members: Vec<NodeId>,
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
    /// The seed of the random election timeouts. Different at every member, or they would all time out at
    /// once.
    pub seed: u64,
    /// The rules in force: all of them, but in a simulator that tests its own checks.
    pub rules: Rules,
}

impl Config {
    /// Panics if the settings contradict each other: such a group could lose writes or never elect a leader.
    pub(crate) fn check(&self) {
        let mut members = self.members.clone();
        members.sort_unstable();
        members.dedup();
        assert_eq!(members.len(), self.members.len(), "raft config: a member is named twice");
        assert!(members.contains(&self.id), "raft config: {} is not among {members:?}", self.id);
        assert!(!self.heartbeat_interval.is_zero(), "raft config: the heartbeat interval is zero");
        assert!(
            self.heartbeat_interval * 3 <= self.election_timeout,
            "raft config: the heartbeat interval is more than a third of the election timeout"
        );
        assert!(self.inflight_max > 0, "raft config: no append may ever be in flight");
    }
}
