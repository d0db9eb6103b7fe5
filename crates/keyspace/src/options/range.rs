//! What the family of `ZRANGE` says.

use std::ops::Range;

use super::{Bounds, By, Ranking};
use crate::error::CommandError;
use crate::number::{integer, is_word};

/// `LIMIT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit {
    offset: i64,
    /// No limit when negative.
    count: i64,
}

impl Limit {
    const NONE: Self = Self { offset: 0, count: -1 };

    fn apply(self, ranks: Range<usize>, reverse: bool) -> Range<usize> {
        // Redis: a negative offset skips everything.
        let offset = usize::try_from(self.offset).unwrap_or(usize::MAX).min(ranks.len());
        let count = usize::try_from(self.count).unwrap_or(usize::MAX).min(ranks.len() - offset);
        if reverse {
            let end = ranks.end - offset;
            end - count..end
        } else {
            let start = ranks.start + offset;
            start..start + count
        }
    }
}

/// Everything that a command of the family says, apart from its keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RangeQuery<'a> {
    bounds: Bounds<'a>,
    limit: Limit,
    /// Whether the members are wanted in descending order.
    pub reverse: bool,
    /// `WITHSCORES`.
    pub with_scores: bool,
}

impl<'a> RangeQuery<'a> {
    /// Parses what follows the keys: the limits of the range, and options. `by` and `reverse` are said by the
    /// options unless the command itself says them; one that stores its result takes no `WITHSCORES`.
    ///
    /// # Errors
    /// If a limit is none, or an option is unknown, repeated or contradicts another one.
    ///
    /// # Panics
    /// If there are fewer than two arguments.
    pub fn parse(
        args: &[&'a [u8]],
        by: Option<By>,
        reverse: Option<bool>,
        stores: bool,
    ) -> Result<Self, CommandError> {
        let mut limit = Limit::NONE;
        let mut with_scores = false;
        let (mut chosen_by, mut chosen_reverse) = (by, reverse);
        let mut rest = args[2..].iter();
        while let Some(option) = rest.next() {
            if !stores && is_word(option, "WITHSCORES") {
                with_scores = true;
            } else if is_word(option, "LIMIT") {
                let [offset, count, ..] = rest.as_slice() else { return Err(CommandError::Syntax) };
                limit = Limit { offset: integer(offset)?, count: integer(count)? };
                rest.nth(1);
            } else if chosen_reverse.is_none() && is_word(option, "REV") {
                chosen_reverse = Some(true);
            } else if chosen_by.is_none() && is_word(option, "BYSCORE") {
                chosen_by = Some(By::Score);
            } else if chosen_by.is_none() && is_word(option, "BYLEX") {
                chosen_by = Some(By::Lex);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        let (by, reverse) = (chosen_by.unwrap_or(By::Rank), chosen_reverse.unwrap_or(false));
        if limit.count != -1 && by == By::Rank {
            return Err(CommandError::Other(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if with_scores && by == By::Lex {
            return Err(CommandError::Other(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        let limit = if by == By::Rank { Limit::NONE } else { limit };
        Ok(Self { bounds: Bounds::parse(by, reverse, args[0], args[1])?, limit, reverse, with_scores })
    }

    /// The ranks that are selected, counted from the lowest score.
    pub fn ranks(&self, ranking: &impl Ranking) -> Range<usize> {
        self.limit.apply(self.bounds.ranks(ranking), self.reverse)
    }
}

#[cfg(test)]
mod tests {
    use super::super::bounds::tests::Members;
    use super::super::split;
    use super::*;

    fn parse(text: &str) -> Result<RangeQuery<'_>, CommandError> {
        RangeQuery::parse(&split(text), None, None, false)
    }

    #[test]
    fn options_say_what_the_limits_are() {
        let members = Members((0..6).map(|score| (f64::from(score) * 10.0, "")).collect());
        for (text, expected) in [
            ("1 2", 1..3),
            ("1 2 rev", 3..5),
            ("10 20 BYSCORE", 1..3),
            ("20 10 BYSCORE REV", 1..3),
            ("10 50 BYSCORE LIMIT 1 2", 2..4),
            ("50 10 REV BYSCORE LIMIT 1 2", 3..5),
            ("10 50 BYSCORE LIMIT 2 -1", 3..6),
            ("10 50 BYSCORE LIMIT 9 9", 6..6),
            ("10 50 BYSCORE LIMIT -1 2", 6..6),
            ("10 50 BYSCORE LIMIT 0 0", 1..1),
            ("1 2 LIMIT 1 -1", 1..3),
        ] {
            assert_eq!(parse(text).unwrap().ranks(&members), expected, "{text}");
        }
        assert!(parse("0 1 WITHSCORES REV").unwrap().with_scores);
        assert!(parse("0 1 WITHSCORES REV").unwrap().reverse);
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        for text in ["0 1 REV REV", "0 1 BYSCORE BYLEX", "0 1 LIMIT 1", "0 1 BYSCORE LIMIT", "0 1 WHAT"] {
            assert_eq!(parse(text), Err(CommandError::Syntax), "{text}");
        }
        for text in ["0 1 LIMIT 0 1", "- + BYLEX WITHSCORES"] {
            assert!(matches!(parse(text), Err(CommandError::Other(_))), "{text}");
        }
        assert_eq!(parse("0 1 BYSCORE LIMIT 0 all"), Err(CommandError::NotInteger));
    }

    #[test]
    fn what_the_command_says_is_no_option() {
        let args: Vec<&[u8]> = vec![b"1", b"0", b"REV"];
        assert_eq!(RangeQuery::parse(&args, None, Some(true), false), Err(CommandError::Syntax));
        let args: Vec<&[u8]> = vec![b"1", b"0", b"BYSCORE"];
        assert_eq!(RangeQuery::parse(&args, Some(By::Score), None, false), Err(CommandError::Syntax));
        let args: Vec<&[u8]> = vec![b"1", b"0", b"WITHSCORES"];
        assert_eq!(RangeQuery::parse(&args, None, None, true), Err(CommandError::Syntax));
    }
}
