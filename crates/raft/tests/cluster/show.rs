//! What happens in a cluster, in words.

use onecopy_core::{Entry, EntryId, NodeId, Write};
use onecopy_raft::{Effect, Input, Message, Raft};

use super::Cluster;

fn names<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> String {
    let names: Vec<String> = entries.into_iter().map(|entry| entry.id.to_string()).collect();
    format!("[{}]", names.join(" "))
}

fn node(node: Option<NodeId>) -> String {
    node.map_or("nobody".into(), |node| node.to_string())
}

pub fn message(message: &Message) -> String {
    match message {
        Message::PreVote { term, last } => format!("{term} pre-vote? last={last}"),
        Message::PreVoteReply { term, granted } => format!("{term} pre-vote {}", yes(*granted)),
        Message::Vote { term, last } => format!("{term} vote? last={last}"),
        Message::VoteReply { term, granted } => format!("{term} vote {}", yes(*granted)),
        Message::Append { term, previous, entries, commit } => {
            format!("{term} append {} after {previous}, commit={commit}", names(entries))
        }
        Message::Appended { term, through } => format!("{term} appended through {through}"),
        Message::Conflict { term, at, hint } => format!("{term} conflict at {at}, hint={hint}"),
        Message::Heartbeat { term, round, commit, sent } => {
            format!("{term} heartbeat round={round} commit={commit} sent={sent}")
        }
        Message::HeartbeatReply { term, round, sent, received, durable } => {
            format!("{term} heartbeat answer round={round} sent={sent} received={received} durable={durable}")
        }
        Message::Snapshot { term, chunk } => format!("{term} {chunk:?}"),
        Message::SnapshotReply { term, snapshot, wanted } => {
            format!("{term} snapshot {snapshot} wanted={wanted}")
        }
        Message::Outdated { term } => format!("{term} outdated"),
    }
}

fn yes(granted: bool) -> &'static str {
    if granted { "granted" } else { "refused" }
}

fn write(write: &Write) -> String {
    match write {
        Write::State(bytes) => {
            let term = u64::from_le_bytes(bytes[1..9].try_into().expect("eight bytes"));
            let vote = u32::from_le_bytes(bytes[10..14].try_into().expect("four bytes"));
            let vote = (bytes[9] == 1).then_some(NodeId(vote));
            format!("term=t{term} vote={}", node(vote))
        }
        Write::Append { entries, commit } => format!("append {} commit={commit}", names(entries)),
        Write::Cut { from } => format!("cut from {from}"),
        Write::Compact { through } => format!("compact through {through}"),
        Write::Install { snapshot } => format!("install {snapshot}"),
    }
}

pub fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Persist { ticket, writes } => {
            let writes: Vec<String> = writes.iter().map(write).collect();
            format!("writes {}: {}", ticket.0, writes.join(", "))
        }
        Effect::Send { to, message: said, after: Some(after) } => {
            format!("holds until {}: → {to} {}", after.0, message(said))
        }
        Effect::Send { to, message: said, after: None } => format!("→ {to} {}", message(said)),
        Effect::Apply { entries } => format!("applies {}", names(entries)),
        Effect::Proposed { id } => format!("proposed {id}"),
        Effect::Refused { leader } => format!("refuses, the leader is {}", node(*leader)),
        Effect::ReadReady { token, index } => format!("read {token} ready at {index}"),
        Effect::ReadRefused { token, leader } => {
            format!("read {token} refused, the leader is {}", node(*leader))
        }
        Effect::RoleChanged { role, term, leader } => {
            format!("is {role} in {term}, the leader is {}", node(*leader))
        }
        Effect::TakeSnapshot { at, .. } => format!("wants a snapshot at {at}"),
        Effect::ReadSnapshot { to, snapshot, offset } => {
            format!("reads snapshot {snapshot} at {offset} for {to}")
        }
        Effect::WriteSnapshot { chunk } => format!("writes {chunk:?}"),
        Effect::InstallSnapshot { snapshot } => format!("installs snapshot {snapshot}"),
    }
}

pub fn input(input: &Input) -> String {
    match input {
        Input::SnapshotTaken { snapshot } => format!("has taken snapshot {snapshot}"),
        Input::SnapshotRead { to, chunk, .. } => format!("has read {chunk:?} for {to}"),
        Input::SnapshotWritten { snapshot, offset } => format!("has written {snapshot} through {offset}"),
        Input::SnapshotInstalled { snapshot, .. } => format!("has installed snapshot {snapshot}"),
        Input::SnapshotUnusable { snapshot } => format!("cannot use snapshot {snapshot}"),
        other => format!("{other:?}"),
    }
}

/// One line about a member.
pub fn status(cluster: &Cluster, id: NodeId) -> String {
    match cluster.raft(id) {
        None => format!("{id} is down"),
        Some(raft) => format!(
            "{id} {} {} leader={} commit={} applied={} log={}",
            raft.role(),
            raft.term(),
            node(raft.leader()),
            raft.commit(),
            raft.applied(),
            log(raft),
        ),
    }
}

fn log(raft: &Raft) -> String {
    let log = raft.log();
    let snapshot = if log.base() == EntryId::ZERO { String::new() } else { format!("..{} ", log.base()) };
    let entries = log.after(log.base().index, usize::MAX);
    format!("{snapshot}{}", names(&entries))
}
