//! Which updates a replica has seen: a version vector.
//!
//! A replica shows an update only after everything that its maker had seen (rule O4), hence after all earlier
//! ones of the same maker. So what it shows of each maker is always a prefix, and a version vector (Parker et
//! al., 1983) says all of it. The gaps of a dotted version vector occur only in the
//! [buffer](crate::Waiting) of what has arrived too early, which knows its dots by itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dot::{Dot, ReplicaId};

/// A set of dots: of each replica the first so many, and all of those that are *folded*.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Clock {
    /// Replicas below this one that have no entry are folded: all their dots are in the set.
    floor: ReplicaId,
    counters: BTreeMap<ReplicaId, u64>,
}

impl Clock {
    /// A set without dots.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it has a dot.
    #[must_use]
    pub fn contains(&self, dot: Dot) -> bool {
        match self.counters.get(&dot.replica) {
            Some(counter) => dot.counter <= *counter,
            None => dot.counter == 0 || self.is_folded(dot.replica),
        }
    }

    /// How many updates of a replica it has, the first of them; all if it is folded.
    #[must_use]
    pub fn seen_of(&self, replica: ReplicaId) -> u64 {
        let none = if self.is_folded(replica) { u64::MAX } else { 0 };
        self.counters.get(&replica).copied().unwrap_or(none)
    }

    /// Whether a replica is over and all of it seen.
    #[must_use]
    pub fn is_folded(&self, replica: ReplicaId) -> bool {
        replica < self.floor && !self.counters.contains_key(&replica)
    }

    /// Adds a dot, and all before it of the same replica.
    pub fn add(&mut self, dot: Dot) {
        if !self.is_folded(dot.replica) {
            let counter = self.counters.entry(dot.replica).or_default();
            *counter = dot.counter.max(*counter);
        }
    }

    /// Whether it has every dot of another one, as far as that one names them one by one. Who folded a
    /// replica had seen the update that said so, and that one is named.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.counters.iter().all(|(replica, counter)| self.contains(Dot::new(*replica, *counter)))
    }

    /// How many updates another one has that this one has not, as far as that one names them one by one: how
    /// far a replica is behind.
    #[must_use]
    pub fn behind(&self, other: &Self) -> u64 {
        let missing = other.iter().map(|(replica, counter)| counter.saturating_sub(self.seen_of(replica)));
        missing.fold(0, u64::saturating_add)
    }

    /// Adds all dots of another one.
    pub fn merge(&mut self, other: &Self) {
        let mut merged = BTreeMap::new();
        for (replica, counter) in self.counters.iter().chain(&other.counters) {
            if !self.is_folded(*replica) && !other.is_folded(*replica) {
                let most = merged.entry(*replica).or_default();
                *most = (*counter).max(*most);
            }
        }
        self.floor = self.floor.max(other.floor);
        self.counters = merged;
    }

    /// The replicas below `floor` are over, but for those that are `living`, and all their updates have been
    /// seen: they need no entry any more (rule O8). Nothing is said of those above, even where more was
    /// folded before. What is folded stays so.
    pub fn fold(&mut self, floor: ReplicaId, living: &[ReplicaId]) {
        for replica in living {
            if !self.is_folded(*replica) {
                self.counters.entry(*replica).or_default();
            }
        }
        self.counters.retain(|replica, _| *replica >= floor || living.contains(replica));
        self.floor = self.floor.max(floor);
    }

    /// The replicas that have an entry, and how many updates of each are in the set.
    pub fn iter(&self) -> impl Iterator<Item = (ReplicaId, u64)> {
        self.counters.iter().map(|(replica, counter)| (*replica, *counter))
    }

    /// The lowest replica that is not known to be over.
    #[must_use]
    pub fn floor(&self) -> ReplicaId {
        self.floor
    }

    /// How many entries it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.counters.len()
    }

    /// Whether it has no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(u64, u64)]) -> Clock {
        let mut clock = Clock::new();
        pairs.iter().for_each(|(replica, counter)| clock.add(Dot::new(ReplicaId(*replica), *counter)));
        clock
    }

    #[test]
    fn a_merge_has_the_dots_of_both() {
        let (mut a, b) = (of(&[(1, 3), (2, 1)]), of(&[(1, 2), (3, 5)]));
        assert!(!a.covers(&b) && !b.covers(&a));
        assert_eq!((a.behind(&b), b.behind(&a), a.behind(&a)), (5, 2, 0));
        a.merge(&b);
        assert_eq!(a, of(&[(1, 3), (2, 1), (3, 5)]));
        assert!(
            a.covers(&b) && a.contains(Dot::new(ReplicaId(3), 5)) && !a.contains(Dot::new(ReplicaId(3), 6))
        );
    }

    #[test]
    fn what_is_folded_stays_seen_and_what_is_new_does_not_become_so() {
        let mut clock = of(&[(1, 3), (2, 7), (4, 1)]);
        clock.fold(ReplicaId(4), &[ReplicaId(3), ReplicaId(4)]);
        assert_eq!(clock.len(), 2, "the living below the floor have entries, the others none");
        assert!(clock.contains(Dot::new(ReplicaId(1), 3)) && clock.contains(Dot::new(ReplicaId(2), 7)));
        assert!(!clock.contains(Dot::new(ReplicaId(3), 1)), "it lives, and has not been heard of");
        assert!(!clock.contains(Dot::new(ReplicaId(5), 1)), "it comes later");
        let mut behind = of(&[(1, 2), (4, 2)]);
        behind.merge(&clock);
        assert!(behind.is_folded(ReplicaId(1)) && behind.is_folded(ReplicaId(2)));
        assert_eq!(behind.seen_of(ReplicaId(4)), 2);
        clock.merge(&of(&[(1, 9)]));
        assert_eq!(clock.len(), 2, "an old clock brings no entry back");
    }

    /// Two replicas fold without hearing of each other. The later one knows of less, and must not take those
    /// for over of whom it says nothing.
    #[test]
    fn two_folds_come_to_the_same_in_any_order() {
        let folds = [(2, vec![]), (4, vec![2]), (6, vec![2, 5])];
        let fold = |order: &[usize]| {
            let mut clock = of(&[(1, 3), (2, 7), (3, 1), (4, 2), (6, 1)]);
            for at in order {
                let (floor, living) = &folds[*at];
                let living: Vec<ReplicaId> = living.iter().copied().map(ReplicaId).collect();
                clock.fold(ReplicaId(*floor), &living);
            }
            clock
        };
        let expected = fold(&[0, 1, 2]);
        assert_eq!(expected.iter().map(|(replica, _)| replica.0).collect::<Vec<_>>(), [2, 5, 6]);
        for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            assert_eq!(fold(&order), expected, "{order:?}");
        }
    }
}
