//! Which keys a body of commands touches, whether it is in an entry or read at a backup.
//!
//! A key counts in whichever database: `COPY` and `MOVE` name keys of two, and the same key in another one is
//! rare.

use onecopy_core::footprint::Footprint;
use onecopy_core::{Rule, Rules, Timestamp};

use crate::command::{self, Kind, Spec, key_positions, looks_beyond_its_keys};
use crate::machine::Keyspace;
use crate::request::{self, Args};
use crate::transaction::selected;

/// Stands for who listens to which channels. Those who ask for that look at everything, so that the key as
/// such means nothing.
const CHANNELS: &[u8] = b"channels";

/// Calls `visit` with every command of a body, and the database it is for; with `None` for whatever makes no
/// sense. Of transactions with all commands, if they are to be `whole`.
/// What clients that cache are told of their feed counts if `marks` do.
fn each(
    body: &[u8],
    (whole, marks): (bool, bool),
    mut visit: impl FnMut(Option<(u8, &'static Spec, &[&[u8]])>),
) {
    for segment in request::segments(body) {
        let Ok(mut segment) = segment else { return visit(None) };
        if segment.client.is_some() && marks {
            // Its replies say where the feed of all keys stood.
            visit(None);
        }
        let mut commands = segment.commands();
        let mut args = Args::new();
        loop {
            match commands.next_into(&mut args) {
                Ok(false) => break,
                // Answered by the connection; or it takes a waiter away, which changes no key.
                Ok(true) if args[0].is_empty() && (segment.is_transaction || segment.waiter.is_some()) => {}
                Ok(true) if segment.is_transaction && selected(&args).is_some() => {
                    segment.db = selected(&args).and_then(Result::ok).unwrap_or(segment.db);
                }
                Ok(true) => visit(command::lookup(args[0]).map(|spec| (segment.db, spec, args.as_slice()))),
                Err(_) => return visit(None),
            }
            if segment.is_transaction && !whole {
                break;
            }
        }
    }
}

/// Adds what the commands of an entry change.
pub(crate) fn of_entry(body: &[u8], rules: Rules, footprint: &mut Footprint) {
    each(body, (rules.hold(Rule::AtomicTransactions), false), |command| match command {
        Some((_, spec, args)) if spec.name == "once" && args.len() > 2 => match command::lookup(args[2]) {
            Some(inner) if inner.group != "scripting" => add(inner, &args[2..], footprint),
            _ => footprint.everything(),
        },
        Some((_, spec, _)) if spec.group == "pubsub" && !matches!(spec.name, "publish" | "spublish") => {
            footprint.key(CHANNELS);
        }
        // To wait for a key changes none of those that are read.
        Some((_, spec, _)) if spec.kind != Kind::Write => {}
        // A script may change what it does not name.
        Some((_, spec, _)) if spec.group == "scripting" => footprint.everything(),
        Some((_, spec, args)) => add(spec, args, footprint),
        None => footprint.everything(),
    });
}

/// Adds what reads look at, and says when time alone would first change it.
pub(crate) fn of_reads(keyspace: &Keyspace, body: &[u8], footprint: &mut Footprint) -> Option<Timestamp> {
    let mut lapses: Option<Timestamp> = None;
    let mut all = false;
    each(body, (true, true), |command| {
        let Some((db, spec, args)) = command else { return all = true };
        let positions = key_positions(spec, args);
        all |= positions.is_empty() || looks_beyond_its_keys(spec, args);
        for position in positions {
            footprint.key(args[position]);
            let object = keyspace.database(db).and_then(|database| database.get(args[position]));
            // What has expired, and is not removed yet, is absent already: time does nothing more to it.
            let expires =
                object.and_then(|object| object.expires).filter(|expires| *expires > keyspace.clock());
            lapses = [lapses, expires].into_iter().flatten().min();
        }
    });
    if !all {
        return lapses;
    }
    footprint.everything();
    onecopy_core::StateMachine::due(keyspace)
}

/// Adds the keys of a command; one that names none may touch all.
fn add(spec: &Spec, args: &[&[u8]], footprint: &mut Footprint) {
    if matches!(spec.name, "blmove" | "brpoplpush") {
        // If it waits, whatever comes for it is moved on.
        footprint.spread();
    }
    let positions = key_positions(spec, args);
    if positions.is_empty() {
        footprint.everything();
    }
    positions.into_iter().for_each(|position| footprint.key(args[position]));
}
