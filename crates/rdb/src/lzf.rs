//! LZF, in which RDB keeps long strings (Marc Lehmann, LibLZF). Only to read: nothing is written compressed.

use crate::{CUT, Corrupt};

/// The shortest repetition, less one.
const MATCH_MIN: usize = 2;

/// What was compressed, which has so many bytes.
pub(crate) fn decompress(mut bytes: &[u8], length: usize) -> Result<Vec<u8>, Corrupt> {
    let mut out = Vec::with_capacity(length);
    while let Some((control, rest)) = bytes.split_first() {
        let control = usize::from(*control);
        if control < 32 {
            let (literal, rest) = rest.split_at_checked(control + 1).ok_or(CUT)?;
            out.extend_from_slice(literal);
            bytes = rest;
        } else {
            let (more, rest) = match control >> 5 {
                7 => rest.split_first().map(|(more, rest)| (usize::from(*more), rest)).ok_or(CUT)?,
                _ => (0, rest),
            };
            let (low, rest) = rest.split_first().ok_or(CUT)?;
            bytes = rest;
            let back = ((control & 0x1f) << 8 | usize::from(*low)) + 1;
            let start = out.len().checked_sub(back).ok_or(Corrupt("it repeats what was never there"))?;
            let count = (control >> 5) + more + MATCH_MIN;
            if out.len() + count > length {
                return Err(Corrupt("it unpacks to more than it says"));
            }
            // What is repeated may end in what is being written.
            for position in start..start + count {
                out.push(out[position]);
            }
        }
        if out.len() > length {
            return Err(Corrupt("it unpacks to more than it says"));
        }
    }
    if out.len() == length { Ok(out) } else { Err(Corrupt("it unpacks to less than it says")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_repetitions_are_unpacked() {
        // "ab", then 2 + 2 bytes from two back, then 7 + 3 + 2 from one back.
        let packed = [1, b'a', b'b', 0x40, 1, 0xe0, 3, 0];
        assert_eq!(decompress(&packed, 18).as_deref(), Ok(b"abababbbbbbbbbbbbb".as_slice()));
        assert!(decompress(&packed, 17).is_err() && decompress(&packed, 19).is_err());
        assert!(decompress(&packed[..5], 18).is_err() && decompress(&packed[..4], 18).is_err());
    }

    #[test]
    fn nothing_from_before_the_beginning_is_repeated() {
        assert!(decompress(&[0, b'a', 0x20, 1], 4).is_err());
    }
}
