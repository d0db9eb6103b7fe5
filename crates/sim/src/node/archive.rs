//! Snapshot files, as the snapshot thread of a node handles them: one job after the other, beside the log.

use std::collections::BTreeMap;

use bytes::Bytes;
use onecopy_core::transfer::{CHUNK, Chunk};
use onecopy_core::{EntryId, GroupId, NodeId, Timestamp};

use crate::disk::{Disk, Image};

/// Which snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// Of which group.
    pub group: GroupId,
    /// The last entry that it covers.
    pub id: EntryId,
    /// The time of that entry.
    pub time: Timestamp,
}

/// What the snapshot thread is asked for.
#[derive(Debug)]
pub enum ArchiveJob {
    /// Append a piece; one at offset 0 begins a snapshot.
    Write {
        /// Of which snapshot.
        name: Name,
        /// Where the piece begins.
        offset: u64,
        /// The piece.
        data: Bytes,
    },
    /// Make a snapshot durable.
    Finish {
        /// Which one.
        name: Name,
    },
    /// Read a piece for another replica.
    Read {
        /// Of which group.
        group: GroupId,
        /// For whom.
        to: NodeId,
        /// Which one.
        id: EntryId,
        /// Where the piece begins.
        offset: u64,
    },
    /// Remove all snapshots of a group that are older than this one.
    Keep {
        /// The group.
        group: GroupId,
        /// The one that is needed.
        id: EntryId,
    },
}

/// What the snapshot thread did.
#[derive(Debug)]
pub enum ArchiveEvent {
    /// A piece has been written; `written` is the offset after it.
    Written {
        /// Of which snapshot.
        name: Name,
        /// The offset after the piece.
        written: u64,
    },
    /// The snapshot is durable.
    Finished {
        /// Which one.
        name: Name,
    },
    /// The snapshot could not be written.
    Failed {
        /// Which one.
        name: Name,
    },
    /// A piece for another replica.
    Read {
        /// Of which group.
        group: GroupId,
        /// For whom.
        to: NodeId,
        /// Which snapshot was asked for.
        id: EntryId,
        /// The piece; `None` if there is no such snapshot (any more).
        chunk: Option<Chunk>,
    },
}

impl ArchiveEvent {
    /// Whose it is.
    #[must_use]
    pub fn group(&self) -> GroupId {
        match self {
            Self::Written { name, .. } | Self::Finished { name } | Self::Failed { name } => name.group,
            Self::Read { group, .. } => *group,
        }
    }
}

/// The files that are being written. They die with the process.
#[derive(Debug, Default)]
pub struct Archive {
    writing: BTreeMap<Name, Vec<u8>>,
}

impl Archive {
    /// Does a job.
    pub fn work(&mut self, disk: &mut Disk, job: ArchiveJob) -> Option<ArchiveEvent> {
        match job {
            ArchiveJob::Write { name, offset, data } => {
                if offset == 0 {
                    self.writing.retain(|other, _| other.group != name.group);
                    self.writing.insert(name, Vec::new());
                }
                // If it is not there, another one was begun since.
                let file = self.writing.get_mut(&name)?;
                file.extend_from_slice(&data);
                Some(ArchiveEvent::Written { name, written: file.len() as u64 })
            }
            ArchiveJob::Finish { name } => {
                let image = self.writing.remove(&name).map(|bytes| Image { time: name.time, bytes });
                let is_kept = image.is_some_and(|image| disk.keep_image(name.group, name.id, image));
                Some(if is_kept { ArchiveEvent::Finished { name } } else { ArchiveEvent::Failed { name } })
            }
            ArchiveJob::Read { group, to, id, offset } => {
                let chunk = disk.image(group, id).map(|image| {
                    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(image.bytes.len());
                    let end = (start + CHUNK).min(image.bytes.len());
                    let data = Bytes::copy_from_slice(&image.bytes[start..end]);
                    Chunk { snapshot: id, time: image.time, offset, data, last: end == image.bytes.len() }
                });
                Some(ArchiveEvent::Read { group, to, id, chunk })
            }
            ArchiveJob::Keep { group, id } => {
                disk.remove_older_images(group, id);
                None
            }
        }
    }
}
