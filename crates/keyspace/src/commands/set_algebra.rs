//! Intersections, unions and differences of sets.
//!
//! The result is in the order of the first set that a member was found in (of the smallest set, for
//! intersections).

use onecopy_resp::Writer;

use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::number::{is_word, parse_integer};
use crate::value::Set;

/// The sets at these keys, all of which must be sets or absent.
fn sets<'a>(view: &View<'a>, keys: &[&[u8]]) -> Result<Vec<Option<&'a Set>>, CommandError> {
    keys.iter().map(|key| view.read::<Set>(key)).collect()
}

/// The members that all sets have, at most `count_max`.
fn intersection<'a>(sets: &[Option<&'a Set>], count_max: usize) -> Vec<&'a [u8]> {
    let Some(sets) = sets.iter().copied().collect::<Option<Vec<_>>>() else { return Vec::new() };
    let Some((at, smallest)) = sets.iter().enumerate().min_by_key(|(_, set)| set.len()) else {
        return Vec::new();
    };
    let others = || sets.iter().enumerate().filter(|(other, _)| *other != at);
    let common = smallest.iter().filter(|member| others().all(|(_, set)| set.contains(member)));
    common.take(count_max).collect()
}

/// The result of an operation, as a set.
type Operation = fn(&View<'_>, &[&[u8]]) -> Result<Set, CommandError>;

fn inter(view: &View<'_>, keys: &[&[u8]]) -> Result<Set, CommandError> {
    let mut result = Set::new(view.keyspace.seed);
    for member in intersection(&sets(view, keys)?, usize::MAX) {
        result.insert(member);
    }
    Ok(result)
}

fn union(view: &View<'_>, keys: &[&[u8]]) -> Result<Set, CommandError> {
    let mut result = Set::new(view.keyspace.seed);
    for member in sets(view, keys)?.into_iter().flatten().flat_map(Set::iter) {
        result.insert(member);
    }
    Ok(result)
}

fn difference(view: &View<'_>, keys: &[&[u8]]) -> Result<Set, CommandError> {
    let sets = sets(view, keys)?;
    let mut result = Set::new(view.keyspace.seed);
    if let Some((first, others)) = sets.split_first() {
        for member in first.iter().flat_map(|set| set.iter()) {
            if !others.iter().flatten().any(|set| set.contains(member)) {
                result.insert(member);
            }
        }
    }
    Ok(result)
}

fn reply_result(view: &View<'_>, args: &[&[u8]], operation: Operation, reply: &mut Writer<'_>) -> Outcome {
    let result = operation(view, &args[1..])?;
    reply.set(result.len());
    result.iter().for_each(|member| reply.bulk(member));
    Ok(())
}

fn store_result(
    context: &mut Context<'_>,
    args: &[&[u8]],
    operation: Operation,
    reply: &mut Writer<'_>,
) -> Outcome {
    let result = operation(&context.view(), &args[2..])?;
    reply.length(result.len());
    context.store(args[1], result);
    Ok(())
}

pub(crate) fn sinter(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_result(view, args, inter, reply)
}

pub(crate) fn sunion(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_result(view, args, union, reply)
}

pub(crate) fn sdiff(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_result(view, args, difference, reply)
}

pub(crate) fn sinterstore(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    store_result(context, args, inter, reply)
}

pub(crate) fn sunionstore(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    store_result(context, args, union, reply)
}

pub(crate) fn sdiffstore(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    store_result(context, args, difference, reply)
}

pub(crate) fn sintercard(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let count = parse_integer(args[1]).filter(|count| *count > 0);
    let count = count.ok_or(CommandError::Other("ERR numkeys should be greater than 0"))?;
    let keys = usize::try_from(count).ok().and_then(|count| args[2..].split_at_checked(count));
    let (keys, mut options) =
        keys.ok_or(CommandError::Other("ERR Number of keys can't be greater than number of args"))?;
    let mut limit = usize::MAX;
    while let [option, value, rest @ ..] = options
        && is_word(option, "LIMIT")
    {
        let number = parse_integer(value).and_then(|number| usize::try_from(number).ok());
        let number = number.ok_or(CommandError::Other("ERR LIMIT can't be negative"))?;
        limit = if number == 0 { usize::MAX } else { number };
        options = rest;
    }
    if !options.is_empty() {
        return Err(CommandError::Syntax);
    }
    reply.length(intersection(&sets(view, keys)?, limit).len());
    Ok(())
}
