//! How the requests of several clients share one batch.
//!
//! What one client asks for at once is a *segment*, in the encoding of the state machine, which must be able to tell
//! where it ends. The *body* of a batch is a list of segments; the *response* to it has one reply for each:
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

/// Takes a response apart into the replies to each segment, in order. After an error nothing follows.
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
    type Item = Result<Bytes, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let malformed = Malformed { left: self.rest.len() };
        if self.rest.len() >= 4 {
            let length = self.rest.get_u32_le() as usize;
            if length <= self.rest.len() {
                return Some(Ok(self.rest.split_to(length)));
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
        let response = Bytes::from_static(b"\x05\0\0\0+OK\r\n\0\0\0\0\x02\0\0\0:");
        let mut replies = split_response(&response);
        assert_eq!(replies.next(), Some(Ok(Bytes::from_static(b"+OK\r\n"))));
        assert_eq!(replies.next(), Some(Ok(Bytes::new())));
        assert!(matches!(replies.next(), Some(Err(_))));
        assert_eq!(replies.next(), None);
    }
}
