//! What nodes say to each other.

use bytes::Bytes;
use onecopy_core::{GroupId, Incarnation, Member, View, ViewNumber};
use onecopy_views::{Hello, Ping, Suspicion};
use serde::{Deserialize, Serialize};

/// On the data lane.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum DataMessage {
    /// Between the replicas of a group.
    Replica { group: GroupId, message: onecopy_replica::Message },
    /// From a coordinator to a primary.
    Forward(Forward),
    /// From a primary to a coordinator.
    Answer { coordinator: Incarnation, sequence: u64, outcome: Outcome },
}

/// A batch of commands on its way to a primary.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Forward {
    pub(crate) group: GroupId,
    /// The view in which the receiver is the primary, as the coordinator knows it.
    pub(crate) view: ViewNumber,
    /// Which start of which coordinator, and which of its batches.
    pub(crate) coordinator: Incarnation,
    pub(crate) sequence: u64,
    /// The coordinator has the answers to all its batches below this one.
    pub(crate) done_below: u64,
    pub(crate) kind: Kind,
    pub(crate) body: Bytes,
}

/// What a batch needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// The log.
    Write,
    /// Only a confirmed view.
    Read,
}

/// How a batch ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// It was executed; these are the replies.
    Done(Bytes),
    /// Nothing was executed: the receiver is not the primary. It names the view that it knows.
    NotPrimary(Option<View>),
    /// Nothing was executed: not now.
    Busy,
    /// It may or may not have been executed, or will be.
    Unknown,
}

/// On the control lane.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum ControlMessage {
    /// Between view nodes, before anybody votes.
    Hello(Hello),
    /// Between view nodes. The sender names the life of its disk: a node that lost it has no vote.
    Raft { incarnation: Incarnation, message: onecopy_raft::Message },
    /// From every node to every view node.
    Ping(Ping),
    /// From the view leader: the view table, in the encoding of [`onecopy_views::Table`].
    Table(Bytes),
    /// From any node to every view node.
    Suspect(Suspicion),
    /// From a primary to every view node: this learner has everything (rule P5).
    AskMembership { group: GroupId, view: ViewNumber, learner: Member },
}
