//! Sorted sets, member by member.
//!
//! `ZADD` gives a member a score, and removes those that this replica has seen. `ZINCRBY` adds to the score
//! that shows here: when that score is removed elsewhere, what was added to it goes with it, and when two
//! replicas give scores concurrently the later one shows, with what was added to that one.

use bytes::Bytes;
use onecopy_keyspace::CommandError;
use onecopy_keyspace::number::{float, is_word, not_negative};
use onecopy_keyspace::options::{PopOptions, ScoreEnd, ZaddOptions};
use onecopy_resp::Writer;

use super::Outcome;
use crate::cell::{Cell, sum_of};
use crate::delta::Put;
use crate::object::Object;
use crate::place::{Kind, Place};
use crate::store::Key;
use crate::transaction::Transaction;

pub(super) fn scored(name: &[u8]) -> Place {
    Place::Scored(Bytes::copy_from_slice(name))
}

/// The score of a member.
pub(super) fn score(object: Option<&Object>, name: &[u8]) -> Option<f64> {
    object?.cell(&scored(name)).and_then(Cell::score).map(|(_, score)| score)
}

pub(super) fn len(object: Option<&Object>) -> usize {
    object.map_or(0, |object| object.len_of(Kind::SortedSet))
}

/// The members in order of their scores.
pub(super) fn ranked(object: Option<&Object>) -> impl DoubleEndedIterator<Item = (&Bytes, f64)> {
    object.into_iter().flat_map(|object| object.ranked()).map(|(score, member)| (member, score.0))
}

/// What adding has done.
#[derive(Default)]
struct Added {
    new: usize,
    changed: usize,
    /// The score of the last member, if it was not left as it is.
    score: Option<f64>,
}

fn add(
    transaction: &mut Transaction<'_>,
    key: &Key,
    options: ZaddOptions,
    pairs: &[(f64, &[u8])],
) -> Result<Added, CommandError> {
    transaction.read(key, Kind::SortedSet)?;
    transaction.modify(key, |transaction| {
        let mut added = Added::default();
        for (given, member) in pairs {
            let place = scored(member);
            let current =
                transaction.object(key).and_then(|object| object.cell(&place)).and_then(Cell::score);
            let before = current.map(|(_, score)| score);
            added.score = options.resolve(before, *given)?;
            let Some(after) = added.score else { continue };
            match current {
                Some((base, _)) if options.increment => transaction.raise(key, place, base, *given),
                _ => transaction.replace(key, place, Put::Score(sum_of(after, 0.0))),
            }
            added.score = score(transaction.object(key), member);
            added.new += usize::from(before.is_none());
            #[allow(clippy::float_cmp)]
            let changed = before.is_some_and(|before| before != after);
            added.changed += usize::from(changed);
        }
        Ok(added)
    })
}

pub(super) fn zadd(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (options, pairs) = ZaddOptions::parse(&args[2..])?;
    let key = transaction.key(args[1]);
    let added = add(transaction, &key, options, &pairs)?;
    match (options.increment, added.score) {
        (true, Some(score)) => reply.double(score),
        (true, None) => reply.null(),
        (false, _) if options.count_changed => reply.length(added.new + added.changed),
        (false, _) => reply.length(added.new),
    }
    Ok(())
}

pub(super) fn zincrby(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let options = ZaddOptions { increment: true, ..ZaddOptions::default() };
    let key = transaction.key(args[1]);
    let added = add(transaction, &key, options, &[(float(args[2])?, args[3])])?;
    reply.double(added.score.unwrap_or_default());
    Ok(())
}

/// Removes members.
pub(super) fn remove(transaction: &mut Transaction<'_>, key: &Key, names: &[Bytes]) -> Outcome {
    transaction.afford(names.iter().map(|name| name.len() + 16).sum())?;
    transaction.modify(key, |transaction| {
        names.iter().for_each(|name| transaction.clear(key, &Place::Scored(name.clone())));
    });
    Ok(())
}

pub(super) fn zrem(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let key = transaction.key(args[1]);
    let object = transaction.read(&key, Kind::SortedSet)?;
    let mut found: Vec<Bytes> = args[2..].iter().map(|name| Bytes::copy_from_slice(name)).collect();
    found.sort_unstable();
    found.dedup();
    found.retain(|name| score(object, name).is_some());
    remove(transaction, &key, &found)?;
    reply.length(found.len());
    Ok(())
}

