//! Numbers in arguments: what Redis takes for an integer and for a float.

use crate::error::CommandError;

/// A signed 64-bit integer in its one canonical form: no plus sign, no leading zeros, no white space.
///
/// A string value of this form is kept as an integer, and reads back as the same bytes.
pub(crate) fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    // Counted downwards, because the smallest integer has no positive counterpart.
    let mut number: i64 = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number.checked_mul(10)?.checked_sub(i64::from(digit - b'0'))?;
    }
    if negative { Some(number) } else { number.checked_neg() }
}

/// A finite or infinite double. Takes what `strtod` takes, but for hexadecimal, and nothing around it.
pub(crate) fn parse_float(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let value: f64 = text.parse().ok()?;
    // Rust rounds what is too large to infinity; strtod calls it an error.
    let spelled_infinite = || text.bytes().any(|byte| byte.eq_ignore_ascii_case(&b'n'));
    if value.is_nan() || value.is_infinite() && !spelled_infinite() { None } else { Some(value) }
}

/// An integer argument.
pub(crate) fn integer(arg: &[u8]) -> Result<i64, CommandError> {
    parse_integer(arg).ok_or(CommandError::NotInteger)
}

/// A float argument.
pub(crate) fn float(arg: &[u8]) -> Result<f64, CommandError> {
    parse_float(arg).ok_or(CommandError::NotFloat)
}

/// An integer argument that must not be negative.
pub(crate) fn not_negative(arg: &[u8]) -> Result<usize, CommandError> {
    usize::try_from(integer(arg).map_err(|_| CommandError::NotPositive)?)
        .map_err(|_| CommandError::NotPositive)
}

/// Whether an argument is an option's name.
pub(crate) fn is_word(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}

/// A length as the integer of a reply. No length here exceeds what an address space holds.
pub(crate) fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// The positions that `start..=end` selects in something of `length` elements, where negative numbers count
/// from the end; empty when nothing is selected.
pub(crate) fn resolve_range(start: i64, end: i64, length: usize) -> std::ops::Range<usize> {
    let length = signed(length);
    let from_front = |position: i64| if position < 0 { position.saturating_add(length) } else { position };
    let start = from_front(start).max(0);
    let end = from_front(end).min(length - 1);
    if start > end || start >= length {
        return 0..0;
    }
    // Both lie within 0..length.
    usize::try_from(start).unwrap_or(0)..usize::try_from(end + 1).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_integers_are_integers() {
        for number in [0, 1, -1, 10, i64::MAX, i64::MIN, i64::MAX - 1] {
            assert_eq!(parse_integer(number.to_string().as_bytes()), Some(number));
        }
        for text in
            ["", "-", "-0", "+1", "01", " 1", "1 ", "1.0", "9223372036854775808", "-9223372036854775809"]
        {
            assert_eq!(parse_integer(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn floats_are_what_strtod_takes() {
        for (text, value) in
            [("1", 1.0), ("+1.5", 1.5), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("-0", -0.0)]
        {
            assert_eq!(parse_float(text.as_bytes()), Some(value), "{text}");
        }
        assert_eq!(parse_float(b"inf"), Some(f64::INFINITY));
        assert_eq!(parse_float(b"-Infinity"), Some(f64::NEG_INFINITY));
        for text in ["", "nan", "1e999", " 1", "1 ", "abc", "1e", "--1"] {
            assert_eq!(parse_float(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn ranges_count_from_both_ends() {
        for (start, end, length, range) in [
            (0, -1, 3, 0..3),
            (1, 1, 3, 1..2),
            (-2, -1, 3, 1..3),
            (-100, 100, 3, 0..3),
            (2, 1, 3, 0..0),
            (3, 9, 3, 0..0),
            (0, -1, 0, 0..0),
            (i64::MIN, i64::MAX, 2, 0..2),
            (i64::MAX, i64::MIN, 2, 0..0),
        ] {
            assert_eq!(resolve_range(start, end, length), range, "{start} {end} {length}");
        }
    }
}
