//! Objects of several keys, and the commands that name two and more of them: what an entry touches must be
//! all of its keys, and what a read looks at must be of one moment.
//!
//! Three keys make one object ([`SLOTS`]), whose whole state is a few numbers: so every history of commands
//! over several keys falls apart into histories of small objects, and is checked like the others. Reads ask
//! for one of the keys, for two, or for all: a footprint that forgets a key shows in a read of just that one.

mod names;
mod queues;
mod sets;
mod transactions;

use onecopy_core::Incarnation;
use onecopy_keyspace::request::SegmentBuilder;

use crate::client::{Family, OpId};
use crate::dice::Dice;
use crate::message::Kind;
use crate::model::State;

/// How many keys an object has.
pub const SLOTS: u8 = 3;

/// The commands of one operation, each with its arguments.
pub type Commands = Vec<Vec<Vec<u8>>>;

/// What is asked of an object of several keys. Keys are numbered within their object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Strings that are renamed and copied.
    Names(names::Step),
    /// Sets that are united and intersected, and whose members move.
    Sets(sets::Step),
    /// Lists whose elements move.
    Queues(queues::Step),
    /// Strings that are written in transactions.
    Transactions(transactions::Step),
}

pub use transactions::Watched;

impl Step {
    /// Something to ask an object of this family.
    #[must_use]
    pub fn draw(dice: &mut Dice, family: Family, reads: u64) -> Self {
        let is_read = dice.chance(reads);
        match family {
            Family::Sets => Self::Sets(sets::Step::draw(dice, is_read)),
            Family::Queues => Self::Queues(queues::Step::draw(dice, is_read)),
            Family::Transactions => Self::Transactions(transactions::Step::draw(dice, is_read)),
            _ => Self::Names(names::Step::draw(dice, is_read)),
        }
    }

    /// Reads the whole object, if the family is one of several keys.
    #[must_use]
    pub fn whole(family: Family) -> Self {
        match family {
            Family::Sets => Self::Sets(sets::Step::All),
            Family::Queues => Self::Queues(queues::Step::All),
            Family::Transactions => Self::Transactions(transactions::Step::All),
            _ => Self::Names(names::Step::All),
        }
    }

    /// Of which family it is.
    #[must_use]
    pub fn family(self) -> Family {
        match self {
            Self::Names(_) => Family::Names,
            Self::Sets(_) => Family::Sets,
            Self::Queues(_) => Family::Queues,
            Self::Transactions(_) => Family::Transactions,
        }
    }

    /// Whether it needs the log.
    #[must_use]
    pub fn kind(self) -> Kind {
        let is_read = match self {
            Self::Names(step) => step.is_read(),
            Self::Sets(step) => step.is_read(),
            Self::Queues(step) => step.is_read(),
            Self::Transactions(step) => step.is_read(),
        };
        if is_read { Kind::Read } else { Kind::Write }
    }

    /// How it is said in commands.
    #[must_use]
    pub fn commands(self, object: &str, op: OpId, value_bytes: usize) -> Commands {
        let key = |slot: u8| key(object, slot);
        match self {
            Self::Names(step) => step.commands(key, op, value_bytes),
            Self::Sets(step) => step.commands(key),
            Self::Queues(step) => step.commands(key),
            Self::Transactions(step) => step.commands(key, op, value_bytes),
        }
    }

    /// What its segment is beside its commands.
    #[must_use]
    pub fn framed(self, op: OpId, segment: SegmentBuilder) -> SegmentBuilder {
        match self {
            Self::Transactions(step) => step.framed(op, segment),
            Self::Names(_) | Self::Sets(_) | Self::Queues(_) => segment,
        }
    }

    /// The same, asked through this coordinator.
    #[must_use]
    pub fn through(self, life: Incarnation) -> Self {
        match self {
            Self::Transactions(transactions::Step::Watch(slot, _)) => {
                Self::Transactions(transactions::Step::Watch(slot, life))
            }
            other => other,
        }
    }

    /// Whether it may be asked again, under tokens: what is about a watch may not, for that is another one on
    /// another connection.
    #[must_use]
    pub fn may_have_tokens(self) -> bool {
        use transactions::Step::{Guarded, Watch};
        !matches!(self, Self::Transactions(Watch(..) | Guarded(..)))
    }

    /// What follows this operation, once it is executed on an object that was `before`: a transaction that
    /// the watch guards which it was.
    #[must_use]
    pub fn followed_by(self, op: OpId, before: State) -> Option<Self> {
        let Self::Transactions(transactions::Step::Watch(slot, life)) = self else { return None };
        let watched = Watched { life, op, seen: before.0[usize::from(slot)] };
        Some(Self::Transactions(transactions::Step::Guarded(slot, (slot + 1) % SLOTS, watched)))
    }

    /// What it makes of an object, and what it answers.
    #[must_use]
    pub fn execute(self, object: &str, op: OpId, before: State, value_bytes: usize) -> (State, Vec<u8>) {
        match self {
            Self::Names(step) => step.execute(op, before, value_bytes),
            Self::Sets(step) => step.execute(before),
            Self::Queues(step) => step.execute(|slot| key(object, slot), before),
            Self::Transactions(step) => step.execute(op, before, value_bytes),
        }
    }
}

/// The name of one of the keys of an object.
fn key(object: &str, slot: u8) -> Vec<u8> {
    format!("{object}.{slot}").into_bytes()
}

fn slot(dice: &mut Dice) -> u8 {
    dice.below(SLOTS.into()) as u8
}

/// Two different ones.
fn two_slots(dice: &mut Dice) -> (u8, u8) {
    let first = slot(dice);
    (first, (first + 1 + dice.below(u64::from(SLOTS) - 1) as u8) % SLOTS)
}

/// One command.
fn command(arguments: &[&[u8]]) -> Vec<Vec<u8>> {
    arguments.iter().map(|argument| argument.to_vec()).collect()
}
