//! How the requests of several clients share one batch.
//!
//! What one client asks for at once is a *segment*, in the encoding of the state machine, which must be able
//! to tell where it ends. The *body* of a batch is a list of segments; the *response* to it has one reply for
//! each:
//!
//! ```text
//! body     := segment*
//! response := (length:u32 reply)*        one for each segment, in order; little-endian
//! ```
//!
//! A coordinator puts bodies together and takes responses apart without knowing what is asked for.

use bytes::{Buf, Bytes, BytesMut};

/// Bytes are not in the encoding that they should be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a request or response is malformed, with {left} bytes left of it")]
pub struct Malformed {
    /// How many bytes were not understood.
    pub left: usize,
}

/// Puts a body together, segment by segment.
#[derive(Clone, Debug, Default)]
pub struct BodyBuilder {
    buffer: BytesMut,
    segments: usize,
}

impl BodyBuilder {
    /// A body without segments.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a segment.
    pub fn push(&mut self, segment: &[u8]) {
        self.buffer.extend_from_slice(segment);
        self.segments += 1;
    }

    /// How many bytes it has so far.
    #[must_use]
    pub fn size(&self) -> usize {
        self.buffer.len()
    }

    /// How many segments it has so far.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.segments
    }

    /// Whether it has no segment yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments == 0
    }

    /// The body.
    #[must_use]
    pub fn finish(self) -> Bytes {
        self.buffer.freeze()
    }
}

/// A segment of a machine that has no encoding of its own: the length of a command, as a `u32`, and the
/// command. [`answer_framed`] takes it apart.
///
/// # Panics
/// When the command is longer than 4 GiB, which no limit lets through.
#[must_use]
pub fn frame(command: &[u8]) -> Bytes {
    let length = u32::try_from(command.len()).expect("a command of more than 4 GiB");
    [&length.to_le_bytes(), command].concat().into()
}

/// Takes apart a body of [framed](frame) segments, and appends to the response what `answer` writes for each.
/// Bytes that are no such segment get no reply, and nothing that follows them does.
///
/// # Panics
/// When an answer is longer than 4 GiB.
pub fn answer_framed(mut body: &[u8], response: &mut Vec<u8>, mut answer: impl FnMut(&[u8], &mut Vec<u8>)) {
    while let Some((length, rest)) = body.split_first_chunk::<4>() {
        let Some((command, rest)) = rest.split_at_checked(u32::from_le_bytes(*length) as usize) else {
            return;
        };
        body = rest;
        let header = response.len();
        response.extend_from_slice(&[0; 4]);
        answer(command, response);
        let length = u32::try_from(response.len() - header - 4).expect("an answer of more than 4 GiB");
        response[header..header + 4].copy_from_slice(&length.to_le_bytes());
    }
}

/// In the place of a reply's length: the segment was not executed, because the replies before it are large
/// enough for one response. It is to be sent again, in another batch.
pub const NOT_EXECUTED: u32 = u32::MAX;

/// In the place of a reply's length: the segment, the only one of its batch, is parked. Its reply is an
/// output of a later entry ([`StateMachine::outputs`](crate::StateMachine::outputs)).
pub const PARKED: u32 = u32::MAX - 1;

/// Takes a response apart into the replies to each segment, in order; `None` for one that was not executed
/// ([`NOT_EXECUTED`]). After an error nothing follows.
#[must_use]
pub fn split_response(response: &Bytes) -> Replies {
    Replies { rest: response.clone() }
}

/// The replies to each segment of a body; they share the response's memory.
#[derive(Clone, Debug)]
pub struct Replies {
    rest: Bytes,
}

impl Iterator for Replies {
    type Item = Result<Option<Bytes>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let malformed = Malformed { left: self.rest.len() };
        if self.rest.len() >= 4 {
            let length = self.rest.get_u32_le();
            if length == NOT_EXECUTED {
                return Some(Ok(None));
            }
            if length as usize <= self.rest.len() {
                return Some(Ok(Some(self.rest.split_to(length as usize))));
            }
        }
        self.rest.clear();
        Some(Err(malformed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_split_by_segment() {
        let response = Bytes::from_static(b"\x05\0\0\0+OK\r\n\0\0\0\0\xff\xff\xff\xff\x02\0\0\0:");
        let mut replies = split_response(&response);
        assert_eq!(replies.next(), Some(Ok(Some(Bytes::from_static(b"+OK\r\n")))));
        assert_eq!(replies.next(), Some(Ok(Some(Bytes::new()))));
        assert_eq!(replies.next(), Some(Ok(None)));
        assert!(matches!(replies.next(), Some(Err(_))));
        assert_eq!(replies.next(), None);
    }

    #[test]
    fn framed_segments_are_answered_one_by_one() {
        let body =
            [frame(b"one"), frame(b""), frame(b"three"), Bytes::from_static(b"\x09\0\0\0cut")].concat();
        let mut response = Vec::new();
        answer_framed(&body, &mut response, |command, reply| reply.extend(command.iter().rev()));
        let replies: Vec<_> = split_response(&response.into()).collect::<Result<_, _>>().unwrap();
        assert_eq!(replies, [b"eno".as_slice(), b"", b"eerht"].map(|reply| Some(reply.into())));
    }
}
