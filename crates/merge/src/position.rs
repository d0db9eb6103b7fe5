//! Positions in a list: names that say by themselves where an element stands.
//!
//! The order is that of Fugue (Weidner and Kleppmann, *The Art of the Fugue*, 2023, section 4.1): a tree
//! whose nodes have left and right children, read from left to right. A new element between two others
//! becomes a right child of the left one, or a left child of the right one if that is a descendant of the
//! left one. Fugue keeps the tree, and so the nodes of what was deleted. Here a position is the whole path to
//! its node, so that a removed element leaves nothing. Two devices keep paths short:
//!
//! - **Runs.** What one replica puts side by side shares a path, and differs in the last part of it only: the
//!   count of the update that made it, negative when it was put to the left. A run has nobody else's elements
//!   in it but those that were put there later on purpose, so that two runs never interleave.
//! - **Ranks.** The first step of a path has a rank. What is pushed to the right of everything begins a run
//!   of a rank higher by one, and what is pushed to the left of everything of a rank lower by one. So queues
//!   keep positions of one step, in both directions and with any number of producers, for ever.
//!
//! A count is never used again, so no position is, even after its element was removed.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::dot::{Dot, ReplicaId};

/// Ranks beyond this are not given: there is room left to count.
const RANK_MAX: i64 = i64::MAX / 2;

/// On which side of its parent a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Side {
    Left,
    Right,
}

/// A step from a node to one of its children. Ordered as siblings are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Step {
    side: Side,
    /// Only in first steps; 0 elsewhere.
    rank: i64,
    /// The run: who began it, with which update, as which element of it.
    replica: ReplicaId,
    began: u64,
    began_as: u32,
    /// Which element of the run: the count of the update that made it, and as which element of that; both
    /// negative to the left of the one that began the run.
    made: i64,
    made_as: i64,
}

/// Where an element stands in a list. No two elements of a list ever have the same one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position(Box<[Step]>);

/// Who makes a position: an update, and how many positions it has made before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Maker {
    pub(crate) dot: Dot,
    pub(crate) ordinal: u32,
}

impl Maker {
    fn count(self) -> i64 {
        i64::try_from(self.dot.counter).unwrap_or(i64::MAX)
    }

    /// The step to the first element of a new run.
    fn begin(self, side: Side, rank: i64) -> Step {
        let Dot { replica, counter: began } = self.dot;
        let (began_as, made, made_as) = (self.ordinal, self.count(), self.ordinal.into());
        Step { side, rank, replica, began, began_as, made, made_as }
    }
}

impl Position {
    /// Before all others. No element stands there.
    pub(crate) fn least() -> Self {
        Self(Box::new([]))
    }

    /// A new position between two neighbours; `None` stands for an end of the list.
    pub(crate) fn between(left: Option<&Self>, right: Option<&Self>, maker: Maker) -> Self {
        let fits = |new: &Self| left.is_none_or(|left| left < new) && right.is_none_or(|right| new < right);
        let extended = [
            left.and_then(|left| left.extended(Side::Right, maker)),
            right.and_then(|right| right.extended(Side::Left, maker)),
        ];
        if let Some(new) = extended.into_iter().flatten().find(fits) {
            return new;
        }
        match (left, right) {
            (None, None) => Self(Box::new([maker.begin(Side::Right, 0)])),
            (Some(left), None) => match left.rank() {
                ..=RANK_MAX => Self(Box::new([maker.begin(Side::Right, left.rank() + 1)])),
                _ => left.child(Side::Right, maker),
            },
            (None, Some(right)) => match right.rank() {
                rank if rank >= -RANK_MAX => Self(Box::new([maker.begin(Side::Right, rank - 1)])),
                _ => right.child(Side::Left, maker),
            },
            (Some(left), Some(right)) if right.descends_from(left) => right.child(Side::Left, maker),
            (Some(left), Some(_)) => left.child(Side::Right, maker),
        }
    }

    /// The next position of the maker's own run, if this one is in it.
    fn extended(&self, side: Side, maker: Maker) -> Option<Self> {
        let mut steps = self.0.clone();
        let last = steps.last_mut().filter(|last| last.replica == maker.dot.replica)?;
        let (made, made_as) = (maker.count(), i64::from(maker.ordinal));
        (last.made, last.made_as) = if side == Side::Right { (made, made_as) } else { (-made, -made_as) };
        Some(Self(steps))
    }

    fn child(&self, side: Side, maker: Maker) -> Self {
        Self(self.0.iter().copied().chain([maker.begin(side, 0)]).collect())
    }

