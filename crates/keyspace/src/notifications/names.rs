//! What the events are called, and of which class they are: as in Redis 7.2.

use std::collections::BTreeSet;

use super::{Class, Done, Note};
use crate::command::{Spec, lookup};
use crate::machine::Keyspace;
use crate::number::is_word;

/// An event: its class, its name, and which key of which database it is about.
type Event<'a> = (Class, &'static str, u8, &'a [u8]);

/// The events of a command that has done this.
pub(super) fn events<'a>(
    keyspace: &Keyspace,
    notes: &'a [Note],
    spec: &Spec,
    args: &[&[u8]],
) -> Vec<Event<'a>> {
    // ONCE executes the command behind its token.
    if spec.name == "once" {
        let inner = args.get(2).and_then(|name| lookup(name)).filter(|inner| inner.name != "once");
        return inner.map_or_else(Vec::new, |inner| events(keyspace, notes, inner, &args[2..]));
    }
    let mut events = Vec::new();
    if matches!(spec.name, "mset" | "msetnx") && !notes.is_empty() {
        return set_one_by_one(notes, args);
    }
    for note in notes {
        let (db, key) = (note.db, note.key.as_ref());
        let is_there = keyspace.is_there(db, key);
        let mut say = |class: Class, event: &'static str| events.push((class, event, db, key));
        match note.done {
            Done::Expired => say(Class::Expired, "expired"),
            Done::Said(event) => say(Class::Stream, event),
            Done::Removed if !note.was_there || is_there => {}
            Done::Removed if spec.name == "rename" || spec.name == "renamenx" => {
                say(Class::Generic, "rename_from");
            }
            Done::Removed if spec.name == "move" => say(Class::Generic, "move_from"),
            Done::Removed => {
                if let Some((class, event)) = taken(spec.name, args, key) {
                    say(class, event);
                }
                say(Class::Generic, "del");
            }
            Done::Changed => {
                if is_there && is_new(note, spec.name) {
                    say(Class::New, "new");
                }
                changed((spec.name, args), key, &mut say);
                if !is_there {
                    say(Class::Generic, "del");
                }
            }
        }
    }
    if matches!(spec.name, "lmove" | "blmove" | "rpoplpush" | "brpoplpush") {
        target_first(&mut events, args[2]);
    }
    events
}

/// A key may be set several times by one command, and each is said.
fn set_one_by_one<'a>(notes: &'a [Note], args: &[&[u8]]) -> Vec<Event<'a>> {
    let expired = notes.iter().filter(|note| note.done == Done::Expired);
    let mut events: Vec<Event<'_>> =
        expired.map(|note| (Class::Expired, "expired", note.db, note.key.as_ref())).collect();
    let mut seen = BTreeSet::new();
    for key in args[1..].iter().step_by(2) {
        let is_set = |note: &&Note| note.done == Done::Changed && note.key.as_ref() == *key;
        let Some(note) = notes.iter().find(is_set) else { continue };
        if seen.insert(*key) && !note.was_there {
            events.push((Class::New, "new", note.db, &note.key));
        }
        events.push((Class::String, "set", note.db, &note.key));
    }
    events
}

/// Whether a key is another one than before, though one was there under its name.
fn is_new(note: &Note, command: &str) -> bool {
    !note.was_there || matches!(command, "rename" | "copy" | "restore")
}

/// An element that moves is said to come before it is said to go.
fn target_first(events: &mut Vec<Event<'_>>, target: &[u8]) {
    let (mut first, rest): (Vec<_>, Vec<_>) = events
        .drain(..)
        .partition(|(_, event, _, key)| *key == target && (event.ends_with("push") || *event == "new"));
    first.extend(rest);
    *events = first;
}

/// The event of a command that takes elements away, and has taken the last.
fn taken(command: &str, args: &[&[u8]], key: &[u8]) -> Option<(Class, &'static str)> {
    let is_taking = matches!(
        command,
        "lpop"
            | "rpop"
            | "blpop"
            | "brpop"
            | "lmpop"
            | "blmpop"
            | "ltrim"
            | "lrem"
            | "lmove"
            | "blmove"
            | "rpoplpush"
            | "brpoplpush"
            | "srem"
            | "spop"
            | "smove"
            | "hdel"
            | "zrem"
            | "zremrangebyrank"
            | "zremrangebyscore"
            | "zremrangebylex"
            | "zpopmin"
            | "zpopmax"
            | "bzpopmin"
            | "bzpopmax"
            | "zmpop"
            | "bzmpop"
    );
    let mut first = None;
    if is_taking {
        changed((command, args), key, &mut |class, event| {
            first.get_or_insert((class, event));
        });
    }
    first
}

