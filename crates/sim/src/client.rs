//! Clients: what they ask for, one thing at a time, and what they make of the answer.

use bytes::{Bytes, BytesMut};
use onecopy_core::{GroupId, Incarnation, Index, NodeId};
use onecopy_keyspace::request::{SegmentBuilder, WaiterId};
use onecopy_resp::Version;
use onecopy_views::MAIN;

use crate::channels;
use crate::clock::{SECOND, Time};
use crate::message::Kind;
use crate::several::Step;

/// How long a client waits before it takes its node for dead.
pub const PATIENCE: Time = 7 * SECOND;
/// How often it sends a command that has a token.
pub const ATTEMPTS_MAX: u32 = 6;
/// How many bytes something has that may go to make room.
pub const CACHED_BYTES: usize = 16 << 10;
/// How many accounts there are.
pub const ACCOUNTS: u64 = 4;

/// The number of an operation. Those of each group are counted from another one, so that no two write the
/// same, whatever the group: what gets from one database into another is seen.
pub type OpId = usize;

/// So many operations of a group have numbers. No run has as many.
const OPS_OF_A_GROUP: usize = 1_000_000;

/// The number of the first operation of a group.
#[must_use]
pub fn first_op(group: GroupId) -> OpId {
    (group.0.saturating_sub(MAIN.0)) as usize * OPS_OF_A_GROUP
}

/// The group of which an operation asks something.
#[must_use]
pub fn group_of(op: OpId) -> GroupId {
    GroupId(MAIN.0 + (op / OPS_OF_A_GROUP) as u32)
}

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
    /// Move money from one account to another: two commands in one segment, which is executed as a whole.
    Transfer {
        /// From this account.
        from: u64,
        /// To this one.
        to: u64,
        /// So much.
        amount: i64,
    },
    /// Read all accounts, with one command each in one segment.
    Audit,
    /// Write a key that lives so many milliseconds. The value is the number of the operation.
    Lease {
        /// How long.
        ms: i64,
    },
    /// Let such a key live for so many milliseconds from now on, if it still does.
    Renew {
        /// How long.
        ms: i64,
    },
    /// Read such a key: its value, whether it exists, when it ends, and how much of its life is left.
    Look,
    /// Put an element, the number of the operation, at the end of a queue.
    Put,
    /// Take the first element of a queue, or wait for one, for so many milliseconds.
    Take {
        /// How long.
        ms: u64,
    },
    /// Read a queue.
    Queue,
    /// Something about channels, and those who listen to them.
    Channels(channels::Step),
    /// Something about an object of several keys.
    Several(Step),
    /// A read that costs more than anybody can bear ([`Fault::CostlyRead`]).
    ///
    /// [`Fault::CostlyRead`]: crate::faults::Fault::CostlyRead
    Costly,
    /// Write something large that may go to make room. The value is the number of the operation.
    Keep,
    /// Read such a thing.
    Recall,
    /// A write of somebody's own machine: what, is known to [`crate::checks::own`].
    Tell,
    /// A read of somebody's own machine.
    Ask,
}

