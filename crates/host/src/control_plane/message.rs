//! What the control planes of nodes say to each other.

use std::sync::Arc;

use bytes::Bytes;
use onecopy_core::{GroupId, NodeId, Petition};
use onecopy_views::{Command, Hello, Moment, Ping, Refusal, Table};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::message::{MemberChange, RaftLetter};

/// A message from one control plane to another. Nobody waits for one: what is lost is said again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ControlMessage {
    /// Between view nodes, before anybody votes; and from those that wait to be members.
    Hello(Hello),
    /// Between view nodes.
    Raft(RaftLetter),
    /// From every node to every view node, and to one other node in turn.
    Ping(Ping),
    /// From a view node, or whoever knows a newer one than the sender of a ping: the view table.
    #[serde(serialize_with = "encode", deserialize_with = "decode")]
    Table(Arc<Table>),
    /// To a node that seeks another: where that is.
    Found {
        /// The one that is sought.
        node: NodeId,
        /// Where it takes other nodes.
        address: String,
    },
    /// From any node to every view node: a replica there asks for something.
    Petition(Moment, Petition),
    /// From any node to every view node: an operator there wants this. The leader answers with
    /// [`Self::Operated`].
    Operate {
        /// Which of the node's requests.
        request: u64,
        /// What is wanted.
        command: Command,
    },
    /// The same: an operator there wants other view nodes.
    ChangeMembers {
        /// Which of the node's requests.
        request: u64,
        /// What is wanted.
        change: MemberChange,
    },
    /// From any node to that of a primary: an operator there wants it to make way.
    HandOver {
        /// Which of the node's requests.
        request: u64,
        /// Whose primary.
        group: GroupId,
        /// For whom; for whoever is the best, if the operator does not say.
        to: Option<NodeId>,
    },
    /// From a view node to a process that is not taken for the node that it says it is.
    Refused(Refusal),
    /// To the node of an operator: what became of a request.
    Operated {
        /// Which of the node's requests.
        request: u64,
        /// If it was refused, why.
        outcome: Result<(), String>,
    },
}

/// A table travels as it stands in snapshots: whoever gets it [checks](Table::decode) it.
fn encode<S: Serializer>(table: &Arc<Table>, serializer: S) -> Result<S::Ok, S::Error> {
    table.encode().serialize(serializer)
}

fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Table>, D::Error> {
    let bytes = Bytes::deserialize(deserializer)?;
    Table::decode(&bytes).map(Arc::new).map_err(D::Error::custom)
}
