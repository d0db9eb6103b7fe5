//! `WATCH` and `UNWATCH`: which keys must not have changed when a transaction is executed.
//!
//! They change no data, but they are entries: when a key was watched, and whether it has changed since, is
//! the same on every copy. Whose watch it is comes with the segment.

use onecopy_resp::Writer;

use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::steps::KEY;

const NOBODY: CommandError = CommandError::Other("ERR keys are watched for a connection, and this is none");

pub(crate) fn watch(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (id, budget) = (context.watch.ok_or(NOBODY)?, context.budget());
    let (db, clock, memory_max) = (context.db, context.clock(), context.apply.memory_max);
    // Out of the way meanwhile, for everything else may be asked whether the keys are there.
    let mut watches = std::mem::take(&mut context.keyspace.watches);
    let view = View { hashed: None, ..context.view() };
    let is_there = |key: &[u8]| {
        budget.spend(KEY);
        view.object(key).is_some()
    };
    let outcome = watches.watch((id, clock), db, args[1..].iter().copied(), is_there, memory_max);
    context.keyspace.watches = watches;
    outcome?;
    reply.ok();
    Ok(())
}

pub(crate) fn unwatch(context: &mut Context<'_>, _: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    if let Some(id) = context.watch {
        let ended = context.keyspace.watches.end(id);
        context.budget().spend(KEY * ended);
    }
    reply.ok();
    Ok(())
}
