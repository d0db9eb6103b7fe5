//! What a process says, apart from what the protocols say.

use onecopy_core::{GroupId, Incarnation, Level, NodeId};
use onecopy_replica::{Standing, Status};
use onecopy_views::{Addresses, Command, GroupReport, Registration, ReplicaRole};

use super::NEWER;
use crate::env::Env;

/// A replica as a ping reports it.
pub(super) fn of(group: GroupId, status: &Status) -> GroupReport {
    GroupReport {
        group,
        view: status.view,
        role: match status.standing {
            Standing::Primary => ReplicaRole::Primary,
            Standing::Backup => ReplicaRole::Backup,
            Standing::Learner => ReplicaRole::Learner,
            Standing::Diverged => ReplicaRole::Diverged,
            Standing::Retired => ReplicaRole::CannotLead,
            Standing::Outside => ReplicaRole::Outside,
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
        zone: String::new(),
        pid: u32::try_from(env.dice.below(1 << 30)).unwrap_or_default(),
        run: 0,
        addresses: Addresses::default(),
    };
    // Of whichever version: that node is none.
    let level = if env.profile.rolls.is_some() { NEWER } else { Level::FIRST };
    match level {
        Level::FIRST => Command::RegisterNode { node: NodeId(99), registration },
        _ => Command::RegisterWithLevel { node: NodeId(99), registration, level },
    }
}
