//! Strings, but for `SET` and its relatives and for counters.
//!
//! A string is a register: what one replica writes replaces what it has seen. What changes a part of a string
//! (`APPEND`, `SETRANGE`) writes the whole.

use bytes::Bytes;
use onecopy_keyspace::number::{integer, resolve_range};
use onecopy_keyspace::{CommandError, TEXT_BYTES_MAX};
use onecopy_resp::Writer;

use super::Outcome;
use crate::cell::Cell;
use crate::place::{Kind, Place};
use crate::transaction::Transaction;

/// A string as a bulk string, or null.
pub(super) fn reply_text(text: Option<&[u8]>, reply: &mut Writer<'_>) {
    match text {
        Some(text) => reply.bulk(text),
        None => reply.null(),
    }
}

pub(super) fn get(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_text(transaction.text(&transaction.key(args[1]))?.as_deref(), reply);
    Ok(())
}

pub(super) fn getset(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let key = transaction.key(args[1]);
    reply_text(transaction.text(&key)?.as_deref(), reply);
    transaction.store_text(&key, Bytes::copy_from_slice(args[2]));
    Ok(())
}

pub(super) fn getdel(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let key = transaction.key(args[1]);
    reply_text(transaction.text(&key)?.as_deref(), reply);
    transaction.delete(&key);
    Ok(())
}

pub(super) fn mget(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply.array(args.len() - 1);
    for name in &args[1..] {
        // A value of another type is none here.
        let object =
            transaction.object(&transaction.key(name)).filter(|object| object.kind() == Some(Kind::String));
        let text = object.and_then(|object| object.cell(&Place::Whole)).and_then(Cell::text);
        reply_text(text.as_deref(), reply);
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

fn set_pairs(transaction: &mut Transaction<'_>, pairs: &[[&[u8]; 2]]) {
    for [name, value] in pairs {
        let key = transaction.key(name);
        transaction.store_text(&key, Bytes::copy_from_slice(value));
    }
}

pub(super) fn mset(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    set_pairs(transaction, pairs(args, "mset")?);
    reply.ok();
    Ok(())
}

pub(super) fn msetnx(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let pairs = pairs(args, "msetnx")?;
    let free = pairs.iter().all(|[name, _]| transaction.object(&transaction.key(name)).is_none());
    if free {
        set_pairs(transaction, pairs);
    }
    reply.integer(free.into());
    Ok(())
}

/// Whether a string may be that long.
fn check_length(length: Option<usize>) -> Result<usize, CommandError> {
    length.filter(|length| *length <= TEXT_BYTES_MAX).ok_or(CommandError::StringTooLong)
}

pub(super) fn append(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (key, suffix) = (transaction.key(args[1]), args[2]);
    let before = transaction.text(&key)?.unwrap_or_default();
    let length = match before.len() {
        0 => suffix.len(),
        length => check_length(length.checked_add(suffix.len()))?,
    };
    transaction.afford(length)?;
    transaction.keep_text(&key, Bytes::from([&before, suffix].concat()));
    reply.length(length);
    Ok(())
}

pub(super) fn strlen(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply.length(transaction.text(&transaction.key(args[1]))?.map_or(0, |text| text.len()));
    Ok(())
}

pub(super) fn getrange(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (start, end) = (integer(args[2])?, integer(args[3])?);
    match transaction.text(&transaction.key(args[1]))? {
        None => reply.bulk(b""),
        // Redis: two positions before the beginning select nothing, if they are in the wrong order.
        Some(_) if start < 0 && end < 0 && start > end => reply.bulk(b""),
        Some(text) => {
            // Redis lets an end before the beginning mean the first byte.
            let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
            let end = if end < 0 { end.saturating_add(length).max(0) } else { end };
            reply.bulk(&text[resolve_range(start, end, text.len())]);
        }
    }
    Ok(())
}

pub(super) fn setrange(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (key, patch) = (transaction.key(args[1]), args[3]);
    let offset = integer(args[2])?;
    let offset = usize::try_from(offset).map_err(|_| CommandError::Other("ERR offset is out of range"))?;
    let before = transaction.text(&key)?;
    let length = before.as_ref().map_or(0, Bytes::len);
    if patch.is_empty() {
        reply.length(length);
        return Ok(());
    }
    let end = check_length(offset.checked_add(patch.len()))?;
    transaction.afford(length.max(end))?;
    let mut text = before.map_or_else(Vec::new, |text| text.to_vec());
    text.resize(length.max(end), 0);
    text[offset..end].copy_from_slice(patch);
    reply.length(text.len());
    transaction.keep_text(&key, text.into());
    Ok(())
}
