//! Adding decimal numbers as a person would.
//!
//! Redis adds `INCRBYFLOAT`'s numbers as 80-bit floats, which other platforms do not have, and shows 17
//! digits after the point. Here they are added exactly, as integers of 10^-17, when both have no more digits
//! than that after the point and are below 10^20: `0.1` and `0.2` give `0.3` everywhere. Other numbers
//! (`1e100`, or with more digits) are added as IEEE doubles, and written with the fewest digits that read
//! back as the same number.

use crate::number::parse_float;

/// Digits after the point.
const SCALE: usize = 17;
/// Digits before the point, so that the sum of two fits into an `i128`.
const WHOLE_MAX: usize = 20;

/// The sum of two numbers in decimal notation; `None` if it is not finite. Both must be numbers (see
/// [`parse_float`]).
pub(crate) fn add(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    if let (Some(a), Some(b)) = (fixed(a), fixed(b)) {
        // Both are below 10^37.
        return Some(format_fixed(a + b));
    }
    let sum = parse_float(a)? + parse_float(b)?;
    sum.is_finite().then(|| if sum == 0.0 { b"0".to_vec() } else { sum.to_string().into_bytes() })
}

/// A number in units of 10^-17, if it is exact and small enough.
fn fixed(text: &[u8]) -> Option<i128> {
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (mantissa, exponent) = match unsigned.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&unsigned[..at], std::str::from_utf8(&unsigned[at + 1..]).ok()?.parse::<i8>().ok()?),
        None => (unsigned, 0),
    };
    let point = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len());
    let whole = &mantissa[..point];
    let fraction = mantissa.get(point + 1..).unwrap_or_default();
    // value = digits * 10^-(fraction.len() - exponent)
    let zeros = i64::try_from(SCALE).ok()? - i64::try_from(fraction.len()).ok()? + i64::from(exponent);
    let zeros = usize::try_from(zeros).ok()?;
    if whole.len() + fraction.len() + zeros > WHOLE_MAX + SCALE || whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut number: i128 = 0;
    for digit in whole.iter().chain(fraction).chain(std::iter::repeat_n(&b'0', zeros)) {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number * 10 + i128::from(digit - b'0');
    }
    Some(if negative { -number } else { number })
}

fn format_fixed(number: i128) -> Vec<u8> {
    let unit = 10u128.pow(17);
    let magnitude = number.unsigned_abs();
    let sign = if number < 0 { "-" } else { "" };
    let whole = magnitude / unit;
    let fraction = format!("{:017}", magnitude % unit);
    match fraction.trim_end_matches('0') {
        "" => format!("{sign}{whole}").into_bytes(),
        fraction => format!("{sign}{whole}.{fraction}").into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::add;

    #[test]
    fn sums_are_what_a_person_expects() {
        for (a, b, sum) in [
            ("0.1", "0.2", "0.3"),
            ("10.50", "0.1", "10.6"),
            ("5", "-5", "0"),
            ("-1.5", "0.25", "-1.25"),
            (".5", "5.", "5.5"),
            ("3", "1e2", "103"),
            ("5.0e3", "2.0e2", "5200"),
            ("1e-3", "15E-1", "1.501"),
            ("9223372036854775807", "1e2", "9223372036854775907"),
            ("1e-30", "1", "1"),
            ("99999999999999999999", "1", "100000000000000000000"),
            ("1e300", "1e300", &format!("2{}", "0".repeat(300))),
        ] {
            assert_eq!(add(a.as_bytes(), b.as_bytes()).as_deref(), Some(sum.as_bytes()), "{a} + {b}");
        }
        assert_eq!(add(b"1e308", b"1e308"), None);
        assert_eq!(add(b"1", b"inf"), None);
    }
}
