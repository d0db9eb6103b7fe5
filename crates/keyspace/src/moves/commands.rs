//! The steps of a move, as they are said to the groups. They have no names, so that no client can say them:
//!
//! ```text
//! "" DEPART key group db                                at the source: its number; 0 if there is no such key
//! "" DEPARTING number                                   a read there: what is to be known to go on; nil if
//!                                                       it has ended
//! "" DEPARTURES ms                                      a read there: those that are older
//! "" ARRIVE group number below key expires [payload]    at the target: whether it was taken; without what
//!                                                       the key holds it is not
//! "" CONCLUDE number taken                              at the source: whether it was still under way
//! ```

use onecopy_resp::Writer;

use super::{Arrived, Departure, KEY_BYTES_MAX, LEAVING, SOURCES_MAX};
use crate::command;
use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::number::parse_integer;
use crate::options::database_number;
use crate::serial;
use crate::slot::New;

/// What is told of a move that has ended, and of which nothing is known any more.
const OVER: CommandError = CommandError::Other("OVER the move has ended");
/// The beginning of it, as a reply.
pub(super) const OVER_REPLY: &[u8] = b"-OVER";

fn number(arg: &[u8]) -> Result<u64, CommandError> {
    parse_integer(arg).and_then(|number| u64::try_from(number).ok()).ok_or(CommandError::NotInteger)
}

/// A number in a reply. All that are made here are below 2^63.
fn integer(number: u64, reply: &mut Writer<'_>) {
    reply.integer(number.cast_signed());
}

/// Executes a step that changes something. `None`: it is none.
pub(crate) fn execute(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Option<Outcome> {
    let outcome = match args {
        [_, b"DEPART", key, group, to] => depart(context, key, (group, to), reply),
        [_, b"ARRIVE", group, number, below, key, expires, payload @ ..] if payload.len() < 2 => {
            let payload = payload.first().copied();
            arrive(context, [group, number, below], (key, expires, payload), reply)
        }
        [_, b"CONCLUDE", number, taken] => conclude(context, number, *taken == b"1", reply),
        _ => return None,
    };
    if let Some(spec) = command::lookup(b"move") {
        context.keyspace.notify(context.apply, spec, args);
    }
    Some(outcome)
}

/// Executes a step that only looks. `None`: it is none.
pub(crate) fn query(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Option<Outcome> {
    match args {
        [_, b"DEPARTING", number] => Some(departing(view, number, reply)),
        [_, b"DEPARTURES", age] => Some(departures(view, age, reply)),
        _ => None,
    }
}

fn depart(
    context: &mut Context<'_>,
    key: &[u8],
    (group, to): (&[u8], &[u8]),
    reply: &mut Writer<'_>,
) -> Outcome {
    let (group, to, db) = (number(group)?, database_number(to)?, context.db);
    if key.len() > KEY_BYTES_MAX {
        return Err(CommandError::Other(
            "ERR the name of the key is too long for it to be moved to another group; COPY it, and delete it then",
        ));
    }
    if context.keyspace.moves.is_leaving(db, key) {
        return Err(LEAVING);
    }
    if !context.exists(key) {
        reply.integer(0);
        return Ok(());
    }
    // What somebody waits for elsewhere would be added to a key that is on its way.
    let is_target = |target: &[u8]| target == key;
    let mut waiters = context.keyspace.waiters.iter();
    if waiters.any(|(_, it)| it.db == db && it.wanted.target.as_deref().is_some_and(is_target)) {
        return Err(CommandError::Other(
            "TRYAGAIN a client waits for an element to put there; nothing was executed",
        ));
    }
    drop(waiters);
    let departure = Departure { db, key: key.into(), group, to, since: context.clock() };
    integer(context.keyspace.moves.depart(departure)?, reply);
    Ok(())
}

fn departing(view: &View<'_>, arg: &[u8], reply: &mut Writer<'_>) -> Outcome {
    let moves = &view.keyspace.moves;
    let Some(departure) = moves.departures.get(&number(arg)?) else {
        reply.null_array();
        return Ok(());
    };
    let view = View { db: departure.db, hashed: None, ..*view };
    let object = view.object(&departure.key);
    // It may have expired, or been flushed.
    let payload = object.map(|object| serial::payload(object.value, view.budget)).transpose()?;
    reply.array(6);
    reply.bulk(&departure.key);
    integer(departure.group, reply);
    reply.integer(departure.to.into());
    integer(moves.below(), reply);
    integer(object.and_then(|object| object.expires).map_or(0, |expires| expires.0), reply);
    match payload {
        Some(payload) => reply.bulk(&payload),
        None => reply.null(),
    }
    Ok(())
}

fn departures(view: &View<'_>, age: &[u8], reply: &mut Writer<'_>) -> Outcome {
    let age = number(age)?;
    let is_old = |departure: &Departure| departure.since.0.saturating_add(age) <= view.now.0;
    let all = &view.keyspace.moves.departures;
    let old: Vec<u64> = all.iter().filter(|(_, it)| is_old(it)).map(|(number, _)| *number).collect();
    reply.array(old.len());
    old.into_iter().for_each(|number| integer(number, reply));
    Ok(())
}

fn arrive(
    context: &mut Context<'_>,
    [group, move_number, below]: [&[u8]; 3],
    (key, expires, payload): (&[u8], &[u8], Option<&[u8]>),
    reply: &mut Writer<'_>,
) -> Outcome {
    let (group, move_number, below) = (number(group)?, number(move_number)?, number(below)?);
    let expires = number(expires)?;
    let moves = &context.keyspace.moves;
    if context.keyspace.rules.hold(onecopy_core::Rule::MovedOnce) {
        match moves.arrived(group, move_number) {
            Some(Arrived::Over) => return Err(OVER),
            Some(Arrived::Taken(taken)) => {
                reply.integer(taken.into());
                return Ok(());
            }
            None => {}
        }
    }
    if !moves.arrivals.contains_key(&group) && moves.arrivals.len() >= SOURCES_MAX {
        return Err(CommandError::Other("ERR keys have come from too many groups; COPY the key"));
    }
    let is_free = !moves.is_leaving(context.db, key) && !context.exists(key);
    let taken = match payload {
        Some(payload) if is_free => {
            context.admit_growth()?;
            let value = serial::check(payload, context.budget())?;
            let value = serial::build(value, context.seed(), context.budget())?;
            let spot = context.locate(key);
            let expires = (expires > 0).then_some(onecopy_core::Timestamp(expires));
            context.put(spot, key, New::Value(value), expires);
            true
        }
        _ => false,
    };
    context.keyspace.moves.remember(group, move_number, below.min(move_number), taken);
    reply.integer(taken.into());
    Ok(())
}

fn conclude(context: &mut Context<'_>, arg: &[u8], taken: bool, reply: &mut Writer<'_>) -> Outcome {
    let departure = context.keyspace.moves.departures.remove(&number(arg)?);
    reply.integer(departure.is_some().into());
    if let Some(departure) = departure.filter(|_| taken) {
        context.with_database(departure.db).delete(&departure.key);
    }
    Ok(())
}
