//! The options of `SCAN` and its relatives.

use crate::error::CommandError;
use crate::number::{integer, is_word};

/// The options of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanOptions<'a> {
    /// `MATCH`: the pattern of the names that are wanted.
    pub pattern: Option<&'a [u8]>,
    /// `COUNT`: how many elements a step visits.
    pub count: usize,
    type_name: Option<&'a [u8]>,
}

impl<'a> ScanOptions<'a> {
    /// How many elements a step visits by default.
    const COUNT: usize = 10;
    /// How many elements a step visits at most, whatever was asked for: a step is one reply.
    const COUNT_MAX: usize = 1 << 20;

    /// Parses what follows the cursor. Only a scan of keys takes a type.
    ///
    /// # Errors
    /// If an option is unknown or its value wrong.
    pub fn parse(args: &[&'a [u8]], with_type: bool) -> Result<Self, CommandError> {
        let mut options = Self { pattern: None, count: Self::COUNT, type_name: None };
        let mut rest = args.iter();
        while let Some(option) = rest.next() {
            let Some(value) = rest.next() else { return Err(CommandError::Syntax) };
            if is_word(option, "COUNT") {
                let count = integer(value)?;
                if count < 1 {
                    return Err(CommandError::Syntax);
                }
                options.count = usize::try_from(count).unwrap_or(Self::COUNT_MAX).min(Self::COUNT_MAX);
            } else if is_word(option, "MATCH") {
                options.pattern = Some(value);
            } else if with_type && is_word(option, "TYPE") {
                options.type_name = Some(value);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }

    /// Whether values of this type are wanted.
    pub fn wants_type(&self, name: &str) -> bool {
        self.type_name.is_none_or(|wanted| is_word(wanted, name))
    }
}

/// The cursor that a scan goes on from.
///
/// # Errors
/// If it is none.
pub fn parse_cursor(arg: &[u8]) -> Result<u64, CommandError> {
    let invalid = CommandError::Other("ERR invalid cursor");
    let (is_negative, digits) = match arg {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        // To Redis, nothing is where a scan begins.
        [] => return Ok(0),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(invalid);
    }
    let text = std::str::from_utf8(digits).map_err(|_| invalid.clone())?;
    let number: u64 = text.parse().map_err(|_| invalid)?;
    // As C reads it: what is negative counts from the end.
    Ok(if is_negative { number.wrapping_neg() } else { number })
}

#[cfg(test)]
mod tests {
    use super::super::split;
    use super::*;

    #[test]
    fn options_have_values() {
        let args = split("match a* count 7 Type HASH COUNT 8");
        let options = ScanOptions::parse(&args, true).unwrap();
        assert_eq!((options.pattern, options.count), (Some(&b"a*"[..]), 8));
        assert!(options.wants_type("hash") && !options.wants_type("set"));
        let options = ScanOptions::parse(&[], true).unwrap();
        assert_eq!((options.pattern, options.count), (None, 10));
        assert!(options.wants_type("set"));
    }

    #[test]
    fn a_step_is_one_reply() {
        let args = split("COUNT 9223372036854775807");
        assert_eq!(ScanOptions::parse(&args, true).unwrap().count, 1 << 20);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in ["COUNT 0", "COUNT -1", "COUNT", "MATCH", "LIMIT 1", "MATCH a COUNT"] {
            assert_eq!(ScanOptions::parse(&split(text), true), Err(CommandError::Syntax), "{text}");
        }
        assert_eq!(ScanOptions::parse(&split("COUNT x"), true), Err(CommandError::NotInteger));
        assert_eq!(ScanOptions::parse(&split("TYPE set"), false), Err(CommandError::Syntax));
    }

    #[test]
    fn cursors_are_numbers() {
        for (text, cursor) in [("18446744073709551615", u64::MAX), ("-1", u64::MAX), ("+1", 1), ("", 0)] {
            assert_eq!(parse_cursor(text.as_bytes()), Ok(cursor), "{text}");
        }
        for text in ["-", "+", "x", "--1", "18446744073709551616", " 1", "1 "] {
            assert!(parse_cursor(text.as_bytes()).is_err(), "{text}");
        }
    }
}
