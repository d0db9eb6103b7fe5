//! Frames: how a message stands on the wire.
//!
//! ```text
//! frame  := magic:u32 length:u32 checksum:u32 bytes
//!           all little-endian; checksum: CRC-32C of length and bytes
//! length := bits 0 to 28: how many bytes
//!         | bit 31: they are a piece of a long message; bit 30: the last piece of it
//!         | bit 29: in the second line
//! body   := lengths message payload*                    lengths and message in postcard's encoding
//! ```
//!
//! A body is a message, and after it the long byte strings of it, which are empty in the message. `lengths`
//! says how long each is, in the order of [`Parcel::for_each_payload`]; 0: it stands in the message. So
//! nobody copies a value to send it, and who receives it need not either.
//!
//! A body of up to [`PIECE`] bytes travels in one frame. A longer one is cut into pieces, and other frames
//! may come between the pieces: what is short does not wait for what is long. Long messages stand in two
//! lines, one message of each at a time: Prepares in the first, requests and answers in the second. So a
//! backup is not late because a client reads much.
//!
//! The reader takes memory as bytes arrive, never for a length that was merely announced.

use bytes::{Buf, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

const MAGIC: u32 = u32::from_le_bytes(*b"1cpy");
const HEADER: usize = 12;
const IS_PIECE: u32 = 1 << 31;
const IS_LAST: u32 = 1 << 30;
const IN_SECOND: u32 = 1 << 29;
const FLAGS: u32 = IS_PIECE | IS_LAST | IN_SECOND;

/// The largest body. A client's largest command, with what a Prepare adds, fits well.
pub(crate) const BODY_MAX: usize = 768 * 1024 * 1024;
/// The largest body before the greeting has been accepted.
pub(crate) const GREETING_MAX: usize = 1024;
/// The most bytes of a body that go into one frame.
pub(crate) const PIECE: usize = 256 * 1024;
/// Byte strings of so many bytes stand after their message.
const PAYLOAD_MIN: usize = 16 * 1024;
/// Payloads of so many bytes share the memory in which they arrived. Shorter ones would keep too much of it
/// that is not theirs.
const SHARED_MIN: usize = 64 * 1024;

/// A peer sent something that is no frame, or no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    #[error("the bytes are not a frame of Onecopy")]
    NotAFrame,
    #[error("a frame of {length} bytes is larger than the {max} that are allowed")]
    TooLarge { length: usize, max: usize },
    #[error("a frame was damaged on its way")]
    Checksum,
    #[error("a frame holds no known message: {0}")]
    Message(String),
}

/// What travels in frames.
pub(crate) trait Parcel: Serialize + DeserializeOwned {
    /// Shows the byte strings in it that may be long, in an order that does not depend on their content.
    fn for_each_payload(&mut self, _show: &mut dyn FnMut(&mut Bytes)) {}

    /// Whether it is of use to the receiver although it comes before messages that were sent earlier.
    fn may_overtake(&self) -> bool {
        false
    }
}

/// In which line the pieces of a long message stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    First,
    Second,
}

/// A message on its way out.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// Its encoding, in parts that are not copied together.
    parts: Vec<Bytes>,
    left: usize,
}

impl Outgoing {
    /// Encodes a message.
    ///
    /// # Errors
    /// When it is larger than [`BODY_MAX`].
    pub(crate) fn new<M: Parcel>(mut message: M) -> Result<Self, WireError> {
        let (mut lengths, mut payloads) = (Vec::new(), Vec::new());
        message.for_each_payload(&mut |payload| {
            let is_long = payload.len() >= PAYLOAD_MIN;
            lengths.push(if is_long { payload.len() as u32 } else { 0 });
            payloads.extend(is_long.then(|| std::mem::take(payload)));
        });
        if payloads.is_empty() {
            lengths.clear();
        }
        let always = "a message always has an encoding";
        let head = postcard::to_extend(&lengths, Vec::with_capacity(128)).expect(always);
        let head = postcard::to_extend(&message, head).expect(always);
        let left = head.len() + payloads.iter().map(Bytes::len).sum::<usize>();
        if left > BODY_MAX {
            return Err(WireError::TooLarge { length: left, max: BODY_MAX });
        }
        payloads.insert(0, Bytes::from(head));
        Ok(Self { parts: payloads, left })
    }

