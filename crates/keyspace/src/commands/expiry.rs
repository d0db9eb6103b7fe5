//! How long keys live.

use onecopy_core::Timestamp;
use onecopy_resp::Writer;

use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::number::{integer, is_word};

/// When `EXPIRE` is to change nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Conditions {
    only_without: bool,
    only_with: bool,
    only_later: bool,
    only_earlier: bool,
}

impl Conditions {
    fn parse(args: &[&[u8]]) -> Result<Self, CommandError> {
        let mut conditions = Self::default();
        for option in args {
            let flag = match option {
                _ if is_word(option, "NX") => &mut conditions.only_without,
                _ if is_word(option, "XX") => &mut conditions.only_with,
                _ if is_word(option, "GT") => &mut conditions.only_later,
                _ if is_word(option, "LT") => &mut conditions.only_earlier,
                _ => {
                    return Err(CommandError::UnsupportedOption(
                        String::from_utf8_lossy(option).into_owned(),
                    ));
                }
            };
            *flag = true;
        }
        let others = conditions.only_with || conditions.only_later || conditions.only_earlier;
        if conditions.only_without && others {
            return Err(CommandError::Other(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if conditions.only_later && conditions.only_earlier {
            return Err(CommandError::Other("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(conditions)
    }

    /// Whether an expiry may be replaced by one at `when`, which may lie before the epoch.
    fn allow(self, current: Option<Timestamp>, when: i64) -> bool {
        let current = current.map(|expires| i64::try_from(expires.0).unwrap_or(i64::MAX));
        !(self.only_without && current.is_some()
            || self.only_with && current.is_none()
            // No expiry counts as one that never comes.
            || self.only_later && current.is_none_or(|current| when <= current)
            || self.only_earlier && current.is_some_and(|current| when >= current))
    }
}

fn expire_at(
    context: &mut Context<'_>,
    args: &[&[u8]],
    name: &'static str,
    unit: i64,
    relative: bool,
    reply: &mut Writer<'_>,
) -> Outcome {
    let key = args[1];
    let conditions = Conditions::parse(&args[3..])?;
    let origin = if relative { i64::try_from(context.clock().0).unwrap_or(i64::MAX) } else { 0 };
    let when = integer(args[2])?.checked_mul(unit).and_then(|when| when.checked_add(origin));
    let when = when.ok_or(CommandError::InvalidExpire(name))?;
    let spot = context.locate(key);
    let current = context.at(spot).map(|object| object.expires);
    let changed = current.is_some_and(|current| conditions.allow(current, when));
    if changed {
        // Before the epoch is as past as the epoch.
        context.set_expiry(spot, key, Some(Timestamp(u64::try_from(when).unwrap_or(0))));
    }
    reply.integer(changed.into());
    Ok(())
}

pub(crate) fn expire(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    expire_at(context, args, "expire", 1000, true, reply)
}

pub(crate) fn pexpire(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    expire_at(context, args, "pexpire", 1, true, reply)
}

pub(crate) fn expireat(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    expire_at(context, args, "expireat", 1000, false, reply)
}

pub(crate) fn pexpireat(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    expire_at(context, args, "pexpireat", 1, false, reply)
}

/// Answers what `answer` makes of a key's expiry; -1 if it has none, -2 if there is no such key.
fn reply_expiry(
    view: &View<'_>,
    key: &[u8],
    answer: impl FnOnce(u64) -> u64,
    reply: &mut Writer<'_>,
) -> Outcome {
    reply.integer(match view.object(key).map(|object| object.expires) {
        None => -2,
        Some(None) => -1,
        Some(Some(expires)) => i64::try_from(answer(expires.0)).unwrap_or(i64::MAX),
    });
    Ok(())
}

pub(crate) fn ttl(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let now = view.now.0;
    reply_expiry(view, args[1], |expires| expires.saturating_sub(now).saturating_add(500) / 1000, reply)
}

pub(crate) fn pttl(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let now = view.now.0;
    reply_expiry(view, args[1], |expires| expires.saturating_sub(now), reply)
}

pub(crate) fn expiretime(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_expiry(view, args[1], |expires| expires.saturating_add(500) / 1000, reply)
}

pub(crate) fn pexpiretime(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_expiry(view, args[1], |expires| expires, reply)
}

pub(crate) fn persist(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let spot = context.locate(args[1]);
    let expires = context.at(spot).and_then(|object| object.expires);
    if expires.is_some() {
        context.set_expiry(spot, args[1], None);
    }
    reply.integer(expires.is_some().into());
    Ok(())
}
