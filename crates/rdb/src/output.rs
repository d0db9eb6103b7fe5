//! Values, written.

use crate::element::StreamId;
use crate::listpack::Writer;
use crate::stream::SAME_FIELDS;
use crate::{Kind, number};

/// A value, from front to back. The first byte says what it is.
#[derive(Debug, Default)]
pub struct Output(Vec<u8>);

impl Output {
    /// Begins a value of this kind.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self(vec![kind as u8])
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Room for so many more bytes.
    pub fn reserve(&mut self, bytes: usize) {
        self.0.reserve(bytes);
    }

    /// What has been written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// A length, or another number.
    pub fn length(&mut self, length: u64) {
        match length {
            0..0x40 => self.0.push(length as u8),
            0x40..0x4000 => self.0.extend([0x40 | (length >> 8) as u8, length as u8]),
            0x4000..=0xffff_ffff => {
                self.0.push(0x80);
                self.0.extend((length as u32).to_be_bytes());
            }
            _ => {
                self.0.push(0x81);
                self.0.extend(length.to_be_bytes());
            }
        }
    }

    /// A string.
    pub fn string(&mut self, text: &[u8]) {
        match number::of_text(text) {
            Some(number) => self.integer(number),
            None => {
                self.length(text.len() as u64);
                self.0.extend_from_slice(text);
            }
        }
    }

    /// A string that is the text of an integer.
    pub fn integer(&mut self, integer: i64) {
        if let Ok(byte) = i8::try_from(integer) {
            self.0.push(0xc0);
            self.0.extend(byte.to_le_bytes());
        } else if let Ok(short) = i16::try_from(integer) {
            self.0.push(0xc1);
            self.0.extend(short.to_le_bytes());
        } else if let Ok(int) = i32::try_from(integer) {
            self.0.push(0xc2);
            self.0.extend(int.to_le_bytes());
        } else {
            let text = number::to_text(integer);
            self.length(text.len() as u64);
            self.0.extend_from_slice(&text);
        }
    }

    /// A score.
    pub fn score(&mut self, score: f64) {
        self.0.extend(score.to_le_bytes());
    }

    /// An id of a stream's entry as two numbers.
    pub fn id(&mut self, (ms, seq): StreamId) {
        self.length(ms);
        self.length(seq);
    }

    /// The same as sixteen bytes.
    pub fn raw_id(&mut self, (ms, seq): StreamId) {
        self.0.extend(ms.to_be_bytes());
        self.0.extend(seq.to_be_bytes());
    }

    /// A time in milliseconds.
    pub fn millis(&mut self, millis: u64) {
        self.0.extend(millis.to_le_bytes());
    }

    /// Some entries of a stream.
    pub fn node(&mut self, node: Node) {
        self.length(16);
        self.raw_id(node.master);
        let bytes = node.finish();
        self.length(bytes.len() as u64);
        self.0.extend(bytes);
    }
}

/// Entries of a stream that stand in one listpack.
#[derive(Debug)]
pub struct Node {
    /// The id from which the others count: that of the first entry.
    master: StreamId,
    /// The fields of the first entry.
    names: Vec<Vec<u8>>,
    count: u64,
    entries: Writer,
}

/// A listpack takes so many entries, and so many bytes unless it has but one: Redis' defaults.
const ENTRIES_MAX: u64 = 100;
const BYTES_MAX: usize = 4096;

impl Node {
    /// A node whose first entry will have this id, and these fields.
    pub fn new<'a>(master: StreamId, names: impl Iterator<Item = &'a [u8]>) -> Self {
        Self { master, names: names.map(<[u8]>::to_vec).collect(), count: 0, entries: Writer::new() }
    }

    /// Whether another entry of about so many bytes belongs into another node.
    #[must_use]
    pub fn is_full(&self, bytes: usize) -> bool {
        self.count >= ENTRIES_MAX || self.count > 0 && self.entries.len() + bytes > BYTES_MAX
    }

    /// Appends an entry of these fields and values.
    pub fn entry<'a>(&mut self, id: StreamId, pairs: &[(&'a [u8], &'a [u8])]) {
        let names = self.names.iter().map(Vec::as_slice);
        let is_alike = names.eq(pairs.iter().map(|(name, _)| *name));
        let out = &mut self.entries;
        out.integer(if is_alike { SAME_FIELDS } else { 0 });
        // What is later by more milliseconds may have a lower number.
        out.integer(id.0.wrapping_sub(self.master.0).cast_signed());
        out.integer(id.1.wrapping_sub(self.master.1).cast_signed());
        let fields = pairs.len() as i64;
        if is_alike {
            pairs.iter().for_each(|(_, value)| out.text(value));
            out.integer(fields + 3);
        } else {
            out.integer(fields);
            pairs.iter().for_each(|(name, value)| {
                out.text(name);
                out.text(value);
            });
            out.integer(2 * fields + 4);
        }
        self.count += 1;
    }

    fn finish(self) -> Vec<u8> {
        let mut out = Writer::new();
        out.integer(self.count.cast_signed());
        // None is deleted.
        out.integer(0);
        out.integer(self.names.len() as i64);
        self.names.iter().for_each(|name| out.text(name));
        out.integer(0);
        out.append(self.entries);
        out.finish()
    }
}
