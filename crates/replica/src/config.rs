//! What a replica is told when it starts.

use std::time::Duration;

use onecopy_core::{BootNumber, GroupId, Member, Petition, Plea, Rules, ViewNumber};

use crate::effect::Effect;

/// The settings of one replica.
#[derive(Clone, Debug, Hash)]
pub struct Config {
    /// The group that it is a replica of: for people, and for the view service.
    pub group: GroupId,
    /// Who it is, in which life.
    pub me: Member,
    /// The start of the process that it lives in (rule P11).
    pub boot: BootNumber,
    /// How often a primary sends something to every other replica, and how often suspicions are repeated.
    pub heartbeat_interval: Duration,
    /// For how long nothing must have happened in a group before its heartbeats are left to the driver;
    /// `None` if they never are.
    pub quiescent_after: Option<Duration>,
    /// After how much silence another replica is reported to the view service.
    pub failure_timeout: Duration,
    /// Whoever, or whichever disk, takes fewer bytes in a millisecond is slow. What is no slower than this
    /// gets as much more time as its bytes take. At least 1.
    pub bytes_per_ms: usize,
    /// How many bytes of entries one Prepare carries at most (but always at least one entry).
    pub prepare_bytes_max: usize,
    /// How many bytes of entries may be on their way to one replica, unacknowledged.
    pub window_bytes_max: usize,
    /// How many bytes of entries may be uncommitted before the primary takes no more requests.
    pub uncommitted_bytes_max: usize,
    /// A snapshot is asked for when the log behind the last one has more bytes than this, and more than that
    /// one.
    pub log_bytes_max: usize,
    /// How many bytes of the log are kept in memory, beyond what may still change. What is older is read back
    /// from the disk when another replica needs it.
    pub log_memory_bytes_max: usize,
    /// A learner that lacks at most this many entries is made to join.
    pub join_lag_max: u64,
    /// How long leases last, if reads are answered under leases, at every member. Without, each batch of
    /// reads is confirmed by all members, and nobody's clock is trusted. Members with and without leases, or
    /// with leases of different lengths, work together.
    pub lease: Option<Duration>,
    /// No clock here or elsewhere gains or loses more than this, in parts per million of the time that
    /// passes.
    pub drift_ppm: u32,
    /// Which rules are in force: all, outside of a simulator.
    pub rules: Rules,
}

impl Config {
    /// The defaults, for one replica.
    #[must_use]
    pub fn new(group: GroupId, me: Member, boot: BootNumber) -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            group,
            me,
            boot,
            heartbeat_interval: Duration::from_millis(50),
            quiescent_after: Some(Duration::from_millis(500)),
            failure_timeout: Duration::from_millis(500),
            // About 256 Mbit/s.
            bytes_per_ms: 32 * 1024,
            prepare_bytes_max: 4 * MIB,
            window_bytes_max: 32 * MIB,
            uncommitted_bytes_max: 64 * MIB,
            log_bytes_max: 128 * MIB,
            log_memory_bytes_max: 8 * MIB,
            join_lag_max: 1_000,
            lease: None,
            drift_ppm: 10_000,
            rules: Rules::default(),
        }
    }

    pub(crate) fn petition(&self, view: ViewNumber, plea: Plea) -> Effect {
        Effect::Petition(Petition { group: self.group, view, plea })
    }
}
