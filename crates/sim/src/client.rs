//! Clients: what they ask for, one thing at a time, and what they make of the answer.

use bytes::{Bytes, BytesMut};
use onecopy_core::{Index, NodeId};
use onecopy_keyspace::request::SegmentBuilder;
use onecopy_resp::Version;

use crate::clock::{SECOND, Time};
use crate::dice::Dice;
use crate::faults::Profile;
use crate::message::Kind;

/// How long a client waits before it takes its node for dead.
pub const PATIENCE: Time = 7 * SECOND;

/// The number of an operation: its position in the history.
pub type OpId = usize;

/// How an operation ended for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It was executed. The index is what the state reflected: a witness, which no real client sees.
    Done(Bytes, Index),
    /// It may or may not have been executed.
    Unknown,
    /// It was not executed, and never will be.
    Refused,
}

/// What a client can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Write a register. The value is the number of the operation, so that no two writes look alike.
    Set,
    /// Read a register.
    Get,
    /// Count up.
    Incr,
    /// Read a counter.
    Count,
    /// Put an element, the number of the operation, into a set.
    Add,
    /// Ask how many elements a set has.
    Size,
}

impl Action {
    /// Whether it needs the log.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Set | Self::Incr | Self::Add => Kind::Write,
            Self::Get | Self::Count | Self::Size => Kind::Read,
        }
    }

    /// What kind of object it is about.
    #[must_use]
    pub fn family(self) -> Family {
        match self {
            Self::Set | Self::Get => Family::Register,
            Self::Incr | Self::Count => Family::Counter,
            Self::Add | Self::Size => Family::Set,
        }
    }

    /// The command, as the state machine gets it.
    #[must_use]
    pub fn segment(self, key: u64, op: OpId, value_bytes: usize) -> BytesMut {
        let mut segment = SegmentBuilder::new(0, Version::Two);
        let key = self.family().key(key);
        let number = op.to_string();
        match self {
            Self::Set => segment.push([b"SET".as_slice(), key.as_bytes(), &value(op, value_bytes)]),
            Self::Get | Self::Count => segment.push([b"GET".as_slice(), key.as_bytes()]),
            Self::Incr => segment.push([b"INCR".as_slice(), key.as_bytes()]),
            Self::Add => segment.push([b"SADD".as_slice(), key.as_bytes(), number.as_bytes()]),
            Self::Size => segment.push([b"SCARD".as_slice(), key.as_bytes()]),
        }
        segment.finish()
    }
}

/// The kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Holds the last value written.
    Register,
    /// Counts.
    Counter,
    /// Holds every element added.
    Set,
}

impl Family {
    /// The name of one of them.
    #[must_use]
    pub fn key(self, key: u64) -> String {
        match self {
            Self::Register => format!("register{key}"),
            Self::Counter => format!("counter{key}"),
            Self::Set => format!("set{key}"),
        }
    }
}

/// The value that an operation writes.
#[must_use]
pub fn value(op: OpId, bytes: usize) -> Vec<u8> {
    let mut value = format!("{op}:").into_bytes();
    value.resize(value.len().max(bytes), b'.');
    value
}

/// One client.
#[derive(Debug)]
pub struct Client {
    /// The node that it is connected to.
    pub home: NodeId,
    /// What it waits for, and since when.
    pub waiting: Option<(OpId, Time)>,
    /// When it goes on.
    pub wakes: Time,
    /// How many operations have been answered since the faults ended.
    pub served: u64,
}

/// What a client asks for next.
#[must_use]
pub fn choose(dice: &mut Dice, profile: &Profile) -> (Action, u64) {
    let reads = dice.chance(profile.reads);
    let action = match (dice.below(4), reads) {
        (0, true) => Action::Count,
        (0, false) => Action::Incr,
        (1, true) => Action::Size,
        (1, false) => Action::Add,
        (_, true) => Action::Get,
        (_, false) => Action::Set,
    };
    (action, dice.below(profile.keys))
}
