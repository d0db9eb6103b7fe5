//! `SET` and the commands that are a `SET` or a `GET` with an expiry.

use onecopy_resp::Writer;

use super::strings::reply_text;
use crate::context::Context;
use crate::error::Outcome;
use crate::options::{Expiry, GetexOptions, SetOptions, Unit};
use crate::slot::New;
use crate::value::Text;

pub(crate) fn set(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (key, value) = (args[1], args[2]);
    if args.len() == 3 {
        context.store_text(key, Text::new(value));
        reply.ok();
        return Ok(());
    }
    let options = SetOptions::parse(&args[3..], context.clock())?;
    let spot = context.locate(key);
    if options.get {
        reply_text(context.text_at(spot)?, reply);
    }
    let object = context.at(spot);
    let met = options.allow(object.is_some());
    if met {
        let expires = options.expiry.after(object.and_then(|object| object.expires));
        context.put(spot, key, New::Text(Text::new(value)), expires);
    }
    match (options.get, met) {
        (true, _) => {}
        (false, true) => reply.ok(),
        (false, false) => reply.null(),
    }
    Ok(())
}

pub(crate) fn setnx(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let spot = context.locate(args[1]);
    let free = context.at(spot).is_none();
    if free {
        context.put(spot, args[1], New::Text(Text::new(args[2])), None);
    }
    reply.integer(free.into());
    Ok(())
}

fn set_expiring(
    context: &mut Context<'_>,
    args: &[&[u8]],
    unit: Unit,
    name: &'static str,
    reply: &mut Writer<'_>,
) -> Outcome {
    let expires = unit.deadline(args[2], context.clock(), name)?;
    let spot = context.locate(args[1]);
    context.put(spot, args[1], New::Text(Text::new(args[3])), Some(expires));
    reply.ok();
    Ok(())
}

pub(crate) fn setex(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    set_expiring(context, args, Unit::Seconds, "setex", reply)
}

pub(crate) fn psetex(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    set_expiring(context, args, Unit::Milliseconds, "psetex", reply)
}

pub(crate) fn getex(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let options = GetexOptions::parse(&args[2..])?;
    let spot = context.locate(args[1]);
    let text = context.text_at(spot)?;
    let expiry = match text {
        None => Expiry::Keep,
        Some(_) => options.expiry(context.clock())?,
    };
    reply_text(text, reply);
    let has_expiry = context.at(spot).is_some_and(|object| object.expires.is_some());
    match expiry {
        Expiry::Never if has_expiry => context.set_expiry(spot, args[1], None),
        Expiry::Keep | Expiry::Never => {}
        Expiry::At(time) => context.set_expiry(spot, args[1], Some(time)),
    }
    Ok(())
}
