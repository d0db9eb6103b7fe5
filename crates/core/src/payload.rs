//! How the batches of several coordinators share one entry.
//!
//! One turn of a primary's event loop takes everything that has arrived and makes one entry of it. All
//! numbers are little-endian:
//!
//! ```text
//! payload := ε                                        a no-op
//!          | flags:u8 (memory_max:u64)? (groups:u32)? batch*
//!                                                     bit 1 of flags: there is a memory limit
//!                                                     bit 2: the primary's node has several groups
//! batch   := coordinator:u128 sequence:u64 done_below:u64 length:u32 (at:u32 of:u32)? body
//! ```
//!
//! Bit 31 of the length: it is a [part](crate::parts) of a batch, from byte `at` on, that has `of` bytes as a
//! whole.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::id::{BatchId, Incarnation};

/// Bit 0 once said that the memory of the primary was full. It is never used again.
const MEMORY_LIMITED: u8 = 1 << 1;
const SEVERAL_GROUPS: u8 = 1 << 2;
const BATCH_HEADER: usize = 16 + 8 + 8 + 4;
/// A bit of the length.
const IS_PART: u32 = 1 << 31;
/// What a batch, or a part of one, has at most.
pub const BODY_BYTES_MAX: usize = (IS_PART - 1) as usize;
const PART_HEADER: usize = 4 + 4;

/// One coordinator's commands within an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Whose it is, and which of theirs.
    pub id: BatchId,
    /// The coordinator has the answers to all its batches below this sequence number.
    pub done_below: u64,
    /// If this is not all of the batch: which part.
    pub part: Option<Part>,
    /// The commands, in the encoding of the state machine.
    pub body: Bytes,
}

/// Where in its batch a part lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// How many bytes of the batch are before it.
    pub at: u32,
    /// How many bytes the batch has as a whole.
    pub of: u32,
}

impl Part {
    /// Whether a part of so many bytes is the last one, with which the batch is executed.
    #[must_use]
    pub fn is_last(self, bytes: usize) -> bool {
        self.at as usize + bytes >= self.of as usize
    }
}

/// What the primary settled for the whole entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Commands that need memory are refused while the state occupies so many bytes; 0: never. It is the
    /// primary's limit, and holds for all copies: whether there is room is settled as each command executes.
    pub memory_max: u64,
    /// The primary's node has so many groups, this one included. They share what comparing copies may cost.
    pub groups: u32,
}

impl Default for Header {
    /// No limit, and no other group.
    fn default() -> Self {
        Self { memory_max: 0, groups: 1 }
    }
}

/// A payload is not what [`Builder`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payload of an entry is malformed at byte {at}")]
pub struct PayloadError {
    /// How far it was understood.
    pub at: usize,
}

/// Puts a payload together.
#[derive(Debug)]
pub struct Builder {
    buffer: BytesMut,
}

impl Builder {
    /// A payload without batches: executing it only lets time move on.
    #[must_use]
    pub fn new(header: Header) -> Self {
        let mut buffer = BytesMut::with_capacity(256);
        let memory_limited = if header.memory_max > 0 { MEMORY_LIMITED } else { 0 };
        let several_groups = if header.groups > 1 { SEVERAL_GROUPS } else { 0 };
        buffer.put_u8(memory_limited | several_groups);
        if memory_limited > 0 {
            buffer.put_u64_le(header.memory_max);
        }
        if several_groups > 0 {
            buffer.put_u32_le(header.groups);
        }
        Self { buffer }
    }

    /// Adds a batch. Panics if its body is larger than [`BODY_BYTES_MAX`], which no limit lets through.
    pub fn push(&mut self, batch: &Batch) {
        assert!(batch.body.len() <= BODY_BYTES_MAX, "a batch of 2 GiB");
        self.buffer.reserve(BATCH_HEADER + PART_HEADER + batch.body.len());
        self.buffer.put_u128_le(batch.id.coordinator.0);
        self.buffer.put_u64_le(batch.id.sequence);
        self.buffer.put_u64_le(batch.done_below);
        let length = batch.body.len() as u32;
        match batch.part {
            None => self.buffer.put_u32_le(length),
            Some(Part { at, of }) => {
                self.buffer.put_u32_le(length | IS_PART);
                self.buffer.put_u32_le(at);
                self.buffer.put_u32_le(of);
            }
        }
        self.buffer.put_slice(&batch.body);
    }

    /// How many bytes it has so far.
    #[must_use]
    pub fn size(&self) -> usize {
        self.buffer.len()
    }

