//! The options of `ZADD`.

use crate::error::CommandError;
use crate::number::{float, is_word};

/// Members that are to be added, each behind its score.
type Scored<'a> = Vec<(f64, &'a [u8])>;

/// The options of `ZADD`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZaddOptions {
    /// `NX`: members that are there stay as they are.
    pub only_new: bool,
    /// `XX`: no member is added.
    pub only_existing: bool,
    /// `GT`: no score becomes lower.
    pub only_greater: bool,
    /// `LT`: no score becomes higher.
    pub only_less: bool,
    /// `CH`: the answer also counts the members whose score has changed.
    pub count_changed: bool,
    /// `INCR`: what is given is added to the score.
    pub increment: bool,
}

impl ZaddOptions {
    /// Parses what follows the key: the options, and the pairs of score and member behind them.
    ///
    /// # Errors
    /// If options contradict each other, there are no pairs, or a score is no number.
    pub fn parse<'a>(args: &[&'a [u8]]) -> Result<(Self, Scored<'a>), CommandError> {
        let mut options = Self::default();
        let mut rest = args;
        while let [option, tail @ ..] = rest {
            let flag = match option {
                _ if is_word(option, "NX") => &mut options.only_new,
                _ if is_word(option, "XX") => &mut options.only_existing,
                _ if is_word(option, "GT") => &mut options.only_greater,
                _ if is_word(option, "LT") => &mut options.only_less,
                _ if is_word(option, "CH") => &mut options.count_changed,
                _ if is_word(option, "INCR") => &mut options.increment,
                _ => break,
            };
            *flag = true;
            rest = tail;
        }
        let (pairs, []) = rest.as_chunks::<2>() else { return Err(CommandError::Syntax) };
        if pairs.is_empty() {
            return Err(CommandError::Syntax);
        }
        if options.only_new && options.only_existing {
            return Err(CommandError::Other("ERR XX and NX options at the same time are not compatible"));
        }
        let compared = options.only_greater || options.only_less;
        if options.only_new && compared || options.only_greater && options.only_less {
            return Err(CommandError::Other(
                "ERR GT, LT, and/or NX options at the same time are not compatible",
            ));
        }
        if options.increment && pairs.len() > 1 {
            return Err(CommandError::Other("ERR INCR option supports a single increment-element pair"));
        }
        let pairs = pairs.iter().map(|[score, member]| Ok((float(score)?, *member)));
        Ok((options, pairs.collect::<Result<_, CommandError>>()?))
    }

    /// The score that a member gets, which has `current`; `None` if it stays as it is.
    ///
    /// # Errors
    /// If the sum is no number.
    pub fn resolve(self, current: Option<f64>, score: f64) -> Result<Option<f64>, CommandError> {
        let Some(current) = current else { return Ok((!self.only_existing).then_some(score)) };
        if self.only_new {
            return Ok(None);
        }
        let score = if self.increment { current + score } else { score };
        if score.is_nan() {
            return Err(CommandError::Other("ERR resulting score is not a number (NaN)"));
        }
        let kept = self.only_less && score >= current || self.only_greater && score <= current;
        Ok((!kept).then_some(score))
    }
}

#[cfg(test)]
mod tests {
    use super::super::split;
    use super::*;

    fn parse(text: &str) -> Result<(ZaddOptions, Scored<'_>), CommandError> {
        ZaddOptions::parse(&split(text))
    }

    #[test]
    fn options_end_where_the_scores_begin() {
        let (options, pairs) = parse("xx CH 1 nx 2.5 b").unwrap();
        let expected = ZaddOptions { only_existing: true, count_changed: true, ..ZaddOptions::default() };
        assert_eq!(options, expected);
        assert_eq!(pairs, [(1.0, &b"nx"[..]), (2.5, b"b")]);
    }

    #[test]
    fn conditions_compare_with_the_score_that_there_is() {
        // The score that a member gets which has none, 1, 2 or 3, and is given 2.
        for (text, scores) in [
            ("", [Some(2.0), Some(2.0), Some(2.0), Some(2.0)]),
            ("NX", [Some(2.0), None, None, None]),
            ("XX", [None, Some(2.0), Some(2.0), Some(2.0)]),
            ("GT", [Some(2.0), Some(2.0), None, None]),
            ("LT", [Some(2.0), None, None, Some(2.0)]),
            ("XX LT", [None, None, None, Some(2.0)]),
            ("INCR", [Some(2.0), Some(3.0), Some(4.0), Some(5.0)]),
            ("INCR LT", [Some(2.0), None, None, None]),
        ] {
            let text = format!("{text} 2 member");
            let (options, pairs) = parse(&text).unwrap();
            let current = [None, Some(1.0), Some(2.0), Some(3.0)];
            let resolved = current.map(|current| options.resolve(current, pairs[0].0).unwrap());
            assert_eq!(resolved, scores, "{text}");
        }
    }

    #[test]
    fn a_sum_must_be_a_number() {
        let (options, pairs) = parse("INCR -inf member").unwrap();
        let error = CommandError::Other("ERR resulting score is not a number (NaN)");
        assert_eq!(options.resolve(Some(f64::INFINITY), pairs[0].0), Err(error));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in ["", "NX", "1", "1 a 2", "CH NX"] {
            assert_eq!(parse(text), Err(CommandError::Syntax), "{text}");
        }
        for text in ["NX GT 1 a", "GT LT 1 a", "LT NX 1 a"] {
            let error = "ERR GT, LT, and/or NX options at the same time are not compatible";
            assert_eq!(parse(text), Err(CommandError::Other(error)), "{text}");
        }
        let error = "ERR XX and NX options at the same time are not compatible";
        assert_eq!(parse("NX XX 1 a"), Err(CommandError::Other(error)));
        let error = "ERR INCR option supports a single increment-element pair";
        assert_eq!(parse("INCR 1 a 2 b"), Err(CommandError::Other(error)));
        assert_eq!(parse("1 a high b"), Err(CommandError::NotFloat));
    }
}
