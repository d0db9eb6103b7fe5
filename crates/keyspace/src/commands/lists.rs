//! Lists.

use std::ops::Range;

use onecopy_core::Budget;
use onecopy_resp::Writer;

use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::machine::check_reply;
use crate::number::{integer, is_word, not_negative, parse_integer, resolve_range};
use crate::steps::{ELEMENT, afford};
use crate::value::List;

/// One of the ends of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Left,
    Right,
}

impl End {
    fn parse(arg: &[u8]) -> Result<Self, CommandError> {
        match arg {
            _ if is_word(arg, "LEFT") => Ok(Self::Left),
            _ if is_word(arg, "RIGHT") => Ok(Self::Right),
            _ => Err(CommandError::Syntax),
        }
    }

    fn push(self, list: &mut List, element: &[u8]) {
        match self {
            Self::Left => list.push_front(element),
            Self::Right => list.push_back(element),
        }
    }

    fn pop(self, list: &mut List) -> Option<Box<[u8]>> {
        match self {
            Self::Left => list.pop_front(),
            Self::Right => list.pop_back(),
        }
    }

    fn pop_many(
        self,
        list: &mut List,
        count: usize,
        budget: Budget<'_>,
    ) -> Result<Vec<Box<[u8]>>, CommandError> {
        let count = count.min(list.len());
        let range = if self == Self::Left { 0..count } else { list.len() - count..list.len() };
        check_range(list, range)?;
        Ok((0..count).inspect(|_| budget.spend(ELEMENT)).filter_map(|_| self.pop(list)).collect())
    }
}

/// Whether an answer may have the elements at these positions.
fn check_range(list: &List, range: Range<usize>) -> Outcome {
    afford(range.len())?;
    let bytes = if check_reply(range.len(), list.bytes()).is_ok() {
        list.bytes()
    } else {
        list.range(range.clone()).map(|element| element.len() as u64).sum()
    };
    check_reply(range.len(), bytes)
}

fn push(context: &mut Context<'_>, args: &[&[u8]], end: End, reply: &mut Writer<'_>) -> Outcome {
    let budget = context.budget();
    let length = context.upsert::<List, _>(args[1], |list| {
        list.expect(args.len() - 2, args[2..].iter().map(|element| element.len()).sum());
        let elements = args[2..].iter().inspect(|_| budget.spend(ELEMENT));
        elements.for_each(|element| end.push(list, element));
        list.len()
    })?;
    reply.length(length);
    Ok(())
}

pub(crate) fn lpush(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    push(context, args, End::Left, reply)
}

pub(crate) fn rpush(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    push(context, args, End::Right, reply)
}

fn push_existing(context: &mut Context<'_>, args: &[&[u8]], end: End, reply: &mut Writer<'_>) -> Outcome {
    let budget = context.budget();
    let length = context.update::<List, _>(args[1], |list| {
        let elements = args[2..].iter().inspect(|_| budget.spend(ELEMENT));
        elements.for_each(|element| end.push(list, element));
        list.len()
    })?;
    reply.length(length.unwrap_or(0));
    Ok(())
}

pub(crate) fn lpushx(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    push_existing(context, args, End::Left, reply)
}

pub(crate) fn rpushx(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    push_existing(context, args, End::Right, reply)
}

fn reply_elements(elements: &[Box<[u8]>], reply: &mut Writer<'_>) {
    reply.array(elements.len());
    elements.iter().for_each(|element| reply.bulk(element));
}

fn pop(
    context: &mut Context<'_>,
    args: &[&[u8]],
    end: End,
    name: &'static str,
    reply: &mut Writer<'_>,
) -> Outcome {
    match &args[2..] {
        [] => match context.resize::<List, _>(args[1], |list| end.pop(list))?.flatten() {
            Some(element) => reply.bulk(&element),
            None => reply.null(),
        },
        [count] => {
            let count = not_negative(count)?;
            let budget = context.budget();
            match context.resize::<List, _>(args[1], |list| end.pop_many(list, count, budget))? {
                Some(elements) => reply_elements(&elements?, reply),
                None => reply.null_array(),
            }
        }
        _ => return Err(CommandError::Arity(name)),
    }
    Ok(())
}

