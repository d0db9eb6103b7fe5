//! From hashes to positions, for what has many elements, and never grows, shrinks or goes all at once.
//!
//! Positions are found through *pages*, small hash tables. A page that becomes full is split in two by one
//! more bit of the hash, and a directory says which page a hash belongs to (Fagin, Nievergelt, Pippenger,
//! Strong: "Extendible hashing", TODS 1979). So the longest step of an insertion is to split one page,
//! however many elements there are: one table of ten million would be rehashed at once, and hold up everybody
//! for a second.
//!
//! The index holds positions alone: who uses it says how the hash of an element is found, and which one is
//! meant.

use hashbrown::HashTable;

use crate::steps::copying;

/// A page of more positions is split.
const PAGE_MAX: usize = 1792;
/// No directory has more than 2 to this: hashes that agree in so many bits stay together.
const DEPTH_MAX: u32 = 24;
/// Which bits of a hash the directory uses: pages use the lowest and the highest.
const DIRECTORY_SHIFT: u32 = 28;

/// Positions of elements whose hashes agree in `depth` bits.
#[derive(Clone, Debug, Default)]
struct Page {
    depth: u32,
    positions: HashTable<u32>,
}

/// The index.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    /// Which page a hash belongs to, by as many bits as there are numbers.
    directory: Vec<u32>,
    pages: Vec<Page>,
}

/// The bits by which the directory tells pages apart.
fn directory_bits(hash: u64) -> usize {
    (hash >> DIRECTORY_SHIFT) as usize
}

impl Default for Index {
    fn default() -> Self {
        Self { directory: vec![0], pages: vec![Page::default()] }
    }
}

impl Index {
    /// The same again, page by page. `step` hears of the steps of each.
    pub(crate) fn copy(&self, step: &mut dyn FnMut(usize)) -> Self {
        let copy = |page: &Page| {
            step(1 + copying(size_of::<u32>() * page.positions.len()));
            page.clone()
        };
        Self { directory: self.directory.clone(), pages: self.pages.iter().map(copy).collect() }
    }

    fn page_of(&self, hash: u64) -> usize {
        self.directory[directory_bits(hash) & (self.directory.len() - 1)] as usize
    }

    /// The position of the element with this hash that `is_it` knows.
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(usize) -> bool) -> Option<usize> {
        let positions = &self.pages[self.page_of(hash)].positions;
        positions.find(hash, |position| is_it(*position as usize)).map(|found| *found as usize)
    }

    /// Adds an element. `rehash` gives the hash of any element, by its position.
    pub(crate) fn enter(&mut self, hash: u64, position: usize, rehash: impl Fn(usize) -> u64) {
        let position = u32::try_from(position).expect("a collection of more than 2^32 elements");
        let mut page = self.page_of(hash);
        while self.pages[page].positions.len() >= PAGE_MAX && self.pages[page].depth < DEPTH_MAX {
            self.split(page, &rehash);
            page = self.page_of(hash);
        }
        self.pages[page].positions.insert_unique(hash, position, |position| rehash(*position as usize));
    }

    /// Splits a page by the next bit of its hashes.
    fn split(&mut self, page: usize, rehash: impl Fn(usize) -> u64) {
        let bit = 1 << self.pages[page].depth;
        if bit == self.directory.len() {
            self.directory.extend_from_within(..);
        }
        let depth = self.pages[page].depth + 1;
        let other = self.pages.len() as u32;
        let (mut stay, mut go) = (HashTable::with_capacity(PAGE_MAX), HashTable::with_capacity(PAGE_MAX));
        let rehash = |position: &u32| rehash(*position as usize);
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

    /// An element has another position.
    pub(crate) fn moved(&mut self, hash: u64, from: usize, to: usize) {
        let page = self.page_of(hash);
        if let Some(found) = self.pages[page].positions.find_mut(hash, |it| *it as usize == from) {
            *found = to as u32;
        }
    }

    /// Removes an element. A page that has become much smaller gives memory back.
    pub(crate) fn leave(&mut self, hash: u64, position: usize, rehash: impl Fn(usize) -> u64) {
        let page = self.page_of(hash);
        let positions = &mut self.pages[page].positions;
        if let Ok(found) = positions.find_entry(hash, |it| *it as usize == position) {
            found.remove();
        }
        if positions.capacity() > 64 && positions.len() < positions.capacity() / 4 {
            positions.shrink_to(positions.len() * 2, |position| rehash(*position as usize));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scatters numbers.
    fn hash_of(position: usize) -> u64 {
        (position as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    }

    #[test]
    fn it_grows_and_shrinks_page_by_page() {
        let mut index = Index::default();
        for position in 0..50_000 {
            index.enter(hash_of(position), position, hash_of);
        }
        assert!(index.pages.len() > 20);
        assert!(index.pages.iter().all(|page| page.positions.len() <= PAGE_MAX), "no page is too large");
        for position in 0..50_000 {
            assert_eq!(index.find(hash_of(position), |found| found == position), Some(position));
        }
        for position in 10..50_000 {
            index.leave(hash_of(position), position, hash_of);
            assert_eq!(index.find(hash_of(position), |found| found == position), None);
        }
        let kept: usize = index.pages.iter().map(|page| page.positions.capacity()).sum();
        assert!(kept < 10_000, "the memory of {kept} positions is kept for ten");
        index.moved(hash_of(7), 7, 70_000);
        assert_eq!(index.find(hash_of(7), |found| found == 70_000), Some(70_000));
    }
}
