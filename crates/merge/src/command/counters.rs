//! Counters: concurrent increments add up.
//!
//! Whether an increment is possible is decided by the value that this replica shows. What others add
//! concurrently may take the sum beyond the range of an integer: it then shows as the least or the greatest
//! one, and whatever brings it back towards the range is allowed.

use onecopy_keyspace::number::{integer, parse_float, parse_integer};
use onecopy_keyspace::{CommandError, decimal};
use onecopy_resp::Writer;

use super::Outcome;
use crate::amount::Amount;
use crate::cell::Cell;
use crate::place::{Kind, Place};
use crate::store::Key;
use crate::transaction::Transaction;

/// Adds an integer to what a place shows, which must be one. Returns what it shows then.
pub(super) fn add_integer(
    transaction: &mut Transaction<'_>,
    (key, kind, place): (&Key, Kind, Place),
    increment: i64,
    not_integer: CommandError,
) -> Result<i64, CommandError> {
    let object = transaction.read(key, kind)?;
    let cell = object.and_then(|object| object.cell(&place)).filter(|cell| cell.is_visible());
    let total = match cell {
        None => 0,
        Some(cell) => {
            let shown = cell.text().and_then(|text| parse_integer(&text)).ok_or(not_integer)?;
            cell.total().unwrap_or(shown.into())
        }
    };
    let after = total.saturating_add(increment.into());
    let range = i128::from(i64::MIN)..=i128::from(i64::MAX);
    let is_nearer = !range.contains(&total) && after.unsigned_abs() < total.unsigned_abs();
    if !range.contains(&after) && !is_nearer {
        return Err(CommandError::Overflow);
    }
    transaction
        .modify(key, |transaction| transaction.count(key, place.clone(), &Amount::of_integer(increment)));
    let text = transaction.store().get(key).and_then(|object| object.cell(&place)).and_then(Cell::text);
    Ok(text.and_then(|text| parse_integer(&text)).unwrap_or_default())
}

/// Adds a decimal number to what a place shows, which must be one. Returns what it shows then.
pub(super) fn add_decimal(
    transaction: &mut Transaction<'_>,
    (key, kind, place): (&Key, Kind, Place),
    increment: &[u8],
    not_number: CommandError,
) -> Result<Vec<u8>, CommandError> {
    let object = transaction.read(key, kind)?;
    let before = object.and_then(|object| object.cell(&place)).and_then(Cell::text);
    let stored = before.as_deref().unwrap_or(b"0");
    if !decimal::is_number(stored) {
        return Err(not_number);
    }
    if !decimal::is_number(increment) {
        return Err(CommandError::NotFloat);
    }
    let sum = decimal::add(stored, increment).ok_or(CommandError::NotFinite)?;
    let increment = decimal::add(b"0", increment).ok_or(CommandError::NotFinite)?;
    transaction.modify(key, |transaction| transaction.count(key, place, &Amount::of_decimal(&increment)));
    Ok(sum)
}

fn add(transaction: &mut Transaction<'_>, name: &[u8], increment: i64, reply: &mut Writer<'_>) -> Outcome {
    let key = transaction.key(name);
    let place = (&key, Kind::String, Place::Whole);
    let number = add_integer(transaction, place, increment, CommandError::NotInteger)?;
    reply.integer(number);
    Ok(())
}

pub(super) fn incr(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    add(transaction, args[1], 1, reply)
}

pub(super) fn decr(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    add(transaction, args[1], -1, reply)
}

pub(super) fn incrby(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    add(transaction, args[1], integer(args[2])?, reply)
}

pub(super) fn decrby(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let decrement = integer(args[2])?;
    let increment = decrement.checked_neg().ok_or(CommandError::Other("ERR decrement would overflow"))?;
    add(transaction, args[1], increment, reply)
}

pub(super) fn incrbyfloat(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    let key = transaction.key(args[1]);
    let sum = add_decimal(transaction, (&key, Kind::String, Place::Whole), args[2], CommandError::NotFloat)?;
    reply.bulk(&sum);
    Ok(())
}

pub(super) fn hincrby(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let increment = integer(args[3])?;
    let (key, place) = (transaction.key(args[1]), super::hashes::field(args[2]));
    let not_integer = CommandError::Other("ERR hash value is not an integer");
    let number = add_integer(transaction, (&key, Kind::Hash, place), increment, not_integer)?;
    reply.integer(number);
    Ok(())
}

pub(super) fn hincrbyfloat(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    if !decimal::is_number(args[3]) {
        return Err(CommandError::NotFloat);
    }
    if parse_float(args[3]).is_some_and(f64::is_infinite) {
        return Err(CommandError::Other("ERR value is NaN or Infinity"));
    }
    let (key, place) = (transaction.key(args[1]), super::hashes::field(args[2]));
    let not_number = CommandError::Other("ERR hash value is not a float");
    let sum = add_decimal(transaction, (&key, Kind::Hash, place), args[3], not_number)?;
    reply.bulk(&sum);
    Ok(())
}
