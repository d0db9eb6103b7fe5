//! A machine to type commands into, and replies as text.

#![allow(dead_code)]

pub mod maker;
pub mod redis;
pub mod stream_templates;
pub mod templates;
pub mod unordered;

use bytes::Bytes;
use onecopy_core::{ApplyContext, Incarnation, Index, QueryContext, StateMachine, Timestamp};
use onecopy_keyspace::Keyspace;
use onecopy_keyspace::request::{BodyBuilder, SegmentBuilder, WatchId, split_response};
use onecopy_resp::Version;

/// A reply, parsed.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Null,
    Array(Vec<Reply>),
    Map(Vec<Reply>),
    Set(Vec<Reply>),
    Double(String),
    Boolean(bool),
}

impl Reply {
    /// Parses one reply off the front; `None` if it is not complete.
    pub fn parse(bytes: &mut &[u8]) -> Option<Self> {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
        let (kind, line) = (bytes[0], String::from_utf8_lossy(&bytes[1..end]).into_owned());
        let mut rest = &bytes[end + 2..];
        let number = || line.parse::<i64>().expect("a number");
        let reply = match kind {
            b'+' => Self::Simple(line),
            b'(' => Self::Simple(format!("({line}")),
            b'-' => Self::Error(line),
            b':' => Self::Integer(number()),
            b',' => Self::Double(line),
            b'#' => Self::Boolean(line == "t"),
            b'_' => Self::Null,
            b'$' | b'*' if number() < 0 => Self::Null,
            b'$' | b'=' => {
                let length = number() as usize;
                let bulk = rest.get(..length)?.to_vec();
                rest = rest.get(length + 2..)?;
                Self::Bulk(bulk)
            }
            b'*' | b'~' | b'%' => {
                let count = number() * if kind == b'%' { 2 } else { 1 };
                let items = (0..count).map(|_| Self::parse(&mut rest)).collect::<Option<Vec<_>>>()?;
                match kind {
                    b'*' => Self::Array(items),
                    b'~' => Self::Set(items),
                    _ => Self::Map(items),
                }
            }
            other => panic!("a reply of unknown kind {}", other as char),
        };
        *bytes = rest;
        Some(reply)
    }

    /// Errors and simple strings as they are, integers as `:1`, doubles as `,1.5`, nothing as `nil`, arrays
    /// as `[a b]`, maps as `{a b}`, sets as `~[a b]`, bulk strings without quotes unless they are empty.
    pub fn text(&self) -> String {
        let list = |items: &[Self]| items.iter().map(Self::text).collect::<Vec<_>>().join(" ");
        match self {
            Self::Simple(text) => text.clone(),
            Self::Error(text) => format!("-{text}"),
            Self::Integer(number) => format!(":{number}"),
            Self::Bulk(bytes) if bytes.is_empty() => "''".into(),
            Self::Bulk(bytes) => bytes.escape_ascii().to_string(),
            Self::Null => "nil".into(),
            Self::Array(items) => format!("[{}]", list(items)),
            Self::Map(items) => format!("{{{}}}", list(items)),
            Self::Set(items) => format!("~[{}]", list(items)),
            Self::Double(text) => format!(",{text}"),
            Self::Boolean(value) => format!("#{value}"),
        }
    }
}

/// Splits a line into arguments; `''` is an empty one.
pub fn words(line: &str) -> Vec<Vec<u8>> {
    line.split_whitespace()
        .map(|word| if word == "''" { Vec::new() } else { word.as_bytes().to_vec() })
        .collect()
}

/// The name of a watch.
pub fn watch(number: u64) -> WatchId {
    WatchId { process: Incarnation(7), number }
}

/// A transaction, guarded by a watch or by none.
pub fn transaction((db, version): (u8, Version), number: Option<u64>, lines: &[&str]) -> SegmentBuilder {
    let segment = SegmentBuilder::new(db, version).transaction();
    let mut segment = number.map(watch).into_iter().fold(segment, SegmentBuilder::watched);
    lines.iter().for_each(|line| segment.push(words(line).iter().map(Vec::as_slice)));
    segment
}

/// A body with one command.
pub fn body_of(db: u8, version: Version, args: &[Vec<u8>]) -> Bytes {
    let mut segment = SegmentBuilder::new(db, version);
    segment.push(args.iter().map(Vec::as_slice));
    let mut body = BodyBuilder::new();
    body.push(&segment.finish());
    body.finish()
}

/// The replies of a response to one segment.
pub fn replies(response: Vec<u8>) -> Vec<u8> {
    let mut segments = split_response(&Bytes::from(response));
    let replies = segments.next().expect("a segment").expect("well-formed").expect("executed");
    assert!(segments.next().is_none());
    replies.to_vec()
}

