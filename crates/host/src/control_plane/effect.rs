//! What the control plane wants of the rest of its node.

use std::sync::Arc;

use onecopy_core::{GroupId, NodeId, UnknownLevel};
use onecopy_views::{Refusal, Table};

use super::ControlMessage;
use crate::known_nodes::KnownNodes;

/// What the control plane wants to have done.
#[derive(Debug)]
pub enum ControlEffect {
    /// Say something to a node. What is for this one is [received](super::ControlPlane::received) in the next
    /// turn, which is at once.
    Send {
        /// The receiver.
        to: NodeId,
        /// What to say.
        message: ControlMessage,
    },
    /// Say something to a process that may not be the node that it says it is.
    TellStranger {
        /// Which node it says it is.
        to: NodeId,
        /// Where it takes other nodes, as it says: perhaps not where the node does.
        address: String,
        /// What to say.
        message: ControlMessage,
    },
    /// A node is there, as it says itself, or somebody who has heard it.
    LookFor {
        /// Which one.
        node: NodeId,
        /// Where it takes other nodes.
        address: String,
    },
    /// All nodes are where this table says, and there are no others.
    Follow(Arc<Table>),
    /// Keep on the disk who the nodes are, and where, for the next start.
    Remember(KnownNodes),
    /// This is the view table from now on: the data planes have to hear of it.
    Learnt(Arc<Table>),
    /// The data directory of this process is an old image of a disk (rule P9): it must end itself, and must
    /// never be started again.
    OldImage,
    /// The level in force is not one that this version knows (rule E4): the process must end, and may be
    /// started again as another version. Nothing has changed.
    UnknownLevel(UnknownLevel),
    /// A view node says that it hears another process with this node's id.
    Refused(Refusal),
    /// An operator of another node, or of this one, wants a primary here to make way.
    HandOver {
        /// The node of the operator, and which of its requests.
        asker: (NodeId, u64),
        /// Whose primary.
        group: GroupId,
        /// For whom; for whoever is the best, if the operator does not say.
        to: Option<NodeId>,
    },
    /// The node is about to stop: its data planes have to make way wherever they lead, and take no leases any
    /// more ([`DataPlane::leave`](crate::DataPlane::leave)).
    LeaveGroups,
    /// The node may stop now.
    End,
    /// An operator of this node has an answer.
    Operated {
        /// To which request.
        request: u64,
        /// If it was refused, why.
        outcome: Result<(), String>,
    },
}
