//! What is said about a stream, its groups and their consumers: `XINFO`.

use onecopy_resp::Writer;

use super::object::reply_help;
use super::stream_groups::{no_such_group, subcommand, unknown_form};
use super::stream_ids::reply_id;
use super::stream_range::{ID_BYTES, Size, reply_entries, reply_entry, take};
use crate::context::View;
use crate::error::{CommandError, Outcome};
use crate::number::{integer, is_word, signed};
use crate::steps::Steps;
use crate::value::Stream;
use crate::value::stream::{Consumer, Group, Id, Progress};

const SUBCOMMANDS: [(&str, i32); 4] =
    [("xinfo|consumers", 4), ("xinfo|groups", 3), ("xinfo|help", 2), ("xinfo|stream", -3)];

const HELP: [&str; 9] = [
    "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CONSUMERS <key> <groupname>",
    "    Show consumers of <groupname>.",
    "GROUPS <key>",
    "    Show the stream consumer groups.",
    "STREAM <key> [FULL [COUNT <count>]",
    "    Show information about the stream.",
    "HELP",
    "    Print this help.",
];

/// So many entries are shown of everything, if nothing else is asked for.
const SHOWN: usize = 10;
/// About what a map about a group or a consumer has besides names.
const MAP: (usize, u64) = (16, 160);

pub(crate) fn xinfo(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let name = subcommand("XINFO", &SUBCOMMANDS, args)?;
    if name == "xinfo|help" {
        reply_help(&HELP, reply);
        return Ok(());
    }
    let stream = view.read::<Stream>(args[2])?.ok_or(CommandError::NoSuchKey)?;
    match name {
        "xinfo|groups" => groups(view, stream, reply),
        "xinfo|consumers" => {
            let group = stream.group(args[3]).ok_or_else(|| no_such_group(args[2], args[3]))?;
            consumers(view, group, reply)
        }
        _ => match &args[3..] {
            [] => short(view, stream, reply),
            [full] if is_word(full, "FULL") => in_full(view, stream, SHOWN, reply),
            [full, option, count] if is_word(full, "FULL") && is_word(option, "COUNT") => {
                let count = match integer(count)? {
                    ..0 => SHOWN,
                    0 => usize::MAX,
                    count => usize::try_from(count).unwrap_or(usize::MAX),
                };
                in_full(view, stream, count, reply)
            }
            _ => Err(unknown_form("XINFO", args[1])),
        },
    }
}

fn number(name: &str, number: i64, reply: &mut Writer<'_>) {
    reply.bulk(name.as_bytes());
    reply.integer(number);
}

fn option(name: &str, number: Option<i64>, reply: &mut Writer<'_>) {
    reply.bulk(name.as_bytes());
    match number {
        Some(number) => reply.integer(number),
        None => reply.null(),
    }
}

fn named_id(name: &str, id: Id, reply: &mut Writer<'_>) {
    reply.bulk(name.as_bytes());
    reply_id(id, reply);
}

/// What both forms of `XINFO STREAM` begin with: seven fields.
fn head(stream: &Stream, progress: &Progress, reply: &mut Writer<'_>) {
    number("length", signed(stream.log().len()), reply);
    number("radix-tree-keys", signed(stream.log().chunks()), reply);
    number("radix-tree-nodes", signed(stream.log().chunks() + 1), reply);
    named_id("last-generated-id", stream.last(), reply);
    named_id("max-deleted-entry-id", stream.deleted(), reply);
    number("entries-added", progress.added, reply);
    named_id("recorded-first-entry-id", stream.log().first().map_or(Id::ZERO, |first| first.id), reply);
}

fn short(view: &View<'_>, stream: &Stream, reply: &mut Writer<'_>) -> Outcome {
    let (mut size, mut steps) = (Size::default(), Steps::new(view.budget));
    let ends = [("first-entry", stream.log().first()), ("last-entry", stream.log().last())];
    ends.iter().filter_map(|(_, entry)| *entry).try_for_each(|entry| size.add_entry(&entry, &mut steps))?;
    reply.map(10);
    head(stream, &stream.progress(), reply);
    number("groups", signed(stream.groups().len()), reply);
    for (name, entry) in ends {
        reply.bulk(name.as_bytes());
        match entry {
            Some(entry) => reply_entry(&entry, reply),
            None => reply.null(),
        }
    }
    Ok(())
}