    /// How many bytes of it have not been taken.
    pub(crate) fn left(&self) -> usize {
        self.left
    }

    /// Whether it is so short that it travels in one frame.
    pub(crate) fn is_short(&self) -> bool {
        self.left <= PIECE
    }

    /// Appends a short message as a frame to `out`.
    pub(crate) fn append_to(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&header(self.left, 0, &self.parts));
        self.parts.iter().for_each(|part| out.extend_from_slice(part));
    }

    /// Takes the next piece of a long message: the header is appended to `out`, the bytes to `parts`.
    pub(crate) fn take_piece(&mut self, line: Line, out: &mut Vec<u8>, parts: &mut Vec<Bytes>) {
        let begin = parts.len();
        let length = self.left.min(PIECE);
        let mut wanted = length;
        while wanted > 0 {
            let part = &mut self.parts[0];
            parts.push(part.split_to(wanted.min(part.len())));
            wanted -= parts[parts.len() - 1].len();
            if part.is_empty() {
                self.parts.remove(0);
            }
        }
        self.left -= length;
        let last = if self.left == 0 { IS_LAST } else { 0 };
        let second = if line == Line::Second { IN_SECOND } else { 0 };
        out.extend_from_slice(&header(length, IS_PIECE | last | second, &parts[begin..]));
    }
}

fn header(length: usize, flags: u32, parts: &[Bytes]) -> [u8; HEADER] {
    let word = (length as u32 | flags).to_le_bytes();
    let begin = crc32c::crc32c(&word);
    let checksum = parts.iter().fold(begin, |checksum, part| crc32c::crc32c_append(checksum, part));
    let mut header = [0; HEADER];
    header[0..4].copy_from_slice(&MAGIC.to_le_bytes());
    header[4..8].copy_from_slice(&word);
    header[8..12].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// Appends a message that must be short as a frame to `out`.
///
/// # Errors
/// When it is longer than [`PIECE`].
pub(crate) fn encode<M: Parcel>(message: M, out: &mut Vec<u8>) -> Result<(), WireError> {
    let outgoing = Outgoing::new(message)?;
    if !outgoing.is_short() {
        return Err(WireError::TooLarge { length: outgoing.left, max: PIECE });
    }
    outgoing.append_to(out);
    Ok(())
}

/// Takes messages off a connection.
#[derive(Debug)]
pub(crate) struct Incoming {
    max: usize,
    /// The pieces of a long message that have arrived, in either line.
    long: [BytesMut; 2],
}

impl Incoming {
    /// For messages of up to `max` bytes.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, long: Default::default() }
    }

    /// Whether pieces of a long message have arrived, and more must come.
    pub(crate) fn is_long(&self) -> bool {
        self.long.iter().any(|long| !long.is_empty())
    }

    /// Takes the next message off `input`; `None` when more bytes must come first.
    ///
    /// # Errors
    /// The connection is of no further use then.
    pub(crate) fn next<M: Parcel>(&mut self, input: &mut BytesMut) -> Result<Option<M>, WireError> {
        while let Some((flags, bytes)) = self.frame(input)? {
            if flags == 0 {
                return decode(&bytes.freeze()).map(Some);
            }
            let long = &mut self.long[line_of(flags)];
            long.extend_from_slice(&bytes);
            if flags & IS_LAST != 0 {
                return decode(&std::mem::take(long).freeze()).map(Some);
            }
        }
        Ok(None)
    }

    /// Takes the next frame off `input`.
    fn frame(&self, input: &mut BytesMut) -> Result<Option<(u32, BytesMut)>, WireError> {
        if input.len() < HEADER {
            let prefix = &MAGIC.to_le_bytes()[..input.len().min(4)];
            return if input.starts_with(prefix) { Ok(None) } else { Err(WireError::NotAFrame) };
        }
        let mut header = &input[..HEADER];
        if header.get_u32_le() != MAGIC {
            return Err(WireError::NotAFrame);
        }
        let word = header.get_u32_le();
        let checksum = header.get_u32_le();
        let (flags, length) = (word & FLAGS, (word & !FLAGS) as usize);
        let before = if flags == 0 { 0 } else { self.long[line_of(flags)].len() };
        if length > PIECE.min(self.max) || before + length > self.max {
            return Err(WireError::TooLarge { length: before + length, max: self.max });
        }
        // A piece of nothing would bring the message no further.
        if flags != 0 && (flags & IS_PIECE == 0 || length == 0) {
            return Err(WireError::NotAFrame);
        }
        if input.len() < HEADER + length {
            return Ok(None);
        }
        input.advance(HEADER);
        let bytes = input.split_to(length);
        match crc32c::crc32c_append(crc32c::crc32c(&word.to_le_bytes()), &bytes) == checksum {
            true => Ok(Some((flags, bytes))),
            false => Err(WireError::Checksum),
        }
    }
}

