//! The entries of a stream, in order of their ids: a queue of chunks.
//!
//! Where one chunk ends and the next begins is part of the state: trimming may stop there, and images carry
//! it.

use std::collections::VecDeque;

use onecopy_core::Budget;

use super::chunk::{Chunk, Entry};
use super::id::Id;
use super::undo::LogUndo;

/// What a chunk costs beyond its bytes.
const CHUNK_COST: u64 = 96;
/// To let go of a chunk takes so many steps.
const CHUNK_STEPS: usize = 4;

/// Hears of each chunk that is about to change, or to go.
pub(super) type Note<'a> = &'a mut dyn FnMut(&Chunk);

#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    /// None is empty.
    chunks: VecDeque<Chunk>,
    length: usize,
    /// What all chunks have together.
    bytes: u64,
}

/// Which entries stay when a stream is trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// So many of the newest.
    Newest(usize),
    /// Those from this id on.
    From(Id),
}

/// How a stream is trimmed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trim {
    pub(crate) kept: Kept,
    /// Only whole chunks go.
    pub(crate) by_chunks: bool,
    /// At most so many entries go.
    pub(crate) limit: usize,
}

impl Log {
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// How many chunks there are.
    pub(crate) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    pub(super) fn chunk(&self, number: usize) -> Option<&Chunk> {
        self.chunks.get(number)
    }

    pub(super) fn memory(&self) -> u64 {
        self.bytes + self.chunks.len() as u64 * CHUNK_COST
    }

    /// The same again: chunks are copied when they change. `step` hears of the steps of each.
    pub(super) fn copy(&self, step: &mut dyn FnMut(usize)) -> Self {
        let copy = |chunk: &Chunk| {
            step(CHUNK_STEPS);
            chunk.clone()
        };
        Self { chunks: self.chunks.iter().map(copy).collect(), ..*self }
    }

    /// Adds an entry of fields and values in turn. Its id must be later than all others.
    pub(super) fn append(&mut self, id: Id, pairs: &[&[u8]], budget: Budget<'_>, note: Note<'_>) {
        match self.chunks.back_mut() {
            Some(last) if last.has_room(id, pairs) => {
                note(last);
                self.bytes -= last.bytes.len() as u64;
                last.append(id, pairs, budget);
            }
            last => {
                last.into_iter().for_each(Chunk::close);
                if self.chunks.is_empty() {
                    // Most streams with few entries have no other.
                    self.chunks.reserve_exact(1);
                }
                self.chunks.push_back(Chunk::new(id, pairs, budget));
            }
        }
        self.bytes += self.chunks.back().map_or(0, |last| last.bytes.len() as u64);
        self.length += 1;
    }

    /// Adds a chunk that was read from an image; whether it fits behind the others.
    pub(super) fn push(&mut self, chunk: Chunk) -> bool {
        let fits = self.last().is_none_or(|last| last.id < chunk.base);
        self.length += usize::from(chunk.count);
        self.bytes += chunk.bytes.len() as u64;
        self.chunks.push_back(chunk);
        fits
    }

