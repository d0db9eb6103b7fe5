//! How the batches of several coordinators share one entry.
//!
//! One turn of a primary's event loop takes everything that has arrived and makes one entry of it. All
//! numbers are little-endian:
//!
//! ```text
//! payload := ε                                        a no-op
//!          | flags:u8 (more:u8)? (level:u32)? (memory_max:u64)? (groups:u32)?
//!            (count:u32 coordinator:u128*)? (policy:u8 length:u32 victim*)? (encodings:u32*)? (switch:u64)?
//!            batch*
//!                                                     bit 1 of flags: there is a memory limit
//!                                                     bit 2: the primary's node has several groups
//!                                                     bit 3: all coordinators are absent
//!                                                     bit 4: these coordinators are absent
//!                                                     bit 5: there is an eviction policy
//!                                                     bit 6: encodings have other limits than usual
//!                                                     bit 7: there are more flags
//!                                                     bit 0 of more: it is not of the first level
//!                                                     bit 1: a seal; switch 0: it opens the group again
//! batch   := coordinator:u128 sequence:u64 done_below:u64 length:u32 (at:u32 of:u32)?
//!            (count:u32 heard:u64*)? body
//! ```
//!
//! Bit 31 of the length: it is a [part](crate::parts) of a batch, from byte `at` on, that has `of` bytes as a
//! whole. Bit 30: the coordinator has heard the answers to these parked batches.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::encodings::Encodings;
use crate::eviction::Policy;
use crate::id::{BatchId, Incarnation};
use crate::level::Level;

/// Bit 0 once said that the memory of the primary was full. It is never used again.
const MEMORY_LIMITED: u8 = 1 << 1;
const SEVERAL_GROUPS: u8 = 1 << 2;
const ALL_ABSENT: u8 = 1 << 3;
const SOME_ABSENT: u8 = 1 << 4;
const EVICTS: u8 = 1 << 5;
const ENCODES: u8 = 1 << 6;
const MORE: u8 = 1 << 7;
/// Of the further flags.
const LEVELLED: u8 = 1;
const SEALS: u8 = 1 << 1;
const BATCH_HEADER: usize = 16 + 8 + 8 + 4;
/// Bits of the length.
const IS_PART: u32 = 1 << 31;
const HAS_HEARD: u32 = 1 << 30;
/// What a batch, or a part of one, has at most.
pub const BODY_BYTES_MAX: usize = (HAS_HEARD - 1) as usize;
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
    /// The coordinator has heard, or waits no more for, the answers to these batches that were parked.
    pub heard: Vec<u64>,
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

/// Of which coordinators a primary does not know whether they are there: see
/// [`StateMachine::absent`](crate::StateMachine::absent).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Absent {
    /// Of none that it did not name before.
    #[default]
    Nobody,
    /// Of all: it has just become the primary.
    Everybody,
    /// Of these: it has lost the connection to their nodes.
    These(Vec<Incarnation>),
}

/// What an entry does to the seal of its group, see [`Replicated::sealed`](crate::Replicated::sealed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// Once it is executed, the group executes nothing more, for the sake of the switch with this number,
    /// which is never 0.
    Close(u64),
    /// That switch is over, or was given up: the group goes on.
    Open,
}

/// What the primary settled for the whole entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The level in force where it was made. One before it in the log may carry a higher one, which holds.
    pub level: Level,
    /// Commands that need memory are refused while the state occupies so many bytes; 0: never. It is the
    /// primary's limit, and holds for all copies: whether there is room is settled as each command executes.
    pub memory_max: u64,
    /// The primary's node has so many groups, this one included. They share what comparing copies may cost.
    pub groups: u32,
    /// Who may be gone.
    pub absent: Absent,
    /// What goes where there is no room.
    pub policy: Policy,
    /// What goes first, if there is a policy, in the encoding of the state machine: what the primary takes
    /// for the least used.
    pub victims: Bytes,
    /// Up to which sizes a value is said to have a compact encoding.
    pub encodings: Encodings,
    /// Whether it closes the group, or opens it.
    pub seal: Option<Seal>,
}

