//! Lists.

mod chunks;
mod listpack;

use std::collections::VecDeque;
use std::ops::Range;

use self::chunks::{CHUNK, Chunk, Chunks};
use super::pack::{Pack, item_size};
use crate::steps::copying;

/// What an element costs beyond its bytes.
const ELEMENT_COST: u64 = 3;
/// A chunk of a copy that is only read takes so many bytes: fewer than a chunk may have elements.
const COPIED_CHUNK: usize = 32 << 10;

/// A list value, in chunks: constant time at both ends; in the middle, chunks are counted, and the elements
/// of one.
#[derive(Clone, Debug, Default)]
pub(crate) struct List {
    /// The first chunk. Most lists have no other.
    first: Pack,
    more: Option<Box<Chunks>>,
}

impl List {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The same again, chunk by chunk. `step` hears of the steps of each.
    pub(crate) fn copy(&self, step: &mut dyn FnMut(usize)) -> Self {
        let copy = |chunk: &Chunk| {
            step(1 + copying(chunk.pack.size()));
            chunk.clone()
        };
        let more = self.more.as_ref().map(|more| {
            let Chunks { length, bytes, .. } = **more;
            Box::new(Chunks { chunks: more.chunks.iter().map(copy).collect(), length, bytes })
        });
        Self { first: self.first.clone(), more }
    }

    pub(crate) fn len(&self) -> usize {
        self.more.as_ref().map_or_else(|| self.first.len(), |more| more.length)
    }

    pub(crate) fn memory(&self) -> u64 {
        let bytes = self.bytes();
        // The last chunk has some room.
        bytes + self.len() as u64 * ELEMENT_COST + bytes.min(CHUNK as u64) / 5
    }

    /// A copy that is only read, in few allocations: thousands of small ones would leave holes among those of
    /// the list when it goes.
    pub(crate) fn copy_to_read(&self) -> Self {
        let Some(more) = &self.more else { return self.clone() };
        let mut copy = Chunks { chunks: VecDeque::new(), length: more.length, bytes: more.bytes };
        for chunk in &more.chunks {
            let fits = |last: &&mut Chunk| last.pack.size() + chunk.pack.size() <= COPIED_CHUNK;
            match copy.chunks.back_mut().filter(fits) {
                Some(last) => {
                    last.pack.extend(&chunk.pack);
                    last.count += chunk.count;
                }
                None => copy.chunks.push_back(chunk.clone()),
            }
        }
        Self { first: Pack::default(), more: Some(Box::new(copy)) }
    }

    /// All chunks, to change them.
    fn chunks(&mut self) -> &mut Chunks {
        let first = &mut self.first;
        self.more.get_or_insert_with(|| {
            let mut chunks = Chunks::default();
            let pack = std::mem::take(first);
            chunks.length = pack.len();
            chunks.bytes = pack.iter().map(|element| element.len() as u64).sum();
            if chunks.length > 0 {
                chunks.chunks.push_back(Chunk { count: pack.len(), pack });
            }
            Box::new(chunks)
        })
    }

    /// A list of one chunk needs no list of chunks.
    fn settle(&mut self) {
        if let Some(more) = &mut self.more
            && more.chunks.len() <= 1
            && more.chunks.front().is_none_or(|chunk| chunk.pack.size() <= CHUNK)
        {
            self.first = more.chunks.pop_front().unwrap_or_default().pack;
            self.more = None;
        } else if let Some(more) = &mut self.more
            && more.chunks.capacity() > 64
            && more.chunks.len() < more.chunks.capacity() / 4
        {
            more.chunks.shrink_to(more.chunks.len() * 2);
        }
    }

    fn push(&mut self, element: &[u8], front: bool) {
        if self.more.is_none() && self.first.size() + item_size(element.len()) < CHUNK {
            let at = if front { 0 } else { self.first.len() };
            if front { self.first.splice(at..at, &[element]) } else { self.first.push(element) }
        } else {
            self.chunks().push(element, front);
        }
    }

