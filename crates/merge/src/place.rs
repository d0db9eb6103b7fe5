//! Where something stands within a key.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::position::Position;

/// The types of Redis. A key may hold several after concurrent writes: the first of them, in this order, is
/// the one that shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A string, or a counter.
    String,
    /// A map from fields to strings and counters.
    Hash,
    /// A sequence.
    List,
    /// A set.
    Set,
    /// A set whose members have scores.
    SortedSet,
}

impl Kind {
    /// All types, in the order in which they show.
    pub const ALL: [Self; 5] = [Self::String, Self::Hash, Self::List, Self::Set, Self::SortedSet];

    /// As `TYPE` answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Hash => "hash",
            Self::List => "list",
            Self::Set => "set",
            Self::SortedSet => "zset",
        }
    }

    /// The places of this type: from here, and up to the beginning of the next.
    pub(crate) fn places(self) -> (Place, Place) {
        let begin = |kind: Self| match kind {
            Self::String => Place::Whole,
            Self::Hash => Place::Field(Bytes::new()),
            Self::List => Place::At(Position::least()),
            Self::Set => Place::Member(Bytes::new()),
            Self::SortedSet => Place::Scored(Bytes::new()),
        };
        let next = Self::ALL.get(self as usize + 1).map_or(Place::End, |next| begin(*next));
        (begin(self), next)
    }
}

/// A place within a key. Each has a cell of its own, merged by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Place {
    /// When the key expires.
    Expiry,
    /// The string.
    Whole,
    /// A field of the hash.
    Field(Bytes),
    /// An element of the list.
    At(Position),
    /// A member of the set.
    Member(Bytes),
    /// A member of the sorted set.
    Scored(Bytes),
    /// Behind all others: nothing stands there.
    End,
}

impl Place {
    /// To which type it belongs; the expiry to none.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Self::Expiry | Self::End => None,
            Self::Whole => Some(Kind::String),
            Self::Field(_) => Some(Kind::Hash),
            Self::At(_) => Some(Kind::List),
            Self::Member(_) => Some(Kind::Set),
            Self::Scored(_) => Some(Kind::SortedSet),
        }
    }

    /// The field or the member.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        match self {
            Self::Field(name) | Self::Member(name) | Self::Scored(name) => name,
            Self::Expiry | Self::Whole | Self::At(_) | Self::End => b"",
        }
    }

    /// Whether something may stand there.
    pub(crate) fn is_valid(&self) -> bool {
        match self {
            Self::At(position) => position.is_valid(),
            Self::End => false,
            _ => true,
        }
    }

    /// About how many bytes it takes to say it.
    pub(crate) fn size(&self) -> usize {
        2 + match self {
            Self::At(position) => position.depth() * 40,
            place => place.name().len(),
        }
    }
}
