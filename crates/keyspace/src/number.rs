//! Numbers in arguments: what Redis takes for an integer and for a float.

use crate::error::CommandError;

/// A signed 64-bit integer in its one canonical form: no plus sign, no leading zeros, no white space.
///
/// A string value of this form is kept as an integer, and reads back as the same bytes.
pub fn parse_integer(text: &[u8]) -> Option<i64> {
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

/// A finite or infinite double. Takes what `strtod` takes, and nothing around it.
pub fn parse_float(text: &[u8]) -> Option<f64> {
    let (sign, unsigned) = match text {
        [b'-', rest @ ..] => (-1.0, rest),
        [b'+', rest @ ..] => (1.0, rest),
        rest => (1.0, rest),
    };
    let (value, is_zero) = match parse_hexadecimal(unsigned) {
        Some(value) => {
            (sign * value, !unsigned[2..].iter().take_while(|byte| !is_letter(**byte, b'p')).any(is_nonzero))
        }
        None => {
            let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
            (value, !unsigned.iter().take_while(|byte| !is_letter(**byte, b'e')).any(is_nonzero))
        }
    };
    // What is too large is rounded to infinity, and what is too small to zero; strtod calls both an error.
    let spelled_infinite = || unsigned.first().is_some_and(|byte| is_letter(*byte, b'i'));
    let out_of_range = value.is_infinite() && !spelled_infinite() || value == 0.0 && !is_zero;
    if value.is_nan() || out_of_range { None } else { Some(value) }
}

fn is_letter(byte: u8, letter: u8) -> bool {
    byte.eq_ignore_ascii_case(&letter)
}

/// Whether a digit, decimal or hexadecimal, is not zero.
fn is_nonzero(byte: &u8) -> bool {
    byte.is_ascii_hexdigit() && *byte != b'0'
}

/// A hexadecimal number as `strtod` takes it, without a sign: `0x1.8p3`. Rounded to the nearest double;
/// infinite if it is too large.
pub fn parse_hexadecimal(text: &[u8]) -> Option<f64> {
    let [b'0', b'x' | b'X', rest @ ..] = text else { return None };
    let (digits, exponent) = match rest.iter().position(|byte| is_letter(*byte, b'p')) {
        Some(at) => (&rest[..at], std::str::from_utf8(&rest[at + 1..]).ok()?.parse::<i32>().ok()?),
        None => (rest, 0),
    };
    // The first sixteen digits; whether there is anything behind them; and the power of two of the last bit.
    let (mut bits, mut behind, mut power): (u64, bool, i64) = (0, false, exponent.into());
    let (mut seen_point, mut seen_digit) = (false, false);
    for byte in digits {
        if *byte == b'.' && !seen_point {
            seen_point = true;
            continue;
        }
        let digit = u64::from(char::from(*byte).to_digit(16)?);
        seen_digit = true;
        if bits >> 60 == 0 {
            bits = bits << 4 | digit;
            power -= if seen_point { 4 } else { 0 };
        } else {
            behind |= digit > 0;
            power += if seen_point { 0 } else { 4 };
        }
    }
    seen_digit.then(|| rounded(bits, behind, power))
}

/// The double nearest to `bits` (and a little more, if there is something `behind`) times two to the `power`.
fn rounded(bits: u64, behind: bool, power: i64) -> f64 {
    /// The power of two of the smallest double.
    const LOWEST: i64 = -1074;
    if bits == 0 {
        return 0.0;
    }
    // So many bits must go for the rest to fit into a double, and not to be finer than the finest.
    let excess = i64::from(64 - bits.leading_zeros()) - 53;
    let dropped = excess.max(LOWEST - power);
    if dropped > 64 {
        return 0.0;
    }
    let (mut kept, mut power) = (u128::from(bits), power);
    if dropped > 0 {
        let wide = kept << 1 | u128::from(behind);
        let (half, rest) = (1 << dropped, wide & ((2 << dropped) - 1));
        kept >>= dropped;
        let rounds_up = rest > half || rest == half && kept % 2 == 1;
        (kept, power) = (kept + u128::from(rounds_up), power + dropped);
    }
    // At most 2^53, hence exact.
    scale(kept as f64, power.min(5_000))
}

/// A double times a power of two, in factors that are doubles themselves.
fn scale(mut value: f64, mut power: i64) -> f64 {
    while power != 0 {
        let step = power.clamp(-1000, 1000);
        value *= 2f64.powi(step as i32);
        power -= step;
    }
    value
}

/// An integer argument.
///
/// # Errors
/// [`CommandError::NotInteger`] if it is none.
pub fn integer(arg: &[u8]) -> Result<i64, CommandError> {
    parse_integer(arg).ok_or(CommandError::NotInteger)
}

/// A float argument.
///
/// # Errors
/// [`CommandError::NotFloat`] if it is none.
pub fn float(arg: &[u8]) -> Result<f64, CommandError> {
    parse_float(arg).ok_or(CommandError::NotFloat)
}

/// An integer argument that must not be negative.
///
/// # Errors
/// [`CommandError::NotPositive`] if it is none, or negative.
pub fn not_negative(arg: &[u8]) -> Result<usize, CommandError> {
    usize::try_from(integer(arg).map_err(|_| CommandError::NotPositive)?)
        .map_err(|_| CommandError::NotPositive)
}

/// Whether an argument is an option's name.
pub fn is_word(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}

/// A length as the integer of a reply. No length here exceeds what an address space holds.
pub fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// The positions that `start..=end` selects in something of `length` elements, where negative numbers count
/// from the end; empty when nothing is selected.
pub fn resolve_range(start: i64, end: i64, length: usize) -> std::ops::Range<usize> {
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
        assert_eq!(parse_float(b"0e-999"), Some(0.0));
        assert_eq!(parse_float(b"5e-324"), Some(f64::from_bits(1)));
        for text in [
            "",
            "nan",
            "1e999",
            "1e-999",
            " 1",
            "1 ",
            "abc",
            "1e",
            "--1",
            "0x",
            "0x1p",
            "0x1.8p3 ",
            "0x1p5000",
            "0x1p-5000",
            "+-0x1",
        ] {
            assert_eq!(parse_float(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn hexadecimal_floats_are_rounded_to_the_nearest() {
        for (text, value) in [
            ("0x10", 16.0),
            ("-0X1.8p3", -12.0),
            ("0x.8", 0.5),
            ("0x0", 0.0),
            ("0x1p-1074", f64::from_bits(1)),
            ("0x1.8p-1074", f64::from_bits(2)),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x1.00000000000008p0", 1.0),
            ("0x1.00000000000008000000000001p0", 1.0 + f64::EPSILON),
            ("0x1.00000000000018p0", 1.0 + 2.0 * f64::EPSILON),
            ("0xffffffffffffffffffff", 1_208_925_819_614_629_174_706_176.0),
        ] {
            assert_eq!(parse_float(text.as_bytes()), Some(value), "{text}");
        }
        assert_eq!(parse_float(b"0x1.fffffffffffff8p1023"), None, "rounded, it is too large");
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
