//! What goes to other nodes, and why the process must end.

use onecopy_core::{GroupId, NodeId, Petition, UnknownLevel};

use crate::heartbeat::SharedHeartbeat;
use crate::message::{Answer, Forward, GroupMessage};

/// What the data plane wants to have sent, or done.
#[derive(Debug)]
pub enum DataEffect {
    /// Between the replicas of a group.
    Replica {
        /// The receiver.
        to: NodeId,
        /// Which group.
        group: GroupId,
        /// What to say.
        message: GroupMessage,
    },
    /// Between data planes, for all quiescent groups that both have.
    Heartbeat {
        /// The receiver.
        to: NodeId,
        /// What to say.
        message: SharedHeartbeat,
    },
    /// To a primary. If it is known at once that it cannot be sent,
    /// [`DataPlane::undelivered`](super::DataPlane::undelivered) must be told.
    Forward {
        /// The receiver.
        to: NodeId,
        /// The batch.
        forward: Forward,
    },
    /// To a coordinator.
    Answer {
        /// The receiver.
        to: NodeId,
        /// What became of its batch.
        answer: Answer,
    },
    /// To all view nodes: a replica asks for something.
    Petition(Petition),
    /// To nobody: the process must end, see
    /// [`GroupEffect::UnknownLevel`](crate::group::GroupEffect::UnknownLevel).
    UnknownLevel(UnknownLevel),
}