fn line_of(flags: u32) -> usize {
    usize::from(flags & IN_SECOND != 0)
}

fn decode<M: Parcel>(body: &Bytes) -> Result<M, WireError> {
    let nonsense = |error: postcard::Error| WireError::Message(error.to_string());
    let (lengths, rest): (Vec<u32>, &[u8]) = postcard::take_from_bytes(body).map_err(nonsense)?;
    let (mut message, rest): (M, &[u8]) = postcard::take_from_bytes(rest).map_err(nonsense)?;
    let mut rest = body.slice_ref(rest);
    let mut lengths = lengths.into_iter().map(|length| length as usize);
    let mut fits = true;
    message.for_each_payload(&mut |payload| {
        let length = lengths.next().unwrap_or(0);
        if length == 0 {
            return;
        }
        fits &= payload.is_empty() && length <= rest.len();
        if fits {
            let bytes = rest.split_to(length);
            *payload = if length >= SHARED_MIN { bytes } else { Bytes::copy_from_slice(&bytes) };
        }
    });
    match fits && rest.is_empty() && lengths.next().is_none() {
        true => Ok(message),
        false => Err(WireError::Message("its payloads are not those that it announces".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Sample(u32, Vec<Bytes>);

    impl Parcel for Sample {
        fn for_each_payload(&mut self, show: &mut dyn FnMut(&mut Bytes)) {
            self.1.iter_mut().for_each(show);
        }
    }

    fn sample(number: u32, payloads: &[usize]) -> Sample {
        let payload = |length: &usize| (0..*length).map(|at| (at * 7 + length) as u8).collect::<Bytes>();
        Sample(number, payloads.iter().map(payload).collect())
    }

    fn frames(message: &Sample) -> Vec<u8> {
        let mut out = Vec::new();
        let mut outgoing = Outgoing::new(message.clone()).unwrap();
        if outgoing.is_short() {
            outgoing.append_to(&mut out);
            return out;
        }
        while outgoing.left() > 0 {
            let mut parts = Vec::new();
            outgoing.take_piece(Line::First, &mut out, &mut parts);
            parts.iter().for_each(|part| out.extend_from_slice(part));
        }
        out
    }

    fn all(incoming: &mut Incoming, input: &mut BytesMut) -> Result<Vec<Sample>, WireError> {
        std::iter::from_fn(|| incoming.next(input).transpose()).collect()
    }

    #[test]
    fn messages_come_out_as_they_went_in_wherever_they_are_cut() {
        let messages = [sample(7, &[3]), sample(8, &[]), sample(9, &[0, 20_000, 5]), sample(10, &[100_000])];
        let bytes = messages.each_ref().map(frames).concat();
        for cut in (0..bytes.len()).filter(|cut| *cut < 200 || cut % 997 == 0) {
            let mut incoming = Incoming::new(BODY_MAX);
            let mut input = BytesMut::from(&bytes[..cut]);
            let mut come = all(&mut incoming, &mut input).unwrap();
            input.extend_from_slice(&bytes[cut..]);
            come.extend(all(&mut incoming, &mut input).unwrap());
            assert_eq!(come, messages);
            assert!(!incoming.is_long() && input.is_empty());
        }
    }

    #[test]
    fn short_messages_come_between_the_pieces_of_long_ones() {
        let (long, short) = (sample(1, &[10, 3 * PIECE, PAYLOAD_MIN, 2 * PIECE]), sample(2, &[5]));
        let mut outgoing = Outgoing::new(long.clone()).unwrap();
        let (mut incoming, mut input, mut come) = (Incoming::new(BODY_MAX), BytesMut::new(), Vec::new());
        let mut pieces = 0;
        while outgoing.left() > 0 {
            let (mut out, mut parts) = (frames(&short), Vec::new());
            outgoing.take_piece(Line::First, &mut out, &mut parts);
            input.extend_from_slice(&out);
            parts.iter().for_each(|part| input.extend_from_slice(part));
            assert!(out.len() + parts.iter().map(Bytes::len).sum::<usize>() <= PIECE + 100);
            come.extend(all(&mut incoming, &mut input).unwrap());
            pieces += 1;
        }
        assert_eq!(come.iter().filter(|message| **message == short).count(), pieces);
        assert_eq!(come.last(), Some(&long));
    }

    #[test]
    fn pieces_of_two_long_messages_come_in_turn() {
        let both = [sample(1, &[3 * PIECE]), sample(2, &[2 * PIECE, 7])];
        let mut outgoing = both.clone().map(|message| Outgoing::new(message).unwrap());
        let (mut incoming, mut input, mut come) = (Incoming::new(BODY_MAX), BytesMut::new(), Vec::new());
        while outgoing.iter().any(|outgoing| outgoing.left() > 0) {
            for (outgoing, line) in outgoing.iter_mut().zip([Line::First, Line::Second]) {
                if outgoing.left() == 0 {
                    continue;
                }
                let (mut out, mut parts) = (Vec::new(), Vec::new());
                outgoing.take_piece(line, &mut out, &mut parts);
                input.extend_from_slice(&out);
                parts.iter().for_each(|part| input.extend_from_slice(part));
                come.extend(all(&mut incoming, &mut input).unwrap());
            }
        }
        let [first, second] = both;
        assert_eq!(come, [second, first], "the shorter one is complete first");
        assert!(!incoming.is_long() && input.is_empty());
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = frames(&sample(7, &[5]));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let decoded = Incoming::new(1024).next::<Sample>(&mut BytesMut::from(&damaged[..]));
            // A longer length waits for bytes that never come; everything else is an error.
            assert!(!matches!(decoded, Ok(Some(_))), "bit {bit}");
        }
    }

    #[test]
    fn payloads_that_are_not_announced_are_refused() {
        for (lengths, tail) in [(vec![9_u32], 8), (vec![8, 8], 16), (vec![], 1), (vec![8], 9)] {
            let body = postcard::to_extend(&lengths, Vec::new()).unwrap();
            let body = postcard::to_extend(&Sample(1, vec![Bytes::new()]), body).unwrap();
            let body = Bytes::from([body, vec![0; tail]].concat());
            assert!(matches!(decode::<Sample>(&body), Err(WireError::Message(_))), "{lengths:?} and {tail}");
        }
        let body = postcard::to_extend(&vec![8_u32], Vec::new()).unwrap();
        let body = postcard::to_extend(&Sample(1, vec![Bytes::from_static(b"there")]), body).unwrap();
        assert!(
            decode::<Sample>(&Bytes::from([body, vec![0; 8]].concat())).is_err(),
            "it stands there twice"
        );
    }

    #[test]
    fn a_huge_length_is_refused_at_once() {
        let mut bytes = frames(&sample(7, &[]));
        bytes[4..8].copy_from_slice(&(IN_SECOND - 1).to_le_bytes());
        let error = Incoming::new(1024).next::<Sample>(&mut BytesMut::from(&bytes[..])).unwrap_err();
        assert!(matches!(error, WireError::TooLarge { max: 1024, .. }));
    }

    #[test]
    fn a_long_message_has_a_bound() {
        let frames = frames(&sample(7, &[3 * PIECE]));
        let mut incoming = Incoming::new(2 * PIECE);
        let error = incoming.next::<Sample>(&mut BytesMut::from(&frames[..])).unwrap_err();
        assert!(matches!(error, WireError::TooLarge { .. }));
    }

    #[test]
    fn other_protocols_are_refused_at_the_first_byte() {
        let decoded = Incoming::new(1024).next::<Sample>(&mut BytesMut::from(&b"G"[..]));
        assert_eq!(decoded, Err(WireError::NotAFrame));
    }
}
