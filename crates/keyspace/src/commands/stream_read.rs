//! `XREAD` and `XREADGROUP`.

use std::collections::BTreeMap;

use onecopy_resp::Writer;

use super::stream_groups::no_group;
use super::stream_ids::{id, reply_id};
use super::stream_range::{ID_BYTES, Size, reply_entries, reply_entry, take};
use super::streams::{ENTRY, count};
use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::number::{is_word, parse_integer};
use crate::serving::owned;
use crate::steps::{KEY, Steps};
use crate::value::Stream;
use crate::value::stream::{Entry, Group, GroupEdit, Id, Log, Pending, Progress};
use crate::waiters::{Wanted, Wants};

/// What is asked for.
struct Request<'a, 'b> {
    /// At most so many entries of each stream.
    count: usize,
    /// Where there is nothing, it waits for so many milliseconds; 0: for ever.
    waits: Option<u64>,
    no_ack: bool,
    /// The group, and the consumer.
    group: Option<(&'b [u8], &'b [u8])>,
    keys: &'a [&'b [u8]],
    ids: &'a [&'b [u8]],
}

impl<'a, 'b> Request<'a, 'b> {
    fn parse(args: &'a [&'b [u8]], by_group: bool) -> Result<Self, CommandError> {
        let mut request =
            Self { count: usize::MAX, waits: None, no_ack: false, group: None, keys: &[], ids: &[] };
        let mut rest = &args[1..];
        loop {
            rest = match rest {
                [option, wait, tail @ ..] if is_word(option, "BLOCK") => {
                    request.waits = Some(milliseconds(wait)?);
                    tail
                }
                [option, value, tail @ ..] if is_word(option, "COUNT") => {
                    request.count = Some(count(value)?).filter(|count| *count > 0).unwrap_or(usize::MAX);
                    tail
                }
                [option, group, consumer, tail @ ..] if is_word(option, "GROUP") => {
                    if !by_group {
                        return Err(CommandError::Other(
                            "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
                        ));
                    }
                    request.group = Some((group, consumer));
                    tail
                }
                [option, tail @ ..] if is_word(option, "NOACK") => {
                    if !by_group {
                        return Err(CommandError::Other(
                            "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
                        ));
                    }
                    request.no_ack = true;
                    tail
                }
                [option, streams @ ..] if is_word(option, "STREAMS") && !streams.is_empty() => {
                    if streams.len() % 2 == 1 {
                        return Err(CommandError::Other(unbalanced(by_group)));
                    }
                    (request.keys, request.ids) = streams.split_at(streams.len() / 2);
                    break;
                }
                _ => return Err(CommandError::Syntax),
            };
        }
        if by_group && request.group.is_none() {
            return Err(CommandError::Other("ERR Missing GROUP option for XREADGROUP"));
        }
        Ok(request)
    }

    /// Nothing is there: it waits, if it is to. `ids` stand in the place of those that it came with.
    fn wait(
        &self,
        context: &mut Context<'_>,
        args: &[&[u8]],
        (wants, ids): (Wants, Option<Vec<Id>>),
        reply: &mut Writer<'_>,
    ) {
        let Some(timeout) = self.waits else { return reply.null_array() };
        let wanted = || {
            let mut args = owned(args);
            let first = args.len() - self.ids.len();
            for (arg, id) in args[first..].iter_mut().zip(ids.into_iter().flatten()) {
                *arg = id.with_text(|text| Box::from(text));
            }
            Wanted { wants, args, keys: owned(self.keys), target: None, timeout, token: None }
        };
        if !context.wait(wanted) {
            reply.null_array();
        }
    }
}

fn unbalanced(by_group: bool) -> &'static str {
    if by_group {
        "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified."
    } else {
        "ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified."
    }
}

/// How long somebody waits.
fn milliseconds(arg: &[u8]) -> Result<u64, CommandError> {
    let number =
        parse_integer(arg).ok_or(CommandError::Other("ERR timeout is not an integer or out of range"))?;
    u64::try_from(number).map_err(|_| CommandError::Other("ERR timeout is negative"))
}

/// The entries behind an id.
fn behind(log: &Log, id: Id) -> impl Iterator<Item = Entry<'_>> {
    // There is nothing behind the last of all ids.
    let start = id.next();
    start.into_iter().flat_map(|start| log.range(start, Id::MAX))
}

