//! One slot of a group's log.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::{Epoch, Index};
use crate::time::Timestamp;

/// The name of an entry: two entries with the same name are the same entry.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntryId {
    /// The position in the log.
    pub index: Index,
    /// The view or term under which it was made.
    pub epoch: Epoch,
}

impl EntryId {
    /// Before the first entry of every log.
    pub const ZERO: Self = Self { index: Index(0), epoch: Epoch(0) };

    /// Makes the name of the entry at `index`, made under `epoch`.
    pub fn new(index: impl Into<Index>, epoch: impl Into<Epoch>) -> Self {
        Self { index: index.into(), epoch: epoch.into() }
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.epoch.0)
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One slot of a group's log. It carries a batch of commands, and everything about their execution that is
/// not deterministic: replicas execute commands from the entry alone.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Where it stands, and under whom it was made.
    pub id: EntryId,
    /// The time at which its commands happen. Never lower than that of the entry before.
    pub time: Timestamp,
    /// The seed of all randomness that its commands use.
    pub seed: u64,
    /// What to execute; empty for a no-op. See [`crate::payload`].
    pub payload: Bytes,
}

impl Entry {
    /// About how many bytes the entry occupies in memory, on disk and on the wire.
    #[must_use]
    pub fn size(&self) -> usize {
        const FIXED: usize = 40;
        FIXED + self.payload.len()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({} B)", self.id, self.payload.len())
    }
}
