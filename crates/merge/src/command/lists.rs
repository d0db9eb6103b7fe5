//! The ends of lists. Concurrent pushes are all kept. Two replicas that pop the same element concurrently
//! both get it: a list that is popped by several replicas gives each element at least once.

use bytes::Bytes;
use onecopy_keyspace::CommandError;
use onecopy_keyspace::number::{is_word, not_negative, parse_integer};
use onecopy_resp::Writer;

use super::Outcome;
use crate::cell::Cell;
use crate::delta::Put;
use crate::object::Object;
use crate::place::{Kind, Place};
use crate::position::Position;
use crate::store::Key;
use crate::transaction::Transaction;

/// One of the ends of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Left,
    Right,
}

impl End {
    fn parse(arg: &[u8]) -> Result<Self, CommandError> {
        match arg {
            _ if is_word(arg, "LEFT") => Ok(Self::Left),
            _ if is_word(arg, "RIGHT") => Ok(Self::Right),
            _ => Err(CommandError::Syntax),
        }
    }

    /// The places of a list, beginning at this end.
    fn places<'a>(self, object: &'a Object) -> Box<dyn Iterator<Item = (&'a Place, &'a Cell)> + 'a> {
        let places = object.visible(Kind::List);
        if self == Self::Left { Box::new(places) } else { Box::new(places.rev()) }
    }
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
    end: End,
    elements: impl Iterator<Item = &'a [u8]>,
) {
    transaction.modify(key, |transaction| {
        let object = transaction.object(key);
        let outermost = object.and_then(|object| end.places(object).next()).map(|(place, _)| place);
        let mut outermost = outermost.and_then(position_of).cloned();
        for element in elements {
            let new = match end {
                End::Left => transaction.position(None, outermost.as_ref()),
                End::Right => transaction.position(outermost.as_ref(), None),
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
    end: End,
    count: usize,
) -> Result<Vec<Bytes>, CommandError> {
    let Some(object) = transaction.object(key) else { return Ok(Vec::new()) };
    let popped = end.places(object).take(count);
    let popped: Vec<_> =
        popped.map(|(place, cell)| (place.clone(), cell.text().unwrap_or_default())).collect();
    transaction.afford(popped.iter().map(|(place, _)| place.size()).sum())?;
    transaction.modify(key, |transaction| popped.iter().for_each(|(place, _)| transaction.clear(key, place)));
    Ok(popped.into_iter().map(|(_, element)| element).collect())
}

fn push(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    end: End,
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
    push(transaction, args, End::Left, false, reply)
}

pub(super) fn rpush(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    push(transaction, args, End::Right, false, reply)
}

pub(super) fn lpushx(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    push(transaction, args, End::Left, true, reply)
}

pub(super) fn rpushx(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    push(transaction, args, End::Right, true, reply)
}

fn reply_elements(elements: &[Bytes], reply: &mut Writer<'_>) {
    reply.array(elements.len());
    elements.iter().for_each(|element| reply.bulk(element));
}

fn pop(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    end: End,
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
    pop(transaction, args, End::Left, "lpop", reply)
}

pub(super) fn rpop(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    pop(transaction, args, End::Right, "rpop", reply)
}

/// A number that must be at least 1.
fn positive(arg: &[u8], error: &'static str) -> Result<usize, CommandError> {
    let number = parse_integer(arg).and_then(|number| usize::try_from(number).ok());
    number.filter(|number| *number > 0).ok_or(CommandError::Other(error))
}

pub(super) fn lmpop(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let count = positive(args[1], "ERR numkeys should be greater than 0")?;
    let (names, rest) = args[2..].split_at_checked(count).ok_or(CommandError::Syntax)?;
    let (end, rest) = rest.split_first().ok_or(CommandError::Syntax)?;
    let end = End::parse(end)?;
    let count = match rest {
        [] => 1,
        [option, count] if is_word(option, "COUNT") => positive(count, "ERR count should be greater than 0")?,
        _ => return Err(CommandError::Syntax),
    };
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
    (source, from): (&[u8], End),
    (target, to): (&[u8], End),
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
    let (from, to) = (End::parse(args[3])?, End::parse(args[4])?);
    move_element(transaction, (args[1], from), (args[2], to), reply)
}

pub(super) fn rpoplpush(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    move_element(transaction, (args[1], End::Right), (args[2], End::Left), reply)
}

pub(super) fn llen(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply.length(len(transaction.read(&transaction.key(args[1]), Kind::List)?));
    Ok(())
}
