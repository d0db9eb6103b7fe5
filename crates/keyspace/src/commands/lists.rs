//! Lists.

use std::ops::Range;

use onecopy_core::Budget;
use onecopy_resp::Writer;

use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::machine::check_reply;
use crate::number::{integer, is_word, not_negative, resolve_range};
use crate::options::{ListEnd, PopOptions, Search};
use crate::steps::{ELEMENT, afford};
use crate::value::{Edit, List, Typed};

impl ListEnd {
    fn push(self, list: &mut Edit<'_, List>, element: &[u8]) {
        match self {
            Self::Left => list.push_front(element),
            Self::Right => list.push_back(element),
        }
    }

    pub(super) fn pop(self, list: &mut Edit<'_, List>) -> Option<Box<[u8]>> {
        match self {
            Self::Left => list.pop_front(),
            Self::Right => list.pop_back(),
        }
    }

    fn pop_many(
        self,
        list: &mut Edit<'_, List>,
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
    afford(Budget::ENDLESS, range.len())?;
    let bytes = if check_reply(range.len(), list.bytes()).is_ok() {
        list.bytes()
    } else {
        list.range(range.clone()).map(|element| element.len() as u64).sum()
    };
    check_reply(range.len(), bytes)
}

fn push(context: &mut Context<'_>, args: &[&[u8]], end: ListEnd, reply: &mut Writer<'_>) -> Outcome {
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
    push(context, args, ListEnd::Left, reply)
}

pub(crate) fn rpush(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    push(context, args, ListEnd::Right, reply)
}

fn push_existing(context: &mut Context<'_>, args: &[&[u8]], end: ListEnd, reply: &mut Writer<'_>) -> Outcome {
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
    push_existing(context, args, ListEnd::Left, reply)
}

pub(crate) fn rpushx(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    push_existing(context, args, ListEnd::Right, reply)
}

fn reply_elements(elements: &[Box<[u8]>], reply: &mut Writer<'_>) {
    reply.array(elements.len());
    elements.iter().for_each(|element| reply.bulk(element));
}

fn pop(
    context: &mut Context<'_>,
    args: &[&[u8]],
    end: ListEnd,
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
    pop(context, args, ListEnd::Left, "lpop", reply)
}

pub(crate) fn rpop(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    pop(context, args, ListEnd::Right, "rpop", reply)
}

pub(crate) fn lmpop(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let PopOptions { keys, end, count } = PopOptions::parse(&args[1..], ListEnd::parse)?;
    for key in keys {
        if reply_popped(context, key, end, count, reply)? {
            return Ok(());
        }
    }
    reply.null_array();
    Ok(())
}

/// Pops elements off a list, if it is there, and replies them with its key.
pub(super) fn reply_popped(
    context: &mut Context<'_>,
    key: &[u8],
    end: ListEnd,
    count: usize,
    reply: &mut Writer<'_>,
) -> Result<bool, CommandError> {
    let budget = context.budget();
    let popped = context.resize::<List, _>(key, |list| end.pop_many(list, count, budget))?;
    let Some(elements) = popped.transpose()? else { return Ok(false) };
    reply.array(2);
    reply.bulk(key);
    reply_elements(&elements, reply);
    Ok(true)
}

pub(super) fn move_element(
    context: &mut Context<'_>,
    (source, from): (&[u8], ListEnd),
    (target, to): (&[u8], ListEnd),
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
    let (from, to) = (ListEnd::parse(args[3])?, ListEnd::parse(args[4])?);
    move_element(context, (args[1], from), (args[2], to), reply)
}

pub(crate) fn rpoplpush(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    move_element(context, (args[1], ListEnd::Right), (args[2], ListEnd::Left), reply)
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
    afford(context.budget(), context.read::<List>(args[1])?.map_or(0, List::len))?;
    let budget = context.budget();
    let insert = |list: &mut Edit<'_, List>| {
        list.insert(args[3], after, args[4], || budget.spend(1)).then(|| list.len())
    };
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
    afford(context.budget(), context.read::<List>(args[1])?.map_or(0, List::len).saturating_mul(2))?;
    let budget = context.budget();
    let remove =
        |list: &mut Edit<'_, List>| list.remove(args[3], count_max, count < 0, |steps| budget.spend(steps));
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
        afford(context.budget(), list.len() - kept.len())?;
        let budget = context.budget();
        let gone = context.update::<List, _>(args[1], |list| list.trim(kept, |cut| budget.spend(cut)))?;
        gone.into_iter().for_each(|gone| context.discard(gone.into_value()));
    }
    reply.ok();
    Ok(())
}

pub(crate) fn lpos(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let search = Search::parse(&args[3..])?;
    let list = view.read::<List>(args[1])?;
    afford(view.budget, list.map_or(0, |list| list.len().min(search.compared_max)))?;
    let is_equal = |candidate: &[u8]| {
        view.budget.spend(1);
        candidate == args[2]
    };
    let positions = match list {
        None => Vec::new(),
        Some(list) if search.is_from_end() => {
            search.positions((0..list.len()).rev().zip(list.iter_reversed().map(is_equal)))
        }
        Some(list) => search.positions(list.iter().map(is_equal).enumerate()),
    };
    if search.is_for_several() {
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
