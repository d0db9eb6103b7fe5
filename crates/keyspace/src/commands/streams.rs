//! Streams, entry by entry.

use onecopy_resp::Writer;

use super::stream_ids::{NewId, id, reply_id};
use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::machine::check_reply;
use crate::number::{integer, is_word};
use crate::steps::{ELEMENT, ORDERED};
use crate::value::stream::{Id, Kept, Trim};
use crate::value::{Edit, Stream};

/// So many entries go at most when a stream is trimmed by chunks, and nothing else is said.
const LIMIT: usize = 10_000;
/// To find an entry, or to take it out, costs so many steps.
pub(super) const ENTRY: usize = 2 * ORDERED;

/// The options of `XADD` and `XTRIM`.
#[derive(Debug, Default)]
struct Options {
    trim: Option<Trim>,
    no_stream: bool,
    /// How many arguments they are.
    count: usize,
}

impl Options {
    /// Reads options, up to what is none.
    fn parse(args: &[&[u8]], adds: bool) -> Result<Self, CommandError> {
        let (mut options, mut limit) = (Self::default(), None);
        let mut rest = args;
        while let [option, tail @ ..] = rest {
            let is_newest = is_word(option, "MAXLEN");
            rest = match tail {
                [how, tail @ ..] if is_newest || is_word(option, "MINID") => {
                    if options.trim.is_some() {
                        return Err(CommandError::Other(
                            "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
                        ));
                    }
                    let (by_chunks, value, tail) = match (*how, tail) {
                        (b"~" | b"=", [value, tail @ ..]) => (*how == b"~", value, tail),
                        _ => (false, how, tail),
                    };
                    let kept = if is_newest { newest(value)? } else { Kept::From(id(value, 0)?) };
                    options.trim = Some(Trim { kept, by_chunks, limit: usize::MAX });
                    tail
                }
                [count, tail @ ..] if is_word(option, "LIMIT") => {
                    let count = usize::try_from(integer(count)?);
                    let negative = CommandError::Other("ERR The LIMIT argument must be >= 0.");
                    limit = Some(count.map_err(|_| negative)?);
                    tail
                }
                _ if adds && is_word(option, "NOMKSTREAM") => {
                    options.no_stream = true;
                    tail
                }
                // The id of the new entry.
                _ if adds => break,
                _ => return Err(CommandError::Syntax),
            };
        }
        options.count = args.len() - rest.len();
        if options.trim.is_none() && limit > Some(0) {
            return Err(CommandError::Other(
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
            ));
        }
        if options.trim.is_none() && !adds {
            return Err(CommandError::Other(
                "ERR syntax error, XTRIM must be called with a trimming strategy",
            ));
        }
        match &mut options.trim {
            Some(trim) if trim.by_chunks => {
                trim.limit = Some(limit.unwrap_or(LIMIT)).filter(|limit| *limit > 0).unwrap_or(usize::MAX);
            }
            _ if limit.is_some() => {
                return Err(CommandError::Other(
                    "ERR syntax error, LIMIT cannot be used without the special ~ option",
                ));
            }
            _ => {}
        }
        Ok(options)
    }
}

fn newest(arg: &[u8]) -> Result<Kept, CommandError> {
    let negative = CommandError::Other("ERR The MAXLEN argument must be >= 0.");
    usize::try_from(integer(arg)?).map(Kept::Newest).map_err(|_| negative)
}

/// The id of a new entry in a stream whose last one is `last`.
fn next_id(last: Id, wanted: NewId, now: u64) -> Result<Id, CommandError> {
    const TOO_SMALL: CommandError = CommandError::Other(
        "ERR The ID specified in XADD is equal or smaller than the target stream top item",
    );
    if last == Id::MAX {
        return Err(CommandError::Other(
            "ERR The stream has exhausted the last possible ID, unable to add more items",
        ));
    }
    let id = match wanted {
        NewId::Any if now > last.ms => Some(Id { ms: now, seq: 0 }),
        NewId::Any => last.next(),
        NewId::At(ms) if ms == last.ms => last.next().filter(|next| next.ms == ms),
        NewId::At(ms) => Some(Id { ms, seq: 0 }),
        NewId::Exactly(id) => Some(id),
    };
    id.filter(|id| *id > last).ok_or(TOO_SMALL)
}

