//! What replicas of a group say to each other.

use onecopy_core::chunks::{CHUNK, Chunk};
use onecopy_core::{Digest, Entry, EntryId, Index, NodeId, View, ViewNumber};
use serde::{Deserialize, Serialize};

use crate::lease::{Granted, Terms};

/// A message between two replicas of one group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// From the primary: have these entries, and know what is committed. Without entries, a heartbeat.
    Prepare {
        /// The view that the sender is the primary of. In full, so that nobody has to ask what it is.
        view: View,
        /// Counted up by the primary for each receiver, echoed by a rejection.
        sequence: u64,
        /// The entry right before the first of `entries`. [`EntryId::ZERO`] fits every log.
        previous: EntryId,
        /// Entries to append.
        entries: Vec<Entry>,
        /// The primary's commit index.
        commit: Index,
        /// What the primary holds (rule P10).
        digest: Option<Digest>,
        /// About leases; `None` if the primary uses none.
        terms: Option<Terms>,
    },
    /// To the primary: everything up to `durable` agrees with its log and is durable here.
    PrepareOk {
        /// The view of the Prepare.
        view: ViewNumber,
        /// The highest index that agrees and is durable.
        durable: Index,
        /// The last entry after which both held the same (rule P10).
        checked: Index,
        /// About leases; `None` if one of the two uses none.
        terms: Option<Terms>,
    },
    /// To the primary: `previous` is not in this log, start further back.
    PrepareReject {
        /// The view of the Prepare.
        view: ViewNumber,
        /// Which Prepare is rejected.
        sequence: u64,
        /// Up to here both logs are known to agree.
        agreed: Index,
        /// The last entry of the log here. If the primary has it too, both agree up to it.
        last: EntryId,
    },
    /// From the primary: are you still in this view? Asked for reads.
    Confirm {
        /// The view that the primary is in.
        view: ViewNumber,
        /// Counted up by the primary.
        round: u64,
    },
    /// To the primary: when the Confirm arrived, no newer view had been promised here.
    Confirmed {
        /// The view of the Confirm.
        view: ViewNumber,
        /// The round of the Confirm.
        round: u64,
    },
    /// To the primary: what it holds and what is held here differ (rule P10).
    Diverged {
        /// The view of the primary.
        view: ViewNumber,
        /// The view in which the sender last began anew.
        began: ViewNumber,
    },
    /// To a sender whose view is older than the promised one (rule P3).
    NewerView {
        /// The promised view.
        view: View,
    },
    /// From a primary to the member that is to succeed it: it will not read under its leases any more (rule
    /// L3).
    GiveUp {
        /// The view of the primary. What it says is about the next view, and no other.
        view: ViewNumber,
        /// The leases that it has granted, and that may still be held.
        granted: Vec<Granted>,
    },
    /// From the primary to a backup: send your snapshot to that replica.
    ServeSnapshot {
        /// The view of the primary.
        view: ViewNumber,
        /// Who needs it.
        to: NodeId,
        /// The number of the transfer, counted up by the primary for each receiver.
        transfer: u64,
        /// Where the primary's log begins: a snapshot of less is of no use.
        base: Index,
    },
    /// To the primary, from a backup that was asked to serve: how that gets on.
    ServesSnapshot {
        /// The view of the primary.
        view: ViewNumber,
        /// Who needs it.
        to: NodeId,
        /// The number of the transfer.
        transfer: u64,
        /// What is being sent, and how many bytes of it have arrived; `None` if this backup cannot.
        sends: Option<(EntryId, u64)>,
    },
    /// From the primary, or a backup that it has asked: a piece of its snapshot.
    SnapshotChunk {
        /// The view of both.
        view: ViewNumber,
        /// The number of the transfer. Pieces of an older one are of no use any more.
        transfer: u64,
        /// The piece.
        chunk: Chunk,
    },
    /// To whoever sends a snapshot: everything of it below `wanted` is on disk here.
    SnapshotAck {
        /// The view of the chunk.
        view: ViewNumber,
        /// The number of the transfer.
        transfer: u64,
        /// Which snapshot.
        snapshot: EntryId,
        /// The offset of the byte that is wanted next.
        wanted: u64,
    },
}

impl Message {
    /// The view that the sender speaks for; `None` if it only repeats what the view service has said.
    #[must_use]
    pub fn view(&self) -> Option<ViewNumber> {
        match self {
            Self::Prepare { view, .. } => Some(view.number),
            Self::PrepareOk { view, .. }
            | Self::PrepareReject { view, .. }
            | Self::Confirm { view, .. }
            | Self::Confirmed { view, .. }
            | Self::GiveUp { view, .. }
            | Self::Diverged { view, .. }
            | Self::ServeSnapshot { view, .. }
            | Self::ServesSnapshot { view, .. }
            | Self::SnapshotChunk { view, .. }
            | Self::SnapshotAck { view, .. } => Some(*view),
            Self::NewerView { .. } => None,
        }
    }

    /// Whether it answers something that was said in the sender's view.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        match self {
            Self::PrepareOk { .. }
            | Self::PrepareReject { .. }
            | Self::Confirmed { .. }
            | Self::Diverged { .. }
            | Self::ServesSnapshot { .. }
            | Self::SnapshotAck { .. } => true,
            Self::Prepare { .. }
            | Self::Confirm { .. }
            | Self::NewerView { .. }
            | Self::GiveUp { .. }
            | Self::ServeSnapshot { .. }
            | Self::SnapshotChunk { .. } => false,
        }
    }

    /// Whether a replica could have sent this. The log asserts what it is given; this keeps a broken or
    /// hostile sender from reaching those assertions.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        match self {
            Self::Prepare { view, previous, entries, .. } => {
                let follows = |(before, after): (EntryId, &Entry)| {
                    after.id.index.0 == before.index.0.saturating_add(1)
                        && before.epoch <= after.id.epoch
                        && after.id.epoch <= view.number.into()
                };
                let before = std::iter::once(*previous).chain(entries.iter().map(|entry| entry.id));
                view.valid()
                    && before.zip(entries).all(follows)
                    && entries.is_sorted_by_key(|entry| entry.time)
            }
            Self::NewerView { view } => view.valid(),
            Self::SnapshotChunk { chunk, .. } => {
                chunk.data.len() <= CHUNK && chunk.offset.checked_add(CHUNK as u64).is_some()
            }
            // Offsets are counted on from here.
            Self::SnapshotAck { wanted, .. } => *wanted < u64::MAX / 2,
            _ => true,
        }
    }
}