    /// So many elements, of so many bytes, are about to come.
    pub(crate) fn expect(&mut self, elements: usize, bytes: usize) {
        if self.more.is_none() {
            self.first.expect(elements, bytes);
        }
    }

    pub(crate) fn push_front(&mut self, element: &[u8]) {
        self.push(element, true);
    }

    pub(crate) fn push_back(&mut self, element: &[u8]) {
        self.push(element, false);
    }

    /// Removes the element at a position that exists.
    fn remove_at(&mut self, position: usize) -> Option<Box<[u8]>> {
        let element: Box<[u8]> = self.at(position)?.into();
        match &mut self.more {
            None => self.first.splice(position..position + 1, &[]),
            Some(more) => {
                let (chunk, at) = more.locate(position);
                more.splice(chunk, at..at + 1, &[]);
                self.settle();
            }
        }
        Some(element)
    }

    pub(crate) fn pop_front(&mut self) -> Option<Box<[u8]>> {
        self.remove_at(0)
    }

    pub(crate) fn pop_back(&mut self) -> Option<Box<[u8]>> {
        self.remove_at(self.len().checked_sub(1)?)
    }

    fn at(&self, position: usize) -> Option<&[u8]> {
        match &self.more {
            None => self.first.get(position),
            Some(more) if position < more.length => {
                let (chunk, at) = more.locate(position);
                more.chunks[chunk].pack.get(at)
            }
            Some(_) => None,
        }
    }

    /// The element at a position, counted from the end when negative.
    pub(crate) fn get(&self, position: i64) -> Option<&[u8]> {
        self.at(self.resolve(position)?)
    }

    fn resolve(&self, position: i64) -> Option<usize> {
        let length = i64::try_from(self.len()).ok()?;
        let position = if position < 0 { position.checked_add(length)? } else { position };
        usize::try_from(position).ok().filter(|position| *position < self.len())
    }

    /// Puts elements in the place of one, or before it: `removed` says how many go.
    fn splice(&mut self, position: usize, removed: usize, elements: &[&[u8]]) {
        let chunks = self.chunks();
        let (chunk, at) = if position < chunks.length {
            chunks.locate(position)
        } else {
            let last = chunks.chunks.len() - 1;
            (last, chunks.chunks[last].count)
        };
        chunks.splice(chunk, at..at + removed, elements);
        self.settle();
    }

    /// Replaces an element; whether there is one at that position.
    pub(crate) fn set(&mut self, position: i64, element: &[u8]) -> bool {
        let Some(position) = self.resolve(position) else { return false };
        self.splice(position, 1, &[element]);
        true
    }

    /// Inserts before or after the first element equal to `pivot`; whether there is one. `step` is called for
    /// each element that is compared.
    pub(crate) fn insert(
        &mut self,
        pivot: &[u8],
        after: bool,
        element: &[u8],
        mut step: impl FnMut(),
    ) -> bool {
        let is_pivot = |candidate: &[u8]| {
            step();
            candidate == pivot
        };
        let Some(position) = self.iter().position(is_pivot) else { return false };
        self.splice(position + usize::from(after), 0, &[element]);
        true
    }

    /// Removes the first `count` elements equal to `element`, from the back if asked to; how many there were.
    /// `step` is called once or twice for each element of the list.
    pub(crate) fn remove(
        &mut self,
        element: &[u8],
        count: usize,
        from_back: bool,
        mut step: impl FnMut(),
    ) -> usize {
        let mut is_equal = |candidate: &&[u8]| {
            step();
            *candidate == element
        };
        let matching = self.iter().filter(&mut is_equal).count();
        let removed = matching.min(count);
        if removed == 0 {
            return 0;
        }
        // The matches to keep come last when removing from the front, and first when removing from the back.
        let (first, last) = if from_back { (matching - removed, matching) } else { (0, removed) };
        let mut seen = 0;
        let mut left = List::default();
        // Chunk by chunk, so that never more than one is there twice.
        let chunks = std::mem::take(self.chunks()).chunks;
        self.more = None;
        for chunk in chunks {
            for candidate in chunk.pack.iter() {
                let goes = is_equal(&candidate) && {
                    seen += 1;
                    first < seen && seen <= last
                };
                if !goes {
                    left.push_back(candidate);
                }
            }
        }
        *self = left;
        removed
    }