pub(crate) fn lpop(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    pop(context, args, End::Left, "lpop", reply)
}

pub(crate) fn rpop(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    pop(context, args, End::Right, "rpop", reply)
}

pub(crate) fn lmpop(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let count =
        parse_integer(args[1]).and_then(|count| usize::try_from(count).ok()).filter(|count| *count > 0);
    let count = count.ok_or(CommandError::Other("ERR numkeys should be greater than 0"))?;
    let (keys, rest) = args[2..].split_at_checked(count).ok_or(CommandError::Syntax)?;
    let (end, rest) = rest.split_first().ok_or(CommandError::Syntax)?;
    let end = End::parse(end)?;
    let count = match rest {
        [] => 1,
        [option, count] if is_word(option, "COUNT") => {
            let count =
                parse_integer(count).and_then(|count| usize::try_from(count).ok()).filter(|count| *count > 0);
            count.ok_or(CommandError::Other("ERR count should be greater than 0"))?
        }
        _ => return Err(CommandError::Syntax),
    };
    let budget = context.budget();
    for key in keys {
        if let Some(elements) = context.resize::<List, _>(key, |list| end.pop_many(list, count, budget))? {
            let elements = elements?;
            reply.array(2);
            reply.bulk(key);
            reply_elements(&elements, reply);
            return Ok(());
        }
    }
    reply.null_array();
    Ok(())
}

fn move_element(
    context: &mut Context<'_>,
    (source, from): (&[u8], End),
    (target, to): (&[u8], End),
    reply: &mut Writer<'_>,
) -> Outcome {
    if context.read::<List>(source)?.is_none() {
        reply.null();
        return Ok(());
    }
    context.read::<List>(target)?;
    if source == target {
        // In one step, for a list of one element must not vanish in between and lose its expiry.
        let element = context.update::<List, _>(source, |list| {
            let element = from.pop(list)?;
            to.push(list, &element);
            Some(element)
        })?;
        reply.bulk(&element.flatten().unwrap_or_default());
        return Ok(());
    }
    let element = context.update::<List, _>(source, |list| from.pop(list))?.flatten().unwrap_or_default();
    context.upsert::<List, _>(target, |list| to.push(list, &element))?;
    reply.bulk(&element);
    Ok(())
}

pub(crate) fn lmove(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (from, to) = (End::parse(args[3])?, End::parse(args[4])?);
    move_element(context, (args[1], from), (args[2], to), reply)
}

pub(crate) fn rpoplpush(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    move_element(context, (args[1], End::Right), (args[2], End::Left), reply)
}

pub(crate) fn llen(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply.length(view.read::<List>(args[1])?.map_or(0, List::len));
    Ok(())
}

pub(crate) fn lrange(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (start, end) = (integer(args[2])?, integer(args[3])?);
    let Some(list) = view.read::<List>(args[1])? else {
        reply.array(0);
        return Ok(());
    };
    let range = resolve_range(start, end, list.len());
    check_range(list, range.clone())?;
    reply.array(range.len());
    list.range(range).for_each(|element| reply.bulk(element));
    Ok(())
}

pub(crate) fn lindex(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let Some(list) = view.read::<List>(args[1])? else {
        reply.null();
        return Ok(());
    };
    match list.get(integer(args[2])?) {
        Some(element) => reply.bulk(element),
        None => reply.null(),
    }
    Ok(())
}

pub(crate) fn lset(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    context.read::<List>(args[1])?.ok_or(CommandError::NoSuchKey)?;
    let position = integer(args[2])?;
    let set = context.resize::<List, _>(args[1], |list| list.set(position, args[3]))?;
    if set != Some(true) {
        return Err(CommandError::Other("ERR index out of range"));
    }
    context.touch(args[1]);
    reply.ok();
    Ok(())
}

pub(crate) fn linsert(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let after = match args[2] {
        word if is_word(word, "AFTER") => true,
        word if is_word(word, "BEFORE") => false,
        _ => return Err(CommandError::Syntax),
    };
    afford(context.read::<List>(args[1])?.map_or(0, List::len))?;
    let budget = context.budget();
    let insert =
        |list: &mut List| list.insert(args[3], after, args[4], || budget.spend(1)).then(|| list.len());
    let length = context.resize::<List, _>(args[1], insert)?;
    match length {
        None => reply.integer(0),
        Some(None) => reply.integer(-1),
        Some(Some(length)) => reply.length(length),
    }
    Ok(())
}

