//! Up to which sizes a value is said to have a compact encoding, in the words of Redis.
//!
//! It says nothing of how values are really kept. But commands answer it, and scripts may do as they are
//! answered: so it is settled in each entry, as all else is that entries depend on.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The limits, with the names that Redis has for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encodings {
    /// `hash-max-listpack-entries`
    pub hash_entries: u32,
    /// `hash-max-listpack-value`
    pub hash_value: u32,
    /// `list-max-listpack-size`: so many elements, or, if it is negative, 4 KiB and so many times twice that.
    pub list_size: i32,
    /// `set-max-intset-entries`
    pub intset_entries: u32,
    /// `set-max-listpack-entries`
    pub set_entries: u32,
    /// `set-max-listpack-value`
    pub set_value: u32,
    /// `zset-max-listpack-entries`
    pub zset_entries: u32,
    /// `zset-max-listpack-value`
    pub zset_value: u32,
}

impl Default for Encodings {
    /// As Redis has them unless somebody says otherwise.
    fn default() -> Self {
        Self {
            hash_entries: 512,
            hash_value: 64,
            list_size: -2,
            intset_entries: 512,
            set_entries: 128,
            set_value: 64,
            zset_entries: 128,
            zset_value: 64,
        }
    }
}

impl Encodings {
    /// How many bytes they have in an entry.
    const BYTES: usize = 8 * 4;

    pub(crate) fn put(self, out: &mut BytesMut) {
        out.put_u32_le(self.hash_entries);
        out.put_u32_le(self.hash_value);
        out.put_i32_le(self.list_size);
        out.put_u32_le(self.intset_entries);
        out.put_u32_le(self.set_entries);
        out.put_u32_le(self.set_value);
        out.put_u32_le(self.zset_entries);
        out.put_u32_le(self.zset_value);
    }

    pub(crate) fn take(rest: &mut Bytes) -> Option<Self> {
        if rest.len() < Self::BYTES {
            return None;
        }
        Some(Self {
            hash_entries: rest.get_u32_le(),
            hash_value: rest.get_u32_le(),
            list_size: rest.get_i32_le(),
            intset_entries: rest.get_u32_le(),
            set_entries: rest.get_u32_le(),
            set_value: rest.get_u32_le(),
            zset_entries: rest.get_u32_le(),
            zset_value: rest.get_u32_le(),
        })
    }
}
