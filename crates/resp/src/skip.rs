//! Where replies end.

/// How many bytes the first `count` replies of a buffer have, whatever they are made of; none if they are not
/// complete, or no replies.
#[must_use]
pub fn replies_length(bytes: &[u8], count: usize) -> Option<usize> {
    let (mut at, mut left) = (0, count);
    while left > 0 {
        let rest = bytes.get(at..)?;
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let (kind, number) = (*rest.first()?, rest.get(1..end)?);
        at += end + 2;
        left -= 1;
        match kind {
            b'+' | b'-' | b':' | b',' | b'#' | b'_' | b'(' => {}
            b'$' | b'=' | b'!' if number != b"-1" => at += length(number)?.checked_add(2)?,
            b'*' | b'~' | b'>' if number != b"-1" => left = left.checked_add(length(number)?)?,
            b'%' => left = left.checked_add(length(number)?.checked_mul(2)?)?,
            b'$' | b'*' => {}
            _ => return None,
        }
    }
    (at <= bytes.len()).then_some(at)
}

fn length(number: &[u8]) -> Option<usize> {
    std::str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Version, Writer};

    #[test]
    fn every_kind_of_reply_ends_where_it_ends() {
        type Write = fn(&mut Writer<'_>);
        let kinds: [Write; 15] = [
            |w| w.simple("x"),
            |w| w.error("ERR x"),
            |w| w.integer(-7),
            |w| w.bulk(b"a\r\nb"),
            |w| w.bulk(b""),
            |w| w.null(),
            |w| w.null_array(),
            |w| w.array(0),
            |w| w.double(1.5),
            |w| w.boolean(true),
            |w| w.verbatim(b"text"),
            |w| w.big_number("12345678901234567890"),
            |w| {
                w.map(1);
                w.bulk(b"key");
                w.array(2);
                w.null();
                w.integer(1);
            },
            |w| {
                w.set(1);
                w.bulk(b"member");
            },
            |w| {
                w.pairs(1);
                w.pair();
                w.bulk(b"m");
                w.double(2.0);
            },
        ];
        for version in [Version::Two, Version::Three] {
            let (mut out, mut ends) = (Vec::new(), vec![0]);
            for write in &kinds {
                write(&mut Writer::new(&mut out, version));
                ends.push(out.len());
            }
            for (count, end) in ends.iter().enumerate() {
                assert_eq!(replies_length(&out, count), Some(*end), "{version:?}, {count}");
                if *end > 0 {
                    assert_eq!(replies_length(&out[..end - 1], count), None, "{version:?}, {count}, cut");
                }
            }
        }
    }

    #[test]
    fn what_is_no_reply_has_no_end() {
        for bytes in
            [b"x\r\n".as_slice(), b"$x\r\n", b"*99999999999999999999\r\n", b"$5\r\nabc", b"$-2\r\n", b""]
        {
            assert_eq!(replies_length(bytes, 1), None);
        }
    }
}
