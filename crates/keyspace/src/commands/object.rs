//! What is said about a value, beyond its content: `OBJECT` and `MEMORY`.

use onecopy_resp::Writer;

use crate::context::View;
use crate::error::{CommandError, Outcome};
use crate::number::{integer, is_word};

/// The answer to `HELP`.
pub(super) fn reply_help(lines: &[&str], reply: &mut Writer<'_>) {
    reply.array(lines.len());
    lines.iter().for_each(|line| reply.simple(line));
}

pub(super) fn unknown(command: &'static str, subcommand: &[u8]) -> CommandError {
    let subcommand = String::from_utf8_lossy(&subcommand[..subcommand.len().min(128)]).into_owned();
    CommandError::UnknownSubcommand { command, subcommand }
}

/// `OBJECT`. Values are not shared. When they are used is remembered while there is an eviction policy, by
/// each copy for itself: a read changes nothing, and other copies do not hear of it.
pub(crate) fn object(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let subcommand = args[1];
    if is_word(subcommand, "HELP") && args.len() == 2 {
        reply_help(
            &[
                "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
                "ENCODING <key>",
                "    Return the kind of internal representation Redis would use for the value of a key.",
                "FREQ <key>",
                "    Return how often the key is used, as it is counted under an LFU policy.",
                "IDLETIME <key>",
                "    Return for how many seconds the key was not used, under any other policy.",
                "REFCOUNT <key>",
                "    Always 1: values are not shared.",
                "HELP",
                "    Print this help.",
            ],
            reply,
        );
        return Ok(());
    }
    let names = ["object|encoding", "object|freq", "object|idletime", "object|refcount", "object|help"];
    let name = names.into_iter().find(|name| is_word(subcommand, &name["object|".len()..]));
    let name = name.ok_or_else(|| unknown("OBJECT", subcommand))?;
    let [_, _, key] = args else { return Err(CommandError::Arity(name)) };
    let policy = view.keyspace.observer.eviction().policy;
    match (name, view.object(key)) {
        ("object|help", _) => return Err(CommandError::Arity(name)),
        (_, None) => reply.null(),
        ("object|encoding", Some(object)) => {
            let limits = &view.keyspace.encodings;
            view.budget.spend(object.value.encoding_steps(limits));
            reply.bulk(object.value.encoding(limits).as_bytes());
        }
        ("object|refcount", Some(_)) => reply.integer(1),
        ("object|idletime", Some(_)) if policy.is_lfu() => {
            return Err(CommandError::Other(
                "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching \
                 between policies at runtime LRU and LFU data will take some time to adjust.",
            ));
        }
        ("object|idletime", Some(_)) if policy.evicts() => reply.integer(used(view, key).0.into()),
        ("object|idletime", Some(_)) => {
            return Err(CommandError::Other(
                "ERR idle time is only tracked while a maxmemory policy other than noeviction is selected",
            ));
        }
        (_, Some(_)) if policy.is_lfu() => reply.integer(used(view, key).1.into()),
        (_, Some(_)) => {
            return Err(CommandError::Other(
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
                 switching between policies at runtime LRU and LFU data will take some time to adjust.",
            ));
        }
    }
    Ok(())
}

/// For how many seconds a key was not used, and how often it is.
fn used(view: &View<'_>, key: &[u8]) -> (u32, u8) {
    let observer = &view.keyspace.observer;
    let place = view.database().and_then(|database| Some((database, database.locate(key).place()?)));
    place.map_or((0, 0), |(database, place)| {
        let now = view.now;
        (observer.idle(database, place, now), observer.frequency(database, place, now))
    })
}

/// `MEMORY USAGE`. The number is the one that counts against the memory limit.
pub(crate) fn memory(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let subcommand = args[1];
    if is_word(subcommand, "HELP") && args.len() == 2 {
        reply_help(
            &[
                "MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
                "USAGE <key> [SAMPLES <count>]",
                "    Return what <key> and its value count against the memory limit. SAMPLES changes nothing.",
                "HELP",
                "    Print this help.",
            ],
            reply,
        );
        return Ok(());
    }
    if !is_word(subcommand, "USAGE") {
        return Err(unknown("MEMORY", subcommand));
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
    match view.object(args[2]) {
        Some(object) => reply.integer(i64::try_from(object.memory()).unwrap_or(i64::MAX)),
        None => reply.null(),
    }
    Ok(())
}