impl Default for Header {
    /// The first level, no limit, and no other group.
    fn default() -> Self {
        let (policy, victims, encodings) = (Policy::NoEviction, Bytes::new(), Encodings::default());
        let (level, absent) = (Level::FIRST, Absent::Nobody);
        Self { level, memory_max: 0, groups: 1, absent, policy, victims, encodings, seal: None }
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
        let levelled = if header.level == Level::FIRST { 0 } else { LEVELLED };
        let memory_limited = if header.memory_max > 0 { MEMORY_LIMITED } else { 0 };
        let several_groups = if header.groups > 1 { SEVERAL_GROUPS } else { 0 };
        let absent = match &header.absent {
            Absent::Nobody => 0,
            Absent::Everybody => ALL_ABSENT,
            Absent::These(_) => SOME_ABSENT,
        };
        let evicts = if header.policy.evicts() { EVICTS } else { 0 };
        let encodes = if header.encodings == Encodings::default() { 0 } else { ENCODES };
        let seals = if header.seal.is_some() { SEALS } else { 0 };
        let more = if levelled | seals > 0 { MORE } else { 0 };
        buffer.put_u8(more | memory_limited | several_groups | absent | evicts | encodes);
        if more > 0 {
            buffer.put_u8(levelled | seals);
        }
        if levelled > 0 {
            buffer.put_u32_le(header.level.0);
        }
        if memory_limited > 0 {
            buffer.put_u64_le(header.memory_max);
        }
        if several_groups > 0 {
            buffer.put_u32_le(header.groups);
        }
        if let Absent::These(coordinators) = &header.absent {
            buffer.put_u32_le(coordinators.len() as u32);
            coordinators.iter().for_each(|coordinator| buffer.put_u128_le(coordinator.0));
        }
        if evicts > 0 {
            buffer.put_u8(header.policy.number());
            buffer.put_u32_le(header.victims.len() as u32);
            buffer.put_slice(&header.victims);
        }
        if encodes > 0 {
            header.encodings.put(&mut buffer);
        }
        match header.seal {
            None => {}
            Some(Seal::Close(switch)) => buffer.put_u64_le(switch),
            Some(Seal::Open) => buffer.put_u64_le(0),
        }
        Self { buffer }
    }

