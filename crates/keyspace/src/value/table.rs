//! A hash table whose elements have positions, and that never grows, shrinks or goes all at once.
//!
//! Elements lie in blocks, in order of insertion; a removed one is replaced by the last. The positions are
//! part of the state: scans walk over them, and random choices pick them. Where an element lies is found
//! through *pages*, small hash tables from hash to position. A page that becomes full is split in two by one
//! more bit of the hash, and a directory says which page a hash belongs to (Fagin, Nievergelt, Pippenger,
//! Strong: "Extendible hashing", TODS 1979). So the longest step of an insertion is to split one page,
//! however many elements there are: one table of ten million would be rehashed at once, and hold up everybody
//! for a second.
//!
//! A table of a few elements has no pages: it is searched from end to end.

use std::borrow::Borrow;
use std::hash::BuildHasher;

use hashbrown::HashTable;

use crate::seed::Seed;

/// How many elements a block has. All but the last have as many.
const BLOCK: usize = 1024;
/// A page of more elements is split.
const PAGE_MAX: usize = 1792;
/// So many elements are found without pages.
const SEARCHED_MAX: usize = 12;
/// No directory has more than 2 to this: hashes that agree in so many bits stay together.
const DEPTH_MAX: u32 = 24;
/// Which bits of a hash the directory uses: pages use the lowest and the highest.
const DIRECTORY_SHIFT: u32 = 28;

#[derive(Clone, Debug)]
struct Slot<K, V> {
    hash: u64,
    key: K,
    value: V,
}

/// Positions of elements whose hashes agree in `depth` bits.
#[derive(Clone, Debug, Default)]
struct Page {
    depth: u32,
    positions: HashTable<u32>,
}

/// The table. `K` is the bytes of a key.
#[derive(Clone, Debug)]
pub(crate) struct Table<K, V> {
    seed: Seed,
    blocks: Vec<Vec<Slot<K, V>>>,
    length: usize,
    /// Which page a hash belongs to, by as many bits as there are numbers; empty while the table has no
    /// pages.
    directory: Vec<u32>,
    pages: Vec<Page>,
}

/// The bits by which the directory tells pages apart.
fn directory_bits(hash: u64) -> usize {
    (hash >> DIRECTORY_SHIFT) as usize
}

/// The element at a position that exists.
fn slot<K, V>(blocks: &[Vec<Slot<K, V>>], position: usize) -> &Slot<K, V> {
    &blocks[position / BLOCK][position % BLOCK]
}

impl<K: Borrow<[u8]>, V> Table<K, V> {
    pub(crate) fn new(seed: Seed) -> Self {
        Self { seed, blocks: Vec::new(), length: 0, directory: Vec::new(), pages: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    fn hash(&self, key: &[u8]) -> u64 {
        self.seed.hash_one(key)
    }

    fn page_of(&self, hash: u64) -> usize {
        self.directory[directory_bits(hash) & (self.directory.len() - 1)] as usize
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<usize> {
        let is_it = |slot: &Slot<K, V>| slot.hash == hash && slot.key.borrow() == key;
        if self.directory.is_empty() {
            return self.blocks.first()?.iter().position(is_it);
        }
        let positions = &self.pages[self.page_of(hash)].positions;
        positions
            .find(hash, |position| is_it(slot(&self.blocks, *position as usize)))
            .map(|found| *found as usize)
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
        let position = u32::try_from(self.length).expect("a collection of more than 2^32 elements");
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
        if !self.directory.is_empty() {
            self.enter(hash, position);
        } else if self.length > SEARCHED_MAX {
            self.make_pages();
        }
        true
    }

    /// The first page, of all that there is.
    fn make_pages(&mut self) {
        self.directory = vec![0];
        self.pages = vec![Page::default()];
        for position in 0..self.length {
            self.enter(slot(&self.blocks, position).hash, position as u32);
        }
    }

    /// Puts a position into its page.
    fn enter(&mut self, hash: u64, position: u32) {
        let mut page = self.page_of(hash);
        while self.pages[page].positions.len() >= PAGE_MAX && self.pages[page].depth < DEPTH_MAX {
            self.split(page);
            page = self.page_of(hash);
        }
        let blocks = &self.blocks;
        let rehash = |position: &u32| slot(blocks, *position as usize).hash;
        self.pages[page].positions.insert_unique(hash, position, rehash);
    }

    /// Splits a page by the next bit of its hashes.
    fn split(&mut self, page: usize) {
        let bit = 1 << self.pages[page].depth;
        if bit == self.directory.len() {
            self.directory.extend_from_within(..);
        }
        let depth = self.pages[page].depth + 1;
        let other = self.pages.len() as u32;
        let (mut stay, mut go) = (HashTable::with_capacity(PAGE_MAX), HashTable::with_capacity(PAGE_MAX));
        let blocks = &self.blocks;
        let rehash = |position: &u32| slot(blocks, *position as usize).hash;
        for position in std::mem::take(&mut self.pages[page].positions) {
            let hash = rehash(&position);
            let half = if directory_bits(hash) & bit == 0 { &mut stay } else { &mut go };
            half.insert_unique(hash, position, rehash);
        }
        self.pages[page] = Page { depth, positions: stay };
        self.pages.push(Page { depth, positions: go });
        for (bits, entry) in self.directory.iter_mut().enumerate() {
            if *entry as usize == page && bits & bit != 0 {
                *entry = other;
            }
        }
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
        self.leave(slot(&self.blocks, position).hash, position as u32);
        if position != last && !self.directory.is_empty() {
            let hash = slot(&self.blocks, last).hash;
            let page = self.page_of(hash);
            if let Some(found) = self.pages[page].positions.find_mut(hash, |it| *it as usize == last) {
                *found = position as u32;
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

    /// Takes a position out of its page, which gives memory back when it has become much smaller.
    fn leave(&mut self, hash: u64, position: u32) {
        if self.directory.is_empty() {
            return;
        }
        let page = self.page_of(hash);
        let positions = &mut self.pages[page].positions;
        if let Ok(found) = positions.find_entry(hash, |it| *it == position) {
            found.remove();
        }
        let blocks = &self.blocks;
        if positions.capacity() > 64 && positions.len() < positions.capacity() / 4 {
            positions.shrink_to(positions.len() * 2, |position| slot(blocks, *position as usize).hash);
        }
    }

    /// Lets memory go that is not needed any more.
    fn give_back(&mut self) {
        if self.length <= SEARCHED_MAX / 2 {
            (self.directory, self.pages) = (Vec::new(), Vec::new());
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
        (self.directory, self.pages) = (Vec::new(), Vec::new());
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
        let entered: usize = table.pages.iter().map(|page| page.positions.len()).sum();
        assert!(table.directory.is_empty() && entered == 0 || entered == table.len());
        assert!(table.pages.iter().all(|page| page.positions.len() <= PAGE_MAX), "no page is too large");
    }

    #[test]
    fn it_grows_and_shrinks_page_by_page() {
        let mut table = fresh();
        for number in 0..50_000 {
            assert!(table.insert_new(key(number), number));
            assert!(!table.insert_new(key(number), 0));
        }
        check(&table);
        assert!(table.pages.len() > 20);
        for number in 0..49_990 {
            assert_eq!(table.remove(&key(number)), Some((key(number), number)));
        }
        check(&table);
        let kept: usize = table.pages.iter().map(|page| page.positions.capacity()).sum();
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
        assert!(table.is_empty() && table.blocks.is_empty());
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
