//! Replies to `COMMAND` and its subcommands.
//!
//! The node that answers them knows commands of its own, so these functions take the descriptions that they
//! are to talk about, or a function that finds one.

use onecopy_resp::Writer;

use super::keys::{Destination, reads_streams};
use super::{Kind, Spec, is_blocking, key_positions, lookup};
use crate::error::CommandError;
use crate::number::signed;

/// `COMMAND`, and `COMMAND INFO` with names: one element per description, a null for a `None`.
pub fn reply_info<'a>(specs: impl ExactSizeIterator<Item = Option<&'a Spec>>, reply: &mut Writer<'_>) {
    reply.array(specs.len());
    for spec in specs {
        match spec {
            Some(spec) => info(spec, reply),
            None => reply.null_array(),
        }
    }
}

/// `COMMAND COUNT`.
pub fn reply_count(count: usize, reply: &mut Writer<'_>) {
    reply.length(count);
}

/// `COMMAND LIST`.
pub fn reply_list<'a>(specs: impl ExactSizeIterator<Item = &'a Spec>, reply: &mut Writer<'_>) {
    reply.array(specs.len());
    for spec in specs {
        reply.bulk(spec.name.as_bytes());
    }
}

/// `COMMAND DOCS`: a map from name to documentation.
pub fn reply_docs<'a>(specs: impl ExactSizeIterator<Item = &'a Spec>, reply: &mut Writer<'_>) {
    reply.map(specs.len());
    for spec in specs {
        reply.bulk(spec.name.as_bytes());
        let fields = [
            ("summary", spec.summary),
            ("since", spec.since),
            ("group", spec.group),
            ("complexity", spec.complexity),
        ];
        reply.map(fields.len());
        for (field, value) in fields {
            reply.bulk(field.as_bytes());
            reply.bulk(value.as_bytes());
        }
    }
}

/// `COMMAND GETKEYS`: the keys among the arguments of a command, whose name is the first of them.
///
/// # Errors
/// When there is no such command, the number of arguments is wrong, or no argument is a key.
pub fn reply_getkeys(
    spec: Option<&Spec>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let spec = spec.ok_or(CommandError::Other("ERR Invalid command specified"))?;
    // ONCE has the keys of the command behind its token.
    if let ("once", [_, _, args @ ..]) = (spec.name, args)
        && let Some(name) = args.first()
    {
        let spec = lookup(name).filter(|spec| spec.name != "once");
        return reply_getkeys(spec, args, reply);
    }
    if spec.first_key == 0 && spec.key_count_at == 0 && !reads_streams(spec) {
        return Err(CommandError::Other("ERR The command has no key arguments"));
    }
    spec.check_arity(args.len())
        .map_err(|_| CommandError::Other("ERR Invalid number of arguments specified for command"))?;
    let positions = key_positions(spec, args);
    if positions.is_empty() {
        return Err(CommandError::Other("ERR Invalid arguments specified for command"));
    }
    reply.array(positions.len());
    for position in positions {
        reply.bulk(args.get(position).copied().unwrap_or_default());
    }
    Ok(())
}

fn flags(spec: &Spec) -> Vec<&'static str> {
    let mut flags = vec![if spec.kind == Kind::Write { "write" } else { "readonly" }];
    if spec.grows {
        flags.push("denyoom");
    }
    if is_blocking(spec) {
        flags.push("blocking");
    }
    if spec.fast {
        flags.push("fast");
    }
    let is_movable = spec.key_count_at > 0 || Destination::of(spec).is_some() || reads_streams(spec);
    if is_movable || spec.name == "sort_ro" {
        flags.push("movablekeys");
    }
    flags
}

fn categories(spec: &Spec) -> [&'static str; 3] {
    [
        if spec.kind == Kind::Write { "@write" } else { "@read" },
        match spec.group {
            "generic" => "@keyspace",
            "string" => "@string",
            "bitmap" => "@bitmap",
            "hyperloglog" => "@hyperloglog",
            "list" => "@list",
            "hash" => "@hash",
            "set" => "@set",
            "sorted-set" => "@sortedset",
            "geo" => "@geo",
            "stream" => "@stream",
            "connection" => "@connection",
            "pubsub" => "@pubsub",
            "transactions" => "@transaction",
            "scripting" => "@scripting",
            _ => "@admin",
        },
        if spec.fast { "@fast" } else { "@slow" },
    ]
}

