//! The connections between nodes.
//!
//! A node keeps, for every other node, one outgoing connection per *lane*; the other direction has its own.
//! There are two lanes, so that a ping never queues behind a snapshot:
//!
//! - [`Lane::Control`]: pings, suspicions, announcements, and the view service's own Raft;
//! - [`Lane::Data`]: replication, and requests that coordinators forward to primaries. Each data thread has
//!   its own connection to every other node. Where both have as many threads, what comes on it is for the
//!   thread that reads it.
//!
//! A connection begins with a [`Greeting`]: nodes of different clusters, of different versions, or at a wrong
//! address part before anything else is said. After it come [frames](wire) in one direction: long messages in
//! pieces, with short ones between them that need not wait. What cannot be delivered at once is dropped: the
//! protocols above repeat what matters, and the queue of a link is bounded.

pub(crate) mod accept;
pub(crate) mod link;
pub(crate) mod message;
pub(crate) mod wire;

use onecopy_core::NodeId;
use serde::{Deserialize, Serialize};

/// The version of what peers say to each other. Counted up with every incompatible change.
pub(crate) const PROTOCOL_VERSION: u32 = 21;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Lane {
    Control,
    Data,
}

/// The first frame of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Greeting {
    pub(crate) version: u32,
    /// Nodes of different clusters do not meet.
    pub(crate) cluster: String,
    pub(crate) from: NodeId,
    /// Whom the sender believes to have reached.
    pub(crate) to: NodeId,
    pub(crate) lane: Lane,
    /// Which thread of the sender it is, of how many: groups are spread over them by their ids.
    pub(crate) thread: (u32, u32),
}

/// Something happened to the connections of a lane.
#[derive(Debug)]
pub(crate) enum PeerEvent<M> {
    /// A message arrived.
    Received { from: NodeId, message: M },
    /// Bytes of a message from this node are arriving, and more must come before it is whole.
    Arriving { from: NodeId },
    /// A connection to or from this node broke: what was on its way is lost.
    Lost { node: NodeId },
}
