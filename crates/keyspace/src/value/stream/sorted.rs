//! What is kept in order of ids, in blocks: what is pending of a stream.
//!
//! Ids mostly come behind all others, and go from the front. Where one is, is found in logarithmic time;
//! which is at a position, by counting blocks.

use std::collections::VecDeque;

use super::id::Id;

/// A block that has more is split in two.
const BLOCK_MAX: usize = 256;
/// Two neighbours become one if they have no more together.
const JOINED_MAX: usize = 128;

/// Something that has an id.
pub(crate) trait Keyed: Copy {
    fn id(&self) -> Id;
}

impl Keyed for Id {
    fn id(&self) -> Id {
        *self
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Sorted<T> {
    /// None is empty.
    blocks: VecDeque<Vec<T>>,
    length: usize,
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self { blocks: VecDeque::new(), length: 0 }
    }
}

impl<T: Keyed> Sorted<T> {
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// The same again, block by block. `step` hears of the steps of each.
    pub(super) fn copy(&self, step: &mut dyn FnMut(usize)) -> Self {
        let copy = |block: &Vec<T>| {
            step(1 + block.len() / 4);
            block.clone()
        };
        Self { blocks: self.blocks.iter().map(copy).collect(), length: self.length }
    }

    /// The block that an id belongs to, and where it is there, or would be.
    fn find(&self, id: Id) -> (usize, Result<usize, usize>) {
        let behind = self.blocks.partition_point(|block| block[0].id() <= id);
        let number = behind.saturating_sub(1);
        let block = self.blocks.get(number).map_or(&[][..], Vec::as_slice);
        (number, block.binary_search_by_key(&id, Keyed::id))
    }

    pub(crate) fn get(&self, id: Id) -> Option<&T> {
        let (number, at) = self.find(id);
        self.blocks.get(number)?.get(at.ok()?)
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        let (number, at) = self.find(id);
        self.blocks.get_mut(number)?.get_mut(at.ok()?)
    }

    /// Puts one in its place; whether there was none with its id.
    pub(super) fn insert(&mut self, item: T) -> bool {
        let (number, at) = match self.find(item.id()) {
            (_, Ok(_)) => return false,
            (number, Err(at)) => (number, at),
        };
        self.length += 1;
        let blocks = self.blocks.len();
        match self.blocks.get_mut(number) {
            Some(block) if block.len() < BLOCK_MAX => block.insert(at, item),
            // One that is full stays so if the next ones come behind it.
            Some(block) if number + 1 == blocks && at == block.len() => self.blocks.push_back(vec![item]),
            Some(block) => {
                let mut second = block.split_off(BLOCK_MAX / 2);
                if at <= block.len() {
                    block.insert(at, item)
                } else {
                    second.insert(at - block.len(), item)
                }
                self.blocks.insert(number + 1, second);
            }
            None => self.blocks.push_back(vec![item]),
        }
        true
    }

    pub(super) fn remove(&mut self, id: Id) -> Option<T> {
        let (number, at) = self.find(id);
        let block = self.blocks.get_mut(number)?;
        let removed = block.remove(at.ok()?);
        let left = block.len();
        self.length -= 1;
        if left == 0 {
            self.blocks.remove(number);
        } else if self.blocks.get(number + 1).is_some_and(|next| left + next.len() <= JOINED_MAX) {
            let mut next = self.blocks.remove(number + 1).unwrap_or_default();
            self.blocks[number].append(&mut next);
        }
        Some(removed)
    }

    pub(crate) fn first(&self) -> Option<&T> {
        self.blocks.front()?.first()
    }

    pub(crate) fn last(&self) -> Option<&T> {
        self.blocks.back()?.last()
    }

    /// Those from an id on.
    pub(crate) fn since(&self, id: Id) -> impl Iterator<Item = &T> {
        let (number, at) = self.find(id);
        self.blocks.range(number.min(self.blocks.len())..).flatten().skip(at.unwrap_or_else(|at| at))
    }

    /// Those from a position on.
    pub(crate) fn since_position(&self, position: usize) -> impl Iterator<Item = &T> {
        let (mut number, mut left) = (0, position);
        while let Some(block) = self.blocks.get(number).filter(|block| block.len() <= left) {
            (number, left) = (number + 1, left - block.len());
        }
        self.blocks.range(number..).flatten().skip(left)
    }

    /// Drops about `count` of something that nobody uses any more; how many.
    pub(super) fn shed(&mut self, count: usize) -> usize {
        let before = self.length;
        while before - self.length < count
            && let Some(block) = self.blocks.pop_back()
        {
            self.length -= block.len();
        }
        before - self.length
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_sorted_set(steps in prop::collection::vec((0u8..5, 0u64..3_000), 0..4_000)) {
            let (mut sorted, mut model) = (Sorted::<Id>::default(), std::collections::BTreeSet::new());
            let mut newest = 3_000;
            for (step, ms) in steps {
                let id = Id { ms, seq: 7 };
                match step {
                    0 | 1 => prop_assert_eq!(sorted.insert(id), model.insert(id)),
                    2 => {
                        newest += 1;
                        sorted.insert(Id { ms: newest, seq: 0 });
                        model.insert(Id { ms: newest, seq: 0 });
                    }
                    3 => prop_assert_eq!(sorted.remove(id).is_some(), model.remove(&id)),
                    _ => {
                        let first = sorted.first().copied();
                        prop_assert_eq!(first, model.pop_first());
                        first.map(|first| sorted.remove(first));
                    }
                }
                prop_assert_eq!(sorted.len(), model.len());
                prop_assert_eq!(sorted.get(id).is_some(), model.contains(&id));
            }
            prop_assert!(sorted.since_position(0).eq(&model));
            let middle = Id { ms: 1_500, seq: 0 };
            prop_assert!(sorted.since(middle).eq(model.range(middle..)));
            let half = model.len() / 2;
            prop_assert!(sorted.since_position(half).eq(model.iter().skip(half)));
            prop_assert_eq!(sorted.last(), model.last());
            prop_assert!(sorted.blocks.iter().all(|block| !block.is_empty() && block.len() <= BLOCK_MAX));
        }
    }
}
