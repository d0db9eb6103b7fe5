//! What a client is told when its commands were not answered by the state machine.

use std::borrow::Cow;

use onecopy_host::Reply;

/// The error, with its code, for each of the commands.
pub(crate) fn explain(failure: &Reply) -> Cow<'static, str> {
    match failure {
        Reply::Unknown => {
            "UNKNOWN no primary has said in time what became of it: the write may or may not have been \
             executed, now or a moment later. Read before you repeat it"
        }
        Reply::Forgotten => {
            "UNKNOWN the write was executed, once, but its answer was lost when the primary changed, and was too \
             large to be remembered. Read what it has changed"
        }
        Reply::NoDatabase => "ERR the selected database was dropped; nothing was executed",
        Reply::Refused => "TRYAGAIN no primary could be reached in time; nothing was executed",
        Reply::Dangerous => {
            "ERR two primaries were lost while this read was under way: it is not taken to a third"
        }
        // The code is that of Redis where `min-replicas-to-write` is not met.
        Reply::TooFewCopies { has, needs } => {
            return format!(
                "NOREPLICAS the data has too few copies, {has} where writes need {needs} (min_copies, copies_before_ok); nothing was executed"
            )
            .into();
        }
        Reply::Broken | Reply::Done { .. } => {
            "ERR internal error: the response of the primary does not fit the request"
        }
    }
    .into()
}
