//! `BLPOP` and its relatives: they take what is there, or wait for it.
//!
//! Each tries as the command of which it is the blocking form does. Where that finds nothing it becomes a
//! waiter (see `serving`), and is executed again when one of its keys has changed. Within a transaction, or a
//! script, nothing waits.

use onecopy_resp::Writer;

use super::lists::{move_element, reply_popped};
use super::zsets::take;
use crate::context::Context;
use crate::error::{CommandError, Outcome};
use crate::options::{ListEnd, PopOptions, ScoreEnd};
use crate::serving::{owned, timeout};
use crate::value::{List, Zset};
use crate::waiters::{Wanted, Wants};

/// Waits at keys, or answers that there is nothing.
fn wait(
    context: &mut Context<'_>,
    (args, keys): (&[&[u8]], &[&[u8]]),
    wants: Wants,
    timeout: u64,
    reply: &mut Writer<'_>,
) {
    let wanted =
        || Wanted { wants, args: owned(args), keys: owned(keys), target: None, timeout, token: None };
    if !context.wait(wanted) {
        reply.null_array();
    }
}

fn list_pop(context: &mut Context<'_>, args: &[&[u8]], end: ListEnd, reply: &mut Writer<'_>) -> Outcome {
    let (keys, last) = args[1..].split_at(args.len() - 2);
    let timeout = timeout(last[0], context.clock())?;
    for key in keys {
        if let Some(element) = context.resize::<List, _>(key, |list| end.pop(list))?.flatten() {
            reply.array(2);
            reply.bulk(key);
            reply.bulk(&element);
            return Ok(());
        }
    }
    wait(context, (args, keys), Wants::List, timeout, reply);
    Ok(())
}

pub(crate) fn blpop(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    list_pop(context, args, ListEnd::Left, reply)
}

pub(crate) fn brpop(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    list_pop(context, args, ListEnd::Right, reply)
}

pub(crate) fn blmpop(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let PopOptions { keys, end, count } = PopOptions::parse(&args[2..], ListEnd::parse)?;
    let timeout = timeout(args[1], context.clock())?;
    for key in keys {
        if reply_popped(context, key, end, count, reply)? {
            return Ok(());
        }
    }
    wait(context, (args, keys), Wants::List, timeout, reply);
    Ok(())
}

fn move_or_wait(
    context: &mut Context<'_>,
    args: &[&[u8]],
    (from, to): (ListEnd, ListEnd),
    reply: &mut Writer<'_>,
) -> Outcome {
    let timeout = timeout(args[args.len() - 1], context.clock())?;
    let (source, target) = (args[1], args[2]);
    if context.read::<List>(source)?.is_some() {
        return move_element(context, (source, from), (target, to), reply);
    }
    let wanted = || Wanted {
        wants: Wants::List,
        args: owned(args),
        keys: owned(&[source]),
        target: Some(target.into()),
        timeout,
        token: None,
    };
    if !context.wait(wanted) {
        reply.null();
    }
    Ok(())
}

pub(crate) fn blmove(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let ends = (ListEnd::parse(args[3])?, ListEnd::parse(args[4])?);
    move_or_wait(context, args, ends, reply)
}

pub(crate) fn brpoplpush(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    move_or_wait(context, args, (ListEnd::Right, ListEnd::Left), reply)
}

fn zset_pop(context: &mut Context<'_>, args: &[&[u8]], end: ScoreEnd, reply: &mut Writer<'_>) -> Outcome {
    let (keys, last) = args[1..].split_at(args.len() - 2);
    let (timeout, budget) = (timeout(last[0], context.clock())?, context.budget());
    for key in keys {
        if let Some(taken) = context.resize::<Zset, _>(key, |zset| take(zset, 1, end, budget))? {
            reply.array(3);
            reply.bulk(key);
            for (member, score) in taken? {
                reply.bulk(&member);
                reply.double(score);
            }
            return Ok(());
        }
    }
    wait(context, (args, keys), Wants::Zset, timeout, reply);
    Ok(())
}

pub(crate) fn bzpopmin(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    zset_pop(context, args, ScoreEnd::Lowest, reply)
}

pub(crate) fn bzpopmax(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    zset_pop(context, args, ScoreEnd::Highest, reply)
}

pub(crate) fn bzmpop(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let PopOptions { keys, end, count } = PopOptions::parse(&args[2..], ScoreEnd::parse)?;
    let timeout = timeout(args[1], context.clock())?;
    for key in keys {
        if super::zsets::reply_popped(context, key, end, count, reply)? {
            return Ok(());
        }
    }
    wait(context, (args, keys), Wants::Zset, timeout, reply);
    Ok(())
}

/// What is said to somebody who cannot wait under a token, because somebody does already.
pub(crate) const WAITS_ALREADY: CommandError =
    CommandError::Other("ERR the command under this token is waiting");
