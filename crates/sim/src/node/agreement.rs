//! What followers are told and what they say, for [`crate::checks::agreed`].

use std::hash::{DefaultHasher, Hash, Hasher};

use onecopy_core::NodeId;
use onecopy_host::Replication;
use onecopy_raft::{Message as RaftMessage, Raft, Role};
use onecopy_replica::{Message, Replica, Standing};

use crate::checks::agreed::Agreed;
use crate::checks::raft::RaftChecks;
use crate::checks::{Checks, GroupChecks};
use crate::message::GroupMessage;

/// A copy of a group is about to hear a message.
pub(super) fn hears(checks: &mut GroupChecks, me: NodeId, copy: &Replication, message: &GroupMessage) {
    match (copy, message) {
        (Replication::PrimaryBackup(_), GroupMessage::PrimaryBackup(message)) => {
            copy.primary_backup().into_iter().for_each(|replica| replica_hears(checks, me, replica, message));
        }
        (Replication::Raft(_), GroupMessage::Raft(letter)) => {
            let agreed = &mut checks.agreed;
            copy.raft().into_iter().for_each(|raft| raft_hears(agreed, me, raft, &letter.message));
        }
        _ => {}
    }
}

/// If a message answers what was said in an earlier view: what the replica is, in short. It changes nothing.
pub(super) fn hears_late(copy: &Replication, message: &GroupMessage) -> Option<u64> {
    let GroupMessage::PrimaryBackup(message) = message else { return None };
    let replica = copy.primary_backup()?;
    let is_late = message.is_answer() && message.view().is_some_and(|view| view < replica.view_number());
    is_late.then(|| {
        let mut hasher = DefaultHasher::new();
        replica.hash(&mut hasher);
        hasher.finish()
    })
}

/// A copy of a group says something.
pub(super) fn says(checks: &mut GroupChecks, me: NodeId, copy: &Replication, message: &GroupMessage) {
    match message {
        GroupMessage::PrimaryBackup(message) => {
            copy.primary_backup().into_iter().for_each(|replica| replica_says(checks, me, replica, message));
        }
        GroupMessage::Raft(letter) => {
            let agreed = &mut checks.agreed;
            copy.raft().into_iter().for_each(|raft| raft_says(agreed, me, raft, &letter.message));
        }
        GroupMessage::Optimistic(_) => {}
    }
}

/// A copy of a group has taken a turn.
pub(crate) fn is(checks: &mut GroupChecks, me: NodeId, copy: &Replication) {
    if let Some(seal) = checks.seals.over().filter(|seal| copy.log().contains(*seal)) {
        let epoch = copy.raft().map_or(copy.view_number().0, |raft| raft.term().0);
        checks.agreed.is_in(me, epoch, copy.commit());
        checks.agreed.named(me, epoch, seal.index);
    }
    if let Some(replica) = copy.primary_backup() {
        return replica_is(checks, me, replica);
    }
    let raft = copy.raft().filter(|raft| checks.raft_of(raft).is_some());
    if let Some((raft, of)) = raft.zip(checks.raft.as_ref()) {
        raft_agrees((&mut checks.agreed, &of.reigns), me, raft);
    }
}

/// A replica is about to hear a message.
fn replica_hears(checks: &mut GroupChecks, me: NodeId, replica: &Replica, message: &Message) {
    let (agreed, log) = (&mut checks.agreed, replica.log());
    let (view, through) = match message {
        Message::Prepare { view, previous, entries, .. }
            if previous.index <= log.base().index || log.contains(*previous) =>
        {
            (view.number, entries.last().map_or(previous.index, |last| last.id.index))
        }
        Message::SnapshotChunk { view, chunk, .. } => (*view, chunk.snapshot.index),
        _ => return,
    };
    agreed.is_in(me, view.0, replica.commit());
    agreed.named(me, view.0, through);
}

/// A replica says something.
fn replica_says(checks: &mut GroupChecks, me: NodeId, replica: &Replica, message: &Message) {
    if let Message::PrepareOk { view, durable, .. } = message {
        checks.agreed.named(me, view.0, replica.log().base().index);
        checks.agreed.relies_on(me, view.0, *durable, "acknowledges");
    }
}

/// A replica has taken a turn.
fn replica_is(checks: &mut GroupChecks, me: NodeId, replica: &Replica) {
    if matches!(replica.standing(), Standing::Backup | Standing::Learner) {
        let (view, commit) = (replica.view_number().0, replica.commit());
        checks.agreed.is_in(me, view, commit);
        // What a snapshot covers that was installed meanwhile is committed.
        checks.agreed.named(me, view, replica.log().base().index);
        checks.agreed.relies_on(me, view, commit, "commits");
    }
}

/// A member of a Raft group is about to hear a message.
pub(super) fn raft_hears(agreed: &mut Agreed, me: NodeId, raft: &Raft, message: &RaftMessage) {
    let log = raft.log();
    let through = match message {
        RaftMessage::Append { previous, entries, .. }
            if previous.index <= raft.commit() || log.contains(*previous) =>
        {
            entries.last().map_or(previous.index, |last| last.id.index)
        }
        RaftMessage::Snapshot { chunk, .. } => chunk.snapshot.index,
        _ => return,
    };
    agreed.is_in(me, message.term().0, raft.commit());
    agreed.named(me, message.term().0, through);
}

/// A member of a Raft group says something.
pub(super) fn raft_says(agreed: &mut Agreed, me: NodeId, raft: &Raft, message: &RaftMessage) {
    let through = match message {
        RaftMessage::Appended { through, .. } => *through,
        RaftMessage::HeartbeatReply { received, durable, .. } => *received.max(durable),
        _ => return,
    };
    agreed.named(me, message.term().0, raft.log().base().index);
    agreed.relies_on(me, message.term().0, through, "acknowledges");
}

/// A view node has taken a turn.
pub(crate) fn raft_is(checks: &mut Checks, me: NodeId, raft: &Raft) {
    raft_agrees((&mut checks.raft_agreed, &checks.raft), me, raft);
}

fn raft_agrees((agreed, reigns): (&mut Agreed, &RaftChecks), me: NodeId, raft: &Raft) {
    let (term, commit) = (raft.term(), raft.commit());
    // A leader counts for itself; one that has stopped to lead did.
    let counts = raft.role() == Role::Leader || reigns.has_led(me, term);
    agreed.is_in(me, term.0, commit);
    agreed.named(me, term.0, if counts { commit } else { raft.log().base().index });
    agreed.relies_on(me, term.0, commit, "commits");
}
