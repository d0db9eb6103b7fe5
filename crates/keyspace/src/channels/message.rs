//! What is published, as feeds and images have it.
//!
//! ```text
//! message := sort:u8 channel:bytes payload:bytes
//! ```

use bytes::{Buf, BufMut, Bytes};

use super::Sort;
use crate::feeds::Item;

/// What a message costs beyond its bytes.
const MESSAGE_COST: u64 = 96;

/// What was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// On a channel, or on a shard channel.
    pub sort: Sort,
    /// Its name.
    pub channel: Bytes,
    /// What was said.
    pub payload: Bytes,
}

impl Item for Message {
    fn memory(&self) -> u64 {
        MESSAGE_COST + self.channel.len() as u64 + self.payload.len() as u64
    }

    fn put(&self, out: &mut impl BufMut) {
        out.put_u8(self.sort as u8);
        for bytes in [&self.channel, &self.payload] {
            // A command has no longer argument.
            out.put_u32_le(u32::try_from(bytes.len()).expect("an argument of more than 4 GiB"));
            out.put_slice(bytes);
        }
    }

    fn take(bytes: &mut Bytes) -> Option<Self> {
        let sort = bytes.try_get_u8().ok()?;
        let sort = *Sort::ALL.get(usize::from(sort)).filter(|sort| **sort != Sort::Pattern)?;
        let mut text = || {
            let length = bytes.try_get_u32_le().ok()? as usize;
            (length <= bytes.len()).then(|| bytes.split_to(length))
        };
        let (channel, payload) = (text()?, text()?);
        Some(Self { sort, channel, payload })
    }
}