fn groups(view: &View<'_>, stream: &Stream, reply: &mut Writer<'_>) -> Outcome {
    let (mut size, mut steps) = (Size::default(), Steps::new(view.budget));
    for (name, _) in stream.groups() {
        steps.take(1)?;
        steps.reserve(MAP.0)?;
        size.add(MAP.0, MAP.1 + name.len() as u64)?;
    }
    let progress = stream.progress();
    reply.array(stream.groups().len());
    for (name, group) in stream.groups() {
        reply.map(6);
        reply.bulk(b"name");
        reply.bulk(name);
        number("consumers", signed(group.len()), reply);
        number("pending", signed(group.pending().len()), reply);
        named_id("last-delivered-id", group.last, reply);
        option("entries-read", group.read, reply);
        option("lag", group.lag(&progress), reply);
    }
    Ok(())
}

fn consumers(view: &View<'_>, group: &Group, reply: &mut Writer<'_>) -> Outcome {
    let (mut size, mut steps) = (Size::default(), Steps::new(view.budget));
    let now = view.now.0.cast_signed();
    for consumer in group.consumers() {
        steps.take(1)?;
        steps.reserve(MAP.0)?;
        size.add(MAP.0, MAP.1 + consumer.name.len() as u64)?;
    }
    let since = |time: u64| now.wrapping_sub(time.cast_signed()).max(0);
    reply.array(group.len());
    for consumer in group.consumers() {
        reply.map(4);
        reply.bulk(b"name");
        reply.bulk(&consumer.name);
        number("pending", signed(consumer.pending.len()), reply);
        number("idle", since(consumer.seen), reply);
        number("inactive", consumer.active.map_or(-1, since), reply);
    }
    Ok(())
}

fn in_full(view: &View<'_>, stream: &Stream, count: usize, reply: &mut Writer<'_>) -> Outcome {
    let (mut size, mut steps) = (Size::default(), Steps::new(view.budget));
    let entries = take(stream.log().range(Id::ZERO, Id::MAX).take(count), &mut size, &mut steps)?;
    for (name, group) in stream.groups() {
        let consumers = group.consumers().map(|consumer| (consumer.name.len(), consumer.pending.len(), 4));
        for (name, pending, width) in std::iter::once((name.len(), group.pending().len(), 5)).chain(consumers)
        {
            let shown = pending.min(count);
            let elements = MAP.0 + width * shown;
            steps.take(1)?;
            steps.reserve(elements)?;
            size.add(elements, MAP.1 + name as u64 + ID_BYTES * shown as u64)?;
        }
        for pending in group.pending().since_position(0).take(count) {
            steps.take(1)?;
            size.add(0, group.consumer(pending.consumer).name.len() as u64)?;
        }
    }
    let progress = stream.progress();
    reply.map(9);
    head(stream, &progress, reply);
    reply.bulk(b"entries");
    reply_entries(&entries, reply);
    reply.bulk(b"groups");
    reply.array(stream.groups().len());
    stream.groups().for_each(|(name, group)| group_in_full(name, group, &progress, count, reply));
    Ok(())
}

fn group_in_full(name: &[u8], group: &Group, progress: &Progress, count: usize, reply: &mut Writer<'_>) {
    reply.map(7);
    reply.bulk(b"name");
    reply.bulk(name);
    named_id("last-delivered-id", group.last, reply);
    option("entries-read", group.read, reply);
    option("lag", group.lag(progress), reply);
    number("pel-count", signed(group.pending().len()), reply);
    reply.bulk(b"pending");
    reply.array(group.pending().len().min(count));
    for pending in group.pending().since_position(0).take(count) {
        reply.array(4);
        reply_id(pending.id, reply);
        reply.bulk(&group.consumer(pending.consumer).name);
        reply.integer(pending.delivered.cast_signed());
        reply.integer(pending.deliveries.cast_signed());
    }
    reply.bulk(b"consumers");
    reply.array(group.len());
    group.consumers().for_each(|consumer| consumer_in_full(group, consumer, count, reply));
}

fn consumer_in_full(group: &Group, consumer: &Consumer, count: usize, reply: &mut Writer<'_>) {
    reply.map(5);
    reply.bulk(b"name");
    reply.bulk(&consumer.name);
    number("seen-time", consumer.seen.cast_signed(), reply);
    number("active-time", consumer.active.map_or(-1, u64::cast_signed), reply);
    number("pel-count", signed(consumer.pending.len()), reply);
    reply.bulk(b"pending");
    reply.array(consumer.pending.len().min(count));
    for id in consumer.pending.since_position(0).take(count) {
        let pending = group.pending().get(*id);
        reply.array(3);
        reply_id(*id, reply);
        reply.integer(pending.map_or(0, |pending| pending.delivered.cast_signed()));
        reply.integer(pending.map_or(0, |pending| pending.deliveries.cast_signed()));
    }
}
