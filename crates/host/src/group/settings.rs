//! What a group starts from.

use std::fmt;

use onecopy_core::{Recovered, Timestamp};
use onecopy_replica::Config;

/// The settings of a group on one node.
#[derive(Clone, Debug)]
pub struct GroupSettings {
    /// Those of its replica.
    pub replica: Config,
    /// Commands that need memory are refused when the state has this many bytes; 0: never.
    pub memory_max: u64,
    /// Fresh randomness, for the seeds of entries and of machines.
    pub seed: [u8; 32],
}

/// What a group starts from.
#[derive(Debug)]
pub struct Restored<M> {
    /// What the log kept.
    pub recovered: Recovered,
    /// The state as of `recovered.base`: a fresh machine, or one restored from the snapshot there.
    pub machine: M,
    /// The time of that snapshot; 0 without one.
    pub base_time: Timestamp,
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
