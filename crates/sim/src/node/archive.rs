//! What the snapshot thread of a node does: it handles snapshot files, and reads back old entries of the log.
//! One job after the other, beside the log.

use std::collections::BTreeMap;

use bytes::Bytes;
use onecopy_core::chunks::{CHUNK, Chunk};
use onecopy_host::{ArchiveEvent, ArchiveJob, SnapshotName};

use crate::disk::{Disk, Image};

/// The files that are being written. They die with the process.
#[derive(Debug, Default)]
pub struct Archive {
    writing: BTreeMap<SnapshotName, Vec<u8>>,
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
            ArchiveJob::ReadEntries { group, to, first, bytes_max } => {
                let entries = disk.entries(group, first, bytes_max);
                Some(ArchiveEvent::EntriesRead { group, to, first, entries })
            }
            ArchiveJob::Keep { group, id } => {
                disk.remove_older_images(group, id);
                None
            }
            ArchiveJob::Forget { group } => {
                self.writing.retain(|name, _| name.group != group);
                disk.remove_images(group);
                None
            }
        }
    }
}
