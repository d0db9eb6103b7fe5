//! Requests.
//!
//! The parser remembers how far it got in an incomplete request, so that a large value that trickles in byte
//! by byte is looked at once, not once per byte. What it remembers grows with the bytes that have arrived,
//! never with a length that was merely announced.

use std::ops::Range;

use bytes::{Buf, BytesMut};
use memchr::memchr;

use crate::inline;

/// Room for so many arguments is kept from one request to the next.
const ARGS_KEPT: usize = 256;

/// What a client may ask the server to hold for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most arguments of one request.
    pub args_max: usize,
    /// The most bytes of one argument.
    pub bulk_bytes_max: usize,
    /// The most bytes of one request, with all its framing.
    pub request_bytes_max: usize,
    /// The most bytes of an inline command, or of a line that announces a length.
    pub inline_bytes_max: usize,
    /// Whether it is known who the client is; only errors tell the difference.
    pub authenticated: bool,
}

impl Limits {
    /// 10 arguments of 16 KiB, 64 KiB together, and 16 KiB for an inline command: enough to authenticate, and
    /// as in Redis.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self {
            args_max: 10,
            bulk_bytes_max: 16 * 1024,
            request_bytes_max: 64 * 1024,
            inline_bytes_max: 16 * 1024,
            authenticated: false,
        }
    }
}

impl Default for Limits {
    /// 1,048,576 arguments, 512 MiB each, 1 GiB together, and 64 KiB for an inline command: the limits of
    /// Redis.
    fn default() -> Self {
        Self {
            args_max: 1024 * 1024,
            bulk_bytes_max: 512 * 1024 * 1024,
            request_bytes_max: 1024 * 1024 * 1024,
            inline_bytes_max: 64 * 1024,
            authenticated: true,
        }
    }
}

/// A client broke the protocol. Displayed as what Redis answers after `-ERR `, before it hangs up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The number of arguments is no number, or larger than [`Limits::args_max`].
    #[error("Protocol error: invalid multibulk length")]
    InvalidMultibulkLength,
    /// The length of an argument is no number or larger than [`Limits::bulk_bytes_max`], or the argument does
    /// not end where it should.
    #[error("Protocol error: invalid bulk length")]
    InvalidBulkLength,
    /// An argument is no bulk string.
    #[error("Protocol error: expected '$', got '{}'", *got as char)]
    ExpectedBulk {
        /// What came in place of a `$`.
        got: u8,
    },
    /// The line with the number of arguments does not end.
    #[error("Protocol error: too big mbulk count string")]
    TooBigMultibulkCount,
    /// The line with the length of an argument does not end.
    #[error("Protocol error: too big bulk count string")]
    TooBigBulkCount,
    /// An inline command is longer than [`Limits::inline_bytes_max`].
    #[error("Protocol error: too big inline request")]
    TooBigInline,
    /// The quotes of an inline command do not match up.
    #[error("Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    /// More arguments than a client may send that has not said who it is.
    #[error("Protocol error: unauthenticated multibulk length")]
    UnauthenticatedMultibulkLength,
    /// A longer argument than a client may send that has not said who it is.
    #[error("Protocol error: unauthenticated bulk length")]
    UnauthenticatedBulkLength,
    /// A request is longer than [`Limits::request_bytes_max`].
    #[error("Protocol error: too big request")]
    TooBigRequest,
}

/// Takes requests off the front of a connection's input.
///
/// ```
/// use bytes::BytesMut;
/// use onecopy_resp::{Limits, Parser};
///
/// let mut parser = Parser::new(Limits::default());
/// let mut input = BytesMut::from(&b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\nPING\r\n*1\r\n$4"[..]);
/// let request = parser.next(&mut input)?.unwrap();
/// assert_eq!(request.iter().collect::<Vec<_>>(), [b"GET", b"key"]);
/// let request = parser.next(&mut input)?.unwrap();
/// assert_eq!(request.get(0), Some(&b"PING"[..]));
/// assert!(parser.next(&mut input)?.is_none());
/// # Ok::<(), onecopy_resp::ProtocolError>(())
/// ```
#[derive(Debug)]
pub struct Parser {
    limits: Limits,
    /// Where the complete arguments lie: in the input, or in `words` for an inline command.
    args: Vec<Range<usize>>,
    /// The unquoted words of an inline command.
    words: Vec<u8>,
    /// The bytes of the last request, which are still at the front of the input.
    consumed: usize,
    /// How many arguments are still to come.
    missing: usize,
    /// The announced length of the argument that is arriving.
    bulk: Option<usize>,
    /// Where the next line or argument begins.
    position: usize,
    /// Up to where the line at `position` has been searched for its end.
    searched: usize,
}

