//! Keys, whatever they hold, and whole databases.
//!
//! What `RENAME`, `COPY` and `MOVE` put at their target are new things, made of what this replica shows: a
//! counter becomes a number, and what others add to the source concurrently stays there.

use bytes::Bytes;
use onecopy_keyspace::number::{integer, is_word, parse_integer};
use onecopy_keyspace::options::{CopyOptions, database_number};
use onecopy_keyspace::{CommandError, DATABASES};
use onecopy_resp::Writer;

use super::Outcome;
use crate::delta::Put;
use crate::object::Object;
use crate::place::{Kind, Place};
use crate::store::Key;
use crate::transaction::Transaction;

pub(super) fn del(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let mut removed = 0;
    for name in &args[1..] {
        let key = transaction.key(name);
        removed += usize::from(transaction.delete(&key));
    }
    reply.length(removed);
    Ok(())
}

/// `WATCH` by itself is for [requests](crate::Requests); this one stands in a transaction.
pub(super) fn watch(_: &mut Transaction<'_>, _: &[&[u8]], _: &mut Writer<'_>) -> Outcome {
    Err(CommandError::Other("ERR WATCH inside MULTI is not allowed"))
}

/// In a transaction the watch is over already.
pub(super) fn unwatch(_: &mut Transaction<'_>, _: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply.ok();
    Ok(())
}

pub(super) fn exists(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply
        .length(args[1..].iter().filter(|name| transaction.object(&transaction.key(name)).is_some()).count());
    Ok(())
}

pub(super) fn type_of(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let kind = transaction.object(&transaction.key(args[1])).and_then(Object::kind);
    reply.simple(kind.map_or("none", Kind::name));
    Ok(())
}

/// What a key shows, as something that can be put elsewhere, and when it expires.
pub(super) struct Shown {
    pub(super) puts: Vec<(Place, Put)>,
    pub(super) expires_ms: Option<u64>,
}

pub(super) fn shown(transaction: &Transaction<'_>, key: &Key) -> Option<Shown> {
    let object = transaction.object(key)?;
    let puts = object.visible(object.kind()?).filter_map(|(place, cell)| {
        let put = match place {
            Place::Whole | Place::Field(_) | Place::At(_) => Put::Text(cell.text()?),
            Place::Member(_) => Put::Member,
            Place::Scored(_) => Put::Score(cell.score()?.1),
            Place::Expiry | Place::End => return None,
        };
        Some((place.clone(), put))
    });
    Some(Shown { puts: puts.collect(), expires_ms: object.expires_ms() })
}

/// Whether a delta has room for it.
pub(super) fn afford(transaction: &Transaction<'_>, shown: &Shown) -> Outcome {
    let text = |put: &Put| if let Put::Text(text) = put { text.len() } else { 0 };
    transaction.afford(shown.puts.iter().map(|(place, put)| place.size() + text(put) + 24).sum())
}

/// Replaces what a key holds. The elements of a list get new positions, side by side.
pub(super) fn put_all(transaction: &mut Transaction<'_>, key: &Key, shown: Shown) {
    transaction.delete(key);
    let mut last = None;
    for (place, put) in shown.puts {
        let place = match place {
            Place::At(_) => {
                let position = transaction.position(last.as_ref(), None);
                last = Some(position.clone());
                Place::At(position)
            }
            place => place,
        };
        transaction.put(key, place, put);
    }
    if shown.expires_ms.is_some() {
        transaction.say(key, shown.expires_ms, None);
    }
}

/// Gives what a key shows to another one.
fn move_to(transaction: &mut Transaction<'_>, from: &Key, to: &Key) -> Outcome {
    if let Some(shown) = shown(transaction, from) {
        afford(transaction, &shown)?;
        transaction.delete(from);
        put_all(transaction, to, shown);
    }
    Ok(())
}

pub(super) fn rename(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (from, to) = (transaction.key(args[1]), transaction.key(args[2]));
    if transaction.object(&from).is_none() {
        return Err(CommandError::NoSuchKey);
    }
    if from != to {
        move_to(transaction, &from, &to)?;
    }
    reply.ok();
    Ok(())
}

pub(super) fn renamenx(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (from, to) = (transaction.key(args[1]), transaction.key(args[2]));
    if transaction.object(&from).is_none() {
        return Err(CommandError::NoSuchKey);
    }
    let free = transaction.object(&to).is_none();
    if free {
        move_to(transaction, &from, &to)?;
    }
    reply.integer(free.into());
    Ok(())
}

const SAME: CommandError = CommandError::Other("ERR source and destination objects are the same");

pub(super) fn copy(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let CopyOptions { db, replace } = CopyOptions::parse(&args[3..])?;
    let db = db.unwrap_or(transaction.call.db);
    let (from, to) = (transaction.key(args[1]), Key::new(db, args[2]));
    if from == to {
        return Err(SAME);
    }
    transaction.expire_key(&to);
    let shown = shown(transaction, &from).filter(|_| replace || transaction.object(&to).is_none());
    let copied = shown.is_some();
    if let Some(shown) = shown {
        afford(transaction, &shown)?;
        put_all(transaction, &to, shown);
    }
    reply.integer(copied.into());
    Ok(())
}

pub(super) fn move_key(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let db = database_number(args[2])?;
    if db == transaction.call.db {
        return Err(SAME);
    }
    let (from, to) = (transaction.key(args[1]), Key::new(db, args[1]));
    transaction.expire_key(&to);
    let moves = transaction.object(&from).is_some() && transaction.object(&to).is_none();
    if moves {
        move_to(transaction, &from, &to)?;
    }
    reply.integer(moves.into());
    Ok(())
}

