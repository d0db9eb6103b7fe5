//! The request parser against examples, against itself with the input cut anywhere, and against a general
//! parser of RESP.

use bytes::{Bytes, BytesMut};
use onecopy_resp::{Limits, Parser, ProtocolError};
use proptest::prelude::*;

const SMALL: Limits = Limits {
    args_max: 8,
    bulk_bytes_max: 100,
    request_bytes_max: 300,
    inline_bytes_max: 64,
    authenticated: true,
};

type Requests = Vec<Vec<Vec<u8>>>;

/// Feeds the pieces one after the other.
fn parse(limits: Limits, pieces: &[&[u8]]) -> (Requests, Option<ProtocolError>) {
    let mut parser = Parser::new(limits);
    let mut input = BytesMut::new();
    let mut requests = Vec::new();
    for piece in pieces {
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

fn words(line: &str) -> Vec<Vec<u8>> {
    line.split('|').map(|word| word.as_bytes().to_vec()).collect()
}

#[test]
fn requests_of_both_kinds() {
    let table: &[(&[u8], &[&str])] = &[
        (b"*1\r\n$4\r\nPING\r\n", &["PING"]),
        (b"*2\r\n$3\r\nGET\r\n$12\r\nabcdefghijkl\r\nPING\r\n", &["GET|abcdefghijkl", "PING"]),
        (b"*2\r\n$1\r\n\r\r\n$0\r\n\r\n", &["\r|"]),
        (b"*0\r\n*-1\r\n\r\n\n   \r\nPING\n", &["PING"]),
        (b"set  key\t\"a b\\x41\\n\" 'it\\'s'\r\n", &["set|key|a bA\n|it's"]),
        (b"echo \"\"\r\n", &["echo|"]),
        (b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n", &[]),
    ];
    for (input, expected) in table {
        let expected: Requests = expected.iter().map(|line| words(line)).collect();
        assert_eq!(parse(Limits::default(), &[input]), (expected, None), "{}", input.escape_ascii());
    }
}

#[test]
fn errors_read_as_those_of_redis() {
    let long = [b'x'; 70];
    let digits = [b"*".as_slice(), &[b'1'; 70]].concat();
    let bulk_digits = [b"*1\r\n$".as_slice(), &[b'1'; 70]].concat();
    let table: &[(&[u8], &str)] = &[
        (b"*x\r\n", "Protocol error: invalid multibulk length"),
        (b"*99999999999999999999\r\n", "Protocol error: invalid multibulk length"),
        (b"*9\r\n", "Protocol error: invalid multibulk length"),
        (b"*1\rx", "Protocol error: invalid multibulk length"),
        (b"*1\r\n$-1\r\n", "Protocol error: invalid bulk length"),
        (b"*1\r\n$101\r\n", "Protocol error: invalid bulk length"),
        (b"*1\r\n$01\r\n", "Protocol error: invalid bulk length"),
        (b"*1\r\n$1\r\nabc", "Protocol error: invalid bulk length"),
        (b"*1\r\n:1\r\n", "Protocol error: expected '$', got ':'"),
        (b"\"abc\r\n", "Protocol error: unbalanced quotes in request"),
        (b"'a'b\r\n", "Protocol error: unbalanced quotes in request"),
        (&long, "Protocol error: too big inline request"),
        (&digits, "Protocol error: too big mbulk count string"),
        (&bulk_digits, "Protocol error: too big bulk count string"),
    ];
    for (input, expected) in table {
        let (requests, error) = parse(SMALL, &[input]);
        assert!(requests.is_empty());
        assert_eq!(error.expect("an error").to_string(), *expected, "{}", input.escape_ascii());
    }
    let bulk = [b"$90\r\n".as_slice(), &[b'x'; 90], b"\r\n"].concat();
    let request = [b"*4\r\n".as_slice(), &bulk, &bulk, &bulk, &bulk].concat();
    assert_eq!(parse(SMALL, &[&request]).1, Some(ProtocolError::TooBigRequest));
}

#[test]
fn a_value_that_trickles_in_is_not_searched_again_and_again() {
    // Quadratic work on 4 MiB in pieces of 16 bytes would take minutes.
    let size = 4 << 20;
    let mut input = BytesMut::from(format!("*2\r\n$3\r\nGET\r\n${size}\r\n").as_bytes());
    let mut parser = Parser::new(Limits::default());
    for _ in 0..size / 16 {
        assert!(parser.next(&mut input).unwrap().is_none());
        input.extend_from_slice(&[b'x'; 16]);
    }
    input.extend_from_slice(b"\r\n");
    assert_eq!(parser.next(&mut input).unwrap().unwrap().get(1).unwrap().len(), size);
}

#[test]
fn who_announces_an_argument_is_known_to_need_room_for_it() {
    let mut parser = Parser::new(Limits::default());
    let mut input = BytesMut::from(&b"*2\r\n$3\r\nGET\r\n$1000"[..]);
    assert!(parser.next(&mut input).unwrap().is_none());
    assert_eq!(parser.announced(), 0, "not yet");
    input.extend_from_slice(b"\r\nx");
    assert!(parser.next(&mut input).unwrap().is_none());
    let complete = input.len() - 1 + 1000 + 2;
    assert_eq!(parser.announced(), complete);
    input.resize(complete - 2, b'x');
    input.extend_from_slice(b"\r\n");
    assert!(parser.next(&mut input).unwrap().is_some());
    assert_eq!(parser.announced(), 0);
    assert!(parser.next(&mut input).unwrap().is_none() && input.is_empty());
}

fn encode(requests: &Requests) -> Vec<u8> {
    let mut bytes = Vec::new();
    for args in requests {
        bytes.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
        for arg in args {
            bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            bytes.extend_from_slice(arg);
            bytes.extend_from_slice(b"\r\n");
        }
    }
    bytes
}

fn oracle(bytes: &[u8]) -> Requests {
    use resp_rs::resp2::{Frame, parse_frame};
    let mut rest = Bytes::copy_from_slice(bytes);
    let mut requests = Vec::new();
    while !rest.is_empty() {
        let (frame, left) = parse_frame(rest).expect("the oracle understands it");
        rest = left;
        let Frame::Array(Some(items)) = frame else { panic!("an array") };
        requests.push(
            items
                .into_iter()
                .map(|item| match item {
                    Frame::BulkString(Some(bytes)) => bytes.to_vec(),
                    _ => panic!("a bulk string"),
                })
                .collect(),
        );
    }
    requests
}

fn arbitrary_requests() -> impl Strategy<Value = Requests> {
    let arg = prop::collection::vec(any::<u8>(), 0..150);
    prop::collection::vec(prop::collection::vec(arg, 1..6), 0..5)
}

fn nearly_a_request() -> impl Strategy<Value = Vec<u8>> {
    let token = prop::sample::select(vec![
        "*1\r\n", "*3\r\n", "$3\r\n", "$0\r\n", "abc", "\r\n", "\r", "\n", "\"", "'", "\\x4", " ", "*", "$",
        "-1", "99999999",
    ]);
    prop::collection::vec(token, 0..20).prop_map(|tokens| tokens.concat().into_bytes())
}

proptest! {
    #[test]
    fn agrees_with_the_oracle(requests in arbitrary_requests()) {
        let bytes = encode(&requests);
        prop_assert_eq!(&oracle(&bytes), &requests);
        prop_assert_eq!(parse(Limits::default(), &[&bytes]), (requests, None));
    }

    #[test]
    fn the_cut_does_not_matter(requests in arbitrary_requests()) {
        let bytes = encode(&requests);
        for cut in 0..=bytes.len() {
            let (left, right) = bytes.split_at(cut);
            prop_assert_eq!(parse(Limits::default(), &[left, right]), (requests.clone(), None));
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(parse(Limits::default(), &single), (requests, None));
    }

    #[test]
    fn nonsense_gives_the_same_however_it_is_cut(bytes in nearly_a_request()) {
        let whole = parse(SMALL, &[&bytes]);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(parse(SMALL, &single), whole);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        parse(SMALL, &[&bytes]);
    }
}
