//! What can happen to a replica, and what it wants done.

use bytes::Bytes;
use onecopy_core::chunks::Chunk;
use onecopy_core::{Digest, Entry, EntryId, Index, NodeId, Petition, Ticket, Timestamp, View, Write};

use crate::handover::HandoverError;
use crate::message::Message;
use crate::status::Standing;

/// What can happen to a replica.
#[derive(Clone, Debug)]
pub enum Input {
    /// The view service, or somebody who heard it from there, announced a view of the group.
    Announced {
        /// The view.
        view: View,
    },
    /// A message from another replica of the group arrived.
    Received {
        /// The sender.
        from: NodeId,
        /// What it said.
        message: Message,
    },
    /// Bytes of a message from this replica are arriving, and will take a while: it is not silent.
    Arriving {
        /// The sender.
        from: NodeId,
    },
    /// Put a payload into the log. Answered at once by [`Effect::Proposed`] or [`Effect::Refused`].
    Propose {
        /// The batches, see [`onecopy_core::payload`].
        payload: Bytes,
        /// The driver's wall clock.
        time: Timestamp,
        /// Fresh randomness.
        seed: u64,
    },
    /// Tell when the local state may answer a read. Answered by [`Effect::ReadReady`] or
    /// [`Effect::ReadRefused`].
    Read {
        /// Chosen by the driver.
        token: u64,
        /// The read must see at least this entry.
        at_least: Index,
        /// The last entry of the log that touches what is read, as far as the driver can tell: at a backup,
        /// the read waits for no later one (rule L5). Without it, for all.
        touched: Option<Index>,
    },
    /// Somebody knows that the log here is committed through this entry.
    Committed {
        /// The entry.
        through: Index,
    },
    /// Entries have been executed: what the state was after each of them (rule P10), in order. A driver that
    /// compares nothing says nothing.
    Executed {
        /// After each entry of an [`Effect::Apply`].
        digests: Vec<Digest>,
    },
    /// Make another member the primary, without losing anything. Refused by [`Effect::HandoverFailed`].
    HandOver {
        /// Who is to be the primary.
        to: NodeId,
    },
    /// All writes up to and including this ticket are durable.
    Persisted {
        /// The ticket.
        ticket: Ticket,
    },
    /// The deadline has passed.
    Elapsed,
    /// A snapshot of the state is durable: the one that [`Effect::TakeSnapshot`] asked for, or another one.
    SnapshotTaken {
        /// The last entry that it covers.
        snapshot: EntryId,
        /// The time of that entry.
        time: Timestamp,
        /// How many bytes it has.
        bytes: u64,
    },
    /// The snapshot that [`Effect::TakeSnapshot`] asked for could not be made; it may be asked for again.
    SnapshotFailed,
    /// The answer to [`Effect::ReadSnapshot`].
    SnapshotRead {
        /// Who is to get it.
        to: NodeId,
        /// Which snapshot was asked for.
        snapshot: EntryId,
        /// The piece; `None` if that snapshot does not exist any more.
        chunk: Option<Chunk>,
    },
    /// The answer to [`Effect::ReadEntries`].
    EntriesRead {
        /// Who is to get them.
        to: NodeId,
        /// The entry that was asked for.
        first: EntryId,
        /// That entry and some of those behind it, in order; none if they could not be read.
        entries: Vec<Entry>,
    },
    /// The chunk of [`Effect::WriteSnapshot`] has been written.
    SnapshotWritten {
        /// Which snapshot.
        snapshot: EntryId,
        /// The offset after the chunk.
        wanted: u64,
    },
    /// The snapshot of [`Effect::InstallSnapshot`] is durable, and the state machine holds it.
    SnapshotInstalled {
        /// Which snapshot.
        snapshot: EntryId,
    },
    /// What has been received of a snapshot is of no use (it was damaged, or could not be written).
    SnapshotSpoiled {
        /// Which snapshot.
        snapshot: EntryId,
    },
}

/// What a replica wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make these writes durable, then come back with [`Input::Persisted`].
    Persist {
        /// The name of the writes.
        ticket: Ticket,
        /// The writes, in order.
        writes: Vec<Write>,
    },
    /// Send a message.
    Send {
        /// The receiver.
        to: NodeId,
        /// What to say.
        message: Message,
        /// The message must not leave before this ticket is durable.
        after: Option<Ticket>,
    },
    /// Execute these committed entries, now or later, and in this order. They follow each other without gaps
    /// over the life of the process, but for an installed snapshot.
    Apply {
        /// The entries, in order.
        entries: Vec<Entry>,
    },
    /// The payload stands in the log under this name. It is answered once it has been applied.
    Proposed {
        /// The name.
        id: EntryId,
    },
    /// The payload was not taken: this replica is not an active primary.
    Refused,
    /// The local state may answer the read, once the log is executed through here (rule
    /// `ExecuteBeforeReading`).
    ReadReady {
        /// The driver's token.
        token: u64,
        /// An entry that is committed: an [`Effect::Apply`] has named it.
        through: Index,
    },
    /// The read was not taken, or the replica ceased to be the primary before it could be answered.
    ReadRefused {
        /// The driver's token.
        token: u64,
    },
    /// A new view was adopted. If the replica was the primary and no longer is, the outcome of everything
    /// that it proposed and has not applied is unknown.
    ViewChanged {
        /// The view.
        view: View,
        /// What this replica is in it.
        standing: Standing,
    },
    /// Ask the view service for something.
    Petition(Petition),
    /// This replica does not hold what the primary holds (rule P10). It is of no use until it has been
    /// rebuilt.
    Diverged {
        /// After which entry.
        after: Index,
        /// The digest here.
        own: u64,
        /// That of the primary.
        primarys: u64,
    },
    /// This replica led, and others came to other results (rule P10): its memory, or its machine, is damaged.
    /// It does nothing any more; the process must be started again, to execute its log anew. The outcome of
    /// everything that it proposed and has not applied is unknown.
    Damaged,
    /// Replace the state machine by one that has executed nothing: the log begins anew.
    Rebuild,
    /// A handover did not begin, or was given up.
    HandoverFailed {
        /// Why.
        error: HandoverError,
    },
    /// Make a durable snapshot of the state as it is after all entries that an [`Effect::Apply`] has named so
    /// far.
    TakeSnapshot {
        /// The last of them.
        at: EntryId,
        /// Its time.
        time: Timestamp,
    },
    /// Read a piece of a local snapshot and come back with [`Input::SnapshotRead`].
    ReadSnapshot {
        /// Who is to get it.
        to: NodeId,
        /// Which snapshot.
        snapshot: EntryId,
        /// Where the piece begins.
        offset: u64,
    },
    /// Read entries back from the log on the disk, where they are durable, and come back with
    /// [`Input::EntriesRead`].
    ReadEntries {
        /// Who is to get them.
        to: NodeId,
        /// The first one.
        first: EntryId,
        /// As many as fit into so many bytes, and at least one.
        bytes_max: usize,
    },
    /// Write a piece of a snapshot that is being received, and come back with [`Input::SnapshotWritten`]. A
    /// piece at offset 0 begins a new one.
    WriteSnapshot {
        /// The piece.
        chunk: Chunk,
    },
    /// All pieces are written: make the snapshot durable, put it in the place of the state machine, and come
    /// back with [`Input::SnapshotInstalled`]. A snapshot that is being taken of the old state may be given
    /// up without a word.
    InstallSnapshot {
        /// Which snapshot.
        snapshot: EntryId,
        /// The time of the last entry that it covers.
        time: Timestamp,
    },
}
