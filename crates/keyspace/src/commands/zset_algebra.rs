//! Unions, intersections and differences of sorted sets. A plain set takes part as one whose scores are all
//! 1.

use onecopy_resp::Writer;

use super::zset_range::{check_range, reply_header, reply_pair};
use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::options::{Aggregate, AlgebraForm, AlgebraOptions, Operation, split_keys, weighted};
use crate::steps::{ORDERED, Steps};
use crate::value::{Content, Set, Zset};

/// A set of either kind, or none.
#[derive(Clone, Copy)]
enum Source<'a> {
    Absent,
    Set(&'a Set),
    Zset(&'a Zset),
}

impl<'a> Source<'a> {
    fn read(view: &View<'a>, key: &[u8]) -> Result<Self, CommandError> {
        match view.object(key).map(|object| object.value) {
            None => Ok(Self::Absent),
            Some(Content::Set(set)) => Ok(Self::Set(set)),
            Some(Content::Zset(zset)) => Ok(Self::Zset(zset)),
            Some(_) => Err(CommandError::WrongType),
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Absent => 0,
            Self::Set(set) => set.len(),
            Self::Zset(zset) => zset.len(),
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Absent => None,
            Self::Set(set) => set.contains(member).then_some(1.0),
            Self::Zset(zset) => zset.score(member),
        }
    }

    /// Calls `each` with every member until it returns false.
    fn each(self, mut each: impl FnMut(&'a [u8], f64) -> bool) {
        match self {
            Self::Absent => {}
            Self::Set(set) => {
                set.iter().all(|member| each(member, 1.0));
            }
            Self::Zset(zset) => {
                zset.iter().all(|(member, score)| each(member, score));
            }
        }
    }
}

/// A command, parsed.
struct Query<'a> {
    operation: Operation,
    /// Each with its weight.
    sources: Vec<(Source<'a>, f64)>,
    aggregate: Aggregate,
    with_scores: bool,
    count_max: usize,
}

impl<'a> Query<'a> {
    /// `args` begin with the number of keys; `name` is that of the command.
    fn parse(
        view: &View<'a>,
        args: &[&[u8]],
        operation: Operation,
        form: AlgebraForm,
        name: &'static str,
    ) -> Result<Self, CommandError> {
        let (keys, options) = split_keys(args, name)?;
        // As in Redis, a value of a wrong type is noticed before a wrong option.
        let sources = keys.iter().map(|key| Source::read(view, key));
        let sources = sources.collect::<Result<Vec<_>, CommandError>>()?;
        let AlgebraOptions { weights, aggregate, with_scores, count_max } =
            AlgebraOptions::parse(options, keys.len(), operation, form)?;
        let sources = sources.into_iter().zip(weights).collect();
        Ok(Self { operation, sources, aggregate, with_scores, count_max })
    }

    /// The result, of at most `count_max` members.
    fn run(mut self, view: &View<'_>) -> Result<Zset, CommandError> {
        let mut steps = Steps::new(view.budget);
        let mut paid: Outcome = Ok(());
        let mut result = Zset::new();
        if self.operation != Operation::Difference {
            // As Redis does; it matters to the last digit of a sum.
            self.sources.sort_by_key(|(source, _)| source.len());
        }
        let Some(((first, first_weight), others)) = self.sources.split_first() else { return Ok(result) };
        match self.operation {
            Operation::Union => {
                for (source, weight) in &self.sources {
                    if paid.is_err() {
                        break;
                    }
                    source.each(|member, score| {
                        paid = steps.take(1 + 2 * ORDERED);
                        let score = weighted(*weight, score);
                        let before = result.score(member);
                        let combined = before.map_or(score, |before| self.aggregate.combine(before, score));
                        result.insert(view.keyspace.seed, member, combined);
                        paid.is_ok()
                    });
                }
            }
            Operation::Intersection => first.each(|member, score| {
                paid = steps.take(1 + others.len());
                let scores =
                    others.iter().map(|(source, weight)| Some(weighted(*weight, source.score(member)?)));
                if let Some(scores) = scores.collect::<Option<Vec<_>>>() {
                    let first = weighted(*first_weight, score);
                    let combined = scores.into_iter().fold(first, |a, b| self.aggregate.combine(a, b));
                    result.insert(view.keyspace.seed, member, combined);
                    paid = paid.clone().and_then(|()| steps.take(2 * ORDERED));
                }
                paid.is_ok() && result.len() < self.count_max
            }),
            Operation::Difference => first.each(|member, score| {
                paid = steps.take(1 + others.len());
                if others.iter().all(|(source, _)| source.score(member).is_none()) {
                    result.insert(view.keyspace.seed, member, score);
                    paid = paid.clone().and_then(|()| steps.take(2 * ORDERED));
                }
                paid.is_ok()
            }),
        }
        paid.map(|()| result)
    }
}

fn reply_result(
    view: &View<'_>,
    args: &[&[u8]],
    operation: Operation,
    name: &'static str,
    reply: &mut Writer<'_>,
) -> Outcome {
    let query = Query::parse(view, &args[1..], operation, AlgebraForm::Reply, name)?;
    let with_scores = query.with_scores;
    let result = query.run(view)?;
    check_range(&result, 0..result.len(), 1)?;
    reply_header(result.len(), with_scores, reply);
    result.range(0..result.len()).for_each(|pair| reply_pair(pair, with_scores, reply));
    Ok(())
}

pub(crate) fn zunion(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_result(view, args, Operation::Union, "zunion", reply)
}

pub(crate) fn zinter(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_result(view, args, Operation::Intersection, "zinter", reply)
}

pub(crate) fn zdiff(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_result(view, args, Operation::Difference, "zdiff", reply)
}

fn store_result(
    context: &mut Context<'_>,
    args: &[&[u8]],
    operation: Operation,
    name: &'static str,
    reply: &mut Writer<'_>,
) -> Outcome {
    let view = context.view();
    let result = Query::parse(&view, &args[2..], operation, AlgebraForm::Store, name)?.run(&view)?;
    reply.length(result.len());
    context.store(args[1], result);
    Ok(())
}

pub(crate) fn zunionstore(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    store_result(context, args, Operation::Union, "zunionstore", reply)
}

pub(crate) fn zinterstore(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    store_result(context, args, Operation::Intersection, "zinterstore", reply)
}

pub(crate) fn zdiffstore(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    store_result(context, args, Operation::Difference, "zdiffstore", reply)
}

pub(crate) fn zintercard(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let query = Query::parse(view, &args[1..], Operation::Intersection, AlgebraForm::Count, "zintercard")?;
    reply.length(query.run(view)?.len());
    Ok(())
}
