//! Intersections, unions and differences of sets, as this replica sees them. A result that is stored replaces
//! what this replica has seen at its key.

use std::collections::BTreeSet;

use bytes::Bytes;
use onecopy_keyspace::CommandError;
use onecopy_keyspace::options::Cardinality;
use onecopy_resp::Writer;

use super::Outcome;
use super::sets::{has, member, members};
use crate::delta::Put;
use crate::object::Object;
use crate::place::Kind;
use crate::transaction::Transaction;

type Members = BTreeSet<Bytes>;

/// The sets at these keys, all of which must be sets or absent.
fn sets<'a>(
    transaction: &'a Transaction<'_>,
    names: &[&[u8]],
) -> Result<Vec<Option<&'a Object>>, CommandError> {
    names.iter().map(|name| transaction.read(&transaction.key(name), Kind::Set)).collect()
}

fn owned<'a>(members: impl Iterator<Item = &'a [u8]>) -> Members {
    members.map(Bytes::copy_from_slice).collect()
}

/// The result of an operation.
type Operation = fn(&Transaction<'_>, &[&[u8]]) -> Result<Members, CommandError>;

fn inter(transaction: &Transaction<'_>, names: &[&[u8]]) -> Result<Members, CommandError> {
    let sets = sets(transaction, names)?;
    let smallest = sets.iter().min_by_key(|set| super::sets::len(**set)).copied().flatten();
    Ok(owned(members(smallest).filter(|member| sets.iter().all(|set| has(*set, member)))))
}

fn union(transaction: &Transaction<'_>, names: &[&[u8]]) -> Result<Members, CommandError> {
    Ok(owned(sets(transaction, names)?.into_iter().flat_map(members)))
}

fn difference(transaction: &Transaction<'_>, names: &[&[u8]]) -> Result<Members, CommandError> {
    let sets = sets(transaction, names)?;
    let Some((first, others)) = sets.split_first() else { return Ok(Members::new()) };
    Ok(owned(members(*first).filter(|member| !others.iter().any(|set| has(*set, member)))))
}

fn reply_result(
    transaction: &Transaction<'_>,
    names: &[&[u8]],
    operation: Operation,
    reply: &mut Writer<'_>,
) -> Outcome {
    let result = operation(transaction, names)?;
    reply.set(result.len());
    result.iter().for_each(|member| reply.bulk(member));
    Ok(())
}

fn store_result(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    operation: Operation,
    reply: &mut Writer<'_>,
) -> Outcome {
    let result = operation(transaction, &args[2..])?;
    transaction.afford(result.iter().map(|member| member.len() + 16).sum())?;
    let key = transaction.key(args[1]);
    transaction.delete(&key);
    reply.length(result.len());
    for name in result {
        transaction.put(&key, member(&name), Put::Member);
    }
    Ok(())
}

pub(super) fn sinter(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_result(transaction, &args[1..], inter, reply)
}

pub(super) fn sunion(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_result(transaction, &args[1..], union, reply)
}

pub(super) fn sdiff(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_result(transaction, &args[1..], difference, reply)
}

pub(super) fn sinterstore(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    store_result(transaction, args, inter, reply)
}

pub(super) fn sunionstore(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    store_result(transaction, args, union, reply)
}

pub(super) fn sdiffstore(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    store_result(transaction, args, difference, reply)
}

pub(super) fn sintercard(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    let Cardinality { keys, count_max } = Cardinality::parse(&args[1..])?;
    reply.length(inter(transaction, keys)?.len().min(count_max));
    Ok(())
}