    /// Keeps only the elements at these positions, which must exist. Takes time for those that go, not for
    /// those that stay: capping a long list is cheap. `cuts` is told of how many go together.
    pub(crate) fn trim(&mut self, kept: Range<usize>, mut cuts: impl FnMut(usize)) {
        let chunks = self.chunks();
        let mut behind = chunks.length - kept.end;
        while behind > 0 {
            let last = chunks.chunks.len() - 1;
            let count = chunks.chunks[last].count;
            let cut = behind.min(count);
            cuts(cut);
            chunks.splice(last, count - cut..count, &[]);
            behind -= cut;
        }
        let mut before = kept.start;
        while before > 0 {
            let cut = before.min(chunks.chunks[0].count);
            cuts(cut);
            chunks.splice(0, 0..cut, &[]);
            before -= cut;
        }
        self.settle();
    }

    /// The bytes of all elements.
    pub(crate) fn bytes(&self) -> u64 {
        let first = || self.first.iter().map(|element| element.len() as u64).sum();
        self.more.as_ref().map_or_else(first, |more| more.bytes)
    }

    /// Drops up to about `count` elements of a list that nobody uses any more; how many.
    pub(crate) fn shed(&mut self, count: usize) -> usize {
        let before = self.len();
        match &mut self.more {
            None => self.first = Pack::default(),
            Some(more) => {
                while before - more.length < count
                    && let Some(chunk) = more.chunks.pop_back()
                {
                    more.length -= chunk.count;
                }
            }
        }
        before - self.len()
    }

    fn packs(&self) -> impl DoubleEndedIterator<Item = &Pack> {
        let chunks = self.more.iter().flat_map(|more| &more.chunks).map(|chunk| &chunk.pack);
        std::iter::once(&self.first).chain(chunks)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.packs().flat_map(Pack::iter)
    }

    /// The elements from the last to the first.
    pub(crate) fn iter_reversed(&self) -> impl Iterator<Item = &[u8]> {
        self.packs().rev().flat_map(|pack| pack.iter().collect::<Vec<_>>().into_iter().rev())
    }

    /// The elements at these positions, which must exist.
    pub(crate) fn range(&self, positions: Range<usize>) -> impl Iterator<Item = &[u8]> {
        let (chunk, at) = match &self.more {
            Some(more) if positions.start < more.length => more.locate(positions.start),
            _ => (0, 0),
        };
        let few = self.more.is_none().then(|| self.first.iter_from(positions.start));
        let chunks = self.more.iter().flat_map(move |more| more.chunks.range(chunk..));
        let many = chunks.flat_map(|chunk| chunk.pack.iter()).skip(at);
        few.into_iter().flatten().chain(many).take(positions.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back() {
        let mut list = List::default();
        (0..10_000u32).for_each(|number| list.push_back(&number.to_le_bytes()));
        assert!(list.more.as_ref().is_some_and(|more| more.chunks.len() > 20));
        (0..9_990).for_each(|_| drop(list.pop_front()));
        assert_eq!(list.len(), 10);
        assert!(list.more.as_ref().is_none_or(|more| more.chunks.len() <= 2 && more.chunks.capacity() <= 64));
        (0..5).for_each(|_| drop(list.pop_back()));
        list.trim(0..1, |_| {});
        assert!(list.more.is_none(), "one chunk needs no list of chunks");
    }

    #[test]
    fn chunks_stay_small_wherever_elements_come() {
        let mut list = List::default();
        list.push_back(b"pivot");
        for number in 0..20_000u32 {
            assert!(list.insert(b"pivot", number % 2 == 0, format!("element {number}").as_bytes(), || {}));
        }
        let more = list.more.as_ref().expect("many chunks");
        assert!(more.chunks.iter().all(|chunk| chunk.pack.size() <= 2 * CHUNK && chunk.count > 0));
        assert_eq!(more.chunks.iter().map(|chunk| chunk.count).sum::<usize>(), list.len());
    }
}
