//! What nodes say to each other: the same as on the wires of the node crate, with witnesses for the checks.

use std::rc::Rc;

use bytes::Bytes;
use onecopy_core::{Incarnation, Index, Member, NodeId, View, ViewNumber};
use onecopy_views::{Ping, Suspicion, Table};

/// A message between two nodes.
#[derive(Clone, Debug)]
pub enum Packet {
    /// Between the replicas of the data group.
    Replica(onecopy_replica::Message),
    /// From a coordinator to a primary.
    Forward(Forward),
    /// From a primary to a coordinator.
    Answer(Answer),
    /// Between view nodes. The sender names the life of its disk.
    Raft(Incarnation, onecopy_raft::Message),
    /// From every node to every view node.
    Ping(Rc<Ping>),
    /// From the view leader.
    Table(Rc<Table>),
    /// From any node to every view node.
    Suspect(Suspicion),
    /// From a primary to every view node (rule P5).
    AskMembership(ViewNumber, Member),
}

impl Packet {
    /// Whether the transport may deliver it twice, and out of order. Requests and answers travel on a connection, which
    /// does neither.
    #[must_use]
    pub fn may_be_doubled(&self) -> bool {
        !matches!(self, Self::Forward(_) | Self::Answer(_))
    }
}

/// A batch of commands on its way to a primary.
#[derive(Clone, Debug)]
pub struct Forward {
    /// The view in which the receiver is the primary, as the coordinator knows it.
    pub view: ViewNumber,
    /// Which start of which coordinator.
    pub coordinator: Incarnation,
    /// Which of its batches.
    pub sequence: u64,
    /// What it needs.
    pub kind: Kind,
    /// The commands.
    pub body: Bytes,
}

/// The answer to a [`Forward`].
#[derive(Clone, Debug)]
pub struct Answer {
    /// Which start of which coordinator had asked.
    pub coordinator: Incarnation,
    /// Which of its batches.
    pub sequence: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// What a batch needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Only a confirmed view.
    Read,
    /// The log.
    Write,
}

/// How a batch ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was executed; these are the replies. The index is what the state reflected: a witness for the checks.
    Done(Bytes, Index),
    /// Nothing was executed: the receiver is not the primary. It names the view that it knows.
    NotPrimary(Option<View>),
    /// Nothing was executed: not now.
    Busy,
    /// It may or may not have been executed, or will be.
    Unknown,
}

/// Short, for the trace.
#[must_use]
pub fn describe(packet: &Packet) -> String {
    match packet {
        Packet::Replica(message) => describe_replica(message),
        Packet::Forward(forward) => {
            format!("{:?} batch {} in {}", forward.kind, forward.sequence, forward.view)
        }
        Packet::Answer(answer) => match &answer.outcome {
            Outcome::Done(_, index) => format!("batch {} done as of {index}", answer.sequence),
            Outcome::NotPrimary(view) => {
                format!(
                    "batch {} refused, the view is {:?}",
                    answer.sequence,
                    view.as_ref().map(|view| view.number)
                )
            }
            outcome => format!("batch {} {outcome:?}", answer.sequence),
        },
        Packet::Raft(_, message) => format!("raft {message:?}"),
        Packet::Ping(ping) => format!("ping {} {:?}", ping.boot, ping.groups),
        Packet::Table(table) => format!("table version {}", table.version()),
        Packet::Suspect(suspicion) => format!("{} is silent for {:?}", suspicion.node, suspicion.silent_for),
        Packet::AskMembership(view, learner) => format!("make {learner:?} a member, asked in {view}"),
    }
}

fn describe_replica(message: &onecopy_replica::Message) -> String {
    use onecopy_replica::Message;
    match message {
        Message::Prepare { view, sequence, previous, entries, commit, terms } => {
            let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
            let terms = terms.map_or(String::new(), |terms| format!(" {terms:?}"));
            format!("Prepare {} /{sequence} after {previous} {ids:?} commit {commit}{terms}", view.number)
        }
        Message::NewerView { view } => format!("NewerView {view}"),
        message => format!("{message:?}"),
    }
}

/// Which node it is, in the trace.
#[must_use]
pub fn name(node: NodeId) -> String {
    node.to_string()
}
