//! Consumer groups: `XGROUP` and `XACK`.

use onecopy_resp::Writer;

use super::object::reply_help;
use super::stream_ids::{id, id_or_end};
use super::streams::{ENTRY, ids};
use crate::context::Context;
use crate::error::{CommandError, Outcome};
use crate::number::{integer, is_word};
use crate::value::stream::{Group, GroupEdit, Id};
use crate::value::{Edit, Stream, Typed};

/// How much of a name is repeated in an error.
const NAME_BYTES_MAX: usize = 1024;

pub(super) fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(&name[..name.len().min(NAME_BYTES_MAX)]).into_owned()
}

/// There is no such key, or no such group.
pub(super) fn no_group(key: &[u8], group: &[u8], behind: &str) -> CommandError {
    CommandError::NoGroup(format!(
        "No such key '{}' or consumer group '{}'{behind}",
        shown(key),
        shown(group)
    ))
}

/// There is such a key, but no such group.
pub(super) fn no_such_group(key: &[u8], group: &[u8]) -> CommandError {
    CommandError::NoGroup(format!("No such consumer group '{}' for key name '{}'", shown(group), shown(key)))
}

/// A form of a command that there is not.
pub(super) fn unknown_form(command: &'static str, subcommand: &[u8]) -> CommandError {
    let subcommand = String::from_utf8_lossy(&subcommand[..subcommand.len().min(128)]).into_owned();
    CommandError::UnknownForm { command, subcommand }
}

