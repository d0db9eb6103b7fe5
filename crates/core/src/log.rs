//! A group's log behind its last snapshot, as a replica knows it while it runs: a window of entries in
//! memory, and the outline of those before it, which lie on the disk alone.
//!
//! A protocol [releases](Log::release) entries once they are settled and durable. It goes on to know their
//! names, so that it can tell whether another log agrees, and it has them read back when somebody needs them.
//! One that releases nothing has its whole log in memory. Entries are handed out by reference count; their
//! payloads are never copied.

use std::collections::VecDeque;

use crate::entry::{Entry, EntryId};
use crate::id::{Epoch, Index};
use crate::outline::Outline;

/// The entries after `base`, without gaps.
///
/// Guaranteed after every operation:
/// 1. the entry at position `k` of the window has index `window_base.index + 1 + k`;
/// 2. the outline covers what lies after `base`, through `window_base`;
/// 3. epochs never decrease along the log;
/// 4. times never decrease along the window.
#[derive(Clone, Debug, Default, Hash)]
pub struct Log {
    base: EntryId,
    outline: Outline,
    /// The last entry that is not in memory, or the base.
    window_base: EntryId,
    window: VecDeque<Entry>,
    window_bytes: usize,
}

impl Log {
    /// An empty log after `base`, the last entry that the snapshot covers ([`EntryId::ZERO`] if there is
    /// no snapshot).
    #[must_use]
    pub fn new(base: EntryId) -> Self {
        Self { base, window_base: base, ..Self::default() }
    }

    /// The last entry that the log does not hold any more, because a snapshot covers it.
    #[must_use]
    pub fn base(&self) -> EntryId {
        self.base
    }

    /// The last entry that is not in memory: the entries after it are. It is the base, or was released.
    #[must_use]
    pub fn window_base(&self) -> EntryId {
        self.window_base
    }

    /// The last entry, or the base if there is none.
    #[must_use]
    pub fn last(&self) -> EntryId {
        self.window.back().map_or(self.window_base, |entry| entry.id)
    }

