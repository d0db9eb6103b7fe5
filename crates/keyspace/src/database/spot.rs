//! Where keys are, and what is known of that beforehand.

/// Where a key is, or would be. Good until the database is changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    pub(super) slot: usize,
    pub(super) hash: u64,
    /// Its position, if it is there.
    pub(super) position: Option<usize>,
}

/// A key that was hashed before it is looked for. All databases of a keyspace hash alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hashed<'a> {
    pub(super) key: &'a [u8],
    pub(super) slot: usize,
    pub(super) hash: u64,
}

impl<'a> Hashed<'a> {
    /// Which of all slots the key belongs to.
    pub(crate) fn slot(&self) -> usize {
        self.slot
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// The same for another place with equal bytes.
    pub(crate) fn at(self, key: &'a [u8]) -> Self {
        Self { key, ..self }
    }

    /// Whether this is about `key`: these very bytes, which nobody has to compare.
    pub(crate) fn is_of(&self, key: &[u8]) -> bool {
        std::ptr::eq(self.key, key)
    }
}
