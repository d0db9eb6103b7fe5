//! Ziplists: what listpacks were until Redis 7.
//!
//! ```text
//! ziplist := bytes:u32 tail:u32 count:u16 entry* 255      count: 65535 if there are more
//! entry   := before encoding data                         before: how long the one before it is
//! ```

use crate::input::Input;
use crate::listpack::Entry;
use crate::{Corrupt, number};

const HEADER: usize = 10;
const END: u8 = 0xff;
const COUNT_UNKNOWN: u16 = u16::MAX;
/// The length of the entry before is in the four bytes that follow.
const LONG: u8 = 0xfe;

/// Reads the entries.
#[derive(Debug)]
pub(crate) struct Ziplist<'a> {
    input: Input<'a>,
    count: Option<usize>,
    read: usize,
}

impl<'a> Ziplist<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Corrupt> {
        let mut input = Input::new(bytes);
        let [a, b, c, d, _, _, _, _, low, high] = input.fixed::<HEADER>()?;
        if u32::from_le_bytes([a, b, c, d]) as usize != bytes.len() {
            return Err(Corrupt("a ziplist of another length"));
        }
        let count = u16::from_le_bytes([low, high]);
        Ok(Self { input, count: (count != COUNT_UNKNOWN).then_some(count.into()), read: 0 })
    }

    /// The next entry, unless there is none.
    pub(crate) fn next(&mut self) -> Result<Option<Entry<'a>>, Corrupt> {
        let input = &mut self.input;
        let first = input.byte()?;
        if first == END {
            let is_whole = input.is_empty() && self.count.is_none_or(|count| count == self.read);
            return if is_whole {
                Ok(None)
            } else {
                Err(Corrupt("a ziplist with another number of entries"))
            };
        }
        if first == LONG {
            input.take(4)?;
        }
        let encoding = input.byte()?;
        let entry = match encoding {
            0..0x40 => Entry::Text(input.take(encoding.into())?),
            0x40..0x80 => {
                let low = input.byte()?;
                Entry::Text(input.take(usize::from(encoding & 0x3f) << 8 | usize::from(low))?)
            }
            0x80 => {
                let length = u32::from_be_bytes(input.fixed()?);
                Entry::Text(input.take(length as usize)?)
            }
            0xc0 => Entry::Integer(number::of_bytes(input.take(2)?)),
            0xd0 => Entry::Integer(number::of_bytes(input.take(4)?)),
            0xe0 => Entry::Integer(number::of_bytes(input.take(8)?)),
            0xf0 => Entry::Integer(number::of_bytes(input.take(3)?)),
            0xfe => Entry::Integer(number::of_bytes(input.take(1)?)),
            0xf1..=0xfd => Entry::Integer(i64::from(encoding & 0xf) - 1),
            _ => return Err(Corrupt("an entry of a ziplist in an unknown encoding")),
        };
        self.read += 1;
        Ok(Some(entry))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(entries: &[u8], count: u16) -> Result<Vec<Vec<u8>>, Corrupt> {
        let length = (HEADER + entries.len() + 1) as u32;
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend([0; 4]);
        bytes.extend(count.to_le_bytes());
        bytes.extend_from_slice(entries);
        bytes.push(END);
        let (mut ziplist, mut read) = (Ziplist::new(&bytes)?, Vec::new());
        while let Some(entry) = ziplist.next()? {
            read.push(entry.text().into_owned());
        }
        Ok(read)
    }

    #[test]
    fn every_encoding_is_read() {
        let texts = |entries: &[u8], count| {
            let read = read(entries, count)?;
            Ok::<_, Corrupt>(read.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect())
        };
        let entries = [
            [0, 2, b'a', b'b'].as_slice(),
            &[4, 0x40, 1, b'c'],
            &[LONG, 4, 0, 0, 0, 0x80, 0, 0, 0, 1, b'd'],
            &[0, 0xc0, 0xff, 0xff],
            &[0, 0xd0, 0, 0, 1, 0],
            &[0, 0xe0, 0, 0, 0, 0, 1, 0, 0, 0],
            &[0, 0xf0, 0, 0, 0x80],
            &[0, 0xfe, 0x80],
            &[0, 0xf1],
            &[0, 0xfd],
        ]
        .concat();
        let wanted: Vec<String> =
            ["ab", "c", "d", "-1", "65536", "4294967296", "-8388608", "-128", "0", "12"]
                .map(String::from)
                .into();
        assert_eq!(texts(&entries, 10), Ok(wanted.clone()));
        assert_eq!(texts(&entries, COUNT_UNKNOWN), Ok(wanted));
        assert!(texts(&entries, 9).is_err());
        assert!(texts(&[0, 0xff], 1).is_err() && texts(&[0, 9, b'a'], 1).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_are_believed(entries in proptest::collection::vec(any::<u8>(), 0..80), count in 0..4u16) {
            drop(read(&entries, count));
        }
    }
}
