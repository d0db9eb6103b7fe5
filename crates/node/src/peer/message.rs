//! What nodes say to each other.

use bytes::Bytes;
use onecopy_core::{GroupId, NodeId, Petition};
use onecopy_host::{Answer, Forward, MemberChange, Outcome, RaftLetter, Share, SharedHeartbeat};
use onecopy_replica::Message;
use onecopy_views::{Command, Hello, Moment, Ping, Refusal};
use serde::{Deserialize, Serialize};

use super::Greeting;
use super::wire::Parcel;

/// On the data lane.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum DataMessage {
    /// Between the replicas of a group.
    Replica { group: GroupId, message: Message },
    /// Between the replicas of all quiescent groups that two nodes share.
    Heartbeat(SharedHeartbeat),
    /// From a coordinator to a primary.
    Forward(Forward),
    /// From a primary to a coordinator.
    Answer(Answer),
}

/// On the control lane.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum ControlMessage {
    /// Between view nodes, before anybody votes; and from those that wait to be members.
    Hello(Hello),
    /// Between view nodes.
    Raft(RaftLetter),
    /// From every node to every view node, and to one other node in turn.
    Ping(Ping),
    /// From a view node, or whoever knows a newer one than the sender of a ping: the view table, in the
    /// encoding of [`onecopy_views::Table`].
    Table(Bytes),
    /// To a node that seeks another: where it is.
    Found { node: NodeId, address: String },
    /// From any node to every view node: a replica there asks for something.
    Petition(Moment, Petition),
    /// From any node to every view node: an operator there wants this. The leader answers with [`Self::Operated`].
    Operate { request: u64, command: Command },
    /// The same: an operator there wants other view nodes.
    ChangeMembers { request: u64, change: MemberChange },
    /// From any node to that of a primary: an operator there wants it to make way, for `to` or whoever is the best.
    HandOver { request: u64, group: GroupId, to: Option<NodeId> },
    /// From a view node to a process that is not taken for the node that it says it is.
    Refused(Refusal),
    /// To the node of an operator: what became of the request; if it was refused, why.
    Operated { request: u64, outcome: Result<(), String> },
}

impl DataMessage {
    /// The data thread that it is for, of so many.
    pub(crate) fn thread(&self, threads: usize) -> usize {
        match self {
            Self::Replica { group, .. } => Share::holder(*group, threads),
            Self::Heartbeat(heartbeat) => heartbeat.plane(threads),
            Self::Forward(forward) => Share::holder(forward.group, threads),
            Self::Answer(answer) => Share::holder(answer.group, threads),
        }
    }
}

impl Parcel for Greeting {}

impl Parcel for ControlMessage {}

impl Parcel for DataMessage {
    fn for_each_payload(&mut self, show: &mut dyn FnMut(&mut Bytes)) {
        match self {
            Self::Replica { message: Message::Prepare { entries, .. }, .. } => {
                entries.iter_mut().for_each(|entry| show(&mut entry.payload));
            }
            Self::Replica { message: Message::SnapshotChunk { chunk, .. }, .. } => show(&mut chunk.data),
            Self::Forward(forward) => show(&mut forward.body),
            Self::Answer(Answer { outcome: Outcome::Done { response, .. }, .. }) => show(response),
            Self::Replica { .. } | Self::Heartbeat(_) | Self::Answer(_) => {}
        }
    }

    /// A Prepare that comes before its predecessor is rejected, and entries are sent twice: those keep their
    /// order, and so does what belongs to a handover or to a snapshot. The others stand for themselves.
    fn may_overtake(&self) -> bool {
        match self {
            Self::Heartbeat(_) | Self::Forward(_) | Self::Answer(_) => true,
            Self::Replica { message, .. } => matches!(
                message,
                Message::PrepareOk { .. }
                    | Message::PrepareReject { .. }
                    | Message::Confirm { .. }
                    | Message::Confirmed { .. }
                    | Message::NewerView { .. }
                    | Message::ServesSnapshot { .. }
                    | Message::SnapshotAck { .. }
            ),
        }
    }
}
