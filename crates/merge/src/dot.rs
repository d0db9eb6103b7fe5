//! Names of replicas and of updates.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One life of a replica of a database.
///
/// The view table of the database gives out the numbers: each new incarnation that it admits gets the next
/// one, and none is given twice (rule O5). They take the place of the 128 bits of an incarnation because they
/// are short in every dot, and because they grow: a clock can then say "everything of those below" of the
/// lives that are over ([`Clock::fold`](crate::Clock::fold)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReplicaId(pub u64);

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// The name of an update: which life of which replica made it, and as which of its updates, counted from 1
/// (Almeida, Shoker and Baquero, *Delta State Replicated Data Types*, 2018, section 7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Dot {
    /// Who made it.
    pub replica: ReplicaId,
    /// Which of its updates it is.
    pub counter: u64,
}

impl Dot {
    /// The update of this replica with this number.
    #[must_use]
    pub fn new(replica: ReplicaId, counter: u64) -> Self {
        Self { replica, counter }
    }
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.replica, self.counter)
    }
}
