//! What goes to other nodes.

use onecopy_core::{GroupId, Member, NodeId, ViewNumber};
use onecopy_replica::Message;
use onecopy_views::Suspicion;

use crate::message::{Answer, Forward};

/// What the data plane wants to have sent.
#[derive(Debug)]
pub enum DataEffect {
    /// Between the replicas of a group.
    Replica {
        /// The receiver.
        to: NodeId,
        /// Which group.
        group: GroupId,
        /// What to say.
        message: Message,
    },
    /// To a primary. If it is known at once that it cannot be sent, [`DataPlane::undelivered`](super::DataPlane::undelivered) must be told.
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
    /// To all view nodes: a replica is silent.
    Suspect(Suspicion),
    /// To all view nodes: this learner has everything (rule P5).
    AskMembership {
        /// Of which group.
        group: GroupId,
        /// The view that the question is about.
        view: ViewNumber,
        /// Who has everything that is committed.
        learner: Member,
    },
    /// To all view nodes: the primary of a group makes way.
    AskHandover {
        /// Of which group.
        group: GroupId,
        /// The view that the question is about.
        view: ViewNumber,
        /// Who is to be the primary.
        to: NodeId,
    },
}