/// Whether an entry, of fields and values in turn, can be read again: with some room to spare, for it is not
/// always alone in a reply.
fn check_size(pairs: &[&[u8]]) -> Outcome {
    let bytes = pairs.iter().map(|item| item.len() as u64).sum();
    let is_readable = check_reply(3 * pairs.len() + 16, bytes).is_ok();
    if is_readable { Ok(()) } else { Err(CommandError::Other("ERR Elements are too large to be stored")) }
}

pub(crate) fn xadd(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let options = Options::parse(&args[2..], true)?;
    let Some((wanted, pairs)) = args[2 + options.count..].split_first() else {
        return Err(CommandError::Arity("xadd"));
    };
    let wanted = NewId::parse(wanted)?;
    if pairs.is_empty() || pairs.len() % 2 == 1 {
        return Err(CommandError::Arity("xadd"));
    }
    if wanted == NewId::Exactly(Id::ZERO) {
        return Err(CommandError::Other("ERR The ID specified in XADD must be greater than 0-0"));
    }
    let stream = context.read::<Stream>(args[1])?;
    if stream.is_none() && options.no_stream {
        reply.null();
        return Ok(());
    }
    let id = next_id(stream.map_or(Id::ZERO, Stream::last), wanted, context.clock().0)?;
    check_size(pairs)?;
    let budget = context.budget();
    let trimmed = context.upsert::<Stream, _>(args[1], |stream| {
        budget.spend(ELEMENT);
        stream.append(id, pairs, budget);
        options.trim.as_ref().map_or(0, |trim| stream.trim(trim, budget))
    })?;
    if trimmed > 0 {
        context.say(args[1], "xtrim");
    }
    reply_id(id, reply);
    Ok(())
}

pub(crate) fn xtrim(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let options = Options::parse(&args[2..], false)?;
    let budget = context.budget();
    let trim = |stream: &mut Edit<'_, Stream>| options.trim.map_or(0, |trim| stream.trim(&trim, budget));
    let removed = context.resize::<Stream, _>(args[1], trim)?;
    reply.length(removed.unwrap_or(0));
    Ok(())
}

pub(crate) fn xlen(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply.length(view.read::<Stream>(args[1])?.map_or(0, |stream| stream.log().len()));
    Ok(())
}

/// The ids among the arguments.
pub(super) fn ids(args: &[&[u8]]) -> Result<Vec<Id>, CommandError> {
    args.iter().map(|arg| id(arg, 0)).collect()
}

pub(crate) fn xdel(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    if context.read::<Stream>(args[1])?.is_none() {
        reply.length(0);
        return Ok(());
    }
    let (ids, budget) = (ids(&args[2..])?, context.budget());
    let removed = context.resize::<Stream, _>(args[1], |stream| {
        let ids = ids.iter().inspect(|_| budget.spend(ENTRY));
        ids.filter(|id| stream.remove(**id)).count()
    })?;
    reply.length(removed.unwrap_or(0));
    Ok(())
}

pub(crate) fn xsetid(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let last = id(args[2], 0)?;
    let (mut added, mut deleted) = (None, None);
    let mut rest = &args[3..];
    while let [option, value, tail @ ..] = rest {
        if is_word(option, "ENTRIESADDED") {
            let number = integer(value)?;
            if number < 0 {
                return Err(CommandError::Other("ERR entries_added must be positive"));
            }
            added = Some(number);
        } else if is_word(option, "MAXDELETEDID") {
            let id = id(value, 0)?;
            if last < id {
                return Err(CommandError::Other(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                ));
            }
            deleted = Some(id).filter(|id| *id != Id::ZERO);
        } else {
            return Err(CommandError::Syntax);
        }
        rest = tail;
    }
    if !rest.is_empty() {
        return Err(CommandError::Syntax);
    }
    let stream = context.read::<Stream>(args[1])?.ok_or(CommandError::NoSuchKey)?;
    if last < stream.deleted() {
        return Err(CommandError::Other(
            "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id",
        ));
    }
    if stream.log().last().is_some_and(|top| last < top.id) {
        return Err(CommandError::Other(
            "ERR The ID specified in XSETID is smaller than the target stream top item",
        ));
    }
    let length = i64::try_from(stream.log().len()).unwrap_or(i64::MAX);
    if length > 0 && added.is_some_and(|added| added < length) {
        return Err(CommandError::Other(
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ));
    }
    context.resize::<Stream, _>(args[1], |stream| stream.set_progress(last, added, deleted))?;
    reply.ok();
    Ok(())
}

/// An option that counts: at least zero.
pub(super) fn count(arg: &[u8]) -> Result<usize, CommandError> {
    Ok(usize::try_from(integer(arg)?).unwrap_or(0))
}
