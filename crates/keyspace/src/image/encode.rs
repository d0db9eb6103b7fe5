//! Writing images.

use bytes::{BufMut, BytesMut};
use onecopy_core::Timestamp;
use onecopy_resp::Version;
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_64_with_seed};

use super::{
    ABSENT, Beside, END, ENDS, EPOCHS, EXPIRES, FEED, HAS_TARGET, HAS_TOKEN, IS_ABSENT, IS_FETCHED, IS_RESP3,
    LARGE, LIBRARY, LISTENER, MAGIC, MOVES, NOTIFIED, Part, RECORD, SCRIPT, STANDS, TOKENS, TRACKED,
    TRACKED_EPOCHS, VERSION, WAITER, WAS_THERE, WATCH, kind, large,
};
use crate::channels::Channels;
use crate::feeds::{Feed, Feeds, Item};
use crate::moves::Moves;
use crate::notifications::Flags;
use crate::scripts::Scripts;
use crate::seed::Seed;
use crate::slot::Object;
use crate::tokens::Executed;
use crate::tracking::Tracking;
use crate::value::{Content, Text};
use crate::waiters::{Waiter, Waiters};
use crate::watches::Watches;

/// The beginning of an image; `first` is the number of the first token.
pub(crate) fn header(seed: Seed, clock: Timestamp, first: u64) -> Part {
    let mut out = BytesMut::with_capacity(64);
    out.put_slice(MAGIC);
    out.put_u8(VERSION);
    out.put_u64_le(seed.0[0]);
    out.put_u64_le(seed.0[1]);
    out.put_u64_le(clock.0);
    out.put_u64_le(first);
    Part { digest: xxh3_64(&out), bytes: out }
}

/// A block of so many keys of a slot, of the database that had this number. Which of these keys have large
/// values, counted from the first: their parts must follow.
pub(crate) fn block<'a>(
    number: u8,
    (slot, block): (usize, usize),
    count: usize,
    objects: impl Iterator<Item = Object<'a>>,
    out: &mut Part,
) -> Vec<usize> {
    let mut large = Vec::new();
    let digest = record(RECORD, number, &mut out.bytes, |out| {
        let start = out.len();
        // Less than 2^14, and a block has many keys.
        out.put_u16_le(slot as u16);
        put_count(block, out);
        put_count(count, out);
        for (position, object) in objects.enumerate() {
            put_bytes(object.key, out);
            if put_object(object, out) {
                large.push(position);
            }
        }
        xxh3_64_with_seed(&out[start..], number.into())
    });
    out.digest = out.digest.wrapping_add(digest);
    large
}

/// Some tokens, of which the first has this number.
pub(crate) fn tokens<'a>(first: u64, tokens: impl ExactSizeIterator<Item = &'a Executed>, out: &mut Part) {
    let digest = record(TOKENS, 0, &mut out.bytes, |out| {
        put_count(tokens.len(), out);
        let mut digest = 0u64;
        for (executed, number) in tokens.zip(first..) {
            let start = out.len();
            put_bytes(&executed.token, out);
            out.put_u64_le(executed.expires.0);
            out.put_u64_le(executed.command);
            out.put_u8(executed.answer.is_some().into());
            executed.answer.iter().for_each(|answer| put_bytes(answer, out));
            digest = digest.wrapping_add(xxh3_64_with_seed(&out[start..], number));
        }
        digest
    });
    out.digest = out.digest.wrapping_add(digest);
}

/// All watches.
fn watches(watches: &Watches, out: &mut Part) {
    for (id, watch) in watches.iter() {
        let digest = record(WATCH, 0, &mut out.bytes, |out| {
            let start = out.len();
            out.put_u128_le(id.process.0);
            out.put_u64_le(id.number);
            out.put_u64_le(watch.since().0);
            let keys = watches.keys((id, watch));
            put_count(keys.len(), out);
            for (db, key, was_there, stands) in keys {
                out.put_u8(db);
                out.put_u8(if was_there { WAS_THERE } else { 0 } | if stands { STANDS } else { 0 });
                put_bytes(key, out);
            }
            xxh3_64(&out[start..])
        });
        out.digest = out.digest.wrapping_add(digest);
    }
}

/// Watches, waiters, scripts and channels.
pub(crate) fn beside(beside: &Beside<'_>, out: &mut Part) {
    watches(beside.watches, out);
    waiters(beside.waiters, out);
    scripts(beside.scripts, out);
    channels(beside.channels, out);
    tracking(beside.tracking, out);
    moves(beside.moves, out);
    notified(beside.notified, out);
}

/// Which events are published.
pub(crate) fn notified(flags: Flags, out: &mut Part) {
    if flags != Flags::default() {
        let digest = record(NOTIFIED, 0, &mut out.bytes, |out| {
            out.put_u16_le(flags.bits());
            xxh3_64_with_seed(&flags.bits().to_le_bytes(), NOTIFIED.into())
        });
        out.digest = out.digest.wrapping_add(digest);
    }
}

