//! Keys, whatever they hold.

use onecopy_resp::Writer;

use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::options::CopyOptions;
use crate::slot::New;
use crate::steps::{KEY, ORDERED, Steps};

pub(crate) fn del(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let budget = context.budget();
    let mut delete = |key: &&&[u8]| {
        budget.spend(KEY);
        context.delete(key)
    };
    let removed = args[1..].iter().filter(|key| delete(key)).count();
    reply.length(removed);
    Ok(())
}

pub(crate) fn unlink(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    del(context, args, reply)
}

pub(crate) fn exists(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let keys = args[1..].iter().inspect(|_| view.budget.spend(KEY));
    reply.length(keys.filter(|key| view.object(key).is_some()).count());
    Ok(())
}

pub(crate) fn touch(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    exists(view, args, reply)
}

pub(crate) fn type_of(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply.simple(view.object(args[1]).map_or("none", |object| object.value.type_name()));
    Ok(())
}

pub(crate) fn rename(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (from, to) = (args[1], args[2]);
    if !context.exists(from) {
        return Err(CommandError::NoSuchKey);
    }
    if from != to {
        context.rename(from, context.db, to);
    }
    reply.ok();
    Ok(())
}

pub(crate) fn renamenx(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (from, to) = (args[1], args[2]);
    if !context.exists(from) {
        return Err(CommandError::NoSuchKey);
    }
    let free = !context.exists(to);
    if free {
        context.rename(from, context.db, to);
    }
    reply.integer(free.into());
    Ok(())
}

pub(super) const SAME: CommandError = CommandError::Other("ERR source and destination objects are the same");

pub(crate) fn copy(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (from, to) = (args[1], args[2]);
    let CopyOptions { db, replace } = CopyOptions::parse(&args[3..])?;
    let db = db.unwrap_or(context.db);
    if db == context.db && from == to {
        return Err(SAME);
    }
    let object = context.view().object(from);
    if let Some(object) = object {
        // A clone enters every element anew.
        let mut steps = Steps::new(context.budget());
        steps.reserve(object.value.len().saturating_mul(ORDERED))?;
        steps.reserve_copy(usize::try_from(object.value.memory()).unwrap_or(usize::MAX))?;
    }
    let owned = object.map(|object| (object.value.copy(context.budget()), object.expires));
    let mut target = context.with_database(db);
    let spot = target.locate(to);
    let copied = match owned {
        Some((value, expires)) if replace || target.at(spot).is_none() => {
            target.put(spot, to, New::Value(value), expires);
            true
        }
        _ => false,
    };
    reply.integer(copied.into());
    Ok(())
}
