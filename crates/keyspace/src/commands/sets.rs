//! Sets, one at a time.

use onecopy_resp::Writer;

use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::machine::check_reply;
use crate::number::not_negative;
use crate::steps::{ELEMENT, afford};
use crate::value::Set;

pub(crate) fn sadd(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let members = &args[2..];
    let (seed, budget) = (context.seed(), context.budget());
    let added = context.resize_or_create::<Set, _>(args[1], |set| {
        set.expect(members.len(), members.iter().map(|member| member.len()).sum());
        let members = members.iter().inspect(|_| budget.spend(ELEMENT));
        members.filter(|member| set.insert(seed, member)).count()
    })?;
    reply.length(added);
    Ok(())
}

pub(crate) fn srem(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let members = &args[2..];
    let budget = context.budget();
    let removed = context.resize::<Set, _>(args[1], |set| {
        let members = members.iter().inspect(|_| budget.spend(ELEMENT));
        members.filter(|member| set.remove(member)).count()
    })?;
    reply.length(removed.unwrap_or(0));
    Ok(())
}

pub(crate) fn smembers(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let set = view.read::<Set>(args[1])?;
    let (length, bytes) = set.map_or((0, 0), |set| (set.len(), set.bytes()));
    afford(view.budget, length)?;
    check_reply(length, bytes)?;
    reply.expect(length, bytes);
    reply.set(length);
    set.into_iter().flat_map(Set::iter).for_each(|member| reply.bulk(member));
    Ok(())
}

pub(crate) fn sismember(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let found = view.read::<Set>(args[1])?.is_some_and(|set| set.contains(args[2]));
    reply.integer(found.into());
    Ok(())
}

pub(crate) fn smismember(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let set = view.read::<Set>(args[1])?;
    let members = &args[2..];
    reply.array(members.len());
    let members = members.iter().inspect(|_| view.budget.spend(ELEMENT));
    members.for_each(|member| reply.integer(set.is_some_and(|set| set.contains(member)).into()));
    Ok(())
}

pub(crate) fn scard(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply.length(view.read::<Set>(args[1])?.map_or(0, Set::len));
    Ok(())
}

pub(crate) fn smove(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (source, target, member) = (args[1], args[2], args[3]);
    let Some(set) = context.read::<Set>(source)? else {
        reply.integer(0);
        return Ok(());
    };
    let found = set.contains(member);
    context.read::<Set>(target)?;
    if found && source != target {
        context.resize::<Set, _>(source, |set| set.remove(member))?;
        let seed = context.seed();
        context.resize_or_create::<Set, _>(target, |set| set.insert(seed, member))?;
    }
    reply.integer(found.into());
    Ok(())
}

pub(crate) fn spop(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let key = args[1];
    let count = match &args[2..] {
        [] => None,
        [count] => Some(not_negative(count)?),
        _ => return Err(CommandError::Syntax),
    };
    let (length, bytes) = context.read::<Set>(key)?.map_or((0, 0), |set| (set.len(), set.bytes()));
    if let Some(count) = count.filter(|count| *count > 1) {
        // What is popped must reach its client. A share of a large set is about as large as its count says.
        let share = u128::from(bytes) * count.min(length) as u128 / length.max(1) as u128;
        afford(context.budget(), count.min(length).saturating_mul(2))?;
        check_reply(count.min(length), u64::try_from(share).unwrap_or(u64::MAX))?;
    }
    let (mut random, budget) = (context.random(), context.budget());
    let popped = context.resize::<Set, _>(key, |set| {
        let count = count.unwrap_or(1).min(length);
        let draws = (0..count).inspect(|_| budget.spend(ELEMENT));
        draws.filter_map(|_| set.remove_at(random.below(set.len()))).collect::<Vec<_>>()
    })?;
    let popped = popped.unwrap_or_default();
    match (count, popped.first()) {
        (Some(_), _) => {
            reply.set(popped.len());
            popped.iter().for_each(|member| reply.bulk(member));
        }
        (None, Some(member)) => reply.bulk(member),
        (None, None) => reply.null(),
    }
    Ok(())
}