pub(super) fn dbsize(transaction: &mut Transaction<'_>, _: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply.length(transaction.store().len_of(transaction.call.db));
    Ok(())
}

/// The option of `FLUSHALL`. Both of its values are fine: the keys are gone at once either way.
fn check_flush_mode(args: &[&[u8]]) -> Outcome {
    match args {
        [_] => Ok(()),
        [_, mode] if is_word(mode, "ASYNC") || is_word(mode, "SYNC") => Ok(()),
        _ => Err(CommandError::Syntax),
    }
}

pub(super) fn flushdb(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    check_flush_mode(args)?;
    transaction.flush(transaction.call.db)?;
    reply.ok();
    Ok(())
}

pub(super) fn flushall(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    check_flush_mode(args)?;
    for db in 0..DATABASES {
        transaction.flush(db)?;
    }
    reply.ok();
    Ok(())
}

pub(super) fn time(transaction: &mut Transaction<'_>, _: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let milliseconds = transaction.now_ms();
    reply.array(2);
    reply.bulk((milliseconds / 1000).to_string().as_bytes());
    reply.bulk((milliseconds % 1000 * 1000).to_string().as_bytes());
    Ok(())
}

/// What Redis would use to represent it.
fn encoding(object: &Object) -> &'static str {
    /// The most elements, and the longest, that Redis packs together.
    const PACKED: (usize, usize) = (128, 64);
    /// The most integers that Redis packs together.
    const INTEGERS_MAX: usize = 512;
    /// The longest string that Redis embeds into the object.
    const EMBEDDED_MAX: usize = 44;
    /// The largest list that Redis packs together, with 3 bytes of framing each.
    const LIST_BYTES_MAX: usize = 8 << 10;
    let Some(kind) = object.kind() else { return "none" };
    let texts = || object.visible(kind).map(|(place, cell)| (place.name(), cell.text().unwrap_or_default()));
    let is_packed = || {
        object.len_of(kind) <= PACKED.0
            && texts().all(|(name, text)| name.len() <= PACKED.1 && text.len() <= PACKED.1)
    };
    match kind {
        Kind::String => match texts().next().map(|(_, text)| text).unwrap_or_default() {
            text if parse_integer(&text).is_some() => "int",
            text if text.len() <= EMBEDDED_MAX => "embstr",
            _ => "raw",
        },
        Kind::Hash => {
            if is_packed() {
                "listpack"
            } else {
                "hashtable"
            }
        }
        Kind::SortedSet => {
            if is_packed() {
                "listpack"
            } else {
                "skiplist"
            }
        }
        Kind::List => {
            if texts().map(|(_, text)| text.len() + 3).sum::<usize>() <= LIST_BYTES_MAX {
                "listpack"
            } else {
                "quicklist"
            }
        }
        Kind::Set => {
            let is_small = object.len_of(kind) <= INTEGERS_MAX;
            if is_small && texts().all(|(name, _)| parse_integer(name).is_some()) {
                "intset"
            } else {
                "hashtable"
            }
        }
    }
}

fn unknown(command: &'static str, subcommand: &[u8]) -> CommandError {
    let subcommand = String::from_utf8_lossy(&subcommand[..subcommand.len().min(128)]).into_owned();
    CommandError::UnknownSubcommand { command, subcommand }
}

/// `OBJECT`. All objects look recently used and unshared: nothing is counted.
pub(super) fn object(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let names = ["object|encoding", "object|freq", "object|idletime", "object|refcount"];
    let name = names.into_iter().find(|name| is_word(args[1], &name["object|".len()..]));
    let name = name.ok_or_else(|| unknown("OBJECT", args[1]))?;
    let [_, _, key] = args else { return Err(CommandError::Arity(name)) };
    match (name, transaction.object(&transaction.key(key))) {
        (_, None) => reply.null(),
        ("object|encoding", Some(object)) => reply.bulk(encoding(object).as_bytes()),
        ("object|idletime", Some(_)) => reply.integer(0),
        ("object|refcount", Some(_)) => reply.integer(1),
        (_, Some(_)) => {
            return Err(CommandError::Other(
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
                 switching between policies at runtime LRU and LFU data will take some time to adjust.",
            ));
        }
    }
    Ok(())
}

/// `MEMORY USAGE`: about what a key, and what is kept beside its data, occupies.
pub(super) fn memory(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    if !is_word(args[1], "USAGE") {
        return Err(unknown("MEMORY", args[1]));
    }
    match &args[2..] {
        [] => return Err(CommandError::Arity("memory|usage")),
        [_] => {}
        [_, option, count] if is_word(option, "SAMPLES") => {
            if integer(count)? < 0 {
                return Err(CommandError::Syntax);
            }
        }
        _ => return Err(CommandError::Syntax),
    }
    match transaction.object(&transaction.key(args[2])) {
        Some(object) => reply.length(args[2].len() + object.size()),
        None => reply.null(),
    }
    Ok(())
}

/// The names of all keys of the database, of which something shows.
pub(super) fn names<'a>(transaction: &'a Transaction<'_>) -> impl Iterator<Item = &'a Bytes> {
    let db = transaction.call.db;
    let objects =
        transaction.store().objects().filter(move |(key, object)| key.db() == db && object.kind().is_some());
    objects.map(|(key, _)| key.name())
}
