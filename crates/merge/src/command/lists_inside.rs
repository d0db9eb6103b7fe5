//! What is inside of lists. An index means the element that this replica shows there: what is written is
//! written to that element, wherever it stands elsewhere.

use bytes::Bytes;
use onecopy_keyspace::CommandError;
use onecopy_keyspace::number::{integer, is_word, resolve_range};
use onecopy_keyspace::options::Search;
use onecopy_resp::Writer;

use super::Outcome;
use super::lists::{elements, len, position_of};
use super::strings::reply_text;
use crate::delta::Put;
use crate::object::Object;
use crate::place::{Kind, Place};
use crate::store::Key;
use crate::transaction::Transaction;

pub(super) fn lrange(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (start, end) = (integer(args[2])?, integer(args[3])?);
    let object = transaction.read(&transaction.key(args[1]), Kind::List)?;
    let range = resolve_range(start, end, len(object));
    reply.array(range.len());
    elements(object).skip(range.start).take(range.len()).for_each(|(_, element)| reply.bulk(&element));
    Ok(())
}

/// The element at an index, which counts from the end when negative.
fn at(object: Option<&Object>, index: i64) -> Option<(&Place, Bytes)> {
    match usize::try_from(index) {
        Ok(index) => elements(object).nth(index),
        Err(_) => elements(object).rev().nth(usize::try_from(index.unsigned_abs() - 1).ok()?),
    }
}

pub(super) fn lindex(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let object = transaction.read(&transaction.key(args[1]), Kind::List)?;
    let found = match object {
        Some(_) => at(object, integer(args[2])?),
        None => None,
    };
    reply_text(found.map(|(_, element)| element).as_deref(), reply);
    Ok(())
}

pub(super) fn lset(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let key = transaction.key(args[1]);
    let object = transaction.read(&key, Kind::List)?.ok_or(CommandError::NoSuchKey)?;
    let place = at(Some(object), integer(args[2])?).map(|(place, _)| place.clone());
    let place = place.ok_or(CommandError::Other("ERR index out of range"))?;
    let put = Put::Text(Bytes::copy_from_slice(args[3]));
    transaction.modify(&key, |transaction| transaction.replace(&key, place, put));
    reply.ok();
    Ok(())
}

pub(super) fn linsert(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let after = match args[2] {
        word if is_word(word, "AFTER") => true,
        word if is_word(word, "BEFORE") => false,
        _ => return Err(CommandError::Syntax),
    };
    let key = transaction.key(args[1]);
    let object = transaction.read(&key, Kind::List)?;
    if object.is_none() {
        reply.integer(0);
        return Ok(());
    }
    let Some(pivot) = elements(object).position(|(_, element)| element == args[3]) else {
        reply.integer(-1);
        return Ok(());
    };
    let behind = pivot + usize::from(after);
    let neighbour = |at: usize| elements(object).nth(at).and_then(|(place, _)| position_of(place)).cloned();
    let (left, right) = (behind.checked_sub(1).and_then(neighbour), neighbour(behind));
    let new = transaction.position(left.as_ref(), right.as_ref());
    let put = Put::Text(Bytes::copy_from_slice(args[4]));
    transaction.modify(&key, |transaction| transaction.put(&key, Place::At(new), put));
    reply.length(len(transaction.object(&key)));
    Ok(())
}

/// Removes elements.
fn remove(transaction: &mut Transaction<'_>, key: &Key, places: &[Place]) -> Outcome {
    transaction.afford(places.iter().map(Place::size).sum())?;
    transaction.modify(key, |transaction| places.iter().for_each(|place| transaction.clear(key, place)));
    Ok(())
}

pub(super) fn lrem(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let count = integer(args[2])?;
    let count_max = match count {
        0 => usize::MAX,
        _ => usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX),
    };
    let key = transaction.key(args[1]);
    let object = transaction.read(&key, Kind::List)?;
    let matching = |(_, element): &(&Place, Bytes)| *element == args[3];
    let found: Vec<Place> = if count < 0 {
        elements(object).rev().filter(matching).take(count_max).map(|(place, _)| place.clone()).collect()
    } else {
        elements(object).filter(matching).take(count_max).map(|(place, _)| place.clone()).collect()
    };
    remove(transaction, &key, &found)?;
    reply.length(found.len());
    Ok(())
}

pub(super) fn ltrim(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (start, end) = (integer(args[2])?, integer(args[3])?);
    let key = transaction.key(args[1]);
    let object = transaction.read(&key, Kind::List)?;
    let kept = resolve_range(start, end, len(object));
    if kept.is_empty() {
        transaction.delete(&key);
    } else {
        let cut = elements(object).enumerate().filter(|(at, _)| !kept.contains(at));
        let cut: Vec<Place> = cut.map(|(_, (place, _))| place.clone()).collect();
        remove(transaction, &key, &cut)?;
    }
    reply.ok();
    Ok(())
}

pub(super) fn lpos(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let search = Search::parse(&args[3..])?;
    let object = transaction.read(&transaction.key(args[1]), Kind::List)?;
    let is_equal = elements(object).map(|(_, candidate)| candidate == args[2]);
    let positions = if search.is_from_end() {
        search.positions((0..len(object)).rev().zip(is_equal.rev()))
    } else {
        search.positions(is_equal.enumerate())
    };
    if search.is_for_several() {
        reply.array(positions.len());
        positions.into_iter().for_each(|position| reply.length(position));
    } else {
        match positions.first() {
            Some(position) => reply.length(*position),
            None => reply.null(),
        }
    }
    Ok(())
}
