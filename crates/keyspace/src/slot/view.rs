//! One slot among those that are kept together, to read from.

use std::ops::Range;

use super::blocks::BLOCK;
use super::{Object, Run};

/// A slot, to read from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotView<'a> {
    run: &'a Run,
    slot: usize,
}

impl Run {
    /// One of its slots.
    pub(crate) fn view(&self, slot: usize) -> SlotView<'_> {
        SlotView { run: self, slot }
    }
}

impl<'a> SlotView<'a> {
    /// How many keys it has.
    pub(crate) fn len(self) -> usize {
        self.run.keys(self.slot)
    }

    /// The positions of a block.
    pub(crate) fn block(self, block: usize) -> Range<usize> {
        block * BLOCK..self.len().min((block + 1) * BLOCK)
    }

    /// What is at a position.
    pub(crate) fn at(self, position: usize) -> Option<Object<'a>> {
        self.run.object(self.slot, position)
    }
}