/// All listeners, and all feeds.
pub(crate) fn channels(channels: &Channels, out: &mut Part) {
    for (listener, names) in channels.interest.listeners() {
        put(LISTENER, out, |out| {
            out.put_u128_le(listener.coordinator.0);
            out.put_u64_le(listener.number);
            put_count(names.len(), out);
            for (sort, name) in names {
                out.put_u8(*sort as u8);
                put_bytes(name, out);
            }
        });
    }
    feeds((EPOCHS, FEED), &channels.feeds, out);
}

/// The feeds of keys that change.
pub(crate) fn tracking(tracking: &Tracking, out: &mut Part) {
    feeds((TRACKED_EPOCHS, TRACKED), &tracking.feeds, out);
}

/// Keys that go to other groups, and those that came from some.
pub(crate) fn moves(moves: &Moves, out: &mut Part) {
    if moves.is_fresh() {
        return;
    }
    put(MOVES, out, |out| {
        out.put_u64_le(moves.last);
        put_count(moves.departures.len(), out);
        for (number, departure) in &moves.departures {
            out.put_u64_le(*number);
            out.put_u8(departure.db);
            put_bytes(&departure.key, out);
            out.put_u64_le(departure.group);
            out.put_u8(departure.to);
            out.put_u64_le(departure.since.0);
        }
        put_count(moves.arrivals.len(), out);
        for (group, arrivals) in &moves.arrivals {
            out.put_u64_le(*group);
            out.put_u64_le(arrivals.below);
            put_count(arrivals.taken.len(), out);
            for (number, taken) in &arrivals.taken {
                out.put_u64_le(*number);
                out.put_u8((*taken).into());
            }
        }
    });
}

/// How many feeds have begun, and those that there are.
fn feeds<T: Item>((begun, kind): (u8, u8), feeds: &Feeds<T>, out: &mut Part) {
    if feeds.epochs() == 0 {
        return;
    }
    put(begun, out, |out| out.put_u64_le(feeds.epochs()));
    for (coordinator, feed) in feeds.iter() {
        put(kind, out, |out| {
            out.put_u128_le(coordinator.0);
            put_feed(feed, out);
        });
    }
}

/// A record of a kind that is hashed as it is.
fn put(kind: u8, out: &mut Part, contents: impl FnOnce(&mut BytesMut)) {
    let digest = record(kind, 0, &mut out.bytes, |out| {
        let start = out.len();
        contents(out);
        xxh3_64_with_seed(&out[start..], kind.into())
    });
    out.digest = out.digest.wrapping_add(digest);
}

fn put_feed<T: Item>(feed: &Feed<T>, out: &mut BytesMut) {
    out.put_u64_le(feed.epoch);
    out.put_u64_le(feed.count);
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    out.put_u8(flag(feed.waiting.is_some(), IS_FETCHED) | flag(feed.absent.is_some(), IS_ABSENT));
    if let Some((address, epoch)) = &feed.waiting {
        out.put_u128_le(address.id.process.0);
        out.put_u64_le(address.id.number);
        out.put_u64_le(address.batch.sequence);
        out.put_u64_le(*epoch);
    }
    if let Some(since) = feed.absent {
        out.put_u64_le(since.0);
    }
    put_count(feed.queue.len(), out);
    feed.queue.iter().for_each(|message| message.put(out));
}

/// All waiters, and whose coordinators are absent.
pub(crate) fn waiters(waiters: &Waiters, out: &mut Part) {
    for (place, waiter) in waiters.iter() {
        let digest = record(WAITER, waiter.db, &mut out.bytes, |out| {
            let start = out.len();
            put_waiter(place, waiter, out);
            xxh3_64_with_seed(&out[start..], waiter.db.into())
        });
        out.digest = out.digest.wrapping_add(digest);
    }
    let (next, absent) = waiters.rest();
    if next == 0 {
        return;
    }
    let digest = record(ABSENT, 0, &mut out.bytes, |out| {
        let start = out.len();
        out.put_u64_le(next);
        put_count(absent.len(), out);
        for (coordinator, since) in absent {
            out.put_u128_le(coordinator.0);
            out.put_u64_le(since.0);
        }
        xxh3_64(&out[start..])
    });
    out.digest = out.digest.wrapping_add(digest);
}