    fn rank(&self) -> i64 {
        self.0.first().map_or(0, |step| step.rank)
    }

    fn descends_from(&self, other: &Self) -> bool {
        self.0.len() > other.0.len() && self.0.starts_with(&other.0)
    }

    /// How many steps it has: those of queues have one.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.len()
    }

    /// Whether an element may stand there.
    pub(crate) fn is_valid(&self) -> bool {
        self.0.first().is_some_and(|step| step.side == Side::Right)
            && self.0[1..].iter().all(|step| step.rank == 0)
    }
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> Ordering {
        let shared = self.0.iter().zip(&other.0).find(|(own, other)| own != other);
        if let Some((own, other)) = shared {
            return own.cmp(other);
        }
        // One leads to the other: its children on the left come before it, those on the right after it.
        let after = |step: &Step| if step.side == Side::Left { Ordering::Less } else { Ordering::Greater };
        match (self.0.get(other.0.len()), other.0.get(self.0.len())) {
            (Some(step), _) => after(step),
            (_, Some(step)) => after(step).reverse(),
            (None, None) => Ordering::Equal,
        }
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Typist {
        replica: u64,
        counter: u64,
    }

    impl Typist {
        fn put(&mut self, list: &mut Vec<(Position, String)>, at: usize, text: &str) {
            self.counter += 1;
            let maker = Maker { dot: Dot::new(ReplicaId(self.replica), self.counter), ordinal: 0 };
            let left = at.checked_sub(1).map(|at| &list[at].0);
            let position = Position::between(left, list.get(at).map(|(position, _)| position), maker);
            list.insert(at, (position, text.into()));
            assert!(list.is_sorted_by(|a, b| a.0 < b.0), "{text} at {at}: {list:?}");
        }
    }

    fn merged(a: &[(Position, String)], b: &[(Position, String)]) -> String {
        let mut all = [a, b].concat();
        all.sort();
        all.dedup();
        all.into_iter().map(|(_, text)| text).collect()
    }

    impl Position {
        fn bytes(&self) -> usize {
            postcard::to_allocvec(self).unwrap().len()
        }
    }

    #[test]
    fn runs_do_not_interleave_forwards_and_backwards() {
        for backwards in [[false, false], [true, true], [true, false], [false, true]] {
            let mut base = Vec::new();
            let mut first = Typist { replica: 1, counter: 0 };
            first.put(&mut base, 0, "(");
            first.put(&mut base, 1, ")");
            let mut lists = [base.clone(), base];
            let typists =
                [(Typist { replica: 2, counter: 0 }, "abcd"), (Typist { replica: 3, counter: 0 }, "wxyz")];
            for (((mut typist, word), backwards), list) in typists.into_iter().zip(backwards).zip(&mut lists)
            {
                for (at, letter) in word.chars().enumerate() {
                    let letter = letter.to_string();
                    typist.put(list, if backwards { 1 } else { at + 1 }, &letter);
                }
            }
            let text = merged(&lists[0], &lists[1]);
            let spelled = |word: &str, backwards: bool| {
                if backwards { word.chars().rev().collect::<String>() } else { word.to_string() }
            };
            for (word, backwards) in ["abcd", "wxyz"].into_iter().zip(backwards) {
                assert!(text.contains(&spelled(word, backwards)), "{text}");
            }
        }
    }

    #[test]
    fn queues_keep_positions_of_one_step() {
        for to_the_left in [false, true] {
            let mut typists = [Typist { replica: 1, counter: 0 }, Typist { replica: 2, counter: 0 }];
            let mut list = Vec::new();
            for count in 0..10_000 {
                let at = if to_the_left { 0 } else { list.len() };
                typists[count / 3 % 2].put(&mut list, at, "x");
                if list.len() > 5 {
                    if to_the_left {
                        list.pop()
                    } else {
                        Some(list.remove(0))
                    };
                }
            }
            assert!(
                list.iter().all(|(position, _)| position.depth() == 1 && position.bytes() < 24),
                "{list:?}"
            );
        }
    }

    #[test]
    fn elements_can_be_put_anywhere() {
        let mut seed = 1u64;
        let mut next = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        let mut typists = [1, 2, 3].map(|replica| Typist { replica, counter: 0 });
        let mut list = Vec::new();
        for _ in 0..2_000 {
            let at = next(list.len() + 1);
            typists[next(3)].put(&mut list, at, "x");
            if next(3) == 0 {
                list.remove(next(list.len()));
            }
        }
    }
}
