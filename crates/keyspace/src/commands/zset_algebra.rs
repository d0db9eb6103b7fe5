//! Unions, intersections and differences of sorted sets. A plain set takes part as one whose scores are all
//! 1.

use onecopy_resp::Writer;

use super::zset_range::{check_range, reply_header, reply_pair};
use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::number::{integer, is_word, parse_float, parse_integer};
use crate::steps::{ORDERED, Steps};
use crate::value::{Content, Set, Zset, score_of_parts};

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
            Self::Sum => score_of_parts(a, b),
            Self::Min => {
                if b < a {
                    b
                } else {
                    a
                }
            }
            Self::Max => {
                if b > a {
                    b
                } else {
                    a
                }
            }
        }
    }
}

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
    sources: Vec<(Source<'a>, f64)>,
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

impl<'a> Query<'a> {
    /// `args` begin with the number of keys.
    fn parse(
        view: &View<'a>,
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
        let (keys, options) = split.ok_or(CommandError::Syntax)?;
        let sources = keys.iter().map(|key| Ok((Source::read(view, key)?, 1.0)));
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

    /// The result, of at most `count_max` members.
    fn run(mut self, view: &View<'_>) -> Result<Zset, CommandError> {
        let mut steps = Steps::new(view.budget);
        let mut paid: Outcome = Ok(());
        let mut result = Zset::new();
        let weighted = |weight: f64, score: f64| {
            let product = weight * score;
            if product.is_nan() { 0.0 } else { product }
        };
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

macro_rules! too_few {
    ($name:literal) => {
        concat!("ERR at least 1 input key is needed for '", $name, "' command")
    };
}

fn reply_result(
    view: &View<'_>,
    args: &[&[u8]],
    operation: Operation,
    too_few: &'static str,
    reply: &mut Writer<'_>,
) -> Outcome {
    let query = Query::parse(view, &args[1..], operation, Form::Reply, too_few)?;
    let with_scores = query.with_scores;
    let result = query.run(view)?;
    check_range(&result, 0..result.len(), 1)?;
    reply_header(result.len(), with_scores, reply);
    result.range(0..result.len()).for_each(|pair| reply_pair(pair, with_scores, reply));
    Ok(())
}

pub(crate) fn zunion(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_result(view, args, Operation::Union, too_few!("zunion"), reply)
}

pub(crate) fn zinter(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_result(view, args, Operation::Intersection, too_few!("zinter"), reply)
}

pub(crate) fn zdiff(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_result(view, args, Operation::Difference, too_few!("zdiff"), reply)
}

fn store_result(
    context: &mut Context<'_>,
    args: &[&[u8]],
    operation: Operation,
    too_few: &'static str,
    reply: &mut Writer<'_>,
) -> Outcome {
    let view = context.view();
    let result = Query::parse(&view, &args[2..], operation, Form::Store, too_few)?.run(&view)?;
    reply.length(result.len());
    context.store(args[1], result);
    Ok(())
}

pub(crate) fn zunionstore(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    store_result(context, args, Operation::Union, too_few!("zunionstore"), reply)
}

pub(crate) fn zinterstore(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    store_result(context, args, Operation::Intersection, too_few!("zinterstore"), reply)
}

pub(crate) fn zdiffstore(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    store_result(context, args, Operation::Difference, too_few!("zdiffstore"), reply)
}

pub(crate) fn zintercard(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let too_few = too_few!("zintercard");
    let result = Query::parse(view, &args[1..], Operation::Intersection, Form::Count, too_few)?.run(view)?;
    reply.length(result.len());
    Ok(())
}
