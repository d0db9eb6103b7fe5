//! Requests: what they are does not depend on how they arrive.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use onecopy_resp::{Limits, Parser, ProtocolError};

/// All requests of a connection on which the bytes arrive in pieces of this size, and what ended it.
fn requests(bytes: &[u8], piece: usize) -> (Vec<Vec<Vec<u8>>>, Option<ProtocolError>) {
    let limits = Limits { bulk_bytes_max: 1 << 20, request_bytes_max: 1 << 21, ..Limits::default() };
    let (mut parser, mut input) = (Parser::new(limits), BytesMut::new());
    let mut requests = Vec::new();
    for piece in bytes.chunks(piece) {
        input.extend_from_slice(piece);
        loop {
            match parser.next(&mut input) {
                Ok(Some(request)) => requests.push(request.iter().map(<[u8]>::to_vec).collect()),
                Ok(None) => break,
                Err(error) => return (requests, Some(error)),
            }
        }
    }
    (requests, None)
}

fuzz_target!(|bytes: &[u8]| {
    let whole = requests(bytes, bytes.len().max(1));
    assert_eq!(whole, requests(bytes, 1));
    assert_eq!(whole, requests(bytes, 7));
});
