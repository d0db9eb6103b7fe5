//! Zipmaps: what small hashes were before Redis 2.6.
//!
//! ```text
//! zipmap := count:u8 pair* 255                 count: 254 if there are more
//! pair   := length key length free:u8 value    free: so many bytes behind the value mean nothing
//! length := u8 | 254 u32
//! ```

use crate::Corrupt;
use crate::input::Input;

const END: u8 = 0xff;
const LONG: u8 = 0xfe;
const BEHIND_THE_END: Corrupt = Corrupt("a zipmap that goes on behind its end");

/// A field and its value.
type Pair<'a> = (&'a [u8], &'a [u8]);

/// Reads the pairs.
#[derive(Debug)]
pub(crate) struct Zipmap<'a>(Input<'a>);

impl<'a> Zipmap<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Corrupt> {
        let mut input = Input::new(bytes);
        // How many pairs there are, if they are few: the end says it as well.
        input.byte()?;
        Ok(Self(input))
    }

    /// The next pair, unless there is none.
    pub(crate) fn next(&mut self) -> Result<Option<Pair<'a>>, Corrupt> {
        let Some(length) = self.length()? else {
            return if self.0.is_empty() { Ok(None) } else { Err(BEHIND_THE_END) };
        };
        let key = self.0.take(length)?;
        let length = self.length()?.ok_or(BEHIND_THE_END)?;
        let free = self.0.byte()?;
        let value = self.0.take(length)?;
        self.0.take(free.into())?;
        Ok(Some((key, value)))
    }

    /// A length, unless it is the end.
    fn length(&mut self) -> Result<Option<usize>, Corrupt> {
        Ok(match self.0.byte()? {
            LONG => Some(u32::from_le_bytes(self.0.fixed()?) as usize),
            END => None,
            length => Some(length.into()),
        })
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
