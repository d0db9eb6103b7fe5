//! Which of the 16,384 slots a key belongs to: those of Redis Cluster, so that its clients know where a key
//! is.
//!
//! A slot is the CRC16 of the key, or of its *hash tag*: what is between the first `{` and the first `}`
//! behind it, if there is something. Keys with the same tag are in the same slot.

use crc::{CRC_16_XMODEM, Crc, Table};

/// How many slots there are. A power of two.
pub const SLOTS: usize = 16_384;

/// Eight times as fast for long keys as one byte at a time, in 8 KiB of tables.
static CRC: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&CRC_16_XMODEM);

/// The slot of a key.
#[must_use]
pub fn slot_of(key: &[u8]) -> usize {
    usize::from(CRC.checksum(tag_of(key))) % SLOTS
}

/// The part of a key that says where it belongs.
fn tag_of(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|byte| *byte == b'{') else { return key };
    let behind = &key[open + 1..];
    match behind.iter().position(|byte| *byte == b'}') {
        None | Some(0) => key,
        Some(close) => &behind[..close],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis_cluster() {
        assert_eq!(CRC.checksum(b"123456789"), 0x31c3, "the check value of the specification");
        // As `CLUSTER KEYSLOT` of Redis answers.
        for (key, slot) in [
            ("", 0),
            ("a", 15_495),
            ("foo", 12_182),
            ("bar", 5_061),
            ("hello", 866),
            ("somekey", 11_058),
            ("123456789", 0x31c3),
        ] {
            assert_eq!(slot_of(key.as_bytes()), slot, "{key}");
        }
    }

    #[test]
    fn a_hash_tag_decides() {
        // The examples of the specification, and their neighbours.
        for (key, tag) in [
            ("{user1000}.following", "user1000"),
            ("{user1000}.followers", "user1000"),
            ("foo{}{bar}", "foo{}{bar}"),
            ("foo{{bar}}zap", "{bar"),
            ("foo{bar}{zap}", "bar"),
            ("{}", "{}"),
            ("{}tail", "{}tail"),
            ("}{x}", "x"),
            ("x{open", "x{open"),
            ("x}close", "x}close"),
            ("{a}", "a"),
        ] {
            assert_eq!(tag_of(key.as_bytes()), tag.as_bytes(), "{key}");
        }
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"user1000"));
        assert_eq!(slot_of(b"foo{hash_tag}"), 2_515);
    }

    #[test]
    fn a_long_key_is_summed_like_a_short_one() {
        // One byte at a time, as the reference implementation.
        let slow = |key: &[u8]| {
            key.iter().fold(0_u16, |sum, byte| {
                (0..8).fold(sum ^ u16::from(*byte) << 8, |sum, _| {
                    if sum & 0x8000 == 0 { sum << 1 } else { sum << 1 ^ 0x1021 }
                })
            })
        };
        let key: Vec<u8> = (0..300_u32).map(|number| (number * 7 % 120) as u8).collect();
        for length in 0..key.len() {
            assert_eq!(CRC.checksum(&key[..length]), slow(&key[..length]), "{length} bytes");
        }
    }
}
