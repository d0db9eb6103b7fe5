//! Which databases are taken, and where they go.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};

/// Which database of the source becomes which of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Databases {
    /// Each has the same number here and there.
    All,
    /// Only these.
    Some(BTreeMap<u64, u64>),
}

impl Databases {
    /// Reads what was given: `FROM` or `FROM:TO`.
    pub(super) fn parse(given: &[String]) -> anyhow::Result<Self> {
        if given.is_empty() {
            return Ok(Self::All);
        }
        let mut databases = BTreeMap::new();
        for text in given {
            let (from, to) = text.split_once(':').unwrap_or((text, text));
            let number = |word: &str| {
                word.parse::<u64>().with_context(|| format!("--database {text}: '{word}' is no number"))
            };
            let (from, to) = (number(from)?, number(to)?);
            ensure!(databases.insert(from, to).is_none(), "database {from} is given twice");
            let sources = databases.values().filter(|there| **there == to).count();
            ensure!(sources == 1, "two databases cannot go to database {to}: their keys would mix");
        }
        Ok(Self::Some(databases))
    }

    /// Where a database of the source goes, if it is taken.
    pub(super) fn of(&self, from: u64) -> Option<u64> {
        match self {
            Self::All => Some(from),
            Self::Some(databases) => databases.get(&from).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(given: &[&str]) -> anyhow::Result<Databases> {
        Databases::parse(&given.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn without_a_word_all_are_taken_and_else_those_that_are_named() {
        assert_eq!(parse(&[]).expect("all").of(7), Some(7));
        let some = parse(&["0:3", "2"]).expect("some");
        assert_eq!((some.of(0), some.of(2), some.of(1)), (Some(3), Some(2), None));
    }

    #[test]
    fn what_would_mix_keys_or_makes_no_sense_is_refused() {
        for given in [&["0", "0:1"][..], &["0:1", "1"], &["x"], &["0:"], &["-1"], &[""]] {
            assert!(parse(given).is_err(), "{given:?}");
        }
    }
}
