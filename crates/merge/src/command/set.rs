//! `SET` and the commands that are a `SET` or a `GET` with an expiry.
//!
//! `NX`, `XX` and `GET` look at what this replica has seen, and at nothing else: two replicas may both find
//! that a key is free. That is no lock.

use bytes::Bytes;
use onecopy_keyspace::CommandError;
use onecopy_keyspace::number::{integer, is_word};
use onecopy_resp::Writer;

use super::Outcome;
use super::strings::reply_text;
use crate::store::Key;
use crate::transaction::Transaction;

/// The unit and the origin of an expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Seconds,
    Milliseconds,
    SecondsSinceEpoch,
    MillisecondsSinceEpoch,
}

impl Unit {
    fn of(option: &[u8]) -> Option<Self> {
        let units = [
            ("EX", Self::Seconds),
            ("PX", Self::Milliseconds),
            ("EXAT", Self::SecondsSinceEpoch),
            ("PXAT", Self::MillisecondsSinceEpoch),
        ];
        units.into_iter().find(|(word, _)| is_word(option, word)).map(|(_, unit)| unit)
    }

    /// The time that an argument means.
    fn resolve(self, arg: &[u8], now_ms: u64, name: &'static str) -> Result<u64, CommandError> {
        let invalid = CommandError::InvalidExpire(name);
        let number = integer(arg)?;
        if number <= 0 {
            return Err(invalid);
        }
        let milliseconds = match self {
            Self::Seconds | Self::SecondsSinceEpoch => number.checked_mul(1000),
            Self::Milliseconds | Self::MillisecondsSinceEpoch => Some(number),
        };
        let origin = match self {
            Self::Seconds | Self::Milliseconds => i64::try_from(now_ms).unwrap_or(i64::MAX),
            Self::SecondsSinceEpoch | Self::MillisecondsSinceEpoch => 0,
        };
        let time = milliseconds.and_then(|milliseconds| milliseconds.checked_add(origin));
        time.and_then(|time| u64::try_from(time).ok()).ok_or(invalid)
    }
}

/// When a key must exist, or must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Absent,
    Present,
}

/// What `SET` does to the expiry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expiry<'a> {
    #[default]
    None,
    Keep,
    At(Unit, &'a [u8]),
}

/// The options of `SET`.
#[derive(Clone, Copy, Debug, Default)]
struct Options<'a> {
    condition: Option<Condition>,
    get: bool,
    expiry: Expiry<'a>,
}

fn parse_options<'a>(args: &[&'a [u8]]) -> Result<Options<'a>, CommandError> {
    let mut options = Options::default();
    let mut rest = args.iter();
    while let Some(option) = rest.next() {
        if is_word(option, "NX") && options.condition != Some(Condition::Present) {
            options.condition = Some(Condition::Absent);
        } else if is_word(option, "XX") && options.condition != Some(Condition::Absent) {
            options.condition = Some(Condition::Present);
        } else if is_word(option, "GET") {
            options.get = true;
        } else if is_word(option, "KEEPTTL") && matches!(options.expiry, Expiry::None | Expiry::Keep) {
            options.expiry = Expiry::Keep;
        } else if let (Some(unit), Expiry::None) = (Unit::of(option), options.expiry) {
            options.expiry = Expiry::At(unit, rest.next().ok_or(CommandError::Syntax)?);
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok(options)
}

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
    let options = parse_options(&args[3..])?;
    let expires = match options.expiry {
        Expiry::At(unit, arg) => Some(unit.resolve(arg, transaction.now_ms(), "set")?),
        Expiry::None | Expiry::Keep => None,
    };
    if options.get {
        reply_text(transaction.text(&key)?.as_deref(), reply);
    }
    let is_present = transaction.object(&key).is_some();
    let met = match options.condition {
        None => true,
        Some(Condition::Absent) => !is_present,
        Some(Condition::Present) => is_present,
    };
    if met {
        match (expires, options.expiry) {
            (Some(at_ms), _) => store_expiring(transaction, &key, value, at_ms),
            (None, Expiry::Keep) => transaction.keep_text(&key, Bytes::copy_from_slice(value)),
            (None, _) => transaction.store_text(&key, Bytes::copy_from_slice(value)),
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
    let at_ms = unit.resolve(args[2], transaction.now_ms(), name)?;
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

/// What `GETEX` does to the expiry.
enum Change<'a> {
    None,
    Persist,
    At(Unit, &'a [u8]),
}

pub(super) fn getex(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let key = transaction.key(args[1]);
    let change = match &args[2..] {
        [] => Change::None,
        [option] if is_word(option, "PERSIST") => Change::Persist,
        [option, arg] => Change::At(Unit::of(option).ok_or(CommandError::Syntax)?, arg),
        // Options that contradict each other, or that are repeated.
        _ => return Err(CommandError::Syntax),
    };
    let text = transaction.text(&key)?;
    let at_ms = match change {
        Change::At(unit, arg) if text.is_some() => Some(unit.resolve(arg, transaction.now_ms(), "getex")?),
        _ => None,
    };
    reply_text(text.as_deref(), reply);
    match (change, at_ms) {
        (_, Some(at_ms)) => set_deadline(transaction, &key, at_ms),
        (Change::Persist, None) => drop(persist_key(transaction, &key)),
        _ => {}
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
