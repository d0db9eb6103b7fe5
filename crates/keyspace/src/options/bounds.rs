//! The limits of a range of a sorted set, and the ranks that lie between them.
//!
//! Every range is brought into ranks: `start..end`, counted from the lowest score. What is done with it
//! (reply, count, store, remove) is then the same for all of them.

use std::ops::Range;

use crate::error::CommandError;
use crate::number::{integer, parse_float, resolve_range};

/// What must be known of a sorted set to say which ranks lie in a range.
pub trait Ranking {
    /// How many members there are.
    fn length(&self) -> usize;

    /// How many members have a score that is lower than this.
    fn lower_than(&self, score: f64) -> usize;

    /// The member with a rank, if there is one.
    fn member(&self, rank: usize) -> Option<&[u8]>;
}

/// What a range is given in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Ranks.
    Rank,
    /// Scores.
    Score,
    /// The members' bytes.
    Lex,
}

/// A limit of a range by score.
#[derive(Clone, Copy, Debug, PartialEq)]
struct ScoreBound {
    score: f64,
    exclusive: bool,
}

impl ScoreBound {
    fn parse(arg: &[u8]) -> Result<Self, CommandError> {
        let (exclusive, number) = match arg {
            // To Redis, nothing is zero here.
            [b'('] => (true, b"0".as_slice()),
            [b'(', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let score = parse_float(number).ok_or(CommandError::Other("ERR min or max is not a float"))?;
        // No score is a negative zero.
        Ok(Self { score: score + 0.0, exclusive })
    }

    /// How many members lie below the bound: those with its score count if `with_equal`.
    fn rank(self, ranking: &impl Ranking, with_equal: bool) -> usize {
        if !with_equal {
            return ranking.lower_than(self.score);
        }
        // Nothing lies between a score and the next representable one.
        let next = self.score.next_up();
        if next > self.score { ranking.lower_than(next) } else { ranking.length() }
    }
}

/// A limit of a range by the members' bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LexBound<'a> {
    Lowest,
    Highest,
    /// At a member, which need not be there.
    At {
        member: &'a [u8],
        exclusive: bool,
    },
}

impl<'a> LexBound<'a> {
    fn parse(arg: &'a [u8]) -> Result<Self, CommandError> {
        match arg {
            b"-" => Ok(Self::Lowest),
            b"+" => Ok(Self::Highest),
            [b'(', member @ ..] => Ok(Self::At { member, exclusive: true }),
            [b'[', member @ ..] => Ok(Self::At { member, exclusive: false }),
            _ => Err(CommandError::Other("ERR min or max not valid string range item")),
        }
    }

