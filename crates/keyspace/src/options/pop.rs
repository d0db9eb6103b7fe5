//! The ends of lists and of sorted sets, and what is popped off them.

use super::positive;
use crate::error::CommandError;
use crate::number::is_word;

/// One of the ends of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListEnd {
    /// Where the element with index 0 is.
    Left,
    /// Where the last element is.
    Right,
}

impl ListEnd {
    /// Parses `LEFT` or `RIGHT`.
    ///
    /// # Errors
    /// If it is neither.
    pub fn parse(arg: &[u8]) -> Result<Self, CommandError> {
        match arg {
            _ if is_word(arg, "LEFT") => Ok(Self::Left),
            _ if is_word(arg, "RIGHT") => Ok(Self::Right),
            _ => Err(CommandError::Syntax),
        }
    }
}

/// One of the ends of a sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoreEnd {
    /// Where the lowest score is.
    Lowest,
    /// Where the highest score is.
    Highest,
}

impl ScoreEnd {
    /// Parses `MIN` or `MAX`.
    ///
    /// # Errors
    /// If it is neither.
    pub fn parse(arg: &[u8]) -> Result<Self, CommandError> {
        match arg {
            _ if is_word(arg, "MIN") => Ok(Self::Lowest),
            _ if is_word(arg, "MAX") => Ok(Self::Highest),
            _ => Err(CommandError::Syntax),
        }
    }
}

/// What `LMPOP` and `ZMPOP` say: from the first of several keys that is there, so many elements off an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PopOptions<'a, 'b, E> {
    /// The keys.
    pub keys: &'a [&'b [u8]],
    /// The end.
    pub end: E,
    /// How many elements are wanted, at most.
    pub count: usize,
}

impl<'a, 'b, E> PopOptions<'a, 'b, E> {
    /// Parses all arguments behind the name of the command; `end` parses the end.
    ///
    /// # Errors
    /// If there is no key, no end, or no element is wanted, or there is something else.
    ///
    /// # Panics
    /// If there is no argument.
    pub fn parse(
        args: &'a [&'b [u8]],
        end: impl FnOnce(&[u8]) -> Result<E, CommandError>,
    ) -> Result<Self, CommandError> {
        let keys = positive(args[0], "ERR numkeys should be greater than 0")?;
        let (keys, rest) = args[1..].split_at_checked(keys).ok_or(CommandError::Syntax)?;
        let (word, rest) = rest.split_first().ok_or(CommandError::Syntax)?;
        let end = end(word)?;
        let count = match rest {
            [] => 1,
            [option, count] if is_word(option, "COUNT") => {
                positive(count, "ERR count should be greater than 0")?
            }
            _ => return Err(CommandError::Syntax),
        };
        Ok(Self { keys, end, count })
    }
}

#[cfg(test)]
mod tests {
    use super::super::split;
    use super::*;

    #[test]
    fn an_end_and_a_count_follow_the_keys() {
        let args = split("2 a b left");
        let options = PopOptions::parse(&args, ListEnd::parse).unwrap();
        assert_eq!(options, PopOptions { keys: &args[1..3], end: ListEnd::Left, count: 1 });
        let args = split("1 count MAX count 7");
        let options = PopOptions::parse(&args, ScoreEnd::parse).unwrap();
        assert_eq!(options, PopOptions { keys: &args[1..2], end: ScoreEnd::Highest, count: 7 });
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let parse = |text| PopOptions::parse(&split(text), ScoreEnd::parse).map(|options| options.count);
        for text in ["3 a b", "2 a b", "1 a LEFT", "1 a MIN COUNT", "1 a MIN LIMIT 1", "1 a MIN COUNT 1 1"] {
            assert_eq!(parse(text), Err(CommandError::Syntax), "{text}");
        }
        for text in ["0 a MIN", "-1 a MIN", "x a MIN"] {
            let error = CommandError::Other("ERR numkeys should be greater than 0");
            assert_eq!(parse(text), Err(error), "{text}");
        }
        for text in ["1 a MIN COUNT 0", "1 a MIN COUNT -1", "1 a MIN COUNT x"] {
            let error = CommandError::Other("ERR count should be greater than 0");
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }
}
