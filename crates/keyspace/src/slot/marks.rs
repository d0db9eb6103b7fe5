//! When the keys of a run were used, by their slots and positions. No part of the state: it is there only
//! where somebody wants to know, and reads write to it.

use std::cell::Cell;

use super::blocks::Blocks;
use crate::eviction::Mark;

/// The marks of a run.
#[derive(Debug)]
pub(crate) struct Marks {
    slots: Vec<Blocks<Cell<Mark>>>,
}

impl Marks {
    /// Of slots with so many keys, of whose use nothing is known.
    pub(crate) fn unknown(keys: impl Iterator<Item = usize>) -> Self {
        let slot = |keys: usize| {
            let mut marks = Blocks::default();
            (0..keys).for_each(|_| marks.push(Cell::default()));
            marks
        };
        Self { slots: keys.map(slot).collect() }
    }

    /// The mark of the key at a position.
    pub(crate) fn get(&self, slot: usize, position: usize) -> Option<&Cell<Mark>> {
        self.slots[slot].get(position)
    }

    /// A key comes, behind the others.
    pub(crate) fn push(&mut self, slot: usize, mark: Mark) {
        self.slots[slot].push(Cell::new(mark));
    }

    /// A key goes, and the last one takes its position.
    pub(crate) fn swap_remove(&mut self, slot: usize, position: usize) {
        self.slots[slot].swap_remove(position);
    }
}
