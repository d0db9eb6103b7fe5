//! What an update does, in the form that travels.
//!
//! A delta says what its command has done, not what the command was (Almeida, Shoker and Baquero, 2018,
//! section 3): the things that it added, which get its dot, and where it removed what it had seen. What it
//! had seen is its *context*, the clock of its maker just before. So a removal needs no list of dots, however
//! much it removes: a whole key, or a whole database, takes a few bytes. Only counters have to say how much
//! of each series is gone (see [`crate::series`]).

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::clock::Clock;
use crate::dot::{Dot, ReplicaId};
use crate::place::Place;
use crate::series::Point;
use crate::stamp::{Stamp, WALL_MAX_MS};

/// A delta has at most so many bytes; a command that would make a larger one is refused.
pub const DELTA_BYTES_MAX: usize = 64 << 20;
/// The version of the format, its first byte.
const FORMAT: u8 = 1;

/// What is put at a place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Put {
    /// A string, the value of a field, or an element.
    Text(Bytes),
    /// A member of a set.
    Member,
    /// The score of a member of a sorted set.
    Score(f64),
    /// When the key expires, `None` for never. It covers what the update had seen, and itself.
    Deadline {
        /// In milliseconds since the Unix epoch.
        at_ms: Option<u64>,
        /// When that was said, unless by this update: a write to a key that expires says it anew.
        said: Option<Stamp>,
    },
}

/// One thing that an update does to a key. Whatever is removed is removed as far as the update had seen it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Op {
    /// Removes everything at a place; counters by [`Op::Floor`].
    Clear(Place),
    /// Removes everything but the expiry.
    ClearValue,
    /// Removes everything.
    ClearKey,
    /// Takes away what a series had counted up to a point.
    Floor {
        /// Where it counts.
        place: Place,
        /// Its name.
        start: Dot,
        /// Up to where.
        to: Point,
    },
    /// Adds something under the dot of the update.
    Put(Place, Put),
    /// The maker's own series has counted up to here, with this update.
    Count {
        /// Where it counts.
        place: Place,
        /// With which of the maker's updates the series begins.
        start: u64,
        /// The sum.
        amount: Amount,
    },
    /// A series of the maker that was removed is not counted on any more.
    End {
        /// Where it counted.
        place: Place,
        /// With which of the maker's updates it began.
        start: u64,
    },
    /// The maker's part of a score.
    Raise {
        /// Whose score.
        place: Place,
        /// Which score it adds to.
        base: Dot,
        /// Everything that it has added to it.
        score: f64,
    },
    /// What expires has come due.
    Expire {
        /// What is removed.
        covers: Clock,
        /// Which deadlines have done their work.
        deadlines: Vec<Dot>,
    },
}

/// What an update does to one key, or beyond keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Change {
    /// To a key.
    Key {
        /// In which database.
        db: u8,
        /// Its name.
        name: Bytes,
        /// What, in this order.
        ops: Vec<Op>,
    },
    /// Removes all keys of a database, as far as the update had seen them.
    Flush(u8),
    /// The replicas below `floor` are over, but for those that are `living` ([`Clock::fold`]).
    Fold {
        /// The lowest that may not be over.
        floor: ReplicaId,
        /// Those below it that live.
        living: Vec<ReplicaId>,
    },
}

/// An update: what one command, or one transaction, has done. Shown whole or not at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delta {
    /// Its name.
    pub dot: Dot,
    /// What its maker had seen before. Nobody shows it without all of that (rule O4).
    pub context: Clock,
    /// When it was made.
    pub stamp: Stamp,
    /// What it does, in this order.
    pub changes: Vec<Change>,
}

