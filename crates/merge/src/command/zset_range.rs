//! Ranges of sorted sets: by rank, by score, and by the members' bytes.
//!
//! Every range is brought into ranks first: `start..end`, counted from the lowest score. What is done with it
//! (reply, count, store, remove) is then the same for all three.

use std::ops::Range;

use bytes::Bytes;
use onecopy_keyspace::CommandError;
use onecopy_keyspace::number::{integer, is_word, parse_float, resolve_range};
use onecopy_resp::Writer;

use super::Outcome;
use super::zsets::{len, ranked, remove, scored};
use crate::delta::Put;
use crate::object::Object;
use crate::place::Kind;
use crate::score::Score;
use crate::store::Key;
use crate::transaction::Transaction;

/// What a range is given in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// A limit of a range by score.
#[derive(Clone, Copy, Debug)]
struct ScoreBound {
    score: f64,
    exclusive: bool,
}

impl ScoreBound {
    fn parse(arg: &[u8]) -> Result<Self, CommandError> {
        let (exclusive, number) = match arg {
            [b'(', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let score = parse_float(number).ok_or(CommandError::Other("ERR min or max is not a float"))?;
        // No score is a negative zero.
        Ok(Self { score: score + 0.0, exclusive })
    }

    /// How many members lie below the bound: those with its score count if `with_equal`.
    fn rank(self, object: &Object, with_equal: bool) -> usize {
        let below = |score: f64| object.ranked().range(..(Score(score), Bytes::new())).count();
        match self.score.next_up() {
            _ if !with_equal => below(self.score),
            // Nothing lies between a score and the next representable one.
            next if next > self.score => below(next),
            _ => object.ranked().len(),
        }
    }
}

/// A limit of a range by the members' bytes.
#[derive(Clone, Copy, Debug)]
enum LexBound<'a> {
    Lowest,
    Highest,
    At { member: &'a [u8], exclusive: bool },
}

impl<'a> LexBound<'a> {
    fn parse(arg: &'a [u8]) -> Result<Self, CommandError> {
        match arg {
            b"-" => Ok(Self::Lowest),
            b"+" => Ok(Self::Highest),
            [b'(', member @ ..] => Ok(Self::At { member, exclusive: true }),
            [b'[', member @ ..] => Ok(Self::At { member, exclusive: false }),
            _ => Err(CommandError::Other("ERR min or max not valid string range item")),
        }
    }

    /// How many members lie below the bound. `is_start`: whether the range begins at it. By halves: when not
    /// all scores are equal the result is unspecified, as in Redis, but always the same.
    fn rank(self, members: &[&Bytes], is_start: bool) -> usize {
        let (member, exclusive) = match self {
            Self::Lowest => return 0,
            Self::Highest => return members.len(),
            Self::At { member, exclusive } => (member, exclusive),
        };
        let with_equal = is_start == exclusive;
        let (mut low, mut high) = (0, members.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let other = &members[middle][..];
            let is_below = if with_equal { other <= member } else { other < member };
            if is_below { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// A range, parsed.
#[derive(Clone, Copy, Debug)]
enum Bounds<'a> {
    Rank { start: i64, end: i64, reverse: bool },
    Score { min: ScoreBound, max: ScoreBound },
    Lex { min: LexBound<'a>, max: LexBound<'a> },
}

impl<'a> Bounds<'a> {
    fn parse(by: By, reverse: bool, first: &'a [u8], second: &'a [u8]) -> Result<Self, CommandError> {
        // A reversed range by score or by bytes begins with its maximum.
        let (min, max) = if reverse && by != By::Rank { (second, first) } else { (first, second) };
        Ok(match by {
            By::Rank => Self::Rank { start: integer(min)?, end: integer(max)?, reverse },
            By::Score => Self::Score { min: ScoreBound::parse(min)?, max: ScoreBound::parse(max)? },
            By::Lex => Self::Lex { min: LexBound::parse(min)?, max: LexBound::parse(max)? },
        })
    }

    fn ranks(self, object: &Object) -> Range<usize> {
        let length = len(Some(object));
        let (start, end) = match self {
            Self::Rank { start, end, reverse } => {
                let ranks = resolve_range(start, end, length);
                match (reverse, ranks.is_empty()) {
                    (true, false) => (length - ranks.end, length - ranks.start),
                    _ => (ranks.start, ranks.end),
                }
            }
            Self::Score { min, max } => (min.rank(object, min.exclusive), max.rank(object, !max.exclusive)),
            Self::Lex { min, max } => {
                let members: Vec<&Bytes> = ranked(Some(object)).map(|(member, _)| member).collect();
                (min.rank(&members, true), max.rank(&members, false))
            }
        };
        start..end.max(start)
    }
}

/// `LIMIT`.
#[derive(Clone, Copy, Debug)]
struct Limit {
    offset: i64,
    /// No limit when negative.
    count: i64,
}

impl Limit {
    const NONE: Self = Self { offset: 0, count: -1 };

    fn apply(self, ranks: Range<usize>, reverse: bool) -> Range<usize> {
        // Redis: a negative offset skips everything.
        let offset = usize::try_from(self.offset).unwrap_or(usize::MAX).min(ranks.len());
        let count = usize::try_from(self.count).unwrap_or(usize::MAX).min(ranks.len() - offset);
        if reverse {
            let end = ranks.end - offset;
            end - count..end
        } else {
            let start = ranks.start + offset;
            start..start + count
        }
    }
}

/// Everything that a command of the `ZRANGE` family says.
struct Query<'a> {
    bounds: Bounds<'a>,
    reverse: bool,
    limit: Limit,
    with_scores: bool,
}

impl<'a> Query<'a> {
    /// `args` begin with the limits of the range. `by` and `reverse` are options unless given.
    fn parse(
        args: &[&'a [u8]],
        by: Option<By>,
        reverse: Option<bool>,
        stores: bool,
    ) -> Result<Self, CommandError> {
        let mut limit = Limit::NONE;
        let mut with_scores = false;
        let (mut chosen_by, mut chosen_reverse) = (by, reverse);
        let mut rest = args[2..].iter();
        while let Some(option) = rest.next() {
            if !stores && is_word(option, "WITHSCORES") {
                with_scores = true;
            } else if is_word(option, "LIMIT") {
                let [offset, count, ..] = rest.as_slice() else { return Err(CommandError::Syntax) };
                limit = Limit { offset: integer(offset)?, count: integer(count)? };
                rest.nth(1);
            } else if chosen_reverse.is_none() && is_word(option, "REV") {
                chosen_reverse = Some(true);
            } else if chosen_by.is_none() && is_word(option, "BYSCORE") {
                chosen_by = Some(By::Score);
            } else if chosen_by.is_none() && is_word(option, "BYLEX") {
                chosen_by = Some(By::Lex);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        let (by, reverse) = (chosen_by.unwrap_or(By::Rank), chosen_reverse.unwrap_or(false));
        if limit.count != -1 && by == By::Rank {
            return Err(CommandError::Other(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if with_scores && by == By::Lex {
            return Err(CommandError::Other(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        let limit = if by == By::Rank { Limit::NONE } else { limit };
        Ok(Self { bounds: Bounds::parse(by, reverse, args[0], args[1])?, reverse, limit, with_scores })
    }

    /// The members and scores that it selects, in order.
    fn select(&self, object: &Object) -> Vec<(Bytes, f64)> {
        let ranks = self.limit.apply(self.bounds.ranks(object), self.reverse);
        let selected = ranked(Some(object)).skip(ranks.start).take(ranks.len());
        let mut selected: Vec<_> = selected.map(|(member, score)| (member.clone(), score)).collect();
        if self.reverse {
            selected.reverse();
        }
        selected
    }
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
    let query = Query::parse(&args[2..], by, reverse, false)?;
    let object = transaction.read(&transaction.key(args[1]), Kind::SortedSet)?;
    let selected = object.map(|object| query.select(object)).unwrap_or_default();
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
    let query = Query::parse(&args[3..], None, None, true)?;
    let object = transaction.read(&transaction.key(args[2]), Kind::SortedSet)?;
    let selected = object.map(|object| query.select(object)).unwrap_or_default();
    let key = transaction.key(args[1]);
    reply.length(store(transaction, &key, &selected)?);
    Ok(())
}

fn count(transaction: &mut Transaction<'_>, args: &[&[u8]], by: By, reply: &mut Writer<'_>) -> Outcome {
    let bounds = Bounds::parse(by, false, args[2], args[3])?;
    let object = transaction.read(&transaction.key(args[1]), Kind::SortedSet)?;
    reply.length(object.map_or(0, |object| bounds.ranks(object).len()));
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
    let ranks = object.map_or(0..0, |object| bounds.ranks(object));
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
