//! What `ZUNION`, `ZINTER`, `ZDIFF` and their relatives say.

use super::limit;
use crate::error::CommandError;
use crate::number::{integer, is_word, parse_float};

/// What is done with the members of several sorted sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Those that are in one of them.
    Union,
    /// Those that are in all of them.
    Intersection,
    /// Those that are in the first and in no other.
    Difference,
}

/// How the scores of one member are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// They are added.
    Sum,
    /// The lowest one counts.
    Min,
    /// The highest one counts.
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

    /// Puts two scores together. Infinities of both signs cancel out.
    pub fn combine(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Sum => number_or_zero(a + b),
            Self::Min if b < a => b,
            Self::Max if b > a => b,
            Self::Min | Self::Max => a,
        }
    }
}

/// A score times the weight of its sorted set. Nothing of something infinite is nothing.
pub fn weighted(weight: f64, score: f64) -> f64 {
    number_or_zero(weight * score)
}

/// What Redis makes of a result that is no number.
fn number_or_zero(result: f64) -> f64 {
    if result.is_nan() { 0.0 } else { result }
}

/// What a command does with the result, which decides on the options that it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlgebraForm {
    /// It answers with the members.
    Reply,
    /// It stores them.
    Store,
    /// It answers how many there are.
    Count,
}

/// Arguments: the keys, and what follows them.
type Split<'a, 'b> = (&'a [&'b [u8]], &'a [&'b [u8]]);

/// Parses the number of keys, which comes first, and separates the keys from the options. `name` is that of
/// the command.
///
/// # Errors
/// If there is not at least one key, or not as many as the number says.
///
/// # Panics
/// If there is no argument.
pub fn split_keys<'a, 'b>(args: &'a [&'b [u8]], name: &'static str) -> Result<Split<'a, 'b>, CommandError> {
    let count = integer(args[0])?;
    if count < 1 {
        return Err(CommandError::NoInputKey(name));
    }
    let split = usize::try_from(count).ok().and_then(|count| args[1..].split_at_checked(count));
    split.ok_or(CommandError::Syntax)
}

/// The options of the family.
#[derive(Clone, Debug, PartialEq)]
pub struct AlgebraOptions {
    /// `WEIGHTS`: one for each key.
    pub weights: Vec<f64>,
    /// `AGGREGATE`.
    pub aggregate: Aggregate,
    /// `WITHSCORES`.
    pub with_scores: bool,
    /// `LIMIT`: nobody wants to count further.
    pub count_max: usize,
}

impl AlgebraOptions {
    /// Parses what follows `keys` keys.
    ///
    /// # Errors
    /// If an option is unknown, the command does not take it, or its value is wrong.
    pub fn parse(
        options: &[&[u8]],
        keys: usize,
        operation: Operation,
        form: AlgebraForm,
    ) -> Result<Self, CommandError> {
        let mut parsed = Self {
            weights: vec![1.0; keys],
            aggregate: Aggregate::Sum,
            with_scores: false,
            count_max: usize::MAX,
        };
        let weighs = operation != Operation::Difference && form != AlgebraForm::Count;
        let mut rest = options;
        while let [option, tail @ ..] = rest {
            if weighs && is_word(option, "WEIGHTS") && tail.len() >= keys {
                let (weights, tail) = tail.split_at(keys);
                for (weight, arg) in parsed.weights.iter_mut().zip(weights) {
                    *weight =
                        parse_float(arg).ok_or(CommandError::Other("ERR weight value is not a float"))?;
                }
                rest = tail;
            } else if weighs && is_word(option, "AGGREGATE") && !tail.is_empty() {
                parsed.aggregate = Aggregate::parse(tail[0])?;
                rest = &tail[1..];
            } else if form == AlgebraForm::Reply && is_word(option, "WITHSCORES") {
                parsed.with_scores = true;
                rest = tail;
            } else if form == AlgebraForm::Count && is_word(option, "LIMIT") && !tail.is_empty() {
                parsed.count_max = limit(tail[0], "ERR LIMIT can't be negative")?;
                rest = &tail[1..];
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::split;
    use super::*;

    fn parse(text: &str, operation: Operation, form: AlgebraForm) -> Result<AlgebraOptions, CommandError> {
        AlgebraOptions::parse(&split(text), 2, operation, form)
    }

    #[test]
    fn keys_are_as_many_as_the_number_says() {
        let args = split("2 a b WITHSCORES");
        assert_eq!(split_keys(&args, "zunion"), Ok((&args[1..3], &args[3..])));
        assert_eq!(split_keys(&split("0 a"), "zunion"), Err(CommandError::NoInputKey("zunion")));
        assert_eq!(split_keys(&split("-1 a"), "zunion"), Err(CommandError::NoInputKey("zunion")));
        assert_eq!(split_keys(&split("2 a"), "zunion"), Err(CommandError::Syntax));
        assert_eq!(split_keys(&split("a a"), "zunion"), Err(CommandError::NotInteger));
    }

    #[test]
    fn each_form_takes_its_own_options() {
        use AlgebraForm::{Count, Reply, Store};
        use Operation::{Difference, Intersection, Union};
        let taken = |text| {
            let forms = [
                (Union, Reply),
                (Union, Store),
                (Difference, Reply),
                (Difference, Store),
                (Intersection, Count),
            ];
            forms.map(|(operation, form)| parse(text, operation, form).is_ok())
        };
        assert_eq!(taken(""), [true; 5]);
        assert_eq!(taken("weights 1 2"), [true, true, false, false, false]);
        assert_eq!(taken("AGGREGATE min"), [true, true, false, false, false]);
        assert_eq!(taken("WITHSCORES"), [true, false, true, false, false]);
        assert_eq!(taken("LIMIT 1"), [false, false, false, false, true]);
        assert_eq!(taken("WHAT"), [false; 5]);
    }

    #[test]
    fn options_have_values() {
        let union = |text| parse(text, Operation::Union, AlgebraForm::Reply);
        assert_eq!(union("").unwrap().weights, [1.0, 1.0]);
        let options = union("WEIGHTS 2 -inf AGGREGATE MAX WITHSCORES").unwrap();
        assert_eq!(options.weights, [2.0, f64::NEG_INFINITY]);
        assert_eq!((options.aggregate, options.with_scores), (Aggregate::Max, true));
        for text in ["WEIGHTS 1", "AGGREGATE", "AGGREGATE AVG", "WEIGHTS 1 2 3"] {
            assert_eq!(union(text), Err(CommandError::Syntax), "{text}");
        }
        let error = CommandError::Other("ERR weight value is not a float");
        assert_eq!(union("WEIGHTS 1 nan"), Err(error));

        let count = |text| {
            let options = parse(text, Operation::Intersection, AlgebraForm::Count);
            options.map(|options| options.count_max)
        };
        assert_eq!(count("LIMIT 3"), Ok(3));
        assert_eq!(count("LIMIT 0"), Ok(usize::MAX));
        assert_eq!(count("LIMIT -1"), Err(CommandError::Other("ERR LIMIT can't be negative")));
    }

    #[test]
    fn scores_are_always_numbers() {
        let infinity = f64::INFINITY;
        assert_eq!(Aggregate::Sum.combine(1.0, 2.0), 3.0);
        assert_eq!(Aggregate::Sum.combine(infinity, -infinity), 0.0);
        assert_eq!(Aggregate::Min.combine(1.0, 2.0), 1.0);
        assert_eq!(Aggregate::Max.combine(1.0, 2.0), 2.0);
        assert_eq!(weighted(2.0, 3.0), 6.0);
        assert_eq!(weighted(0.0, infinity), 0.0);
    }
}
