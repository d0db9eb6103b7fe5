//! Integers that stand for their texts.

use std::borrow::Cow;

/// The integer that a text is the only text of.
pub(crate) fn of_text(text: &[u8]) -> Option<i64> {
    // The longest one: -9223372036854775808.
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    let number: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (itoa::Buffer::new().format(number).as_bytes() == text).then_some(number)
}

/// The text of an integer.
pub(crate) fn to_text(number: i64) -> Cow<'static, [u8]> {
    Cow::Owned(itoa::Buffer::new().format(number).as_bytes().to_vec())
}

/// An integer of so many bytes, the lowest first, with a sign.
pub(crate) fn of_bytes(bytes: &[u8]) -> i64 {
    let mut all = [if bytes.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 }; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    i64::from_le_bytes(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_that_an_integer_has_stands_for_it() {
        for text in ["0", "-1", "9223372036854775807", "-9223372036854775808"] {
            assert_eq!(of_text(text.as_bytes()).map(|number| number.to_string()).as_deref(), Some(text));
        }
        for text in ["", "-0", "+1", "01", " 1", "1 ", "9223372036854775808", "1.0", "0x1"] {
            assert_eq!(of_text(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn short_integers_keep_their_sign() {
        assert_eq!((of_bytes(&[0xff]), of_bytes(&[0, 0, 0x80]), of_bytes(&[1, 2])), (-1, -(1 << 23), 513));
    }
}
