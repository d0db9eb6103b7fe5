//! Sorted sets: members come behind all others, and the last one takes the place of one that is removed. The
//! short form knows no positions but ranks: one that becomes short is kept in its long form.

use std::ops::Range;

use super::{Edit, STEP_COST};
use crate::seed::Seed;
use crate::value::Zset;
use crate::value::zset::Many;

/// What takes the changes of a sorted set back.
#[derive(Debug, Default)]
pub(crate) struct ZsetUndo {
    /// The latest last.
    steps: Vec<Step>,
    bytes: u64,
}

#[derive(Debug)]
enum Step {
    /// So many members of the long form are new: the last ones.
    Added(usize),
    /// A member of the short form is new.
    AddedToFew(Box<[u8]>),
    /// A member had another score.
    Scored { member: Box<[u8]>, before: f64 },
    /// A member was there.
    Removed { position: usize, member: Box<[u8]>, score: f64 },
    /// It had the long form.
    BecameFew(Box<Many>),
}

impl ZsetUndo {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn push(&mut self, step: Step, bytes: u64) {
        self.steps.push(step);
        self.bytes += STEP_COST + bytes;
    }

    pub(super) fn undo(self, zset: &mut Zset, seed: Seed, step: &mut dyn FnMut(usize)) {
        let remove = |zset: &mut Zset, member: &[u8]| {
            let (position, _) = zset.find(member).expect("a member that was added is there");
            zset.remove_at(position);
        };
        for change in self.steps.into_iter().rev() {
            step(2);
            match change {
                Step::Added(count) => {
                    for _ in 0..count {
                        step(2);
                        zset.remove_at(zset.len() - 1);
                    }
                }
                Step::AddedToFew(member) => remove(zset, &member),
                Step::Scored { member, before } => drop(zset.insert(seed, &member, before)),
                Step::Removed { position, member, score } => {
                    zset.insert(seed, &member, score);
                    zset.swap_with_last(position);
                }
                Step::BecameFew(many) => *zset = Zset::Many(many),
            }
        }
    }
}

impl Edit<'_, Zset> {
    /// See [`Zset::expect`].
    pub(crate) fn expect(&mut self, members: usize, bytes: usize) {
        self.value.expect(members, bytes);
    }

    /// See [`Zset::insert`].
    pub(crate) fn insert(&mut self, seed: Seed, member: &[u8], score: f64) -> Option<f64> {
        let before = self.value.insert(seed, member, score);
        let Some(undo) = &mut self.undo else { return before };
        let is_long = matches!(self.value, Zset::Many(_));
        match (before, undo.steps.last_mut()) {
            (None, Some(Step::Added(count))) if is_long => *count += 1,
            (None, _) if is_long => undo.push(Step::Added(1), 0),
            (None, _) => undo.push(Step::AddedToFew(member.into()), member.len() as u64),
            // Somebody counts: what it was before is noted already.
            (Some(_), Some(Step::Scored { member: last, .. })) if **last == *member => {}
            (Some(before), _) => {
                undo.push(Step::Scored { member: member.into(), before }, member.len() as u64);
            }
        }
        before
    }

    /// Removes a member; the score that it had.
    pub(crate) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let (position, score) = self.value.find(member)?;
        let long = self.value.remove_at(position);
        if let Some(undo) = &mut self.undo {
            undo.push(Step::Removed { position, member: member.into(), score }, member.len() as u64);
            if let Some(long) = long {
                let bytes = long.memory();
                undo.push(Step::BecameFew(long), bytes);
            }
        }
        Some(score)
    }

    /// Removes the members with these ranks; how many. `step` is called twice for each of them.
    pub(crate) fn remove_range(&mut self, ranks: Range<usize>, mut step: impl FnMut()) -> usize {
        let own = |(member, _): (&[u8], f64)| {
            step();
            member.into()
        };
        let members: Vec<Box<[u8]>> = self.value.range(ranks).map(own).collect();
        for member in &members {
            step();
            self.remove(member);
        }
        members.len()
    }
}
