//! Large batches arrive in parts, each in an entry of its own, so that other entries come between them:
//! nobody waits for a large value to be written, sent and synced.
//!
//! A replica that executes a part keeps it; the last one makes the batch whole, and it is executed as if it
//! had come in one piece. What is kept is a part of the replicated state: it is in images, and follows from
//! entries alone. The answer to a part is how many bytes of the batch are kept, and its coordinator goes on
//! from there, at whichever primary. So a part that comes again adds nothing, one behind a gap adds nothing
//! either, and a batch that was given up begins anew.
//!
//! # How it stays bounded
//!
//! Room is reserved with the first part, for all of the batch: [`PARTS_BYTES_MAX`] for all batches together,
//! and a quarter of the memory that the whole state may occupy, but one batch always. For others there is no
//! room until then. What goes:
//!
//! - with the batch itself, when it is executed, or its coordinator needs no answer to it any more;
//! - when it has not grown for [`SILENT_MS`]: its coordinator has given up, or its process has ended.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::id::{BatchId, Incarnation};
use crate::payload::{Batch, Part};
use crate::time::Timestamp;

/// All batches that are collected have at most so many bytes when they are whole. Longer ones are refused.
pub const PARTS_BYTES_MAX: u64 = 1 << 30;
/// A batch that has not grown for so many milliseconds of entry time is given up. Coordinators try for
/// seconds.
pub const SILENT_MS: u64 = 60_000;
/// A part is copied in pieces of so many bytes, each of which costs a step for so many bytes.
const PIECE: usize = 256 << 10;
const BYTES_PER_STEP: usize = 64;

/// The batches of which some parts have come.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    batches: BTreeMap<BatchId, Collected>,
    /// What is left to read of an image that is being made.
    image: VecDeque<Imaged>,
}

/// What has come of one batch.
#[derive(Debug)]
struct Collected {
    /// How many bytes it has when it is whole.
    of: u32,
    /// When it last grew.
    grown: Timestamp,
    bytes: BytesMut,
}

/// What an image has to say of a batch: so many of its bytes, the first of which have been read.
#[derive(Debug)]
struct Imaged {
    id: BatchId,
    read: usize,
    length: usize,
    /// The bytes, if the batch is gone from the state.
    gone: Option<Bytes>,
}

/// A batch in the head of an image. Its bytes follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outline {
    id: BatchId,
    of: u32,
    grown: Timestamp,
    length: u32,
}

/// What became of a part.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It was the last one: this is the batch.
    Whole(Bytes),
    /// So many bytes of the batch are kept, and its next part begins there.
    Kept(u32),
    /// There is no room for its batch.
    NoRoom,
}

impl Parts {
    /// Takes a part of a batch that has not been executed. `memory_max` is the limit of the entry for the
    /// whole state, 0 without one.
    pub(crate) fn take(
        &mut self,
        (time, memory_max): (Timestamp, u64),
        batch: &Batch,
        part: Part,
        budget: Budget<'_>,
    ) -> Taken {
        let known = self.batches.get(&batch.id).is_some_and(|collected| collected.of == part.of);
        if !known {
            self.remove(batch.id);
            if part.at > 0 {
                return Taken::Kept(0);
            }
            if !self.has_room(part.of, memory_max) {
                return Taken::NoRoom;
            }
        }
        let collected = self.batches.entry(batch.id).or_insert_with(|| Collected {
            of: part.of,
            grown: time,
            bytes: BytesMut::with_capacity(part.of as usize),
        });
        if collected.bytes.len() == part.at as usize {
            for piece in batch.body.chunks(PIECE) {
                collected.bytes.extend_from_slice(piece);
                budget.spend(piece.len() / BYTES_PER_STEP);
            }
            collected.grown = time;
        }
        let kept = collected.bytes.len();
        match kept >= part.of as usize {
            true => Taken::Whole(self.remove(batch.id).unwrap_or_default()),
            // It is less than the whole, whose length is such a number.
            false => Taken::Kept(kept as u32),
        }
    }

