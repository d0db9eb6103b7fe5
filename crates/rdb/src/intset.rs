//! Intsets: sets of integers, in order, all of one length.
//!
//! ```text
//! intset := length:u32 count:u32 integer*      length: of an integer, in bytes
//! ```

use crate::{CUT, Corrupt, number};

/// The members.
pub(crate) fn members(bytes: &[u8]) -> Result<impl Iterator<Item = i64>, Corrupt> {
    let (length, rest) = bytes.split_first_chunk().ok_or(CUT)?;
    let (count, integers) = rest.split_first_chunk().ok_or(CUT)?;
    let (length, count) = (u32::from_le_bytes(*length) as usize, u32::from_le_bytes(*count) as usize);
    if !matches!(length, 2 | 4 | 8) || count.checked_mul(length) != Some(integers.len()) {
        return Err(Corrupt("an intset of another length"));
    }
    Ok(integers.chunks_exact(length).map(number::of_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_have_one_length() {
        let read = |bytes: &[u8]| members(bytes).map(Iterator::collect::<Vec<i64>>);
        assert_eq!(read(&[2, 0, 0, 0, 2, 0, 0, 0, 0xff, 0xff, 1, 0]), Ok(vec![-1, 1]));
        assert_eq!(read(&[4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0]), Ok(vec![65536]));
        assert!(read(&[3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]).is_err());
        assert!(read(&[2, 0, 0, 0, 2, 0, 0, 0, 0, 0]).is_err() && read(&[2, 0, 0, 0]).is_err());
    }
}
