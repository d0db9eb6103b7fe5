//! Unions, intersections and differences of sorted sets, as this replica sees them. A plain set takes part as
//! one whose scores are all 1.

use std::collections::BTreeMap;

use bytes::Bytes;
use onecopy_keyspace::CommandError;
use onecopy_keyspace::options::{Aggregate, AlgebraForm, AlgebraOptions, Operation, split_keys, weighted};
use onecopy_resp::Writer;

use super::Outcome;
use super::zset_range::{reply_members, store};
use crate::place::Kind;
use crate::score::Score;
use crate::transaction::Transaction;

/// The members of a source, and their scores.
type Members = BTreeMap<Bytes, f64>;

fn source(transaction: &Transaction<'_>, name: &[u8]) -> Result<Members, CommandError> {
    let object = transaction.object(&transaction.key(name));
    match object.and_then(|object| object.kind()) {
        None => Ok(Members::new()),
        Some(Kind::Set) => {
            Ok(super::sets::members(object).map(|name| (Bytes::copy_from_slice(name), 1.0)).collect())
        }
        Some(Kind::SortedSet) => {
            Ok(super::zsets::ranked(object).map(|(member, score)| (member.clone(), score)).collect())
        }
        Some(_) => Err(CommandError::WrongType),
    }
}

/// A command, parsed.
struct Query {
    operation: Operation,
    /// Each with its weight.
    sources: Vec<(Members, f64)>,
    aggregate: Aggregate,
    with_scores: bool,
    count_max: usize,
}

impl Query {
    /// `args` begin with the number of keys; `name` is that of the command.
    fn parse(
        transaction: &Transaction<'_>,
        args: &[&[u8]],
        operation: Operation,
        form: AlgebraForm,
        name: &'static str,
    ) -> Result<Self, CommandError> {
        let (names, options) = split_keys(args, name)?;
        // As in Redis, a value of a wrong type is noticed before a wrong option.
        let sources = names.iter().map(|name| source(transaction, name));
        let sources = sources.collect::<Result<Vec<_>, CommandError>>()?;
        let AlgebraOptions { weights, aggregate, with_scores, count_max } =
            AlgebraOptions::parse(options, names.len(), operation, form)?;
        let sources = sources.into_iter().zip(weights).collect();
        Ok(Self { operation, sources, aggregate, with_scores, count_max })
    }

    /// The result, in order of the scores.
    fn run(mut self) -> Vec<(Bytes, f64)> {
        if self.operation != Operation::Difference {
            // As Redis does; it matters to the last digit of a sum.
            self.sources.sort_by_key(|(members, _)| members.len());
        }
        let Some(((first, first_weight), others)) = self.sources.split_first() else { return Vec::new() };
        let mut result = Members::new();
        match self.operation {
            Operation::Union => {
                for (members, weight) in &self.sources {
                    for (member, score) in members {
                        let score = weighted(*weight, *score);
                        let combined =
                            result.get(member).map_or(score, |before| self.aggregate.combine(*before, score));
                        result.insert(member.clone(), combined);
                    }
                }
            }
            Operation::Intersection => {
                for (member, score) in first {
                    let scores =
                        others.iter().map(|(members, weight)| Some(weighted(*weight, *members.get(member)?)));
                    if let Some(scores) = scores.collect::<Option<Vec<_>>>() {
                        let first = weighted(*first_weight, *score);
                        let combined = scores.into_iter().fold(first, |a, b| self.aggregate.combine(a, b));
                        result.insert(member.clone(), combined);
                    }
                }
            }
            Operation::Difference => {
                let left = first
                    .iter()
                    .filter(|(member, _)| !others.iter().any(|(other, _)| other.contains_key(*member)));
                result.extend(left.map(|(member, score)| (member.clone(), *score)));
            }
        }
        let mut ordered: Vec<_> = result.into_iter().map(|(member, score)| (member, score + 0.0)).collect();
        ordered.sort_by(|a, b| (Score(a.1), &a.0).cmp(&(Score(b.1), &b.0)));
        ordered
    }
}

fn reply_result(
    transaction: &Transaction<'_>,
    args: &[&[u8]],
    operation: Operation,
    name: &'static str,
    reply: &mut Writer<'_>,
) -> Outcome {
    let query = Query::parse(transaction, &args[1..], operation, AlgebraForm::Reply, name)?;
    let with_scores = query.with_scores;
    reply_members(&query.run(), with_scores, reply);
    Ok(())
}

pub(super) fn zunion(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_result(transaction, args, Operation::Union, "zunion", reply)
}

pub(super) fn zinter(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_result(transaction, args, Operation::Intersection, "zinter", reply)
}

pub(super) fn zdiff(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_result(transaction, args, Operation::Difference, "zdiff", reply)
}

fn store_result(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    operation: Operation,
    name: &'static str,
    reply: &mut Writer<'_>,
) -> Outcome {
    let result = Query::parse(transaction, &args[2..], operation, AlgebraForm::Store, name)?.run();
    let key = transaction.key(args[1]);
    reply.length(store(transaction, &key, &result)?);
    Ok(())
}

pub(super) fn zunionstore(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    store_result(transaction, args, Operation::Union, "zunionstore", reply)
}

pub(super) fn zinterstore(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    store_result(transaction, args, Operation::Intersection, "zinterstore", reply)
}

pub(super) fn zdiffstore(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    store_result(transaction, args, Operation::Difference, "zdiffstore", reply)
}

pub(super) fn zintercard(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    let (operation, form) = (Operation::Intersection, AlgebraForm::Count);
    let query = Query::parse(transaction, &args[1..], operation, form, "zintercard")?;
    let count_max = query.count_max;
    reply.length(query.run().len().min(count_max));
    Ok(())
}
