//! How far a stream has come: from that, how far a group is behind is found out without counting entries.
//!
//! Entries are counted as they are added. As long as none is removed but the oldest, how many were added up
//! to the first, and up to the last, is known. A *gap* is where an entry was removed from among others.

use super::id::Id;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// How many entries have ever been added.
    pub(crate) added: i64,
    /// How many there are, and the first of them.
    pub(super) length: usize,
    pub(super) first: Id,
    /// The last id that was given.
    pub(super) last: Id,
    /// The latest entry that was deleted.
    pub(super) deleted: Id,
}

impl Progress {
    /// Whether there may be a gap from an id on.
    pub(super) fn has_gaps_from(&self, id: Id) -> bool {
        let has_gaps = self.length > 0 && self.deleted != Id::ZERO && self.first <= self.deleted;
        has_gaps && id <= self.deleted
    }

    /// How many entries have been up to this id, if that is known.
    pub(crate) fn read_up_to(&self, id: Id) -> Option<i64> {
        if self.added == 0 {
            return Some(0);
        }
        if self.length == 0 && id <= self.last || id == self.last {
            return Some(self.added);
        }
        if id > self.last {
            return None;
        }
        let before = self.added.wrapping_sub(i64::try_from(self.length).unwrap_or(i64::MAX));
        let is_whole = self.deleted == Id::ZERO || self.deleted < self.first;
        match id.cmp(&self.first) {
            std::cmp::Ordering::Less if is_whole => Some(before),
            std::cmp::Ordering::Equal if is_whole => Some(before.wrapping_add(1)),
            _ => None,
        }
    }
}
