//! Ranges of sorted sets: by rank, by score, and by the members' bytes.
//!
//! Every range is brought into ranks first. What is done with them (reply, count, store, remove) is then the
//! same for all three.

use std::ops::Range;

use onecopy_core::Budget;
use onecopy_resp::Writer;

use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::machine::check_reply;
use crate::number::signed;
use crate::options::{Bounds, By, RangeQuery, Ranking};
use crate::steps::{ORDERED, afford};
use crate::value::Zset;

impl Ranking for Zset {
    fn length(&self) -> usize {
        self.len()
    }

    fn lower_than(&self, score: f64) -> usize {
        self.below(score, b"")
    }

    fn member(&self, rank: usize) -> Option<&[u8]> {
        self.ranked(rank).map(|(member, _)| member)
    }
}

fn reply_range(query: &RangeQuery<'_>, zset: Option<&Zset>, reply: &mut Writer<'_>) -> Outcome {
    let with_scores = query.with_scores;
    let Some(zset) = zset else {
        reply_header(0, with_scores, reply);
        return Ok(());
    };
    let ranks = query.ranks(zset);
    check_range(zset, ranks.clone(), 1)?;
    reply_header(ranks.len(), with_scores, reply);
    if query.reverse {
        zset.range_reversed(ranks).for_each(|pair| reply_pair(pair, with_scores, reply));
    } else {
        zset.range(ranks).for_each(|pair| reply_pair(pair, with_scores, reply));
    }
    Ok(())
}

/// Whether an answer may have the members with these ranks, each of which costs so many steps.
pub(super) fn check_range(zset: &Zset, ranks: Range<usize>, steps: usize) -> Outcome {
    /// The longest way to write a score.
    const SCORE: u64 = 24;
    afford(Budget::ENDLESS, ranks.len().saturating_mul(steps))?;
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
    let query = RangeQuery::parse(&args[2..], by, reverse, false)?;
    reply_range(&query, view.read::<Zset>(args[1])?, reply)
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
    let query = RangeQuery::parse(&args[3..], None, None, true)?;
    let mut result = Zset::new();
    if let Some(zset) = context.read::<Zset>(args[2])? {
        let ranks = query.ranks(zset);
        afford(context.budget(), ranks.len().saturating_mul(2 * ORDERED))?;
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
        let ranks = bounds.ranks(&**zset);
        afford(budget, ranks.len().saturating_mul(2 * ORDERED))?;
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
