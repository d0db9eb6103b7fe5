//! What nodes say of themselves, and of each other.

use std::time::Duration;

use onecopy_core::{BootNumber, GroupId, Incarnation, Index, Level, NodeId, ViewNumber};
use serde::{Deserialize, Serialize};

use crate::clocks::ClockReading;
use crate::endpoint::Addresses;

/// What a replica is in its view, as it reports itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicaRole {
    /// It orders requests.
    Primary,
    /// A member, but not the primary.
    Backup,
    /// Catching up.
    Learner,
    /// Named as the primary, but it cannot be.
    CannotLead,
    /// It holds something else than the primary (rule P10).
    Diverged,
    /// Not in the view that it knows.
    Outside,
}

/// What a node says of one of its replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupReport {
    /// The group.
    pub group: GroupId,
    /// The view that it knows.
    pub view: ViewNumber,
    /// What it is in it.
    pub role: ReplicaRole,
    /// The highest index in its log.
    pub last: Index,
    /// The highest durable index.
    pub durable: Index,
    /// The highest index known to be committed.
    pub commit: Index,
    /// How long the oldest unfinished disk write has been waiting, beyond what its bytes may take.
    pub oldest_write: Option<Duration>,
    /// How long the oldest uncommitted entry of a primary has been waiting, beyond what its bytes may take.
    pub oldest_prepare: Option<Duration>,
}

/// What a node tells every view node, every `ping_interval`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    /// The life of its data.
    pub incarnation: Incarnation,
    /// The start of its process.
    pub boot: BootNumber,
    /// Counts the pings of a process: networks deliver late what they once delayed.
    pub number: u64,
    /// Whether it holds data.
    pub holds_data: bool,
    /// What it fails together with; empty if nobody said.
    pub zone: String,
    /// The process id, for people.
    pub pid: u32,
    /// A random number of the process.
    pub run: u64,
    /// Where it can be reached.
    pub addresses: Addresses,
    /// What its clocks show.
    pub clock: ClockReading,
    /// Its process is about to stop: it is not to be waited for.
    pub leaving: bool,
    /// For how long it has been executing something during which it says nothing else, if it does (rule E1).
    pub busy_for: Option<Duration>,
    /// The version of the table that it knows.
    pub table: u64,
    /// Nodes that it cannot find: whoever hears this may know where they are.
    pub seeks: Vec<NodeId>,
    /// Its replicas.
    pub groups: Vec<GroupReport>,
    /// The highest level by whose rules it can execute (rule E4).
    pub level: Level,
}

/// A moment in the life of a node's data, as its pings count it. What a node says is put in order by it:
/// networks deliver late what they once delayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moment {
    /// The start of its process.
    pub boot: BootNumber,
    /// How many pings it has sent since then.
    pub pings: u64,
}

impl Ping {
    /// When it was sent.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment { boot: self.boot, pings: self.number }
    }
}
