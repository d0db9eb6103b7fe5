//! A change of a key, as feeds and images have it.
//!
//! ```text
//! change := 0:u8                                               of everything
//!         | 1:u8 key:bytes                                     of a key
//!         | 2:u8 key:bytes number:u64                          of a key, by a client that need not hear it
//! ```

use bytes::{Buf, BufMut, Bytes};

use crate::feeds::Item;

/// What a change costs beyond its key.
const CHANGE_COST: u64 = 112;

/// Something has changed that clients may have cached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A key, in whichever database.
    Key {
        /// Which one.
        key: Bytes,
        /// Which client of the coordinator changed it, if that does not want to hear of its own changes.
        by: Option<u64>,
    },
    /// All of them, or more than can be named.
    Everything,
}

impl Item for Change {
    fn memory(&self) -> u64 {
        match self {
            Self::Key { key, .. } => CHANGE_COST + key.len() as u64,
            Self::Everything => CHANGE_COST,
        }
    }

    fn put(&self, out: &mut impl BufMut) {
        let Self::Key { key, by } = self else { return out.put_u8(0) };
        out.put_u8(if by.is_some() { 2 } else { 1 });
        // A command has no longer argument.
        out.put_u32_le(u32::try_from(key.len()).expect("an argument of more than 4 GiB"));
        out.put_slice(key);
        if let Some(by) = by {
            out.put_u64_le(*by);
        }
    }

    fn take(bytes: &mut Bytes) -> Option<Self> {
        let kind = bytes.try_get_u8().ok()?;
        if kind == 0 {
            return Some(Self::Everything);
        }
        let length = bytes.try_get_u32_le().ok()? as usize;
        let key = (length <= bytes.len()).then(|| bytes.split_to(length))?;
        let by = match kind {
            1 => None,
            2 => Some(bytes.try_get_u64_le().ok()?),
            _ => return None,
        };
        Some(Self::Key { key, by })
    }
}
