//! Lists whose elements move from one to another. There are never more than a few elements: the state of each
//! list is a number, of which every hexadecimal digit is an element, the first one lowest.

use super::{Commands, SLOTS, command, slot, two_slots};
use crate::dice::Dice;
use crate::model::{NIL, State, bulk, integer};

/// How many elements there are at most.
const ELEMENTS: u8 = 5;

/// What is asked of the lists of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Empty all lists, and put all elements into this one: three commands in one segment.
    Fill(u8),
    /// Move an element from the first list to the second, from this end and to that.
    Move(u8, u8, End, End),
    /// Move the last element of the first list to the beginning of the second.
    Pass(u8, u8),
    /// Take the first element of the first of two lists that has one.
    Pop(u8, u8),
    /// Read a list.
    Range(u8),
    /// Read two of them.
    Two(u8, u8),
    /// Read all.
    All,
    /// Ask how long a list is.
    Length(u8),
}

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The first element.
    Left,
    /// The last one.
    Right,
}

impl End {
    fn draw(dice: &mut Dice) -> Self {
        if dice.chance(500) { Self::Left } else { Self::Right }
    }

    fn word(self) -> &'static [u8] {
        if self == Self::Left { b"LEFT" } else { b"RIGHT" }
    }

    fn pop(self, list: &mut Vec<u8>) -> Option<u8> {
        match self {
            Self::Left if list.is_empty() => None,
            Self::Left => Some(list.remove(0)),
            Self::Right => list.pop(),
        }
    }

    fn push(self, list: &mut Vec<u8>, element: u8) {
        list.insert(if self == Self::Left { 0 } else { list.len() }, element);
    }
}

impl Step {
    pub(super) fn draw(dice: &mut Dice, is_read: bool) -> Self {
        let (one, other) = two_slots(dice);
        if is_read {
            return match dice.below(4) {
                0 => Self::Two(one, other),
                1 => Self::All,
                2 => Self::Length(one),
                _ => Self::Range(other),
            };
        }
        match dice.below(8) {
            0 => Self::Fill(one),
            1 => Self::Pop(one, other),
            2 | 3 => Self::Pass(one, other),
            _ => Self::Move(one, slot(dice), End::draw(dice), End::draw(dice)),
        }
    }

    pub(super) fn is_read(self) -> bool {
        matches!(self, Self::Range(_) | Self::Two(..) | Self::All | Self::Length(_))
    }

    pub(super) fn commands(self, key: impl Fn(u8) -> Vec<u8>) -> Commands {
        let range = |slot: u8| command(&[b"LRANGE", &key(slot), b"0", b"-1"]);
        match self {
            Self::Fill(slot) => {
                let elements = (1..=ELEMENTS).map(|element| element.to_string().into_bytes());
                let push = [b"RPUSH".to_vec(), key(slot)].into_iter().chain(elements).collect();
                vec![command(&[b"DEL", &key(0), &key(1), &key(2)]), push]
            }
            Self::Move(from, to, head, tail) => {
                vec![command(&[b"LMOVE", &key(from), &key(to), head.word(), tail.word()])]
            }
            Self::Pass(from, to) => vec![command(&[b"RPOPLPUSH", &key(from), &key(to)])],
            Self::Pop(one, other) => vec![command(&[b"LMPOP", b"2", &key(one), &key(other), b"LEFT"])],
            Self::Range(slot) => vec![range(slot)],
            Self::Two(one, other) => vec![range(one), range(other)],
            Self::All => (0..SLOTS).map(range).collect(),
            Self::Length(slot) => vec![command(&[b"LLEN", &key(slot)])],
        }
    }

    pub(super) fn execute(self, key: impl Fn(u8) -> Vec<u8>, before: State) -> (State, Vec<u8>) {
        let mut lists: [Vec<u8>; SLOTS as usize] = std::array::from_fn(|slot| elements(before.0[slot]));
        let show = |list: &[u8]| {
            let all = list.iter().flat_map(|element| bulk(element.to_string().as_bytes()));
            format!("*{}\r\n", list.len()).into_bytes().into_iter().chain(all).collect::<Vec<u8>>()
        };
        let answer = match self {
            Self::Fill(slot) => {
                let there = lists.iter().filter(|list| !list.is_empty()).count();
                lists.iter_mut().for_each(Vec::clear);
                lists[usize::from(slot)].extend(1..=ELEMENTS);
                [integer(there as i64), integer(ELEMENTS.into())].concat()
            }
            Self::Move(from, to, head, tail) => relay(&mut lists, (from, head), (to, tail)),
            Self::Pass(from, to) => relay(&mut lists, (from, End::Right), (to, End::Left)),
            Self::Pop(one, other) => {
                let has_one = [one, other].into_iter().find(|slot| !lists[usize::from(*slot)].is_empty());
                match has_one.and_then(|slot| Some((slot, End::Left.pop(&mut lists[usize::from(slot)])?))) {
                    Some((slot, element)) => {
                        [b"*2\r\n".to_vec(), bulk(&key(slot)), show(&[element])].concat()
                    }
                    None => b"*-1\r\n".to_vec(),
                }
            }
            Self::Range(slot) => show(&lists[usize::from(slot)]),
            Self::Two(one, other) => {
                [show(&lists[usize::from(one)]), show(&lists[usize::from(other)])].concat()
            }
            Self::All => lists.iter().flat_map(|list| show(list)).collect(),
            Self::Length(slot) => integer(lists[usize::from(slot)].len() as i64),
        };
        let mut after = before;
        for (number, list) in after.0.iter_mut().zip(&lists) {
            *number = list.iter().rev().fold(0, |number, element| number << 4 | i64::from(*element));
        }
        (after, answer)
    }
}

/// The elements of a list whose state is this number.
fn elements(mut number: i64) -> Vec<u8> {
    let mut elements = Vec::new();
    while number != 0 {
        elements.push((number & 15) as u8);
        number >>= 4;
    }
    elements
}

/// Moves an element, and says which.
fn relay(lists: &mut [Vec<u8>], (from, head): (u8, End), (to, tail): (u8, End)) -> Vec<u8> {
    let Some(element) = head.pop(&mut lists[usize::from(from)]) else { return NIL.to_vec() };
    tail.push(&mut lists[usize::from(to)], element);
    bulk(element.to_string().as_bytes())
}
