//! A hash table whose elements have positions, and that never grows, shrinks or goes all at once.
//!
//! Elements lie in blocks, in order of insertion; a removed one is replaced by the last. The positions are
//! part of the state: scans walk over them, and random choices pick them. Where an element lies is found
//! through an [`Index`]. A table of a few elements has none: it is searched from end to end.

use std::borrow::Borrow;
use std::hash::BuildHasher;

use crate::index::Index;
use crate::seed::Seed;

/// How many elements a block has. All but the last have as many.
const BLOCK: usize = 1024;
/// So many elements are found without an index.
const SEARCHED_MAX: usize = 12;

#[derive(Clone, Debug)]
struct Slot<K, V> {
    hash: u64,
    key: K,
    value: V,
}

/// The table. `K` is the bytes of a key.
#[derive(Clone, Debug)]
pub(crate) struct Table<K, V> {
    seed: Seed,
    blocks: Vec<Vec<Slot<K, V>>>,
    length: usize,
    /// There is none while there are few elements.
    index: Option<Box<Index>>,
}

/// The element at a position that exists.
fn slot<K, V>(blocks: &[Vec<Slot<K, V>>], position: usize) -> &Slot<K, V> {
    &blocks[position / BLOCK][position % BLOCK]
}

impl<K: Borrow<[u8]>, V> Table<K, V> {
    pub(crate) fn new(seed: Seed) -> Self {
        Self { seed, blocks: Vec::new(), length: 0, index: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    fn hash(&self, key: &[u8]) -> u64 {
        self.seed.hash_one(key)
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<usize> {
        let is_it = |slot: &Slot<K, V>| slot.hash == hash && slot.key.borrow() == key;
        match &self.index {
            None => self.blocks.first()?.iter().position(is_it),
            Some(index) => index.find(hash, |position| is_it(slot(&self.blocks, position))),
        }
    }

    /// The position of a key.
    pub(crate) fn position(&self, key: &[u8]) -> Option<usize> {
        if self.length == 0 { None } else { self.find(self.hash(key), key) }
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.position(key).is_some()
    }

    /// The element at a position.
    pub(crate) fn at(&self, position: usize) -> Option<(&K, &V)> {
        let slot = self.blocks.get(position / BLOCK)?.get(position % BLOCK)?;
        Some((&slot.key, &slot.value))
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<(&K, &V)> {
        self.position(key).and_then(|position| self.at(position))
    }

    pub(crate) fn get_mut(&mut self, key: &[u8]) -> Option<(&K, &mut V)> {
        let position = self.position(key)?;
        let slot = &mut self.blocks[position / BLOCK][position % BLOCK];
        Some((&slot.key, &mut slot.value))
    }

    /// Adds a key at the end, unless it is there; whether it was not.
    pub(crate) fn insert_new(&mut self, key: K, value: V) -> bool {
        let hash = self.hash(key.borrow());
        if self.find(hash, key.borrow()).is_some() {
            return false;
        }
        let position = self.length;
        match self.blocks.last_mut() {
            Some(last) if last.len() < BLOCK => last.push(Slot { hash, key, value }),
            // The first block grows from small; the others are needed as a whole.
            last => {
                let mut block = Vec::with_capacity(if last.is_some() { BLOCK } else { 1 });
                block.push(Slot { hash, key, value });
                self.blocks.push(block);
            }
        }
        self.length += 1;
        let blocks = &self.blocks;
        let rehash = |position: usize| slot(blocks, position).hash;
        match &mut self.index {
            Some(index) => index.enter(hash, position, rehash),
            None if self.length > SEARCHED_MAX => {
                let index = self.index.insert(Box::default());
                (0..self.length).for_each(|position| index.enter(rehash(position), position, rehash));
            }
            None => {}
        }
        true
    }

    /// Removes a key; the last element takes its position.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<(K, V)> {
        let position = self.position(key)?;
        self.remove_at(position)
    }

    /// Removes what is at a position; the last element takes it.
    pub(crate) fn remove_at(&mut self, position: usize) -> Option<(K, V)> {
        if position >= self.length {
            return None;
        }
        let last = self.length - 1;
        let blocks = &self.blocks;
        let rehash = |position: usize| slot(blocks, position).hash;
        if let Some(index) = &mut self.index {
            index.leave(rehash(position), position, rehash);
            if position != last {
                index.moved(rehash(last), last, position);
            }
        }
        let block = self.blocks.last_mut()?;
        let mut removed = block.pop()?;
        self.length = last;
        if block.is_empty() {
            self.blocks.pop();
        }
        if position != last {
            std::mem::swap(&mut removed, &mut self.blocks[position / BLOCK][position % BLOCK]);
        }
        self.give_back();
        Some((removed.key, removed.value))
    }

    /// Lets memory go that is not needed any more.
    fn give_back(&mut self) {
        if self.length <= SEARCHED_MAX / 2 {
            self.index = None;
        }
        if let [block] = self.blocks.as_mut_slice()
            && block.capacity() > 8
            && block.len() < block.capacity() / 4
        {
            block.shrink_to(block.len() * 2);
        }
    }

    /// Drops up to `count` elements at the end, of a table that nobody uses any more; how many.
    pub(crate) fn shed(&mut self, count: usize) -> usize {
        self.index = None;
        let before = self.length;
        while self.length > 0 && before - self.length < count {
            let Some(block) = self.blocks.last_mut() else { break };
            let left = block.len().saturating_sub(count - (before - self.length));
            self.length -= block.len() - left;
            block.truncate(left);
            if left == 0 {
                self.blocks.pop();
            }
        }
        before - self.length
    }

    /// The elements by their positions.
    pub(crate) fn iter(&self) -> Iter<'_, K, V> {
        Iter { slots: self.blocks.iter().flatten(), left: self.length }
    }
}

/// The elements of a table by their positions.
pub(crate) struct Iter<'a, K, V> {
    slots: std::iter::Flatten<std::slice::Iter<'a, Vec<Slot<K, V>>>>,
    left: usize,
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        let slot = self.slots.next()?;
        self.left -= 1;
        Some((&slot.key, &slot.value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<K, V> ExactSizeIterator for Iter<'_, K, V> {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Key = Box<[u8]>;

    fn fresh() -> Table<Key, u64> {
        Table::new(Seed([1, 2]))
    }

    fn key(number: u64) -> Key {
        number.to_string().into_bytes().into()
    }

    /// Everything that a table must be at any time.
    fn check(table: &Table<Key, u64>) {
        assert_eq!(table.iter().len(), table.len());
        assert_eq!(table.iter().count(), table.len());
        for (position, (key, _)) in table.iter().enumerate() {
            assert_eq!(table.position(key), Some(position));
        }
    }

    #[test]
    fn it_grows_and_shrinks_page_by_page() {
        let mut table = fresh();
        for number in 0..50_000 {
            assert!(table.insert_new(key(number), number));
            assert!(!table.insert_new(key(number), 0));
        }
        check(&table);
        assert!(table.index.as_ref().is_some_and(|index| index.room().0 > 20));
        for number in 0..49_990 {
            assert_eq!(table.remove(&key(number)), Some((key(number), number)));
        }
        check(&table);
        let kept = table.index.as_ref().map_or(0, |index| index.room().1);
        assert!(kept < 10_000, "the memory of {kept} positions is kept for ten");
        assert_eq!(table.blocks.len(), 1);
        assert!(table.blocks[0].capacity() < 100);
    }

    #[test]
    fn what_nobody_uses_is_shed_bit_by_bit() {
        let mut table = fresh();
        (0..5_000).for_each(|number| assert!(table.insert_new(key(number), number)));
        assert_eq!(table.shed(1_500), 1_500);
        assert_eq!(table.len(), 3_500);
        assert_eq!(table.shed(10_000), 3_500);
        assert!(table.len() == 0 && table.blocks.is_empty());
    }

    proptest! {
        /// The same as a vector that is searched from end to end.
        #[test]
        fn it_does_what_a_vector_does(steps in prop::collection::vec((0u8..4, 0u64..60), 0..400)) {
            let (mut table, mut model) = (fresh(), Vec::<(Key, u64)>::new());
            for (step, number) in steps {
                let at = model.iter().position(|(name, _)| *name == key(number));
                match step {
                    0 | 1 => {
                        prop_assert_eq!(table.insert_new(key(number), number), at.is_none());
                        if at.is_none() {
                            model.push((key(number), number));
                        }
                    }
                    2 => prop_assert_eq!(table.remove(&key(number)), at.map(|at| model.swap_remove(at))),
                    _ => {
                        let at = number as usize;
                        let expected = (at < model.len()).then(|| model.swap_remove(at));
                        prop_assert_eq!(table.remove_at(at), expected);
                    }
                }
                check(&table);
                let elements = table.iter().map(|(name, value)| (name.clone(), *value));
                prop_assert!(elements.eq(model.iter().cloned()));
            }
        }
    }
}
