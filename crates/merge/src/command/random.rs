//! Random keys and elements.

use onecopy_keyspace::CommandError;
use onecopy_keyspace::number::{integer, is_word};
use onecopy_resp::Writer;

use super::Outcome;
use super::keys::names;
use crate::cell::Cell;
use crate::place::{Kind, Place};
use crate::transaction::Transaction;

pub(super) fn randomkey(transaction: &mut Transaction<'_>, _: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let mut random = transaction.random();
    let length = transaction.store().len_of(transaction.call.db);
    let drawn = if length == 0 { None } else { names(transaction).nth(random.below(length)) };
    match drawn {
        Some(name) => reply.bulk(name),
        None => reply.null(),
    }
    Ok(())
}

/// How many elements are asked for.
enum Count {
    /// At most so many, all different.
    Different(usize),
    /// So many, each drawn from all.
    Repeated(usize),
}

impl Count {
    /// The most elements that are drawn with repetition, as in the other kinds of databases.
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
}

/// The count, and whether values are wanted.
fn parse_count(args: &[&[u8]], with: Option<&str>) -> Result<Option<(Count, bool)>, CommandError> {
    let Some((count, options)) = args.split_first() else { return Ok(None) };
    if with.is_none() && !options.is_empty() {
        return Err(CommandError::Syntax);
    }
    let count = Count::parse(count)?;
    match options {
        [] => Ok(Some((count, false))),
        [option] if with.is_some_and(|with| is_word(option, with)) => match count {
            // Redis: twice as many replies must still be countable.
            Count::Different(many) if many as u64 > i64::MAX as u64 / 2 => Err(CommandError::OutOfRange),
            _ => Ok(Some((count, true))),
        },
        _ => Err(CommandError::Syntax),
    }
}

/// Answers with random elements of a collection; with what belongs to them if the last argument is `with`.
fn random_elements(
    transaction: &mut Transaction<'_>,
    (args, with): (&[&[u8]], Option<&str>),
    kind: Kind,
    write: impl Fn(&Cell, &mut Writer<'_>),
    reply: &mut Writer<'_>,
) -> Outcome {
    let options = parse_count(&args[2..], with)?;
    let mut random = transaction.random();
    let object = transaction.read(&transaction.key(args[1]), kind)?;
    let all: Vec<(&Place, &Cell)> = object.into_iter().flat_map(|object| object.visible(kind)).collect();
    let (count, with) = match options {
        None => {
            match random.distinct(1, all.len()).first() {
                Some(at) => reply.bulk(all[*at].0.name()),
                None => reply.null(),
            }
            return Ok(());
        }
        Some(options) => options,
    };
    let drawn = match count {
        Count::Different(count) => random.distinct(count, all.len()),
        Count::Repeated(_) if all.is_empty() => Vec::new(),
        Count::Repeated(count) => (0..count).map(|_| random.below(all.len())).collect(),
    };
    if with {
        reply.pairs(drawn.len())
    } else {
        reply.array(drawn.len())
    }
    for (place, cell) in drawn.into_iter().map(|at| all[at]) {
        if with {
            reply.pair();
        }
        reply.bulk(place.name());
        if with {
            write(cell, reply);
        }
    }
    Ok(())
}

pub(super) fn srandmember(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    random_elements(transaction, (args, None), Kind::Set, |_, _| {}, reply)
}

pub(super) fn hrandfield(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    let write = |cell: &Cell, reply: &mut Writer<'_>| reply.bulk(&cell.text().unwrap_or_default());
    random_elements(transaction, (args, Some("WITHVALUES")), Kind::Hash, write, reply)
}

pub(super) fn zrandmember(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    let write = |cell: &Cell, reply: &mut Writer<'_>| {
        reply.double(cell.score().map_or(0.0, |(_, score)| score));
    };
    random_elements(transaction, (args, Some("WITHSCORES")), Kind::SortedSet, write, reply)
}
