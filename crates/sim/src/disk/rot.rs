//! Disks that refuse writes, and bits that flip at rest. What a flip means is told by the storage crate:
//! records and blocks have checksums, so whoever reads damage notices, and a start that finds it is refused.

use std::collections::BTreeSet;

use onecopy_core::{EntryId, GroupId};

use super::Disk;

/// What is wrong with the device itself.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Writes of the log fail: nothing becomes durable any more, until somebody mends it and starts the
    /// process again.
    pub log_fails: bool,
    /// They have failed because there was no room.
    pub wants_room: bool,
    /// There is no room for anything.
    pub is_full: bool,
    /// The next snapshot cannot be written: there was no room for it.
    pub image_fails: bool,
    /// A bit of the log below what was synced has flipped. Nobody knows before the log is read, at the next
    /// start.
    pub log_is_rotten: bool,
    /// In these snapshots a bit has flipped. Noticed when they are read.
    pub(super) rotten_images: BTreeSet<(GroupId, EntryId)>,
}

impl Disk {
    /// A bit flips in what is at rest: in the log, or in the newest snapshot of a group, if it has one.
    pub fn rot(&mut self, of: Option<GroupId>) {
        let newest = |group| self.images.keys().rfind(|(of, _)| *of == group).copied();
        match of.and_then(newest) {
            Some(image) => drop(self.health.rotten_images.insert(image)),
            None => self.health.log_is_rotten = true,
        }
    }

    /// Whether a start would find damage: in the log, or in a snapshot on which it begins.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        let is_needed = |(group, id): &(GroupId, EntryId)| {
            self.groups.get(group).is_some_and(|log| log.base == *id && *id != EntryId::ZERO)
        };
        self.health.log_is_rotten || self.health.rotten_images.iter().any(is_needed)
    }

    /// Whether a bit has flipped anywhere.
    #[must_use]
    pub fn is_rotten(&self) -> bool {
        self.health.log_is_rotten || !self.health.rotten_images.is_empty()
    }

    /// The bit that flipped was one that nobody reads.
    pub fn spare(&mut self) {
        self.health.log_is_rotten = false;
        self.health.rotten_images.clear();
    }

    /// What is not there any more is not rotten.
    pub(super) fn forget_rot(&mut self) {
        self.health.rotten_images.retain(|image| self.images.contains_key(image));
    }
}
