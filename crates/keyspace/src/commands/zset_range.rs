//! Ranges of sorted sets: by rank, by score, and by the members' bytes.
//!
//! Every range is brought into ranks first: `start..end`, counted from the lowest score. What is done with it
//! (reply, count, store, remove) is then the same for all three.

use std::ops::Range;

use onecopy_resp::Writer;

use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::machine::check_reply;
use crate::number::{integer, is_word, parse_float, resolve_range, signed};
use crate::steps::{ORDERED, afford};
use crate::value::Zset;

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
        Ok(Self { score, exclusive })
    }

    /// How many members lie below the bound: those with its score count if `with_equal`.
    fn rank(self, zset: &Zset, with_equal: bool) -> usize {
        if !with_equal {
            return zset.below(self.score, b"");
        }
        // Nothing lies between a score and the next representable one.
        match self.score.next_up() {
            f64::INFINITY if self.score == f64::INFINITY => zset.len(),
            next => zset.below(next, b""),
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

    /// How many members lie below the bound. `is_start`: whether the range begins at it.
    fn rank(self, zset: &Zset, is_start: bool) -> usize {
        let (member, exclusive) = match self {
            Self::Lowest => return 0,
            Self::Highest => return zset.len(),
            Self::At { member, exclusive } => (member, exclusive),
        };
        let with_equal = is_start == exclusive;
        let is_below = |rank: usize| match zset.ranked(rank) {
            Some((other, _)) => {
                if with_equal {
                    other <= member
                } else {
                    other < member
                }
            }
            None => false,
        };
        // By halves. When not all scores are equal the result is unspecified, as in Redis, but always the
        // same.
        let (mut low, mut high) = (0, zset.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if is_below(middle) { low = middle + 1 } else { high = middle }
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

    fn ranks(self, zset: &Zset) -> Range<usize> {
        let length = zset.len();
        let (start, end) = match self {
            Self::Rank { start, end, reverse } => {
                let ranks = resolve_range(start, end, length);
                match (reverse, ranks.is_empty()) {
                    (true, false) => (length - ranks.end, length - ranks.start),
                    _ => (ranks.start, ranks.end),
                }
            }
            Self::Score { min, max } => (min.rank(zset, min.exclusive), max.rank(zset, !max.exclusive)),
            Self::Lex { min, max } => (min.rank(zset, true), max.rank(zset, false)),
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

    fn ranks(&self, zset: &Zset) -> Range<usize> {
        self.limit.apply(self.bounds.ranks(zset), self.reverse)
    }

    fn reply(&self, zset: Option<&Zset>, reply: &mut Writer<'_>) -> Outcome {
        let ranks = zset.map_or(0..0, |zset| self.ranks(zset));
        let Some(zset) = zset else {
            reply_header(0, self.with_scores, reply);
            return Ok(());
        };
        check_range(zset, ranks.clone(), 1)?;
        reply_header(ranks.len(), self.with_scores, reply);
        if self.reverse {
            zset.range_reversed(ranks).for_each(|pair| reply_pair(pair, self.with_scores, reply));
        } else {
            zset.range(ranks).for_each(|pair| reply_pair(pair, self.with_scores, reply));
        }
        Ok(())
    }
}

/// Whether an answer may have the members with these ranks, each of which costs so many steps.
pub(super) fn check_range(zset: &Zset, ranks: Range<usize>, steps: usize) -> Outcome {
    /// The longest way to write a score.
    const SCORE: u64 = 24;
    afford(ranks.len().saturating_mul(steps))?;
    let scores = ranks.len() as u64 * SCORE;
    let bytes = if check_reply(2 * ranks.len(), zset.bytes() + scores).is_ok() {
        zset.bytes()
    } else {
        zset.range(ranks.clone()).map(|(member, _)| member.len() as u64).sum()
    };
    check_reply(2 * ranks.len(), bytes + scores)
}

/// The header of so many pairs of member and score.
pub(super) fn reply_header(count: usize, with_scores: bool, reply: &mut Writer<'_>) {
    if with_scores { reply.pairs(count) } else { reply.array(count) }
}

/// A member, and its score if wanted.
pub(super) fn reply_pair((member, score): (&[u8], f64), with_scores: bool, reply: &mut Writer<'_>) {
    if with_scores {
        reply.pair();
    }
    reply.bulk(member);
    if with_scores {
        reply.double(score);
    }
}

fn range(
    view: &View<'_>,
    args: &[&[u8]],
    by: Option<By>,
    reverse: Option<bool>,
    reply: &mut Writer<'_>,
) -> Outcome {
    let query = Query::parse(&args[2..], by, reverse, false)?;
    query.reply(view.read::<Zset>(args[1])?, reply)
}

pub(crate) fn zrange(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    range(view, args, None, None, reply)
}

pub(crate) fn zrevrange(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    range(view, args, Some(By::Rank), Some(true), reply)
}

pub(crate) fn zrangebyscore(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    range(view, args, Some(By::Score), Some(false), reply)
}

pub(crate) fn zrevrangebyscore(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    range(view, args, Some(By::Score), Some(true), reply)
}

pub(crate) fn zrangebylex(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    range(view, args, Some(By::Lex), Some(false), reply)
}

pub(crate) fn zrevrangebylex(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    range(view, args, Some(By::Lex), Some(true), reply)
}

pub(crate) fn zrangestore(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let query = Query::parse(&args[3..], None, None, true)?;
    let mut result = Zset::new();
    if let Some(zset) = context.read::<Zset>(args[2])? {
        let ranks = query.ranks(zset);
        afford(ranks.len().saturating_mul(2 * ORDERED))?;
        for (member, score) in zset.range(ranks) {
            context.budget().spend(2 * ORDERED);
            result.insert(context.seed(), member, score);
        }
    }
    reply.length(result.len());
    context.store(args[1], result);
    Ok(())
}

fn count(view: &View<'_>, args: &[&[u8]], by: By, reply: &mut Writer<'_>) -> Outcome {
    let bounds = Bounds::parse(by, false, args[2], args[3])?;
    let zset = view.read::<Zset>(args[1])?;
    reply.integer(signed(zset.map_or(0, |zset| bounds.ranks(zset).len())));
    Ok(())
}

pub(crate) fn zcount(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    count(view, args, By::Score, reply)
}

pub(crate) fn zlexcount(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    count(view, args, By::Lex, reply)
}

fn remove(context: &mut Context<'_>, args: &[&[u8]], by: By, reply: &mut Writer<'_>) -> Outcome {
    let bounds = Bounds::parse(by, false, args[2], args[3])?;
    let budget = context.budget();
    let removed = context.resize::<Zset, Result<usize, CommandError>>(args[1], |zset| {
        let ranks = bounds.ranks(zset);
        afford(ranks.len().saturating_mul(2 * ORDERED))?;
        Ok(zset.remove_range(ranks, || budget.spend(ORDERED)))
    })?;
    reply.length(removed.transpose()?.unwrap_or(0));
    Ok(())
}

pub(crate) fn zremrangebyrank(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    remove(context, args, By::Rank, reply)
}

pub(crate) fn zremrangebyscore(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    remove(context, args, By::Score, reply)
}

pub(crate) fn zremrangebylex(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    remove(context, args, By::Lex, reply)
}
