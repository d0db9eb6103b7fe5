//! Random keys and elements.

use onecopy_keyspace::options::{Draw, DrawOptions};
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

/// Answers with random elements of a collection; with what belongs to them if the last argument is `with`.
fn random_elements(
    transaction: &mut Transaction<'_>,
    (args, with): (&[&[u8]], Option<&str>),
    kind: Kind,
    write: impl Fn(&Cell, &mut Writer<'_>),
    reply: &mut Writer<'_>,
) -> Outcome {
    let options = DrawOptions::parse(&args[2..], with)?;
    let mut random = transaction.random();
    let object = transaction.read(&transaction.key(args[1]), kind)?;
    let all: Vec<(&Place, &Cell)> = object.into_iter().flat_map(|object| object.visible(kind)).collect();
    let DrawOptions { draw, with } = match options {
        None => {
            match random.distinct(1, all.len()).first() {
                Some(at) => reply.bulk(all[*at].0.name()),
                None => reply.null(),
            }
            return Ok(());
        }
        Some(options) => options,
    };
    let drawn = match draw {
        Draw::Different(count) => random.distinct(count, all.len()),
        Draw::Repeated(_) => (0..draw.of(all.len())).map(|_| random.below(all.len())).collect(),
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
