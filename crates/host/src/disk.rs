//! What is asked of the log and of the archive of snapshots, and what comes back. In production each is a
//! thread.

use bytes::Bytes;
use onecopy_core::chunks::Chunk;
use onecopy_core::{Entry, EntryId, GroupId, NodeId, Ticket, Timestamp, Write};

/// What a part of a node wants of the rest of it. The caller drains the lists and uses them again.
#[derive(Debug)]
pub struct Out<W> {
    /// To be made durable, in this order within a group.
    pub writes: Vec<Job>,
    /// For the archive, in this order.
    pub archive: Vec<ArchiveJob>,
    /// Everything else, in this order.
    pub effects: Vec<W>,
}

impl<W> Default for Out<W> {
    fn default() -> Self {
        Self { writes: Vec::new(), archive: Vec::new(), effects: Vec::new() }
    }
}

/// Writes of one group that a ticket names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Whose.
    pub group: GroupId,
    /// Their name: reported when they, and all before them, are durable.
    pub ticket: Ticket,
    /// What, in this order.
    pub writes: Vec<Write>,
}

/// Which snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotName {
    /// Of which group.
    pub group: GroupId,
    /// The last entry that it covers.
    pub id: EntryId,
    /// The time of that entry.
    pub time: Timestamp,
}

/// What the archive is asked for. Jobs are done one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveJob {
    /// Append a piece; one at offset 0 begins a snapshot, and ends all others of the group that are not
    /// finished. Answered by [`ArchiveEvent::Written`] or [`ArchiveEvent::Failed`]; not at all if the
    /// beginning failed before.
    Write {
        /// Of which snapshot.
        name: SnapshotName,
        /// Where the piece begins, in bytes.
        offset: u64,
        /// The piece.
        data: Bytes,
    },
    /// Make a snapshot durable. Answered by [`ArchiveEvent::Finished`] or [`ArchiveEvent::Failed`].
    Finish {
        /// Which one.
        name: SnapshotName,
    },
    /// Read a piece for another replica. Answered by [`ArchiveEvent::Read`].
    Read {
        /// Of which group.
        group: GroupId,
        /// For whom.
        to: NodeId,
        /// Which one.
        id: EntryId,
        /// Where the piece begins, in bytes.
        offset: u64,
    },
    /// Read entries of the log, which are durable, for another replica. Answered by
    /// [`ArchiveEvent::EntriesRead`].
    ReadEntries {
        /// Of which group.
        group: GroupId,
        /// For whom.
        to: NodeId,
        /// The first one.
        first: EntryId,
        /// About so many bytes, and at least one entry.
        bytes_max: usize,
    },
    /// Remove all snapshots of a group that are older than this one.
    Keep {
        /// The group.
        group: GroupId,
        /// The one that is needed.
        id: EntryId,
    },
    /// Remove all snapshots of a group: it is gone.
    Forget {
        /// The group.
        group: GroupId,
    },
}

/// What the archive did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveEvent {
    /// A piece has been written.
    Written {
        /// Of which snapshot.
        name: SnapshotName,
        /// The offset after the piece.
        written: u64,
    },
    /// The snapshot is durable.
    Finished {
        /// Which one.
        name: SnapshotName,
    },
    /// The snapshot could not be written.
    Failed {
        /// Which one.
        name: SnapshotName,
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
    /// Entries for another replica.
    EntriesRead {
        /// Of which group.
        group: GroupId,
        /// For whom.
        to: NodeId,
        /// The entry that was asked for.
        first: EntryId,
        /// That one and some of those behind it, in order; none if they could not be read.
        entries: Vec<Entry>,
    },
}

impl ArchiveEvent {
    /// Whose it is.
    #[must_use]
    pub fn group(&self) -> GroupId {
        match self {
            Self::Written { name, .. } | Self::Finished { name } | Self::Failed { name } => name.group,
            Self::Read { group, .. } | Self::EntriesRead { group, .. } => *group,
        }
    }
}