    fn has_room(&self, of: u32, memory_max: u64) -> bool {
        let reserved: u64 = self.batches.values().map(|collected| u64::from(collected.of)).sum();
        let all_max = if memory_max == 0 { PARTS_BYTES_MAX } else { PARTS_BYTES_MAX.min(memory_max / 4) };
        let of = u64::from(of);
        of <= PARTS_BYTES_MAX && (reserved == 0 || reserved + of <= all_max)
    }

    /// Removes a batch; its bytes.
    fn remove(&mut self, id: BatchId) -> Option<Bytes> {
        let bytes = self.batches.remove(&id)?.bytes.freeze();
        let imaged = self.image.iter_mut().find(|imaged| imaged.id == id && imaged.gone.is_none());
        if let Some(imaged) = imaged {
            imaged.gone = Some(bytes.clone());
        }
        Some(bytes)
    }

    fn remove_all(&mut self, is_gone: impl Fn(BatchId, &Collected) -> bool) {
        let gone = self.batches.iter().filter(|(id, collected)| is_gone(**id, collected));
        let gone: Vec<BatchId> = gone.map(|(id, _)| *id).collect();
        gone.into_iter().for_each(|id| drop(self.remove(id)));
    }

    /// A coordinator needs no answer to its batches below this one.
    pub(crate) fn confirmed(&mut self, coordinator: Incarnation, below: u64) {
        self.remove_all(|id, _| id.coordinator == coordinator && id.sequence < below);
    }

    /// The time is that of an entry: gives up what has not grown for long.
    pub(crate) fn expire(&mut self, time: Timestamp) {
        self.remove_all(|_, collected| time.0.saturating_sub(collected.grown.0) >= SILENT_MS);
    }

    /// About how many bytes all of it occupies.
    pub(crate) fn memory(&self) -> u64 {
        self.batches.values().map(|collected| collected.bytes.len() as u64).sum()
    }

    /// Begins an image: its head. The bytes of all batches, as they are now, follow in this order.
    pub(crate) fn begin_imaging(&mut self) -> Vec<Outline> {
        let imaged = |(id, collected): (&BatchId, &Collected)| Imaged {
            id: *id,
            read: 0,
            length: collected.bytes.len(),
            gone: None,
        };
        self.image = self.batches.iter().map(imaged).collect();
        let outline = |(id, collected): (&BatchId, &Collected)| Outline {
            id: *id,
            of: collected.of,
            grown: collected.grown,
            length: collected.bytes.len() as u32,
        };
        self.batches.iter().map(outline).collect()
    }

    /// Appends up to `room` of the bytes that follow to `chunk`; whether there are more.
    pub(crate) fn read_image(&mut self, mut room: usize, chunk: &mut Vec<u8>) -> bool {
        while let Some(imaged) = self.image.front_mut() {
            let bytes = match (&imaged.gone, self.batches.get(&imaged.id)) {
                (Some(bytes), _) => bytes,
                (None, Some(collected)) => &collected.bytes[..],
                (None, None) => unreachable!("a batch that goes leaves its bytes to the image"),
            };
            let end = imaged.length.min(imaged.read + room);
            chunk.extend_from_slice(&bytes[imaged.read..end]);
            room -= end - imaged.read;
            imaged.read = end;
            if end < imaged.length {
                return true;
            }
            self.image.pop_front();
        }
        false
    }

    /// Gives up the image that was begun, if any.
    pub(crate) fn stop_imaging(&mut self) {
        self.image.clear();
    }

    /// Begins anew with what the head of an image says.
    pub(crate) fn restore(&mut self, outlines: Vec<Outline>) {
        let imaged = |it: &Outline| Imaged { id: it.id, read: 0, length: it.length as usize, gone: None };
        self.image = outlines.iter().map(imaged).collect();
        let collected = |it: &Outline| Collected { of: it.of, grown: it.grown, bytes: BytesMut::new() };
        self.batches = outlines.iter().map(|outline| (outline.id, collected(outline))).collect();
    }

