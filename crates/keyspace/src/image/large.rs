//! Large values, which are written and read in parts, however large they are.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, BytesMut};
use onecopy_core::Timestamp;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::encode::{put_count, record};
use super::{PART, Part, kind};
use crate::seed::Seed;
use crate::value::{Content, Hash, List, Set, Text, Typed, Value, Zset, stream};

/// A value that occupies more is large.
const LARGE_BYTES: u64 = 16 << 10;
/// A part has at most so many bytes of a value.
const PART_BYTES: usize = 64 << 10;

/// Whether a value comes in parts. A function of what it holds, the same on every copy.
pub(crate) fn is_large(content: Content<'_>) -> bool {
    content.memory() > LARGE_BYTES
}

/// How much of a large value has been written.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    /// In so many parts.
    parts: u32,
    /// The item that is next, and how many of its bytes have been. The fields of a hash and their values are
    /// items in turn.
    item: usize,
    offset: usize,
}

impl Cursor {
    /// Appends the next part of what is at a position of a slot, of the database that had this number.
    /// Whether it was the last.
    pub(crate) fn write(
        &mut self,
        number: u8,
        (slot, position): (usize, usize),
        content: Content<'_>,
        out: &mut Part,
    ) -> bool {
        let mut is_last = false;
        let digest = record(PART, number, &mut out.bytes, |out| {
            let start = out.len();
            // Less than 2^14.
            out.put_u16_le(slot as u16);
            put_count(position, out);
            out.put_u32_le(self.parts);
            is_last = self.write_items(content, out);
            xxh3_64_with_seed(&out[start..], number.into())
        });
        self.parts += 1;
        out.digest = out.digest.wrapping_add(digest);
        is_last
    }

    fn write_items(&mut self, content: Content<'_>, out: &mut BytesMut) -> bool {
        let end = out.len() + PART_BYTES;
        if self.parts == 0 && content.text().is_none() {
            put_count(content.len(), out);
        }
        let plain = |bytes| (bytes, None);
        match content {
            Content::Text(text) => {
                text.with(|bytes| self.write_all(std::iter::once((bytes, None)), end, out))
            }
            Content::List(list) => self.write_all(list.range(self.item..list.len()).map(plain), end, out),
            Content::Set(set) => self.write_all(set.iter_from(self.item).map(plain), end, out),
            Content::Hash(hash) => {
                let halves = hash.iter_from(self.item / 2).flat_map(|(field, value)| [field, value]);
                self.write_all(halves.skip(self.item % 2).map(plain), end, out)
            }
            Content::Zset(zset) => {
                let pairs = zset.iter_from(self.item).map(|(member, score)| (member, Some(score)));
                self.write_all(pairs, end, out)
            }
            Content::Stream(stream) => {
                self.write_all(stream.items_from(self.item).map(|item| (item, None)), end, out)
            }
        }
    }

    /// Writes items, of which it has written a part of the first, while there is room. Whether it came to the
    /// end.
    fn write_all<B: AsRef<[u8]>>(
        &mut self,
        items: impl Iterator<Item = (B, Option<f64>)>,
        end: usize,
        out: &mut BytesMut,
    ) -> bool {
        for (bytes, score) in items {
            let bytes = bytes.as_ref();
            // An element has less than 2^32 bytes.
            let length = (bytes.len() as u32).to_le_bytes();
            let score = score.map(f64::to_le_bytes);
            let mut written = self.offset;
            for piece in [length.as_slice(), bytes, score.as_ref().map_or(&[], <[u8; 8]>::as_slice)] {
                let rest = &piece[written.min(piece.len())..];
                written -= piece.len() - rest.len();
                let fits = rest.len().min(end.saturating_sub(out.len()));
                out.put_slice(&rest[..fits]);
                self.offset += fits;
                if fits < rest.len() {
                    return false;
                }
            }
            (self.item, self.offset) = (self.item + 1, 0);
        }
        true
    }
}

/// A large value of which not all parts have been read. Its key is there already, with something else.
#[derive(Debug)]
pub(super) struct Awaited {
    /// Of which database, and where.
    pub(super) number: u8,
    pub(super) slot: usize,
    pub(super) position: usize,
    pub(super) key: Box<[u8]>,
    pub(super) expires: Option<Timestamp>,
    /// How many parts have been read.
    parts: u32,
    /// What is not a whole item yet.
    buffer: BytesMut,
    /// How many items are missing, once that is known; of a string, how many bytes.
    left: Option<usize>,
    value: Building,
}

/// What there is of a value.
#[derive(Debug)]
enum Building {
    Text(Vec<u8>),
    List(List),
    Set(Set),
    /// And a field whose value is missing.
    Hash(Hash, Option<Vec<u8>>),
    Zset(Zset),
    Stream(Box<stream::Building>),
}