/// A subcommand with the number of arguments that it takes; at least so many when negative.
pub(super) fn subcommand(
    command: &'static str,
    known: &[(&'static str, i32)],
    args: &[&[u8]],
) -> Result<&'static str, CommandError> {
    let found = known.iter().find(|(name, _)| is_word(args[1], &name[command.len() + 1..]));
    let Some((name, arity)) = found else {
        let subcommand = String::from_utf8_lossy(&args[1][..args[1].len().min(128)]).into_owned();
        return Err(CommandError::UnknownSubcommand { command, subcommand });
    };
    let expected = arity.unsigned_abs() as usize;
    let is_right = if *arity < 0 { args.len() >= expected } else { args.len() == expected };
    if is_right { Ok(name) } else { Err(CommandError::Arity(name)) }
}

const SUBCOMMANDS: [(&str, i32); 6] = [
    ("xgroup|create", -5),
    ("xgroup|createconsumer", 5),
    ("xgroup|delconsumer", 5),
    ("xgroup|destroy", 4),
    ("xgroup|help", 2),
    ("xgroup|setid", -5),
];

const HELP: [&str; 17] = [
    "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CREATE <key> <groupname> <id|$> [option]",
    "    Create a new consumer group. Options are:",
    "    * MKSTREAM",
    "      Create the empty stream if it does not exist.",
    "    * ENTRIESREAD entries_read",
    "      Say how many entries the group has read before.",
    "CREATECONSUMER <key> <groupname> <consumer>",
    "    Create a new consumer in the specified group.",
    "DELCONSUMER <key> <groupname> <consumer>",
    "    Remove the specified consumer.",
    "DESTROY <key> <groupname>",
    "    Remove the specified group.",
    "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
    "    Set the current group ID and, if known, how many entries it has read.",
    "HELP",
    "    Print this help.",
];

/// The options of `CREATE` and `SETID`.
#[derive(Default)]
struct Options {
    make_stream: bool,
    read: Option<i64>,
}

impl Options {
    fn parse(name: &str, args: &[&[u8]]) -> Result<Self, CommandError> {
        let (creates, sets) = (name == "xgroup|create", name == "xgroup|setid");
        let (mut options, mut rest) = (Self::default(), args.get(5..).unwrap_or_default());
        while let [option, tail @ ..] = rest {
            rest = match tail {
                _ if creates && is_word(option, "MKSTREAM") => {
                    options.make_stream = true;
                    tail
                }
                [read, tail @ ..] if (creates || sets) && is_word(option, "ENTRIESREAD") => {
                    options.read = match integer(read)? {
                        -1 => None,
                        read @ 0.. => Some(read),
                        _ => {
                            return Err(CommandError::Other(
                                "ERR value for ENTRIESREAD must be positive or -1",
                            ));
                        }
                    };
                    tail
                }
                _ => return Err(unknown_form("XGROUP", args[1])),
            };
        }
        Ok(options)
    }
}

pub(crate) fn xgroup(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let name = subcommand("XGROUP", &SUBCOMMANDS, args)?;
    if name == "xgroup|help" {
        reply_help(&HELP, reply);
        return Ok(());
    }
    let (key, group) = (args[2], args[3]);
    let options = Options::parse(name, args)?;
    let stream = context.read::<Stream>(key)?;
    match stream {
        None if !options.make_stream => {
            return Err(CommandError::Other(
                "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to \
                 use the MKSTREAM option to create an empty stream automatically.",
            ));
        }
        Some(stream)
            if stream.group(group).is_none() && !matches!(name, "xgroup|create" | "xgroup|destroy") =>
        {
            return Err(no_such_group(key, group));
        }
        _ => {}
    }
    match name {
        "xgroup|create" => create(context, args, &options, reply),
        "xgroup|setid" => {
            let last = match args[4] {
                b"$" => stream.map_or(Id::ZERO, Stream::last),
                last => id_or_end(last, 0)?,
            };
            change(context, key, group, |group| group.set_progress(last, options.read))?;
            context.say(key, "xgroup-setid");
            reply.ok();
            Ok(())
        }
        "xgroup|destroy" => {
            let destroyed = context.resize::<Stream, _>(key, |stream| stream.remove_group(group))?;
            let (was_there, destroyed) = destroyed.unwrap_or_default();
            reply.integer(was_there.into());
            // Whoever waits as one of its consumers is told.
            context.signal_waiters(key);
            if was_there {
                context.say(key, "xgroup-destroy");
            }
            if let Some(destroyed) = destroyed {
                // What it has may be much.
                let mut rest = Stream::new();
                rest.add_group(group, destroyed);
                context.discard(rest.into_value());
            }
            Ok(())
        }
        "xgroup|createconsumer" => {
            context.admit_growth()?;
            let now = context.clock().0;
            let added = change(context, key, group, |group| group.add_consumer(args[4], now))?;
            if added == Some(true) {
                context.say(key, "xgroup-createconsumer");
            }
            reply.integer(added.unwrap_or(false).into());
            Ok(())
        }
        _ => {
            let consumer = args[4];
            let found = stream.and_then(|stream| stream.group(group));
            let found = found.and_then(|group| group.find(consumer).map(|place| group.consumer(place)));
            crate::steps::afford(
                context.budget(),
                found.map_or(0, |found| found.pending.len()).saturating_mul(ENTRY),
            )?;
            let budget = context.budget();
            let removed =
                change(context, key, group, |group| group.remove_consumer(consumer, || budget.spend(ENTRY)))?;
            if removed.is_some_and(|pending| pending.is_some()) {
                context.say(key, "xgroup-delconsumer");
            }
            reply.length(removed.flatten().unwrap_or(0));
            Ok(())
        }
    }
}

/// Lets `change` have a group.
fn change<R>(
    context: &mut Context<'_>,
    key: &[u8],
    group: &[u8],
    change: impl FnOnce(&mut GroupEdit<'_>) -> R,
) -> Result<Option<R>, CommandError> {
    let changed =
        context.resize::<Stream, _>(key, |stream| stream.change_group(group, |_, group| change(group)))?;
    Ok(changed.flatten())
}

fn create(context: &mut Context<'_>, args: &[&[u8]], options: &Options, reply: &mut Writer<'_>) -> Outcome {
    let (key, group) = (args[2], args[3]);
    if args.len() > 8 {
        return Err(unknown_form("XGROUP", args[1]));
    }
    context.admit_growth()?;
    let stream = context.read::<Stream>(key)?;
    let last = match args[4] {
        b"$" => stream.map_or(Id::ZERO, Stream::last),
        last => id(last, 0)?,
    };
    if stream.is_some_and(|stream| stream.group(group).is_some()) {
        return Err(CommandError::Other("BUSYGROUP Consumer Group name already exists"));
    }
    let add = |stream: &mut Edit<'_, Stream>| stream.add_group(group, Group::new(last, options.read));
    // Groups are no part of what is watched, but a stream that was not there is.
    match stream.is_some() {
        true => drop(context.resize::<Stream, _>(key, add)?),
        false => drop(context.upsert::<Stream, _>(key, add)?),
    }
    context.say(key, "xgroup-create");
    reply.ok();
    Ok(())
}

pub(crate) fn xack(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (key, group) = (args[1], args[2]);
    if context.read::<Stream>(key)?.is_none_or(|stream| stream.group(group).is_none()) {
        reply.length(0);
        return Ok(());
    }
    let (ids, budget) = (ids(&args[3..])?, context.budget());
    let acknowledged = change(context, key, group, |group| {
        let ids = ids.iter().inspect(|_| budget.spend(ENTRY));
        ids.filter(|id| group.forget(**id)).count()
    })?;
    reply.length(acknowledged.unwrap_or(0));
    Ok(())
}