/// The arguments of one request; the first is the command's name.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    buffer: &'a [u8],
    args: &'a [Range<usize>],
    size: usize,
}

impl<'a> Request<'a> {
    /// The number of arguments, with the command's name. At least 1.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.args.len()
    }

    /// The bytes that the request had on the wire.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// One argument.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.args.get(index).and_then(|range| self.buffer.get(range.clone()))
    }

    /// The arguments in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a> {
        let buffer = self.buffer;
        self.args.iter().map(move |range| &buffer[range.clone()])
    }
}

impl Parser {
    /// A parser at the beginning of a connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            args: Vec::new(),
            words: Vec::new(),
            consumed: 0,
            missing: 0,
            bulk: None,
            position: 0,
            searched: 0,
        }
    }

    /// Other limits count, from the next request on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// How many bytes it holds beside the input: room for arguments, of which there may be many that are
    /// empty.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.args.capacity() * size_of::<Range<usize>>() + self.words.capacity()
    }

    /// How many bytes the input must have before the argument is complete that is arriving; 0 if none is.
    /// That was announced, no more.
    #[must_use]
    pub fn announced(&self) -> usize {
        self.bulk.map_or(0, |length| self.position + length + 2)
    }

    /// Takes the next complete request off `input`; `None` when more bytes must come first.
    ///
    /// `input` must always be the same buffer, to which the caller only appends. The bytes of a request are
    /// removed from it by the *next* call. Empty requests are skipped, as Redis does.
    ///
    /// # Errors
    /// When the input is no request. The connection can then not be understood any further.
    #[allow(clippy::should_implement_trait)]
    pub fn next<'a>(&'a mut self, input: &'a mut BytesMut) -> Result<Option<Request<'a>>, ProtocolError> {
        if self.consumed > 0 {
            input.advance(self.consumed.min(input.len()));
            self.consumed = 0;
            self.args.clear();
            self.args.shrink_to(ARGS_KEPT);
        }
        let inline = loop {
            if self.missing > 0 {
                // In the middle of a request.
                if !self.arguments(input)? {
                    return Ok(None);
                }
                break false;
            }
            match input.first() {
                None => return Ok(None),
                Some(b'*') => {
                    let Some(missing) = self.header(input)? else { return Ok(None) };
                    self.missing = missing;
                    if missing == 0 {
                        self.skip(input);
                    }
                }
                Some(_) => {
                    if !self.inline(input)? {
                        return Ok(None);
                    }
                    if self.args.is_empty() {
                        self.skip(input);
                    } else {
                        break true;
                    }
                }
            }
        };
        self.consumed = self.position;
        self.position = 0;
        self.searched = 0;
        let buffer = if inline { self.words.as_slice() } else { &input[..self.consumed] };
        Ok(Some(Request { buffer, args: &self.args, size: self.consumed }))
    }

    /// Drops an empty request at once.
    fn skip(&mut self, input: &mut BytesMut) {
        input.advance(self.position);
        self.position = 0;
        self.searched = 0;
    }

    /// The number of arguments, once its line is there.
    fn header(&mut self, input: &[u8]) -> Result<Option<usize>, ProtocolError> {
        match self.length_line(
            input,
            ProtocolError::TooBigMultibulkCount,
            ProtocolError::InvalidMultibulkLength,
        )? {
            None => Ok(None),
            // Redis skips `*0` and `*-1`.
            Some(count) if count <= 0 => Ok(Some(0)),
            Some(count) => match usize::try_from(count) {
                Ok(count) if count <= self.limits.args_max => Ok(Some(count)),
                _ if !self.limits.authenticated => Err(ProtocolError::UnauthenticatedMultibulkLength),
                _ => Err(ProtocolError::InvalidMultibulkLength),
            },
        }
    }

    /// Goes on with the arguments; whether they are all there.
    fn arguments(&mut self, input: &[u8]) -> Result<bool, ProtocolError> {
        loop {
            let length = match self.bulk {
                Some(length) => length,
                None => {
                    match input.get(self.position) {
                        None => return Ok(false),
                        Some(b'$') => {}
                        Some(got) => return Err(ProtocolError::ExpectedBulk { got: *got }),
                    }
                    let invalid = ProtocolError::InvalidBulkLength;
                    let Some(length) = self.length_line(input, ProtocolError::TooBigBulkCount, invalid)?
                    else {
                        return Ok(false);
                    };
                    let length = usize::try_from(length).map_err(|_| invalid)?;
                    if length > self.limits.bulk_bytes_max {
                        let unknown = ProtocolError::UnauthenticatedBulkLength;
                        return Err(if self.limits.authenticated { invalid } else { unknown });
                    }
                    if self.position.saturating_add(length) > self.limits.request_bytes_max {
                        return Err(ProtocolError::TooBigRequest);
                    }
                    self.bulk = Some(length);
                    length
                }
            };
            let end = self.position + length;
            match input.get(end..) {
                Some([b'\r', b'\n', ..]) => {}
                Some([] | [b'\r']) | None => return Ok(false),
                Some(_) => return Err(ProtocolError::InvalidBulkLength),
            }
            self.args.push(self.position..end);
            self.position = end + 2;
            self.searched = self.position;
            self.bulk = None;
            self.missing -= 1;
            if self.missing == 0 {
                return Ok(true);
            }
        }
    }

    /// The number in the line at `position`, after its first character, and moves on behind the line.
    fn length_line(
        &mut self,
        input: &[u8],
        too_big: ProtocolError,
        invalid: ProtocolError,
    ) -> Result<Option<i64>, ProtocolError> {
        // Nearly every length has one to three digits and is all there.
        if let Some([_, tens, b'\r', b'\n', ..]) = input.get(self.position..)
            && tens.is_ascii_digit()
        {
            self.position += 4;
            self.searched = self.position;
            return Ok(Some(i64::from(*tens - b'0')));
        }
        if let Some([_, tens @ b'1'..=b'9', ones @ b'0'..=b'9', b'\r', b'\n', ..]) =
            input.get(self.position..)
        {
            self.position += 5;
            self.searched = self.position;
            return Ok(Some(i64::from(*tens - b'0') * 10 + i64::from(*ones - b'0')));
        }
        self.searched = self.searched.max(self.position);
        let Some(found) = input.get(self.searched..).and_then(|rest| memchr(b'\r', rest)) else {
            self.searched = input.len();
            return match input.len().saturating_sub(self.position) > self.limits.inline_bytes_max {
                true => Err(too_big),
                false => Ok(None),
            };
        };
        let end = self.searched + found;
        match input.get(end + 1) {
            None => {
                self.searched = end;
                return Ok(None);
            }
            Some(b'\n') => {}
            Some(_) => return Err(invalid),
        }
        let number = input.get(self.position + 1..end).and_then(parse_length).ok_or(invalid)?;
        self.position = end + 2;
        self.searched = self.position;
        Ok(Some(number))
    }

    /// An inline command, once its line is there.
    fn inline(&mut self, input: &[u8]) -> Result<bool, ProtocolError> {
        let found = input.get(self.searched..).and_then(|rest| memchr(b'\n', rest));
        let length = found.map_or(input.len(), |found| self.searched + found);
        if length > self.limits.inline_bytes_max {
            return Err(ProtocolError::TooBigInline);
        }
        if found.is_none() {
            self.searched = input.len();
            return Ok(false);
        }
        let line = &input[..length];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.words.clear();
        self.args.clear();
        inline::split(line, &mut self.words, &mut self.args).map_err(|_| ProtocolError::UnbalancedQuotes)?;
        self.position = length + 1;
        Ok(true)
    }
}

/// A decimal number as Redis accepts it: no plus sign, no leading zeros, no white space.
fn parse_length(digits: &[u8]) -> Option<i64> {
    let (negative, magnitude) = match digits {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    match magnitude {
        [] => return None,
        [b'0'] => return if negative { None } else { Some(0) },
        [b'0', ..] => return None,
        _ => {}
    }
    let mut number: i64 = 0;
    for digit in magnitude {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
    }
    Some(if negative { -number } else { number })
}
