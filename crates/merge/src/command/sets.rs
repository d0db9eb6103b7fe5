//! Sets, one at a time. A member that is added anew gets another dot, so that it survives a removal that has
//! not seen this.

use bytes::Bytes;
use onecopy_keyspace::CommandError;
use onecopy_keyspace::number::not_negative;
use onecopy_resp::Writer;

use super::Outcome;
use crate::delta::Put;
use crate::object::Object;
use crate::place::{Kind, Place};
use crate::store::Key;
use crate::transaction::Transaction;

pub(super) fn member(name: &[u8]) -> Place {
    Place::Member(Bytes::copy_from_slice(name))
}

/// Whether a set has a member.
pub(super) fn has(object: Option<&Object>, name: &[u8]) -> bool {
    object.is_some_and(|object| object.cell(&member(name)).is_some())
}

/// The members of a set.
pub(super) fn members(object: Option<&Object>) -> impl Iterator<Item = &[u8]> {
    object.into_iter().flat_map(|object| object.visible(Kind::Set)).map(|(place, _)| place.name())
}

pub(super) fn len(object: Option<&Object>) -> usize {
    object.map_or(0, |object| object.len_of(Kind::Set))
}

/// Adds members; how many are new.
fn add(transaction: &mut Transaction<'_>, key: &Key, names: &[&[u8]]) -> usize {
    transaction.modify(key, |transaction| {
        let mut added = 0;
        for name in names {
            added += usize::from(!has(transaction.object(key), name));
            transaction.replace(key, member(name), Put::Member);
        }
        added
    })
}

/// Removes members; how many were there.
fn remove(transaction: &mut Transaction<'_>, key: &Key, names: &[&[u8]]) -> usize {
    transaction.modify(key, |transaction| {
        let mut removed = 0;
        for name in names {
            removed += usize::from(has(transaction.object(key), name));
            transaction.clear(key, &member(name));
        }
        removed
    })
}

pub(super) fn sadd(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let key = transaction.key(args[1]);
    transaction.read(&key, Kind::Set)?;
    reply.length(add(transaction, &key, &args[2..]));
    Ok(())
}

pub(super) fn srem(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let key = transaction.key(args[1]);
    transaction.read(&key, Kind::Set)?;
    reply.length(remove(transaction, &key, &args[2..]));
    Ok(())
}

pub(super) fn smembers(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let object = transaction.read(&transaction.key(args[1]), Kind::Set)?;
    reply.set(len(object));
    members(object).for_each(|member| reply.bulk(member));
    Ok(())
}

pub(super) fn sismember(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    let object = transaction.read(&transaction.key(args[1]), Kind::Set)?;
    reply.integer(has(object, args[2]).into());
    Ok(())
}

pub(super) fn smismember(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    let object = transaction.read(&transaction.key(args[1]), Kind::Set)?;
    reply.array(args.len() - 2);
    args[2..].iter().for_each(|name| reply.integer(has(object, name).into()));
    Ok(())
}

pub(super) fn scard(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply.length(len(transaction.read(&transaction.key(args[1]), Kind::Set)?));
    Ok(())
}

pub(super) fn smove(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (source, target) = (transaction.key(args[1]), transaction.key(args[2]));
    let Some(object) = transaction.read(&source, Kind::Set)? else {
        reply.integer(0);
        return Ok(());
    };
    let found = has(Some(object), args[3]);
    transaction.read(&target, Kind::Set)?;
    if found && source != target {
        remove(transaction, &source, &args[3..]);
        add(transaction, &target, &args[3..]);
    }
    reply.integer(found.into());
    Ok(())
}

pub(super) fn spop(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let key = transaction.key(args[1]);
    let count = match &args[2..] {
        [] => None,
        [count] => Some(not_negative(count)?),
        _ => return Err(CommandError::Syntax),
    };
    let mut random = transaction.random();
    let object = transaction.read(&key, Kind::Set)?;
    let drawn = random.distinct(count.unwrap_or(1), len(object));
    let all: Vec<&[u8]> = if drawn.is_empty() { Vec::new() } else { members(object).collect() };
    let popped: Vec<Bytes> = drawn.into_iter().map(|at| Bytes::copy_from_slice(all[at])).collect();
    transaction.afford(popped.iter().map(|member| member.len() + 16).sum())?;
    remove(transaction, &key, &popped.iter().map(|member| &member[..]).collect::<Vec<_>>());
    match (count, popped.first()) {
        (Some(_), _) => {
            reply.set(popped.len());
            popped.iter().for_each(|member| reply.bulk(member));
        }
        (None, Some(member)) => reply.bulk(member),
        (None, None) => reply.null(),
    }
    Ok(())
}
