//! What happens in a cluster, in words.

use onecopy_core::{Entry, EntryId, Member, Write};
use onecopy_raft::{Configuration, Effect, Input, Message, Raft};

use super::{Cluster, member};

fn names<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> String {
    let names: Vec<String> = entries.into_iter().map(|entry| entry.id.to_string()).collect();
    format!("[{}]", names.join(" "))
}

fn node(node: Option<Member>) -> String {
    node.map_or("nobody".into(), name)
}

/// A node, and its life unless that is the first.
pub fn name(member: Member) -> String {
    match member.incarnation.0 {
        1 => member.node.to_string(),
        life => format!("{}.{life}", member.node),
    }
}

/// Who belongs to a group.
pub fn configuration(configuration: &Configuration) -> String {
    let list = |members: &std::collections::BTreeSet<Member>| {
        members.iter().map(|member| name(*member)).collect::<Vec<_>>().join(" ")
    };
    let old = if configuration.is_joint() {
        format!("{} → ", list(&configuration.old_voters))
    } else {
        String::new()
    };
    let learners = match configuration.learners.is_empty() {
        true => String::new(),
        false => format!(", learners {}", list(&configuration.learners)),
    };
    format!("({old}{}{learners})", list(&configuration.voters))
}

pub fn message(message: &Message) -> String {
    match message {
        Message::PreVote { term, last, .. } => format!("{term} pre-vote? last={last}"),
        Message::PreVoteReply { term, granted, .. } => format!("{term} pre-vote {}", yes(*granted)),
        Message::Vote { term, last, transfer: false } => format!("{term} vote? last={last}"),
        Message::Vote { term, last, transfer: true } => format!("{term} vote, for your leader? last={last}"),
        Message::VoteReply { term, granted } => format!("{term} vote {}", yes(*granted)),
        Message::Append { term, previous, entries, commit } => {
            format!("{term} append {} after {previous}, commit={commit}", names(entries))
        }
        Message::Appended { term, through } => format!("{term} appended through {through}"),
        Message::Conflict { term, at, hint } => format!("{term} conflict at {at}, hint={hint}"),
        Message::Heartbeat { term, beat, commit, sent } => {
            let round = beat.round;
            format!("{term} heartbeat round={round} commit={commit} sent={sent}")
        }
        Message::HeartbeatReply { term, beat, sent, received, durable } => {
            let round = beat.round;
            format!("{term} heartbeat answer round={round} sent={sent} received={received} durable={durable}")
        }
        Message::Snapshot { term, chunk } => format!("{term} {chunk:?}"),
        Message::SnapshotReply { term, snapshot, wanted } => {
            format!("{term} snapshot {snapshot} wanted={wanted}")
        }
        Message::AskIndex { term, round } => format!("{term} what must reads see? question {round}"),
        Message::ReadIndex { term, round, index } => format!("{term} question {round}: {index}"),
        Message::TimeoutNow { term } => format!("{term} campaign now"),
        Message::Outdated { term } => format!("{term} outdated"),
    }
}

fn yes(granted: bool) -> &'static str {
    if granted { "granted" } else { "refused" }
}

fn write(write: &Write) -> String {
    match write {
        Write::Forget => "forgets everything".to_owned(),
        Write::State(bytes) => {
            let term = u64::from_le_bytes(bytes[1..9].try_into().expect("eight bytes"));
            let vote = u32::from_le_bytes(bytes[10..14].try_into().expect("four bytes"));
            let life = u128::from_le_bytes(bytes[14..30].try_into().expect("sixteen bytes"));
            let vote = (bytes[9] == 1).then_some(member(vote, life));
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
            format!("holds until {}: → {} {}", after.0, name(*to), message(said))
        }
        Effect::Send { to, message: said, after: None } => format!("→ {} {}", name(*to), message(said)),
        Effect::Apply { entries } => format!("applies {}", names(entries)),
        Effect::Proposed { id } => format!("proposed {id}"),
        Effect::ChangeBegun { id } => format!("changes the configuration from {id} on"),
        Effect::ChangeRefused { reason } => format!("refuses the change: {reason}"),
        Effect::ConfigurationChanged { index, configuration: new, committed } => {
            let committed = if *committed { "committed" } else { "not committed" };
            format!("has the configuration {} of {index}, {committed}", configuration(new))
        }
        Effect::TransferBegun { to } => format!("hands over to {}", name(*to)),
        Effect::TransferRefused { reason } => format!("refuses to hand over: {reason}"),
        Effect::TransferAborted { to } => format!("has not handed over to {}", name(*to)),
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
            format!("reads snapshot {snapshot} at {offset} for {}", name(*to))
        }
        Effect::WriteSnapshot { chunk } => format!("writes {chunk:?}"),
        Effect::InstallSnapshot { snapshot } => format!("installs snapshot {snapshot}"),
    }
}

pub fn input(input: &Input) -> String {
    match input {
        Input::SnapshotTaken { snapshot } => format!("has taken snapshot {snapshot}"),
        Input::SnapshotRead { to, chunk, .. } => format!("has read {chunk:?} for {}", name(*to)),
        Input::SnapshotWritten { snapshot, offset } => format!("has written {snapshot} through {offset}"),
        Input::SnapshotInstalled { snapshot, .. } => format!("has installed snapshot {snapshot}"),
        Input::SnapshotUnusable { snapshot } => format!("cannot use snapshot {snapshot}"),
        other => format!("{other:?}"),
    }
}

/// One line about a member.
pub fn status(cluster: &Cluster, id: Member) -> String {
    match cluster.raft(id) {
        None => format!("{} is down", name(id)),
        Some(raft) => format!(
            "{} {} {} leader={} commit={} applied={} log={}",
            name(id),
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
