//! Ranges of sorted sets: by rank, by score, and by the members' bytes.
//!
//! Every range is brought into ranks first. What is done with them (reply, count, store, remove) is then the
//! same for all three.

use std::cell::OnceCell;

use bytes::Bytes;
use onecopy_keyspace::CommandError;
use onecopy_keyspace::options::{Bounds, By, RangeQuery, Ranking};
use onecopy_resp::Writer;

use super::Outcome;
use super::zsets::{len, ranked, remove, scored};
use crate::delta::Put;
use crate::object::Object;
use crate::place::Kind;
use crate::score::Score;
use crate::store::Key;
use crate::transaction::Transaction;

/// A sorted set in order of its scores.
struct Ranked<'a> {
    object: &'a Object,
    /// The members by their ranks. Collected only for a range by their bytes: nothing else looks at them.
    members: OnceCell<Vec<&'a Bytes>>,
}

impl<'a> Ranked<'a> {
    fn new(object: &'a Object) -> Self {
        Self { object, members: OnceCell::new() }
    }
}

impl Ranking for Ranked<'_> {
    fn length(&self) -> usize {
        len(Some(self.object))
    }

    fn lower_than(&self, score: f64) -> usize {
        self.object.ranked().range(..(Score(score), Bytes::new())).count()
    }

    fn member(&self, rank: usize) -> Option<&[u8]> {
        let collect = || ranked(Some(self.object)).map(|(member, _)| member).collect();
        self.members.get_or_init(collect).get(rank).map(|member| &member[..])
    }
}

/// The members and scores that a query selects, in the order that it wants.
fn select(query: &RangeQuery<'_>, object: &Object) -> Vec<(Bytes, f64)> {
    let ranks = query.ranks(&Ranked::new(object));
    let selected = ranked(Some(object)).skip(ranks.start).take(ranks.len());
    let mut selected: Vec<_> = selected.map(|(member, score)| (member.clone(), score)).collect();
    if query.reverse {
        selected.reverse();
    }
    selected
}

/// Members, with their scores if wanted.
pub(super) fn reply_members(members: &[(Bytes, f64)], with_scores: bool, reply: &mut Writer<'_>) {
    if with_scores {
        reply.pairs(members.len())
    } else {
        reply.array(members.len())
    }
    for (member, score) in members {
        if with_scores {
            reply.pair();
        }
        reply.bulk(member);
        if with_scores {
            reply.double(*score);
        }
    }
}

/// Replaces what a key holds by a sorted set; how many members it has.
pub(super) fn store(
    transaction: &mut Transaction<'_>,
    key: &Key,
    members: &[(Bytes, f64)],
) -> Result<usize, CommandError> {
    transaction.afford(members.iter().map(|(member, _)| member.len() + 32).sum())?;
    transaction.delete(key);
    for (member, score) in members {
        transaction.put(key, scored(member), Put::Score(*score));
    }
    Ok(members.len())
}

fn range(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    by: Option<By>,
    reverse: Option<bool>,
    reply: &mut Writer<'_>,
) -> Outcome {
    let query = RangeQuery::parse(&args[2..], by, reverse, false)?;
    let object = transaction.read(&transaction.key(args[1]), Kind::SortedSet)?;
    let selected = object.map(|object| select(&query, object)).unwrap_or_default();
    reply_members(&selected, query.with_scores, reply);
    Ok(())
}

pub(super) fn zrange(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    range(transaction, args, None, None, reply)
}

pub(super) fn zrevrange(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    range(transaction, args, Some(By::Rank), Some(true), reply)
}

pub(super) fn zrangebyscore(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    range(transaction, args, Some(By::Score), Some(false), reply)
}

pub(super) fn zrevrangebyscore(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    range(transaction, args, Some(By::Score), Some(true), reply)
}

pub(super) fn zrangebylex(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    range(transaction, args, Some(By::Lex), Some(false), reply)
}

pub(super) fn zrevrangebylex(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    range(transaction, args, Some(By::Lex), Some(true), reply)
}

pub(super) fn zrangestore(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    let query = RangeQuery::parse(&args[3..], None, None, true)?;
    let object = transaction.read(&transaction.key(args[2]), Kind::SortedSet)?;
    let selected = object.map(|object| select(&query, object)).unwrap_or_default();
    let key = transaction.key(args[1]);
    reply.length(store(transaction, &key, &selected)?);
    Ok(())
}

fn count(transaction: &mut Transaction<'_>, args: &[&[u8]], by: By, reply: &mut Writer<'_>) -> Outcome {
    let bounds = Bounds::parse(by, false, args[2], args[3])?;
    let object = transaction.read(&transaction.key(args[1]), Kind::SortedSet)?;
    reply.length(object.map_or(0, |object| bounds.ranks(&Ranked::new(object)).len()));
    Ok(())
}

pub(super) fn zcount(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    count(transaction, args, By::Score, reply)
}

pub(super) fn zlexcount(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    count(transaction, args, By::Lex, reply)
}

fn remove_range(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    by: By,
    reply: &mut Writer<'_>,
) -> Outcome {
    let bounds = Bounds::parse(by, false, args[2], args[3])?;
    let key = transaction.key(args[1]);
    let object = transaction.read(&key, Kind::SortedSet)?;
    let ranks = object.map_or(0..0, |object| bounds.ranks(&Ranked::new(object)));
    let removed = ranked(object).skip(ranks.start).take(ranks.len());
    let removed: Vec<Bytes> = removed.map(|(member, _)| member.clone()).collect();
    remove(transaction, &key, &removed)?;
    reply.length(removed.len());
    Ok(())
}

pub(super) fn zremrangebyrank(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    remove_range(transaction, args, By::Rank, reply)
}

pub(super) fn zremrangebyscore(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    remove_range(transaction, args, By::Score, reply)
}

pub(super) fn zremrangebylex(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    remove_range(transaction, args, By::Lex, reply)
}