/// Bytes are no delta.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    /// It is longer than any delta.
    #[error("a delta of {0} bytes is longer than any may be")]
    TooLong(usize),
    /// It is in a format of another version.
    #[error("a delta in format {0:?} is of no version that is known")]
    Format(Option<u8>),
    /// It is not in the encoding of deltas.
    #[error("a delta cannot be decoded: {0}")]
    Encoding(postcard::Error),
    /// It says something that no replica says.
    #[error("the delta {dot} makes no sense: {what}")]
    Senseless {
        /// Which.
        dot: Dot,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl Delta {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![FORMAT]).expect("memory takes every delta")
    }

    /// A delta of its bytes.
    ///
    /// # Errors
    /// When the bytes are too many, cut, or say what no replica says.
    pub fn decode(bytes: &[u8]) -> Result<Self, DeltaError> {
        if bytes.len() > DELTA_BYTES_MAX.saturating_mul(2) {
            return Err(DeltaError::TooLong(bytes.len()));
        }
        let Some((&FORMAT, body)) = bytes.split_first() else {
            return Err(DeltaError::Format(bytes.first().copied()));
        };
        let delta: Self = postcard::from_bytes(body).map_err(DeltaError::Encoding)?;
        delta.check()?;
        Ok(delta)
    }

    /// Whether it says what a replica may say.
    fn check(&self) -> Result<(), DeltaError> {
        let senseless = |what| Err(DeltaError::Senseless { dot: self.dot, what });
        let Dot { replica, counter } = self.dot;
        if counter == 0 || self.context.seen_of(replica) != counter - 1 {
            return senseless("it does not follow its maker's update before");
        }
        if self.stamp.wall_ms > WALL_MAX_MS || self.stamp.replica != replica {
            return senseless("its stamp is none");
        }
        for change in &self.changes {
            let Change::Key { ops, .. } = change else { continue };
            if !ops.iter().all(|op| op.is_valid(self.dot)) {
                return senseless("it does what no command does");
            }
        }
        Ok(())
    }

    /// About how many bytes it occupies.
    #[must_use]
    pub fn size(&self) -> usize {
        64 + 10 * self.context.len() + self.changes.iter().map(Change::size).sum::<usize>()
    }
}

impl Change {
    /// About how many bytes it occupies.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Key { name, ops, .. } => 8 + name.len() + ops.iter().map(Op::size).sum::<usize>(),
            Self::Flush(_) => 2,
            Self::Fold { living, .. } => 8 + 10 * living.len(),
        }
    }
}

impl Op {
    /// About how many bytes it occupies.
    #[must_use]
    pub fn size(&self) -> usize {
        let of = |amount: &Amount| 20 + amount.decimal.as_ref().map_or(0, Bytes::len);
        1 + match self {
            Self::ClearValue | Self::ClearKey => 0,
            Self::Clear(place) | Self::End { place, .. } => place.size() + 8,
            Self::Floor { place, to, .. } => place.size() + 16 + of(&to.amount),
            Self::Count { place, amount, .. } => place.size() + 8 + of(amount),
            Self::Raise { place, .. } => place.size() + 20,
            Self::Expire { covers, deadlines } => 10 * (covers.len() + deadlines.len()),
            Self::Put(place, Put::Text(text)) => place.size() + text.len() + 8,
            Self::Put(place, _) => place.size() + 24,
        }
    }

    /// Whether the update with this name may do it.
    fn is_valid(&self, dot: Dot) -> bool {
        let fits = |place: &Place, put: &Put| match put {
            Put::Text(_) => matches!(place, Place::Whole | Place::Field(_) | Place::At(_)),
            Put::Member => matches!(place, Place::Member(_)),
            Put::Score(score) => matches!(place, Place::Scored(_)) && !score.is_nan(),
            Put::Deadline { said, .. } => {
                *place == Place::Expiry && said.is_none_or(|said| said.wall_ms <= WALL_MAX_MS)
            }
        };
        let counts = |place: &Place| matches!(place, Place::Whole | Place::Field(_));
        match self {
            Self::Clear(place) => place.is_valid(),
            Self::ClearValue | Self::ClearKey | Self::Expire { .. } => true,
            Self::Put(place, put) => place.is_valid() && fits(place, put),
            Self::Floor { place, to, .. } => counts(place) && to.amount.is_valid(),
            Self::Count { place, start, amount } => {
                counts(place) && *start <= dot.counter && amount.is_valid()
            }
            Self::End { place, start } => counts(place) && *start <= dot.counter,
            Self::Raise { place, score, .. } => matches!(place, Place::Scored(_)) && !score.is_nan(),
        }
    }
}
