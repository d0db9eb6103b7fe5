//! The keyed hash of every table, so that nobody can choose keys that all fall into one bucket.

use std::hash::{BuildHasher, Hasher};

use siphasher::sip::SipHasher13;

/// The key of the hash. Part of the replicated state; no reply and no order depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seed(pub [u64; 2]);

impl BuildHasher for Seed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0[0], self.0[1])
    }
}

impl Seed {
    /// The hash of a key.
    pub(crate) fn hash(self, key: &[u8]) -> u64 {
        let mut hasher = self.build_hasher();
        hasher.write(key);
        hasher.finish()
    }
}