pub(crate) fn xread(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let request = Request::parse(args, false)?;
    if read(view, &request, reply)?.is_some() {
        reply.null_array();
    }
    Ok(())
}

pub(crate) fn xread_or_wait(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let request = Request::parse(args, false)?;
    if let Some(ids) = read(&context.view(), &request, reply)? {
        request.wait(context, args, (Wants::Stream, Some(ids)), reply);
    }
    Ok(())
}

/// Reads what there is. If that is nothing: behind which ids there is nothing.
fn read(
    view: &View<'_>,
    request: &Request<'_, '_>,
    reply: &mut Writer<'_>,
) -> Result<Option<Vec<Id>>, CommandError> {
    let (mut size, mut steps) = (Size::default(), Steps::new(view.budget));
    let mut found = Vec::new();
    let mut streams = Vec::with_capacity(request.keys.len());
    for (key, from) in request.keys.iter().zip(request.ids) {
        steps.take(KEY)?;
        let stream = view.read::<Stream>(key)?;
        let from = match *from {
            b"$" => stream.map_or(Id::ZERO, Stream::last),
            b">" => {
                return Err(CommandError::Other(
                    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> \
                     <consumer> option.",
                ));
            }
            from => id(from, 0)?,
        };
        streams.push((key, stream, from));
    }
    let ids: Vec<Id> = streams.iter().map(|(.., from)| *from).collect();
    for (key, stream, from) in streams {
        let Some(stream) = stream else { continue };
        let entries = take(behind(stream.log(), from).take(request.count), &mut size, &mut steps)?;
        if !entries.is_empty() {
            size.add(2, key.len() as u64)?;
            found.push((key, entries));
        }
    }
    if found.is_empty() {
        return Ok(Some(ids));
    }
    reply.entries(found.len());
    for (key, entries) in found {
        reply.entry();
        reply.bulk(key);
        reply_entries(&entries, reply);
    }
    Ok(None)
}

/// What a consumer gets of a stream.
#[derive(Clone, Copy)]
enum Served {
    /// So many entries behind an id, which nobody of the group has got.
    New(Id, usize),
    /// What it has got before, and not acknowledged, behind an id.
    Again(Id),
    Nothing,
}

/// What stream is read for a group, and from where.
fn plan(
    context: &Context<'_>,
    request: &Request<'_, '_>,
    names: (&[u8], &[u8]),
) -> Result<Vec<Served>, CommandError> {
    let view = context.view();
    let (mut size, mut steps) = (Size::default(), Steps::new(view.budget));
    let mut wanted = Vec::with_capacity(request.keys.len());
    for (key, from) in request.keys.iter().zip(request.ids) {
        steps.take(KEY)?;
        let stream = view.read::<Stream>(key)?;
        let group = stream.and_then(|stream| Some((stream, stream.group(names.0)?)));
        let Some((stream, group)) = group else {
            return Err(no_group(key, names.0, " in XREADGROUP with GROUP option"));
        };
        let from = match *from {
            b">" => None,
            b"$" => {
                return Err(CommandError::Other(
                    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history \
                     of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID \
                     would just return an empty result set.",
                ));
            }
            // Redis takes the last of all ids for the sign that new entries are wanted.
            from => Some(id(from, 0)?).filter(|from| *from != Id::MAX),
        };
        wanted.push((*key, stream, group, from));
    }
    // From where and how far the group comes in a stream, which may be named several times.
    let mut came_to: BTreeMap<&[u8], (Id, Id)> = BTreeMap::new();
    let mut plan = Vec::with_capacity(wanted.len());
    for (key, stream, group, from) in wanted {
        let served = match from {
            None => {
                let last = came_to.get(key).map_or(group.last, |(_, to)| *to);
                let new = take(behind(stream.log(), last).take(request.count), &mut size, &mut steps)?;
                steps.reserve(new.len().saturating_mul(ENTRY))?;
                match new.last() {
                    Some(newest) => {
                        came_to.entry(key).or_insert((last, newest.id)).1 = newest.id;
                        Served::New(last, new.len())
                    }
                    None => Served::Nothing,
                }
            }
            Some(from) => {
                size_history(stream, group, names.1, from, request.count, &mut size, &mut steps)?;
                if let Some((start, end)) = came_to.get(key) {
                    // What was new before in this command is there again.
                    let again = behind(stream.log(), *start).take_while(|entry| entry.id <= *end);
                    take(again.take(request.count), &mut size, &mut steps)?;
                }
                Served::Again(from)
            }
        };
        size.add(2, key.len() as u64)?;
        plan.push(served);
    }
    Ok(plan)
}