fn reply_score(score: Option<f64>, reply: &mut Writer<'_>) {
    match score {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
}

pub(super) fn zscore(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let object = transaction.read(&transaction.key(args[1]), Kind::SortedSet)?;
    reply_score(score(object, args[2]), reply);
    Ok(())
}

pub(super) fn zmscore(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let object = transaction.read(&transaction.key(args[1]), Kind::SortedSet)?;
    reply.array(args.len() - 2);
    args[2..].iter().for_each(|name| reply_score(score(object, name), reply));
    Ok(())
}

pub(super) fn zcard(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply.length(len(transaction.read(&transaction.key(args[1]), Kind::SortedSet)?));
    Ok(())
}

/// How many members come before one.
fn rank(object: Option<&Object>, name: &[u8]) -> Option<usize> {
    let score = score(object, name)?;
    let key = (crate::score::Score(score), Bytes::copy_from_slice(name));
    Some(object?.ranked().range(..key).count())
}

/// Answers the place of a member, counted from the lowest score or from the highest.
fn reply_rank(
    transaction: &Transaction<'_>,
    args: &[&[u8]],
    is_reverse: bool,
    reply: &mut Writer<'_>,
) -> Outcome {
    let with_score = match &args[3..] {
        [] => false,
        [option] if is_word(option, "WITHSCORE") => true,
        [_] => return Err(CommandError::Syntax),
        _ => return Err(CommandError::Arity(if is_reverse { "zrevrank" } else { "zrank" })),
    };
    let object = transaction.read(&transaction.key(args[1]), Kind::SortedSet)?;
    let found = rank(object, args[2]).zip(score(object, args[2]));
    let found = found.map(|(rank, score)| (if is_reverse { len(object) - 1 - rank } else { rank }, score));
    match found {
        Some((rank, score)) if with_score => {
            reply.array(2);
            reply.length(rank);
            reply.double(score);
        }
        Some((rank, _)) => reply.length(rank),
        None if with_score => reply.null_array(),
        None => reply.null(),
    }
    Ok(())
}

pub(super) fn zrank(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_rank(transaction, args, false, reply)
}

pub(super) fn zrevrank(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_rank(transaction, args, true, reply)
}

/// Removes the members with the lowest or the highest scores.
fn take(
    transaction: &mut Transaction<'_>,
    key: &Key,
    count: usize,
    end: ScoreEnd,
) -> Result<Vec<(Bytes, f64)>, CommandError> {
    let object = transaction.object(key);
    let taken: Vec<(Bytes, f64)> = if end == ScoreEnd::Highest {
        ranked(object).rev().take(count).map(|(member, score)| (member.clone(), score)).collect()
    } else {
        ranked(object).take(count).map(|(member, score)| (member.clone(), score)).collect()
    };
    remove(transaction, key, &taken.iter().map(|(member, _)| member.clone()).collect::<Vec<_>>())?;
    Ok(taken)
}

fn pop(transaction: &mut Transaction<'_>, args: &[&[u8]], end: ScoreEnd, reply: &mut Writer<'_>) -> Outcome {
    let count = match &args[2..] {
        [] => None,
        [count] => Some(not_negative(count)?),
        _ => return Err(CommandError::Syntax),
    };
    let key = transaction.key(args[1]);
    transaction.read(&key, Kind::SortedSet)?;
    let taken = take(transaction, &key, count.unwrap_or(1), end)?;
    // RESP3 puts each pair into an array, but only if a count was given.
    match count {
        Some(_) => reply.pairs(taken.len()),
        None => reply.array(taken.len() * 2),
    }
    for (member, score) in taken {
        if count.is_some() {
            reply.pair();
        }
        reply.bulk(&member);
        reply.double(score);
    }
    Ok(())
}

pub(super) fn zpopmin(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    pop(transaction, args, ScoreEnd::Lowest, reply)
}

pub(super) fn zpopmax(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    pop(transaction, args, ScoreEnd::Highest, reply)
}

pub(super) fn zmpop(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let PopOptions { keys: names, end, count } = PopOptions::parse(&args[1..], ScoreEnd::parse)?;
    for name in names {
        let key = transaction.key(name);
        if transaction.read(&key, Kind::SortedSet)?.is_some() {
            let taken = take(transaction, &key, count, end)?;
            reply.array(2);
            reply.bulk(name);
            reply.array(taken.len());
            for (member, score) in taken {
                reply.array(2);
                reply.bulk(&member);
                reply.double(score);
            }
            return Ok(());
        }
    }
    reply.null_array();
    Ok(())
}