fn put_waiter(place: u64, waiter: &Waiter, out: &mut BytesMut) {
    let (address, wanted) = (&waiter.address, &waiter.wanted);
    out.put_u64_le(place);
    out.put_u128_le(address.id.process.0);
    out.put_u64_le(address.id.number);
    out.put_u128_le(address.batch.coordinator.0);
    out.put_u64_le(address.batch.sequence);
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    out.put_u8(
        flag(address.version == Version::Three, IS_RESP3)
            | flag(waiter.until.is_some(), ENDS)
            | flag(wanted.token.is_some(), HAS_TOKEN)
            | flag(wanted.target.is_some(), HAS_TARGET),
    );
    if let Some(until) = waiter.until {
        out.put_u64_le(until.0);
    }
    if let Some((token, command)) = &wanted.token {
        put_bytes(token, out);
        out.put_u64_le(*command);
    }
    if let Some(target) = &wanted.target {
        put_bytes(target, out);
    }
    out.put_u8(wanted.wants as u8);
    for list in [&wanted.keys, &wanted.args] {
        put_count(list.len(), out);
        list.iter().for_each(|item| put_bytes(item, out));
    }
}

/// All scripts and libraries.
fn scripts(scripts: &Scripts, out: &mut Part) {
    for script in scripts.iter() {
        let digest = record(SCRIPT, 0, &mut out.bytes, |out| {
            let start = out.len();
            out.put_u8(script.is_loaded.into());
            put_bytes(&script.text, out);
            xxh3_64(&out[start..])
        });
        out.digest = out.digest.wrapping_add(digest);
    }
    for library in scripts.libraries() {
        let digest = record(LIBRARY, 0, &mut out.bytes, |out| {
            let start = out.len();
            put_bytes(&library.name, out);
            put_bytes(&library.text, out);
            put_count(library.functions.len(), out);
            for function in &library.functions {
                put_bytes(&function.name, out);
                out.put_u8(function.description.is_some().into());
                put_bytes(function.description.as_deref().unwrap_or_default(), out);
                out.put_u8(function.flags.bits());
            }
            xxh3_64(&out[start..])
        });
        out.digest = out.digest.wrapping_add(digest);
    }
}

/// One record, with the digest that `put_contents` returns.
pub(super) fn record(
    kind: u8,
    number: u8,
    out: &mut BytesMut,
    put_contents: impl FnOnce(&mut BytesMut) -> u64,
) -> u64 {
    out.put_u8(kind);
    out.put_u8(number);
    let length_at = out.len();
    out.put_u64_le(0);
    let digest = put_contents(out);
    let length = (out.len() - length_at - 8) as u64;
    out[length_at..length_at + 8].copy_from_slice(&length.to_le_bytes());
    digest
}

/// The end of an image.
pub(super) fn end(checksum: &mut Xxh3, out: &mut Part) {
    let digest = out.digest.to_le_bytes();
    checksum.update(&[END]);
    checksum.update(&digest);
    out.bytes.put_u8(END);
    out.bytes.put_slice(&digest);
    out.bytes.put_u64_le(checksum.digest());
}

pub(super) fn put_count(count: usize, out: &mut BytesMut) {
    // Four thousand million elements do not fit into the memory that they would need.
    out.put_u32_le(u32::try_from(count).expect("a collection of more than 2^32 elements"));
}

fn put_bytes(bytes: &[u8], out: &mut BytesMut) {
    put_count(bytes.len(), out);
    out.put_slice(bytes);
}

/// Whether it is large: what it holds must follow.
fn put_object(object: Object<'_>, out: &mut BytesMut) -> bool {
    let is_large = large::is_large(object.value);
    let kind = if is_large { LARGE } else { 0 };
    let kind = kind
        | match object.value {
            Content::Text(Text::Integer(_)) => kind::INTEGER,
            Content::Text(Text::Raw(_)) => kind::RAW,
            Content::List(_) => kind::LIST,
            Content::Hash(_) => kind::HASH,
            Content::Set(_) => kind::SET,
            Content::Zset(_) => kind::ZSET,
            Content::Stream(_) => kind::STREAM,
        };
    match object.expires {
        Some(expires) => {
            out.put_u8(kind | EXPIRES);
            out.put_u64_le(expires.0);
        }
        None => out.put_u8(kind),
    }
    if !is_large {
        put_value(object.value, out);
    }
    is_large
}

fn put_value(value: Content<'_>, out: &mut BytesMut) {
    match value {
        Content::Text(Text::Integer(number)) => out.put_i64_le(number),
        Content::Text(Text::Raw(bytes)) => put_bytes(bytes, out),
        Content::List(list) => {
            put_count(list.len(), out);
            list.iter().for_each(|element| put_bytes(element, out));
        }
        Content::Hash(hash) => {
            put_count(hash.len(), out);
            for (field, value) in hash.iter() {
                put_bytes(field, out);
                put_bytes(value, out);
            }
        }
        Content::Set(set) => {
            put_count(set.len(), out);
            set.iter().for_each(|member| put_bytes(member, out));
        }
        Content::Zset(zset) => {
            put_count(zset.len(), out);
            for (member, score) in zset.iter() {
                put_bytes(member, out);
                out.put_f64_le(score);
            }
        }
        Content::Stream(stream) => {
            put_count(stream.len(), out);
            stream.items_from(0).for_each(|item| put_bytes(item.as_ref(), out));
        }
    }
}
