//! Whole databases, and the time.

use onecopy_resp::Writer;

use super::keys::SAME;
use crate::context::{Context, View};
use crate::database::Database;
use crate::error::{CommandError, Outcome};
use crate::machine::DATABASES;
use crate::number::{is_word, parse_integer};
use crate::options::database_number;

pub(crate) fn dbsize(view: &View<'_>, _: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let live = |database: &Database| database.len().saturating_sub(database.expired());
    reply.length(view.database().map_or(0, live));
    Ok(())
}

/// The option of `FLUSHALL`. Both of its values are fine: the keys are gone at once either way.
fn check_flush_mode(args: &[&[u8]]) -> Outcome {
    match args {
        [_] => Ok(()),
        [_, mode] if is_word(mode, "ASYNC") || is_word(mode, "SYNC") => Ok(()),
        _ => Err(CommandError::Syntax),
    }
}

pub(crate) fn flushdb(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    check_flush_mode(args)?;
    context.keyspace.flush(context.db);
    reply.ok();
    Ok(())
}

pub(crate) fn flushall(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    check_flush_mode(args)?;
    (0..DATABASES).for_each(|db| context.keyspace.flush(db));
    reply.ok();
    Ok(())
}

pub(crate) fn move_key(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let key = args[1];
    let db = database_number(args[2])?;
    if db == context.db {
        return Err(SAME);
    }
    let free = !context.with_database(db).exists(key);
    let moved = free && context.rename(key, db, key);
    reply.integer(moved.into());
    Ok(())
}

pub(crate) fn swapdb(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    // Both must be numbers before either is compared with the number of databases.
    for (arg, error) in [(args[1], "ERR invalid first DB index"), (args[2], "ERR invalid second DB index")] {
        let number = parse_integer(arg).and_then(|number| i32::try_from(number).ok());
        number.ok_or(CommandError::Other(error))?;
    }
    let (first, second) = (database_number(args[1])?, database_number(args[2])?);
    context.keyspace.swap(first, second);
    reply.ok();
    Ok(())
}

pub(crate) fn time(context: &mut Context<'_>, _: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let milliseconds = context.clock().0;
    reply.array(2);
    reply.bulk((milliseconds / 1000).to_string().as_bytes());
    reply.bulk((milliseconds % 1000 * 1000).to_string().as_bytes());
    Ok(())
}
