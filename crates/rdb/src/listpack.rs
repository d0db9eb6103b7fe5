//! Listpacks: rows of short texts and integers in one string (Salvatore Sanfilippo, "Listpack", 2017).
//!
//! ```text
//! listpack := bytes:u32 count:u16 entry* 255      count: 65535 if there are more
//! entry    := encoding data back                  back: how long it is, to walk backwards
//! ```

use std::borrow::Cow;

use crate::{CUT, Corrupt, number};

const HEADER: usize = 6;
const END: u8 = 0xff;
/// There are as many, or more.
const COUNT_UNKNOWN: u16 = u16::MAX;

/// Reads the entries.
#[derive(Debug)]
pub(crate) struct Listpack<'a> {
    rest: &'a [u8],
    /// How many entries the header says there are, and how many have been read.
    count: Option<usize>,
    read: usize,
}

/// An entry.
#[derive(Clone, Debug)]
pub(crate) enum Entry<'a> {
    Text(&'a [u8]),
    Integer(i64),
}

impl<'a> Entry<'a> {
    pub(crate) fn text(self) -> Cow<'a, [u8]> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Integer(integer) => number::to_text(integer),
        }
    }

    pub(crate) fn integer(self) -> Result<i64, Corrupt> {
        match self {
            Self::Integer(integer) => Ok(integer),
            Self::Text(text) => number::of_text(text).ok_or(Corrupt("a text where a number should be")),
        }
    }
}

impl<'a> Listpack<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Corrupt> {
        let (header, rest) = bytes.split_first_chunk::<HEADER>().ok_or(CUT)?;
        let [a, b, c, d, low, high] = *header;
        if u32::from_le_bytes([a, b, c, d]) as usize != bytes.len() {
            return Err(Corrupt("a listpack of another length"));
        }
        let count = u16::from_le_bytes([low, high]);
        Ok(Self { rest, count: (count != COUNT_UNKNOWN).then_some(count.into()), read: 0 })
    }

    /// The next entry, unless there is none.
    pub(crate) fn next(&mut self) -> Result<Option<Entry<'a>>, Corrupt> {
        let (first, rest) = self.rest.split_first().ok_or(CUT)?;
        if *first == END {
            let is_whole = rest.is_empty() && self.count.is_none_or(|count| count == self.read);
            return if is_whole {
                Ok(None)
            } else {
                Err(Corrupt("a listpack with another number of entries"))
            };
        }
        let (encoding, text) = match *first {
            0..0x80 => (0, None),
            0x80..0xc0 => (1, Some(usize::from(first & 0x3f))),
            0xc0..0xe0 => (1, None),
            0xe0..0xf0 => {
                let low = *rest.first().ok_or(CUT)?;
                (2, Some(usize::from(first & 0xf) << 8 | usize::from(low)))
            }
            0xf0 => {
                let length = rest.first_chunk().ok_or(CUT)?;
                (5, Some(u32::from_le_bytes(*length) as usize))
            }
            0xf1..=0xf4 => (1, None),
            _ => return Err(Corrupt("an entry of a listpack in an unknown encoding")),
        };
        let data = text.unwrap_or_else(|| integer_bytes(*first));
        let length = encoding + data;
        let entry = self.rest.get(..length).ok_or(CUT)?;
        let body = &entry[encoding..];
        let entry = match (text, *first) {
            (Some(_), _) => Entry::Text(body),
            (None, 0..0x80) => Entry::Integer((*first).into()),
            (None, 0xc0..0xe0) => {
                let number = i64::from(first & 0x1f) << 8 | i64::from(body[0]);
                Entry::Integer(if number >= 1 << 12 { number - (1 << 13) } else { number })
            }
            (None, _) => Entry::Integer(number::of_bytes(body)),
        };
        let back = back_length(length);
        self.rest = self.rest.get(length + back..).ok_or(CUT)?;
        self.read += 1;
        Ok(Some(entry))
    }

    /// The next entry, which must be there.
    pub(crate) fn want(&mut self) -> Result<Entry<'a>, Corrupt> {
        self.next()?.ok_or(CUT)
    }
}

/// How many bytes an integer has behind its encoding; one of seven bits is within that.
fn integer_bytes(first: u8) -> usize {
    match first {
        0..0x80 | 0xc0..0xe0 => 1,
        0xf1 => 2,
        0xf2 => 3,
        0xf3 => 4,
        _ => 8,
    }
}

