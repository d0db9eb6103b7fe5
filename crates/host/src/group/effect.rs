//! What a group wants of the rest of the node.

use onecopy_core::{Grounds, GroupId, Incarnation, Member, NodeId, View, ViewNumber};
use onecopy_replica::Message;

use crate::message::Outcome;

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
        message: Message,
    },
    /// Answer a coordinator.
    Answer {
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
    /// Tell the view service that a replica is silent, or too slow.
    Suspect {
        /// Of which group.
        group: GroupId,
        /// The view in which it is.
        view: ViewNumber,
        /// Who it is.
        node: NodeId,
        /// What it does, for how long.
        grounds: Grounds,
    },
    /// Ask the view service to make a learner a member (rule P5).
    AskMembership {
        /// Of which group.
        group: GroupId,
        /// The view that the question is about.
        view: ViewNumber,
        /// Who has everything that is committed.
        learner: Member,
    },
    /// Ask the view service to make another member the primary: this one makes way.
    AskHandover {
        /// Of which group.
        group: GroupId,
        /// The view that the question is about.
        view: ViewNumber,
        /// The heir.
        to: NodeId,
    },
}
