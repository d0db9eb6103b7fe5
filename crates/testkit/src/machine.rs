//! A state machine that tells histories apart, and does nothing else.

use onecopy_core::{Entry, EntryId, Timestamp};

/// Remembers a digest of all entries that it applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// The last entry.
    pub applied: EntryId,
    /// Its time.
    pub time: Timestamp,
    /// Of all of them.
    pub digest: u64,
}

impl Machine {
    /// Applies the next entry.
    ///
    /// # Panics
    /// When it is another one, or its time is before that of the last.
    pub fn apply(&mut self, entry: &Entry) {
        assert_eq!(entry.id.index, self.applied.index.next(), "entries are applied once, in order");
        assert!(entry.time >= self.time, "time goes back at {}", entry.id);
        self.applied = entry.id;
        self.time = entry.time;
        self.digest = chain(self.digest, entry);
    }
}

/// FNV-1a over what an entry is, continued from the digest of all before.
#[must_use]
pub fn chain(digest: u64, entry: &Entry) -> u64 {
    let numbers = [entry.id.index.0, entry.id.epoch.0, entry.time.0, entry.seed];
    let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
    bytes.chain(entry.payload.iter().copied()).fold(digest ^ 0xcbf2_9ce4_8422_2325, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
