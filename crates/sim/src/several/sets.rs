//! Sets of a few members. The state of each is a number whose bits say which of them it holds.

use super::{Commands, command, slot, two_slots};
use crate::dice::Dice;
use crate::model::{State, integer};

/// How many members there are.
const MEMBERS: u8 = 6;

/// What is asked of the sets of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Put a member into a set.
    Add(u8, u8),
    /// Take a member out of a set.
    Drop(u8, u8),
    /// Move a member from the first set to the second.
    Move(u8, u8, u8),
    /// The first set becomes the union of the two others.
    Union(u8, u8, u8),
    /// The first set becomes what the two others have in common.
    Intersection(u8, u8, u8),
    /// The first set becomes what the second has and the third has not.
    Difference(u8, u8, u8),
    /// Ask which members a set has.
    Members(u8),
    /// Ask how many members two sets have in common.
    Common(u8, u8),
    /// Ask which members all sets have.
    All,
}

impl Step {
    pub(super) fn draw(dice: &mut Dice, is_read: bool) -> Self {
        let (one, other) = two_slots(dice);
        let (third, member) = (slot(dice), dice.below(MEMBERS.into()) as u8);
        if is_read {
            return match dice.below(3) {
                0 => Self::Common(one, other),
                1 => Self::All,
                _ => Self::Members(third),
            };
        }
        match dice.below(8) {
            0 | 1 => Self::Add(one, member),
            2 => Self::Drop(one, member),
            3 | 4 => Self::Move(one, other, member),
            5 => Self::Union(third, one, other),
            6 => Self::Intersection(third, one, other),
            _ => Self::Difference(third, one, other),
        }
    }

    pub(super) fn is_read(self) -> bool {
        matches!(self, Self::Members(_) | Self::Common(..) | Self::All)
    }

    pub(super) fn commands(self, key: impl Fn(u8) -> Vec<u8>) -> Commands {
        let name = |member: u8| vec![b'a' + member];
        let of_three = |name: &str, to: u8, one: u8, other: u8| {
            command(&[name.as_bytes(), &key(to), &key(one), &key(other)])
        };
        let members = |slot: u8| {
            let all = (0..MEMBERS).map(name);
            [b"SMISMEMBER".to_vec(), key(slot)].into_iter().chain(all).collect::<Vec<_>>()
        };
        vec![match self {
            Self::Add(slot, member) => command(&[b"SADD", &key(slot), &name(member)]),
            Self::Drop(slot, member) => command(&[b"SREM", &key(slot), &name(member)]),
            Self::Move(from, to, member) => command(&[b"SMOVE", &key(from), &key(to), &name(member)]),
            Self::Union(to, one, other) => of_three("SUNIONSTORE", to, one, other),
            Self::Intersection(to, one, other) => of_three("SINTERSTORE", to, one, other),
            Self::Difference(to, one, other) => of_three("SDIFFSTORE", to, one, other),
            Self::Members(slot) => members(slot),
            Self::Common(one, other) => command(&[b"SINTERCARD", b"2", &key(one), &key(other)]),
            Self::All => return vec![members(0), members(1), members(2)],
        }]
    }

    pub(super) fn execute(self, before: State) -> (State, Vec<u8>) {
        let mut sets = before.0;
        let of = |slot: u8| before.0[usize::from(slot)];
        let has = |slot: u8, member: u8| of(slot) >> member & 1 == 1;
        let show = |slot: u8| {
            let all = (0..MEMBERS).flat_map(|member| integer(has(slot, member).into()));
            format!("*{MEMBERS}\r\n").into_bytes().into_iter().chain(all).collect::<Vec<u8>>()
        };
        let mut store = |to: u8, set: i64| {
            sets[usize::from(to)] = set;
            integer(set.count_ones().into())
        };
        let answer = match self {
            Self::Add(slot, member) => {
                store(slot, of(slot) | 1 << member);
                integer((!has(slot, member)).into())
            }
            Self::Drop(slot, member) => {
                store(slot, of(slot) & !(1 << member));
                integer(has(slot, member).into())
            }
            Self::Move(from, to, member) => {
                if has(from, member) {
                    store(from, of(from) & !(1 << member));
                    store(to, of(to) | 1 << member);
                }
                integer(has(from, member).into())
            }
            Self::Union(to, one, other) => store(to, of(one) | of(other)),
            Self::Intersection(to, one, other) => store(to, of(one) & of(other)),
            Self::Difference(to, one, other) => store(to, of(one) & !of(other)),
            Self::Members(slot) => show(slot),
            Self::Common(one, other) => integer((of(one) & of(other)).count_ones().into()),
            Self::All => [show(0), show(1), show(2)].concat(),
        };
        (State(sets), answer)
    }
}
