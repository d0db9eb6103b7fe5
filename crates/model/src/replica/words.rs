//! What happens, in words.

use onecopy_core::{Entry, NodeId};
use onecopy_replica::Message;
use onecopy_views::Command;

use crate::network::Packet;

/// Whether only a primary has a use for it.
pub fn is_answer(message: &Message) -> bool {
    use Message::{Confirmed, PrepareOk, PrepareReject, ServesSnapshot};
    matches!(message, PrepareOk { .. } | PrepareReject { .. } | Confirmed { .. } | ServesSnapshot { .. })
}

/// A message, as one line.
pub fn message(message: &Message) -> String {
    match message {
        Message::Prepare { view, previous, entries, commit, .. } if entries.is_empty() => {
            format!("heartbeat of {} after {previous}, committed through {commit}", view.number)
        }
        Message::Prepare { view, previous, entries, commit, .. } => {
            let entries: Vec<String> = entries.iter().map(entry).collect();
            let entries = entries.join(" ");
            format!("Prepare of {}: {entries} after {previous}, committed through {commit}", view.number)
        }
        Message::PrepareOk { view, durable, .. } => format!("PrepareOk of {view}: durable through {durable}"),
        Message::PrepareReject { view, agreed, last, .. } => {
            format!("PrepareReject of {view}: agrees through {agreed}, the log ends with {last}")
        }
        Message::Confirm { view, round } => format!("Confirm of {view}, round {round}"),
        Message::Confirmed { view, round } => format!("Confirmed for {view}, round {round}"),
        Message::NewerView { view } => format!("NewerView {view}"),
        Message::GiveUp { .. }
        | Message::Diverged { .. }
        | Message::ServeSnapshot { .. }
        | Message::ServesSnapshot { .. }
        | Message::SnapshotChunk { .. }
        | Message::SnapshotAck { .. } => {
            format!("{message:?}")
        }
    }
}

/// A message with its way.
pub fn packet(packet: &Packet<Message>) -> String {
    format!("{} to {}: {}", packet.from, packet.to, message(&packet.message))
}

/// An entry, with what it carries.
pub fn entry(entry: &Entry) -> String {
    match entry.payload.is_empty() {
        true => format!("{} (no-op)", entry.id),
        false => format!("{} ({})", entry.id, String::from_utf8_lossy(&entry.payload)),
    }
}

/// A change of views, as somebody proposed it.
pub fn command(command: &Command) -> String {
    let list = |nodes: &[NodeId]| match nodes {
        [] => String::new(),
        nodes => format!(", dropping {nodes:?}"),
    };
    match command {
        Command::PromoteMember { primary, boot, dropped, .. } => {
            format!("promotes {primary} (start {boot}){}", list(dropped))
        }
        Command::RemoveMember { node, .. } => format!("drops the member {node}"),
        Command::RemoveLearner { node, .. } => format!("drops the learner {node}"),
        Command::AddLearner { learner, .. } => format!("recruits {} as a learner", learner.node),
        Command::AddMember { learner, .. } => format!("makes the learner {} a member", learner.node),
        other => format!("{other:?}"),
    }
}
