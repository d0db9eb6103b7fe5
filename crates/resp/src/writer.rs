//! Replies.

use std::fmt;

use crate::neutral::{ENTRIES, ENTRY, PAIR, PAIRS};
use crate::number::format_double;

/// Which protocol a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Version {
    /// RESP2, which every connection starts with.
    #[default]
    Two,
    /// RESP3, after `HELLO 3`.
    Three,
}

/// A long string is copied in pieces of so many bytes.
const PIECE: usize = 1 << 20;
/// No more room than this is made on the word of whoever expects a reply.
const EXPECTED_MAX: usize = 1 << 30;

/// Who wants to know how a reply comes on.
#[derive(Clone, Copy)]
struct Pace<'a>(&'a dyn Fn(usize));

impl fmt::Debug for Pace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pace")
    }
}

/// Appends replies to a buffer.
///
/// A writer may have a limit. What would exceed it is left out and remembered: whoever made the writer then
/// finds [`overflowed`](Self::overflowed) set, and must replace the whole reply by an error.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    version: Version,
    /// What RESP2 would have said otherwise is marked.
    neutral: bool,
    /// The length of `out` that must not be exceeded.
    length_max: usize,
    overflowed: bool,
    pace: Option<Pace<'a>>,
}

impl<'a> Writer<'a> {
    /// A writer without a limit.
    pub fn new(out: &'a mut Vec<u8>, version: Version) -> Self {
        Self::with_limit(out, version, usize::MAX)
    }

    /// A writer that lets `out` grow to at most about `length_max` bytes (headers and short replies are not
    /// held back, bulk strings are).
    pub fn with_limit(out: &'a mut Vec<u8>, version: Version, length_max: usize) -> Self {
        Self { out, version, neutral: false, length_max, overflowed: false, pace: None }
    }

    /// A writer, with a limit, of a reply that is kept for whoever asks for it, in whichever protocol:
    /// [`write_neutral`](crate::write_neutral) writes it out. To those who write it looks like one of RESP3.
    pub fn neutral(out: &'a mut Vec<u8>, length_max: usize) -> Self {
        Self { out, version: Version::Three, neutral: true, length_max, overflowed: false, pace: None }
    }

    /// The same, which tells `pace` of each string that it writes, and of each piece of a long one, how many
    /// bytes it has: whoever makes it may let others have their turn between.
    #[must_use]
    pub fn paced(self, pace: &'a dyn Fn(usize)) -> Self {
        Self { pace: Some(Pace(pace)), ..self }
    }

    /// The protocol it writes. Who says something else for each keeps a reply from being neutral.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether something has been left out because of the limit. Long loops should ask and stop.
    #[must_use]
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// From here on, `bytes` more may be written.
    pub fn allow(&mut self, bytes: usize) {
        self.length_max = self.out.len().saturating_add(bytes);
    }

    /// How long the buffer is.
    #[must_use]
    pub fn position(&self) -> usize {
        self.out.len()
    }

    /// Takes back what was written after `position`.
    pub fn truncate(&mut self, position: usize) {
        self.out.truncate(position);
        self.overflowed = false;
    }

