//! What nodes say to each other: the same as on the wires of the node crate.

use onecopy_core::{Entry, GroupId, NodeId};
pub use onecopy_host::optimistic::message::Message as Copies;
pub use onecopy_host::{
    Answer, ControlMessage, Forward, GroupMessage, Kind, Letter, Outcome, RaftLetter, SharedHeartbeat,
};
use onecopy_views::MAIN;

use crate::network::Line;

/// A message between two nodes.
#[derive(Clone, Debug)]
pub enum Packet {
    /// Between the replicas of a group.
    Replica(GroupId, GroupMessage),
    /// Between the replicas of all quiescent groups that two nodes share.
    Heartbeat(SharedHeartbeat),
    /// From a coordinator to a primary.
    Forward(Forward),
    /// From a primary to a coordinator.
    Answer(Answer),
    /// Between control planes.
    Control(ControlMessage),
}

impl Packet {
    /// Whether the transport may deliver it twice, and out of order. Requests and answers travel on a
    /// connection, which does neither.
    #[must_use]
    pub fn may_be_doubled(&self) -> bool {
        !matches!(self, Self::Forward(_) | Self::Answer(_))
    }
}

impl Packet {
    /// In which line of its link it waits behind the large messages that are on their way, if it does, and
    /// about how many bytes it has: Prepares keep their order, and so do large requests and answers beside
    /// them. Everything else, and what has no more than one piece, goes between the pieces of those.
    #[must_use]
    pub fn line(&self, piece_bytes: usize) -> Option<(Line, usize)> {
        use onecopy_raft::Message as Raft;
        use onecopy_replica::Message;
        let (line, bytes) = match self {
            Self::Replica(
                _,
                GroupMessage::PrimaryBackup(Message::Prepare { entries, .. })
                | GroupMessage::Raft(Letter { message: Raft::Append { entries, .. }, .. }),
            ) => {
                return Some((Line::First, entries.iter().map(Entry::size).sum()));
            }
            Self::Replica(
                _,
                GroupMessage::PrimaryBackup(Message::SnapshotChunk { chunk, .. })
                | GroupMessage::Raft(Letter { message: Raft::Snapshot { chunk, .. }, .. }),
            ) => (Line::First, chunk.data.len()),
            Self::Replica(_, GroupMessage::Optimistic(Copies::Deltas(deltas))) => {
                (Line::First, deltas.iter().map(bytes::Bytes::len).sum())
            }
            Self::Replica(_, GroupMessage::Optimistic(Copies::Answer { answer, .. })) => {
                (Line::First, answer.len())
            }
            Self::Forward(forward) => (Line::Second, forward.body.len()),
            Self::Answer(Answer { outcome: Outcome::Done { response, .. }, .. }) => {
                (Line::Second, response.len())
            }
            _ => return None,
        };
        (bytes > piece_bytes).then_some((line, bytes))
    }

    /// Whether it decides something, once: about views, members, leases and snapshots. What is said all the
    /// time is not.
    #[must_use]
    pub fn is_of_control(&self) -> bool {
        use onecopy_raft::Message as Raft;
        use onecopy_replica::Message as Replica;
        match self {
            Self::Replica(_, GroupMessage::PrimaryBackup(message)) => matches!(
                message,
                Replica::GiveUp { .. }
                    | Replica::NewerView { .. }
                    | Replica::Diverged { .. }
                    | Replica::SnapshotChunk { .. }
                    | Replica::SnapshotAck { .. }
                    | Replica::ServeSnapshot { .. }
            ),
            Self::Replica(_, GroupMessage::Raft(Letter { message, .. }))
            | Self::Control(ControlMessage::Raft(RaftLetter { message, .. })) => matches!(
                message,
                Raft::Snapshot { .. } | Raft::Vote { .. } | Raft::VoteReply { .. } | Raft::TimeoutNow { .. }
            ),
            Self::Replica(_, GroupMessage::Optimistic(message)) => {
                matches!(message, Copies::Ask { .. } | Copies::Answer { .. })
            }
            // What it says of leases must not be taken for what another one says.
            Self::Heartbeat(_) => true,
            Self::Control(_) => true,
            Self::Forward(_) | Self::Answer(_) => false,
        }
    }
}

/// Short, for the trace.
#[must_use]
pub fn describe(packet: &Packet) -> String {
    match packet {
        Packet::Replica(MAIN, message) => describe_replica(message),
        Packet::Replica(group, message) => format!("{group}: {}", describe_replica(message)),
        Packet::Heartbeat(heartbeat) => format!("{heartbeat:?}"),
        Packet::Forward(forward) => {
            format!("{:?} batch {} in {}", forward.kind, forward.sequence, forward.view)
        }
        Packet::Answer(answer) => match &answer.outcome {
            Outcome::Done { as_of, .. } => format!("batch {} done as of {as_of}", answer.sequence),
            Outcome::NotPrimary(view) => {
                format!(
                    "batch {} refused, the view is {:?}",
                    answer.sequence,
                    view.as_ref().map(|view| view.number)
                )
            }
            outcome => format!("batch {} {outcome:?}", answer.sequence),
        },
        Packet::Control(message) => describe_control(message),
    }
}

fn describe_replica(message: &GroupMessage) -> String {
    use onecopy_replica::Message;
    let message = match message {
        GroupMessage::PrimaryBackup(message) => message,
        GroupMessage::Raft(letter) => return format!("raft {:?}", letter.message),
        GroupMessage::Optimistic(Copies::Deltas(deltas)) => return format!("{} updates", deltas.len()),
        GroupMessage::Optimistic(Copies::Answer { number, answer }) => {
            return format!("answer {number} of {} bytes", answer.len());
        }
        GroupMessage::Optimistic(message) => return format!("{message:?}"),
    };
    match message {
        Message::Prepare { view, sequence, previous, entries, commit, terms, .. } => {
            let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
            let terms = terms.map_or(String::new(), |terms| format!(" {terms:?}"));
            format!("Prepare {} /{sequence} after {previous} {ids:?} commit {commit}{terms}", view.number)
        }
        Message::NewerView { view } => format!("NewerView {view}"),
        message => format!("{message:?}"),
    }
}

fn describe_control(message: &ControlMessage) -> String {
    match message {
        ControlMessage::Hello(hello) => format!("{hello:?}"),
        ControlMessage::Raft(letter) => format!("raft {:?}", letter.message),
        ControlMessage::Ping(ping) => format!("ping {} {:?}", ping.boot, ping.groups),
        ControlMessage::Found { node, address } => format!("{node} is at {address}"),
        ControlMessage::Table(table) => format!("table version {}", table.version()),
        ControlMessage::Petition(_, petition) => petition.to_string(),
        message => format!("{message:?}"),
    }
}

/// Which node it is, in the trace.
#[must_use]
pub fn name(node: NodeId) -> String {
    node.to_string()
}
