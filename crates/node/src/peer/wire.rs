//! Frames: how a message stands on the wire.
//!
//! ```text
//! frame := magic:u32 length:u32 checksum:u32 body      all little-endian
//! body  := the message in postcard's encoding, length bytes; checksum: its CRC-32C
//! ```
//!
//! The reader takes memory as bytes arrive, never for a length that was merely announced.

use bytes::{Buf, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

const MAGIC: u32 = u32::from_le_bytes(*b"1cpy");
const HEADER: usize = 12;

/// The largest body. A client's largest command, with what a Prepare adds, fits well.
pub(crate) const BODY_MAX: usize = 768 * 1024 * 1024;
/// The largest body before the greeting has been accepted.
pub(crate) const GREETING_MAX: usize = 1024;

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

/// Appends a message as a frame to `out`.
///
/// # Errors
/// When it is larger than [`BODY_MAX`]; `out` is then as before.
pub(crate) fn encode<M: Serialize>(message: &M, out: &mut Vec<u8>) -> Result<(), WireError> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    let mut encoded =
        postcard::to_extend(message, std::mem::take(out)).expect("a message always has an encoding");
    let length = encoded.len() - start - HEADER;
    if length > BODY_MAX {
        encoded.truncate(start);
        *out = encoded;
        return Err(WireError::TooLarge { length, max: BODY_MAX });
    }
    let checksum = crc32c::crc32c(&encoded[start + HEADER..]);
    encoded[start..start + 4].copy_from_slice(&MAGIC.to_le_bytes());
    encoded[start + 4..start + 8].copy_from_slice(&(length as u32).to_le_bytes());
    encoded[start + 8..start + 12].copy_from_slice(&checksum.to_le_bytes());
    *out = encoded;
    Ok(())
}

/// Takes the first message off `input`; `None` when more bytes must come first.
///
/// # Errors
/// The connection is of no further use then.
pub(crate) fn decode<M: DeserializeOwned>(input: &mut BytesMut, max: usize) -> Result<Option<M>, WireError> {
    if input.len() < HEADER {
        let prefix = &MAGIC.to_le_bytes()[..input.len().min(4)];
        return if input.starts_with(prefix) { Ok(None) } else { Err(WireError::NotAFrame) };
    }
    let mut header = &input[..HEADER];
    if header.get_u32_le() != MAGIC {
        return Err(WireError::NotAFrame);
    }
    let length = header.get_u32_le() as usize;
    let checksum = header.get_u32_le();
    if length > max {
        return Err(WireError::TooLarge { length, max });
    }
    if input.len() < HEADER + length {
        return Ok(None);
    }
    input.advance(HEADER);
    let body = input.split_to(length);
    if crc32c::crc32c(&body) != checksum {
        return Err(WireError::Checksum);
    }
    postcard::from_bytes(&body).map(Some).map_err(|error| WireError::Message(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(message: &(u32, String)) -> Vec<u8> {
        let mut out = Vec::new();
        encode(message, &mut out).unwrap();
        out
    }

    #[test]
    fn frames_come_out_as_they_went_in_wherever_they_are_cut() {
        let (first, second) = ((7, "seven".to_owned()), (8, String::new()));
        let bytes = [frame(&first), frame(&second)].concat();
        for cut in 0..bytes.len() {
            let mut input = BytesMut::from(&bytes[..cut]);
            let mut messages: Vec<(u32, String)> = Vec::new();
            while let Some(message) = decode(&mut input, BODY_MAX).unwrap() {
                messages.push(message);
            }
            input.extend_from_slice(&bytes[cut..]);
            while let Some(message) = decode(&mut input, BODY_MAX).unwrap() {
                messages.push(message);
            }
            assert_eq!(messages, [first.clone(), second.clone()]);
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = frame(&(7, "seven".to_owned()));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let decoded = decode::<(u32, String)>(&mut BytesMut::from(&damaged[..]), 1024);
            // A longer length waits for bytes that never come; everything else is an error.
            assert!(!matches!(decoded, Ok(Some(_))), "bit {bit}");
        }
    }

    #[test]
    fn a_huge_length_is_refused_at_once() {
        let mut bytes = frame(&(7, String::new()));
        bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        let error = decode::<(u32, String)>(&mut BytesMut::from(&bytes[..]), 1024).unwrap_err();
        assert_eq!(error, WireError::TooLarge { length: u32::MAX as usize, max: 1024 });
    }

    #[test]
    fn other_protocols_are_refused_at_the_first_byte() {
        let decoded = decode::<u32>(&mut BytesMut::from(&b"G"[..]), 1024);
        assert_eq!(decoded, Err(WireError::NotAFrame));
    }
}