    fn header(&mut self, kind: u8, number: usize) {
        self.out.push(kind);
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    /// So many replies are about to come, of so many bytes together: there is room for them at once.
    pub fn expect(&mut self, replies: usize, bytes: u64) {
        /// The header of a short string, and what follows it.
        const HEADER: usize = 8;
        let bytes =
            usize::try_from(bytes).unwrap_or(usize::MAX).saturating_add(replies.saturating_mul(HEADER));
        let room = self.length_max.saturating_sub(self.out.len());
        self.out.reserve(bytes.min(room).min(EXPECTED_MAX));
    }

    /// Copies bytes, piece by piece.
    fn copy(&mut self, bytes: &[u8]) {
        if bytes.len() > PIECE {
            self.out.reserve(bytes.len());
        }
        let (first, rest) = bytes.split_at(bytes.len().min(PIECE));
        for piece in std::iter::once(first).chain(rest.chunks(PIECE)) {
            self.out.extend_from_slice(piece);
            if let Some(Pace(pace)) = self.pace {
                pace(piece.len());
            }
        }
    }

    /// Whether `bytes` more may be written; remembers when not.
    fn admits(&mut self, bytes: usize) -> bool {
        let admitted = self.out.len().saturating_add(bytes) <= self.length_max;
        self.overflowed |= !admitted;
        admitted
    }

    /// Appends bytes that are a reply already.
    pub fn raw(&mut self, reply: &[u8]) {
        if self.admits(reply.len()) {
            self.out.extend_from_slice(reply);
        }
    }

    /// `+OK`
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// A simple string. Line breaks in it become spaces, for they would break the protocol.
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// An error; `text` begins with its code, such as `ERR`. Line breaks in it become spaces.
    pub fn error(&mut self, text: &str) {
        self.line(b'-', text.as_bytes());
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.push(kind);
        self.out.extend(text.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }));
        self.out.extend_from_slice(b"\r\n");
    }

    /// An integer.
    pub fn integer(&mut self, number: i64) {
        self.out.push(b':');
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    /// The length of something, as an integer.
    pub fn length(&mut self, length: usize) {
        self.header(b':', length);
    }

    /// A bulk string.
    pub fn bulk(&mut self, bytes: &[u8]) {
        if self.admits(bytes.len()) {
            self.header(b'$', bytes.len());
            self.copy(bytes);
            self.out.extend_from_slice(b"\r\n");
        }
    }

    /// An integer as a bulk string.
    pub fn bulk_integer(&mut self, number: i64) {
        self.bulk(itoa::Buffer::new().format(number).as_bytes());
    }

    /// No value, where there could be a string.
    pub fn null(&mut self) {
        self.out.extend_from_slice(match self.version {
            Version::Two => b"$-1\r\n".as_slice(),
            Version::Three => b"_\r\n",
        });
    }

    /// No value, where there could be an array.
    pub fn null_array(&mut self) {
        self.out.extend_from_slice(match (self.version, self.neutral) {
            (Version::Two, _) | (_, true) => b"*-1\r\n".as_slice(),
            (Version::Three, false) => b"_\r\n",
        });
    }

    /// The header of an array; `length` replies must follow.
    pub fn array(&mut self, length: usize) {
        self.header(b'*', length);
    }

    /// The header of a map; `pairs` keys and values must follow. An array of both in RESP2.
    pub fn map(&mut self, pairs: usize) {
        match self.version {
            Version::Two => self.header(b'*', pairs.saturating_mul(2)),
            Version::Three => self.header(b'%', pairs),
        }
    }

    /// The header of a set; `length` replies must follow. An array in RESP2.
    pub fn set(&mut self, length: usize) {
        self.header(if self.version == Version::Two { b'*' } else { b'~' }, length);
    }

    /// The header of what is said about the reply that follows; twice as many replies must come before that.
    /// RESP2 has no such thing, and none must be written there.
    pub fn attribute(&mut self, pairs: usize) {
        self.header(b'|', pairs);
    }

    /// The header of a message that nobody asked for; `length` replies must follow. An array in RESP2.
    pub fn push(&mut self, length: usize) {
        self.header(if self.version == Version::Two { b'*' } else { b'>' }, length);
    }

    /// The header of an array of pairs; as many [pairs](Self::pair) must follow. In RESP2 their elements
    /// follow one another, without arrays of their own.
    pub fn pairs(&mut self, length: usize) {
        match (self.version, self.neutral) {
            (Version::Two, _) => self.header(b'*', length.saturating_mul(2)),
            (Version::Three, false) => self.header(b'*', length),
            (Version::Three, true) => self.header(PAIRS, length),
        }
    }

    /// The header of one of the [pairs](Self::pairs); two replies must follow.
    pub fn pair(&mut self) {
        match (self.version, self.neutral) {
            (Version::Two, _) => {}
            (Version::Three, false) => self.header(b'*', 2),
            (Version::Three, true) => self.out.extend_from_slice(&[PAIR, b'\r', b'\n']),
        }
    }

    /// The header of a map; as many [entries](Self::entry) must follow. In RESP2 it is an array,
    /// and each of them an array of its own.
    pub fn entries(&mut self, length: usize) {
        match (self.version, self.neutral) {
            (Version::Two, _) => self.header(b'*', length),
            (Version::Three, false) => self.header(b'%', length),
            (Version::Three, true) => self.header(ENTRIES, length),
        }
    }

    /// The header of one of the [entries](Self::entries); a key and a value must follow.
    pub fn entry(&mut self) {
        match (self.version, self.neutral) {
            (Version::Two, _) => self.header(b'*', 2),
            (Version::Three, false) => {}
            (Version::Three, true) => self.out.extend_from_slice(&[ENTRY, b'\r', b'\n']),
        }
    }

    /// A double. A bulk string in RESP2.
    pub fn double(&mut self, value: f64) {
        match self.version {
            Version::Two => {
                let mut text = Vec::with_capacity(24);
                format_double(value, &mut text);
                self.bulk(&text);
            }
            Version::Three => {
                self.out.push(b',');
                format_double(value, self.out);
                self.out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// A boolean. 1 or 0 in RESP2.
    pub fn boolean(&mut self, value: bool) {
        self.out.extend_from_slice(match (self.version, value) {
            (Version::Two, true) => b":1\r\n".as_slice(),
            (Version::Two, false) => b":0\r\n",
            (Version::Three, true) => b"#t\r\n",
            (Version::Three, false) => b"#f\r\n",
        });
    }

    /// A text for people, such as `INFO`'s. A bulk string in RESP2.
    pub fn verbatim(&mut self, text: &[u8]) {
        match self.version {
            Version::Two => self.bulk(text),
            Version::Three => {
                if self.admits(text.len()) {
                    self.header(b'=', text.len().saturating_add(4));
                    self.out.extend_from_slice(b"txt:");
                    self.out.extend_from_slice(text);
                    self.out.extend_from_slice(b"\r\n");
                }
            }
        }
    }

    /// An integer of any size, as text. A bulk string in RESP2.
    pub fn big_number(&mut self, digits: &str) {
        match self.version {
            Version::Two => self.bulk(digits.as_bytes()),
            Version::Three => self.line(b'(', digits.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(version: Version, write: impl FnOnce(&mut Writer<'_>)) -> String {
        let mut out = Vec::new();
        write(&mut Writer::new(&mut out, version));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_version_has_its_spelling() {
        type Write = fn(&mut Writer<'_>);
        let table: &[(Write, &str, &str)] = &[
            (|w| w.simple("OK"), "+OK\r\n", "+OK\r\n"),
            (|w| w.error("ERR a\r\nb"), "-ERR a  b\r\n", "-ERR a  b\r\n"),
            (|w| w.integer(i64::MIN), ":-9223372036854775808\r\n", ":-9223372036854775808\r\n"),
            (|w| w.bulk(b"a\r\n"), "$3\r\na\r\n\r\n", "$3\r\na\r\n\r\n"),
            (|w| w.null(), "$-1\r\n", "_\r\n"),
            (|w| w.null_array(), "*-1\r\n", "_\r\n"),
            (|w| w.map(2), "*4\r\n", "%2\r\n"),
            (|w| w.set(2), "*2\r\n", "~2\r\n"),
            (|w| w.push(2), "*2\r\n", ">2\r\n"),
            (|w| w.double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n"),
            (|w| w.boolean(true), ":1\r\n", "#t\r\n"),
            (|w| w.verbatim(b"hi"), "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"),
            (|w| w.big_number("12"), "$2\r\n12\r\n", "(12\r\n"),
        ];
        for (write, two, three) in table {
            assert_eq!(written(Version::Two, write), *two);
            assert_eq!(written(Version::Three, write), *three);
        }
    }

    #[test]
    fn a_limit_holds_and_is_remembered() {
        let mut out = Vec::new();
        let mut writer = Writer::with_limit(&mut out, Version::Two, 10);
        writer.bulk(&[b'x'; 20]);
        assert!(writer.overflowed());
        writer.truncate(0);
        writer.bulk(b"x");
        assert!(!writer.overflowed());
        assert_eq!(out, b"$1\r\nx\r\n");
    }
}
