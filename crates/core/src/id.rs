//! Identifiers. Each is a type of its own: a term is not a view number, and an index is not a count.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number that only grows, with a type of its own.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl $name {
            /// The number after this one. Panics on overflow, which no real history reaches.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }
    };
}

number! {
    /// One process with a data directory, as configured by the operator.
    NodeId(u32), "n"
}
number! {
    /// One replicated state machine. Many groups live on one node.
    GroupId(u32), "g"
}
number! {
    /// The number of a configuration of a group. The first view of a group is 1; 0 means "none yet".
    ViewNumber(u64), "v"
}
number! {
    /// The number of a leader's reign in Raft (Raft paper, section 5.1).
    Term(u64), "t"
}
number! {
    /// The number under which an entry was made: the view number in primary-backup, the term in Raft.
    ///
    /// Two entries with the same index and the same epoch are the same entry, in both protocols.
    Epoch(u64), "e"
}
number! {
    /// A position in a group's log. The first entry has index 1; 0 means "before the first".
    Index(u64), "#"
}
number! {
    /// How many times the process of a data directory has been started. Every start is higher (rule P11).
    BootNumber(u64), "b"
}

impl From<ViewNumber> for Epoch {
    fn from(view: ViewNumber) -> Self {
        Self(view.0)
    }
}

impl From<Term> for Epoch {
    fn from(term: Term) -> Self {
        Self(term.0)
    }
}

impl Index {
    /// The position before this one; 0 stays 0.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The position `count` further on.
    #[must_use]
    pub fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }
}

/// A random 128-bit id, born with a data directory.
///
/// A node that lost its data returns under a new incarnation, so that nobody takes it for the replica that
/// it was (rule P9).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u128);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "i{:x}", self.0)
    }
}

/// The name that a coordinator gives to a batch of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BatchId {
    /// Which life of which coordinator.
    pub coordinator: Incarnation,
    /// Counted up by that coordinator, starting at 1.
    pub sequence: u64,
}
