//! Zipmaps: what small hashes were before Redis 2.6.
//!
//! ```text
//! zipmap := count:u8 pair* 255                 count: 254 if there are more
//! pair   := length key length free:u8 value    free: so many bytes behind the value mean nothing
//! length := u8 | 254 u32
//! ```

use crate::{CUT, Corrupt};

const END: u8 = 0xff;
const LONG: u8 = 0xfe;

/// A field and its value.
type Pair<'a> = (&'a [u8], &'a [u8]);

/// Reads the pairs.
#[derive(Debug)]
pub(crate) struct Zipmap<'a>(&'a [u8]);

impl<'a> Zipmap<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Corrupt> {
        bytes.split_first().map(|(_, rest)| Self(rest)).ok_or(CUT)
    }

    /// The next pair, unless there is none.
    pub(crate) fn next(&mut self) -> Result<Option<Pair<'a>>, Corrupt> {
        if self.0 == [END] {
            return Ok(None);
        }
        let length = self.length()?;
        let key = self.take(length)?;
        let length = self.length()?;
        let free = self.take(1)?[0];
        let value = self.take(length)?;
        self.take(free.into())?;
        Ok(Some((key, value)))
    }

    fn length(&mut self) -> Result<usize, Corrupt> {
        match self.take(1)?[0] {
            LONG => {
                let length = self.take(4)?.first_chunk().ok_or(CUT)?;
                Ok(u32::from_le_bytes(*length) as usize)
            }
            END => Err(Corrupt("a zipmap that goes on behind its end")),
            length => Ok(length.into()),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Corrupt> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(CUT)?;
        self.0 = rest;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_may_have_something_behind_them() {
        let bytes = [2, 1, b'a', 2, 1, b'b', b'c', 0, LONG, 1, 0, 0, 0, b'd', 0, 0, END];
        let mut zipmap = Zipmap::new(&bytes).expect("it begins");
        assert_eq!(zipmap.next(), Ok(Some((b"a".as_slice(), b"bc".as_slice()))));
        assert_eq!(zipmap.next(), Ok(Some((b"d".as_slice(), b"".as_slice()))));
        assert_eq!(zipmap.next(), Ok(None));
    }

    #[test]
    fn what_ends_too_early_or_too_late_is_corrupt() {
        let read = |bytes: &[u8]| {
            let mut zipmap = Zipmap::new(bytes)?;
            while zipmap.next()?.is_some() {}
            Ok::<(), Corrupt>(())
        };
        assert!(read(&[]).is_err() && read(&[0]).is_err() && read(&[1, 1, b'a', 1, 0]).is_err());
        assert!(read(&[0, END, 0]).is_err());
        assert_eq!(read(&[0, END]), Ok(()));
    }
}
