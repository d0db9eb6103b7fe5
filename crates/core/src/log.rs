//! The window of a group's log that is kept in memory: everything after the last snapshot.
//!
//! The state that the log produces lives in memory too, so keeping the window there costs at most the
//! `log_bytes_max` after which a protocol asks for a snapshot and compacts. Entries are handed out by
//! reference count; their payloads are never copied.

use std::collections::VecDeque;

use crate::entry::{Entry, EntryId};
use crate::id::{Epoch, Index};

/// The entries after `base`, without gaps.
///
/// Guaranteed after every operation:
/// 1. the entry at position `k` of the window has index `base.index + 1 + k`;
/// 2. epochs never decrease along the log;
/// 3. times never decrease along the log.
#[derive(Clone, Debug, Default, Hash)]
pub struct Log {
    base: EntryId,
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Log {
    /// An empty window after `base`, the last entry that the snapshot covers ([`EntryId::ZERO`] if there is
    /// no snapshot).
    #[must_use]
    pub fn new(base: EntryId) -> Self {
        Self { base, entries: VecDeque::new(), bytes: 0 }
    }

    /// The last entry that is no longer in the window, because a snapshot covers it.
    #[must_use]
    pub fn base(&self) -> EntryId {
        self.base
    }

    /// The last entry, or the base if the window is empty.
    #[must_use]
    pub fn last(&self) -> EntryId {
        self.entries.back().map_or(self.base, |entry| entry.id)
    }

    /// How many bytes the window occupies, by [`Entry::size`].
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many bytes of that the entries after `after` are.
    ///
    /// Panics if `after` lies before the base.
    #[must_use]
    pub fn bytes_after(&self, after: Index) -> usize {
        self.entries_after(after).map(Entry::size).sum()
    }

    /// How many entries the window holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the window holds no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry at `index`, if it is in the window.
    #[must_use]
    pub fn get(&self, index: Index) -> Option<&Entry> {
        self.entries.get(self.position(index)?)
    }

    /// The epoch of the entry at `index`, if it is in the window or the base.
    #[must_use]
    pub fn epoch_at(&self, index: Index) -> Option<Epoch> {
        match index == self.base.index {
            true => Some(self.base.epoch),
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
    /// Panics if `after` lies before the base.
    #[must_use]
    pub fn after(&self, after: Index, bytes_max: usize) -> Vec<Entry> {
        let mut bytes = 0;
        self.entries_after(after)
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
    /// Panics if `after` lies before the base.
    #[must_use]
    pub fn between(&self, after: Index, through: Index) -> Vec<Entry> {
        let count = usize::try_from(through.0.saturating_sub(after.0)).unwrap_or(usize::MAX);
        self.entries_after(after).take(count).cloned().collect()
    }

    fn entries_after(&self, after: Index) -> impl Iterator<Item = &Entry> {
        let base = self.base;
        assert!(after >= base.index, "log: {after} was compacted, the window begins after {base}");
        self.entries.iter().skip((after.0 - base.index.0) as usize)
    }

    /// Adds an entry at the end. Panics if it does not follow the last one.
    pub fn append(&mut self, entry: Entry) {
        let last = self.last();
        assert_eq!(entry.id.index, last.index.next(), "log: {} does not follow {last}", entry.id);
        assert!(entry.id.epoch >= last.epoch, "log: the epoch of {} is older than that of {last}", entry.id);
        if let Some(before) = self.entries.back() {
            assert!(entry.time >= before.time, "log: time goes back from {last} to {}", entry.id);
        }
        self.bytes += entry.size();
        self.entries.push_back(entry);
    }

    /// Drops the entry at `from` and all after it. Panics if that would reach into the snapshot.
    pub fn cut(&mut self, from: Index) {
        assert!(from > self.base.index, "log: cannot cut at {from}, the snapshot covers {}", self.base);
        while self.last().index >= from {
            let Some(entry) = self.entries.pop_back() else { break };
            self.bytes -= entry.size();
        }
    }

    /// Drops all entries up to and including `through`, which a durable snapshot covers. What has been
    /// dropped already is left alone. Panics if the log does not hold `through`.
    pub fn compact(&mut self, through: EntryId) {
        if through.index <= self.base.index {
            return;
        }
        assert!(self.contains(through), "log: cannot compact to {through}, which is not in the log");
        while self.entries.front().is_some_and(|entry| entry.id.index <= through.index) {
            let Some(entry) = self.entries.pop_front() else { break };
            self.bytes -= entry.size();
        }
        self.base = through;
    }

    fn position(&self, index: Index) -> Option<usize> {
        index.0.checked_sub(self.base.index.0 + 1).map(|position| position as usize)
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
}
