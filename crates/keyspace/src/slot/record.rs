//! How a key and its value lie in an arena.
//!
//! ```text
//! record := head:u8 key_length value_length? key value
//! head   := bit 7: it was removed; below: what the value is
//! value  := byte*      a string, of value_length bytes
//!         | i64        a string that reads as an integer
//!         | u32        the number of a value that lies beside
//! lengths have seven bits in each byte, and bit 7 in all but the last
//! ```

use std::ops::Range;

const REMOVED: u8 = 0x80;
const BYTES: u8 = 0;
const INTEGER: u8 = 1;
const BESIDE: u8 = 2;

/// The value of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload<'a> {
    Bytes(&'a [u8]),
    Integer(i64),
    /// The number of a value that lies beside.
    Beside(u32),
}

/// Where the parts of a record are.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    head: u8,
    pub(crate) key: Range<usize>,
    /// The bytes of the whole record.
    pub(crate) size: usize,
}

/// A length, and how many bytes it has.
fn length(bytes: &[u8]) -> (usize, usize) {
    let mut length = 0;
    for (at, byte) in bytes.iter().enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return (length, at + 1);
        }
    }
    unreachable!("a length ends")
}

fn length_size(length: usize) -> usize {
    (usize::BITS - (length | 1).leading_zeros()).div_ceil(7) as usize
}

fn put_length(mut length: usize, out: &mut Vec<u8>) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

/// The record at the beginning of `bytes`.
pub(crate) fn parse(bytes: &[u8]) -> Parts {
    let head = bytes[0] & !REMOVED;
    let (key, key_digits) = length(&bytes[1..]);
    let mut start = 1 + key_digits;
    let value = match head {
        BYTES => {
            let (value, digits) = length(&bytes[start..]);
            start += digits;
            value
        }
        INTEGER => 8,
        _ => 4,
    };
    Parts { head, key: start..start + key, size: start + key + value }
}

/// The key of the record at the beginning of `bytes`.
pub(crate) fn key(bytes: &[u8]) -> &[u8] {
    &bytes[parse(bytes).key]
}

impl Parts {
    pub(crate) fn payload<'a>(&self, bytes: &'a [u8]) -> Payload<'a> {
        let value = &bytes[self.key.end..self.size];
        match self.head {
            BYTES => Payload::Bytes(value),
            INTEGER => Payload::Integer(i64::from_le_bytes(fixed(value))),
            _ => Payload::Beside(u32::from_le_bytes(fixed(value))),
        }
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("a value of a fixed size has it")
}

impl Payload<'_> {
    /// How many bytes a record of a key with this value has.
    pub(crate) fn record_size(&self, key: &[u8]) -> usize {
        let value = match self {
            Self::Bytes(bytes) => length_size(bytes.len()) + bytes.len(),
            Self::Integer(_) => 8,
            Self::Beside(_) => 4,
        };
        1 + length_size(key.len()) + key.len() + value
    }

    /// Writes a record.
    pub(crate) fn write(&self, key: &[u8], out: &mut Vec<u8>) {
        out.push(match self {
            Self::Bytes(_) => BYTES,
            Self::Integer(_) => INTEGER,
            Self::Beside(_) => BESIDE,
        });
        put_length(key.len(), out);
        if let Self::Bytes(bytes) = self {
            put_length(bytes.len(), out);
        }
        out.extend_from_slice(key);
        match self {
            Self::Bytes(bytes) => out.extend_from_slice(bytes),
            Self::Integer(number) => out.extend_from_slice(&number.to_le_bytes()),
            Self::Beside(number) => out.extend_from_slice(&number.to_le_bytes()),
        }
    }

    /// Writes the value over that of a record that has just as many bytes, if that is of the same kind;
    /// whether it is.
    pub(crate) fn overwrite(&self, parts: &Parts, record: &mut [u8]) -> bool {
        let old = &mut record[parts.key.end..parts.size];
        match self {
            Self::Bytes(bytes) if parts.head == BYTES && old.len() == bytes.len() => {
                old.copy_from_slice(bytes)
            }
            Self::Integer(number) if parts.head == INTEGER => old.copy_from_slice(&number.to_le_bytes()),
            Self::Beside(number) if parts.head == BESIDE => old.copy_from_slice(&number.to_le_bytes()),
            _ => return false,
        }
        true
    }
}

pub(crate) fn mark_removed(head: &mut u8) {
    *head |= REMOVED;
}

pub(crate) fn is_removed(head: u8) -> bool {
    head & REMOVED != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for key_length in [0, 1, 127, 128, 16_383, 16_384, 3_000_000] {
            let key: Vec<u8> = (0..key_length).map(|at: u32| at as u8).collect();
            for value in [0, 1, 127, 128, 1024] {
                let bytes = vec![7; value];
                for payload in [Payload::Bytes(&bytes), Payload::Integer(-5), Payload::Beside(9)] {
                    let mut record = Vec::new();
                    payload.write(&key, &mut record);
                    assert_eq!(record.len(), payload.record_size(&key));
                    record.extend_from_slice(b"what is behind");
                    let parts = parse(&record);
                    assert_eq!(parts.size, payload.record_size(&key));
                    assert_eq!(&record[parts.key.clone()], key);
                    assert_eq!(parts.payload(&record), payload);
                }
            }
        }
    }

    #[test]
    fn a_value_of_the_same_size_is_written_over() {
        let mut record = Vec::new();
        Payload::Bytes(b"seven..").write(b"key", &mut record);
        let parts = parse(&record);
        assert!(!Payload::Integer(1).overwrite(&parts, &mut record), "another kind");
        assert!(!Payload::Bytes(b"eight...").overwrite(&parts, &mut record));
        assert!(Payload::Bytes(b"another").overwrite(&parts, &mut record));
        assert_eq!(parse(&record).payload(&record), Payload::Bytes(b"another"));
        assert_eq!(key(&record), b"key");
        mark_removed(&mut record[0]);
        assert!(is_removed(record[0]));
        assert_eq!(key(&record), b"key");
    }
}
