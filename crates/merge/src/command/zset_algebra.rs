//! Unions, intersections and differences of sorted sets, as this replica sees them. A plain set takes part as
//! one whose scores are all 1.

use std::collections::BTreeMap;

use bytes::Bytes;
use onecopy_keyspace::CommandError;
use onecopy_keyspace::number::{integer, is_word, parse_float, parse_integer};
use onecopy_resp::Writer;

use super::Outcome;
use super::zset_range::{reply_members, store};
use crate::cell::sum_of;
use crate::place::Kind;
use crate::score::Score;
use crate::transaction::Transaction;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// How the scores of one member are put together.
#[derive(Clone, Copy, Debug)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn parse(arg: &[u8]) -> Result<Self, CommandError> {
        match arg {
            _ if is_word(arg, "SUM") => Ok(Self::Sum),
            _ if is_word(arg, "MIN") => Ok(Self::Min),
            _ if is_word(arg, "MAX") => Ok(Self::Max),
            _ => Err(CommandError::Syntax),
        }
    }

    fn combine(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Sum => sum_of(a, b),
            Self::Min if b < a => b,
            Self::Max if b > a => b,
            Self::Min | Self::Max => a,
        }
    }
}

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
    sources: Vec<(Members, f64)>,
    aggregate: Aggregate,
    with_scores: bool,
    count_max: usize,
}

/// Which options a command takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Reply,
    Store,
    Count,
}

impl Query {
    /// `args` begin with the number of keys.
    fn parse(
        transaction: &Transaction<'_>,
        args: &[&[u8]],
        operation: Operation,
        form: Form,
        too_few: &'static str,
    ) -> Result<Self, CommandError> {
        let count = integer(args[0])?;
        if count < 1 {
            return Err(CommandError::Other(too_few));
        }
        let split = usize::try_from(count).ok().and_then(|count| args[1..].split_at_checked(count));
        let (names, options) = split.ok_or(CommandError::Syntax)?;
        let sources = names.iter().map(|name| Ok((source(transaction, name)?, 1.0)));
        let sources = sources.collect::<Result<Vec<_>, CommandError>>()?;
        let aggregate = Aggregate::Sum;
        let mut query = Self { operation, sources, aggregate, with_scores: false, count_max: usize::MAX };
        query.parse_options(options, form)?;
        Ok(query)
    }

    fn parse_options(&mut self, options: &[&[u8]], form: Form) -> Result<(), CommandError> {
        let weighs = self.operation != Operation::Difference && form != Form::Count;
        let mut rest = options;
        while let [option, tail @ ..] = rest {
            if weighs && is_word(option, "WEIGHTS") && tail.len() >= self.sources.len() {
                let (weights, tail) = tail.split_at(self.sources.len());
                for ((_, weight), arg) in self.sources.iter_mut().zip(weights) {
                    *weight =
                        parse_float(arg).ok_or(CommandError::Other("ERR weight value is not a float"))?;
                }
                rest = tail;
            } else if weighs && is_word(option, "AGGREGATE") && !tail.is_empty() {
                self.aggregate = Aggregate::parse(tail[0])?;
                rest = &tail[1..];
            } else if form == Form::Reply && is_word(option, "WITHSCORES") {
                self.with_scores = true;
                rest = tail;
            } else if form == Form::Count && is_word(option, "LIMIT") && !tail.is_empty() {
                let limit = parse_integer(tail[0]).and_then(|limit| usize::try_from(limit).ok());
                let limit = limit.ok_or(CommandError::Other("ERR LIMIT can't be negative"))?;
                self.count_max = if limit == 0 { usize::MAX } else { limit };
                rest = &tail[1..];
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(())
    }

    /// The result, in order of the scores.
    fn run(mut self) -> Vec<(Bytes, f64)> {
        let weighted = |weight: f64, score: f64| {
            let product = weight * score;
            if product.is_nan() { 0.0 } else { product }
        };
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

macro_rules! too_few {
    ($name:literal) => {
        concat!("ERR at least 1 input key is needed for '", $name, "' command")
    };
}

fn reply_result(
    transaction: &Transaction<'_>,
    args: &[&[u8]],
    operation: Operation,
    too_few: &'static str,
    reply: &mut Writer<'_>,
) -> Outcome {
    let query = Query::parse(transaction, &args[1..], operation, Form::Reply, too_few)?;
    let with_scores = query.with_scores;
    reply_members(&query.run(), with_scores, reply);
    Ok(())
}

pub(super) fn zunion(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_result(transaction, args, Operation::Union, too_few!("zunion"), reply)
}

pub(super) fn zinter(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_result(transaction, args, Operation::Intersection, too_few!("zinter"), reply)
}

pub(super) fn zdiff(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_result(transaction, args, Operation::Difference, too_few!("zdiff"), reply)
}

fn store_result(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    operation: Operation,
    too_few: &'static str,
    reply: &mut Writer<'_>,
) -> Outcome {
    let result = Query::parse(transaction, &args[2..], operation, Form::Store, too_few)?.run();
    let key = transaction.key(args[1]);
    reply.length(store(transaction, &key, &result)?);
    Ok(())
}

pub(super) fn zunionstore(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    store_result(transaction, args, Operation::Union, too_few!("zunionstore"), reply)
}

pub(super) fn zinterstore(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    store_result(transaction, args, Operation::Intersection, too_few!("zinterstore"), reply)
}

pub(super) fn zdiffstore(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    store_result(transaction, args, Operation::Difference, too_few!("zdiffstore"), reply)
}

pub(super) fn zintercard(
    transaction: &mut Transaction<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    let (intersection, too_few) = (Operation::Intersection, too_few!("zintercard"));
    let query = Query::parse(transaction, &args[1..], intersection, Form::Count, too_few)?;
    let count_max = query.count_max;
    reply.length(query.run().len().min(count_max));
    Ok(())
}