/// How many bytes say how long an entry of so many bytes is.
fn back_length(length: usize) -> usize {
    match length {
        0..0x80 => 1,
        0x80..0x3fff => 2,
        0x3fff..0x1f_ffff => 3,
        0x1f_ffff..0xfff_ffff => 4,
        _ => 5,
    }
}

/// Writes a listpack.
#[derive(Debug)]
pub(crate) struct Writer {
    out: Vec<u8>,
    count: usize,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self { out: vec![0; HEADER], count: 0 }
    }

    /// Appends a text, as the integer that it stands for if it does.
    pub(crate) fn text(&mut self, text: &[u8]) {
        if let Some(integer) = number::of_text(text) {
            return self.integer(integer);
        }
        let start = self.out.len();
        match text.len() {
            length @ 0..0x40 => self.out.push(0x80 | length as u8),
            length @ 0x40..0x1000 => self.out.extend([0xe0 | (length >> 8) as u8, length as u8]),
            length => {
                self.out.push(0xf0);
                self.out.extend((length as u32).to_le_bytes());
            }
        }
        self.out.extend_from_slice(text);
        self.end_entry(start);
    }

    /// Appends an integer.
    pub(crate) fn integer(&mut self, integer: i64) {
        let start = self.out.len();
        let bytes = integer.to_le_bytes();
        let fits = |bits: u32| (-(1i64 << (bits - 1))..1i64 << (bits - 1)).contains(&integer);
        match integer {
            0..0x80 => self.out.push(bytes[0]),
            _ if fits(13) => self.out.extend([0xc0 | bytes[1] & 0x1f, bytes[0]]),
            _ => {
                let (encoding, length) = match integer {
                    _ if fits(16) => (0xf1, 2),
                    _ if fits(24) => (0xf2, 3),
                    _ if fits(32) => (0xf3, 4),
                    _ => (0xf4, 8),
                };
                self.out.push(encoding);
                self.out.extend_from_slice(&bytes[..length]);
            }
        }
        self.end_entry(start);
    }

    fn end_entry(&mut self, start: usize) {
        let length = self.out.len() - start;
        let back = back_length(length);
        // The highest bits first; all bytes but the first say that there are more before them.
        for place in (0..back).rev() {
            let digit = (length >> (7 * place)) as u8 & 0x7f;
            self.out.push(if place + 1 == back { digit } else { digit | 0x80 });
        }
        self.count += 1;
    }

    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// Appends the entries of another one.
    pub(crate) fn append(&mut self, other: Self) {
        self.out.extend_from_slice(&other.out[HEADER..]);
        self.count += other.count;
    }

    /// The listpack.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.out.push(END);
        let length = self.out.len() as u32;
        let count = u16::try_from(self.count).unwrap_or(COUNT_UNKNOWN);
        self.out[..4].copy_from_slice(&length.to_le_bytes());
        self.out[4..HEADER].copy_from_slice(&count.to_le_bytes());
        self.out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Corrupt> {
        let (mut listpack, mut entries) = (Listpack::new(bytes)?, Vec::new());
        while let Some(entry) = listpack.next()? {
            entries.push(entry.text().into_owned());
        }
        Ok(entries)
    }

    #[test]
    fn every_encoding_comes_back() {
        let integers = [0, 127, 128, -1, 4095, 4096, -4096, -4097, 32767, 32768, 8_388_607, 8_388_608];
        let mut writer = Writer::new();
        let mut texts: Vec<Vec<u8>> = integers.iter().map(|number: &i64| number.to_string().into()).collect();
        texts.extend([i64::MAX, i64::MIN, i64::from(i32::MIN)].map(|number| number.to_string().into()));
        texts.extend([0, 1, 63, 64, 4095, 4096, 70_000].map(|length| vec![b'x'; length]));
        texts.iter().for_each(|text| writer.text(text));
        assert_eq!(read(&writer.finish()), Ok(texts));
    }

    #[test]
    fn a_listpack_that_redis_wrote_is_read() {
        // Of `RPUSH k a 1 -1`.
        let bytes = [15, 0, 0, 0, 3, 0, 0x81, b'a', 2, 1, 1, 0xdf, 0xff, 2, 0xff];
        assert_eq!(read(&bytes), Ok(vec![b"a".to_vec(), b"1".to_vec(), b"-1".to_vec()]));
    }

    proptest! {
        #[test]
        fn no_bytes_are_believed(mut bytes in proptest::collection::vec(any::<u8>(), 6..80)) {
            let length = bytes.len() as u32;
            bytes[..4].copy_from_slice(&length.to_le_bytes());
            drop(read(&bytes));
        }
    }
}
