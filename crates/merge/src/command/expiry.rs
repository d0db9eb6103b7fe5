//! How long keys live: of concurrent `EXPIRE`s and `PERSIST`s the later one counts.

use onecopy_core::Timestamp;
use onecopy_keyspace::options::{Expire, Unit};
use onecopy_resp::Writer;

use super::Outcome;
use super::set::{persist_key, set_deadline};
use crate::transaction::Transaction;

fn expire_at(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    unit: Unit,
    name: &'static str,
    reply: &mut Writer<'_>,
) -> Outcome {
    let expire = Expire::parse(&args[2..], unit, Timestamp(transaction.now_ms()), name)?;
    let key = transaction.key(args[1]);
    let object = transaction.object(&key);
    let expires = object.and_then(|object| expire.resolve(object.expires_ms().map(Timestamp)));
    if let Some(Timestamp(at_ms)) = expires {
        set_deadline(transaction, &key, at_ms);
    }
    reply.integer(expires.is_some().into());
    Ok(())
}

pub(super) fn expire(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    expire_at(transaction, args, Unit::Seconds, "expire", reply)
}

pub(super) fn pexpire(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    expire_at(transaction, args, Unit::Milliseconds, "pexpire", reply)
}

pub(super) fn expireat(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    expire_at(transaction, args, Unit::SecondsSinceEpoch, "expireat", reply)
}

pub(super) fn pexpireat(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    expire_at(transaction, args, Unit::MillisecondsSinceEpoch, "pexpireat", reply)
}

/// Answers what `answer` makes of a key's expiry; -1 if it has none, -2 if there is no such key.
fn reply_expiry(
    transaction: &Transaction<'_>,
    name: &[u8],
    answer: impl FnOnce(u64) -> u64,
    reply: &mut Writer<'_>,
) -> Outcome {
    reply.integer(match transaction.object(&transaction.key(name)).map(|object| object.expires_ms()) {
        None => -2,
        Some(None) => -1,
        Some(Some(expires)) => i64::try_from(answer(expires)).unwrap_or(i64::MAX),
    });
    Ok(())
}

pub(super) fn ttl(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let now = transaction.now_ms();
    let seconds = |expires: u64| expires.saturating_sub(now).saturating_add(500) / 1000;
    reply_expiry(transaction, args[1], seconds, reply)
}

pub(super) fn pttl(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let now = transaction.now_ms();
    reply_expiry(transaction, args[1], |expires| expires.saturating_sub(now), reply)
}

pub(super) fn expiretime(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    reply_expiry(transaction, args[1], |expires| expires.saturating_add(500) / 1000, reply)
}

pub(super) fn pexpiretime(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    reply_expiry(transaction, args[1], |expires| expires, reply)
}

pub(super) fn persist(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let key = transaction.key(args[1]);
    reply.integer(persist_key(transaction, &key).into());
    Ok(())
}
