//! Hashes: each field is a register or a counter of its own.

use bytes::Bytes;
use onecopy_keyspace::CommandError;
use onecopy_resp::Writer;

use super::Outcome;
use super::strings::reply_text;
use crate::cell::Cell;
use crate::delta::Put;
use crate::object::Object;
use crate::place::{Kind, Place};
use crate::store::Key;
use crate::transaction::Transaction;

pub(super) fn field(name: &[u8]) -> Place {
    Place::Field(Bytes::copy_from_slice(name))
}

/// The value of a field.
fn value(object: Option<&Object>, name: &[u8]) -> Option<Bytes> {
    object?.cell(&field(name))?.text()
}

/// The fields of a hash, and their values.
fn fields(object: Option<&Object>) -> impl Iterator<Item = (&[u8], Bytes)> {
    let cells = object.into_iter().flat_map(|object| object.visible(Kind::Hash));
    cells.filter_map(|(place, cell)| Some((place.name(), cell.text()?)))
}

fn len(object: Option<&Object>) -> usize {
    object.map_or(0, |object| object.len_of(Kind::Hash))
}

fn has(transaction: &Transaction<'_>, key: &Key, place: &Place) -> bool {
    let object = transaction.object(key);
    object.and_then(|object| object.cell(place)).is_some_and(Cell::is_visible)
}

/// Sets pairs of field and value; how many fields are new.
fn set_pairs(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    name: &'static str,
) -> Result<usize, CommandError> {
    let (pairs, []) = args[2..].as_chunks::<2>() else { return Err(CommandError::Arity(name)) };
    let key = transaction.key(args[1]);
    transaction.read(&key, Kind::Hash)?;
    Ok(transaction.modify(&key, |transaction| {
        let mut added = 0;
        for [name, value] in pairs {
            let place = field(name);
            added += usize::from(!has(transaction, &key, &place));
            transaction.replace(&key, place, Put::Text(Bytes::copy_from_slice(value)));
        }
        added
    }))
}

pub(super) fn hset(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let added = set_pairs(transaction, args, "hset")?;
    reply.length(added);
    Ok(())
}

pub(super) fn hmset(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    set_pairs(transaction, args, "hmset")?;
    reply.ok();
    Ok(())
}

pub(super) fn hsetnx(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (key, place) = (transaction.key(args[1]), field(args[2]));
    transaction.read(&key, Kind::Hash)?;
    let free = !has(transaction, &key, &place);
    if free {
        let put = Put::Text(Bytes::copy_from_slice(args[3]));
        transaction.modify(&key, |transaction| transaction.replace(&key, place, put));
    }
    reply.integer(free.into());
    Ok(())
}

pub(super) fn hget(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let object = transaction.read(&transaction.key(args[1]), Kind::Hash)?;
    reply_text(value(object, args[2]).as_deref(), reply);
    Ok(())
}

pub(super) fn hmget(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let object = transaction.read(&transaction.key(args[1]), Kind::Hash)?;
    reply.array(args.len() - 2);
    args[2..].iter().for_each(|name| reply_text(value(object, name).as_deref(), reply));
    Ok(())
}

pub(super) fn hgetall(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let object = transaction.read(&transaction.key(args[1]), Kind::Hash)?;
    reply.map(len(object));
    for (name, value) in fields(object) {
        reply.bulk(name);
        reply.bulk(&value);
    }
    Ok(())
}

pub(super) fn hkeys(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let object = transaction.read(&transaction.key(args[1]), Kind::Hash)?;
    reply.array(len(object));
    fields(object).for_each(|(name, _)| reply.bulk(name));
    Ok(())
}

pub(super) fn hvals(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let object = transaction.read(&transaction.key(args[1]), Kind::Hash)?;
    reply.array(len(object));
    fields(object).for_each(|(_, value)| reply.bulk(&value));
    Ok(())
}

pub(super) fn hdel(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let key = transaction.key(args[1]);
    transaction.read(&key, Kind::Hash)?;
    let removed = transaction.modify(&key, |transaction| {
        let mut removed = 0;
        for place in args[2..].iter().map(|name| field(name)) {
            removed += usize::from(has(transaction, &key, &place));
            transaction.clear(&key, &place);
        }
        removed
    });
    reply.length(removed);
    Ok(())
}

pub(super) fn hlen(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply.length(len(transaction.read(&transaction.key(args[1]), Kind::Hash)?));
    Ok(())
}

pub(super) fn hexists(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let object = transaction.read(&transaction.key(args[1]), Kind::Hash)?;
    reply.integer(value(object, args[2]).is_some().into());
    Ok(())
}

pub(super) fn hstrlen(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let object = transaction.read(&transaction.key(args[1]), Kind::Hash)?;
    reply.length(value(object, args[2]).map_or(0, |value| value.len()));
    Ok(())
}