    /// How many members lie below the bound. `is_start`: whether the range begins at it.
    fn rank(self, ranking: &impl Ranking, is_start: bool) -> usize {
        let (member, exclusive) = match self {
            Self::Lowest => return 0,
            Self::Highest => return ranking.length(),
            Self::At { member, exclusive } => (member, exclusive),
        };
        let with_equal = is_start == exclusive;
        let is_below = |other: &[u8]| if with_equal { other <= member } else { other < member };
        // By halves. When not all scores are equal the result is unspecified, as in Redis, but always the
        // same.
        let (mut low, mut high) = (0, ranking.length());
        while low < high {
            let middle = low + (high - low) / 2;
            if ranking.member(middle).is_some_and(is_below) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// Both limits of a range.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Limits<'a> {
    /// The first rank and the last one, counted from the end when negative; from the highest score if
    /// `reverse`.
    Rank {
        start: i64,
        end: i64,
        reverse: bool,
    },
    Score {
        min: ScoreBound,
        max: ScoreBound,
    },
    Lex {
        min: LexBound<'a>,
        max: LexBound<'a>,
    },
}

/// Where a range begins and ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds<'a>(Limits<'a>);

impl<'a> Bounds<'a> {
    /// Parses the limits, in the order in which they stand in a command.
    ///
    /// # Errors
    /// If one of them is none.
    pub fn parse(by: By, reverse: bool, first: &'a [u8], second: &'a [u8]) -> Result<Self, CommandError> {
        // A reversed range by score or by bytes begins with its maximum.
        let (min, max) = if reverse && by != By::Rank { (second, first) } else { (first, second) };
        Ok(Self(match by {
            By::Rank => Limits::Rank { start: integer(min)?, end: integer(max)?, reverse },
            By::Score => Limits::Score { min: ScoreBound::parse(min)?, max: ScoreBound::parse(max)? },
            By::Lex => Limits::Lex { min: LexBound::parse(min)?, max: LexBound::parse(max)? },
        }))
    }

    /// The ranks in the range, counted from the lowest score.
    pub fn ranks(self, ranking: &impl Ranking) -> Range<usize> {
        let length = ranking.length();
        let (start, end) = match self.0 {
            Limits::Rank { start, end, reverse } => {
                let ranks = resolve_range(start, end, length);
                match (reverse, ranks.is_empty()) {
                    (true, false) => (length - ranks.end, length - ranks.start),
                    _ => (ranks.start, ranks.end),
                }
            }
            Limits::Score { min, max } => {
                (min.rank(ranking, min.exclusive), max.rank(ranking, !max.exclusive))
            }
            Limits::Lex { min, max } => (min.rank(ranking, true), max.rank(ranking, false)),
        };
        start..end.max(start)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A sorted set, member by member.
    pub(in super::super) struct Members(pub(in super::super) Vec<(f64, &'static str)>);

    impl Ranking for Members {
        fn length(&self) -> usize {
            self.0.len()
        }

        fn lower_than(&self, score: f64) -> usize {
            self.0.iter().filter(|(other, _)| *other < score).count()
        }

        fn member(&self, rank: usize) -> Option<&[u8]> {
            self.0.get(rank).map(|(_, member)| member.as_bytes())
        }
    }

    fn scores(scores: &[f64]) -> Members {
        Members(scores.iter().map(|score| (*score, "")).collect())
    }

    fn ranks(by: By, reverse: bool, first: &str, second: &str, members: &Members) -> Range<usize> {
        Bounds::parse(by, reverse, first.as_bytes(), second.as_bytes()).unwrap().ranks(members)
    }

    #[test]
    fn ranks_count_from_either_end() {
        let members = scores(&[1.0, 2.0, 3.0, 4.0]);
        for (reverse, start, end, expected) in [
            (false, "0", "-1", 0..4),
            (false, "1", "2", 1..3),
            (false, "3", "1", 0..0),
            (true, "0", "0", 3..4),
            (true, "1", "-1", 0..3),
            (true, "9", "10", 0..0),
        ] {
            assert_eq!(ranks(By::Rank, reverse, start, end, &members), expected, "{reverse} {start} {end}");
        }
    }

    #[test]
    fn scores_are_in_or_out() {
        let infinity = f64::INFINITY;
        let members = scores(&[-infinity, -1.0, 0.0, 0.0, f64::MAX, infinity]);
        for (min, max, expected) in [
            ("-inf", "+inf", 0..6),
            ("(-inf", "(inf", 1..5),
            ("0", "0", 2..4),
            ("-0", "-0", 2..4),
            ("(-0", "inf", 4..6),
            ("(0", "(0", 4..4),
            ("(", "inf", 4..6),
            ("-1", "(0", 1..2),
            ("1.7976931348623157e308", "inf", 4..6),
            ("inf", "inf", 5..6),
            ("(inf", "inf", 6..6),
            ("5", "-5", 4..4),
        ] {
            assert_eq!(ranks(By::Score, false, min, max, &members), expected, "{min} {max}");
            assert_eq!(ranks(By::Score, true, max, min, &members), expected, "{max} {min}, reversed");
        }
    }

    #[test]
    fn bytes_are_in_or_out() {
        let members = Members(["a", "b", "c", "d"].map(|member| (0.0, member)).to_vec());
        for (min, max, expected) in [
            ("-", "+", 0..4),
            ("[b", "[c", 1..3),
            ("(b", "(c", 2..2),
            ("(a", "+", 1..4),
            ("[aa", "[cc", 1..3),
            ("-", "(a", 0..0),
            ("+", "-", 4..4),
        ] {
            assert_eq!(ranks(By::Lex, false, min, max, &members), expected, "{min} {max}");
            assert_eq!(ranks(By::Lex, true, max, min, &members), expected, "{max} {min}, reversed");
        }
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        let parse = |by, limit: &'static str| Bounds::parse(by, false, limit.as_bytes(), b"0").unwrap_err();
        assert_eq!(parse(By::Rank, "(1"), CommandError::NotInteger);
        assert_eq!(parse(By::Score, "[1"), CommandError::Other("ERR min or max is not a float"));
        assert_eq!(parse(By::Score, "nan"), CommandError::Other("ERR min or max is not a float"));
        assert_eq!(parse(By::Lex, "a"), CommandError::Other("ERR min or max not valid string range item"));
    }
}
