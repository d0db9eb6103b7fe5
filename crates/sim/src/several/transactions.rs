//! Strings that are written in transactions, some of them guarded by a watch, and by scripts, some of which
//! are stopped. The state of each is 1 plus the number of the operation that wrote its value, or 0 if there
//! is none: no value comes twice, so a string that is what it was when it was watched has not changed
//! meanwhile, and one that is not has.

use onecopy_core::Incarnation;
use onecopy_keyspace::request::{SegmentBuilder, WatchId};

use onecopy_script::Stop;

use super::{Commands, command, slot, two_slots};
use crate::client::{OpId, value};
use crate::dice::Dice;
use crate::model::{NIL, State, bulk};

/// Ends a script that asks for more memory than there is for one.
const GREEDY: &str = "string.rep('x', 1000000000)";

/// What is asked of the strings of an object. Where there are two keys, they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Write one, in no transaction.
    Put(u8),
    /// Write two.
    PutTwo(u8, u8),
    /// Write two, with a command between that fails.
    PutAround(u8, u8),
    /// Write two in a script.
    ScriptTwo(u8, u8),
    /// Write two in a script that is stopped then, so that nothing is written.
    ScriptStopped(u8, u8),
    /// Watch one.
    Watch(u8, Incarnation),
    /// Write two, if the first has not changed since it was watched.
    Guarded(u8, u8, Watched),
    /// Read one, in no transaction.
    Get(u8),
    /// Read two.
    GetTwo(u8, u8),
    /// Read two in a script.
    ScriptGetTwo(u8, u8),
    /// Read all.
    All,
}

/// A watch, and what its client knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watched {
    /// The coordinator through which it was made.
    pub life: Incarnation,
    /// The operation that made it.
    pub op: OpId,
    /// The state of the key then: no client sees it, but the ledger does.
    pub seen: i64,
}

impl Step {
    pub(super) fn draw(dice: &mut Dice, is_read: bool) -> Self {
        let (one, other) = two_slots(dice);
        if is_read {
            return match dice.below(4) {
                // From dice of their own: scripts were thought of later.
                0 if dice.clone().chance(400) => Self::ScriptGetTwo(one, other),
                0 => Self::GetTwo(one, other),
                1 => Self::All,
                _ => Self::Get(slot(dice)),
            };
        }
        match dice.below(8) {
            0 => Self::Put(one),
            1 => Self::PutAround(one, other),
            2..5 => match dice.clone().below(6) {
                0..2 => Self::ScriptTwo(one, other),
                2 => Self::ScriptStopped(one, other),
                _ => Self::PutTwo(one, other),
            },
            _ => Self::Watch(one, Incarnation(0)),
        }
    }

    pub(super) fn is_read(self) -> bool {
        matches!(self, Self::Get(_) | Self::GetTwo(..) | Self::ScriptGetTwo(..) | Self::All)
    }

    /// As a transaction, and about a watch, if it is.
    pub(super) fn framed(self, op: OpId, segment: SegmentBuilder) -> SegmentBuilder {
        let watch = |process, op: OpId| WatchId { process, number: op as u64 };
        match self {
            Self::Put(_) | Self::Get(_) => segment,
            Self::ScriptTwo(..) | Self::ScriptStopped(..) | Self::ScriptGetTwo(..) => segment,
            Self::Watch(_, life) => segment.watched(watch(life, op)),
            Self::Guarded(_, _, watched) => segment.transaction().watched(watch(watched.life, watched.op)),
            Self::PutTwo(..) | Self::PutAround(..) | Self::GetTwo(..) | Self::All => segment.transaction(),
        }
    }

    pub(super) fn commands(self, key: impl Fn(u8) -> Vec<u8>, op: OpId, value_bytes: usize) -> Commands {
        let put = |slot: u8| command(&[b"SET", &key(slot), &value(op, value_bytes)]);
        let get = |slot: u8| command(&[b"GET", &key(slot)]);
        let write = |one: u8, other: u8, ending: &str| {
            let script = format!(
                "redis.call('SET', KEYS[1], ARGV[1]) local set = redis.call('SET', KEYS[2], ARGV[1]) {ending} return set"
            );
            let (one, other, value) = (key(one), key(other), value(op, value_bytes));
            command(&[b"EVAL", script.as_bytes(), b"2", &one, &other, &value])
        };
        match self {
            Self::Put(slot) => vec![put(slot)],
            Self::PutTwo(one, other) | Self::Guarded(one, other, _) => vec![put(one), put(other)],
            Self::PutAround(one, other) => {
                vec![put(one), command(&[b"LPUSH", &key(one), b"x"]), put(other)]
            }
            Self::ScriptTwo(one, other) => vec![write(one, other, "")],
            Self::ScriptStopped(one, other) => vec![write(one, other, GREEDY)],
            Self::ScriptGetTwo(one, other) => {
                let script = "return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])}";
                vec![command(&[b"EVAL_RO", script.as_bytes(), b"2", &key(one), &key(other)])]
            }
            Self::Watch(slot, _) => vec![command(&[b"WATCH", &key(slot)])],
            Self::Get(slot) => vec![get(slot)],
            Self::GetTwo(one, other) => vec![get(one), get(other)],
            Self::All => vec![get(0), get(1), get(2)],
        }
    }

    pub(super) fn execute(self, op: OpId, before: State, value_bytes: usize) -> (State, Vec<u8>) {
        let mut strings = before.0;
        let show = |slot: u8| match before.0[usize::from(slot)] {
            0 => NIL.to_vec(),
            written => bulk(&value((written - 1) as OpId, value_bytes)),
        };
        let show_all = |slots: &[u8]| {
            let header = format!("*{}\r\n", slots.len()).into_bytes();
            header.into_iter().chain(slots.iter().flat_map(|slot| show(*slot))).collect::<Vec<u8>>()
        };
        let mut put = |slot: u8| strings[usize::from(slot)] = op as i64 + 1;
        let answer = match self {
            Self::Guarded(one, _, watched) if before.0[usize::from(one)] != watched.seen => {
                b"*-1\r\n".to_vec()
            }
            Self::PutTwo(one, other) | Self::Guarded(one, other, _) => {
                put(one);
                put(other);
                b"*2\r\n+OK\r\n+OK\r\n".to_vec()
            }
            Self::ScriptTwo(one, other) => {
                put(one);
                put(other);
                b"+OK\r\n".to_vec()
            }
            Self::ScriptStopped(..) => format!("-{}\r\n", Stop::Memory).into_bytes(),
            Self::PutAround(one, other) => {
                put(one);
                put(other);
                let error = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
                format!("*3\r\n+OK\r\n{error}+OK\r\n").into_bytes()
            }
            Self::Put(slot) => {
                put(slot);
                b"+OK\r\n".to_vec()
            }
            Self::Watch(..) => b"+OK\r\n".to_vec(),
            Self::Get(slot) => show(slot),
            Self::GetTwo(one, other) | Self::ScriptGetTwo(one, other) => show_all(&[one, other]),
            Self::All => show_all(&[0, 1, 2]),
        };
        (State(strings), answer)
    }
}
