//! Adding decimal numbers as a person would.
//!
//! Redis adds `INCRBYFLOAT`'s numbers as 80-bit floats, which other platforms do not have, and shows 17
//! digits after the point. Here they are added exactly, digit by digit, and the sum is rounded to as many
//! digits after the point: `0.1` and `0.2` give `0.3` everywhere. What is a number, how large it may be, and
//! how long its text, is as in Redis.

use crate::number::{parse_float, parse_hexadecimal};

/// Digits after the point of a sum.
const SCALE: i32 = 17;
/// Numbers are below 10 to this, and so are sums: the range of an 80-bit float.
const WHOLE_MAX: i32 = 4932;
/// A number below 10 to minus this is none, but for 0.
const SMALLEST: i32 = 4950;
/// The longest text of a number.
const TEXT_MAX: usize = 5 * 1024 - 1;

/// A number: its digits, without zeros in front, in units of 10 to minus `scale`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    scale: i32,
}

/// Whether a text is a number that can be added, or an infinity.
pub fn is_number(text: &[u8]) -> bool {
    parse(text).is_some() || parse_float(text).is_some_and(f64::is_infinite)
}

/// The sum of two [numbers](is_number); `None` if it is not finite. Exact while no digit is behind the
/// seventeenth after the point, as no sum has one: then it does not matter in which order many are added.
pub fn add(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    let sum = parse(a)?.plus(parse(b)?).rounded();
    let whole = i32::try_from(sum.digits.len()).ok()? - sum.scale;
    (whole <= WHOLE_MAX).then(|| sum.format())
}

/// A finite number.
fn parse(text: &[u8]) -> Option<Decimal> {
    if text.len() > TEXT_MAX {
        return None;
    }
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if let Some(value) = parse_hexadecimal(unsigned) {
        // More digits than anybody sees of the sum.
        return value
            .is_finite()
            .then(|| parse(format!("{value:.40}").as_bytes()))
            .flatten()
            .map(|parsed| Decimal { negative, ..parsed });
    }
    let (mantissa, exponent) = match unsigned.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&unsigned[..at], exponent(&unsigned[at + 1..])?),
        None => (unsigned, 0),
    };
    let point = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len());
    let (whole, fraction) = (&mantissa[..point], mantissa.get(point + 1..).unwrap_or_default());
    let is_digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    if whole.is_empty() && fraction.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let digits = whole.iter().chain(fraction).skip_while(|digit| **digit == b'0').map(|digit| digit - b'0');
    let digits: Vec<u8> = digits.collect();
    if digits.is_empty() {
        return Some(Decimal { negative: false, digits, scale: 0 });
    }
    let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    let magnitude = i32::try_from(digits.len()).ok()?.checked_sub(scale)?;
    (-SMALLEST < magnitude && magnitude <= WHOLE_MAX).then_some(Decimal { negative, digits, scale })
}

/// The exponent of a number; far too large is as good as larger still.
fn exponent(text: &[u8]) -> Option<i32> {
    const FAR: i32 = 1_000_000;
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0, |number: i32, digit| (number * 10 + i32::from(digit - b'0')).min(FAR));
    Some(if text[0] == b'-' { -number } else { number })
}

impl Decimal {
    /// The same in smaller units.
    fn scaled(mut self, scale: i32) -> Self {
        let zeros = usize::try_from(scale - self.scale).unwrap_or(0);
        self.digits.resize(self.digits.len() + zeros, 0);
        Self { scale, ..self }
    }

    fn plus(self, other: Self) -> Self {
        let scale = self.scale.max(other.scale);
        let (mut a, mut b) = (self.scaled(scale), other.scaled(scale));
        let length = a.digits.len().max(b.digits.len()) + 1;
        for number in [&mut a, &mut b] {
            let zeros = length - number.digits.len();
            number.digits.splice(..0, std::iter::repeat_n(0, zeros));
        }
        if a.negative != b.negative && a.digits < b.digits {
            std::mem::swap(&mut a, &mut b);
        }
        // The larger one first: nothing is left to borrow at the end.
        let subtracts = a.negative != b.negative;
        let mut carry = 0i8;
        for (digit, other) in a.digits.iter_mut().zip(&b.digits).rev() {
            let (own, other) = (*digit as i8, *other as i8);
            let sum = if subtracts { own - other - carry } else { own + other + carry };
            carry = i8::from(!(0..10).contains(&sum));
            *digit = sum.rem_euclid(10) as u8;
        }
        a.trimmed()
    }

