//! Repair: a replica takes over what another one has seen, from its state.
//!
//! Deltas that were lost, or that are older than any log, are replaced by the state that they led to. One
//! replica *pulls*: it asks, the other answers. Both sum up the digests of ranges of their keys; where the
//! sums differ they look at the sixteen parts of the range, and so on down to single keys, and within large
//! keys to single places (Meyer, *Range-Based Set Reconciliation*, SRDS 2023, section 3). Only what differs
//! is sent.
//!
//! What was sent is joined by dots and clocks (Gonçalves et al., DAIS 2015, section 4.3): a thing that only
//! one side has stays if the other side has not seen its dot, and was removed there if it has. So nothing
//! that all have removed comes back, however old the state is that is joined (rule O6).
//!
//! A pull is about one state and one clock of the other side, which keeps both for as long as it takes
//! (`frozen.rs`). Everything is joined in one step at the end, together with the clock: nobody sees a
//! part of it (rule O4). Meanwhile the replica goes on to read and write. It only lets deltas wait that the
//! pull will bring anyway: a range that was found equal stays so, but for what is newer than both.

mod joined;
mod pull;
mod range;
mod serve;

pub use joined::{Joined, JoinedError};
pub use pull::{Done, Next, Pull, RepairError};
pub use range::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::cell::Cell;
use crate::clock::Clock;
use crate::place::Place;

/// A digest, or a sum of digests.
pub type Sum = [u8; 8];

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// All keys.
    Keys,
    /// The places of one key that has many.
    Places {
        /// In which database it is.
        db: u8,
        /// Its name.
        name: Bytes,
    },
}

/// What a replica that pulls says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    /// Keep your state: I want to compare mine with it.
    Open,
    /// What is in these ranges?
    Compare {
        /// Which state.
        session: u64,
        /// Ranges of what.
        scope: Scope,
        /// The ranges.
        ranges: Vec<Range>,
    },
    /// What stands at these coordinates?
    Fetch {
        /// Which state.
        session: u64,
        /// Coordinates of what.
        scope: Scope,
        /// The coordinates.
        coordinates: Vec<u64>,
    },
    /// I do not need your state any more.
    Close {
        /// Which.
        session: u64,
    },
}

/// What is in a range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Found {
    /// Much: the sums of its sixteen parts.
    Parts(Vec<Sum>),
    /// Little: the coordinates and digests of all that is there.
    Items(Vec<(u64, Sum)>),
}

/// A key, as it was fetched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fetched {
    /// In which database.
    pub db: u8,
    /// Its name.
    pub name: Bytes,
    /// What it holds; `None` if that is so much that its places should be compared.
    pub cells: Option<Vec<(Place, Cell)>>,
}

/// What the other side says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// The state is kept.
    Opened {
        /// Under this number.
        session: u64,
        /// What had been seen by then.
        clock: Clock,
        /// The digest of all keys.
        digest: Sum,
    },
    /// What is in ranges, in the order in which they were asked for.
    Compared(Vec<Found>),
    /// The keys at coordinates, in the order in which they were asked for. What would make the answer too
    /// large is left out at the end, and asked for again.
    Keys(Vec<Vec<Fetched>>),
    /// The places at coordinates of one key, likewise.
    Places(Vec<Vec<(Place, Cell)>>),
    /// The state is not kept any more: begin anew.
    Gone,
}

impl Ask {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("memory takes every message")
    }

    /// A message of its bytes.
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, postcard::Error> {
        postcard::from_bytes(bytes)
    }
}

impl Answer {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("memory takes every message")
    }

    /// A message of its bytes. What it says is checked when it is [taken](crate::Replica::pull_step).
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, postcard::Error> {
        postcard::from_bytes(bytes)
    }
}
