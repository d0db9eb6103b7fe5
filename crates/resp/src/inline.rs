//! Inline commands: a line of words, as a person types them into `nc`, with the quoting rules of Redis.
//!
//! A word is anything up to white space. Within `"…"` the escapes `\n \r \t \b \a \xHH` and `\` before any
//! other character are understood; within `'…'` only `\'`. A closing quote must be followed by white space.

use std::ops::Range;

/// The quotes of an inline command do not match up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unbalanced;

/// The words of a line, with the quoting rules of inline commands; none if its quotes do not match up.
#[must_use]
pub fn words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut words, mut ranges) = (Vec::new(), Vec::new());
    split(line, &mut words, &mut ranges).ok()?;
    Some(ranges.into_iter().map(|range| words[range].to_vec()).collect())
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Splits `line` into words: their bytes are appended to `words`, and where each of them lies to `ranges`.
pub(crate) fn split(
    line: &[u8],
    words: &mut Vec<u8>,
    ranges: &mut Vec<Range<usize>>,
) -> Result<(), Unbalanced> {
    let mut rest = line;
    loop {
        while let [first, tail @ ..] = rest
            && (is_space(*first) || *first == 0)
        {
            rest = tail;
        }
        if rest.is_empty() {
            return Ok(());
        }
        let start = words.len();
        rest = word(rest, words)?;
        ranges.push(start..words.len());
    }
}

/// Takes one word off the front of `rest`.
fn word<'a>(mut rest: &'a [u8], words: &mut Vec<u8>) -> Result<&'a [u8], Unbalanced> {
    loop {
        match rest {
            [] | [0, ..] => return Ok(&[]),
            [b'"', tail @ ..] => return double_quoted(tail, words),
            [b'\'', tail @ ..] => return single_quoted(tail, words),
            [first, tail @ ..] if is_space(*first) => return Ok(tail),
            [first, tail @ ..] => {
                words.push(*first);
                rest = tail;
            }
        }
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], words: &mut Vec<u8>) -> Result<&'a [u8], Unbalanced> {
    loop {
        match rest {
            [] | [0, ..] => return Err(Unbalanced),
            [b'\\', b'x', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                words.push(hex(*high) << 4 | hex(*low));
                rest = tail;
            }
            [b'\\', escaped, tail @ ..] => {
                words.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                rest = tail;
            }
            [b'"', tail @ ..] => return after_quote(tail),
            [first, tail @ ..] => {
                words.push(*first);
                rest = tail;
            }
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], words: &mut Vec<u8>) -> Result<&'a [u8], Unbalanced> {
    loop {
        match rest {
            [] | [0, ..] => return Err(Unbalanced),
            [b'\\', b'\'', tail @ ..] => {
                words.push(b'\'');
                rest = tail;
            }
            [b'\'', tail @ ..] => return after_quote(tail),
            [first, tail @ ..] => {
                words.push(*first);
                rest = tail;
            }
        }
    }
}

fn after_quote(rest: &[u8]) -> Result<&[u8], Unbalanced> {
    match rest.first() {
        Some(byte) if !is_space(*byte) => Err(Unbalanced),
        _ => Ok(rest),
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}
