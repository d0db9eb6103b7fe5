//! Sets: members come behind all others, and the last one takes the place of one that is removed.

use super::{Edit, STEP_COST};
use crate::seed::Seed;
use crate::value::Set;

/// What takes the changes of a set back.
#[derive(Debug, Default)]
pub(crate) struct SetUndo {
    /// The latest last.
    steps: Vec<Step>,
    bytes: u64,
}

#[derive(Debug)]
enum Step {
    /// So many members are new: the last ones.
    Added(usize),
    /// A member was there.
    Removed { position: usize, member: Box<[u8]> },
}

impl SetUndo {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn undo(self, set: &mut Set, seed: Seed, step: &mut dyn FnMut(usize)) {
        for change in self.steps.into_iter().rev() {
            match change {
                Step::Added(count) => {
                    for _ in 0..count {
                        step(1);
                        set.remove_at(set.len() - 1);
                    }
                }
                Step::Removed { position, member } => {
                    step(1);
                    set.insert(seed, &member);
                    set.swap_with_last(position);
                }
            }
        }
    }
}

impl Edit<'_, Set> {
    /// See [`Set::expect`].
    pub(crate) fn expect(&mut self, members: usize, bytes: usize) {
        self.value.expect(members, bytes);
    }

    /// Adds a member; whether it is new. A set that grows out of its short form needs a seed.
    pub(crate) fn insert(&mut self, seed: Seed, member: &[u8]) -> bool {
        let is_new = self.value.insert(seed, member);
        if let (Some(undo), true) = (&mut self.undo, is_new) {
            if let Some(Step::Added(count)) = undo.steps.last_mut() {
                *count += 1;
            } else {
                undo.steps.push(Step::Added(1));
                undo.bytes += STEP_COST;
            }
        }
        is_new
    }

    /// Removes a member; whether it was there.
    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        self.value.position(member).is_some_and(|position| self.remove_at(position).is_some())
    }

    /// Removes the member at a position.
    pub(crate) fn remove_at(&mut self, position: usize) -> Option<Box<[u8]>> {
        let member = self.value.remove_at(position)?;
        if let Some(undo) = &mut self.undo {
            undo.steps.push(Step::Removed { position, member: member.clone() });
            undo.bytes += STEP_COST + member.len() as u64;
        }
        Some(member)
    }
}
