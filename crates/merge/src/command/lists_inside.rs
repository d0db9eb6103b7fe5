//! What is inside of lists. An index means the element that this replica shows there: what is written is
//! written to that element, wherever it stands elsewhere.

use bytes::Bytes;
use onecopy_keyspace::CommandError;
use onecopy_keyspace::number::{integer, is_word, parse_integer, resolve_range};
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

/// The options of `LPOS`.
struct Search {
    /// Which match to begin with; from the end when negative.
    rank: i64,
    /// How many matches are wanted; `None` for just one.
    count: Option<usize>,
    /// How many elements are compared.
    compared_max: usize,
}

impl Search {
    fn parse(args: &[&[u8]]) -> Result<Self, CommandError> {
        /// Zero means no limit.
        fn limit(arg: &[u8], error: &'static str) -> Result<usize, CommandError> {
            let number = parse_integer(arg).and_then(|number| usize::try_from(number).ok());
            number
                .map(|number| if number == 0 { usize::MAX } else { number })
                .ok_or(CommandError::Other(error))
        }
        let mut search = Self { rank: 1, count: None, compared_max: usize::MAX };
        let mut rest = args.iter();
        while let Some(option) = rest.next() {
            let value = rest.next().ok_or(CommandError::Syntax)?;
            if is_word(option, "RANK") {
                search.rank = integer(value)?;
                if search.rank == i64::MIN {
                    return Err(CommandError::Other(
                        "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
                    ));
                }
                if search.rank == 0 {
                    return Err(CommandError::Other(
                        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use \
                         negative to start from the end of the list",
                    ));
                }
            } else if is_word(option, "COUNT") {
                search.count = Some(limit(value, "ERR COUNT can't be negative")?);
            } else if is_word(option, "MAXLEN") {
                search.compared_max = limit(value, "ERR MAXLEN can't be negative")?;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(search)
    }

    fn positions(&self, object: Option<&Object>, element: &[u8]) -> Vec<usize> {
        let skipped = usize::try_from(self.rank.unsigned_abs() - 1).unwrap_or(usize::MAX);
        let length = len(object);
        let candidates = elements(object).map(|(_, candidate)| candidate);
        let found = |candidates: &mut dyn Iterator<Item = (usize, Bytes)>| {
            let matching = candidates.take(self.compared_max).filter(|(_, candidate)| *candidate == element);
            matching.skip(skipped).take(self.count.unwrap_or(1)).map(|(position, _)| position).collect()
        };
        if self.rank > 0 {
            found(&mut candidates.enumerate())
        } else {
            found(&mut (0..length).rev().zip(candidates.rev()))
        }
    }
}

pub(super) fn lpos(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let search = Search::parse(&args[3..])?;
    let object = transaction.read(&transaction.key(args[1]), Kind::List)?;
    let positions = search.positions(object, args[2]);
    if search.count.is_some() {
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
