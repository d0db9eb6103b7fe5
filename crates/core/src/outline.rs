//! The outline of entries that are not in memory: their names, and about how large they are.

use std::collections::VecDeque;

use crate::entry::Entry;
use crate::id::{Epoch, Index};

/// A run ends when it has so many bytes: that is how exact the outline is.
const RUN_BYTES: usize = 1 << 20;

/// The outline of a part of a log, without gaps.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Outline {
    runs: VecDeque<Run>,
    bytes: usize,
}

/// Entries of one epoch that follow each other.
#[derive(Clone, Copy, Debug, Hash)]
struct Run {
    first: Index,
    count: u64,
    epoch: Epoch,
    bytes: usize,
}

impl Run {
    /// How many of its bytes lie after an index, if they are spread evenly.
    fn bytes_after(&self, after: Index) -> usize {
        let left = self.count - after.next().0.saturating_sub(self.first.0).min(self.count);
        // A run has at most a mebibyte and one entry, and no more entries than bytes.
        (self.bytes as u128 * u128::from(left) / u128::from(self.count)) as usize
    }
}

impl Outline {
    /// How many bytes the entries have.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many bytes those after `after` have, about.
    pub(crate) fn bytes_after(&self, after: Index) -> usize {
        self.runs.iter().rev().map(|run| run.bytes_after(after)).take_while(|bytes| *bytes > 0).sum()
    }

    /// The epoch of the entry at `index`, if it is one of these.
    pub(crate) fn epoch_at(&self, index: Index) -> Option<Epoch> {
        let run = self.runs.get(self.runs.partition_point(|run| run.first <= index).checked_sub(1)?)?;
        (index.0 - run.first.0 < run.count).then_some(run.epoch)
    }

    /// Adds the entry that follows the last one.
    pub(crate) fn push(&mut self, entry: &Entry) {
        let size = entry.size();
        self.bytes += size;
        match self.runs.back_mut().filter(|run| run.epoch == entry.id.epoch && run.bytes < RUN_BYTES) {
            Some(run) => (run.count, run.bytes) = (run.count + 1, run.bytes + size),
            None => self.runs.push_back(Run {
                first: entry.id.index,
                count: 1,
                epoch: entry.id.epoch,
                bytes: size,
            }),
        }
    }

    /// Drops the entries through `through`.
    pub(crate) fn compact(&mut self, through: Index) {
        while let Some(run) = self.runs.front_mut().filter(|run| run.first <= through) {
            let left = run.bytes_after(through);
            let gone = (through.next().0 - run.first.0).min(run.count);
            self.bytes -= run.bytes - left;
            (run.first, run.count, run.bytes) = (through.next(), run.count - gone, left);
            if run.count > 0 {
                return;
            }
            self.runs.pop_front();
        }
    }
}
