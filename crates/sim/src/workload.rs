//! What clients ask for: which kinds of objects, which of them most, and how often they only read. Drawn anew
//! for every run, like the faults.

use std::collections::BTreeMap;

use crate::client::{ACCOUNTS, Action, Family};
use crate::dice::Dice;
use crate::several::Step;

/// Above this, a life that was drawn is made thirty times as long.
const LEASE_SHORT_MS: i64 = 1_480;

/// Which keys are popular.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skew {
    /// All alike.
    Uniform,
    /// The first one is asked for so many times in a thousand, and the others alike.
    Hot(u64),
    /// Every key half as often as the one before it, or so: the shape of what people look at.
    Steep,
}

impl Skew {
    fn draw(dice: &mut Dice) -> Self {
        match dice.below(3) {
            0 => Self::Uniform,
            1 => Self::Hot(dice.between(300, 950)),
            _ => Self::Steep,
        }
    }

    fn key(self, dice: &mut Dice, keys: u64) -> u64 {
        match self {
            Self::Hot(share) if dice.chance(share) => 0,
            Self::Uniform | Self::Hot(_) => dice.below(keys),
            Self::Steep => (u64::from(dice.number().trailing_zeros())).min(keys.saturating_sub(1)),
        }
    }
}

/// What the clients of a run ask for.
#[derive(Clone, Debug)]
pub struct Workload {
    /// How often each kind of object, relative to the others.
    pub weights: BTreeMap<Family, u64>,
    /// How many keys of each kind there are.
    pub keys: u64,
    /// Which of them are popular.
    pub skew: Skew,
    /// Of a thousand operations, how many are reads.
    pub reads: u64,
    /// Of a thousand writes, how many have tokens.
    pub tokens: u64,
}

impl Workload {
    /// Draws one. Some runs know all kinds of objects, some only one.
    #[must_use]
    pub fn draw(dice: &mut Dice) -> Self {
        let mut weights = BTreeMap::new();
        for family in Family::ALL.into_iter().filter(|family| !Family::LATER.contains(family)) {
            if dice.chance(500) {
                weights.insert(family, dice.between(1, 10));
            }
        }
        if weights.is_empty() {
            weights.insert(*dice.pick(&Family::ALL[..Family::ALL.len() - Family::LATER.len()]), 1);
        }
        let keys = if dice.chance(900) { dice.between(1, 4) } else { dice.between(5, 40) };
        let (skew, reads) = (Skew::draw(dice), dice.between(100, 800));
        let tokens = if dice.chance(500) { dice.between(100, 1_000) } else { 0 };
        Self { weights, keys, skew, reads, tokens }
    }

    /// Draws the kinds of objects that were thought of later.
    pub(crate) fn draw_later(&mut self, dice: &mut Dice) {
        for family in Family::LATER {
            if dice.chance(200) {
                self.weights.insert(family, dice.between(1, 10));
            }
        }
        // Thought of still later: nothing that is drawn behind it may change.
        let mut apart = dice.clone();
        if apart.chance(150) {
            self.weights.insert(Family::Waits, apart.between(1, 10));
        }
    }

    /// What a client asks for next, and about which object.
    #[must_use]
    pub fn choose(&self, dice: &mut Dice) -> (Action, u64) {
        let mut at = dice.below(self.weights.values().sum());
        let mut family = Family::Register;
        for (drawn, weight) in &self.weights {
            family = *drawn;
            match at.checked_sub(*weight) {
                None => break,
                Some(left) => at = left,
            }
        }
        let action = action(dice, family, self.reads);
        (action, self.skew.key(dice, family.objects(self.keys)))
    }
}

/// Something to ask an object of this kind.
pub(crate) fn action(dice: &mut Dice, family: Family, reads: u64) -> Action {
    if Family::LATER.contains(&family) {
        return Action::Several(Step::draw(dice, family, reads));
    }
    // A queue is read when all is over.
    if family != Family::Waits && dice.chance(reads) {
        return family.read();
    }
    match family {
        Family::Register => Action::Set,
        Family::Counter => Action::Incr,
        Family::Set => Action::Add,
        Family::Accounts => {
            let from = dice.below(ACCOUNTS);
            let to = (from + dice.between(1, ACCOUNTS - 1)) % ACCOUNTS;
            Action::Transfer { from, to, amount: dice.between(1, 100).cast_signed() }
        }
        Family::Lease => {
            // Most end soon; a few outlast whatever is looked at in between.
            let ms = match dice.between(1, 1_500).cast_signed() {
                ms if ms > LEASE_SHORT_MS => ms * 30,
                ms => ms,
            };
            if dice.chance(600) { Action::Lease { ms } } else { Action::Renew { ms } }
        }
        Family::Names | Family::Sets | Family::Queues | Family::Transactions => {
            Action::Several(Step::draw(dice, family, reads))
        }
        Family::Waits if dice.chance(500) => Action::Put,
        Family::Waits => Action::Take { ms: dice.between(1, 5_000) },
        // Ears are asked, and not clients.
        Family::Channels => family.read(),
        Family::Cache => Action::Keep,
        Family::Own => Action::Tell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skew_makes_keys_popular() {
        let share = |skew: Skew| {
            let mut dice = Dice::new(3, 0);
            (0..1_000).filter(|_| skew.key(&mut dice, 4) == 0).count()
        };
        assert!((200..300).contains(&share(Skew::Uniform)));
        assert!((450..550).contains(&share(Skew::Steep)));
        assert!(share(Skew::Hot(900)) > 870);
    }

    #[test]
    fn only_what_was_drawn_is_asked_for() {
        let mut dice = Dice::new(4, 0);
        for _ in 0..50 {
            let workload = Workload::draw(&mut dice);
            for _ in 0..50 {
                let (action, key) = workload.choose(&mut dice);
                assert!(workload.weights.contains_key(&action.family()));
                assert!(key < action.family().objects(workload.keys));
            }
        }
    }
}
