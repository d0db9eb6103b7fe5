//! What happens, in words.

use onecopy_core::Entry;
use onecopy_raft::Message;

use crate::network::Packet;

/// A message, as one line.
pub fn message(message: &Message) -> String {
    let answer = |granted: &bool| if *granted { "yes" } else { "no" };
    match message {
        Message::PreVote { term, last, .. } => format!("PreVote for {term}? my log ends with {last}"),
        Message::PreVoteReply { term, granted, .. } => format!("PreVoteReply {term}: {}", answer(granted)),
        Message::Vote { term, last, .. } => format!("Vote for me in {term}! my log ends with {last}"),
        Message::VoteReply { term, granted } => format!("VoteReply {term}: {}", answer(granted)),
        Message::Append { term, previous, entries, commit } => {
            let entries: Vec<String> = entries.iter().map(entry).collect();
            let entries = if entries.is_empty() { "nothing".to_owned() } else { entries.join(" ") };
            format!("Append of {term}: {entries} after {previous}, committed through {commit}")
        }
        Message::Appended { term, through } => format!("Appended of {term}: durable through {through}"),
        Message::Conflict { term, at, hint } => {
            format!("Conflict in {term} at {at}, perhaps we share {hint}")
        }
        Message::Heartbeat { term, beat, .. } => format!("Heartbeat of {term}, round {}", beat.round),
        Message::HeartbeatReply { term, beat, .. } => {
            format!("HeartbeatReply of {term}, round {}", beat.round)
        }
        Message::AskIndex { term, round } => format!("AskIndex of {term}, question {round}"),
        Message::ReadIndex { term, round, index } => {
            format!("ReadIndex of {term}, question {round}: {index}")
        }
        Message::TimeoutNow { term } => format!("TimeoutNow of {term}"),
        Message::Outdated { term } => format!("Outdated: it is {term}"),
        Message::Snapshot { .. } | Message::SnapshotReply { .. } => format!("{message:?}"),
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
        false => {
            // In the log, the first byte is Raft's own mark.
            let payload = entry.payload.strip_prefix(b"\0").unwrap_or(&entry.payload);
            format!("{} ({})", entry.id, String::from_utf8_lossy(payload))
        }
    }
}
