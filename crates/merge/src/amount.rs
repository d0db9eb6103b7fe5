//! What counters count: integers, and decimal numbers once `INCRBYFLOAT` was used.
//!
//! Sums must not depend on the order of their parts (rule O1). Integers are added in 128 bits, and decimal
//! numbers digit by digit: both are exact. Only what is shown is brought into the range of Redis.

use bytes::Bytes;
use onecopy_keyspace::decimal;
use serde::{Deserialize, Serialize};

/// The sum of increments.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Amount {
    /// What `INCRBY` and its relatives have added.
    pub whole: i128,
    /// What `INCRBYFLOAT` has added, as text with at most 17 digits after the point; `None` if it was not
    /// used.
    pub decimal: Option<Bytes>,
}

impl Amount {
    /// An integer.
    #[must_use]
    pub fn of_integer(whole: i64) -> Self {
        Self { whole: whole.into(), decimal: None }
    }

    /// A decimal number, as text.
    #[must_use]
    pub fn of_decimal(text: &[u8]) -> Self {
        Self { whole: 0, decimal: Some(Bytes::copy_from_slice(text)) }
    }

    /// The sum of both. What has left the range of a number, which only a replica that lies brings about,
    /// adds nothing.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let decimal = match (&self.decimal, &other.decimal) {
            (Some(a), Some(b)) => Some(decimal::add(a, b).map_or_else(|| a.clone(), Bytes::from)),
            (Some(one), None) | (None, Some(one)) => Some(one.clone()),
            (None, None) => None,
        };
        Self { whole: self.whole.saturating_add(other.whole), decimal }
    }

    /// What is left of it without another one.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let negated = other.decimal.as_deref().map(|text| match text {
            [b'-', digits @ ..] => Bytes::copy_from_slice(digits),
            digits => Bytes::from([b"-", digits].concat()),
        });
        self.plus(&Self { whole: other.whole.saturating_neg(), decimal: negated })
    }

    /// Whether its decimal part is a number that can be added.
    pub(crate) fn is_valid(&self) -> bool {
        self.decimal.as_deref().is_none_or(|text| decimal::add(text, b"0").as_deref() == Some(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_do_not_depend_on_the_order() {
        let parts: Vec<Amount> = ["0.1", "1e300", "-0.3", "0.00000000000000007", "-1e300", "12"]
            .map(|text| text.as_bytes())
            .map(|text| Amount::of_decimal(&decimal::add(text, b"0").unwrap()))
            .to_vec();
        let sum = |parts: &mut dyn Iterator<Item = &Amount>| {
            parts.fold(Amount::default(), |sum, part| sum.plus(part))
        };
        let (forwards, backwards) = (sum(&mut parts.iter()), sum(&mut parts.iter().rev()));
        assert_eq!(forwards, backwards);
        assert_eq!(forwards.decimal.as_deref(), Some(b"11.80000000000000007".as_slice()));
        assert_eq!(forwards.minus(&forwards).decimal.as_deref(), Some(b"0".as_slice()));
    }
}