const TWICE: &str = "an element comes twice";
pub(super) const NO_STREAM: &str = "items that make no stream";

impl Awaited {
    /// The value of a key, of which no part has been read.
    pub(super) fn new(
        (number, slot, position): (u8, usize, usize),
        kind: u8,
        key: &[u8],
        expires: Option<Timestamp>,
        seed: Seed,
    ) -> Result<Self, &'static str> {
        let value = match kind {
            kind::RAW => Building::Text(Vec::new()),
            kind::LIST => Building::List(List::empty()),
            kind::SET => Building::Set(Set::empty()),
            kind::HASH => Building::Hash(Hash::empty(), None),
            kind::ZSET => Building::Zset(Zset::many(seed)),
            kind::STREAM => Building::Stream(Box::new(stream::Building::new())),
            _ => return Err("a large value of an unknown kind"),
        };
        let (key, buffer) = (key.into(), BytesMut::new());
        Ok(Self { number, slot, position, key, expires, parts: 0, buffer, left: None, value })
    }

    /// Reads the next part.
    pub(super) fn read(&mut self, part: u32, bytes: &[u8], seed: Seed) -> Result<(), &'static str> {
        if part != self.parts {
            return Err("parts of a large value in a wrong order");
        }
        self.parts += 1;
        self.buffer.extend_from_slice(bytes);
        if self.left.is_none() {
            let Some(count) = self.buffer.first_chunk::<4>().map(|count| u32::from_le_bytes(*count)) else {
                return Ok(());
            };
            self.buffer.advance(4);
            let halves = if matches!(self.value, Building::Hash(..)) { 2 } else { 1 };
            self.left = Some(count as usize * halves);
        }
        if let Building::Text(text) = &mut self.value {
            let bytes = self.buffer.split();
            text.extend_from_slice(&bytes);
            self.left = Some(self.left.unwrap_or(0).checked_sub(bytes.len()).ok_or(TOO_LONG)?);
            return Ok(());
        }
        while self.left != Some(0)
            && let Some(length) = self.buffer.first_chunk::<4>()
        {
            let scored = if matches!(self.value, Building::Zset(_)) { 8 } else { 0 };
            let (length, rest) = (u32::from_le_bytes(*length) as usize, &self.buffer[4..]);
            let Some((element, rest)) = rest.split_at_checked(length) else { break };
            let Some((score, _)) = rest.split_at_checked(scored) else { break };
            self.value.add(element, score, seed)?;
            self.buffer.advance(4 + length + scored);
            self.left = self.left.map(|left| left - 1);
        }
        if self.left == Some(0) && !self.buffer.is_empty() { Err(TOO_LONG) } else { Ok(()) }
    }

    /// Whether all of it has been read.
    pub(super) fn is_whole(&self) -> bool {
        self.left == Some(0)
    }

    /// The value.
    pub(super) fn into_value(self) -> Result<Value, &'static str> {
        let value = match self.value {
            Building::Text(text) if matches!(Text::new(&text), Text::Integer(_)) => {
                return Err("an integer in the form of a string");
            }
            Building::Text(text) => Value::Raw(text),
            Building::List(list) => list.into_value(),
            Building::Set(set) => set.into_value(),
            Building::Hash(hash, _) => hash.into_value(),
            Building::Zset(zset) => zset.into_value(),
            Building::Stream(building) => building.finish().ok_or(NO_STREAM)?.into_value(),
        };
        if is_large(value.content()) { Ok(value) } else { Err("a small value in parts") }
    }
}

const TOO_LONG: &str = "the parts of a large value are longer than it";

impl Building {
    fn add(&mut self, element: &[u8], score: &[u8], seed: Seed) -> Result<(), &'static str> {
        let is_new = match self {
            Self::Text(_) => true,
            Self::List(list) => {
                list.push_back(element);
                true
            }
            Self::Set(set) => set.insert(seed, element),
            Self::Hash(hash, waiting) => match waiting.take() {
                Some(field) => hash.insert(seed, &field, element),
                None => {
                    *waiting = Some(element.to_vec());
                    true
                }
            },
            Self::Zset(zset) => {
                let score = score.first_chunk().map_or(f64::NAN, |score| f64::from_le_bytes(*score));
                if score.is_nan() {
                    return Err("a score that is no number");
                }
                zset.insert(seed, element, score).is_none()
            }
            Self::Stream(building) => return building.add(element).ok_or(NO_STREAM),
        };
        if is_new { Ok(()) } else { Err(TWICE) }
    }
}

/// Large values in the order in which their parts come.
pub(super) type Queue = VecDeque<Awaited>;
