//! The elements of a list that has many: in chunks, one behind the other.

use std::collections::VecDeque;
use std::ops::Range;

use super::super::pack::{Pack, item_size};

/// A chunk takes so many bytes, unless it has but one element.
pub(super) const CHUNK: usize = 1024;

/// Some elements, one behind the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunk {
    pub(super) pack: Pack,
    /// How many there are: found without a look at them.
    pub(super) count: usize,
}

impl Chunk {
    fn has_room(&self, element: &[u8]) -> bool {
        self.pack.size() + item_size(element.len()) <= CHUNK
    }

    fn splice(&mut self, range: Range<usize>, elements: &[&[u8]]) {
        self.pack.splice(range, elements);
        self.count = self.pack.len();
    }

    /// So many of its elements, from one end, and the others, if there are any.
    fn split(mut self, front: bool, count: usize) -> (Self, Option<Self>) {
        if count == self.count {
            return (self, None);
        }
        let range = if front { 0..count } else { self.count - count..self.count };
        let mut gone = Self { pack: Pack::default(), count };
        self.pack.iter_from(range.start).take(count).for_each(|element| gone.pack.push(element));
        self.splice(range, &[]);
        (gone, Some(self))
    }
}

/// All chunks of a list that has several.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunks {
    /// None is empty.
    pub(super) chunks: VecDeque<Chunk>,
    pub(super) length: usize,
    pub(super) bytes: u64,
}

impl Chunks {
    /// The chunk with the element at a position, and which it is there.
    pub(super) fn locate(&self, position: usize) -> (usize, usize) {
        if position < self.length / 2 {
            let mut left = position;
            for (number, chunk) in self.chunks.iter().enumerate() {
                if left < chunk.count {
                    return (number, left);
                }
                left -= chunk.count;
            }
        } else {
            let mut behind = self.length - position;
            for (number, chunk) in self.chunks.iter().enumerate().rev() {
                if behind <= chunk.count {
                    return (number, chunk.count - behind);
                }
                behind -= chunk.count;
            }
        }
        (self.chunks.len(), 0)
    }

    pub(super) fn push(&mut self, element: &[u8], front: bool) {
        let end = if front { self.chunks.front_mut() } else { self.chunks.back_mut() };
        match end {
            Some(chunk) if chunk.has_room(element) => {
                let at = if front { 0 } else { chunk.count };
                if front {
                    chunk.splice(at..at, &[element]);
                } else {
                    chunk.pack.push(element);
                    chunk.count += 1;
                }
            }
            _ => {
                let mut chunk = Chunk::default();
                chunk.splice(0..0, &[element]);
                if front { self.chunks.push_front(chunk) } else { self.chunks.push_back(chunk) }
            }
        }
        self.length += 1;
        self.bytes += element.len() as u64;
    }

    /// Moves `count` elements from one end to a list without any. `cuts` hears of how many go together.
    pub(super) fn cut(&mut self, front: bool, count: usize, to: &mut Self, cuts: &mut dyn FnMut(usize)) {
        let mut left = count;
        while left > 0
            && let Some(end) = if front { self.chunks.pop_front() } else { self.chunks.pop_back() }
        {
            let taken = left.min(end.count);
            cuts(taken);
            left -= taken;
            let (gone, stays) = end.split(front, taken);
            let bytes = gone.pack.iter().map(|element| element.len() as u64).sum::<u64>();
            (self.length, self.bytes) = (self.length - taken, self.bytes - bytes);
            (to.length, to.bytes) = (to.length + taken, to.bytes + bytes);
            if front {
                to.chunks.push_back(gone)
            } else {
                to.chunks.push_front(gone)
            }
            if let Some(stays) = stays {
                if front { self.chunks.push_front(stays) } else { self.chunks.push_back(stays) }
            }
        }
    }

    /// Puts other chunks behind these.
    pub(super) fn append(&mut self, mut other: Self) {
        self.length += other.length;
        self.bytes += other.bytes;
        self.chunks.append(&mut other.chunks);
    }

    /// Puts elements in the place of those at `range` of a chunk, and splits it if it becomes too large.
    pub(super) fn splice(&mut self, number: usize, range: Range<usize>, elements: &[&[u8]]) {
        let chunk = &mut self.chunks[number];
        let removed: usize = chunk.pack.iter_from(range.start).take(range.len()).map(<[u8]>::len).sum();
        self.bytes -= removed as u64;
        self.bytes += elements.iter().map(|element| element.len() as u64).sum::<u64>();
        self.length = self.length - range.len() + elements.len();
        chunk.splice(range, elements);
        if chunk.count == 0 {
            self.chunks.remove(number);
        } else if chunk.pack.size() > 2 * CHUNK && chunk.count > 1 {
            let whole = self.chunks.remove(number).unwrap_or_default();
            let mut parts = vec![Chunk::default()];
            for element in whole.pack.iter() {
                if parts.last().is_some_and(|part| part.count > 0 && !part.has_room(element)) {
                    parts.push(Chunk::default());
                }
                if let Some(part) = parts.last_mut() {
                    part.splice(part.count..part.count, &[element]);
                }
            }
            parts.into_iter().rev().for_each(|part| self.chunks.insert(number, part));
        }
    }
}