    /// How many bytes the log has, by [`Entry::size`]. After a compaction into what was released, exact but
    /// for a mebibyte.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.outline.bytes() + self.window_bytes
    }

    /// How many bytes of that are in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.window_bytes
    }

    /// How many bytes the entries after `after` are. As exact as [`Log::bytes`].
    ///
    /// Panics if `after` lies before the base.
    #[must_use]
    pub fn bytes_after(&self, after: Index) -> usize {
        if after < self.window_base.index {
            assert!(
                after >= self.base.index,
                "log: {after} was compacted, the log begins after {}",
                self.base
            );
            return self.outline.bytes_after(after) + self.window_bytes;
        }
        self.window_after(after).map(Entry::size).sum()
    }

    /// How many entries the log holds.
    #[must_use]
    pub fn len(&self) -> usize {
        (self.last().index.0 - self.base.index.0) as usize
    }

    /// Whether the log holds no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.last() == self.base
    }

    /// The entry at `index`, if it is in memory.
    #[must_use]
    pub fn get(&self, index: Index) -> Option<&Entry> {
        self.window.get(self.position(index)?)
    }

    /// The epoch of the entry at `index`, if the log holds it or it is the base.
    #[must_use]
    pub fn epoch_at(&self, index: Index) -> Option<Epoch> {
        if index == self.base.index {
            return Some(self.base.epoch);
        }
        match index <= self.window_base.index {
            true => self.outline.epoch_at(index),
            false => self.get(index).map(|entry| entry.id.epoch),
        }
    }

    /// Whether the log holds this very entry. The base counts; what lies before it is not known any more.
    #[must_use]
    pub fn contains(&self, id: EntryId) -> bool {
        self.epoch_at(id.index) == Some(id.epoch)
    }

    /// The entries after `after`, as many as fit into `bytes_max`, but at least one if there is one.
    ///
    /// Panics if `after` lies before the window.
    #[must_use]
    pub fn after(&self, after: Index, bytes_max: usize) -> Vec<Entry> {
        let mut bytes = 0;
        self.window_after(after)
            .take_while(|entry| {
                let first = bytes == 0;
                bytes += entry.size();
                first || bytes <= bytes_max
            })
            .cloned()
            .collect()
    }

    /// The entries after `after` through `through`, as far as there are some.
    ///
    /// Panics if `after` lies before the window.
    #[must_use]
    pub fn between(&self, after: Index, through: Index) -> Vec<Entry> {
        let count = usize::try_from(through.0.saturating_sub(after.0)).unwrap_or(usize::MAX);
        self.window_after(after).take(count).cloned().collect()
    }

    fn window_after(&self, after: Index) -> impl Iterator<Item = &Entry> {
        let begin = self.window_base;
        assert!(after >= begin.index, "log: {after} is not in memory, the window begins after {begin}");
        self.window.iter().skip((after.0 - begin.index.0) as usize)
    }

    /// Adds an entry at the end. Panics if it does not follow the last one.
    pub fn append(&mut self, entry: Entry) {
        let last = self.last();
        assert_eq!(entry.id.index, last.index.next(), "log: {} does not follow {last}", entry.id);
        assert!(entry.id.epoch >= last.epoch, "log: the epoch of {} is older than that of {last}", entry.id);
        if let Some(before) = self.window.back() {
            assert!(entry.time >= before.time, "log: time goes back from {last} to {}", entry.id);
        }
        self.window_bytes += entry.size();
        self.window.push_back(entry);
    }

    /// Drops the entry at `from` and all after it. Panics if that would reach into what is not in memory.
    pub fn cut(&mut self, from: Index) {
        let begin = self.window_base;
        assert!(from > begin.index, "log: cannot cut at {from}, the window begins after {begin}");
        while self.last().index >= from {
            let Some(entry) = self.window.pop_back() else { break };
            self.window_bytes -= entry.size();
        }
    }

    /// Lets go of the oldest entries in memory, through `through` at most, while more than `bytes_max` are in
    /// memory. The log still holds them: they are on the disk, and will not be cut.
    pub fn release(&mut self, through: Index, bytes_max: usize) {
        while self.window_bytes > bytes_max
            && let Some(entry) = self.window.pop_front_if(|entry| entry.id.index <= through)
        {
            self.window_bytes -= entry.size();
            self.window_base = entry.id;
            self.outline.push(&entry);
        }
    }

    /// Drops all entries up to and including `through`, which a durable snapshot covers. What has been
    /// dropped already is left alone. Panics if the log does not hold `through`.
    pub fn compact(&mut self, through: EntryId) {
        if through.index <= self.base.index {
            return;
        }
        assert!(self.contains(through), "log: cannot compact to {through}, which is not in the log");
        while let Some(entry) = self.window.pop_front_if(|entry| entry.id.index <= through.index) {
            self.window_bytes -= entry.size();
            self.window_base = entry.id;
        }
        self.outline.compact(through.index);
        self.base = through;
    }

    fn position(&self, index: Index) -> Option<usize> {
        index.0.checked_sub(self.window_base.index.0 + 1).map(|position| position as usize)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::time::Timestamp;

    fn entry(index: u64, epoch: u64) -> Entry {
        let payload = Bytes::from_static(b"0123456789");
        Entry { id: EntryId::new(index, epoch), time: Timestamp(index), seed: 0, payload }
    }

    fn log(epochs: &[u64]) -> Log {
        let mut log = Log::new(EntryId::ZERO);
        for (position, epoch) in epochs.iter().enumerate() {
            log.append(entry(position as u64 + 1, *epoch));
        }
        log
    }

    #[test]
    fn knows_what_it_contains() {
        let log = log(&[1, 1, 2]);
        assert_eq!(log.last(), EntryId::new(3, 2));
        assert!(log.contains(EntryId::ZERO));
        assert!(log.contains(EntryId::new(2, 1)));
        assert!(!log.contains(EntryId::new(2, 2)));
        assert!(!log.contains(EntryId::new(4, 2)));
    }

    #[test]
    fn what_lies_between_ends_where_it_is_said_to_or_with_the_log() {
        let log = log(&[1, 1, 2]);
        let indexes = |after, through| -> Vec<u64> {
            log.between(Index(after), Index(through)).iter().map(|entry| entry.id.index.0).collect()
        };
        assert_eq!(indexes(0, 2), [1, 2]);
        assert_eq!(indexes(2, 2), [0_u64; 0]);
        assert_eq!(indexes(1, 9), [2, 3]);
    }

    #[test]
    fn a_cut_drops_the_tail() {
        let mut log = log(&[1, 1, 2, 3]);
        log.cut(Index(3));
        assert_eq!(log.last(), EntryId::new(2, 1));
        assert_eq!(log.bytes(), 2 * entry(1, 1).size());
        log.cut(Index(9));
        assert_eq!(log.len(), 2);
    }

    #[test]
    fn a_compaction_keeps_the_base() {
        let mut log = log(&[1, 1, 2, 3]);
        log.compact(EntryId::new(3, 2));
        assert_eq!(log.base(), EntryId::new(3, 2));
        assert_eq!(log.last(), EntryId::new(4, 3));
        assert_eq!(log.epoch_at(Index(3)), Some(Epoch(2)));
        assert_eq!(log.epoch_at(Index(2)), None);
        log.compact(EntryId::new(2, 1));
        assert_eq!(log.base(), EntryId::new(3, 2));
        log.compact(EntryId::new(4, 3));
        assert_eq!(log.last(), EntryId::new(4, 3));
        assert_eq!(log.bytes(), 0);
    }

    #[test]
    fn hands_out_at_least_one_entry() {
        let log = log(&[1, 1, 1]);
        let size = entry(1, 1).size();
        assert_eq!(log.after(Index(0), 0).len(), 1);
        assert_eq!(log.after(Index(0), 2 * size).len(), 2);
        assert_eq!(log.after(Index(2), usize::MAX).len(), 1);
        assert_eq!(log.after(Index(3), usize::MAX).len(), 0);
    }

    #[test]
    #[should_panic(expected = "does not follow")]
    fn refuses_a_gap() {
        log(&[1]).append(entry(3, 1));
    }

    #[test]
    #[should_panic(expected = "cannot cut")]
    fn refuses_to_cut_into_the_snapshot() {
        let mut log = log(&[1, 1]);
        log.compact(EntryId::new(2, 1));
        log.cut(Index(2));
    }

    #[test]
    fn what_was_released_is_still_known() {
        let mut log = log(&[1, 1, 2, 3, 3]);
        let size = entry(1, 1).size();
        log.release(Index(9), 2 * size);
        assert_eq!((log.base(), log.window_base(), log.last()), (EntryId::ZERO, id(3, 2), id(5, 3)));
        assert_eq!((log.len(), log.bytes(), log.memory_bytes()), (5, 5 * size, 2 * size));
        assert_eq!((log.bytes_after(Index(1)), log.bytes_after(Index(4))), (4 * size, size));
        assert!(log.contains(id(2, 1)) && log.contains(id(3, 2)) && !log.contains(id(3, 1)));
        assert!(log.get(Index(3)).is_none() && log.get(Index(4)).is_some());
        assert_eq!(log.after(Index(3), usize::MAX).len(), 2);
    }

    #[test]
    fn no_more_is_released_than_may_be() {
        let mut log = log(&[1, 1, 1, 1]);
        log.release(Index(2), 0);
        assert_eq!((log.window_base(), log.memory_bytes()), (id(2, 1), 2 * entry(1, 1).size()));
        log.release(Index(4), usize::MAX);
        assert_eq!(log.window_base(), id(2, 1));
    }

    #[test]
    fn a_compaction_reaches_into_what_was_released_and_beyond() {
        let size = entry(1, 1).size();
        let mut log = log(&[1, 1, 2, 3, 3]);
        log.release(Index(3), 0);
        log.compact(id(1, 1));
        assert_eq!((log.base(), log.window_base(), log.bytes()), (id(1, 1), id(3, 2), 4 * size));
        assert!(!log.contains(EntryId::ZERO) && log.contains(id(2, 1)));
        log.compact(id(3, 2));
        assert_eq!((log.base(), log.window_base(), log.bytes()), (id(3, 2), id(3, 2), 2 * size));
        log.release(Index(4), 0);
        log.compact(id(5, 3));
        assert!(log.is_empty() && log.bytes() == 0 && log.window_base() == id(5, 3));
    }

    #[test]
    #[should_panic(expected = "is not in memory")]
    fn nobody_is_given_what_is_not_in_memory() {
        let mut log = log(&[1, 1, 1]);
        log.release(Index(2), 0);
        let _ = log.after(Index(1), usize::MAX);
    }

    fn id(index: u64, epoch: u64) -> EntryId {
        EntryId::new(index, epoch)
    }
}
