//! The options of `LPOS`.

use super::limit;
use crate::error::CommandError;
use crate::number::{integer, is_word};

/// Which of the elements that are equal to one are searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// Which match to begin with; from the end when negative. Never zero.
    rank: i64,
    /// How many matches are wanted; `None` for just one.
    count: Option<usize>,
    /// How many elements are compared at most.
    pub compared_max: usize,
}

impl Search {
    /// Parses what follows key and element.
    ///
    /// # Errors
    /// If an option is unknown, or its value out of range.
    pub fn parse(args: &[&[u8]]) -> Result<Self, CommandError> {
        let mut search = Self { rank: 1, count: None, compared_max: usize::MAX };
        let mut rest = args.iter();
        while let Some(option) = rest.next() {
            let value = rest.next().ok_or(CommandError::Syntax)?;
            if is_word(option, "RANK") {
                search.rank = integer(value)?;
                if search.rank == i64::MIN {
                    return Err(CommandError::Other(
                        "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
                    ));
                }
                if search.rank == 0 {
                    return Err(CommandError::Other(
                        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use \
                         negative to start from the end of the list",
                    ));
                }
            } else if is_word(option, "COUNT") {
                search.count = Some(limit(value, "ERR COUNT can't be negative")?);
            } else if is_word(option, "MAXLEN") {
                search.compared_max = limit(value, "ERR MAXLEN can't be negative")?;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(search)
    }

    /// Whether the search begins at the end of the list.
    pub fn is_from_end(self) -> bool {
        self.rank < 0
    }

    /// Whether the answer is an array, for several positions were asked for.
    pub fn is_for_several(self) -> bool {
        self.count.is_some()
    }

    /// The positions searched for. `candidates` says of each position, in the order of the search, whether
    /// the element there is equal. It is asked no further than necessary.
    pub fn positions(self, candidates: impl Iterator<Item = (usize, bool)>) -> Vec<usize> {
        let skipped = usize::try_from(self.rank.unsigned_abs() - 1).unwrap_or(usize::MAX);
        let equal = candidates.take(self.compared_max).filter(|(_, is_equal)| *is_equal);
        equal.skip(skipped).take(self.count.unwrap_or(1)).map(|(position, _)| position).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::split;
    use super::*;

    fn parse(text: &str) -> Result<Search, CommandError> {
        Search::parse(&split(text))
    }

    /// Searches for `a` in a list.
    fn positions(text: &str) -> Vec<usize> {
        let list = ["a", "b", "a", "c", "a"];
        let search = parse(text).unwrap();
        let candidates = list.iter().map(|element| *element == "a").enumerate();
        if search.is_from_end() { search.positions(candidates.rev()) } else { search.positions(candidates) }
    }

    #[test]
    fn searches_begin_anywhere_and_end_early() {
        for (text, found) in [
            ("", &[0][..]),
            ("rank 2", &[2]),
            ("RANK -1", &[4]),
            ("RANK -2 COUNT 0", &[2, 0]),
            ("COUNT 0", &[0, 2, 4]),
            ("COUNT 2", &[0, 2]),
            ("COUNT 0 MAXLEN 3", &[0, 2]),
            ("COUNT 0 MAXLEN 0", &[0, 2, 4]),
            ("RANK -1 COUNT 0 MAXLEN 1", &[4]),
            ("RANK 4", &[]),
            ("RANK 9223372036854775807", &[]),
        ] {
            assert_eq!(positions(text), found, "{text}");
        }
        assert!(parse("COUNT 1").unwrap().is_for_several());
        assert!(!parse("RANK 1").unwrap().is_for_several());
    }

    #[test]
    fn nothing_is_compared_for_nothing() {
        let mut compared = 0;
        let candidates = [true, true, true].into_iter().enumerate().inspect(|_| compared += 1);
        assert_eq!(parse("RANK 2").unwrap().positions(candidates), [1]);
        assert_eq!(compared, 2);
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for (text, error) in [
            ("COUNT -1", "ERR COUNT can't be negative"),
            ("MAXLEN -1", "ERR MAXLEN can't be negative"),
            ("COUNT all", "ERR COUNT can't be negative"),
        ] {
            assert_eq!(parse(text), Err(CommandError::Other(error)), "{text}");
        }
        for text in ["RANK 0", "RANK -9223372036854775808"] {
            assert!(matches!(parse(text), Err(CommandError::Other(_))), "{text}");
        }
        assert_eq!(parse("RANK first"), Err(CommandError::NotInteger));
        for text in ["RANK", "LIMIT 1", "COUNT 1 RANK"] {
            assert_eq!(parse(text), Err(CommandError::Syntax), "{text}");
        }
    }
}
