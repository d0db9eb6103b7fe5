//! `SET` and the commands that are a `SET` or a `GET` with an expiry.
//!
//! `NX`, `XX` and `GET` look at what this replica has seen, and at nothing else: two replicas may both find
//! that a key is free. That is no lock.

use bytes::Bytes;
use onecopy_core::Timestamp;
use onecopy_keyspace::options::{Expiry, GetexOptions, SetOptions, Unit};
use onecopy_resp::Writer;

use super::Outcome;
use super::strings::reply_text;
use crate::store::Key;
use crate::transaction::Transaction;

/// Writes a string that expires; one whose time has come is not written, and removes what is there.
fn store_expiring(transaction: &mut Transaction<'_>, key: &Key, value: &[u8], at_ms: u64) {
    if at_ms <= transaction.now_ms() {
        transaction.delete(key);
        return;
    }
    transaction.store_text(key, Bytes::copy_from_slice(value));
    transaction.say(key, Some(at_ms), None);
}

pub(super) fn set(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (key, value) = (transaction.key(args[1]), args[2]);
    let options = SetOptions::parse(&args[3..], Timestamp(transaction.now_ms()))?;
    if options.get {
        reply_text(transaction.text(&key)?.as_deref(), reply);
    }
    let met = options.allow(transaction.object(&key).is_some());
    if met {
        match options.expiry {
            Expiry::At(Timestamp(at_ms)) => store_expiring(transaction, &key, value, at_ms),
            Expiry::Keep => transaction.keep_text(&key, Bytes::copy_from_slice(value)),
            Expiry::Never => transaction.store_text(&key, Bytes::copy_from_slice(value)),
        }
    }
    match (options.get, met) {
        (true, _) => {}
        (false, true) => reply.ok(),
        (false, false) => reply.null(),
    }
    Ok(())
}

pub(super) fn setnx(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let key = transaction.key(args[1]);
    let free = transaction.object(&key).is_none();
    if free {
        transaction.store_text(&key, Bytes::copy_from_slice(args[2]));
    }
    reply.integer(free.into());
    Ok(())
}

fn set_expiring(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    unit: Unit,
    name: &'static str,
    reply: &mut Writer<'_>,
) -> Outcome {
    let Timestamp(at_ms) = unit.deadline(args[2], Timestamp(transaction.now_ms()), name)?;
    let key = transaction.key(args[1]);
    store_expiring(transaction, &key, args[3], at_ms);
    reply.ok();
    Ok(())
}

pub(super) fn setex(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    set_expiring(transaction, args, Unit::Seconds, "setex", reply)
}

pub(super) fn psetex(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    set_expiring(transaction, args, Unit::Milliseconds, "psetex", reply)
}

pub(super) fn getex(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let options = GetexOptions::parse(&args[2..])?;
    let key = transaction.key(args[1]);
    let text = transaction.text(&key)?;
    let expiry = match text {
        None => Expiry::Keep,
        Some(_) => options.expiry(Timestamp(transaction.now_ms()))?,
    };
    reply_text(text.as_deref(), reply);
    match expiry {
        Expiry::Keep => {}
        Expiry::Never => drop(persist_key(transaction, &key)),
        Expiry::At(Timestamp(at_ms)) => set_deadline(transaction, &key, at_ms),
    }
    Ok(())
}

/// Gives a key an expiry; removes it if the time has come.
pub(super) fn set_deadline(transaction: &mut Transaction<'_>, key: &Key, at_ms: u64) {
    if at_ms <= transaction.now_ms() {
        transaction.delete(key);
    } else {
        transaction.say(key, Some(at_ms), None);
    }
}

/// Takes a key's expiry away; whether it had one.
pub(super) fn persist_key(transaction: &mut Transaction<'_>, key: &Key) -> bool {
    let expires = transaction.deadline(key).and_then(|deadline| deadline.at_ms).is_some();
    if expires {
        transaction.say(key, None, None);
    }
    expires
}
