//! Strings that are written together, renamed, copied and deleted. The state of each is 1 plus the number of
//! the operation that wrote its value, or 0 if there is none.

use super::{Commands, command, slot, two_slots};
use crate::client::{OpId, value};
use crate::dice::Dice;
use crate::model::{NIL, State, bulk, integer};

/// What is asked of the strings of an object. Where there are two keys, they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Write one.
    Put(u8),
    /// Write two at once.
    PutTwo(u8, u8),
    /// Write two at once, unless one of them is there.
    PutNew(u8, u8),
    /// Write all at once.
    PutAll,
    /// The first takes the name of the second.
    Rename(u8, u8),
    /// The same, unless there is a second.
    RenameNew(u8, u8),
    /// The second becomes what the first is.
    Copy(u8, u8),
    /// Delete two.
    Delete(u8, u8),
    /// Read one.
    Get(u8),
    /// Read two.
    GetTwo(u8, u8),
    /// Ask how many of two there are.
    Exist(u8, u8),
    /// Read all.
    All,
}

impl Step {
    pub(super) fn draw(dice: &mut Dice, is_read: bool) -> Self {
        let (one, other) = two_slots(dice);
        if is_read {
            return match dice.below(4) {
                0 => Self::GetTwo(one, other),
                1 => Self::Exist(one, other),
                2 => Self::All,
                _ => Self::Get(slot(dice)),
            };
        }
        match dice.below(8) {
            0 => Self::Put(one),
            1 => Self::PutTwo(one, other),
            2 => Self::PutNew(one, other),
            3 => Self::PutAll,
            4 => Self::Rename(one, other),
            5 => Self::RenameNew(one, other),
            6 => Self::Copy(one, other),
            _ => Self::Delete(one, other),
        }
    }

    pub(super) fn is_read(self) -> bool {
        matches!(self, Self::Get(_) | Self::GetTwo(..) | Self::Exist(..) | Self::All)
    }

    pub(super) fn commands(self, key: impl Fn(u8) -> Vec<u8>, op: OpId, value_bytes: usize) -> Commands {
        let written = value(op, value_bytes);
        let of_two = |name: &str, one: u8, other: u8| command(&[name.as_bytes(), &key(one), &key(other)]);
        let put = |name: &str, slots: &[u8]| {
            let pairs = slots.iter().flat_map(|slot| [key(*slot), written.clone()]);
            [name.as_bytes().to_vec()].into_iter().chain(pairs).collect::<Vec<_>>()
        };
        vec![match self {
            Self::Put(slot) => put("SET", &[slot]),
            Self::PutTwo(one, other) => put("MSET", &[one, other]),
            Self::PutNew(one, other) => put("MSETNX", &[one, other]),
            Self::PutAll => put("MSET", &[0, 1, 2]),
            Self::Rename(from, to) => of_two("RENAME", from, to),
            Self::RenameNew(from, to) => of_two("RENAMENX", from, to),
            Self::Copy(from, to) => command(&[b"COPY", &key(from), &key(to), b"REPLACE"]),
            Self::Delete(one, other) => of_two("DEL", one, other),
            Self::Get(slot) => command(&[b"GET", &key(slot)]),
            Self::GetTwo(one, other) => of_two("MGET", one, other),
            Self::Exist(one, other) => of_two("EXISTS", one, other),
            Self::All => command(&[b"MGET", &key(0), &key(1), &key(2)]),
        }]
    }

    pub(super) fn execute(self, op: OpId, before: State, value_bytes: usize) -> (State, Vec<u8>) {
        let mut names = before.0;
        let mut put =
            |slots: &[u8], what: i64| slots.iter().for_each(|slot| names[usize::from(*slot)] = what);
        let of = |slot: u8| before.0[usize::from(slot)];
        let is_there = |slot: u8| of(slot) != 0;
        let count = |one, other| i64::from(is_there(one)) + i64::from(is_there(other));
        let show = |slot: u8| match of(slot) {
            0 => NIL.to_vec(),
            written => bulk(&value((written - 1) as OpId, value_bytes)),
        };
        let show_all = |slots: &[u8]| {
            let values = slots.iter().flat_map(|slot| show(*slot));
            format!("*{}\r\n", slots.len()).into_bytes().into_iter().chain(values).collect::<Vec<u8>>()
        };
        let ok = || b"+OK\r\n".to_vec();
        let (written, absent) = (op as i64 + 1, b"-ERR no such key\r\n".to_vec());
        let answer = match self {
            Self::Put(slot) => {
                put(&[slot], written);
                ok()
            }
            Self::PutTwo(one, other) => {
                put(&[one, other], written);
                ok()
            }
            Self::PutAll => {
                put(&[0, 1, 2], written);
                ok()
            }
            Self::PutNew(one, other) => {
                let are_new = count(one, other) == 0;
                if are_new {
                    put(&[one, other], written);
                }
                integer(are_new.into())
            }
            Self::Rename(from, _) | Self::RenameNew(from, _) if !is_there(from) => absent,
            Self::RenameNew(_, to) if is_there(to) => integer(0),
            Self::Rename(from, to) | Self::RenameNew(from, to) => {
                put(&[to], of(from));
                put(&[from], 0);
                if matches!(self, Self::Rename(..)) { ok() } else { integer(1) }
            }
            Self::Copy(from, to) => {
                if is_there(from) {
                    put(&[to], of(from));
                }
                integer(is_there(from).into())
            }
            Self::Delete(one, other) => {
                put(&[one, other], 0);
                integer(count(one, other))
            }
            Self::Get(slot) => show(slot),
            Self::GetTwo(one, other) => show_all(&[one, other]),
            Self::Exist(one, other) => integer(count(one, other)),
            Self::All => show_all(&[0, 1, 2]),
        };
        (State(names), answer)
    }
}
