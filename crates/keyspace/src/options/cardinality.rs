//! The options of `SINTERCARD`.

use super::{limit, positive};
use crate::error::CommandError;
use crate::number::is_word;

/// How many members some sets have in common, counted up to a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cardinality<'a, 'b> {
    /// The keys of the sets.
    pub keys: &'a [&'b [u8]],
    /// `LIMIT`: nobody wants to count further.
    pub count_max: usize,
}

impl<'a, 'b> Cardinality<'a, 'b> {
    /// Parses all arguments behind the name of the command.
    ///
    /// # Errors
    /// If there are not as many keys as they say, or an option is unknown or its value wrong.
    ///
    /// # Panics
    /// If there is no argument.
    pub fn parse(args: &'a [&'b [u8]]) -> Result<Self, CommandError> {
        let keys = positive(args[0], "ERR numkeys should be greater than 0")?;
        let (keys, mut options) = args[1..]
            .split_at_checked(keys)
            .ok_or(CommandError::Other("ERR Number of keys can't be greater than number of args"))?;
        let mut count_max = usize::MAX;
        while let [option, value, rest @ ..] = options
            && is_word(option, "LIMIT")
        {
            count_max = limit(value, "ERR LIMIT can't be negative")?;
            options = rest;
        }
        if options.is_empty() { Ok(Self { keys, count_max }) } else { Err(CommandError::Syntax) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::split;
    use super::*;

    #[test]
    fn a_limit_may_follow_the_keys() {
        for (text, count_max) in [
            ("2 a b", usize::MAX),
            ("2 a b limit 3", 3),
            ("2 a b LIMIT 0", usize::MAX),
            ("2 a b LIMIT 1 LIMIT 2", 2),
        ] {
            let args = split(text);
            assert_eq!(Cardinality::parse(&args), Ok(Cardinality { keys: &args[1..3], count_max }), "{text}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, error) in [
            ("0 a", "ERR numkeys should be greater than 0"),
            ("x a", "ERR numkeys should be greater than 0"),
            ("2 a", "ERR Number of keys can't be greater than number of args"),
            ("1 a LIMIT -1", "ERR LIMIT can't be negative"),
        ] {
            assert_eq!(Cardinality::parse(&split(text)), Err(CommandError::Other(error)), "{text}");
        }
        for text in ["1 a b", "1 a LIMIT", "1 a WHAT 1"] {
            assert_eq!(Cardinality::parse(&split(text)), Err(CommandError::Syntax), "{text}");
        }
    }
}