/// What a consumer has got, and not acknowledged, behind an id.
fn history<'a>(
    group: &'a Group,
    consumer: &[u8],
    from: Id,
    count: usize,
) -> impl Iterator<Item = Id> + use<'a> {
    let consumer = group.find(consumer).map(|place| group.consumer(place));
    let ids =
        consumer.zip(from.next()).into_iter().flat_map(|(consumer, start)| consumer.pending.since(start));
    ids.copied().take(count)
}

fn size_history(
    stream: &Stream,
    group: &Group,
    consumer: &[u8],
    from: Id,
    count: usize,
    size: &mut Size,
    steps: &mut Steps<'_>,
) -> Outcome {
    for id in history(group, consumer, from, count) {
        steps.take(ENTRY)?;
        steps.reserve(ENTRY)?;
        match stream.log().get(id) {
            Some(entry) => size.add_entry(&entry, steps)?,
            None => size.add(3, ID_BYTES)?,
        }
    }
    Ok(())
}

/// Gives a consumer new entries.
fn serve_new(
    log: &Log,
    group: &mut GroupEdit<'_>,
    progress: &Progress,
    (place, now): (u32, u64),
    (from, count): (Id, usize),
    no_ack: bool,
    reply: &mut Writer<'_>,
) {
    reply.array(count);
    for entry in behind(log, from).take(count) {
        reply_entry(&entry, reply);
        group.come_to(entry.id, progress);
        if !no_ack {
            group.assign(Pending { id: entry.id, consumer: place, delivered: now, deliveries: 1 });
            group.serve(place, now);
        }
    }
}

/// Gives a consumer once more what it has.
fn serve_again(
    log: &Log,
    group: &mut GroupEdit<'_>,
    (place, now): (u32, u64),
    ids: &[Id],
    reply: &mut Writer<'_>,
) {
    reply.array(ids.len());
    for id in ids {
        let Some(entry) = log.get(*id) else {
            reply.array(2);
            reply_id(*id, reply);
            reply.null_array();
            continue;
        };
        reply_entry(&entry, reply);
        let deliveries = group.pending().get(*id).map_or(0, |pending| pending.deliveries).wrapping_add(1);
        group.assign(Pending { id: *id, consumer: place, delivered: now, deliveries });
    }
}

pub(crate) fn xreadgroup(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let request = Request::parse(args, true)?;
    let names = request.group.unwrap_or_default();
    let plan = plan(context, &request, names)?;
    let served = plan.iter().filter(|served| !matches!(served, Served::Nothing)).count();
    let (now, budget) = (context.clock().0, context.budget());
    if served > 0 {
        reply.entries(served);
    } else {
        request.wait(context, args, (Wants::Group, None), reply);
    }
    for (key, served) in request.keys.iter().zip(plan) {
        let mut is_new = false;
        context.resize::<Stream, _>(key, |stream| {
            let progress = stream.progress();
            stream.change_group(names.0, |log, group| {
                is_new = group.find(names.1).is_none();
                let place = group.hear_of(names.1, now);
                if matches!(served, Served::Nothing) {
                    return;
                }
                reply.entry();
                reply.bulk(key);
                match served {
                    Served::New(from, count) => {
                        let who = (place, now);
                        serve_new(log, group, &progress, who, (from, count), request.no_ack, reply);
                    }
                    Served::Again(from) => {
                        let ids: Vec<Id> = history(group, names.1, from, request.count).collect();
                        serve_again(log, group, (place, now), &ids, reply);
                    }
                    Served::Nothing => {}
                }
            });
        })?;
        if is_new {
            context.say(key, "xgroup-createconsumer");
        }
        budget.spend(KEY);
    }
    Ok(())
}
