//! How long keys live: of concurrent `EXPIRE`s and `PERSIST`s the later one counts.

use onecopy_keyspace::CommandError;
use onecopy_keyspace::number::{integer, is_word};
use onecopy_resp::Writer;

use super::Outcome;
use super::set::{persist_key, set_deadline};
use crate::transaction::Transaction;

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
    fn allow(self, current: Option<u64>, when: i64) -> bool {
        let current = current.map(|expires| i64::try_from(expires).unwrap_or(i64::MAX));
        !(self.only_without && current.is_some()
            || self.only_with && current.is_none()
            // No expiry counts as one that never comes.
            || self.only_later && current.is_none_or(|current| when <= current)
            || self.only_earlier && current.is_some_and(|current| when >= current))
    }
}

fn expire_at(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    name: &'static str,
    unit: i64,
    relative: bool,
    reply: &mut Writer<'_>,
) -> Outcome {
    let conditions = Conditions::parse(&args[3..])?;
    let origin = if relative { i64::try_from(transaction.now_ms()).unwrap_or(i64::MAX) } else { 0 };
    let when = integer(args[2])?.checked_mul(unit).and_then(|when| when.checked_add(origin));
    let when = when.ok_or(CommandError::InvalidExpire(name))?;
    let key = transaction.key(args[1]);
    let current = transaction.object(&key).map(|object| object.expires_ms());
    let changed = current.is_some_and(|current| conditions.allow(current, when));
    if changed {
        // Before the epoch is as past as the epoch.
        set_deadline(transaction, &key, u64::try_from(when).unwrap_or(0));
    }
    reply.integer(changed.into());
    Ok(())
}

pub(super) fn expire(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    expire_at(transaction, args, "expire", 1000, true, reply)
}

pub(super) fn pexpire(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    expire_at(transaction, args, "pexpire", 1, true, reply)
}

pub(super) fn expireat(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    expire_at(transaction, args, "expireat", 1000, false, reply)
}

pub(super) fn pexpireat(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    expire_at(transaction, args, "pexpireat", 1, false, reply)
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