    /// The payload.
    #[must_use]
    pub fn finish(self) -> Bytes {
        self.buffer.freeze()
    }
}

/// Takes a payload apart. The bodies share the payload's memory.
///
/// # Errors
/// When the header is unknown; each batch is an error by itself when it is malformed.
pub fn decode(payload: &Bytes) -> Result<(Header, Batches), PayloadError> {
    let mut rest = payload.clone();
    let flags = if rest.has_remaining() { rest.get_u8() } else { 0 };
    if flags & !(MEMORY_LIMITED | SEVERAL_GROUPS) != 0 {
        return Err(PayloadError { at: 0 });
    }
    let mut header = Header::default();
    let cut_short = |rest: &Bytes| PayloadError { at: payload.len() - rest.len() };
    if flags & MEMORY_LIMITED != 0 {
        header.memory_max = rest.try_get_u64_le().map_err(|_| cut_short(&rest))?;
    }
    if flags & SEVERAL_GROUPS != 0 {
        header.groups = rest.try_get_u32_le().map_err(|_| cut_short(&rest))?;
    }
    Ok((header, Batches { rest, total: payload.len() }))
}

/// The batches of a payload, in order.
#[derive(Debug)]
pub struct Batches {
    rest: Bytes,
    total: usize,
}

impl Iterator for Batches {
    type Item = Result<Batch, PayloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.rest.has_remaining() {
            return None;
        }
        let malformed = PayloadError { at: self.total - self.rest.len() };
        if self.rest.len() < BATCH_HEADER {
            self.rest.clear();
            return Some(Err(malformed));
        }
        let coordinator = Incarnation(self.rest.get_u128_le());
        let sequence = self.rest.get_u64_le();
        let done_below = self.rest.get_u64_le();
        let length = self.rest.get_u32_le();
        let (length, is_part) = ((length & !IS_PART) as usize, length & IS_PART != 0);
        if self.rest.len() < length + if is_part { PART_HEADER } else { 0 } {
            self.rest.clear();
            return Some(Err(malformed));
        }
        let part = is_part.then(|| Part { at: self.rest.get_u32_le(), of: self.rest.get_u32_le() });
        let body = self.rest.split_to(length);
        Some(Ok(Batch { id: BatchId { coordinator, sequence }, done_below, part, body }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(sequence: u64, body: &'static [u8]) -> Batch {
        let id = BatchId { coordinator: Incarnation(7), sequence };
        Batch { id, done_below: 1, part: None, body: Bytes::from_static(body) }
    }

    fn part(sequence: u64, at: u32, of: u32, body: &'static [u8]) -> Batch {
        Batch { part: Some(Part { at, of }), ..batch(sequence, body) }
    }

    #[test]
    fn what_goes_in_comes_out() {
        let mut builder = Builder::new(Header { memory_max: 7 << 30, groups: 1_000 });
        builder.push(&batch(1, b"one"));
        builder.push(&part(2, 5, 7, b"xy"));
        builder.push(&batch(3, b""));
        let (header, batches) = decode(&builder.finish()).unwrap();
        assert_eq!(header, Header { memory_max: 7 << 30, groups: 1_000 });
        let batches: Vec<Batch> = batches.map(Result::unwrap).collect();
        assert_eq!(batches, [batch(1, b"one"), part(2, 5, 7, b"xy"), batch(3, b"")]);
    }

    #[test]
    fn an_empty_payload_is_a_no_op() {
        let (header, mut batches) = decode(&Bytes::new()).unwrap();
        assert_eq!(header, Header::default());
        assert!(batches.next().is_none());
    }

    #[test]
    fn a_malformed_payload_is_an_error() {
        for batch in [batch(1, b"one"), part(1, 5, 8, b"one")] {
            let mut builder = Builder::new(Header::default());
            builder.push(&batch);
            let payload = builder.finish();
            for length in 2..payload.len() {
                let (_, mut batches) = decode(&payload.slice(..length)).unwrap();
                assert_eq!(batches.next(), Some(Err(PayloadError { at: 1 })));
                assert_eq!(batches.next(), None);
            }
        }
        assert_eq!(decode(&Bytes::from_static(&[0x80])).unwrap_err(), PayloadError { at: 0 });
        assert_eq!(decode(&Bytes::from_static(&[2, 0, 0])).unwrap_err(), PayloadError { at: 1 });
        let cut_short = Bytes::from_static(&[6, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(decode(&cut_short).unwrap_err(), PayloadError { at: 9 });
    }
}
