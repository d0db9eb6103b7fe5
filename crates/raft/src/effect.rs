//! What goes into a step, and what comes out.

use bytes::Bytes;
use onecopy_core::chunks::Chunk;
use onecopy_core::{Entry, EntryId, Index, Member, Term, Ticket, Timestamp, Write};

use crate::change::ChangeRefusal;
use crate::configuration::{Change, Configuration};
use crate::message::Message;
use crate::role::Role;
use crate::transfer::TransferRefusal;

/// What can happen to a member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A message arrived. Strangers may ask for votes, and lead: their configuration may be newer than the
    /// one known here (Raft paper, section 6). Their answers are ignored.
    Received {
        /// The sender, as the transport knows it, in the life that sent it.
        from: Member,
        /// What it said.
        message: Message,
    },
    /// Change who belongs to the group, all at once. Answered in the same step by [`Effect::ChangeBegun`] or
    /// [`Effect::ChangeRefused`].
    Change {
        /// The parts.
        changes: Vec<Change>,
    },
    /// Hand the leadership over to this voter. Answered in the same step by [`Effect::TransferBegun`] or
    /// [`Effect::TransferRefused`].
    Transfer {
        /// The next leader.
        to: Member,
    },
    /// Append an entry. Answered in the same step by [`Effect::Proposed`] or [`Effect::Refused`].
    Propose {
        /// What to execute.
        payload: Bytes,
        /// The time of the entry; raised to that of the entry before, if it lies below.
        time: Timestamp,
        /// The seed of the entry's randomness.
        seed: u64,
    },
    /// Read linearizably (ReadIndex, or from a lease). The time of the step must not be older than the read:
    /// a lease that ran out before the read arrived must not answer it. A follower asks the leader how much
    /// the read must see. Answered by [`Effect::ReadReady`] or [`Effect::ReadRefused`], at once or later.
    Read {
        /// Names the read in the answer.
        token: u64,
    },
    /// The writes of this ticket and of all before it are durable.
    Persisted {
        /// The highest such ticket.
        ticket: Ticket,
    },
    /// Somebody knows that the log here is committed through this entry.
    Committed {
        /// The entry.
        through: Index,
    },
    /// Time has passed; due at [`onecopy_core::Protocol::deadline`]. Harmless at any other time.
    Elapsed,
    /// The driver has made a durable snapshot of its state machine; the log may be compacted.
    SnapshotTaken {
        /// The last entry that the snapshot covers. It has been applied.
        snapshot: EntryId,
    },
    /// The snapshot that [`Effect::TakeSnapshot`] asked for could not be made; it is asked for again.
    SnapshotFailed,
    /// The answer to [`Effect::ReadSnapshot`].
    SnapshotRead {
        /// Who gets the piece.
        to: Member,
        /// Which snapshot was asked for.
        snapshot: EntryId,
        /// The piece: [`onecopy_core::chunks::CHUNK`] bytes, or fewer if it is the last; at or beyond the
        /// end, an empty one marked as the last. `None` if there is no such snapshot any more.
        chunk: Option<Chunk>,
    },
    /// Chunks of [`Effect::WriteSnapshot`] are written (they need not be durable yet).
    SnapshotWritten {
        /// The snapshot that is being received.
        snapshot: EntryId,
        /// Everything below this offset is written: the end of the last such chunk.
        offset: u64,
    },
    /// The whole snapshot of [`Effect::InstallSnapshot`] is durable, and is the state of the state machine.
    SnapshotInstalled {
        /// The last entry that it covers.
        snapshot: EntryId,
        /// The time of that entry.
        time: Timestamp,
        /// The configuration as of that entry: the one of [`Effect::TakeSnapshot`], which came with the
        /// snapshot.
        configuration: Configuration,
    },
    /// The snapshot of [`Effect::InstallSnapshot`] is damaged, and the state machine is as it was before. It
    /// will be fetched again.
    SnapshotUnusable {
        /// The last entry that it claimed to cover.
        snapshot: EntryId,
    },
}

