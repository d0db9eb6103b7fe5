//! Bytes of many small records, in segments.
//!
//! A record is written behind the last one, and stays where it is. One that is removed leaves a hole, and a
//! segment with more than a third of holes is *evacuated*: what is left in it is written anew, and it is
//! freed. So at most half as much again is held as there is, no step is longer than the evacuation of one
//! segment, and an allocation serves some hundred keys.

use super::record;
use crate::steps::copying;

/// How many bytes a segment has at most. Those of longer records have just the one.
const SEGMENT: usize = 1 << OFFSET_BITS;
const OFFSET_BITS: u32 = 15;
/// Longer records have a segment of their own.
const SHARED_MAX: usize = SEGMENT / 4;
/// The first segment begins with so many bytes.
const FIRST: usize = 256;

/// Where a record lies: a segment, and a byte within it. Forty bits are enough for a million million bytes.
pub(crate) type Place = [u8; 5];

fn place_of(segment: usize, offset: usize) -> Place {
    let number = (segment as u64) << OFFSET_BITS | offset as u64;
    let [a, b, c, d, e, rest @ ..] = number.to_le_bytes();
    assert_eq!(rest, [0; 3], "an arena of more than 2^40 bytes");
    [a, b, c, d, e]
}

fn segment_and_offset([a, b, c, d, e]: Place) -> (usize, usize) {
    let number = u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]);
    ((number >> OFFSET_BITS) as usize, number as usize % SEGMENT)
}

#[derive(Clone, Debug, Default)]
struct Segment {
    bytes: Vec<u8>,
    /// How many bytes belong to records that were removed.
    holes: usize,
    /// It waits to be evacuated.
    is_condemned: bool,
}

impl Segment {
    /// Whether so much of it is holes that it is worth while to write the rest anew.
    fn is_wasteful(&self) -> bool {
        self.holes * 3 > self.bytes.len()
    }
}

/// The segments.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arena {
    segments: Vec<Segment>,
    /// Segments without bytes.
    unused: Vec<u32>,
    /// The one that is written to, once there is one.
    tail: Option<usize>,
    condemned: Vec<u32>,
}

impl Arena {
    /// The same again, segment by segment. `step` hears of the steps of each.
    pub(crate) fn copy(&self, step: &mut dyn FnMut(usize)) -> Self {
        let copy = |segment: &Segment| {
            step(1 + copying(segment.bytes.len()));
            segment.clone()
        };
        let segments = self.segments.iter().map(copy).collect();
        let (unused, condemned) = (self.unused.clone(), self.condemned.clone());
        Self { segments, unused, tail: self.tail, condemned }
    }

    /// The record at a place, and what is behind it.
    pub(crate) fn at(&self, place: Place) -> &[u8] {
        let (segment, offset) = segment_and_offset(place);
        &self.segments[segment].bytes[offset..]
    }

    pub(crate) fn at_mut(&mut self, place: Place) -> &mut [u8] {
        let (segment, offset) = segment_and_offset(place);
        &mut self.segments[segment].bytes[offset..]
    }

    /// Adds a record of so many bytes, which `write` appends.
    pub(crate) fn append(&mut self, size: usize, write: impl FnOnce(&mut Vec<u8>)) -> Place {
        let segment = if size > SHARED_MAX { self.open(size) } else { self.tail_for(size) };
        let bytes = &mut self.segments[segment].bytes;
        let offset = bytes.len();
        write(bytes);
        assert_eq!(bytes.len() - offset, size, "a record has the size that was said");
        place_of(segment, offset)
    }

    /// A segment with so much room and nothing in it.
    fn open(&mut self, capacity: usize) -> usize {
        let bytes = Vec::with_capacity(capacity);
        let segment = Segment { bytes, holes: 0, is_condemned: false };
        match self.unused.pop() {
            Some(number) => {
                self.segments[number as usize] = segment;
                number as usize
            }
            None => {
                self.segments.push(segment);
                self.segments.len() - 1
            }
        }
    }

    fn open_tail(&mut self, capacity: usize) -> usize {
        let number = self.open(capacity);
        self.tail = Some(number);
        number
    }

    /// The segment that is written to, with room for so many bytes.
    fn tail_for(&mut self, size: usize) -> usize {
        let Some(number) = self.tail else {
            return self.open_tail(FIRST.max(size));
        };
        let tail = &mut self.segments[number];
        let needed = tail.bytes.len() + size;
        if needed <= tail.bytes.capacity() {
            return number;
        }
        if needed <= SEGMENT && !tail.is_wasteful() {
            // By a quarter of a power of two, of which allocators have blocks.
            let quarter = needed.next_power_of_two() / 8;
            tail.bytes.reserve_exact(needed.next_multiple_of(quarter).min(SEGMENT) - tail.bytes.len());
            return number;
        }
        let left = tail.bytes.len() - tail.holes;
        let capacity = if needed > SEGMENT { SEGMENT } else { FIRST.max(left + size) };
        self.condemn_if_wasteful(number);
        self.open_tail(capacity)
    }

    fn condemn_if_wasteful(&mut self, number: usize) {
        let segment = &mut self.segments[number];
        if segment.is_wasteful() && !segment.is_condemned {
            segment.is_condemned = true;
            self.condemned.push(number as u32);
        }
    }

    /// Makes a hole of a record of so many bytes.
    pub(crate) fn remove(&mut self, place: Place, size: usize) {
        let (number, offset) = segment_and_offset(place);
        let segment = &mut self.segments[number];
        record::mark_removed(&mut segment.bytes[offset]);
        segment.holes += size;
        if self.tail != Some(number) {
            self.condemn_if_wasteful(number);
        }
    }

    /// The bytes of a segment that is to be evacuated, and its number. It has none from now on.
    pub(crate) fn evacuate(&mut self) -> Option<(usize, Vec<u8>)> {
        let number = self.condemned.pop()?;
        let segment = std::mem::take(&mut self.segments[number as usize]);
        self.unused.push(number);
        Some((number as usize, segment.bytes))
    }

    /// The records of an evacuated segment that are not removed, with the place where each was.
    pub(crate) fn records(number: usize, bytes: &[u8]) -> impl Iterator<Item = (Place, &[u8])> {
        let mut offset = 0;
        std::iter::from_fn(move || {
            while offset < bytes.len() {
                let at = offset;
                let size = record::parse(&bytes[at..]).size;
                offset += size;
                if !record::is_removed(bytes[at]) {
                    return Some((place_of(number, at), &bytes[at..at + size]));
                }
            }
            None
        })
    }

    /// Frees a segment of an arena that nobody uses any more; whether there was one.
    pub(crate) fn shed(&mut self) -> bool {
        self.segments.pop().is_some()
    }

    /// Frees segments of an arena that nobody uses any more, until at most `left` of `all` are left.
    pub(crate) fn shed_share(&mut self, left: usize, all: usize) {
        self.segments.truncate((self.segments.len() * left).div_ceil(all.max(1)));
    }
}
