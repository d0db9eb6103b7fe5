//! `PUBLISH`, `PUBSUB`, and the registering of subscriptions.
//!
//! A client's `SUBSCRIBE` is answered by its connection, once this one is executed: its reply says where the
//! feed of the node stood then ([`Mark`](crate::channels)). So the connection knows which messages are for
//! it.

use bytes::Bytes;
use onecopy_resp::Writer;

use crate::channels::{ListenerId, Message, Sort};
use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::glob;
use crate::number::is_word;
use crate::pieces::copy;
use crate::steps::{ELEMENT, KEY, Steps};

const NOBODY: CommandError = CommandError::Other("ERR a connection subscribes, and this is none");
const ELSEWHERE: CommandError = CommandError::Other(
    "ERR messages go through the log of the database with the number 0: PUBLISH is no part of transactions and scripts of \
     databases beside it",
);

pub(crate) fn publish(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    say(context, Sort::Channel, args, reply)
}

pub(crate) fn spublish(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    say(context, Sort::Shard, args, reply)
}

fn say(context: &mut Context<'_>, sort: Sort, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    if !context.keyspace.has_channels {
        return Err(ELSEWHERE);
    }
    let budget = context.budget();
    let payload = context.apply.share(args[2]).unwrap_or_else(|| Bytes::from(copy(args[2], budget)));
    let message = Message { sort, channel: Bytes::copy_from_slice(args[1]), payload };
    let receivers = context.keyspace.publish(context.apply, message);
    reply.integer(i64::try_from(receivers).unwrap_or(i64::MAX));
    Ok(())
}

/// Whose subscriptions a command is about.
fn listener(context: &Context<'_>) -> Result<ListenerId, CommandError> {
    let number = context.listener.ok_or(NOBODY)?;
    let coordinator = context.apply.batch.ok_or(NOBODY)?.coordinator;
    Ok(ListenerId { coordinator, number })
}

fn register(context: &mut Context<'_>, sort: Sort, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let listener = listener(context)?;
    context.budget().spend(KEY * args.len());
    let memory_max = context.apply.memory_max;
    context.keyspace.channels.subscribe((listener, sort), &args[1..], memory_max)?.write(reply);
    Ok(())
}

fn end(context: &mut Context<'_>, sort: Sort, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let listener = listener(context)?;
    context.budget().spend(KEY * args.len());
    context.keyspace.channels.unsubscribe((listener, sort), &args[1..]).write(reply);
    Ok(())
}

pub(crate) fn subscribe(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    register(context, Sort::Channel, args, reply)
}

pub(crate) fn psubscribe(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    register(context, Sort::Pattern, args, reply)
}

pub(crate) fn ssubscribe(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    register(context, Sort::Shard, args, reply)
}

pub(crate) fn unsubscribe(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    end(context, Sort::Channel, args, reply)
}

pub(crate) fn punsubscribe(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    end(context, Sort::Pattern, args, reply)
}

pub(crate) fn sunsubscribe(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    end(context, Sort::Shard, args, reply)
}

const HELP: [&str; 14] = [
    "PUBSUB <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CHANNELS [<pattern>]",
    "    Return the currently active channels matching a <pattern> (default: '*').",
    "NUMPAT",
    "    Return number of subscriptions to patterns.",
    "NUMSUB [<channel> ...]",
    "    Return the number of subscribers for the specified channels, excluding",
    "    pattern subscriptions(default: no channels).",
    "SHARDCHANNELS [<pattern>]",
    "    Return the currently active shard level channels matching a <pattern> (default: '*').",
    "SHARDNUMSUB [<shardchannel> ...]",
    "    Return the number of subscribers for the specified shard level channel(s)",
    "HELP",
    "    Print this help.",
];

/// `PUBSUB subcommand …`, for all nodes together.
pub(crate) fn pubsub(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let is = |word: &str| is_word(args[1], word);
    match &args[2..] {
        [] if is("CHANNELS") => channels(view, Sort::Channel, b"*", reply),
        [pattern] if is("CHANNELS") => channels(view, Sort::Channel, pattern, reply),
        [] if is("SHARDCHANNELS") => channels(view, Sort::Shard, b"*", reply),
        [pattern] if is("SHARDCHANNELS") => channels(view, Sort::Shard, pattern, reply),
        [] if is("NUMPAT") => {
            reply.length(view.keyspace.channels.interest.names(Sort::Pattern).len());
            Ok(())
        }
        names if is("NUMSUB") => numbers(view, Sort::Channel, names, reply),
        names if is("SHARDNUMSUB") => numbers(view, Sort::Shard, names, reply),
        [] if is("HELP") => {
            reply.array(HELP.len());
            HELP.iter().for_each(|line| reply.simple(line));
            Ok(())
        }
        _ => {
            let (command, subcommand) = ("PUBSUB", &args[1][..args[1].len().min(128)]);
            let subcommand = String::from_utf8_lossy(subcommand).into_owned();
            Err(match ["CHANNELS", "SHARDCHANNELS", "NUMPAT", "HELP"].into_iter().find(|word| is(word)) {
                Some("NUMPAT") => CommandError::Arity("pubsub|numpat"),
                Some("HELP") => CommandError::Arity("pubsub|help"),
                Some(_) => CommandError::UnknownForm { command, subcommand },
                None => CommandError::UnknownSubcommand { command, subcommand },
            })
        }
    }
}

fn channels(view: &View<'_>, sort: Sort, pattern: &[u8], reply: &mut Writer<'_>) -> Outcome {
    let mut steps = Steps::new(view.budget);
    let mut found = Vec::new();
    for name in view.keyspace.channels.interest.names(sort) {
        steps.take(ELEMENT)?;
        let matches = glob::matches_within(pattern, name, |few| steps.take(few).is_ok());
        if matches.ok_or(CommandError::TooLong)? {
            found.push(name);
        }
    }
    reply.array(found.len());
    found.into_iter().for_each(|name| reply.bulk(name));
    Ok(())
}

fn numbers(view: &View<'_>, sort: Sort, names: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply.array(2 * names.len());
    for name in names {
        view.budget.spend(KEY);
        reply.bulk(name);
        let count = view.keyspace.channels.interest.count(sort, name);
        reply.integer(i64::try_from(count).unwrap_or(i64::MAX));
    }
    Ok(())
}
