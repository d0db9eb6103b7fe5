//! What is delivered and not acknowledged: `XPENDING`.

use onecopy_resp::Writer;

use super::stream_groups::no_group;
use super::stream_ids::{end, reply_id, start};
use super::stream_range::{ID_BYTES, Size};
use super::streams::{ENTRY, count};
use crate::context::View;
use crate::error::{CommandError, Outcome};
use crate::number::{integer, is_word, signed};
use crate::steps::Steps;
use crate::value::Stream;
use crate::value::stream::{Group, Id, Pending};

/// What is asked for of what is pending.
struct Wanted<'a> {
    start: Id,
    end: Id,
    count: usize,
    /// Since when nobody may have got it.
    idle: i64,
    consumer: Option<&'a [u8]>,
}

impl<'a> Wanted<'a> {
    fn parse(args: &[&'a [u8]]) -> Result<Self, CommandError> {
        let (idle, rest) = match args {
            [option, idle, rest @ ..] if is_word(option, "IDLE") => (integer(idle)?, rest),
            _ => (0, args),
        };
        let (first, last, most, consumer) = match rest {
            [first, last, most] => (first, last, most, None),
            [first, last, most, consumer, ..] => (first, last, most, Some(*consumer)),
            _ => return Err(CommandError::Syntax),
        };
        let count = count(most)?;
        Ok(Self { start: start(first)?, end: end(last)?, count, idle, consumer })
    }
}

/// How long ago something was delivered.
pub(super) fn idle(pending: &Pending, now: u64) -> i64 {
    now.cast_signed().wrapping_sub(pending.delivered.cast_signed())
}

pub(crate) fn xpending(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (key, name) = (args[1], args[2]);
    let wanted = match &args[3..] {
        [] => None,
        rest @ ([_, _, _] | [_, _, _, _] | [_, _, _, _, _] | [_, _, _, _, _, _]) => {
            Some(Wanted::parse(rest)?)
        }
        _ => return Err(CommandError::Syntax),
    };
    let stream = view.read::<Stream>(key)?;
    let group = stream.and_then(|stream| stream.group(name)).ok_or_else(|| no_group(key, name, ""))?;
    match wanted {
        None => summary(view, group, reply),
        Some(wanted) => list(view, group, &wanted, reply),
    }
}

fn summary(view: &View<'_>, group: &Group, reply: &mut Writer<'_>) -> Outcome {
    let (mut size, mut steps) = (Size::default(), Steps::new(view.budget));
    let mut busy = Vec::new();
    for consumer in group.consumers() {
        steps.take(2)?;
        if consumer.pending.len() > 0 {
            size.add(3, consumer.name.len() as u64 + 20)?;
            busy.push(consumer);
        }
    }
    reply.array(4);
    reply.length(group.pending().len());
    let (Some(first), Some(last)) = (group.pending().first(), group.pending().last()) else {
        reply.null();
        reply.null();
        reply.null_array();
        return Ok(());
    };
    reply_id(first.id, reply);
    reply_id(last.id, reply);
    reply.array(busy.len());
    for consumer in busy {
        reply.array(2);
        reply.bulk(&consumer.name);
        reply.bulk_integer(signed(consumer.pending.len()));
    }
    Ok(())
}

fn list(view: &View<'_>, group: &Group, wanted: &Wanted<'_>, reply: &mut Writer<'_>) -> Outcome {
    let now = view.now.0;
    let (mut size, mut steps) = (Size::default(), Steps::new(view.budget));
    let mut found = Vec::new();
    let mut take = |pending: &Pending, cost| {
        steps.take(cost)?;
        if wanted.idle == 0 || idle(pending, now) >= wanted.idle {
            size.add(5, ID_BYTES + group.consumer(pending.consumer).name.len() as u64)?;
            steps.reserve(3)?;
            found.push(*pending);
        }
        Ok::<bool, CommandError>(found.len() < wanted.count)
    };
    match wanted.consumer.map(|name| group.find(name)) {
        _ if wanted.count == 0 => {}
        None => {
            for pending in group.pending().since(wanted.start).take_while(|pending| pending.id <= wanted.end)
            {
                if !take(pending, 1)? {
                    break;
                }
            }
        }
        Some(None) => {}
        Some(Some(place)) => {
            let ids = group.consumer(place).pending.since(wanted.start).take_while(|id| **id <= wanted.end);
            for pending in ids.filter_map(|id| group.pending().get(*id)) {
                if !take(pending, ENTRY)? {
                    break;
                }
            }
        }
    }
    reply.array(found.len());
    for pending in found {
        reply.array(4);
        reply_id(pending.id, reply);
        reply.bulk(&group.consumer(pending.consumer).name);
        reply.integer(idle(&pending, now).max(0));
        reply.integer(pending.deliveries.cast_signed());
    }
    Ok(())
}
