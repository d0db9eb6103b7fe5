//! How much memory the states of the groups occupy: they share one limit.

use std::collections::BTreeMap;

use onecopy_core::GroupId;

/// Bytes of memory, by group.
#[derive(Debug, Default)]
pub(super) struct Occupied {
    by_group: BTreeMap<GroupId, u64>,
    total: u64,
    /// What groups occupy that this data plane does not know.
    elsewhere: u64,
}

impl Occupied {
    /// What all groups of this data plane occupy.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn set_elsewhere(&mut self, bytes: u64) {
        self.elsewhere = bytes;
    }

    pub(super) fn set(&mut self, group: GroupId, bytes: u64) {
        let before = self.by_group.insert(group, bytes).unwrap_or_default();
        self.total = self.total - before + bytes;
    }

    /// The group is gone.
    pub(super) fn forget(&mut self, group: GroupId) {
        self.total -= self.by_group.remove(&group).unwrap_or_default();
    }

    /// What all others occupy.
    pub(super) fn beside(&self, group: GroupId) -> u64 {
        self.elsewhere + self.total - self.by_group.get(&group).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_sees_what_the_others_occupy() {
        let (one, other) = (GroupId(1), GroupId(2));
        let mut occupied = Occupied::default();
        occupied.set(one, 10);
        occupied.set(other, 5);
        occupied.set(one, 7);
        occupied.set_elsewhere(100);
        assert_eq!(occupied.total(), 12);
        assert_eq!([one, other, GroupId(3)].map(|group| occupied.beside(group)), [105, 107, 112]);
        occupied.forget(one);
        assert_eq!((occupied.total(), occupied.beside(other)), (5, 100));
    }
}
