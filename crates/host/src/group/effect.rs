//! What a group wants of the rest of the node.

use onecopy_core::{GroupId, Incarnation, NodeId, Petition, UnknownLevel, View};

use crate::message::{GroupMessage, Outcome};

/// Where a batch came from, and so where its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The coordinator of this node.
    Local {
        /// Which of its batches.
        sequence: u64,
    },
    /// That of another one.
    Remote {
        /// The node.
        node: NodeId,
        /// Which start of its coordinator: the next process counts from the beginning.
        coordinator: Incarnation,
        /// Which of its batches.
        sequence: u64,
    },
}

/// What a group wants of the rest of the node.
#[derive(Debug)]
pub enum GroupEffect {
    /// Send this to a replica of the group.
    Send {
        /// Which group.
        group: GroupId,
        /// The receiver.
        to: NodeId,
        /// What to say.
        message: GroupMessage,
    },
    /// Answer a coordinator.
    Answer {
        /// Of which group.
        group: GroupId,
        /// Which one, and which of its batches.
        origin: Origin,
        /// How it ended.
        outcome: Outcome,
    },
    /// The replica has adopted a view.
    Learnt {
        /// Of which group.
        group: GroupId,
        /// The view.
        view: View,
    },
    /// Ask the view service for something.
    Petition(Petition),
    /// An entry, or a snapshot, is of a level that this version does not know: the process must end. What the
    /// state holds is as it was (rule E4).
    UnknownLevel(UnknownLevel),
}
