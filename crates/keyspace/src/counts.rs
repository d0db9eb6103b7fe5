//! What one copy has done, for those who look at it. No part of the state.

use std::cell::Cell;

/// The counts of one copy.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// How many keys that were read were there.
    pub hits: Cell<u64>,
    /// And how many were not.
    pub misses: Cell<u64>,
    /// How many keys have expired, and were removed.
    pub expired: u64,
    /// How many keys have gone to make room.
    pub evicted: u64,
    /// How many removed values were freed bit by bit.
    pub freed: u64,
}

impl Counts {
    /// A key was read.
    pub(crate) fn read(&self, was_there: bool) {
        let count = if was_there { &self.hits } else { &self.misses };
        count.set(count.get() + 1);
    }
}