/// A keyspace with a log position and a clock.
pub struct Machine {
    pub keyspace: Keyspace,
    pub context: ApplyContext<'static>,
    pub version: Version,
    pub db: u8,
}

impl Default for Machine {
    fn default() -> Self {
        Self::new([1, 2])
    }
}

impl Machine {
    pub fn new(seed: [u64; 2]) -> Self {
        let context = ApplyContext::new(Index(0), Timestamp(1_000_000), 42);
        Self { keyspace: Keyspace::new(seed), context, version: Version::Two, db: 0 }
    }

    /// Executes a command as an entry of its own; the raw replies.
    pub fn apply(&mut self, args: &[Vec<u8>]) -> Vec<u8> {
        self.context.index = self.context.index.next();
        self.context.seed = self.context.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.keyspace.advance(&self.context);
        let mut response = Vec::new();
        self.keyspace.apply(&self.context, &body_of(self.db, self.version, args), &mut response);
        replies(response)
    }

    /// Executes a line, and gives the reply as text.
    pub fn run(&mut self, line: &str) -> String {
        let replies = self.apply(&words(line));
        let mut rest = replies.as_slice();
        let reply = Reply::parse(&mut rest).expect("a reply");
        assert!(rest.is_empty(), "one reply to {line}");
        reply.text()
    }

    /// Executes a segment as an entry of its own; the raw replies.
    pub fn apply_segment(&mut self, segment: SegmentBuilder) -> Vec<u8> {
        self.context.index = self.context.index.next();
        self.keyspace.advance(&self.context);
        let mut response = Vec::new();
        self.keyspace.apply(&self.context, &segment.finish(), &mut response);
        replies(response)
    }

    /// Watches keys, or ends a watch: `WATCH` and `UNWATCH` of the watch with this number.
    pub fn watching(&mut self, number: u64, line: &str) -> String {
        let mut segment = SegmentBuilder::new(self.db, self.version).watched(watch(number));
        segment.push(words(line).iter().map(Vec::as_slice));
        Reply::parse(&mut self.apply_segment(segment).as_slice()).expect("a reply").text()
    }

    /// Executes lines as a transaction, guarded by a watch or by none.
    pub fn transact(&mut self, number: Option<u64>, lines: &[&str]) -> Reply {
        let reply = self.apply_segment(transaction((self.db, self.version), number, lines));
        let mut rest = reply.as_slice();
        let reply = Reply::parse(&mut rest).expect("a reply");
        assert!(rest.is_empty(), "one reply");
        reply
    }

    /// Executes lines as one request, and gives the replies as text.
    pub fn run_together(&mut self, lines: &[String]) -> Vec<String> {
        let mut segment = SegmentBuilder::new(self.db, self.version);
        for line in lines {
            let args = words(line);
            segment.push(args.iter().map(Vec::as_slice));
        }
        let mut body = BodyBuilder::new();
        body.push(&segment.finish());
        self.context.index = self.context.index.next();
        self.keyspace.advance(&self.context);
        let mut response = Vec::new();
        self.keyspace.apply(&self.context, &body.finish(), &mut response);
        let replies = replies(response);
        let mut rest = replies.as_slice();
        lines.iter().map(|_| Reply::parse(&mut rest).expect("a reply").text()).collect()
    }

    /// Executes a line as a read at `now`.
    pub fn query(&self, now: u64, line: &str) -> String {
        let mut response = Vec::new();
        let context = QueryContext::at(Timestamp(now));
        self.keyspace.query(&context, &body_of(self.db, self.version, &words(line)), &mut response);
        Reply::parse(&mut replies(response).as_slice()).expect("a reply").text()
    }

    /// Lets time pass, and an empty entry with it.
    pub fn sleep(&mut self, milliseconds: u64) {
        self.context.time.0 += milliseconds;
        self.keyspace.advance(&self.context);
    }

    /// Executes the commands of a table, `command => reply` per line, and compares the replies.
    pub fn expect(&mut self, table: &str) {
        for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (command, expected) = line.split_once("=>").expect("command => reply");
            assert_eq!(self.run(command).trim_end(), expected.trim(), "{command}");
        }
    }

    /// A complete image of the state.
    pub fn image(&mut self) -> Vec<u8> {
        self.keyspace.snapshot_begin();
        self.read_image(1 << 16)
    }

    /// The image that was begun.
    pub fn read_image(&mut self, bytes_max: usize) -> Vec<u8> {
        let mut image = Vec::new();
        loop {
            let before = image.len();
            let more = self.keyspace.snapshot_read(bytes_max, &mut image);
            assert!(image.len() - before <= bytes_max);
            if !more {
                return image;
            }
        }
    }
}

/// Checks a table on a fresh machine.
pub fn expect(table: &str) {
    Machine::default().expect(table);
}
