//! How many random elements `SRANDMEMBER`, `HRANDFIELD` and `ZRANDMEMBER` are asked for.

use crate::error::CommandError;
use crate::number::{integer, is_word};

/// How many elements are drawn, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    /// At most so many, all different.
    Different(usize),
    /// So many, each drawn from all.
    Repeated(usize),
}

impl Draw {
    /// The most elements that are drawn with repetition. Redis has no such limit, and can be kept busy for
    /// hours.
    const REPEATED_MAX: usize = 1 << 20;

    fn parse(arg: &[u8]) -> Result<Self, CommandError> {
        let count = integer(arg)?;
        if count == i64::MIN {
            return Err(CommandError::Other(
                "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
            ));
        }
        let magnitude = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        match count {
            0.. => Ok(Self::Different(magnitude)),
            _ if magnitude > Self::REPEATED_MAX => Err(CommandError::OutOfRange),
            _ => Ok(Self::Repeated(magnitude)),
        }
    }

    /// How many elements there will be, of a collection with `length`.
    pub fn of(self, length: usize) -> usize {
        match self {
            Self::Different(count) => length.min(count),
            Self::Repeated(_) if length == 0 => 0,
            Self::Repeated(count) => count,
        }
    }
}

/// What follows the key, if anything does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawOptions {
    /// How many elements are drawn.
    pub draw: Draw,
    /// Whether the answer also has what belongs to each: a value, or a score.
    pub with: bool,
}

impl DrawOptions {
    /// Parses what follows the key; `None` if nothing does, and one element is the whole answer. `with` is
    /// the name of the option, for commands that have it.
    ///
    /// # Errors
    /// If the count is none, or too large, or something else follows it.
    pub fn parse(args: &[&[u8]], with: Option<&str>) -> Result<Option<Self>, CommandError> {
        let Some((count, options)) = args.split_first() else { return Ok(None) };
        if with.is_none() && !options.is_empty() {
            return Err(CommandError::Syntax);
        }
        let draw = Draw::parse(count)?;
        match options {
            [] => Ok(Some(Self { draw, with: false })),
            [option] if with.is_some_and(|with| is_word(option, with)) => match draw {
                // Redis: twice as many replies must still be countable.
                Draw::Different(many) if many as u64 > i64::MAX as u64 / 2 => Err(CommandError::OutOfRange),
                _ => Ok(Some(Self { draw, with: true })),
            },
            _ => Err(CommandError::Syntax),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::split;
    use super::*;

    fn parse(text: &str) -> Result<Option<DrawOptions>, CommandError> {
        DrawOptions::parse(&split(text), Some("WITHVALUES"))
    }

    #[test]
    fn negative_counts_draw_with_repetition() {
        assert_eq!(parse(""), Ok(None));
        for (text, draw, with) in [
            ("3", Draw::Different(3), false),
            ("-3 withvalues", Draw::Repeated(3), true),
            ("-1048576", Draw::Repeated(1 << 20), false),
            ("0 WITHVALUES", Draw::Different(0), true),
        ] {
            assert_eq!(parse(text), Ok(Some(DrawOptions { draw, with })), "{text}");
        }
    }

    #[test]
    fn only_repetition_draws_more_than_there_are() {
        assert_eq!([0, 2, 9].map(|length| Draw::Different(3).of(length)), [0, 2, 3]);
        assert_eq!([0, 2, 9].map(|length| Draw::Repeated(3).of(length)), [0, 3, 3]);
    }

    #[test]
    fn what_is_too_much_is_refused() {
        assert_eq!(parse("-1048577"), Err(CommandError::OutOfRange));
        assert!(parse("4611686018427387904").is_ok());
        assert_eq!(parse("4611686018427387904 WITHVALUES"), Err(CommandError::OutOfRange));
        assert!(matches!(parse("-9223372036854775808"), Err(CommandError::Other(_))));
        assert_eq!(parse("x y"), Err(CommandError::NotInteger));
        assert_eq!(parse("1 WITHSCORES"), Err(CommandError::Syntax));
        assert_eq!(parse("1 WITHVALUES 1"), Err(CommandError::Syntax));
        // A command without the option complains of it first.
        assert_eq!(DrawOptions::parse(&split("x y"), None), Err(CommandError::Syntax));
    }
}
