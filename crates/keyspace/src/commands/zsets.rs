//! Sorted sets, member by member.

use onecopy_core::Budget;
use onecopy_resp::Writer;

use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::number::{float, is_word, not_negative};
use crate::options::{PopOptions, ScoreEnd, ZaddOptions};
use crate::steps::{ELEMENT, ORDERED};
use crate::value::{Edit, Zset};

/// What adding has done.
#[derive(Default)]
pub(super) struct Added {
    pub(super) new: usize,
    pub(super) changed: usize,
    /// The score of the last member, if it was not left as it is.
    score: Option<f64>,
}

/// Adds members with their scores.
pub(super) fn add(
    context: &mut Context<'_>,
    key: &[u8],
    options: ZaddOptions,
    pairs: &[(f64, &[u8])],
) -> Result<Added, CommandError> {
    let (seed, budget) = (context.seed(), context.budget());
    let run = |zset: &mut Edit<'_, Zset>| {
        let mut added = Added::default();
        zset.expect(pairs.len(), pairs.iter().map(|(_, member)| member.len()).sum());
        for (score, member) in pairs {
            budget.spend(ELEMENT + ORDERED);
            let current = zset.score(member);
            added.score = options.resolve(current, *score)?;
            if let Some(score) = added.score {
                zset.insert(seed, member, score);
                added.new += usize::from(current.is_none());
                #[allow(clippy::float_cmp)]
                let changed = current.is_some_and(|current| current != score);
                added.changed += usize::from(changed);
            }
        }
        Ok(added)
    };
    let added = if options.only_existing {
        context.resize::<Zset, _>(key, run)?.unwrap_or_else(|| Ok(Added::default()))
    } else {
        context.resize_or_create::<Zset, _>(key, run)?
    };
    if added.as_ref().map_or(true, |added| added.changed > 0) {
        context.touch(key);
    }
    added
}

pub(crate) fn zadd(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (options, pairs) = ZaddOptions::parse(&args[2..])?;
    let added = add(context, args[1], options, &pairs)?;
    match (options.increment, added.score) {
        (true, Some(score)) => reply.double(score),
        (true, None) => reply.null(),
        (false, _) if options.count_changed => reply.length(added.new + added.changed),
        (false, _) => reply.length(added.new),
    }
    Ok(())
}

pub(crate) fn zincrby(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let options = ZaddOptions { increment: true, ..ZaddOptions::default() };
    let added = add(context, args[1], options, &[(float(args[2])?, args[3])])?;
    reply.double(added.score.unwrap_or_default());
    Ok(())
}

pub(crate) fn zrem(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let members = &args[2..];
    let budget = context.budget();
    let removed = context.resize::<Zset, _>(args[1], |zset| {
        let members = members.iter().inspect(|_| budget.spend(ELEMENT + ORDERED));
        members.filter(|member| zset.remove(member).is_some()).count()
    })?;
    reply.length(removed.unwrap_or(0));
    Ok(())
}

fn reply_score(score: Option<f64>, reply: &mut Writer<'_>) {
    match score {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
}

pub(crate) fn zscore(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_score(view.read::<Zset>(args[1])?.and_then(|zset| zset.score(args[2])), reply);
    Ok(())
}

pub(crate) fn zmscore(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let zset = view.read::<Zset>(args[1])?;
    let members = &args[2..];
    reply.array(members.len());
    let members = members.iter().inspect(|_| view.budget.spend(ELEMENT));
    members.for_each(|member| reply_score(zset.and_then(|zset| zset.score(member)), reply));
    Ok(())
}

pub(crate) fn zcard(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply.length(view.read::<Zset>(args[1])?.map_or(0, Zset::len));
    Ok(())
}

fn reply_rank(view: &View<'_>, args: &[&[u8]], reverse: bool, reply: &mut Writer<'_>) -> Outcome {
    let with_score = match &args[3..] {
        [] => false,
        [option] if is_word(option, "WITHSCORE") => true,
        [_] => return Err(CommandError::Syntax),
        _ => return Err(CommandError::Arity(if reverse { "zrevrank" } else { "zrank" })),
    };
    let zset = view.read::<Zset>(args[1])?;
    let found = zset.and_then(|zset| {
        let rank = zset.rank(args[2])?;
        Some((if reverse { zset.len() - 1 - rank } else { rank }, zset.score(args[2])?))
    });
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

pub(crate) fn zrank(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_rank(view, args, false, reply)
}

pub(crate) fn zrevrank(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_rank(view, args, true, reply)
}

/// A member that was taken out, with its score.
pub(super) type Taken = (Box<[u8]>, f64);

/// Removes the members with the lowest or the highest scores.
pub(super) fn take(
    zset: &mut Edit<'_, Zset>,
    count: usize,
    end: ScoreEnd,
    budget: Budget<'_>,
) -> Result<Vec<Taken>, CommandError> {
    let length = zset.len();
    let count = count.min(length);
    let ranks = if end == ScoreEnd::Highest { length - count..length } else { 0..count };
    super::zset_range::check_range(zset, ranks, 2 * ORDERED)?;
    let owned = |(member, score): (&[u8], f64)| {
        budget.spend(ORDERED);
        (member.into(), score)
    };
    let taken: Vec<Taken> = if end == ScoreEnd::Highest {
        zset.range_reversed(length - count..length).map(owned).collect()
    } else {
        zset.range(0..count).map(owned).collect()
    };
    for (member, _) in &taken {
        budget.spend(ORDERED);
        zset.remove(member);
    }
    Ok(taken)
}

fn pop(context: &mut Context<'_>, args: &[&[u8]], end: ScoreEnd, reply: &mut Writer<'_>) -> Outcome {
    let count = match &args[2..] {
        [] => None,
        [count] => Some(not_negative(count)?),
        _ => return Err(CommandError::Syntax),
    };
    let budget = context.budget();
    let taken = context.resize::<Zset, _>(args[1], |zset| take(zset, count.unwrap_or(1), end, budget))?;
    let taken = taken.transpose()?.unwrap_or_default();
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

pub(crate) fn zpopmin(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    pop(context, args, ScoreEnd::Lowest, reply)
}

pub(crate) fn zpopmax(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    pop(context, args, ScoreEnd::Highest, reply)
}

pub(crate) fn zmpop(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let PopOptions { keys, end, count } = PopOptions::parse(&args[1..], ScoreEnd::parse)?;
    for key in keys {
        if reply_popped(context, key, end, count, reply)? {
            return Ok(());
        }
    }
    reply.null_array();
    Ok(())
}

/// Pops members off a sorted set, if it is there, and replies them with its key.
pub(super) fn reply_popped(
    context: &mut Context<'_>,
    key: &[u8],
    end: ScoreEnd,
    count: usize,
    reply: &mut Writer<'_>,
) -> Result<bool, CommandError> {
    let budget = context.budget();
    let taken = context.resize::<Zset, _>(key, |zset| take(zset, count, end, budget))?;
    let Some(taken) = taken.transpose()? else { return Ok(false) };
    reply.array(2);
    reply.bulk(key);
    reply.array(taken.len());
    for (member, score) in taken {
        reply.array(2);
        reply.bulk(&member);
        reply.double(score);
    }
    Ok(true)
}
