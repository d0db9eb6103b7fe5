//! Strings, but for `SET` and its relatives and for counters.

use std::slice;

use onecopy_resp::Writer;

use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::number::{integer, resolve_range};
use crate::pieces::extend;
use crate::slot::New;
use crate::steps::{KEY, PIECE, copying};
use crate::value::{TEXT_BYTES_MAX, Text};

/// A string as a bulk string, or null.
pub(super) fn reply_text(text: Option<Text<'_>>, reply: &mut Writer<'_>) {
    match text {
        Some(Text::Raw(bytes)) => reply.bulk(bytes),
        Some(Text::Integer(number)) => reply.bulk_integer(number),
        None => reply.null(),
    }
}

pub(crate) fn get(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_text(view.text(args[1])?, reply);
    Ok(())
}

pub(crate) fn getset(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let spot = context.locate(args[1]);
    reply_text(context.text_at(spot)?, reply);
    context.put(spot, args[1], New::Text(Text::new(args[2])), None);
    Ok(())
}

pub(crate) fn getdel(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_text(context.view().text(args[1])?, reply);
    context.delete(args[1]);
    Ok(())
}

pub(crate) fn mget(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let keys = &args[1..];
    reply.array(keys.len());
    for key in keys {
        view.budget.spend(KEY);
        // A value of another type is none here.
        let text = view.object(key).and_then(|object| object.value.text());
        reply_text(text, reply);
    }
    Ok(())
}

/// The pairs of `MSET`.
fn pairs<'a, 'b>(args: &'a [&'b [u8]], name: &'static str) -> Result<&'a [[&'b [u8]; 2]], CommandError> {
    match args[1..].as_chunks::<2>() {
        (pairs, []) => Ok(pairs),
        _ => Err(CommandError::Arity(name)),
    }
}

pub(crate) fn mset(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    for [key, value] in pairs(args, "mset")? {
        context.budget().spend(KEY);
        context.store_text(key, Text::new(value));
    }
    reply.ok();
    Ok(())
}

pub(crate) fn msetnx(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let pairs = pairs(args, "msetnx")?;
    let mut keys = pairs.iter().inspect(|_| context.budget().spend(KEY));
    let free = keys.all(|[key, _]| !context.exists(key));
    if free {
        for [key, value] in pairs {
            context.budget().spend(KEY);
            context.store_text(key, Text::new(value));
        }
    }
    reply.integer(free.into());
    Ok(())
}

/// Whether a string may be that long.
fn check_length(length: Option<usize>) -> Outcome {
    match length {
        Some(length) if length <= TEXT_BYTES_MAX => Ok(()),
        _ => Err(CommandError::StringTooLong),
    }
}

pub(crate) fn append(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (key, suffix) = (args[1], args[2]);
    // What another version might do instead: only test builds know that level.
    let doubled = cfg!(feature = "test-level") && context.level() >= crate::TEST_LEVEL;
    let suffix = if doubled { &suffix.repeat(2)[..] } else { suffix };
    let spot = context.locate(key);
    let before = context.text_at(spot)?.map_or(0, Text::len);
    if before > 0 {
        check_length(before.checked_add(suffix.len()))?;
    }
    let budget = context.budget();
    let length = context.edit_text(spot, key, &[], |bytes| extend(bytes, suffix, budget));
    reply.length(length);
    Ok(())
}

pub(crate) fn strlen(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply.length(view.text(args[1])?.map_or(0, Text::len));
    Ok(())
}

pub(crate) fn getrange(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (start, end) = (integer(args[2])?, integer(args[3])?);
    match view.text(args[1])? {
        None => reply.bulk(b""),
        // Redis: two positions before the beginning select nothing, if they are in the wrong order.
        Some(_) if start < 0 && end < 0 && start > end => reply.bulk(b""),
        Some(text) => text.with(|bytes| {
            // Redis lets an end before the beginning mean the first byte.
            let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
            let end = if end < 0 { end.saturating_add(length).max(0) } else { end };
            reply.bulk(&bytes[resolve_range(start, end, bytes.len())]);
        }),
    }
    Ok(())
}

pub(crate) fn substr(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    getrange(view, args, reply)
}

pub(crate) fn setrange(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (key, patch) = (args[1], args[3]);
    let offset = integer(args[2])?;
    let offset = usize::try_from(offset).map_err(|_| CommandError::Other("ERR offset is out of range"))?;
    let spot = context.locate(key);
    let length = context.text_at(spot)?.map_or(0, Text::len);
    if patch.is_empty() {
        reply.length(length);
        return Ok(());
    }
    let end = offset.checked_add(patch.len());
    check_length(end)?;
    let end = end.unwrap_or(0);
    let budget = context.budget();
    let length = context.edit_lengthened(spot, key, end, slice::from_ref(&(offset..end)), |bytes| {
        for (to, from) in bytes[offset..end].chunks_mut(PIECE).zip(patch.chunks(PIECE)) {
            to.copy_from_slice(from);
            budget.spend(copying(from.len()));
        }
        true
    });
    reply.length(length);
    Ok(())
}
