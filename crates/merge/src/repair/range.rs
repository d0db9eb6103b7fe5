//! Ranges of coordinates: all that begin with the same bits.

use std::ops::RangeInclusive;

use onecopy_keyspace::slots::SLOTS;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Sum;
use crate::object::Object;
use crate::place::Place;

/// Into how many parts a range is divided, as a power of two.
const PART_BITS: u8 = 4;
/// How many bits of a key's coordinate are its slot.
const SLOT_BITS: u8 = SLOTS.trailing_zeros() as u8;

/// All coordinates that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Range {
    /// The first coordinate.
    begin: u64,
    /// How many of its bits all share.
    bits: u8,
}

impl Range {
    /// All coordinates.
    pub const ALL: Self = Self { begin: 0, bits: 0 };

    /// Whether it is one: what comes from elsewhere may not be.
    pub(super) fn is_valid(self) -> bool {
        self.bits <= 64 - PART_BITS && self.begin & self.within() == 0
    }

    /// The bits that may be anything.
    fn within(self) -> u64 {
        u64::MAX.checked_shr(self.bits.into()).unwrap_or(0)
    }

    /// The coordinates in it.
    pub(super) fn coordinates(self) -> RangeInclusive<u64> {
        self.begin..=self.begin | self.within()
    }

    /// Its parts; `None` if they are single coordinates.
    pub(super) fn parts(self) -> Option<impl Iterator<Item = Self>> {
        let bits = self.bits + PART_BITS;
        (bits <= 64 - PART_BITS).then(|| {
            (0..1 << PART_BITS).map(move |part: u64| Self { begin: self.begin | part << (64 - bits), bits })
        })
    }

    /// The sum over the keys in it, from the digests of slots if it is made of whole slots, and else from
    /// those of its keys.
    pub(super) fn sum_of_keys<'a>(self, slots: &[u64], keys: impl FnOnce(Self) -> Vec<&'a Object>) -> u64 {
        if self.bits > SLOT_BITS {
            return keys(self).into_iter().map(Object::digest).fold(0, u64::wrapping_add);
        }
        let slot = |coordinate: u64| usize::try_from(coordinate >> (64 - SLOT_BITS)).unwrap_or(usize::MAX);
        let (first, last) = self.coordinates().into_inner();
        slots[slot(first)..=slot(last)].iter().copied().fold(0, u64::wrapping_add)
    }
}

/// The coordinate of a place among those of its key.
pub(super) fn coordinate_of(place: &Place) -> u64 {
    let bytes = postcard::to_allocvec(place).expect("memory takes every place");
    xxh3_64_with_seed(&bytes, 1)
}

/// What stands at the places of a key: coordinates and digests, in order.
pub(super) fn places_of(object: &Object) -> Vec<(u64, &Place, u64)> {
    let mut places: Vec<_> = object
        .cells()
        .map(|(place, cell)| (coordinate_of(place), place, object.digest_of(place, cell)))
        .collect();
    places.sort_unstable_by_key(|(coordinate, place, _)| (*coordinate, *place));
    places
}

/// The part of sorted items whose coordinates are in a range.
pub(super) fn within<T>(items: &[T], range: Range, coordinate: impl Fn(&T) -> u64) -> &[T] {
    let (first, last) = range.coordinates().into_inner();
    let begin = items.partition_point(|item| coordinate(item) < first);
    let end = items.partition_point(|item| coordinate(item) <= last);
    &items[begin..end]
}

pub(super) fn sum(sum: u64) -> Sum {
    sum.to_le_bytes()
}
