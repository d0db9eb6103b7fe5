//! How much room there is on the disk of the data directory, and whether a full one takes writes again.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use rustix::fs::{Advice, fadvise, statvfs};
use serde::{Deserialize, Serialize};

/// So much must fit before a process whose log found no room begins anew: it would find none again.
const WANTED_BYTES: usize = 16 << 20;
/// The name of the file that finds out. Leftovers of this kind are removed at a start.
const TRIAL: &str = "room.partial";
/// Less is little on any disk, and so much is enough on any.
const LITTLE_BYTES: u64 = 256 << 20;
const ENOUGH_BYTES: u64 = 10 << 30;

/// The room on the disk of the data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskRoom {
    /// Bytes that the node may still use.
    pub free_bytes: u64,
    /// Bytes that the disk has.
    pub total_bytes: u64,
}

impl DiskRoom {
    /// What the operating system says.
    pub(crate) fn of(directory: &Path) -> io::Result<Self> {
        let disk = statvfs(directory)?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Ok(Self { free_bytes: bytes(disk.f_bavail), total_bytes: bytes(disk.f_blocks) })
    }

    /// Whether an operator should look at it: less than a tenth is left.
    pub(crate) fn is_little(self) -> bool {
        let tenth = self.free_bytes < self.total_bytes / 10 && self.free_bytes < ENOUGH_BYTES;
        tenth || self.free_bytes < LITTLE_BYTES
    }
}

/// Whether the disk takes as much as a new start needs, and makes it durable. A quota shows in nothing else.
pub(crate) fn takes_writes(directory: &Path) -> bool {
    let path = directory.join(TRIAL);
    let tried = File::create(&path).and_then(|mut file| {
        file.write_all(&vec![0x5a; WANTED_BYTES])?;
        file.sync_all()
    });
    let removed = std::fs::remove_file(&path);
    tried.and(removed).is_ok()
}

/// What the operating system remembers of files that it could not write may never have been on the disk: the
/// next start is to read what is.
pub(crate) fn forget_caches(directory: &Path) {
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    for file in files.filter_map(|entry| File::open(entry.path()).ok()) {
        // An advice: where it is not taken, it is as after any crash of a process.
        let _ = fadvise(&file, 0, None, Advice::DontNeed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_takes_writes_is_left_as_it_was() {
        let directory = tempfile::tempdir().expect("a directory");
        assert!(takes_writes(directory.path()));
        assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 0);
        assert!(!takes_writes(&directory.path().join("missing")));
        let room = DiskRoom::of(directory.path()).expect("a disk");
        assert!((1..=room.total_bytes).contains(&room.free_bytes), "{room:?}");
    }

    #[test]
    fn a_tenth_is_little_unless_it_is_much() {
        let is_little = |free_gib: u64, total_gib: u64| {
            DiskRoom { free_bytes: free_gib << 30, total_bytes: total_gib << 30 }.is_little()
        };
        assert!(is_little(0, 1) && is_little(1, 20) && is_little(9, 1_000));
        assert!(!is_little(1, 4) && !is_little(11, 1_000));
    }
}
