//! Values in and out, as Redis serializes them: `DUMP` and `RESTORE`.

use onecopy_resp::Writer;

use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::options::RestoreOptions;
use crate::serial;
use crate::slot::New;

pub(crate) fn dump(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    match view.object(args[1]) {
        Some(object) => reply.bulk(&serial::payload(object.value, view.budget)?),
        None => reply.null(),
    }
    Ok(())
}

/// `RESTORE`. What is said of the value's use is checked, and forgotten: each copy observes that for itself.
pub(crate) fn restore(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (key, ttl, payload) = (args[1], args[2], args[3]);
    let options = RestoreOptions::parse(&args[4..])?;
    if context.exists(key) && !options.replace {
        return Err(CommandError::Other("BUSYKEY Target key name already exists."));
    }
    let expires = options.expires(ttl, context.clock())?;
    let value = serial::check(payload, context.budget())?;
    let value = serial::build(value, context.seed(), context.budget())?;
    let spot = context.locate(key);
    context.put(spot, key, New::Value(value), expires);
    reply.ok();
    Ok(())
}
