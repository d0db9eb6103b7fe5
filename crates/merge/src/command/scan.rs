//! Walking over keys and elements, all at once or in steps.
//!
//! A scan promises to return every element that was there from its beginning to its end. It walks in the
//! order of hashes, which no change of anything else moves, so that a cursor is the hash to go on from.
//! Cursors mean the same on every replica.

use bytes::Bytes;
use onecopy_keyspace::options::{ScanOptions, parse_cursor};
use onecopy_keyspace::{CommandError, STEPS_MAX, glob};
use onecopy_resp::Writer;
use xxhash_rust::xxh3::xxh3_64;

use super::Outcome;
use super::keys::names;
use crate::cell::Cell;
use crate::place::{Kind, Place};
use crate::transaction::Transaction;

/// Collections of at most so many elements are returned in one step.
const SMALL: usize = 128;

/// Whether a name matches a pattern. Most do so in a few steps; who makes them take many is stopped.
fn admits(pattern: &[u8], name: &[u8], left: &mut usize) -> Result<bool, CommandError> {
    let pay = |steps: usize| {
        *left = left.saturating_sub(steps);
        *left > 0
    };
    glob::matches_within(pattern, name, pay).ok_or(CommandError::TooLong)
}

pub(super) fn keys(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let mut left = STEPS_MAX;
    let mut found = Vec::new();
    for name in names(transaction) {
        if admits(args[1], name, &mut left)? {
            found.push(name);
        }
    }
    reply.array(found.len());
    found.into_iter().for_each(|name| reply.bulk(name));
    Ok(())
}

/// Whether a scan wants what has this name.
fn is_wanted(options: &ScanOptions<'_>, name: &[u8], left: &mut usize) -> Result<bool, CommandError> {
    options.pattern.map_or(Ok(true), |pattern| admits(pattern, name, left))
}

fn reply_cursor(cursor: u64, reply: &mut Writer<'_>) {
    reply.array(2);
    reply.bulk(cursor.to_string().as_bytes());
}

pub(super) fn scan(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let cursor = parse_cursor(args[1])?;
    let options = ScanOptions::parse(&args[2..], true)?;
    let db = transaction.call.db;
    let (mut visited, mut next, mut left) = (0, 0, STEPS_MAX);
    let mut found: Vec<&Bytes> = Vec::new();
    let mut last = None;
    for (key, object) in transaction.store().from(cursor) {
        // Keys with one coordinate come together: the cursor cannot tell them apart.
        if visited >= options.count && last != Some(key.coordinate()) {
            next = key.coordinate();
            break;
        }
        (visited, last) = (visited + 1, Some(key.coordinate()));
        let Some(kind) = object.kind().filter(|_| key.db() == db) else { continue };
        if is_wanted(&options, key.name(), &mut left)? && options.wants_type(kind.name()) {
            found.push(key.name());
        }
    }
    reply_cursor(next, reply);
    reply.array(found.len());
    found.into_iter().for_each(|name| reply.bulk(name));
    Ok(())
}

/// One step over a collection: `write` replies to an element with `parts` replies.
fn scan_collection(
    transaction: &Transaction<'_>,
    args: &[&[u8]],
    kind: Kind,
    parts: usize,
    write: impl Fn(&Place, &Cell, &mut Writer<'_>),
    reply: &mut Writer<'_>,
) -> Outcome {
    let cursor = parse_cursor(args[2])?;
    let Some(object) = transaction.read(&transaction.key(args[1]), kind)? else {
        reply_cursor(0, reply);
        reply.array(0);
        return Ok(());
    };
    let options = ScanOptions::parse(&args[3..], false)?;
    // As Redis does with its compact encodings: a small collection comes at once.
    let count = if object.len_of(kind) <= SMALL { SMALL } else { options.count };
    let mut ahead: Vec<(u64, &Place, &Cell)> = object
        .visible(kind)
        .map(|(place, cell)| (xxh3_64(place.name()), place, cell))
        .filter(|(hash, ..)| *hash >= cursor)
        .collect();
    ahead.sort_unstable_by_key(|(hash, place, _)| (*hash, *place));
    // Elements with one hash come together.
    let end =
        ahead.get(count).map_or(ahead.len(), |(hash, ..)| ahead.partition_point(|(other, ..)| other < hash));
    let end = if end == 0 { ahead.len() } else { end };
    let next = ahead.get(end).map_or(0, |(hash, ..)| *hash);
    let mut left = STEPS_MAX;
    let mut found = Vec::new();
    for (_, place, cell) in &ahead[..end] {
        if is_wanted(&options, place.name(), &mut left)? {
            found.push((*place, *cell));
        }
    }
    reply_cursor(next, reply);
    reply.array(found.len() * parts);
    found.into_iter().for_each(|(place, cell)| write(place, cell, reply));
    Ok(())
}

pub(super) fn hscan(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let write = |place: &Place, cell: &Cell, reply: &mut Writer<'_>| {
        reply.bulk(place.name());
        reply.bulk(&cell.text().unwrap_or_default());
    };
    scan_collection(transaction, args, Kind::Hash, 2, write, reply)
}

pub(super) fn sscan(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    scan_collection(transaction, args, Kind::Set, 1, |place, _, reply| reply.bulk(place.name()), reply)
}

pub(super) fn zscan(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let write = |place: &Place, cell: &Cell, reply: &mut Writer<'_>| {
        let mut text = Vec::with_capacity(24);
        onecopy_resp::format_double(cell.score().map_or(0.0, |(_, score)| score), &mut text);
        reply.bulk(place.name());
        reply.bulk(&text);
    };
    scan_collection(transaction, args, Kind::SortedSet, 2, write, reply)
}
