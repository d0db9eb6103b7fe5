//! What replicas ask of the view service. It travels as it is: from the replica that asks, over whatever
//! thread or wire, to every view node.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{BootNumber, EntryId, GroupId, Member, NodeId, ViewNumber};

/// What a replica asks of the view service, again and again until there is a newer view, or no reason any
/// more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Petition {
    /// Of which group it is a replica.
    pub group: GroupId,
    /// The view in which it is. Nothing is to be done about any other.
    pub view: ViewNumber,
    /// What it asks for.
    pub plea: Plea,
}

/// What is asked for.
#[expect(clippy::large_enum_variant, reason = "it is a rare thing, and is copied as it is")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Plea {
    /// Any replica: do something about another one, which is silent, or too slow.
    Suspect {
        /// Who it is.
        node: NodeId,
        /// What it does, for how long.
        grounds: Grounds,
    },
    /// The primary: make a learner a member (rule P5).
    AddMember {
        /// Who has everything that is committed.
        learner: Member,
    },
    /// The primary: make another member the primary. This one has nothing uncommitted, and has given up its
    /// leases.
    HandOver {
        /// Who is to be the primary.
        to: NodeId,
    },
    /// The leader of a Raft group: note that its members are those of the roster, and no others.
    RosterReached {
        /// Which roster.
        number: u64,
    },
    /// A copy of an optimistic database that is to go: all that stay have everything of it, and it has taken
    /// nothing more since.
    HandedOn {
        /// The start of its process.
        boot: BootNumber,
    },
    /// The primary, or the leader: the group is sealed, and can go on as one of the other kind.
    Sealed {
        /// For the sake of which switch.
        switch: u64,
        /// The last entry that was executed.
        seal: EntryId,
        /// In a Raft group: the voters that have it durably. In others all members have.
        holders: Holders,
    },
}

/// So many holders are named at most: no Raft group has more copies.
const HOLDERS_MAX: usize = 5;

/// Those who hold the log up to a seal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Holders([Option<Member>; HOLDERS_MAX]);

impl Holders {
    /// In their order.
    pub fn iter(&self) -> impl Iterator<Item = Member> {
        self.0.iter().copied().flatten()
    }
}

impl FromIterator<Member> for Holders {
    /// The first few, if there are too many.
    fn from_iter<I: IntoIterator<Item = Member>>(members: I) -> Self {
        let mut holders = Self::default();
        holders.0.iter_mut().zip(members).for_each(|(place, member)| *place = Some(member));
        holders
    }
}

/// On what grounds a replica is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Grounds {
    /// Nothing has been heard of it for so long.
    Silent(Duration),
    /// It answers, but has not acknowledged for so long what others have acknowledged: it is slow, or stuck.
    Behind(Duration),
}

impl Grounds {
    /// For how long.
    #[must_use]
    pub fn lasts(self) -> Duration {
        match self {
            Self::Silent(lasts) | Self::Behind(lasts) => lasts,
        }
    }
}

impl fmt::Display for Grounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(lasts) => write!(f, "has been silent for {} ms", lasts.as_millis()),
            Self::Behind(lasts) => write!(f, "has not acknowledged for {} ms", lasts.as_millis()),
        }
    }
}

impl fmt::Display for Petition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, view, plea } = self;
        match plea {
            Plea::Suspect { node, grounds } => write!(f, "{group}: {node} {grounds}, in {view}"),
            Plea::AddMember { learner } => write!(f, "{group}: make {learner:?} a member of {view}"),
            Plea::HandOver { to } => write!(f, "{group}: make {to} the primary after {view}"),
            Plea::RosterReached { number } => write!(f, "{group}: roster {number} is reached"),
            Plea::HandedOn { .. } => write!(f, "{group}: others have everything, let the copy go"),
            Plea::Sealed { switch, seal, .. } => {
                write!(f, "{group}: sealed at {seal} in {view}, for switch {switch}")
            }
        }
    }
}
