//! What a group starts from.

use std::fmt;
use std::time::Duration;

use onecopy_core::{Eviction, Levels, Recovered, Replicated};
use onecopy_raft::Configuration;
use onecopy_replica::{Base, Config};

use super::replication::Placement;

/// The settings of a group on one node.
#[derive(Clone, Debug)]
pub struct GroupSettings {
    /// Those of its replica.
    pub replica: Config,
    /// What the view table says of the group, unless the disk says it.
    pub placement: Placement,
    /// In a Raft group: how long a follower waits for a leader, at the least.
    pub election_timeout: Duration,
    /// Commands that need memory are refused when the states of all groups of the node have this many bytes;
    /// 0: never.
    pub memory_max: u64,
    /// What goes where there is no room.
    pub eviction: Eviction,
    /// Writes are refused while the view has fewer members.
    pub min_copies: u32,
    /// A primary that has had nothing to do for so long makes an entry without commands, by which the
    /// replicas compare themselves (rule P10); `None`: never.
    pub scrub_interval: Option<Duration>,
    /// By the rules of which levels it can execute.
    pub levels: Levels,
    /// How many steps of commands a turn executes at most; see [`Budget`](onecopy_core::Budget). At least 1.
    pub slice_steps: u64,
    /// Fresh randomness, for the seeds of entries and of machines.
    pub seed: [u8; 32],
}

/// How many steps a turn executes unless somebody knows better: about half a millisecond. A
/// request beside a long command takes some eight hops, and waits for a slice at each.
pub const SLICE_STEPS: u64 = 1 << 13;

/// What a group starts from.
#[derive(Debug)]
pub struct Restored<M> {
    /// What the log kept.
    pub recovered: Recovered,
    /// The state as of `recovered.base`: one that has executed nothing, or one restored from the snapshot
    /// there.
    pub state: Replicated<M>,
    /// What is known of that snapshot.
    pub base: Base,
    /// In a Raft group with a snapshot: who belonged to it as of that.
    pub configuration: Configuration,
}

/// Makes machines that have executed nothing. The numbers are for hash tables; no outcome may depend on them.
pub struct Fresh<M>(Box<dyn Fn([u64; 2]) -> M + Send>);

impl<M> Fresh<M> {
    /// Made by this function.
    #[must_use]
    pub fn new(make: impl Fn([u64; 2]) -> M + Send + 'static) -> Self {
        Self(Box::new(make))
    }

    /// Makes one.
    #[must_use]
    pub fn machine(&self, seed: [u64; 2]) -> M {
        (self.0)(seed)
    }
}

impl<M> fmt::Debug for Fresh<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fresh")
    }
}
