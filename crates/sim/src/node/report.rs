//! A replica as a ping reports it.

use onecopy_replica::{Standing, Status};
use onecopy_views::{GroupReport, Role};

use crate::disk::DATA_GROUP;

/// What a node says of its replica.
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
