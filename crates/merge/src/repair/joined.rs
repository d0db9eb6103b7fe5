//! What a pull has brought, joined in one step, and as bytes: whoever keeps a log of deltas logs it like one,
//! and joins it again at the next start.

use bytes::Bytes;
use onecopy_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cell::Cell;
use crate::clock::Clock;
use crate::delta::Delta;
use crate::place::Place;
use crate::replica::Replica;
use crate::stamp::Stamp;
use crate::store::Key;

/// The version of the format, its first byte.
const FORMAT: u8 = 1;

/// What was fetched of the other side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Staged {
    /// A whole key: where nothing is named the other side has nothing.
    Key { db: u8, name: Bytes, cells: Vec<(Place, Cell)> },
    /// A place of a key.
    Place { db: u8, name: Bytes, place: Place, cell: Cell },
}

impl Staged {
    /// A key of which the other side has nothing.
    pub(super) fn absent(key: &Key) -> Self {
        Self::Key { db: key.db(), name: key.name().clone(), cells: Vec::new() }
    }

    pub(super) fn place(key: &Key, place: Place, cell: Cell) -> Self {
        Self::Place { db: key.db(), name: key.name().clone(), place, cell }
    }

    /// The stamps of what was fetched.
    fn stamps(&self) -> Vec<Stamp> {
        let of = |cell: &Cell| cell.atoms().iter().map(|(_, atom)| atom.stamp()).max();
        match self {
            Self::Key { cells, .. } => cells.iter().filter_map(|(_, cell)| of(cell)).collect(),
            Self::Place { cell, .. } => of(cell).into_iter().collect(),
        }
    }

    fn is_valid(&self) -> bool {
        match self {
            Self::Key { cells, .. } => cells.iter().all(|(place, cell)| place.is_valid() && cell.is_valid()),
            Self::Place { place, cell, .. } => place.is_valid() && cell.is_valid(),
        }
    }
}

/// What differed from another replica's state, and what that one had seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Joined {
    pub(super) clock: Clock,
    pub(super) staged: Vec<Staged>,
}

/// Bytes are nothing that was joined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinedError {
    /// It is in a format of another version.
    #[error("what a repair brought is in format {0:?}, which is of no version that is known")]
    Format(Option<u8>),
    /// It is in another encoding.
    #[error("what a repair brought cannot be decoded: {0}")]
    Encoding(postcard::Error),
    /// It says what no replica says.
    #[error("what a repair brought makes no sense")]
    Senseless,
}

impl Joined {
    /// How many keys and places it has: those that differed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.staged.len()
    }

    /// Whether nothing differed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.staged.is_empty()
    }

    /// What the other side had seen.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![FORMAT]).expect("memory takes every repair")
    }

    /// The same, of its bytes.
    ///
    /// # Errors
    /// When the bytes are cut, or say what no replica says.
    pub fn decode(bytes: &[u8]) -> Result<Self, JoinedError> {
        let Some((&FORMAT, body)) = bytes.split_first() else {
            return Err(JoinedError::Format(bytes.first().copied()));
        };
        let joined: Self = postcard::from_bytes(body).map_err(JoinedError::Encoding)?;
        if joined.staged.iter().all(Staged::is_valid) { Ok(joined) } else { Err(JoinedError::Senseless) }
    }
}

impl Replica {
    /// Joins everything, and the clock, in one step. These deltas, which had waited, show now as well.
    pub fn join(&mut self, now: Timestamp, joined: &Joined) -> Vec<Delta> {
        let (own, clock, nothing, rules) = (self.clock.clone(), &joined.clock, Cell::default(), self.rules);
        for staged in &joined.staged {
            // Later stamps of this replica are to follow what it has taken over.
            for stamp in staged.stamps() {
                self.hybrid.observe(now, stamp, rules);
            }
            match staged {
                Staged::Key { db, name, cells } => self.store.edit(&Key::of(*db, name.clone()), |object| {
                    let is_named = |place: &Place| cells.iter().any(|(other, _)| other == place);
                    let here = object.cells().map(|(place, _)| place.clone());
                    let absent: Vec<Place> = here.filter(|place| !is_named(place)).collect();
                    for place in &absent {
                        object.join(place, &nothing, (&own, clock), rules);
                    }
                    cells.iter().for_each(|(place, cell)| object.join(place, cell, (&own, clock), rules));
                }),
                Staged::Place { db, name, place, cell } => {
                    self.store.edit(&Key::of(*db, name.clone()), |object| {
                        object.join(place, cell, (&own, clock), rules);
                    });
                }
            }
        }
        self.clock.merge(clock);
        self.store.fold(&self.clock);
        self.repairing = None;
        self.waiting.forget_seen(&self.clock);
        self.show_waiting(now)
    }
}
