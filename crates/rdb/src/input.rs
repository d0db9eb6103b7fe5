//! The primitives of RDB: lengths and strings.

use std::borrow::Cow;

use crate::{CUT, Corrupt, lzf, number};

/// So many bytes may be unpacked from one input, all in all: what is compressed may claim to be large.
pub const UNPACKED_MAX: usize = 512 << 20;

/// Bytes that are read from front to back.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    rest: &'a [u8],
    /// How many bytes may still be unpacked.
    unpacked: usize,
}

/// A length, or how a string is encoded instead.
pub(crate) enum Length {
    Plain(u64),
    Special(u8),
}

impl<'a> Input<'a> {
    /// To read all of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, unpacked: UNPACKED_MAX }
    }

    /// Whether everything has been read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next bytes.
    ///
    /// # Errors
    /// There are fewer.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Corrupt> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or(CUT)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// There are fewer.
    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Corrupt> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(CUT)?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// The next byte.
    ///
    /// # Errors
    /// There is none.
    pub fn byte(&mut self) -> Result<u8, Corrupt> {
        self.fixed::<1>().map(|[byte]| byte)
    }

    pub(crate) fn any_length(&mut self) -> Result<Length, Corrupt> {
        let first = self.byte()?;
        let low = u64::from(first & 0x3f);
        Ok(match first {
            0..0x40 => Length::Plain(low),
            0x40..0x80 => Length::Plain(low << 8 | u64::from(self.byte()?)),
            0x80 => Length::Plain(u32::from_be_bytes(self.fixed()?).into()),
            0x81 => Length::Plain(u64::from_be_bytes(self.fixed()?)),
            0xc0.. => Length::Special(first & 0x3f),
            _ => return Err(Corrupt("a length that makes no sense")),
        })
    }

    /// A length, or another number.
    ///
    /// # Errors
    /// There is none.
    pub fn length(&mut self) -> Result<u64, Corrupt> {
        match self.any_length()? {
            Length::Plain(length) => Ok(length),
            Length::Special(_) => Err(Corrupt("a length that makes no sense")),
        }
    }

    /// A number of things of which each takes at least one byte.
    pub(crate) fn count(&mut self) -> Result<usize, Corrupt> {
        let count = self.length()?;
        usize::try_from(count).ok().filter(|count| *count <= self.rest.len()).ok_or(CUT)
    }

    /// A string.
    ///
    /// # Errors
    /// There is none, or too much has been unpacked.
    pub fn string(&mut self) -> Result<Cow<'a, [u8]>, Corrupt> {
        match self.any_length()? {
            Length::Plain(length) => {
                let length = usize::try_from(length).map_err(|_| CUT)?;
                self.take(length).map(Cow::Borrowed)
            }
            Length::Special(0) => self.fixed::<1>().map(|bytes| number::to_text(number::of_bytes(&bytes))),
            Length::Special(1) => self.fixed::<2>().map(|bytes| number::to_text(number::of_bytes(&bytes))),
            Length::Special(2) => self.fixed::<4>().map(|bytes| number::to_text(number::of_bytes(&bytes))),
            Length::Special(3) => {
                let (packed, length) = (self.count()?, self.length()?);
                let packed = self.take(packed)?;
                let too_much = Corrupt("it unpacks to too much");
                let length = usize::try_from(length).map_err(|_| too_much)?;
                self.unpacked = self.unpacked.checked_sub(length).ok_or(too_much)?;
                lzf::decompress(packed, length).map(Cow::Owned)
            }
            Length::Special(_) => Err(Corrupt("a string in an unknown encoding")),
        }
    }

    /// A time in milliseconds, or another number of eight bytes.
    pub(crate) fn millis(&mut self) -> Result<u64, Corrupt> {
        self.fixed().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_four_forms() {
        let length = |bytes: &[u8]| Input::new(bytes).length();
        assert_eq!((length(&[63]), length(&[0x7f, 0xff])), (Ok(63), Ok(16383)));
        assert_eq!(length(&[0x80, 0, 1, 0, 0]), Ok(65536));
        assert_eq!(length(&[0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Ok(u64::MAX));
        assert!(length(&[0x82]).is_err() && length(&[0xc0, 1]).is_err() && length(&[0x40]).is_err());
    }

    #[test]
    fn strings_may_be_integers() {
        let string = |bytes: &[u8]| Input::new(bytes).string().map(Cow::into_owned);
        assert_eq!(string(&[2, b'a', b'b', b'c']), Ok(b"ab".to_vec()));
        assert_eq!(string(&[0xc0, 0x85]), Ok(b"-123".to_vec()));
        assert_eq!(string(&[0xc1, 0, 0x80]), Ok(b"-32768".to_vec()));
        assert_eq!(string(&[0xc2, 0, 0, 1, 0]), Ok(b"65536".to_vec()));
        assert!(string(&[2, b'a']).is_err() && string(&[0xc4, 0]).is_err());
    }

    #[test]
    fn what_claims_to_be_huge_is_not_unpacked() {
        let mut bytes = vec![0xc3, 1, 0x81];
        bytes.extend((UNPACKED_MAX as u64 + 1).to_be_bytes());
        bytes.push(0);
        assert_eq!(Input::new(&bytes).string(), Err(Corrupt("it unpacks to too much")));
    }
}