impl Action {
    /// Whether it needs the log.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Several(step) => step.kind(),
            Self::Channels(step) if step.waits() => Kind::Wait,
            Self::Channels(_)
            | Self::Set
            | Self::Incr
            | Self::Add
            | Self::Transfer { .. }
            | Self::Lease { .. }
            | Self::Renew { .. }
            | Self::Put
            | Self::Keep
            | Self::Tell => Kind::Write,
            Self::Take { .. } => Kind::Wait,
            Self::Queue
            | Self::Get
            | Self::Count
            | Self::Size
            | Self::Audit
            | Self::Look
            | Self::Costly
            | Self::Recall
            | Self::Ask => Kind::Read,
        }
    }

    /// The same, asked through this coordinator.
    #[must_use]
    pub fn through(self, life: Incarnation) -> Self {
        if let Self::Several(step) = self { Self::Several(step.through(life)) } else { self }
    }

    /// Whether it may be asked again, under tokens.
    #[must_use]
    pub fn may_have_tokens(self) -> bool {
        if let Self::Several(step) = self { step.may_have_tokens() } else { true }
    }

    /// What kind of object it is about.
    #[must_use]
    pub fn family(self) -> Family {
        match self {
            Self::Set | Self::Get | Self::Costly => Family::Register,
            Self::Incr | Self::Count => Family::Counter,
            Self::Add | Self::Size => Family::Set,
            Self::Transfer { .. } | Self::Audit => Family::Accounts,
            Self::Lease { .. } | Self::Renew { .. } | Self::Look => Family::Lease,
            Self::Put | Self::Take { .. } | Self::Queue => Family::Waits,
            Self::Several(step) => step.family(),
            Self::Channels(_) => Family::Channels,
            Self::Keep | Self::Recall => Family::Cache,
            Self::Tell | Self::Ask => Family::Own,
        }
    }

    /// The same as [`segment`](Self::segment), of this attempt: each has a waiter of its own.
    #[must_use]
    pub fn attempt(self, key: u64, op: OpId, value_bytes: usize, once: bool, attempt: u32) -> BytesMut {
        let Self::Take { ms } = self else { return self.segment(key, op, value_bytes, once) };
        let waiter = WaiterId { process: Incarnation(op as u128), number: attempt.into() };
        let mut segment = SegmentBuilder::new(0, Version::Two).waiting(waiter);
        let (token, seconds) = (format!("{op}-0"), format!("{}.{:03}", ms / 1_000, ms % 1_000));
        let prefix = if once { [b"ONCE".as_slice(), token.as_bytes()].to_vec() } else { Vec::new() };
        let (name, seconds) = (self.family().key(key), seconds.as_bytes());
        segment.push(prefix.into_iter().chain([b"BLPOP".as_slice(), name.as_bytes(), seconds]));
        segment.finish()
    }

    /// The commands, as the state machine gets them; writes each under a token, if they are to count `once`
    /// however often they are sent.
    #[must_use]
    pub fn segment(self, key: u64, op: OpId, value_bytes: usize, once: bool) -> BytesMut {
        let mut segment = SegmentBuilder::new(0, Version::Two);
        if let Self::Several(step) = self {
            segment = step.framed(op, segment);
        }
        let mut commands = 0;
        let mut push = |arguments: &[&[u8]]| {
            let token = format!("{op}-{commands}");
            let prefix = if once { [b"ONCE".as_slice(), token.as_bytes()].to_vec() } else { Vec::new() };
            segment.push(prefix.into_iter().chain(arguments.iter().copied()));
            commands += 1;
        };
        let name = self.family().key(key);
        let (key, number) = (name.as_bytes(), op.to_string());
        match self {
            Self::Set => push(&[b"SET", key, &value(op, value_bytes)]),
            Self::Get | Self::Count => push(&[b"GET", key]),
            Self::Costly => push(&[b"GET", [COSTLY, number.as_bytes()].concat().as_slice()]),
            Self::Incr => push(&[b"INCR", key]),
            Self::Add => push(&[b"SADD", key, number.as_bytes()]),
            Self::Size => push(&[b"SCARD", key]),
            Self::Transfer { from, to, amount } => {
                let amount = amount.to_string();
                push(&[b"DECRBY", account(from).as_bytes(), amount.as_bytes()]);
                push(&[b"INCRBY", account(to).as_bytes(), amount.as_bytes()]);
            }
            Self::Audit => (0..ACCOUNTS).for_each(|number| push(&[b"GET", account(number).as_bytes()])),
            Self::Lease { ms } => push(&[b"SET", key, number.as_bytes(), b"PX", ms.to_string().as_bytes()]),
            Self::Renew { ms } => push(&[b"PEXPIRE", key, ms.to_string().as_bytes()]),
            Self::Look => {
                for command in [b"GET".as_slice(), b"EXISTS", b"PEXPIRETIME", b"PTTL"] {
                    push(&[command, key]);
                }
            }
            // So long that none ends before the run does.
            Self::Keep => push(&[b"SET", key, &value(op, CACHED_BYTES), b"EX", b"100000"]),
            Self::Recall => push(&[b"GET", key]),
            Self::Put => push(&[b"RPUSH", key, number.as_bytes()]),
            Self::Queue => push(&[b"LRANGE", key, b"0", b"-1"]),
            // Only ever an attempt of it.
            Self::Take { .. } => {}
            // Asked by ears, in segments of their own.
            Self::Channels(_) => {}
            Self::Several(step) => {
                for command in step.commands(&name, op, value_bytes) {
                    push(&command.iter().map(Vec::as_slice).collect::<Vec<_>>());
                }
            }
            // No command of the keyspace.
            Self::Tell | Self::Ask => {}
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
    /// All accounts together: what is true of them is true of their sum.
    Accounts,
    /// Holds the last value written, until its time is over.
    Lease,
    /// Several strings, which are written together, renamed and copied.
    Names,
    /// Several sets, which are united and intersected.
    Sets,
    /// Several lists, from one of which elements move to another.
    Queues,
    /// Several strings, which are written in transactions.
    Transactions,
    /// Queues at which clients wait.
    Waits,
    /// All channels together.
    Channels,
    /// Holds the last value written, or nothing, if that has gone to make room.
    Cache,
    /// The whole state of somebody's own machine.
    Own,
}

impl Family {
    /// All that the keyspace holds, and whose state is a few numbers.
    pub const ALL: [Self; 9] = [
        Self::Register,
        Self::Counter,
        Self::Set,
        Self::Accounts,
        Self::Lease,
        Self::Names,
        Self::Sets,
        Self::Queues,
        Self::Transactions,
    ];

    /// Those that were thought of later, and are drawn last, so that older seeds are what they were.
    pub(crate) const LATER: [Self; 4] = [Self::Names, Self::Sets, Self::Queues, Self::Transactions];

    /// The name of one of them.
    #[must_use]
    pub fn key(self, key: u64) -> String {
        match self {
            Self::Register => format!("register{key}"),
            Self::Counter => format!("counter{key}"),
            Self::Set => format!("set{key}"),
            Self::Accounts => "accounts".to_owned(),
            Self::Lease => format!("lease{key}"),
            Self::Names => format!("names{key}"),
            Self::Sets => format!("sets{key}"),
            Self::Queues => format!("queues{key}"),
            Self::Transactions => format!("transactions{key}"),
            Self::Waits => format!("waits{key}"),
            Self::Channels => "channels".to_owned(),
            Self::Cache => format!("cache{key}"),
            Self::Own => "own".to_owned(),
        }
    }

    /// How its objects are read as a whole.
    #[must_use]
    pub fn read(self) -> Action {
        match self {
            Self::Register => Action::Get,
            Self::Counter => Action::Count,
            Self::Set => Action::Size,
            Self::Accounts => Action::Audit,
            Self::Lease => Action::Look,
            Self::Names | Self::Sets | Self::Queues | Self::Transactions => {
                Action::Several(Step::whole(self))
            }
            Self::Waits => Action::Queue,
            Self::Channels => Action::Channels(channels::Step::Publish),
            Self::Cache => Action::Recall,
            Self::Own => Action::Ask,
        }
    }

    /// How many objects there are, if there are so many keys.
    #[must_use]
    pub fn objects(self, keys: u64) -> u64 {
        if self == Self::Accounts { 1 } else { keys }
    }
}

/// Keys of which this is the beginning are those of costly reads; then comes the number of the operation.
const COSTLY: &[u8] = b"costly";

/// The costly read among some reads, if there is one.
#[must_use]
pub fn costly_read(body: &[u8]) -> Option<OpId> {
    let at = body.windows(COSTLY.len()).position(|bytes| bytes == COSTLY)?;
    let number = body[at + COSTLY.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    let digits = number.map(|digit| usize::from(digit - b'0'));
    Some(digits.fold(0, |number, digit| 10 * number + digit))
}

/// The key of an account.
fn account(number: u64) -> String {
    format!("account{number}")
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
    /// What it will ask for again, through another node.
    pub again: Option<OpId>,
    /// How often it has asked for that, or for what it waits for.
    pub attempts: u32,
    /// What it watches, and what it will do then, with an object of this group, on this connection.
    pub watching: Option<(Step, u64, GroupId)>,
    /// When it goes on.
    pub wakes: Time,
    /// How many operations have been answered since the faults ended.
    pub served: u64,
}
