//! A digest of everything that a client could find out, and of nothing else.
//!
//! Keys, fields and members are hashed one by one and added up, so that neither the seed nor the order in
//! which they came can show. Elements of a list are hashed in order.

use std::ops::Range;

use onecopy_core::Timestamp;
use xxhash_rust::xxh3::Xxh3;

use crate::channels::Channels;
use crate::database::Database;
use crate::image::{Part, encode};
use crate::moves::Moves;
use crate::notifications::Flags;
use crate::scripts::Scripts;
use crate::slot::Object;
use crate::tokens::Tokens;
use crate::tracking::Tracking;
use crate::value::stream::Id;
use crate::value::{Content, Stream};
use crate::waiters::Waiters;
use crate::watches::Watches;

/// The digest of all databases, tokens and watches at `clock`.
pub(crate) fn of(
    clock: Timestamp,
    databases: &[Option<Box<Database>>],
    tokens: &Tokens,
    watches: &Watches,
    waiters: &Waiters,
) -> u64 {
    let mut sum = hashed(|hash| hash.update(&clock.0.to_le_bytes()));
    for (number, database) in databases.iter().enumerate() {
        for object in database.iter().flat_map(|database| database.objects()) {
            sum = sum.wrapping_add(of_key(number, object));
        }
    }
    sum.wrapping_add(of_tokens(tokens, 0..tokens.len()))
        .wrapping_add(of_watches(watches))
        .wrapping_add(of_waiters(waiters))
}

/// The digest of all scripts and libraries. The order of scripts says which is forgotten first.
pub(crate) fn of_scripts(scripts: &Scripts) -> u64 {
    hashed(|hash| {
        for script in scripts.iter() {
            hash.update(&[script.is_loaded.into()]);
            feed(hash, &script.text);
        }
        for library in scripts.libraries() {
            feed(hash, &library.name);
            feed(hash, &library.text);
        }
    })
}

/// The digest of who listens, and of what has not been fetched; as an image has them.
pub(crate) fn of_channels(channels: &Channels, notified: Flags) -> u64 {
    let mut part = Part::default();
    encode::channels(channels, &mut part);
    encode::notified(notified, &mut part);
    part.digest
}

/// The digest of what is in the feeds of keys that change; as an image has them.
pub(crate) fn of_tracking(tracking: &Tracking) -> u64 {
    let mut part = Part::default();
    encode::tracking(tracking, &mut part);
    part.digest
}

/// The digest of the keys that go to other groups or came from some; as an image has them.
pub(crate) fn of_moves(moves: &Moves) -> u64 {
    let mut part = Part::default();
    encode::moves(moves, &mut part);
    part.digest
}

fn of_watches(watches: &Watches) -> u64 {
    watches.iter().fold(0, |sum, (id, watch)| {
        sum.wrapping_add(hashed(|hash| {
            hash.update(&id.process.0.to_le_bytes());
            hash.update(&id.number.to_le_bytes());
            hash.update(&watch.since().0.to_le_bytes());
            for (db, key, was_there, stands) in watches.keys((id, watch)) {
                hash.update(&[db, was_there.into(), stands.into()]);
                feed(hash, key);
            }
        }))
    })
}

/// As an image has them.
fn of_waiters(waiters: &Waiters) -> u64 {
    let mut part = Part::default();
    encode::waiters(waiters, &mut part);
    part.digest
}

/// The tokens at these positions. Their order is state, so their numbers count.
fn of_tokens(tokens: &Tokens, positions: Range<usize>) -> u64 {
    tokens.range(positions).fold(0, |sum, (number, executed)| {
        sum.wrapping_add(hashed(|hash| {
            hash.update(&number.to_le_bytes());
            feed(hash, &executed.token);
            hash.update(&executed.expires.0.to_le_bytes());
            hash.update(&executed.command.to_le_bytes());
            executed.answer.iter().for_each(|answer| feed(hash, answer));
        }))
    })
}

fn hashed(feed: impl FnOnce(&mut Xxh3)) -> u64 {
    let mut hash = Xxh3::new();
    feed(&mut hash);
    hash.digest()
}

/// Feeds bytes with their length, so that what is fed one after the other cannot be mistaken.
fn feed(hash: &mut Xxh3, bytes: &[u8]) {
    hash.update(&(bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

/// The digest of a key of this database, and of what it holds.
pub(crate) fn of_key(number: usize, object: Object<'_>) -> u64 {
    hashed(|hash| {
        hash.update(&(number as u64).to_le_bytes());
        feed(hash, object.key);
        hash.update(&of_value(object).to_le_bytes());
    })
}

/// The digest of what a key holds, and of when it expires.
pub(crate) fn of_value(object: Object<'_>) -> u64 {
    hashed(|hash| {
        hash.update(&object.expires.map_or(u64::MAX, |expires| expires.0).to_le_bytes());
        feed(hash, object.value.type_name().as_bytes());
        match object.value {
            Content::Text(text) => text.with(|bytes| feed(hash, bytes)),
            Content::List(list) => list.iter().for_each(|element| feed(hash, element)),
            Content::Hash(fields) => feed_unordered(hash, fields.iter(), |hash, (field, value)| {
                feed(hash, field);
                feed(hash, value);
            }),
            Content::Set(set) => feed_unordered(hash, set.iter(), feed),
            Content::Zset(zset) => feed_unordered(hash, zset.iter(), |hash, (member, score)| {
                feed(hash, member);
                hash.update(&score.to_bits().to_le_bytes());
            }),
            Content::Stream(stream) => feed_stream(hash, stream),
        }
    })
}

/// Everything has an order here. Where chunks end is nothing that a client could find out for certain.
fn feed_stream(hash: &mut Xxh3, stream: &Stream) {
    let number = |hash: &mut Xxh3, number: u64| hash.update(&number.to_le_bytes());
    let option = |hash: &mut Xxh3, option: Option<u64>| {
        number(hash, option.is_some().into());
        number(hash, option.unwrap_or(0));
    };
    let id = |hash: &mut Xxh3, id: Id| [id.ms, id.seq].map(|part| number(hash, part));
    id(hash, stream.last());
    id(hash, stream.deleted());
    number(hash, stream.progress().added.cast_unsigned());
    number(hash, stream.log().len() as u64);
    for entry in stream.log().iter() {
        id(hash, entry.id);
        number(hash, entry.fields() as u64);
        for (name, value) in entry.pairs() {
            feed(hash, name);
            value.with(|value| feed(hash, value));
        }
    }
    for (name, group) in stream.groups() {
        feed(hash, name);
        id(hash, group.last);
        option(hash, group.read.map(i64::cast_unsigned));
        number(hash, group.len() as u64);
        for consumer in group.consumers() {
            feed(hash, &consumer.name);
            number(hash, consumer.seen);
            option(hash, consumer.active);
        }
        number(hash, group.pending().len() as u64);
        for pending in group.pending().since_position(0) {
            id(hash, pending.id);
            feed(hash, &group.consumer(pending.consumer).name);
            number(hash, pending.delivered);
            number(hash, pending.deliveries);
        }
    }
}

fn feed_unordered<T>(hash: &mut Xxh3, items: impl Iterator<Item = T>, feed_one: impl Fn(&mut Xxh3, T)) {
    let sum = items.fold(0u64, |sum, item| sum.wrapping_add(hashed(|hash| feed_one(hash, item))));
    hash.update(&sum.to_le_bytes());
}
