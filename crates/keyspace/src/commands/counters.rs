//! Counters.

use onecopy_resp::Writer;

use crate::context::Context;
use crate::decimal;
use crate::error::{CommandError, Outcome};
use crate::number::integer;
use crate::value::Text;

/// Adds to a counter that begins at 0.
fn add(context: &mut Context<'_>, key: &[u8], increment: i64, reply: &mut Writer<'_>) -> Outcome {
    let spot = context.locate(key);
    let number = match context.text_at(spot)? {
        Some(Text::Integer(number)) => number.checked_add(increment).ok_or(CommandError::Overflow)?,
        Some(Text::Raw(_)) => return Err(CommandError::NotInteger),
        None => increment,
    };
    context.put_text(spot, key, Text::Integer(number));
    reply.integer(number);
    Ok(())
}

pub(crate) fn incr(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    add(context, args[1], 1, reply)
}

pub(crate) fn decr(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    add(context, args[1], -1, reply)
}

pub(crate) fn incrby(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    add(context, args[1], integer(args[2])?, reply)
}

pub(crate) fn decrby(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let decrement = integer(args[2])?;
    let increment = decrement.checked_neg().ok_or(CommandError::Other("ERR decrement would overflow"))?;
    add(context, args[1], increment, reply)
}

pub(crate) fn incrbyfloat(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let key = args[1];
    let spot = context.locate(key);
    let before = context.text_at(spot)?.map(Text::to_vec);
    let sum = add_floats(before.as_deref(), args[2], CommandError::NotFloat)?;
    context.put_text(spot, key, Text::new(&sum));
    reply.bulk(&sum);
    Ok(())
}

/// The sum of a stored number, 0 if there is none, and an argument. `not_stored` is the error if what is
/// stored is no number.
pub(super) fn add_floats(
    stored: Option<&[u8]>,
    increment: &[u8],
    not_stored: CommandError,
) -> Result<Vec<u8>, CommandError> {
    let stored = stored.unwrap_or(b"0");
    if !decimal::is_number(stored) {
        return Err(not_stored);
    }
    if !decimal::is_number(increment) {
        return Err(CommandError::NotFloat);
    }
    decimal::add(stored, increment).ok_or(CommandError::NotFinite)
}
