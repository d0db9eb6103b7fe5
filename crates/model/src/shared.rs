//! Parts of a state that neighbouring states have in common.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// A value that many states hold together, with its hash beside it.
///
/// A step changes one node; the other two, and the messages that it does not touch, are shared with the state
/// before. Cloning a state costs a few reference counts, and hashing it a few words.
///
/// Two are equal when their hashes are: 64 bits tell a few million values apart, and the checker knows states
/// by no more than that either.
pub struct Shared<T> {
    fingerprint: u64,
    value: Arc<T>,
}

impl<T: Hash> Shared<T> {
    /// Takes a value, which never changes again.
    pub fn new(value: T) -> Self {
        // With fixed keys, so that two runs agree.
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        Self { fingerprint: hasher.finish(), value: Arc::new(value) }
    }

    /// The hash of the value.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self { fingerprint: self.fingerprint, value: Arc::clone(&self.value) }
    }
}

impl<T> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl<T> Eq for Shared<T> {}

impl<T> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.fingerprint);
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
