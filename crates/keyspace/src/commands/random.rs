//! Random keys and elements. They change nothing, but go through the log, for the entry to settle the random
//! numbers.

use onecopy_core::{Budget, Timestamp};
use onecopy_resp::Writer;

use crate::context::Context;
use crate::database::Database;
use crate::error::{CommandError, Outcome};
use crate::machine::check_reply;
use crate::options::{Draw, DrawOptions};
use crate::steps::{Steps, afford};
use crate::value::{Hash, Set, Typed, Zset};

/// How often a key is drawn again because it had expired, before the first one that has not is taken.
const DRAWS_MAX: usize = 100;

pub(crate) fn randomkey(context: &mut Context<'_>, _: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let mut random = context.random();
    let view = context.view();
    let Some(database) = view.database().filter(|database| database.len() > 0) else {
        reply.null();
        return Ok(());
    };
    let drawn = (0..DRAWS_MAX).find_map(|_| {
        let object = database.nth(random.below(database.len()))?;
        (!object.is_expired(view.clock())).then_some(object.key)
    });
    let found = match drawn {
        None if database.expired() < database.len() => first(database, view.clock(), view.budget)?,
        found => found,
    };
    match found {
        Some(key) => reply.bulk(key),
        None => reply.null(),
    }
    Ok(())
}

/// The first key that has not expired.
fn first<'a>(
    database: &'a Database,
    clock: Timestamp,
    budget: Budget<'_>,
) -> Result<Option<&'a [u8]>, CommandError> {
    let mut steps = Steps::new(budget);
    for object in database.objects() {
        steps.take(1)?;
        if !object.is_expired(clock) {
            return Ok(Some(object.key));
        }
    }
    Ok(None)
}

/// Whether so many elements of a collection with `length` may be drawn, which has `bytes` all in all.
fn check_draws(draw: Draw, length: usize, bytes: u64) -> Outcome {
    let drawn = draw.of(length);
    // Who draws many of all different ones looks at all.
    let looked_at = if matches!(draw, Draw::Different(_)) && drawn * 4 >= length { length } else { drawn };
    afford(Budget::ENDLESS, drawn.saturating_mul(2).saturating_add(looked_at))?;
    let share = u128::from(bytes) * drawn as u128 / length.max(1) as u128;
    check_reply(2 * drawn, u64::try_from(share).unwrap_or(u64::MAX))
}

/// Replies to each of the drawn positions, and stops when the reply is too large.
fn reply_each(
    draw: Draw,
    length: usize,
    context: &mut Context<'_>,
    reply: &mut Writer<'_>,
    mut write: impl FnMut(&Context<'_>, usize, &mut Writer<'_>),
) {
    let mut random = context.random();
    match draw {
        Draw::Different(count) => {
            for position in random.distinct(count, length, context.budget()) {
                write(context, position, reply);
            }
        }
        Draw::Repeated(count) => {
            for _ in 0..count {
                if reply.overflowed() {
                    break;
                }
                context.budget().spend(1);
                write(context, random.below(length), reply);
            }
        }
    }
}

/// The length of a collection and its bytes, 0 if there is none.
fn size_of<T: Typed>(
    context: &Context<'_>,
    key: &[u8],
    size: fn(&T) -> (usize, u64),
) -> Result<(usize, u64), CommandError> {
    Ok(context.read::<T>(key)?.map_or((0, 0), size))
}

pub(crate) fn srandmember(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let key = args[1];
    let write = |context: &Context<'_>, position: usize, reply: &mut Writer<'_>| {
        let member = context.read::<Set>(key).ok().flatten().and_then(|set| set.at(position));
        reply.bulk(member.unwrap_or_default());
    };
    let options = DrawOptions::parse(&args[2..], None)?;
    let (length, bytes) = size_of(context, key, |set: &Set| (set.len(), set.bytes()))?;
    match options {
        None if length == 0 => reply.null(),
        None => reply_each(Draw::Different(1), length, context, reply, write),
        Some(DrawOptions { draw, .. }) => {
            check_draws(draw, length, bytes)?;
            reply.array(draw.of(length));
            if length > 0 {
                reply_each(draw, length, context, reply, write);
            }
        }
    }
    Ok(())
}

/// The header for so many elements, with something to each or without.
fn reply_header(count: usize, with: bool, reply: &mut Writer<'_>) {
    if with { reply.pairs(count) } else { reply.array(count) }
}

/// Answers with random elements of a collection of pairs; with both halves if the last argument is `with`.
/// `write` writes the one at a position.
fn random_pairs<T: Typed>(
    context: &mut Context<'_>,
    (args, with): (&[&[u8]], &str),
    size: fn(&T) -> (usize, u64),
    reply: &mut Writer<'_>,
    write: impl Fn(&Context<'_>, usize, bool, &mut Writer<'_>),
) -> Outcome {
    let options = DrawOptions::parse(&args[2..], Some(with))?;
    let (length, bytes) = size_of(context, args[1], size)?;
    let (draw, with) = match options {
        None if length == 0 => {
            reply.null();
            return Ok(());
        }
        None => (Draw::Different(1), false),
        Some(DrawOptions { draw, with }) => {
            check_draws(draw, length, bytes)?;
            reply_header(draw.of(length), with, reply);
            (draw, with)
        }
    };
    if length > 0 {
        reply_each(draw, length, context, reply, |context, position, reply| {
            if with {
                reply.pair();
            }
            write(context, position, with, reply);
        });
    }
    Ok(())
}

pub(crate) fn hrandfield(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let key = args[1];
    let size = |hash: &Hash| (hash.len(), hash.bytes());
    random_pairs(context, (args, "WITHVALUES"), size, reply, |context, position, with, reply| {
        let pair = context.read::<Hash>(key).ok().flatten().and_then(|hash| hash.at(position));
        let (field, value) = pair.unwrap_or_default();
        reply.bulk(field);
        if with {
            reply.bulk(value);
        }
    })
}

pub(crate) fn zrandmember(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let key = args[1];
    let size = |zset: &Zset| (zset.len(), zset.bytes());
    random_pairs(context, (args, "WITHSCORES"), size, reply, |context, position, with, reply| {
        let pair = context.read::<Zset>(key).ok().flatten().and_then(|zset| zset.at(position));
        let (member, score) = pair.unwrap_or_default();
        reply.bulk(member);
        if with {
            reply.double(score);
        }
    })
}
