//! Heartbeats that two nodes say once for all groups that they share (decision 20). What they mean is told by
//! `onecopy_replica`'s `quiescence`.

use onecopy_core::{GroupId, Incarnation};
use onecopy_replica::{Still, Terms};
use serde::{Deserialize, Serialize};

/// What two data planes of different nodes say to each other, for all quiescent groups of which one leads,
/// and the other follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SharedHeartbeat {
    /// From the primaries.
    Sent(Heartbeat),
    /// From the backups.
    Answered(HeartbeatAnswer),
}

/// The primaries of these groups are alive, and have nothing else to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Which data plane of the receiver it is for, as far as the sender knows how many that has.
    pub to: u32,
    /// The number of the sender's data plane.
    pub plane: u32,
    /// Which groups, in which state.
    pub list: ListName,
    /// The list, as long as the receiver has not said that it knows it; otherwise it is what it was.
    pub groups: Option<Vec<(GroupId, Still)>>,
    /// What each of them says about leases.
    pub terms: Option<Terms>,
}

/// The answer: the backups of these groups are alive, and stand where they were said to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatAnswer {
    /// The data plane that it is for.
    pub to: u32,
    /// Of how many data planes of the sender which one answers.
    pub plane: (u32, u32),
    /// The list of the heartbeat.
    pub list: ListName,
    /// The groups on it for which nothing is answered: they stand elsewhere. `None` if the list is not known.
    pub except: Option<Vec<GroupId>>,
    /// What each of the others says about leases.
    pub terms: Option<Terms>,
}

/// Names a list of groups. No two lists, of whichever process, have the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ListName {
    /// Which start of which data plane made it.
    pub life: Incarnation,
    /// Counted up with each change.
    pub version: u64,
}

impl SharedHeartbeat {
    /// The data plane of the receiver that it is for, of so many.
    #[must_use]
    pub fn plane(&self, planes: usize) -> usize {
        let to = match self {
            Self::Sent(heartbeat) => heartbeat.to,
            Self::Answered(answer) => answer.to,
        };
        to as usize % planes
    }
}
