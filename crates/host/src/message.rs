//! What coordinators and primaries say to each other, and how the messages of view nodes travel.

use bytes::Bytes;
use onecopy_core::payload::Part;
use onecopy_core::{GroupId, Incarnation, Index, NodeId, View, ViewNumber};
use serde::{Deserialize, Serialize};

/// A batch of commands on its way to a primary.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Forward {
    /// Whose primary.
    pub group: GroupId,
    /// The view in which the receiver is the primary, as the coordinator knows it.
    pub view: ViewNumber,
    /// Which start of which coordinator: each counts its batches from the beginning.
    pub coordinator: Incarnation,
    /// Which of its batches.
    pub sequence: u64,
    /// The coordinator has the answers to all its batches below this one.
    pub done_below: u64,
    /// What it needs.
    pub kind: Kind,
    /// If this is not all of the batch: which part.
    pub part: Option<Part>,
    /// The coordinator has heard, or waits no more for, the answers to these batches that were parked.
    pub heard: Vec<u64>,
    /// The commands: [segments](onecopy_core::segments).
    pub body: Bytes,
}

/// The answer to a [`Forward`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whose primary it was for: the coordinators of a node count the batches of each group from the
    /// beginning.
    pub group: GroupId,
    /// Which start of which coordinator had asked. An answer to the process before names a batch of this one
    /// only by accident.
    pub coordinator: Incarnation,
    /// Which of its batches.
    pub sequence: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// What a batch needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// The log.
    Write,
    /// Only a confirmed view.
    Read,
    /// The log; and perhaps it is parked, and answered by a later entry. It travels alone.
    Wait,
}

/// How a batch ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It was executed.
    Done {
        /// The replies, one for each segment.
        response: Bytes,
        /// The last entry that the state reflected: a witness for a simulator's checks, which does not travel
        /// over wires.
        #[serde(skip)]
        as_of: Index,
    },
    /// Nothing was executed: the receiver is not the primary. It names the view that it knows.
    NotPrimary(Option<View>),
    /// Nothing was executed: not now.
    Busy,
    /// Nothing was executed: a write needs more copies than the receiver's view has members.
    TooFewCopies {
        /// How many members the view has.
        has: u32,
        /// How many it must have.
        needs: u32,
    },
    /// Nothing was executed: it was a part, and so many bytes of its batch are kept now. The next one begins
    /// there.
    Kept {
        /// How many.
        bytes: u32,
    },
    /// It may or may not have been executed, or will be.
    Unknown,
    /// It was executed, once, when it came before. What it was answered then was too large to be remembered.
    Forgotten,
    /// It was executed, and is parked: its answer follows once there is one.
    Parked,
    /// It has come before, and will be executed after what is being executed now: its answer follows.
    Executing,
}

/// A message of the Raft group of the view table, on its way from one view node to another. Who speaks, and
/// to whom, is a node *in one life of its disk*: one that lost it is another member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaftLetter {
    /// The cluster of the sender ([`onecopy_views::Membership::cluster`]).
    pub cluster: Incarnation,
    /// The life of the sender's disk.
    pub from: Incarnation,
    /// The life of the receiver's disk that is meant.
    pub to: Incarnation,
    /// What is said.
    pub message: onecopy_raft::Message,
}

/// A message from one copy of a group to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupMessage {
    /// Between replicas of primary-backup.
    PrimaryBackup(onecopy_replica::Message),
    /// Between members of a Raft group.
    Raft(Letter),
    /// Between copies of an optimistic database.
    Optimistic(crate::optimistic::message::Message),
}

/// A message between members of a Raft group that holds data. Who speaks, and to whom, is a node *in one life
/// of its data*: one that lost it is another member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// The life of the sender's data.
    pub from: Incarnation,
    /// The life of the receiver's data that is meant.
    pub to: Incarnation,
    /// What is said.
    pub message: onecopy_raft::Message,
}

/// What an operator wants of the view service itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberChange {
    /// These become view nodes with a vote, all at once. They run, with the role, and wait for it.
    Add(Vec<NodeId>),
    /// These are no view nodes any more, all at once.
    Remove(Vec<NodeId>),
}
