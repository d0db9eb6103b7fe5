//! The ends of lists. Concurrent pushes are all kept. Two replicas that pop the same element concurrently
//! both get it: a list that is popped by several replicas gives each element at least once.

use bytes::Bytes;
use onecopy_keyspace::CommandError;
use onecopy_keyspace::number::not_negative;
use onecopy_keyspace::options::{ListEnd, PopOptions};
use onecopy_resp::Writer;

use super::Outcome;
use crate::cell::Cell;
use crate::delta::Put;
use crate::object::Object;
use crate::place::{Kind, Place};
use crate::position::Position;
use crate::store::Key;
use crate::transaction::Transaction;

/// The places of a list, beginning at an end.
fn places_from<'a>(end: ListEnd, object: &'a Object) -> Box<dyn Iterator<Item = (&'a Place, &'a Cell)> + 'a> {
    let places = object.visible(Kind::List);
    if end == ListEnd::Left { Box::new(places) } else { Box::new(places.rev()) }
}

/// The position of a place in a list.
pub(super) fn position_of(place: &Place) -> Option<&Position> {
    match place {
        Place::At(position) => Some(position),
        _ => None,
    }
}

/// The elements of a list.
pub(super) fn elements(object: Option<&Object>) -> impl DoubleEndedIterator<Item = (&Place, Bytes)> {
    let cells = object.into_iter().flat_map(|object| object.visible(Kind::List));
    cells.map(|(place, cell)| (place, cell.text().unwrap_or_default()))
}

pub(super) fn len(object: Option<&Object>) -> usize {
    object.map_or(0, |object| object.len_of(Kind::List))
}

/// Pushes elements one after the other.
fn push_all<'a>(
    transaction: &mut Transaction<'_>,
    key: &Key,
    end: ListEnd,
    elements: impl Iterator<Item = &'a [u8]>,
) {
    transaction.modify(key, |transaction| {
        let object = transaction.object(key);
        let outermost = object.and_then(|object| places_from(end, object).next()).map(|(place, _)| place);
        let mut outermost = outermost.and_then(position_of).cloned();
        for element in elements {
            let new = match end {
                ListEnd::Left => transaction.position(None, outermost.as_ref()),
                ListEnd::Right => transaction.position(outermost.as_ref(), None),
            };
            transaction.put(key, Place::At(new.clone()), Put::Text(Bytes::copy_from_slice(element)));
            outermost = Some(new);
        }
    });
}

/// Takes elements from an end.
fn pop_all(
    transaction: &mut Transaction<'_>,
    key: &Key,
    end: ListEnd,
    count: usize,
) -> Result<Vec<Bytes>, CommandError> {
    let Some(object) = transaction.object(key) else { return Ok(Vec::new()) };
    let popped = places_from(end, object).take(count);
    let popped: Vec<_> =
        popped.map(|(place, cell)| (place.clone(), cell.text().unwrap_or_default())).collect();
    transaction.afford(popped.iter().map(|(place, _)| place.size()).sum())?;
    transaction.modify(key, |transaction| popped.iter().for_each(|(place, _)| transaction.clear(key, place)));
    Ok(popped.into_iter().map(|(_, element)| element).collect())
}

fn push(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    end: ListEnd,
    only_existing: bool,
    reply: &mut Writer<'_>,
) -> Outcome {
    let key = transaction.key(args[1]);
    let exists = transaction.read(&key, Kind::List)?.is_some();
    if exists || !only_existing {
        push_all(transaction, &key, end, args[2..].iter().copied());
    }
    reply.length(len(transaction.object(&key)));
    Ok(())
}

pub(super) fn lpush(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    push(transaction, args, ListEnd::Left, false, reply)
}

pub(super) fn rpush(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    push(transaction, args, ListEnd::Right, false, reply)
}

pub(super) fn lpushx(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    push(transaction, args, ListEnd::Left, true, reply)
}

pub(super) fn rpushx(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    push(transaction, args, ListEnd::Right, true, reply)
}

fn reply_elements(elements: &[Bytes], reply: &mut Writer<'_>) {
    reply.array(elements.len());
    elements.iter().for_each(|element| reply.bulk(element));
}

fn pop(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    end: ListEnd,
    name: &'static str,
    reply: &mut Writer<'_>,
) -> Outcome {
    let count = match &args[2..] {
        [] => None,
        [count] => Some(not_negative(count)?),
        _ => return Err(CommandError::Arity(name)),
    };
    let key = transaction.key(args[1]);
    let exists = transaction.read(&key, Kind::List)?.is_some();
    let popped = pop_all(transaction, &key, end, count.unwrap_or(1))?;
    match (count, popped.first()) {
        (Some(_), _) if exists => reply_elements(&popped, reply),
        (Some(_), _) => reply.null_array(),
        (None, Some(element)) => reply.bulk(element),
        (None, None) => reply.null(),
    }
    Ok(())
}

pub(super) fn lpop(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    pop(transaction, args, ListEnd::Left, "lpop", reply)
}

pub(super) fn rpop(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    pop(transaction, args, ListEnd::Right, "rpop", reply)
}

pub(super) fn lmpop(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let PopOptions { keys: names, end, count } = PopOptions::parse(&args[1..], ListEnd::parse)?;
    for name in names {
        let key = transaction.key(name);
        if transaction.read(&key, Kind::List)?.is_some() {
            let popped = pop_all(transaction, &key, end, count)?;
            reply.array(2);
            reply.bulk(name);
            reply_elements(&popped, reply);
            return Ok(());
        }
    }
    reply.null_array();
    Ok(())
}

fn move_element(
    transaction: &mut Transaction<'_>,
    (source, from): (&[u8], ListEnd),
    (target, to): (&[u8], ListEnd),
    reply: &mut Writer<'_>,
) -> Outcome {
    let (source, target) = (transaction.key(source), transaction.key(target));
    if transaction.read(&source, Kind::List)?.is_none() {
        reply.null();
        return Ok(());
    }
    transaction.read(&target, Kind::List)?;
    // In one step, for a list of one element must not vanish in between and lose its expiry.
    let element = transaction.modify(&target, |transaction| {
        let element = pop_all(transaction, &source, from, 1)?.pop().unwrap_or_default();
        push_all(transaction, &target, to, std::iter::once(&element[..]));
        Ok::<_, CommandError>(element)
    })?;
    reply.bulk(&element);
    Ok(())
}

pub(super) fn lmove(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (from, to) = (ListEnd::parse(args[3])?, ListEnd::parse(args[4])?);
    move_element(transaction, (args[1], from), (args[2], to), reply)
}

pub(super) fn rpoplpush(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    move_element(transaction, (args[1], ListEnd::Right), (args[2], ListEnd::Left), reply)
}

pub(super) fn llen(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply.length(len(transaction.read(&transaction.key(args[1]), Kind::List)?));
    Ok(())
}