pub(crate) fn lrem(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let count = integer(args[2])?;
    let count_max = match count {
        0 => usize::MAX,
        _ => usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX),
    };
    afford(context.read::<List>(args[1])?.map_or(0, List::len).saturating_mul(2))?;
    let budget = context.budget();
    let remove = |list: &mut List| list.remove(args[3], count_max, count < 0, || budget.spend(1));
    let removed = context.resize::<List, _>(args[1], remove)?;
    reply.length(removed.unwrap_or(0));
    Ok(())
}

pub(crate) fn ltrim(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (start, end) = (integer(args[2])?, integer(args[3])?);
    let Some(list) = context.read::<List>(args[1])? else {
        reply.ok();
        return Ok(());
    };
    let kept = resolve_range(start, end, list.len());
    if kept.is_empty() {
        // The key goes, however long its list is.
        context.delete(args[1]);
    } else {
        afford(list.len() - kept.len())?;
        let budget = context.budget();
        context.update::<List, _>(args[1], |list| list.trim(kept, |cut| budget.spend(cut)))?;
    }
    reply.ok();
    Ok(())
}

/// The options of `LPOS`.
struct Search {
    /// Which match to begin with; from the end when negative.
    rank: i64,
    /// How many matches are wanted; `None` for just one.
    count: Option<usize>,
    /// How many elements are compared.
    compared_max: usize,
}

impl Search {
    fn parse(args: &[&[u8]]) -> Result<Self, CommandError> {
        /// Zero means no limit.
        fn limit(arg: &[u8], error: &'static str) -> Result<usize, CommandError> {
            let number = parse_integer(arg).and_then(|number| usize::try_from(number).ok());
            number
                .map(|number| if number == 0 { usize::MAX } else { number })
                .ok_or(CommandError::Other(error))
        }
        let mut search = Self { rank: 1, count: None, compared_max: usize::MAX };
        let mut rest = args.iter();
        while let Some(option) = rest.next() {
            let value = rest.next().ok_or(CommandError::Syntax)?;
            if is_word(option, "RANK") {
                search.rank = integer(value)?;
                if search.rank == i64::MIN {
                    return Err(CommandError::Other(
                        "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
                    ));
                }
                if search.rank == 0 {
                    return Err(CommandError::Other(
                        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use \
                         negative to start from the end of the list",
                    ));
                }
            } else if is_word(option, "COUNT") {
                search.count = Some(limit(value, "ERR COUNT can't be negative")?);
            } else if is_word(option, "MAXLEN") {
                search.compared_max = limit(value, "ERR MAXLEN can't be negative")?;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(search)
    }

    fn positions(&self, list: &List, element: &[u8], budget: Budget<'_>) -> Vec<usize> {
        let skipped = usize::try_from(self.rank.unsigned_abs() - 1).unwrap_or(usize::MAX);
        let wanted = self.count.unwrap_or(1);
        let matching = |(_, candidate): &(usize, &[u8])| {
            budget.spend(1);
            *candidate == element
        };
        let length = list.len();
        if self.rank > 0 {
            let compared = list.iter().enumerate().take(self.compared_max).filter(matching);
            compared.skip(skipped).take(wanted).map(|(position, _)| position).collect()
        } else {
            let positions = (0..length).rev();
            let compared = positions.zip(list.iter_reversed()).take(self.compared_max).filter(matching);
            compared.skip(skipped).take(wanted).map(|(position, _)| position).collect()
        }
    }
}

pub(crate) fn lpos(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let search = Search::parse(&args[3..])?;
    let list = view.read::<List>(args[1])?;
    afford(list.map_or(0, |list| list.len().min(search.compared_max)))?;
    let positions = list.map_or_else(Vec::new, |list| search.positions(list, args[2], view.budget));
    if search.count.is_some() {
        reply.array(positions.len());
        positions.into_iter().for_each(|position| reply.length(position));
    } else {
        match positions.first() {
            Some(position) => reply.length(*position),
            None => reply.null(),
        }
    }
    Ok(())
}