    pub(crate) fn first(&self) -> Option<Entry<'_>> {
        self.chunks.front()?.entries().next()
    }

    pub(crate) fn last(&self) -> Option<Entry<'_>> {
        self.chunks.back()?.entries().last()
    }

    /// The last chunk that begins with an id, or before it.
    fn chunk_of(&self, id: Id) -> Option<usize> {
        self.chunks.partition_point(|chunk| chunk.base <= id).checked_sub(1)
    }

    pub(crate) fn get(&self, id: Id) -> Option<Entry<'_>> {
        self.chunks[self.chunk_of(id)?].entries().find(|entry| entry.id >= id).filter(|entry| entry.id == id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.chunks.iter().flat_map(Chunk::entries)
    }

    /// The entries from one id to another, both included.
    pub(crate) fn range(&self, start: Id, end: Id) -> impl Iterator<Item = Entry<'_>> {
        let chunks = self.chunks.range(self.chunk_of(start).unwrap_or(0)..);
        let entries = chunks.flat_map(Chunk::entries);
        entries.skip_while(move |entry| entry.id < start).take_while(move |entry| entry.id <= end)
    }

    /// The same, from the last to the first.
    pub(crate) fn range_reversed(&self, start: Id, end: Id) -> impl Iterator<Item = Entry<'_>> {
        let chunks = self.chunks.range(..self.chunk_of(end).map_or(0, |chunk| chunk + 1)).rev();
        let entries = chunks.flat_map(|chunk| chunk.entries().collect::<Vec<_>>().into_iter().rev());
        entries.skip_while(move |entry| entry.id > end).take_while(move |entry| entry.id >= start)
    }

    /// Removes an entry; whether it was there.
    pub(super) fn remove(&mut self, id: Id, note: Note<'_>) -> bool {
        let Some(number) = self.chunk_of(id) else { return false };
        let chunk = &mut self.chunks[number];
        let Some(range) = chunk.find(id) else { return false };
        note(chunk);
        self.length -= 1;
        if chunk.count == 1 {
            self.bytes -= chunk.bytes.len() as u64;
            self.chunks.remove(number);
            self.shrink();
        } else {
            self.bytes -= range.len() as u64;
            chunk.cut(range, 1);
        }
        true
    }

    /// Removes the oldest entries; how many. Takes time for the chunks that go, and for one in part.
    pub(super) fn trim(&mut self, trim: &Trim, budget: Budget<'_>, note: Note<'_>) -> usize {
        let mut removed = 0;
        while let Some(chunk) = self.chunks.front_mut() {
            let count = usize::from(chunk.count);
            let is_enough = matches!(trim.kept, Kept::Newest(kept) if self.length <= kept);
            if is_enough || removed + count > trim.limit {
                break;
            }
            budget.spend(CHUNK_STEPS);
            let goes_whole = match trim.kept {
                Kept::Newest(kept) => self.length - count >= kept,
                Kept::From(id) => chunk.entries().last().is_none_or(|last| last.id < id),
            };
            if !goes_whole && trim.by_chunks {
                break;
            }
            note(chunk);
            if goes_whole {
                self.bytes -= chunk.bytes.len() as u64;
                self.chunks.pop_front();
            }
            let cut = if goes_whole { count } else { self.trim_first(trim.kept) };
            (removed, self.length) = (removed + cut, self.length - cut);
            if !goes_whole {
                break;
            }
        }
        self.shrink();
        removed
    }

    /// Removes the oldest entries of the first chunk, of which some stay; how many.
    fn trim_first(&mut self, kept: Kept) -> usize {
        let Some(chunk) = self.chunks.front_mut() else { return 0 };
        let before = chunk.bytes.len();
        let mut left = self.length;
        let removed = chunk.remove_while(|entry| {
            let goes = match kept {
                Kept::Newest(kept) => left > kept,
                Kept::From(id) => entry.id < id,
            };
            left -= usize::from(goes);
            goes
        });
        self.bytes -= (before - chunk.bytes.len()) as u64;
        removed.into()
    }

    /// Where the last chunk began.
    pub(super) fn last_base(&self) -> Option<Id> {
        self.chunks.back().map(|chunk| chunk.base)
    }

    /// Takes changes back. `step` hears of the steps of each.
    pub(super) fn undo(&mut self, undo: LogUndo, step: &mut dyn FnMut(usize)) {
        while self.last_base() > undo.last_base
            && let Some(new) = self.chunks.pop_back()
        {
            step(CHUNK_STEPS);
            self.account(&new, false);
        }
        // The last ones first: those that went from the front come back there.
        for (base, before) in undo.before.into_iter().rev() {
            step(CHUNK_STEPS);
            self.account(&before, true);
            let number = self.chunks.partition_point(|chunk| chunk.base < base);
            match self.chunks.get_mut(number).filter(|chunk| chunk.base == base) {
                Some(chunk) => {
                    let changed = std::mem::replace(chunk, before);
                    self.account(&changed, false);
                }
                None => self.chunks.insert(number, before),
            }
        }
        self.shrink();
    }

    fn account(&mut self, chunk: &Chunk, is_added: bool) {
        let (count, bytes) = (usize::from(chunk.count), chunk.bytes.len() as u64);
        if is_added {
            (self.length, self.bytes) = (self.length + count, self.bytes + bytes);
        } else {
            (self.length, self.bytes) = (self.length - count, self.bytes - bytes);
        }
    }

    fn shrink(&mut self) {
        let (chunks, room) = (self.chunks.len(), self.chunks.capacity());
        if room > 64 && chunks < room / 4 {
            self.chunks.shrink_to(chunks * 2);
        }
    }

    /// Drops chunks of a stream that nobody uses any more, up to `count`; how many.
    pub(super) fn shed(&mut self, count: usize) -> usize {
        let left = self.chunks.len().saturating_sub(count);
        let shed = self.chunks.len() - left;
        self.chunks.truncate(left);
        shed
    }
}