    /// Without zeros in front. Zero is not negative.
    fn trimmed(mut self) -> Self {
        let zeros = self.digits.iter().take_while(|digit| **digit == 0).count();
        self.digits.drain(..zeros);
        self.negative &= !self.digits.is_empty();
        self
    }

    /// With at most 17 digits after the point; what lies in the middle goes to the even one.
    fn rounded(mut self) -> Self {
        let Some(dropped) = usize::try_from(self.scale - SCALE).ok().filter(|dropped| *dropped > 0) else {
            return self;
        };
        let kept = self.digits.len().saturating_sub(dropped);
        let mut rest = self.digits.split_off(kept);
        // Zeros that stand between the point and the first digit.
        rest.splice(..0, std::iter::repeat_n(0, dropped - rest.len()));
        let is_odd = self.digits.last().is_some_and(|digit| digit % 2 == 1);
        let is_above = rest[0] > 5 || rest[0] == 5 && (is_odd || rest[1..].iter().any(|digit| *digit > 0));
        let unit = Self { negative: self.negative, digits: vec![1], scale: SCALE };
        self.scale = SCALE;
        if is_above { self.plus(unit) } else { self.trimmed() }
    }

    fn format(&self) -> Vec<u8> {
        let digits: Vec<u8> = self.digits.iter().map(|digit| digit + b'0').collect();
        let fraction = usize::try_from(self.scale).unwrap_or(0);
        let zeros_behind = usize::try_from(-self.scale).unwrap_or(0);
        let zeros_before = (fraction + 1).saturating_sub(digits.len());
        let text = [vec![b'0'; zeros_before], digits, vec![b'0'; zeros_behind]].concat();
        let (whole, fraction) = text.split_at(text.len() - fraction);
        let end = fraction.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        let sign = if self.negative { b"-".as_slice() } else { b"" };
        let whole_end = if self.digits.is_empty() { b"0" } else { whole };
        match &fraction[..end] {
            [] => [sign, whole_end].concat(),
            fraction => [sign, whole_end, b".", fraction].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{add, is_number};

    #[test]
    fn sums_are_what_a_person_expects() {
        for (a, b, sum) in [
            ("0.1", "0.2", "0.3"),
            ("10.50", "0.1", "10.6"),
            ("5", "-5", "0"),
            ("-5", "5", "0"),
            ("-0", "-0", "0"),
            ("-1.5", "0.25", "-1.25"),
            ("0.25", "-1.5", "-1.25"),
            (".5", "5.", "5.5"),
            ("3", "1e2", "103"),
            ("5.0e3", "2.0e2", "5200"),
            ("1e-3", "15E-1", "1.501"),
            ("999", "1", "1000"),
            ("1000", "-1", "999"),
            ("-1000", "1", "-999"),
            ("9223372036854775807", "1e2", "9223372036854775907"),
            ("99999999999999999999", "1", "100000000000000000000"),
            ("1e300", "1e300", &format!("2{}", "0".repeat(300))),
            ("1e300", "1", &format!("1{}1", "0".repeat(299))),
            ("1e308", "1e308", &format!("2{}", "0".repeat(308))),
            // Digits beyond the seventeenth, which doubles do not have.
            ("0.1234567890123456789", "0", "0.12345678901234568"),
            ("3.00000000000000000001", "0.1", "3.1"),
            ("0.000000000000000005", "0", "0"),
            ("0.000000000000000015", "0", "0.00000000000000002"),
            ("0.0000000000000000051", "0", "0.00000000000000001"),
            ("0.99999999999999999999", "0", "1"),
            ("12345678901234567.123456789", "0.000000001", "12345678901234567.12345679"),
            ("1e-30", "1", "1"),
            ("1e-400", "1", "1"),
            ("0x1.8p3", "0.5", "12.5"),
            ("-0x10", "1", "-15"),
        ] {
            let got = add(a.as_bytes(), b.as_bytes()).map(|sum| String::from_utf8(sum).unwrap());
            assert_eq!(got.as_deref(), Some(sum), "{a} + {b}");
        }
        assert_eq!(add(b"9e4931", b"9e4931"), None);
        assert_eq!(add(b"1", b"inf"), None);
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in [
            "", "-", ".", "e5", "1e", "1e+", "1.2.3", "--1", " 1", "1 ", "nan", "1e5000", "1e-5000", "0x",
            "0x.p1",
        ] {
            assert!(!is_number(text.as_bytes()), "{text}");
        }
        assert!(!is_number("1".repeat(5_120).as_bytes()));
        for text in ["inf", "-Infinity", "0e99999999999", "1e4931", "1e-4949", "0X1P-3"] {
            assert!(is_number(text.as_bytes()), "{text}");
        }
    }
}