    /// Adds a batch. Panics if its body is larger than [`BODY_BYTES_MAX`], which no limit lets through.
    pub fn push(&mut self, batch: &Batch) {
        assert!(batch.body.len() <= BODY_BYTES_MAX, "a batch of 1 GiB");
        self.buffer.reserve(BATCH_HEADER + PART_HEADER + 4 + 8 * batch.heard.len() + batch.body.len());
        self.buffer.put_u128_le(batch.id.coordinator.0);
        self.buffer.put_u64_le(batch.id.sequence);
        self.buffer.put_u64_le(batch.done_below);
        let has_heard = if batch.heard.is_empty() { 0 } else { HAS_HEARD };
        let length = batch.body.len() as u32 | has_heard;
        match batch.part {
            None => self.buffer.put_u32_le(length),
            Some(Part { at, of }) => {
                self.buffer.put_u32_le(length | IS_PART);
                self.buffer.put_u32_le(at);
                self.buffer.put_u32_le(of);
            }
        }
        if has_heard > 0 {
            self.buffer.put_u32_le(batch.heard.len() as u32);
            batch.heard.iter().for_each(|sequence| self.buffer.put_u64_le(*sequence));
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
    if flags & !(MORE | MEMORY_LIMITED | SEVERAL_GROUPS | ALL_ABSENT | SOME_ABSENT | EVICTS | ENCODES) != 0 {
        return Err(PayloadError { at: 0 });
    }
    let mut header = Header::default();
    let cut_short = |rest: &Bytes| PayloadError { at: payload.len() - rest.len() };
    let more = match flags & MORE != 0 {
        true => rest.try_get_u8().map_err(|_| cut_short(&rest))?,
        false => 0,
    };
    if more & !(LEVELLED | SEALS) != 0 {
        return Err(PayloadError { at: 1 });
    }
    if more & LEVELLED != 0 {
        header.level = rest.try_get_u32_le().map(Level).map_err(|_| cut_short(&rest))?;
    }
    if flags & MEMORY_LIMITED != 0 {
        header.memory_max = rest.try_get_u64_le().map_err(|_| cut_short(&rest))?;
    }
    if flags & SEVERAL_GROUPS != 0 {
        header.groups = rest.try_get_u32_le().map_err(|_| cut_short(&rest))?;
    }
    if flags & ALL_ABSENT != 0 {
        header.absent = Absent::Everybody;
    } else if flags & SOME_ABSENT != 0 {
        let ids = take_numbers(&mut rest, 16).ok_or_else(|| cut_short(&rest))?;
        let ids =
            ids.chunks_exact(16).filter_map(|id| Some(Incarnation(u128::from_le_bytes(id.try_into().ok()?))));
        header.absent = Absent::These(ids.collect());
    }
    if flags & EVICTS != 0 {
        let policy = rest.try_get_u8().ok().and_then(Policy::numbered);
        header.policy = policy.ok_or_else(|| cut_short(&rest))?;
        header.victims = take_numbers(&mut rest, 1).ok_or_else(|| cut_short(&rest))?;
    }
    if flags & ENCODES != 0 {
        header.encodings = Encodings::take(&mut rest).ok_or_else(|| cut_short(&rest))?;
    }
    if more & SEALS != 0 {
        header.seal = Some(match rest.try_get_u64_le().map_err(|_| cut_short(&rest))? {
            0 => Seal::Open,
            switch => Seal::Close(switch),
        });
    }
    Ok((header, Batches { rest, total: payload.len() }))
}

/// Takes a count, and so many numbers of so many bytes each.
fn take_numbers(rest: &mut Bytes, bytes: usize) -> Option<Bytes> {
    let count = rest.try_get_u32_le().ok()? as usize;
    let length = count.checked_mul(bytes).filter(|length| *length <= rest.len())?;
    Some(rest.split_to(length))
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
        let (is_part, has_heard) = (length & IS_PART != 0, length & HAS_HEARD != 0);
        let length = (length & !(IS_PART | HAS_HEARD)) as usize;
        let batch = self.take_rest(length, is_part, has_heard).map(|(part, heard, body)| Batch {
            id: BatchId { coordinator, sequence },
            done_below,
            part,
            heard,
            body,
        });
        if batch.is_none() {
            self.rest.clear();
        }
        Some(batch.ok_or(malformed))
    }
}

impl Batches {
    fn take_rest(
        &mut self,
        length: usize,
        is_part: bool,
        has_heard: bool,
    ) -> Option<(Option<Part>, Vec<u64>, Bytes)> {
        let part = match is_part {
            true if self.rest.len() < PART_HEADER => return None,
            true => Some(Part { at: self.rest.get_u32_le(), of: self.rest.get_u32_le() }),
            false => None,
        };
        let mut heard = Vec::new();
        if has_heard {
            let numbers = take_numbers(&mut self.rest, 8)?;
            heard.extend(
                numbers.chunks_exact(8).filter_map(|it| Some(u64::from_le_bytes(it.try_into().ok()?))),
            );
        }
        (length <= self.rest.len()).then(|| (part, heard, self.rest.split_to(length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(sequence: u64, body: &'static [u8]) -> Batch {
        let id = BatchId { coordinator: Incarnation(7), sequence };
        Batch { id, done_below: 1, part: None, heard: Vec::new(), body: Bytes::from_static(body) }
    }

    fn part(sequence: u64, at: u32, of: u32, body: &'static [u8]) -> Batch {
        Batch { part: Some(Part { at, of }), ..batch(sequence, body) }
    }

    #[test]
    fn what_goes_in_comes_out() {
        let these = Absent::These(vec![Incarnation(7), Incarnation(1 << 90)]);
        for absent in [Absent::Nobody, Absent::Everybody, these] {
            let victims = Bytes::from_static(b"victims");
            let policy = Policy::VolatileLfu;
            let encodings = Encodings { list_size: -5, zset_value: 7, ..Encodings::default() };
            let (level, memory_max, groups) = (Level(7), 7 << 30, 1_000);
            let seal = match absent {
                Absent::Nobody => None,
                Absent::Everybody => Some(Seal::Open),
                Absent::These(_) => Some(Seal::Close(5)),
            };
            let header = Header { level, memory_max, groups, absent, policy, victims, encodings, seal };
            let mut builder = Builder::new(header.clone());
            let made = [
                batch(1, b"one"),
                part(2, 5, 7, b"xy"),
                batch(3, b""),
                Batch { heard: vec![1, 1 << 40], ..batch(4, b"four") },
                Batch { heard: vec![2], ..part(5, 5, 7, b"xy") },
            ];
            made.iter().for_each(|batch| builder.push(batch));
            let (decoded, batches) = decode(&builder.finish()).unwrap();
            assert_eq!(decoded, header);
            assert_eq!(batches.map(Result::unwrap).collect::<Vec<_>>(), made);
        }
    }

    #[test]
    fn an_empty_payload_is_a_no_op() {
        let (header, mut batches) = decode(&Bytes::new()).unwrap();
        assert_eq!(header, Header::default());
        assert!(batches.next().is_none());
    }

    #[test]
    fn a_malformed_payload_is_an_error() {
        let with_heard = Batch { heard: vec![1, 2], ..batch(1, b"one") };
        for batch in [batch(1, b"one"), part(1, 5, 8, b"one"), with_heard] {
            let mut builder = Builder::new(Header::default());
            builder.push(&batch);
            let payload = builder.finish();
            for length in 2..payload.len() {
                let (_, mut batches) = decode(&payload.slice(..length)).unwrap();
                assert_eq!(batches.next(), Some(Err(PayloadError { at: 1 })));
                assert_eq!(batches.next(), None);
            }
        }
        assert_eq!(decode(&Bytes::from_static(&[1])).unwrap_err(), PayloadError { at: 0 });
        for (flags, at) in
            [(&[0x80][..], 1), (&[0x80, 4, 0, 0], 1), (&[0x80, 1, 0, 0], 2), (&[0x80, 2, 0, 0], 2)]
        {
            assert_eq!(decode(&Bytes::copy_from_slice(flags)).unwrap_err(), PayloadError { at }, "{flags:?}");
        }
        assert_eq!(decode(&Bytes::from_static(&[2, 0, 0])).unwrap_err(), PayloadError { at: 1 });
        let cut_short = Bytes::from_static(&[6, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(decode(&cut_short).unwrap_err(), PayloadError { at: 9 });
        for unknown in [&[32, 9, 0, 0, 0, 0], &[32, 1, 9, 0, 0, 0]] {
            assert!(decode(&Bytes::copy_from_slice(unknown)).is_err());
        }
        let more_than_there_are = Bytes::from_static(&[16, 255, 255, 255, 255, 0]);
        assert_eq!(decode(&more_than_there_are).unwrap_err(), PayloadError { at: 5 });
    }
}
