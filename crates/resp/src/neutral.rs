//! Replies in a form from which both protocols can be had, for those who keep a reply and do not know yet who
//! will ask for it.
//!
//! A [neutral](Writer::neutral) reply is RESP3 with five more marks, for what RESP3 has lost that RESP2
//! tells apart:
//!
//! ```text
//! *-1        no value, where there could be an array     RESP3: _        RESP2: *-1
//! /n         n pairs, each behind a mark of its own      RESP3: *n       RESP2: *2n
//! |          a pair                                      RESP3: *2       RESP2: nothing
//! &n         n entries, each behind a mark of its own    RESP3: %n       RESP2: *n
//! ;          an entry                                    RESP3: nothing  RESP2: *2
//! ```
//!
//! A reply is a list of elements that say nothing about where they stand, so it is written out anew from
//! front to back, element by element.

use crate::writer::{Version, Writer};

/// The header of pairs.
pub(crate) const PAIRS: u8 = b'/';
/// The header of one of them.
pub(crate) const PAIR: u8 = b'|';
/// The header of entries.
pub(crate) const ENTRIES: u8 = b'&';
/// The header of one of them.
pub(crate) const ENTRY: u8 = b';';

/// Writes out a neutral reply in the protocol of `reply`. What is no such reply is written as far as it is
/// understood.
pub fn write_neutral(neutral: &[u8], reply: &mut Writer<'_>) {
    let mut rest = neutral;
    while let Some(after) = write_element(rest, reply) {
        rest = after;
    }
}

/// Writes the first element; what comes after it.
fn write_element<'a>(neutral: &'a [u8], reply: &mut Writer<'_>) -> Option<&'a [u8]> {
    let line_end = neutral.windows(2).position(|pair| pair == b"\r\n")?;
    let (line, mut rest) = (&neutral[..line_end], &neutral[line_end + 2..]);
    let (kind, text) = line.split_first()?;
    let number = || std::str::from_utf8(text).ok()?.parse::<usize>().ok();
    match kind {
        b'*' if text == b"-1" => reply.null_array(),
        b'_' => reply.null(),
        b'$' | b'=' => {
            let length = number()?;
            let bytes = rest.get(..length)?;
            rest = rest.get(length + 2..)?;
            match kind {
                b'$' => reply.bulk(bytes),
                // Behind `txt:`.
                _ => reply.verbatim(bytes.get(4..)?),
            }
        }
        b'%' => reply.map(number()?),
        b'~' => reply.set(number()?),
        b'>' => reply.push(number()?),
        &PAIRS => reply.pairs(number()?),
        &PAIR => reply.pair(),
        &ENTRIES => reply.entries(number()?),
        &ENTRY => reply.entry(),
        b'#' => reply.boolean(text == b"t"),
        b',' if reply.version() == Version::Two => reply.bulk(text),
        b'(' if reply.version() == Version::Two => reply.bulk(text),
        // The same in both.
        _ => reply.raw(&neutral[..line_end + 2]),
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everything(reply: &mut Writer<'_>) {
        reply.ok();
        reply.error("ERR a\r\nb");
        reply.integer(-7);
        reply.array(3);
        reply.bulk(b"a\r\n_\r\n");
        reply.null();
        reply.null_array();
        reply.map(1);
        reply.set(0);
        reply.push(2);
        for double in [1.5, f64::INFINITY, -1e300] {
            reply.double(double);
        }
        reply.boolean(true);
        reply.boolean(false);
        reply.verbatim(b"text");
        reply.big_number("12345678901234567890");
        reply.pairs(2);
        for member in ["a", "b"] {
            reply.pair();
            reply.bulk(member.as_bytes());
            reply.double(2.0);
        }
        reply.entries(1);
        reply.entry();
        reply.bulk(b"key");
        reply.array(0);
    }

    #[test]
    fn a_kept_reply_is_what_would_have_been_written() {
        let mut neutral = Vec::new();
        everything(&mut Writer::neutral(&mut neutral, usize::MAX));
        for version in [Version::Two, Version::Three] {
            let (mut direct, mut kept) = (Vec::new(), Vec::new());
            everything(&mut Writer::new(&mut direct, version));
            write_neutral(&neutral, &mut Writer::new(&mut kept, version));
            assert_eq!(direct.escape_ascii().to_string(), kept.escape_ascii().to_string());
        }
    }

    #[test]
    fn nonsense_is_harmless() {
        for nonsense in
            ["", "\r\n", "$5\r\nab", "$-1\r\n", "=2\r\nab\r\n", "*x", "$18446744073709551615\r\n\r\n"]
        {
            write_neutral(nonsense.as_bytes(), &mut Writer::new(&mut Vec::new(), Version::Two));
        }
    }
}
