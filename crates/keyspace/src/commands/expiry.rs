//! How long keys live.

use onecopy_resp::Writer;

use crate::context::{Context, View};
use crate::error::Outcome;
use crate::options::{Expire, Unit};

fn expire_at(
    context: &mut Context<'_>,
    args: &[&[u8]],
    unit: Unit,
    name: &'static str,
    reply: &mut Writer<'_>,
) -> Outcome {
    let expire = Expire::parse(&args[2..], unit, context.clock(), name)?;
    let spot = context.locate(args[1]);
    let expires = context.at(spot).and_then(|object| expire.resolve(object.expires));
    if expires.is_some() {
        context.set_expiry(spot, args[1], expires);
    }
    reply.integer(expires.is_some().into());
    Ok(())
}

pub(crate) fn expire(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    expire_at(context, args, Unit::Seconds, "expire", reply)
}

pub(crate) fn pexpire(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    expire_at(context, args, Unit::Milliseconds, "pexpire", reply)
}

pub(crate) fn expireat(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    expire_at(context, args, Unit::SecondsSinceEpoch, "expireat", reply)
}

pub(crate) fn pexpireat(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    expire_at(context, args, Unit::MillisecondsSinceEpoch, "pexpireat", reply)
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
