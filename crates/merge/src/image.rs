//! The whole state of a replica as bytes: what it keeps on disk, and a backup of it.
//!
//! A replica that goes on after its process was restarted takes the image and its own number. A backup that
//! is restored takes a number that nobody had (rule O5): what was done after the backup was made is known to
//! others by its dots, and they must not be given to anything else.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::cell::Cell;
use crate::clock::Clock;
use crate::dot::ReplicaId;
use crate::place::Place;
use crate::replica::Replica;
use crate::store::Key;
use onecopy_core::Rules;

/// The version of the format, its first byte.
const FORMAT: u8 = 1;

/// A key, as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    db: u8,
    name: Bytes,
    cells: Vec<(Place, Cell)>,
}

/// Everything, as it is kept.
#[derive(Serialize, Deserialize)]
struct Image {
    id: ReplicaId,
    clock: Clock,
    keys: Vec<Kept>,
}

/// Bytes are no image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// It is in a format of another version.
    #[error("an image in format {0:?} is of no version that is known")]
    Format(Option<u8>),
    /// It is not in the encoding of images.
    #[error("the image cannot be decoded: {0}")]
    Encoding(postcard::Error),
    /// It is cut or damaged: its sum is another one, or what it says makes no sense.
    #[error("the image is damaged")]
    Damaged,
}

impl Replica {
    /// The state as bytes. What waits is not part of it: it comes again.
    #[must_use]
    pub fn image(&self) -> Vec<u8> {
        let keys = self.store.objects().map(|(key, object)| Kept {
            db: key.db(),
            name: key.name().clone(),
            cells: object.cells().map(|(place, cell)| (place.clone(), cell.clone())).collect(),
        });
        let image = Image { id: self.id, clock: self.clock.clone(), keys: keys.collect() };
        let body = postcard::to_allocvec(&image).expect("memory takes every image");
        [&[FORMAT], &xxh3_64(&body).to_le_bytes()[..], &body].concat()
    }

    /// The replica that an image was made of. To become another one: [`Replica::in_life`].
    ///
    /// # Errors
    /// When the bytes are no image, or a damaged one.
    pub fn restore(image: &[u8], rules: Rules) -> Result<Self, ImageError> {
        let Some((&FORMAT, rest)) = image.split_first() else {
            return Err(ImageError::Format(image.first().copied()));
        };
        let (sum, body) = rest.split_first_chunk::<8>().ok_or(ImageError::Damaged)?;
        if xxh3_64(body).to_le_bytes() != *sum {
            return Err(ImageError::Damaged);
        }
        let Image { id, clock, keys } = postcard::from_bytes(body).map_err(ImageError::Encoding)?;
        let mut replica = Self::new(id, rules);
        replica.clock = clock;
        let (nothing, everything) = (Clock::new(), replica.clock.clone());
        for Kept { db, name, cells } in keys {
            if !cells.iter().all(|(place, cell)| place.is_valid() && cell.is_valid()) {
                return Err(ImageError::Damaged);
            }
            replica.store.edit(&Key::of(db, name), |object| {
                for (place, cell) in &cells {
                    object.join(place, cell, (&nothing, &everything), rules);
                }
            });
        }
        Ok(replica)
    }
}
