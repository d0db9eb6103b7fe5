//! A vector in blocks, which grows and shrinks in small steps.
//!
//! A vector that doubles copies itself as a whole, and keeps a third of its memory for what may come. Here
//! the longest step is to copy one block, and the room is at most an eighth of a block.

use crate::steps::copying;

/// How many elements a block has. All but the last have as many.
pub(crate) const BLOCK: usize = 1024;
/// The least that a block grows by.
const GROWTH_MIN: usize = 4;

/// The vector.
#[derive(Clone, Debug)]
pub(crate) struct Blocks<T> {
    /// Most vectors have only this one, and no list of blocks to go through.
    first: Vec<T>,
    more: Vec<Vec<T>>,
}

impl<T> Default for Blocks<T> {
    fn default() -> Self {
        Self { first: Vec::new(), more: Vec::new() }
    }
}

impl<T: Clone> Blocks<T> {
    /// The same again, block by block. `step` hears of the steps of each.
    pub(crate) fn copy(&self, step: &mut dyn FnMut(usize)) -> Self {
        let copy = |block: &Vec<T>| {
            step(1 + copying(size_of_val(block.as_slice())));
            block.clone()
        };
        Self { first: self.first.clone(), more: self.more.iter().map(copy).collect() }
    }
}

impl<T> Blocks<T> {
    pub(crate) fn len(&self) -> usize {
        match self.more.last() {
            None => self.first.len(),
            Some(last) => self.more.len() * BLOCK + last.len(),
        }
    }

    /// The elements of one block, which must exist, unless it is the first.
    pub(crate) fn block(&self, number: usize) -> &[T] {
        if number == 0 { &self.first } else { &self.more[number - 1] }
    }

    fn block_mut(&mut self, number: usize) -> Option<&mut Vec<T>> {
        if number == 0 { Some(&mut self.first) } else { self.more.get_mut(number - 1) }
    }

    pub(crate) fn get(&self, at: usize) -> Option<&T> {
        if at < BLOCK { self.first.get(at) } else { self.more.get(at / BLOCK - 1)?.get(at % BLOCK) }
    }

    pub(crate) fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.block_mut(at / BLOCK)?.get_mut(at % BLOCK)
    }

    /// Adds an element at the end.
    pub(crate) fn push(&mut self, element: T) {
        let number = self.len() / BLOCK;
        if number > self.more.len() {
            self.more.push(Vec::new());
        }
        let block = if number == 0 { &mut self.first } else { &mut self.more[number - 1] };
        grow(block);
        block.push(element);
    }

    /// Removes the last element.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let block = self.more.last_mut().unwrap_or(&mut self.first);
        let element = block.pop()?;
        give_back(block);
        if self.more.last().is_some_and(Vec::is_empty) {
            self.more.pop();
        }
        Some(element)
    }

    /// Removes an element, which must exist; the last one takes its place.
    pub(crate) fn swap_remove(&mut self, at: usize) -> Option<T> {
        let last = self.pop()?;
        match self.get_mut(at) {
            Some(place) => Some(std::mem::replace(place, last)),
            None => Some(last),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(self.more.iter().flatten())
    }
}

/// Makes room for one more, and not much more than that.
pub(crate) fn grow<T>(block: &mut Vec<T>) {
    if block.len() == block.capacity() {
        let growth = (block.len() / 8).max(GROWTH_MIN);
        block.reserve_exact(growth);
    }
}

/// Lets memory go when a block has become much smaller.
pub(crate) fn give_back<T>(block: &mut Vec<T>) {
    if block.capacity() > 4 * GROWTH_MIN && block.len() < block.capacity() / 2 {
        block.shrink_to(block.len() + block.len() / 4);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_does_what_a_vector_does(steps in prop::collection::vec((0u8..10, any::<u16>()), 0..60)) {
            let (mut blocks, mut model) = (Blocks::default(), Vec::new());
            for (step, number) in steps {
                let at = usize::from(number) % model.len().max(1);
                match step {
                    0..5 => for more in 0..number % 700 {
                        blocks.push(more);
                        model.push(more);
                    },
                    5 | 6 => for _ in 0..number % 500 {
                        prop_assert_eq!(blocks.pop(), model.pop());
                    },
                    7 => if let Some(element) = blocks.get_mut(at) {
                        *element = number;
                        model[at] = number;
                    },
                    _ if model.is_empty() => prop_assert_eq!(blocks.swap_remove(at), None),
                    _ => prop_assert_eq!(blocks.swap_remove(at), Some(model.swap_remove(at))),
                }
                prop_assert_eq!(blocks.len(), model.len());
                prop_assert_eq!(blocks.get(at), model.get(at));
                prop_assert_eq!(blocks.get(model.len()), None);
                let first = &model[..model.len().min(BLOCK)];
                prop_assert_eq!(blocks.block(0), first);
                let room: usize = std::iter::once(&blocks.first).chain(&blocks.more).map(Vec::capacity).sum();
                prop_assert!(room <= model.len() * 2 + 16 + 2 * BLOCK / 8, "{} for {}", room, model.len());
            }
            prop_assert!(blocks.iter().eq(&model));
        }
    }
}
