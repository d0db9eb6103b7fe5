//! What nodes say to each other on the data lane. On the control lane it is [`ControlMessage`].

use bytes::Bytes;
use onecopy_core::GroupId;
use onecopy_host::optimistic::message::Message as Copies;
use onecopy_host::{Answer, ControlMessage, Forward, GroupMessage, Letter, Outcome, Share, SharedHeartbeat};
use onecopy_raft::Message as RaftMessage;
use onecopy_replica::Message;
use serde::{Deserialize, Serialize};

use super::Greeting;
use super::wire::Parcel;

/// Between two data planes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum DataMessage {
    /// Between the copies of a group.
    Replica { group: GroupId, message: GroupMessage },
    /// Between the replicas of all quiescent groups that two nodes share.
    Heartbeat(SharedHeartbeat),
    /// From a coordinator to a primary.
    Forward(Forward),
    /// From a primary to a coordinator.
    Answer(Answer),
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
            Self::Replica { message, .. } => match message {
                GroupMessage::PrimaryBackup(Message::Prepare { entries, .. })
                | GroupMessage::Raft(Letter { message: RaftMessage::Append { entries, .. }, .. }) => {
                    entries.iter_mut().for_each(|entry| show(&mut entry.payload));
                }
                GroupMessage::PrimaryBackup(Message::SnapshotChunk { chunk, .. })
                | GroupMessage::Raft(Letter { message: RaftMessage::Snapshot { chunk, .. }, .. }) => {
                    show(&mut chunk.data);
                }
                GroupMessage::Optimistic(Copies::Deltas(deltas)) => deltas.iter_mut().for_each(show),
                GroupMessage::Optimistic(Copies::Answer { answer, .. }) => show(answer),
                GroupMessage::PrimaryBackup(_) | GroupMessage::Raft(_) | GroupMessage::Optimistic(_) => {}
            },
            Self::Forward(forward) => show(&mut forward.body),
            Self::Answer(Answer { outcome: Outcome::Done { response, .. }, .. }) => show(response),
            Self::Heartbeat(_) | Self::Answer(_) => {}
        }
    }

    /// A Prepare that comes before its predecessor is rejected, and entries are sent twice: those keep their
    /// order, and so does what belongs to a handover or to a snapshot. The same for what a leader of a Raft
    /// group says: a heartbeat names what was sent before it. The others stand for themselves.
    fn may_overtake(&self) -> bool {
        match self {
            Self::Heartbeat(_) | Self::Forward(_) | Self::Answer(_) => true,
            Self::Replica { message: GroupMessage::Optimistic(message), .. } => {
                matches!(message, Copies::Status(_) | Copies::Ask { .. })
            }
            Self::Replica { message: GroupMessage::Raft(letter), .. } => !letter.message.is_from_leader(),
            Self::Replica { message: GroupMessage::PrimaryBackup(message), .. } => matches!(
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