/// What a member wants done, in this order.
///
/// A step pushes at most one [`Effect::Persist`], before everything else. Messages that promise something
/// wait for it, or for an earlier one; all others may leave while the disk is busy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write this, then come back with [`Input::Persisted`]. If it fails, the member must never be stepped
    /// again.
    Persist {
        /// Names the writes.
        ticket: Ticket,
        /// What to write, in this order.
        writes: Vec<Write>,
    },
    /// Send a message. May be lost, but then never changed.
    Send {
        /// The receiver.
        to: Member,
        /// What to say.
        message: Message,
        /// Not before this ticket is durable. If the process dies before that, the message is never sent.
        after: Option<Ticket>,
    },
    /// Execute these entries, which are committed. Each comes once in the life of a process, in order,
    /// without gaps but for those that an installed snapshot covers.
    Apply {
        /// The entries. Never empty.
        entries: Vec<Entry>,
    },
    /// The entry of [`Input::Propose`] is in the leader's log. It is committed when it is applied under this
    /// very name; when another entry is applied at its index, it is lost.
    Proposed {
        /// Its name.
        id: EntryId,
    },
    /// The entry of [`Input::Propose`] was not taken: this member is not the leader, or is handing over.
    Refused {
        /// Who leads, if that is known.
        leader: Option<Member>,
    },
    /// The changes of [`Input::Change`] are in the leader's log. They are done when a configuration that is
    /// not joint is committed at or after `id`, see [`Effect::ConfigurationChanged`]; a change of voters
    /// takes two entries, and the leader appends the second by itself. They may be lost like a proposal.
    ChangeBegun {
        /// The name of the (first) entry.
        id: EntryId,
    },
    /// The changes of [`Input::Change`] were not begun.
    ChangeRefused {
        /// Why.
        reason: ChangeRefusal,
    },
    /// The last configuration in the log is another, or is committed now. One that is not committed can be
    /// lost again.
    ConfigurationChanged {
        /// Where it stands in the log; at or before the log's base if a snapshot brought it.
        index: Index,
        /// Who belongs to the group.
        configuration: Configuration,
        /// Whether it is known to be committed.
        committed: bool,
    },
    /// The leadership is being handed over, and proposals are refused. It ends with [`Effect::RoleChanged`]
    /// or with [`Effect::TransferAborted`].
    TransferBegun {
        /// The next leader.
        to: Member,
    },
    /// The transfer of [`Input::Transfer`] was not begun.
    TransferRefused {
        /// Why.
        reason: TransferRefusal,
    },
    /// The next leader did not take over within an election timeout; this member goes on leading.
    TransferAborted {
        /// Who should have.
        to: Member,
    },
    /// The read may be answered: from the state after this index, or any later one. [`Effect::Apply`] through
    /// this index has been pushed before.
    ReadReady {
        /// The name of the read.
        token: u64,
        /// The least index that the answer must reflect.
        index: Index,
    },
    /// The read cannot be answered here: this member neither leads nor follows a leader, or does so no
    /// longer.
    ReadRefused {
        /// The name of the read.
        token: u64,
        /// Who is, if that is known.
        leader: Option<Member>,
    },
    /// Role, term or known leader are new. When a leader steps down, the outcome of its proposals that have
    /// not been applied is unknown.
    RoleChanged {
        /// The role now.
        role: Role,
        /// The term now.
        term: Term,
        /// The leader of the term, if it is known.
        leader: Option<Member>,
    },
    /// Make a durable snapshot of the state machine as applied through `at`, and come back with
    /// [`Input::SnapshotTaken`].
    TakeSnapshot {
        /// The last applied entry.
        at: EntryId,
        /// Its time. Kept with the snapshot: no entry after it may have a lower one.
        time: Timestamp,
        /// The configuration as of that entry. Kept with the snapshot, here and wherever it is installed.
        configuration: Configuration,
    },
    /// Read a piece of the local snapshot, and come back with [`Input::SnapshotRead`].
    ReadSnapshot {
        /// Who will get the piece.
        to: Member,
        /// The last entry that the snapshot covers.
        snapshot: EntryId,
        /// Where the piece begins, in bytes.
        offset: u64,
    },
    /// Append a piece to the snapshot that is being received, and come back with [`Input::SnapshotWritten`].
    /// A piece at offset 0 begins anew: whatever was being received before is dropped.
    WriteSnapshot {
        /// The piece.
        chunk: Chunk,
    },
    /// All pieces have been written. Check the snapshot, make it durable, load it into the state machine, and
    /// come back with [`Input::SnapshotInstalled`], or with [`Input::SnapshotUnusable`]. Nothing is applied
    /// meanwhile.
    InstallSnapshot {
        /// The last entry that the snapshot covers.
        snapshot: EntryId,
    },
}
