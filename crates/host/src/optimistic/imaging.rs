//! Images of the whole state, so that the log need not be kept for ever.

use bytes::Bytes;
use onecopy_core::chunks::CHUNK;
use onecopy_core::{EntryId, Index, Write};

use super::OptimisticCopy;
use crate::disk::{ArchiveEvent, ArchiveJob, Out, SnapshotName};
use crate::group::GroupEffect;

/// How many bytes of an image may be on their way to the archive.
const IN_FLIGHT_MAX: u64 = 4 * CHUNK as u64;

/// An image that is being written.
#[derive(Debug)]
pub(super) struct Taking {
    name: SnapshotName,
    image: Bytes,
    sent: u64,
    written: u64,
}

impl Taking {
    /// Whether another piece can be handed to the archive.
    pub(super) fn has_room(&self) -> bool {
        self.sent < self.image.len() as u64 && self.sent - self.written < IN_FLIGHT_MAX
    }
}

impl OptimisticCopy {
    /// The log would let old segments go if there was an image.
    pub fn snapshot_wanted(&mut self) {
        if self.taking.is_some() || self.last == self.base.index {
            return;
        }
        // What has been shown since the last write is part of the state: it is written before.
        self.wants_image = true;
    }

    /// Begins an image of the state as it is, all of which is in the log.
    pub(super) fn begin_image(&mut self) {
        // What the archive is about to forget is not to be taken for it.
        if self.is_forgetting() || !std::mem::take(&mut self.wants_image) {
            return;
        }
        let id = EntryId { index: self.last, epoch: super::EPOCH };
        let name = SnapshotName { group: self.settings.group, id, time: self.clock };
        let image = self.replica.image().into();
        self.taking = Some(Taking { name, image, sent: 0, written: 0 });
    }

    /// Hands the next pieces to the archive.
    pub(super) fn continue_image(&mut self, out: &mut Out<GroupEffect>) {
        let Some(taking) = &mut self.taking else { return };
        while taking.has_room() {
            let (begin, length) = (taking.sent as usize, taking.image.len());
            let data = taking.image.slice(begin..length.min(begin + CHUNK));
            let (name, offset) = (taking.name, taking.sent);
            taking.sent += data.len() as u64;
            out.archive.push(ArchiveJob::Write { name, offset, data });
            if taking.sent == length as u64 {
                out.archive.push(ArchiveJob::Finish { name });
            }
        }
    }

    /// The archive has done something.
    pub fn archived(&mut self, event: ArchiveEvent, out: &mut Out<GroupEffect>) {
        let Some(taking) = &mut self.taking else { return };
        match event {
            ArchiveEvent::Written { name, written } if name == taking.name => taking.written = written,
            ArchiveEvent::Finished { name } if name == taking.name => {
                self.image_bytes = taking.image.len() as u64;
                self.taking = None;
                self.base = name.id;
                self.persist(vec![Write::Compact { through: name.id }], out);
            }
            // The log asks again.
            ArchiveEvent::Failed { name } if name == taking.name => self.taking = None,
            _ => {}
        }
    }

    /// The last entry that an image covers.
    #[must_use]
    pub fn base(&self) -> Index {
        self.base.index
    }
}
