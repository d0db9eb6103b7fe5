//! What a process says, apart from what the protocols say.

use onecopy_core::{Incarnation, NodeId};
use onecopy_replica::{Message, Standing, Status};
use onecopy_views::{Addresses, Command, GroupReport, Registration, Role};

use crate::disk::DATA_GROUP;
use crate::env::Env;

/// A replica as a ping reports it.
pub(super) fn of(status: &Status) -> GroupReport {
    GroupReport {
        group: DATA_GROUP,
        view: status.view,
        role: match status.standing {
            Standing::Primary => Role::Primary,
            Standing::Backup => Role::Backup,
            Standing::Learner => Role::Learner,
            Standing::Retired => Role::CannotLead,
            Standing::Outside => Role::Outside,
        },
        last: status.last,
        durable: status.durable,
        commit: status.commit,
        oldest_write: status.oldest_write,
        oldest_prepare: status.oldest_prepare,
    }
}

/// A command that means nothing, to fill the log of the view table.
pub(super) fn churn(env: &mut Env) -> Command {
    let registration = Registration {
        incarnation: Incarnation(0),
        boot: 0.into(),
        holds_data: false,
        pid: u32::try_from(env.dice.below(1 << 30)).unwrap_or_default(),
        addresses: Addresses::default(),
    };
    Command::RegisterNode { node: NodeId(99), registration }
}

/// The view that a message speaks for; 0 if it speaks for none.
pub(super) fn view_of(message: &Message) -> u64 {
    match message {
        Message::Prepare { view, .. } => view.number.0,
        Message::PrepareOk { view, .. }
        | Message::PrepareReject { view, .. }
        | Message::Confirm { view, .. }
        | Message::Confirmed { view, .. }
        | Message::SnapshotChunk { view, .. }
        | Message::SnapshotAck { view, .. } => view.0,
        // Says what the view service has said: no promise.
        Message::NewerView { .. } => 0,
    }
}