/// What a command says of a key that it has changed.
fn changed((command, args): (&str, &[&[u8]]), key: &[u8], say: &mut impl FnMut(Class, &'static str)) {
    use Class::{Generic, Hash, List, Set, Stream, String, Zset};
    let has = |word: &str| args.iter().skip(1).any(|arg| is_word(arg, word));
    let is_first = args.get(1).is_some_and(|first| *first == key);
    let end = |arg: &[u8], left, right| if is_word(arg, "LEFT") { left } else { right };
    let (class, event) = match command {
        "set" => {
            say(String, "set");
            let expires =
                args.iter().skip(3).any(|arg| ["EX", "PX", "EXAT", "PXAT"].iter().any(|it| is_word(arg, it)));
            if expires {
                say(Generic, "expire");
            }
            return;
        }
        "setex" | "psetex" => {
            say(String, "set");
            (Generic, "expire")
        }
        "setnx" | "getset" | "mset" | "msetnx" | "bitop" => (String, "set"),
        "append" => (String, "append"),
        "setrange" => (String, "setrange"),
        "incr" | "decr" | "incrby" | "decrby" => (String, "incrby"),
        "incrbyfloat" => (String, "incrbyfloat"),
        "setbit" | "bitfield" => (String, "setbit"),
        "pfadd" | "pfmerge" => (String, "pfadd"),
        "getex" if has("PERSIST") => (Generic, "persist"),
        "expire" | "pexpire" | "expireat" | "pexpireat" | "getex" => (Generic, "expire"),
        "persist" => (Generic, "persist"),
        "rename" | "renamenx" => (Generic, "rename_to"),
        "copy" => (Generic, "copy_to"),
        "move" => (Generic, "move_to"),
        "restore" => (Generic, "restore"),
        "sort" => (List, "sortstore"),
        "lpush" | "lpushx" => (List, "lpush"),
        "rpush" | "rpushx" => (List, "rpush"),
        "linsert" => (List, "linsert"),
        "lset" => (List, "lset"),
        "ltrim" => (List, "ltrim"),
        "lrem" => (List, "lrem"),
        "lpop" | "blpop" => (List, "lpop"),
        "rpop" | "brpop" => (List, "rpop"),
        "lmpop" | "blmpop" => (List, if has("LEFT") { "lpop" } else { "rpop" }),
        "rpoplpush" | "brpoplpush" | "lmove" | "blmove" => {
            let is_plain = command.ends_with("poplpush");
            let to = if is_plain { "lpush" } else { end(args[4], "lpush", "rpush") };
            let from = if is_plain { "rpop" } else { end(args[3], "lpop", "rpop") };
            // Both ends of one list.
            if args[1] == args[2] {
                say(List, to);
            }
            (List, if is_first { from } else { to })
        }
        "sadd" => (Set, "sadd"),
        "srem" => (Set, "srem"),
        "spop" => (Set, "spop"),
        "smove" => (Set, if is_first { "srem" } else { "sadd" }),
        "sinterstore" => (Set, "sinterstore"),
        "sunionstore" => (Set, "sunionstore"),
        "sdiffstore" => (Set, "sdiffstore"),
        "hset" | "hmset" | "hsetnx" => (Hash, "hset"),
        "hincrby" => (Hash, "hincrby"),
        "hincrbyfloat" => (Hash, "hincrbyfloat"),
        "hdel" => (Hash, "hdel"),
        "zincrby" => (Zset, "zincr"),
        "zadd"
            if args
                .iter()
                .skip(2)
                .take_while(|arg| arg.first().is_some_and(u8::is_ascii_alphabetic))
                .any(|arg| is_word(arg, "INCR")) =>
        {
            (Zset, "zincr")
        }
        "zadd" | "geoadd" => (Zset, "zadd"),
        "zrem" => (Zset, "zrem"),
        "zremrangebyrank" => (Zset, "zremrangebyrank"),
        "zremrangebyscore" => (Zset, "zremrangebyscore"),
        "zremrangebylex" => (Zset, "zremrangebylex"),
        "zpopmin" | "bzpopmin" => (Zset, "zpopmin"),
        "zpopmax" | "bzpopmax" => (Zset, "zpopmax"),
        "zmpop" | "bzmpop" => (Zset, if has("MIN") { "zpopmin" } else { "zpopmax" }),
        "zunionstore" => (Zset, "zunionstore"),
        "zinterstore" => (Zset, "zinterstore"),
        "zdiffstore" => (Zset, "zdiffstore"),
        "zrangestore" => (Zset, "zrangestore"),
        "geosearchstore" => (Zset, "geosearchstore"),
        "georadius" | "georadiusbymember" => (Zset, "georadiusstore"),
        "xadd" => (Stream, "xadd"),
        "xtrim" => (Stream, "xtrim"),
        "xdel" => (Stream, "xdel"),
        "xsetid" => (Stream, "xsetid"),
        // It changes no value: what it does to databases as a whole is no event.
        _ => return,
    };
    say(class, event);
}