    /// Takes bytes that follow the head of an image; those that belong to what is behind them.
    pub(crate) fn arrive<'a>(&mut self, mut bytes: &'a [u8]) -> &'a [u8] {
        while let Some(imaged) = self.image.front_mut() {
            let (taken, rest) = bytes.split_at(bytes.len().min(imaged.length - imaged.read));
            if let Some(collected) = self.batches.get_mut(&imaged.id) {
                collected.bytes.extend_from_slice(taken);
            }
            imaged.read += taken.len();
            bytes = rest;
            if imaged.read < imaged.length {
                break;
            }
            self.image.pop_front();
        }
        bytes
    }

    /// Whether bytes of an image are still to come.
    pub(crate) fn awaits_bytes(&self) -> bool {
        !self.image.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(coordinator: u128, sequence: u64) -> BatchId {
        BatchId { coordinator: Incarnation(coordinator), sequence }
    }

    /// Takes the bytes from `at` on of a batch of `of` bytes.
    fn take(parts: &mut Parts, id: BatchId, at: u32, of: u32, body: &'static [u8]) -> Taken {
        take_at(parts, 0, id, (at, of), body)
    }

    fn take_at(
        parts: &mut Parts,
        time: u64,
        id: BatchId,
        (at, of): (u32, u32),
        body: &'static [u8],
    ) -> Taken {
        let part = Part { at, of };
        let batch =
            Batch { id, done_below: 1, part: Some(part), heard: Vec::new(), body: Bytes::from_static(body) };
        parts.take((Timestamp(time), 0), &batch, part, Budget::ENDLESS)
    }

    fn whole(bytes: &'static [u8]) -> Taken {
        Taken::Whole(Bytes::from_static(bytes))
    }

    #[test]
    fn the_last_part_makes_a_batch_whole() {
        let mut parts = Parts::default();
        assert_eq!(take(&mut parts, id(7, 1), 0, 5, b"ab"), Taken::Kept(2));
        assert_eq!(take(&mut parts, id(7, 2), 0, 3, b"x"), Taken::Kept(1), "another batch");
        assert_eq!(take(&mut parts, id(8, 1), 0, 3, b"y"), Taken::Kept(1), "another coordinator");
        assert_eq!(take(&mut parts, id(7, 1), 2, 5, b"cd"), Taken::Kept(4));
        assert_eq!(parts.memory(), 6);
        assert_eq!(take(&mut parts, id(7, 1), 4, 5, b"e"), whole(b"abcde"));
        assert_eq!(take(&mut parts, id(8, 1), 1, 3, b"zz"), whole(b"yzz"));
        assert_eq!((parts.batches.len(), parts.memory()), (1, 1));
    }

    #[test]
    fn a_part_that_comes_again_or_too_early_adds_nothing() {
        let mut parts = Parts::default();
        assert_eq!(take(&mut parts, id(7, 1), 2, 5, b"cd"), Taken::Kept(0), "nothing before it is here");
        assert_eq!(take(&mut parts, id(7, 1), 0, 5, b"ab"), Taken::Kept(2));
        assert_eq!(take(&mut parts, id(7, 1), 0, 5, b"ab"), Taken::Kept(2));
        assert_eq!(take(&mut parts, id(7, 1), 4, 5, b"e"), Taken::Kept(2), "not whole without the middle");
        assert_eq!(take(&mut parts, id(7, 1), 2, 5, b"cde"), whole(b"abcde"));
    }

    #[test]
    fn a_batch_of_another_length_is_another_one() {
        let mut parts = Parts::default();
        assert_eq!(take(&mut parts, id(7, 1), 0, 5, b"ab"), Taken::Kept(2));
        assert_eq!(take(&mut parts, id(7, 1), 2, 3, b"c"), Taken::Kept(0));
        assert_eq!(parts.batches.len(), 0);
    }

    #[test]
    fn what_nobody_waits_for_goes() {
        let mut parts = Parts::default();
        for it in [id(7, 1), id(7, 2), id(8, 1)] {
            take(&mut parts, it, 0, 5, b"ab");
        }
        parts.confirmed(Incarnation(7), 2);
        assert_eq!(take(&mut parts, id(7, 1), 2, 5, b"c"), Taken::Kept(0));
        assert_eq!(take_at(&mut parts, SILENT_MS - 1, id(7, 2), (2, 5), b"c"), Taken::Kept(3));
        parts.expire(Timestamp(SILENT_MS));
        assert_eq!(parts.batches.len(), 1, "one has grown since");
        parts.expire(Timestamp(2 * SILENT_MS));
        assert_eq!(parts.memory(), 0);
    }

    #[test]
    fn room_is_reserved_for_whole_batches() {
        let mut parts = Parts::default();
        let half = u32::try_from(PARTS_BYTES_MAX / 2).unwrap();
        assert_eq!(take(&mut parts, id(7, 1), 0, 2 * half + 1, b"a"), Taken::NoRoom, "ever");
        assert_eq!(take(&mut parts, id(7, 1), 0, half, b"a"), Taken::Kept(1));
        assert_eq!(take(&mut parts, id(7, 2), 0, half + 1, b"a"), Taken::NoRoom);
        assert_eq!(take(&mut parts, id(7, 2), 0, half, b"a"), Taken::Kept(1));
        assert_eq!(take(&mut parts, id(7, 3), 0, 2, b"a"), Taken::NoRoom);
        parts.confirmed(Incarnation(7), 2);
        assert_eq!(take(&mut parts, id(7, 3), 0, 2, b"a"), Taken::Kept(1));
        // One batch has room, whatever the limit.
        assert!(parts.has_room(100, 4 << 30) && !parts.has_room(100, 400));
        assert!(Parts::default().has_room(100, 4));
    }

    /// Reads an image that was begun, so many bytes at a time.
    fn read(parts: &mut Parts, bytes: usize) -> Vec<u8> {
        let mut image = Vec::new();
        while parts.read_image(bytes, &mut image) {}
        image
    }

    #[test]
    fn an_image_has_what_was_there_when_it_was_begun() {
        for bytes in [1, 2, 3, 100] {
            let mut parts = Parts::default();
            take(&mut parts, id(7, 1), 0, 5, b"ab");
            take(&mut parts, id(7, 2), 0, 5, b"cde");
            take(&mut parts, id(8, 1), 0, 5, b"f");
            let head = parts.begin_imaging();
            let mut image = Vec::new();
            parts.read_image(1, &mut image);
            assert_eq!(take(&mut parts, id(7, 1), 2, 5, b"xyz"), whole(b"abxyz"));
            take(&mut parts, id(8, 1), 1, 5, b"gh");
            parts.confirmed(Incarnation(7), 3);
            image.extend(read(&mut parts, bytes));
            assert_eq!(image, b"abcdef");

            let mut copy = Parts::default();
            copy.restore(head.clone());
            image.extend_from_slice(b"rest");
            let mut rest = Vec::new();
            for piece in image.chunks(bytes) {
                assert!(copy.awaits_bytes() || rest.len() + 4 > bytes);
                rest.extend_from_slice(copy.arrive(piece));
            }
            assert_eq!((rest.as_slice(), copy.awaits_bytes()), (&b"rest"[..], false));
            assert_eq!(copy.begin_imaging(), head);
            copy.stop_imaging();
            assert_eq!(take(&mut copy, id(7, 2), 3, 5, b"xy"), whole(b"cdexy"));
            assert_eq!(take(&mut copy, id(8, 1), 1, 5, b"g"), Taken::Kept(2));
        }
    }
}
