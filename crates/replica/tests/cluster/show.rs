//! What happens in a cluster, in words.

use onecopy_core::{Entry, EntryId, Index, Instant, NodeId, Petition, Plea, View, ViewNumber, Write};
use onecopy_replica::{Effect, Input, Loan, Message, Replica, Terms};

use super::Cluster;

fn names<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> String {
    let names: Vec<String> = entries.into_iter().map(|entry| entry.id.to_string()).collect();
    format!("[{}]", names.join(" "))
}

fn terms(terms: &Option<Terms>) -> String {
    let Some(Terms { sent, lease, reads }) = terms else { return String::new() };
    let ms = |instant: Instant| instant.0 / 1_000_000;
    let lease = lease.map_or(String::new(), |Loan { earned, lasts }| {
        format!(" lease {} ms from {}", lasts.as_millis(), ms(earned))
    });
    format!(", at {}{lease}{}", ms(*sent), if *reads { " reads" } else { "" })
}

pub fn message(message: &Message) -> String {
    match message {
        Message::Prepare { view, sequence, previous, entries, commit, digest: _, terms: said } => {
            let (number, entries) = (view.number, names(entries));
            format!("{number} prepare {sequence} {entries} after {previous}, commit={commit}{}", terms(said))
        }
        Message::PrepareOk { view, durable, checked: _, terms: said } => {
            format!("{view} durable through {durable}{}", terms(said))
        }
        Message::GiveUp { view, granted } => format!("{view} gives up, granted={granted:?}"),
        Message::PrepareReject { view, sequence, agreed, last } => {
            format!("{view} rejects {sequence}, agreed={agreed} last={last}")
        }
        Message::Confirm { view, round } => format!("{view} still? round={round}"),
        Message::Confirmed { view, round } => format!("{view} still, round={round}"),
        Message::NewerView { view } => format!("there is {view}"),
        Message::Diverged { view, .. } => format!("{view} holds something else"),
        Message::ServeSnapshot { view, to, transfer, base } => {
            format!("{view} send your snapshot to {to}, transfer {transfer}, from {base} on")
        }
        Message::ServesSnapshot { view, to, transfer, sends } => {
            format!("{view} transfer {transfer} to {to}: {sends:?}")
        }
        Message::SnapshotChunk { view, transfer: _, chunk } => format!("{view} {chunk:?}"),
        Message::SnapshotAck { view, transfer: _, snapshot, wanted } => {
            format!("{view} snapshot {snapshot} wanted={wanted}")
        }
    }
}

fn write(write: &Write) -> String {
    match write {
        Write::Forget => "forgets everything".to_owned(),
        Write::State(_) => "promise".to_owned(),
        Write::Append { entries, commit } => format!("append {} commit={commit}", names(entries)),
        Write::Cut { from } => format!("cut from {from}"),
        Write::Compact { through } => format!("compact through {through}"),
        Write::Install { snapshot } => format!("install {snapshot}"),
    }
}

pub fn view(view: &View) -> String {
    view.to_string()
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
        Effect::Refused => "refuses the proposal".to_owned(),
        Effect::ReadReady { token, .. } => format!("answers read {token}"),
        Effect::ReadRefused { token } => format!("refuses read {token}"),
        Effect::ViewChanged { view, standing } => format!("is {standing:?} in {view}"),
        Effect::Petition(Petition { view, plea, .. }) => plead(*view, plea),
        Effect::Diverged { after, .. } => format!("has diverged after {after}"),
        Effect::Damaged => "is damaged".to_owned(),
        Effect::Rebuild => "begins anew".to_owned(),
        Effect::HandoverFailed { error } => format!("does not hand over: {error}"),
        Effect::TakeSnapshot { at, .. } => format!("wants a snapshot at {at}"),
        Effect::ReadEntries { to, first, .. } => format!("reads entries from {first} on for {to}"),
        Effect::ReadSnapshot { to, snapshot, offset } => {
            format!("reads snapshot {snapshot} at {offset} for {to}")
        }
        Effect::WriteSnapshot { chunk } => format!("writes {chunk:?}"),
        Effect::InstallSnapshot { snapshot, .. } => format!("installs snapshot {snapshot}"),
    }
}

pub fn input(input: &Input) -> String {
    match input {
        Input::EntriesRead { to, entries, .. } => format!("has read {entries:?} for {to}"),
        Input::SnapshotTaken { snapshot, .. } => format!("has taken snapshot {snapshot}"),
        Input::SnapshotRead { to, chunk, .. } => format!("has read {chunk:?} for {to}"),
        Input::SnapshotWritten { snapshot, wanted } => format!("has written {snapshot} through {wanted}"),
        Input::SnapshotInstalled { snapshot } => format!("has installed snapshot {snapshot}"),
        Input::SnapshotSpoiled { snapshot } => format!("cannot use snapshot {snapshot}"),
        other => format!("{other:?}"),
    }
}

/// One line about a node.
pub fn status(cluster: &Cluster, id: NodeId) -> String {
    let Some(replica) = cluster.replica(id) else { return format!("{id} is down") };
    let status = replica.status(cluster.now);
    let (view, standing, Index(durable), Index(commit)) =
        (status.view, status.standing, status.durable, status.commit);
    format!("{id} {standing:?} {view} durable=#{durable} commit=#{commit} log={}", log(replica))
}

fn log(replica: &Replica) -> String {
    let log = replica.log();
    let snapshot = if log.base() == EntryId::ZERO { String::new() } else { format!("..{} ", log.base()) };
    let on_disk = match log.window_base() {
        begin if begin == log.base() => String::new(),
        begin => format!("on disk through {begin} "),
    };
    let entries = log.after(log.window_base().index, usize::MAX);
    format!("{snapshot}{on_disk}{}", names(&entries))
}

fn plead(view: ViewNumber, plea: &Plea) -> String {
    match plea {
        Plea::RosterReached { .. } | Plea::HandedOn { .. } | Plea::Sealed { .. } => {
            unreachable!("no replica of primary-backup asks for that")
        }
        Plea::Suspect { node, grounds } => format!("suspects {node} in {view}: it {grounds}"),
        Plea::AddMember { learner } => format!("certifies {learner:?} in {view}"),
        Plea::HandOver { to } => format!("asks to be succeeded by {to} after {view}"),
    }
}
