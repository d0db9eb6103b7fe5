//! Numbers as text, the way Redis writes them.

/// The largest and the smallest double below which every integer is written without exponent (Redis'
/// `double2ll`).
const INTEGRAL_MAX: f64 = 4_503_599_627_370_496.0;

/// Appends `value` as Redis 7.2 and later write a double: the shortest digits that read back as the same
/// number, integers without fraction, and an exponent when there would be many zeros.
///
/// Rust's shortest formatting is the same on every platform, so replies do not depend on it.
pub fn format_double(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        out.extend_from_slice(b"nan");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"inf" } else { b"-inf" });
    } else if value == 0.0 {
        out.extend_from_slice(if value.is_sign_negative() { b"-0" } else { b"0" });
    } else if value.trunc() == value && value.abs() < INTEGRAL_MAX {
        // In range, by the check before.
        #[allow(clippy::cast_possible_truncation)]
        out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    } else {
        shortest(value, out);
    }
}

/// Lays out the shortest digits as the `fpconv` library does.
fn shortest(value: f64, out: &mut Vec<u8>) {
    let scientific = format!("{:e}", value.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    let count = i32::try_from(digits.len()).unwrap_or(0);
    // value = digits * 10^shift
    let shift = exponent - (count - 1);
    if value < 0.0 {
        out.push(b'-');
    }
    if shift >= 0 && exponent.abs() < count + 7 {
        out.extend_from_slice(&digits);
        out.extend((0..shift).map(|_| b'0'));
    } else if shift < 0 && (shift > -7 || exponent.abs() < 4) {
        let whole = count + shift;
        if whole <= 0 {
            out.extend_from_slice(b"0.");
            out.extend((whole..0).map(|_| b'0'));
            out.extend_from_slice(&digits);
        } else {
            let whole = usize::try_from(whole).unwrap_or(0).min(digits.len());
            out.extend_from_slice(&digits[..whole]);
            out.push(b'.');
            out.extend_from_slice(&digits[whole..]);
        }
    } else {
        out.push(digits[0]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.push(b'e');
        out.push(if exponent < 0 { b'-' } else { b'+' });
        out.extend_from_slice(itoa::Buffer::new().format(exponent.unsigned_abs()).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::format_double;

    #[test]
    fn doubles_look_like_redis_writes_them() {
        let cases: &[(f64, &str)] = &[
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (-3.5, "-3.5"),
            (0.1, "0.1"),
            (0.001, "0.001"),
            (1e-7, "1e-7"),
            (1.5e-9, "1.5e-9"),
            (123_456.789, "123456.789"),
            (1e15, "1000000000000000"),
            (1e20, "1e+20"),
            (1.234e25, "1.234e+25"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
            (f64::MAX, "1.7976931348623157e+308"),
        ];
        for (value, text) in cases {
            let mut out = Vec::new();
            format_double(*value, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), *text);
        }
    }
}
