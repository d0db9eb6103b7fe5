//! Hashes.

use onecopy_core::Budget;
use onecopy_resp::Writer;

use super::counters::add_floats;
use crate::context::{Context, View};
use crate::decimal;
use crate::error::{CommandError, Outcome};
use crate::machine::check_reply;
use crate::number::{integer, parse_float, parse_integer};
use crate::steps::{ELEMENT, afford};
use crate::value::Hash;

/// Sets pairs of field and value; how many fields are new.
fn set_pairs(context: &mut Context<'_>, args: &[&[u8]], name: &'static str) -> Result<usize, CommandError> {
    let (pairs, []) = args[2..].as_chunks::<2>() else { return Err(CommandError::Arity(name)) };
    let (seed, budget) = (context.seed(), context.budget());
    context.upsert::<Hash, _>(args[1], |hash| {
        hash.expect(pairs.len(), pairs.as_flattened().iter().map(|word| word.len()).sum());
        let pairs = pairs.iter().inspect(|_| budget.spend(ELEMENT));
        pairs.filter(|[field, value]| hash.insert(seed, field, value)).count()
    })
}

pub(crate) fn hset(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let added = set_pairs(context, args, "hset")?;
    reply.length(added);
    Ok(())
}

pub(crate) fn hmset(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    set_pairs(context, args, "hmset")?;
    reply.ok();
    Ok(())
}

pub(crate) fn hsetnx(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let seed = context.seed();
    let set = context.resize_or_create::<Hash, _>(args[1], |hash| hash.insert_new(seed, args[2], args[3]))?;
    reply.integer(set.into());
    Ok(())
}

fn reply_value(value: Option<&[u8]>, reply: &mut Writer<'_>) {
    match value {
        Some(value) => reply.bulk(value),
        None => reply.null(),
    }
}

pub(crate) fn hget(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_value(view.read::<Hash>(args[1])?.and_then(|hash| hash.get(args[2])), reply);
    Ok(())
}

pub(crate) fn hmget(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let hash = view.read::<Hash>(args[1])?;
    let fields = &args[2..];
    reply.array(fields.len());
    let fields = fields.iter().inspect(|_| view.budget.spend(ELEMENT));
    fields.for_each(|field| reply_value(hash.and_then(|hash| hash.get(field)), reply));
    Ok(())
}

/// How many fields there are, if an answer may have all of them.
fn whole(hash: Option<&Hash>) -> Result<usize, CommandError> {
    let (length, bytes) = hash.map_or((0, 0), |hash| (hash.len(), hash.bytes()));
    afford(Budget::ENDLESS, length)?;
    check_reply(2 * length, bytes)?;
    Ok(length)
}

pub(crate) fn hgetall(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let hash = view.read::<Hash>(args[1])?;
    reply.map(whole(hash)?);
    for (field, value) in hash.into_iter().flat_map(Hash::iter) {
        reply.bulk(field);
        reply.bulk(value);
    }
    Ok(())
}

pub(crate) fn hkeys(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let hash = view.read::<Hash>(args[1])?;
    reply.array(whole(hash)?);
    hash.into_iter().flat_map(Hash::iter).for_each(|(field, _)| reply.bulk(field));
    Ok(())
}

pub(crate) fn hvals(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let hash = view.read::<Hash>(args[1])?;
    reply.array(whole(hash)?);
    hash.into_iter().flat_map(Hash::iter).for_each(|(_, value)| reply.bulk(value));
    Ok(())
}

pub(crate) fn hdel(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let fields = &args[2..];
    let budget = context.budget();
    let removed = context.resize::<Hash, _>(args[1], |hash| {
        let fields = fields.iter().inspect(|_| budget.spend(ELEMENT));
        fields.filter(|field| hash.remove(field)).count()
    })?;
    reply.length(removed.unwrap_or(0));
    Ok(())
}

pub(crate) fn hlen(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply.length(view.read::<Hash>(args[1])?.map_or(0, Hash::len));
    Ok(())
}

pub(crate) fn hexists(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let found = view.read::<Hash>(args[1])?.and_then(|hash| hash.get(args[2])).is_some();
    reply.integer(found.into());
    Ok(())
}

pub(crate) fn hstrlen(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let value = view.read::<Hash>(args[1])?.and_then(|hash| hash.get(args[2]));
    reply.length(value.map_or(0, <[u8]>::len));
    Ok(())
}

pub(crate) fn hincrby(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (key, field) = (args[1], args[2]);
    let increment = integer(args[3])?;
    let before = match context.read::<Hash>(key)?.and_then(|hash| hash.get(field)) {
        Some(value) => parse_integer(value).ok_or(CommandError::Other("ERR hash value is not an integer"))?,
        None => 0,
    };
    let sum = before.checked_add(increment).ok_or(CommandError::Overflow)?;
    let (seed, mut digits) = (context.seed(), itoa::Buffer::new());
    let value = digits.format(sum).as_bytes();
    context.upsert::<Hash, _>(key, |hash| hash.insert(seed, field, value))?;
    reply.integer(sum);
    Ok(())
}

pub(crate) fn hincrbyfloat(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (key, field) = (args[1], args[2]);
    if !decimal::is_number(args[3]) {
        return Err(CommandError::NotFloat);
    }
    if parse_float(args[3]).is_some_and(f64::is_infinite) {
        return Err(CommandError::Other("ERR value is NaN or Infinity"));
    }
    let before = context.read::<Hash>(key)?.and_then(|hash| hash.get(field));
    let sum = add_floats(before, args[3], CommandError::Other("ERR hash value is not a float"))?;
    let seed = context.seed();
    context.upsert::<Hash, _>(key, |hash| hash.insert(seed, field, &sum))?;
    reply.bulk(&sum);
    Ok(())
}
