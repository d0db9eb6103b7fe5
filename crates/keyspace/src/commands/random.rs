//! Random keys and elements. They change nothing, but go through the log, for the entry to settle the random
//! numbers.

use onecopy_core::{Budget, Timestamp};
use onecopy_resp::Writer;

use crate::context::Context;
use crate::database::Database;
use crate::error::{CommandError, Outcome};
use crate::machine::check_reply;
use crate::number::{integer, is_word};
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

/// How many elements are asked for.
enum Count {
    /// At most so many, all different.
    Different(usize),
    /// So many, each drawn from all.
    Repeated(usize),
}

impl Count {
    /// The most elements that are drawn with repetition. Redis has no such limit, and can be kept busy for
    /// hours.
    const REPEATED_MAX: usize = 1 << 20;

    fn parse(arg: &[u8]) -> Result<Self, CommandError> {
        let count = integer(arg)?;
        if count == i64::MIN {
            return Err(CommandError::Other(
                "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
            ));
        }
        let magnitude = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        match count {
            0.. => Ok(Self::Different(magnitude)),
            _ if magnitude > Self::REPEATED_MAX => Err(CommandError::OutOfRange),
            _ => Ok(Self::Repeated(magnitude)),
        }
    }

    /// How many elements there will be, of a collection with `length`.
    fn of(&self, length: usize) -> usize {
        match self {
            Self::Different(count) => length.min(*count),
            Self::Repeated(count) => {
                if length == 0 {
                    0
                } else {
                    *count
                }
            }
        }
    }
}

/// Whether so many elements of a collection with `length` may be drawn, which has `bytes` all in all.
fn check_draws(count: &Count, length: usize, bytes: u64) -> Outcome {
    let drawn = count.of(length);
    // Who draws many of all different ones looks at all.
    let looked_at = if matches!(count, Count::Different(_)) && drawn * 4 >= length { length } else { drawn };
    afford(drawn.saturating_mul(2).saturating_add(looked_at))?;
    let share = u128::from(bytes) * drawn as u128 / length.max(1) as u128;
    check_reply(2 * drawn, u64::try_from(share).unwrap_or(u64::MAX))
}

/// Replies to each of the drawn positions, and stops when the reply is too large.
fn reply_each(
    count: &Count,
    length: usize,
    context: &mut Context<'_>,
    reply: &mut Writer<'_>,
    mut write: impl FnMut(&Context<'_>, usize, &mut Writer<'_>),
) {
    let mut random = context.random();
    match count {
        Count::Different(count) => {
            for position in random.distinct(*count, length, context.budget()) {
                write(context, position, reply);
            }
        }
        Count::Repeated(count) => {
            for _ in 0..*count {
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
    let count = match &args[2..] {
        [] => None,
        [count] => Some(Count::parse(count)?),
        _ => return Err(CommandError::Syntax),
    };
    let (length, bytes) = size_of(context, key, |set: &Set| (set.len(), set.bytes()))?;
    match count {
        None if length == 0 => reply.null(),
        None => reply_each(&Count::Different(1), length, context, reply, write),
        Some(count) => {
            check_draws(&count, length, bytes)?;
            reply.array(count.of(length));
            if length > 0 {
                reply_each(&count, length, context, reply, write);
            }
        }
    }
    Ok(())
}

/// The count, and whether values are wanted, of `HRANDFIELD` and `ZRANDMEMBER`.
fn parse_count(args: &[&[u8]], with: &str) -> Result<Option<(Count, bool)>, CommandError> {
    let Some((count, options)) = args.split_first() else { return Ok(None) };
    let count = Count::parse(count)?;
    match options {
        [] => Ok(Some((count, false))),
        [option] if is_word(option, with) => match count {
            // Redis: twice as many replies must still be countable.
            Count::Different(many) if many as u64 > i64::MAX as u64 / 2 => Err(CommandError::OutOfRange),
            _ => Ok(Some((count, true))),
        },
        _ => Err(CommandError::Syntax),
    }
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
    let options = parse_count(&args[2..], with)?;
    let (length, bytes) = size_of(context, args[1], size)?;
    let (count, with) = match options {
        None if length == 0 => {
            reply.null();
            return Ok(());
        }
        None => (Count::Different(1), false),
        Some((count, with)) => {
            check_draws(&count, length, bytes)?;
            reply_header(count.of(length), with, reply);
            (count, with)
        }
    };
    if length > 0 {
        reply_each(&count, length, context, reply, |context, position, reply| {
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
