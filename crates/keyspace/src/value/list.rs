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
/// So few elements are moved, or removed from within, one by one.
const FEW: usize = 8;

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

    pub(super) fn at(&self, position: usize) -> Option<&[u8]> {
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

    pub(super) fn resolve(&self, position: i64) -> Option<usize> {
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

    /// Replaces the element at a position that exists.
    pub(super) fn set_at(&mut self, position: usize, element: &[u8]) {
        self.splice(position, 1, &[element]);
    }

    /// Inserts before the element at a position, or behind all of them.
    pub(super) fn insert_at(&mut self, position: usize, element: &[u8]) {
        match position {
            0 => self.push_front(element),
            behind if behind == self.len() => self.push_back(element),
            within => self.splice(within, 0, &[element]),
        }
    }

    /// The position of the first element equal to `pivot`. `step` is called for each that is compared.
    pub(super) fn position(&self, pivot: &[u8], mut step: impl FnMut()) -> Option<usize> {
        self.iter().position(|candidate| {
            step();
            candidate == pivot
        })
    }

    /// The positions of the first `count` elements equal to `element`, or of the last ones, in order. `step`
    /// is called for each that is compared.
    pub(super) fn positions(
        &self,
        element: &[u8],
        count: usize,
        from_back: bool,
        mut step: impl FnMut(),
    ) -> Vec<usize> {
        let mut is_equal = |candidate: &[u8]| {
            step();
            candidate == element
        };
        if from_back {
            let last = self.len().wrapping_sub(1);
            let equal = self.iter_reversed().enumerate().filter(|(_, candidate)| is_equal(candidate));
            let mut positions: Vec<usize> = equal.map(|(at, _)| last - at).take(count).collect();
            positions.reverse();
            return positions;
        }
        let equal = self.iter().enumerate().filter(|(_, candidate)| is_equal(candidate));
        equal.map(|(at, _)| at).take(count).collect()
    }

    /// Removes the elements at these positions, which are in order and exist. `step` hears of the steps.
    pub(super) fn remove_all(&mut self, positions: &[usize], step: &mut dyn FnMut(usize)) {
        if positions.len() <= FEW {
            for position in positions.iter().rev() {
                step(1);
                self.splice(*position, 1, &[]);
            }
            return;
        }
        let mut going = positions.iter().copied().peekable();
        self.rebuild(step, |position, element, left| {
            if going.next_if_eq(&position).is_none() {
                left.push_back(element);
            }
        });
    }

    /// Puts elements where they were before [`remove_all`](Self::remove_all).
    pub(super) fn insert_all(&mut self, elements: Vec<(usize, Box<[u8]>)>, step: &mut dyn FnMut(usize)) {
        if elements.len() <= FEW {
            for (position, element) in elements {
                step(1);
                self.insert_at(position, &element);
            }
            return;
        }
        let mut coming = elements.into_iter().peekable();
        self.rebuild(step, |_, element, list| {
            while let Some((_, before)) = coming.next_if(|(position, _)| *position == list.len()) {
                list.push_back(&before);
            }
            list.push_back(element);
        });
        coming.for_each(|(_, element)| self.push_back(&element));
    }

    /// Makes another list of all elements, which `each` puts there. Chunk by chunk, so that never more than
    /// one is there twice.
    fn rebuild(&mut self, step: &mut dyn FnMut(usize), mut each: impl FnMut(usize, &[u8], &mut Self)) {
        let chunks = std::mem::take(self.chunks()).chunks;
        self.more = None;
        let (mut list, mut position) = (Self::default(), 0);
        for chunk in chunks {
            for element in chunk.pack.iter() {
                step(1);
                each(position, element, &mut list);
                position += 1;
            }
        }
        *self = list;
    }

    /// Cuts `count` elements off, which must exist. Takes time for those that go, not for those that stay.
    /// `cuts` is told of how many go together.
    pub(super) fn cut(&mut self, front: bool, count: usize, mut cuts: impl FnMut(usize)) -> Self {
        let mut gone = Self::default();
        if count > 0 {
            self.chunks().cut(front, count, gone.chunks(), &mut cuts);
            gone.settle();
            self.settle();
        }
        gone
    }

    /// Puts another list before this one.
    pub(super) fn prepend(&mut self, mut other: Self) {
        if other.len() <= FEW {
            let elements: Vec<&[u8]> = other.iter().collect();
            elements.into_iter().rev().for_each(|element| self.push_front(element));
        } else {
            std::mem::swap(self, &mut other);
            self.append(other);
        }
    }

    /// Puts another list behind this one. Chunks of their own are only made for more than a few elements.
    pub(super) fn append(&mut self, mut other: Self) {
        if other.len() <= FEW {
            other.iter().for_each(|element| self.push_back(element));
        } else {
            self.chunks().append(std::mem::take(other.chunks()));
            self.settle();
        }
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
        drop(list.cut(false, 4, |_| {}));
        assert!(list.more.is_none(), "one chunk needs no list of chunks");
    }

    #[test]
    fn chunks_stay_small_wherever_elements_come() {
        let mut list = List::default();
        list.push_back(b"pivot");
        for number in 0..20_000u32 {
            let pivot = list.position(b"pivot", || {}).expect("the pivot is there");
            list.insert_at(pivot + number as usize % 2, format!("element {number}").as_bytes());
        }
        let more = list.more.as_ref().expect("many chunks");
        assert!(more.chunks.iter().all(|chunk| chunk.pack.size() <= 2 * CHUNK && chunk.count > 0));
        assert_eq!(more.chunks.iter().map(|chunk| chunk.count).sum::<usize>(), list.len());
    }
}
