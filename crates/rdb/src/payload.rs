//! What `DUMP` answers: a value, the version of the format, and a checksum of both.
//!
//! ```text
//! payload := kind:u8 value version:u16 checksum:u64      numbers with the lowest byte first
//! ```

use crc::{CRC_64_REDIS, Crc, Table};

use crate::Corrupt;

/// The version of the format that is written: that of Redis 7.2.
pub const RDB_VERSION: u16 = 11;

pub(crate) static CRC: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// Checksums are computed in pieces of so many bytes, so that others can have their turn between.
const PIECE: usize = 1 << 20;

fn checksum(bytes: &[u8], between: &mut dyn FnMut(usize)) -> u64 {
    let mut checksum = CRC.digest();
    for piece in bytes.chunks(PIECE) {
        checksum.update(piece);
        between(piece.len());
    }
    checksum.finalize()
}

/// Makes a value a payload. `between` hears how many bytes were looked at, and may let others have their
/// turn.
pub fn seal(value: &mut Vec<u8>, version: u16, between: &mut dyn FnMut(usize)) {
    value.extend(version.to_le_bytes());
    let checksum = checksum(value, between);
    value.extend(checksum.to_le_bytes());
}

/// The value of a payload. `between` hears how many bytes were looked at.
///
/// # Errors
/// It is not whole, or of a version that nobody knows yet.
pub fn open<'a>(payload: &'a [u8], between: &mut dyn FnMut(usize)) -> Result<&'a [u8], Corrupt> {
    let wrong = Corrupt("the version or the checksum is wrong");
    let (sealed, claimed) = payload.split_last_chunk().ok_or(wrong)?;
    let (value, version) = sealed.split_last_chunk().ok_or(wrong)?;
    let is_whole = checksum(sealed, between) == u64::from_le_bytes(*claimed);
    if is_whole && u16::from_le_bytes(*version) <= RDB_VERSION { Ok(value) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_of_redis_is_opened_and_sealed_the_same() {
        // `DUMP` of the string 10, by Redis 7.0.
        let payload = b"\x00\xc0\x0a\x0a\x00\x6e\x9f\x57\x45\x0e\xae\x63\xbb";
        let opened = open(payload, &mut |_| {}).ok();
        let mut sealed = b"\x00\xc0\x0a".to_vec();
        seal(&mut sealed, 10, &mut |_| {});
        assert_eq!((opened, sealed.as_slice()), (Some(b"\x00\xc0\x0a".as_slice()), payload.as_slice()));
    }

    #[test]
    fn what_was_changed_or_is_of_tomorrow_is_not_opened() {
        let mut sealed = b"\x00\xc0\x0a".to_vec();
        seal(&mut sealed, RDB_VERSION + 1, &mut |_| {});
        assert!(open(&sealed, &mut |_| {}).is_err());
        let mut sealed = b"\x00\xc0\x0a".to_vec();
        seal(&mut sealed, RDB_VERSION, &mut |_| {});
        sealed[2] = 11;
        assert!(open(&sealed, &mut |_| {}).is_err() && open(&sealed[..9], &mut |_| {}).is_err());
    }
}
