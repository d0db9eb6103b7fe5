//! What a copy of an optimistic database starts from.

use std::time::Duration;

use bytes::Bytes;
use onecopy_core::{GroupId, NodeId, Recovered, Rules};
use onecopy_views::Start;

/// The settings of a copy.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which group.
    pub group: GroupId,
    /// The node.
    pub me: NodeId,
    /// Which start of the node this is: the view table must know of it before the copy makes updates (rule
    /// O5).
    pub start: Start,
    /// How often a copy says where it stands.
    pub heartbeat_interval: Duration,
    /// After how much silence nobody counts on another copy.
    pub failure_timeout: Duration,
    /// Updates of so many bytes are kept in memory for those who lack them.
    pub window_bytes_max: usize,
    /// One message has updates of about so many bytes, and one at least.
    pub message_bytes_max: usize,
    /// So many bytes of own updates may be on their way to a copy that has not acknowledged them.
    pub unacknowledged_bytes_max: u64,
    /// A repair takes so many bytes in a second at most.
    pub repair_bytes_per_second: u64,
    /// The states of all groups of the node together may have so many bytes of memory, unless the table says
    /// something else; 0: there is no limit.
    pub memory_max: u64,
    /// Fresh randomness.
    pub seed: [u8; 32],
    /// Which rules are in force.
    pub rules: Rules,
}

impl Settings {
    /// The usual ones.
    #[must_use]
    pub fn new(group: GroupId, me: NodeId, start: Start, seed: [u8; 32]) -> Self {
        Self {
            group,
            me,
            start,
            heartbeat_interval: Duration::from_millis(100),
            failure_timeout: Duration::from_millis(1_000),
            window_bytes_max: 32 << 20,
            message_bytes_max: 1 << 20,
            unacknowledged_bytes_max: 8 << 20,
            repair_bytes_per_second: 32 << 20,
            memory_max: 0,
            seed,
            rules: Rules::default(),
        }
    }
}

/// What the disk kept of a copy.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// What the log kept.
    pub recovered: Recovered,
    /// The image as of `recovered.base`, if there is one.
    pub image: Option<Bytes>,
}