fn info(spec: &Spec, reply: &mut Writer<'_>) {
    reply.array(10);
    reply.bulk(spec.name.as_bytes());
    reply.integer(spec.arity.into());
    let flags = flags(spec);
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.simple(flag));
    reply.integer(spec.first_key.into());
    reply.integer(spec.last_key.into());
    reply.integer(spec.key_step.into());
    let categories = categories(spec);
    reply.set(categories.len());
    categories.iter().for_each(|category| reply.simple(category));
    // Tips, key specifications, subcommands.
    reply.array(0);
    key_specifications(spec, reply);
    reply.array(0);
}

/// Where the keys of a specification begin.
enum Begin {
    At(i32),
    /// Behind a word, which is looked for from an argument on.
    Behind(&'static str, usize),
    /// Nobody can say without taking the command apart.
    Unknown,
}

fn key_specifications(spec: &Spec, reply: &mut Writer<'_>) {
    let ranged = spec.first_key > 0 && spec.key_step > 0;
    // The options of SORT may be arguments of others, and its patterns name keys that nobody knows.
    let destinations = Destination::of(spec).filter(|_| spec.name != "sort");
    let behind = destinations.map_or_else(Vec::new, |destination| {
        destination.options.iter().map(|option| Begin::Behind(option, destination.from)).collect()
    });
    let unknown = match spec.name {
        "sort" => 2,
        "sort_ro" => 1,
        _ => 0,
    };
    let streams = usize::from(reads_streams(spec));
    reply.set(usize::from(ranged) + usize::from(spec.key_count_at > 0) + behind.len() + unknown + streams);
    let one = [("lastkey", 0), ("keystep", 1), ("limit", 0)];
    if streams > 0 {
        // The first half of what stands there.
        let half = [("lastkey", -1), ("keystep", 1), ("limit", 2)];
        let from = if spec.kind == Kind::Read { 1 } else { 4 };
        key_specification(spec, &Begin::Behind("STREAMS", from), "range", &half, reply);
    }
    if ranged {
        // The last key counts from the first one, unless it counts from the end.
        let last = if spec.last_key < 0 { spec.last_key } else { spec.last_key - spec.first_key };
        let range = [("lastkey", last), ("keystep", spec.key_step), ("limit", 0)];
        key_specification(spec, &Begin::At(spec.first_key), "range", &range, reply);
    }
    if let (Ok(at), true) = (i32::try_from(spec.key_count_at), spec.key_count_at > 0) {
        let count = [("keynumidx", 0), ("firstkey", 1), ("keystep", 1)];
        key_specification(spec, &Begin::At(at), "keynum", &count, reply);
    }
    behind.iter().for_each(|begin| key_specification(spec, begin, "range", &one, reply));
    (0..unknown).for_each(|_| key_specification(spec, &Begin::Unknown, "unknown", &[], reply));
}

fn key_specification(spec: &Spec, begin: &Begin, kind: &str, parts: &[(&str, i32)], reply: &mut Writer<'_>) {
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(1);
    reply.simple(if spec.kind == Kind::Write { "RW" } else { "RO" });
    reply.bulk(b"begin_search");
    let word = |reply: &mut Writer<'_>, name: &str, value: &str| {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    };
    let number = |reply: &mut Writer<'_>, name: &str, value: i64| {
        reply.bulk(name.as_bytes());
        reply.integer(value);
    };
    reply.map(2);
    match begin {
        Begin::At(at) => {
            word(reply, "type", "index");
            reply.bulk(b"spec");
            reply.map(1);
            number(reply, "index", (*at).into());
        }
        Begin::Behind(option, from) => {
            word(reply, "type", "keyword");
            reply.bulk(b"spec");
            reply.map(2);
            word(reply, "keyword", option);
            number(reply, "startfrom", signed(*from));
        }
        Begin::Unknown => {
            word(reply, "type", "unknown");
            reply.bulk(b"spec");
            reply.map(0);
        }
    }
    reply.bulk(b"find_keys");
    reply.map(2);
    word(reply, "type", kind);
    reply.bulk(b"spec");
    reply.map(parts.len());
    parts.iter().for_each(|(name, value)| number(reply, name, (*value).into()));
}
