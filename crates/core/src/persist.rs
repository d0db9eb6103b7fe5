//! What a protocol asks its driver to make durable, and what it gets back after a restart.

use bytes::Bytes;

use crate::entry::{Entry, EntryId};
use crate::id::{Index, NodeId};

/// Names a set of writes of one group. Tickets grow by one; when a ticket is durable, so are all before it.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

impl Ticket {
    /// Takes the next ticket: counts `self` up and returns it.
    pub fn take(&mut self) -> Self {
        self.0 += 1;
        *self
    }
}

/// One write to a group's part of the durable log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Write {
    /// The protocol's own small state (Raft: term and vote; primary-backup: the promised view). It replaces
    /// the one before. Always synced before it counts as durable, whatever the durability setting.
    State(Bytes),
    /// Entries at the end of the log, and the commit index as known when they were appended, so that a
    /// restart need not learn it again from scratch.
    Append {
        /// Without gaps; the first follows the last entry of the log.
        entries: Vec<Entry>,
        /// What the protocol knew to be committed. May be lower than the truth, never higher.
        commit: Index,
    },
    /// Drops the entry at `from` and everything after it.
    Cut {
        /// The first index that is dropped.
        from: Index,
    },
    /// Drops everything up to and including `through`: a durable snapshot covers it.
    Compact {
        /// The last entry that is dropped.
        through: EntryId,
    },
    /// Drops the whole log: a durable snapshot at `snapshot`, received from another replica, replaces it.
    Install {
        /// The last entry that the snapshot covers.
        snapshot: EntryId,
    },
    /// Drops everything that the group has, its small state too: it is gone.
    Forget,
}

impl Write {
    /// About how many bytes it has.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::State(state) => state.len(),
            Self::Append { entries, .. } => entries.iter().map(Entry::size).sum(),
            Self::Cut { .. } | Self::Compact { .. } | Self::Install { .. } | Self::Forget => 0,
        }
    }
}

/// What a group finds after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Recovered {
    /// The last [`Write::State`], if there was one.
    pub state: Option<Bytes>,
    /// The last entry that the group's snapshot covers; [`EntryId::ZERO`] if it has none.
    pub base: EntryId,
    /// The entries after `base`.
    pub entries: Vec<Entry>,
    /// The highest commit index written with an append; at least the base's index.
    pub commit: Index,
}

/// Where a message is going, and which write must be durable before it may leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<M> {
    /// The receiver.
    pub to: NodeId,
    /// What is sent.
    pub message: M,
    /// The message must not leave before this ticket is durable.
    pub after: Option<Ticket>,
}
