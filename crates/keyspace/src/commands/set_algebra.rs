//! Intersections, unions and differences of sets.
//!
//! The result is in the order of the first set that a member was found in (of the smallest set, for
//! intersections).

use std::collections::BTreeSet;

use onecopy_core::Budget;
use onecopy_resp::Writer;

use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::machine::check_reply;
use crate::options::Cardinality;
use crate::steps::{Steps, copying};
use crate::value::Set;

/// The sets at these keys, all of which must be sets or absent. A key that comes again adds nothing, and is
/// left out.
fn sets<'a>(view: &View<'a>, keys: &[&[u8]]) -> Result<Vec<Option<&'a Set>>, CommandError> {
    let mut seen = BTreeSet::new();
    keys.iter().filter(|key| seen.insert(**key)).map(|key| view.read::<Set>(key)).collect()
}

/// The members that all sets have, at most `count_max`.
fn intersection<'a>(
    sets: &[Option<&'a Set>],
    count_max: usize,
    budget: Budget<'_>,
) -> Result<Vec<&'a [u8]>, CommandError> {
    let Some(sets) = sets.iter().copied().collect::<Option<Vec<_>>>() else { return Ok(Vec::new()) };
    let Some((at, smallest)) = sets.iter().enumerate().min_by_key(|(_, set)| set.len()) else {
        return Ok(Vec::new());
    };
    let (mut steps, mut common) = (Steps::new(budget), Vec::new());
    for member in smallest.iter() {
        let mut is_in_all = true;
        for (_, set) in sets.iter().enumerate().filter(|(other, _)| *other != at) {
            steps.take(1)?;
            is_in_all = set.contains(member);
            if !is_in_all {
                break;
            }
        }
        steps.take(1)?;
        if is_in_all {
            common.push(member);
            if common.len() == count_max {
                break;
            }
        }
    }
    Ok(common)
}

/// The result of an operation, as a set.
type Operation = fn(&View<'_>, &[&[u8]]) -> Result<Set, CommandError>;

fn inter(view: &View<'_>, keys: &[&[u8]]) -> Result<Set, CommandError> {
    let mut result = Set::new();
    for member in intersection(&sets(view, keys)?, usize::MAX, view.budget)? {
        view.budget.spend(1);
        result.insert(view.keyspace.seed, member);
    }
    Ok(result)
}

fn union(view: &View<'_>, keys: &[&[u8]]) -> Result<Set, CommandError> {
    let sets = sets(view, keys)?;
    let members = || sets.iter().copied().flatten();
    let bytes: u64 = members().map(Set::bytes).sum();
    let mut steps = Steps::new(view.budget);
    steps.reserve(members().map(Set::len).sum::<usize>().saturating_mul(2))?;
    steps.reserve_copy(usize::try_from(bytes).unwrap_or(usize::MAX))?;
    let mut result = Set::new();
    for member in members().flat_map(Set::iter) {
        view.budget.spend(2 + copying(member.len()));
        result.insert(view.keyspace.seed, member);
    }
    Ok(result)
}

fn difference(view: &View<'_>, keys: &[&[u8]]) -> Result<Set, CommandError> {
    // The first may come again among the others, which then leave nothing of it.
    let Some((first, others)) = keys.split_first() else { return Ok(Set::new()) };
    let (first, others) = (view.read::<Set>(first)?, sets(view, others)?);
    let mut steps = Steps::new(view.budget);
    let mut result = Set::new();
    let Some(first) = first else { return Ok(result) };
    for member in first.iter() {
        let mut is_elsewhere = false;
        for set in others.iter().flatten() {
            steps.take(1)?;
            is_elsewhere = set.contains(member);
            if is_elsewhere {
                break;
            }
        }
        steps.take(1)?;
        if !is_elsewhere {
            view.budget.spend(1);
            result.insert(view.keyspace.seed, member);
        }
    }
    Ok(result)
}

fn reply_result(view: &View<'_>, args: &[&[u8]], operation: Operation, reply: &mut Writer<'_>) -> Outcome {
    let result = operation(view, &args[1..])?;
    check_reply(result.len(), result.bytes())?;
    reply.set(result.len());
    result.iter().for_each(|member| reply.bulk(member));
    Ok(())
}

fn store_result(
    context: &mut Context<'_>,
    args: &[&[u8]],
    operation: Operation,
    reply: &mut Writer<'_>,
) -> Outcome {
    let result = operation(&context.view(), &args[2..])?;
    reply.length(result.len());
    context.store(args[1], result);
    Ok(())
}

pub(crate) fn sinter(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_result(view, args, inter, reply)
}

pub(crate) fn sunion(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_result(view, args, union, reply)
}

pub(crate) fn sdiff(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_result(view, args, difference, reply)
}

pub(crate) fn sinterstore(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    store_result(context, args, inter, reply)
}

pub(crate) fn sunionstore(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    store_result(context, args, union, reply)
}

pub(crate) fn sdiffstore(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    store_result(context, args, difference, reply)
}

pub(crate) fn sintercard(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let Cardinality { keys, count_max } = Cardinality::parse(&args[1..])?;
    reply.length(intersection(&sets(view, keys)?, count_max, view.budget)?.len());
    Ok(())
}
