//! Walking over keys and elements, all at once or in steps.
//!
//! # Why a scan misses nothing
//!
//! A scan promises to return every element that was there from its beginning to its end, whatever else
//! changes. Tables keep their elements at positions: a new one comes to the end, and when one is removed the
//! last one takes its place. So an element only ever moves to a *lower* position, and a scan that walks from
//! the end to the beginning cannot miss it; it may see it twice, which `SCAN` allows. The cursor is the
//! number of positions that are still to be visited.
//!
//! `SCAN` walks the slots of a database upwards, and each slot in that way. Its cursor has the slot in its
//! low bits and the positions left within it above. Cursors are the same on every replica, so a scan goes on
//! after a failover.

use onecopy_resp::Writer;

use crate::context::View;
use crate::database::Database;
use crate::error::{CommandError, Outcome};
use crate::glob;
use crate::machine::check_reply;
use crate::options::{ScanOptions, parse_cursor};
use crate::slots::SLOTS;
use crate::steps::Steps;
use crate::value::{Hash, Set, Typed, Zset};

/// So many names that were found are kept together.
const NAMES_TOGETHER: usize = 1 << 14;

pub(crate) fn keys(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let mut steps = Steps::new(view.budget);
    steps.reserve(view.database().map_or(0, Database::len))?;
    let objects = view.database().into_iter().flat_map(|database| database.objects());
    // In pieces: to move millions of names when there is no more room for them would hold up everybody.
    let (mut found, mut count, mut bytes): (Vec<Vec<&[u8]>>, usize, u64) = (Vec::new(), 0, 0);
    for object in objects {
        view.budget.spend(1);
        if !object.is_expired(view.clock()) && admits(args[1], object.key, &mut steps)? {
            match found.last_mut() {
                Some(names) if names.len() < NAMES_TOGETHER => names.push(object.key),
                _ => found.push(vec![object.key]),
            }
            count += 1;
            bytes += object.key.len() as u64;
        }
    }
    check_reply(count, bytes)?;
    reply.expect(count, bytes);
    reply.array(count);
    found.into_iter().flatten().for_each(|key| reply.bulk(key));
    Ok(())
}

/// Whether a name matches a pattern. Most do so in a few steps; who makes them take many is stopped.
fn admits(pattern: &[u8], name: &[u8], steps: &mut Steps<'_>) -> Result<bool, CommandError> {
    glob::matches_within(pattern, name, |taken| steps.take(taken).is_ok()).ok_or(CommandError::TooLong)
}

/// Whether a scan wants what has this name.
fn is_wanted(options: &ScanOptions<'_>, name: &[u8], steps: &mut Steps<'_>) -> Result<bool, CommandError> {
    options.pattern.map_or(Ok(true), |pattern| admits(pattern, name, steps))
}

fn reply_cursor(cursor: u64, reply: &mut Writer<'_>) {
    reply.array(2);
    reply.bulk(cursor.to_string().as_bytes());
}

/// The positions that a step visits, from the highest down, and the cursor for the next step.
fn step(cursor: u64, length: usize, count: usize) -> (impl Iterator<Item = usize>, u64) {
    let left = match usize::try_from(cursor) {
        Ok(left @ 1..) => left.min(length),
        _ => length,
    };
    let next = left.saturating_sub(count);
    ((next..left).rev(), next as u64)
}

pub(crate) fn scan(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let cursor = parse_cursor(args[1])?;
    let options = ScanOptions::parse(&args[2..], true)?;
    let mut slot = usize::try_from(cursor % SLOTS as u64).unwrap_or(0);
    let mut within = cursor / SLOTS as u64;
    let mut left = options.count;
    let mut steps = Steps::new(view.budget);
    let mut found: Vec<&[u8]> = Vec::new();
    while left > 0 && slot < SLOTS {
        if let Some(table) = view.database().and_then(|database| database.slot(slot)) {
            let (positions, next) = step(within, table.len(), left);
            for position in positions {
                left -= 1;
                view.budget.spend(1);
                if let Some(object) = table.at(position)
                    && !object.is_expired(view.clock())
                    && is_wanted(&options, object.key, &mut steps)?
                    && options.wants_type(object.value.type_name())
                {
                    found.push(object.key);
                }
            }
            within = next;
        } else {
            within = 0;
        }
        if within == 0 {
            slot += 1;
            view.budget.spend(1);
        }
    }
    let next = if slot == SLOTS { 0 } else { within * SLOTS as u64 + slot as u64 };
    reply_cursor(next, reply);
    reply.array(found.len());
    found.into_iter().for_each(|key| reply.bulk(key));
    Ok(())
}

/// One step over a collection: `at` gives the elements by position, `write` replies to one with `parts`
/// replies.
fn scan_collection<'a, T: Typed + 'a, E>(
    view: &View<'a>,
    args: &[&[u8]],
    length: impl Fn(&T) -> usize,
    at: impl Fn(&'a T, usize) -> Option<(&'a [u8], E)>,
    parts: usize,
    write: impl Fn(&[u8], E, &mut Writer<'_>),
    reply: &mut Writer<'_>,
) -> Outcome {
    let cursor = parse_cursor(args[2])?;
    let Some(collection) = view.read::<T>(args[1])? else {
        reply_cursor(0, reply);
        reply.array(0);
        return Ok(());
    };
    let options = ScanOptions::parse(&args[3..], false)?;
    let length = length(collection);
    // As Redis does with its compact encodings: a small collection comes at once.
    let count = if length <= SMALL { SMALL } else { options.count };
    let (positions, next) = step(cursor, length, count);
    let elements = positions.filter_map(|position| at(collection, position));
    let mut steps = Steps::new(view.budget);
    let mut found: Vec<(&[u8], E)> = Vec::new();
    for (name, rest) in elements {
        view.budget.spend(1);
        if is_wanted(&options, name, &mut steps)? {
            found.push((name, rest));
        }
    }
    reply_cursor(next, reply);
    reply.array(found.len() * parts);
    found.into_iter().for_each(|(name, rest)| write(name, rest, reply));
    Ok(())
}

/// Collections of at most so many elements are returned in one step.
const SMALL: usize = 128;

pub(crate) fn hscan(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let write = |field: &[u8], value: &[u8], reply: &mut Writer<'_>| {
        reply.bulk(field);
        reply.bulk(value);
    };
    scan_collection(view, args, Hash::len, Hash::at, 2, write, reply)
}

pub(crate) fn sscan(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    fn at(set: &Set, position: usize) -> Option<(&[u8], ())> {
        set.at(position).map(|member| (member, ()))
    }
    scan_collection(view, args, Set::len, at, 1, |member, (), reply| reply.bulk(member), reply)
}

pub(crate) fn zscan(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let write = |member: &[u8], score: f64, reply: &mut Writer<'_>| {
        let mut text = Vec::with_capacity(24);
        onecopy_resp::format_double(score, &mut text);
        reply.bulk(member);
        reply.bulk(&text);
    };
    scan_collection(view, args, Zset::len, Zset::at, 2, write, reply)
}
