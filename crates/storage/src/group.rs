//! What the log knows of one group while it runs, and what a recovery rebuilds of it.

use std::collections::VecDeque;

use bytes::Bytes;
use onecopy_core::{Entry, EntryId, Index, Recovered, Write};

use crate::record::Head;

/// The outline of a group's part of the log: enough to write a checkpoint and to know which segments it
/// needs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    pub(crate) state: Option<Bytes>,
    pub(crate) base: EntryId,
    /// The index of the last entry, or of the base.
    pub(crate) last: Index,
    pub(crate) commit: Index,
    /// Which segment holds the entries from which index on, until the next run begins. Covers exactly the
    /// entries after the base; both halves only grow.
    runs: VecDeque<(Index, u64)>,
}

impl Group {
    /// The oldest segment that holds an entry of this group; `None` if none does.
    pub(crate) fn oldest_segment(&self) -> Option<u64> {
        self.runs.front().map(|(_, segment)| *segment)
    }

    /// The segment that holds the entry at an index after the base.
    pub(crate) fn segment_of(&self, index: Index) -> Option<u64> {
        let is_held = self.base.index < index && index <= self.last;
        let run = self.runs.partition_point(|(first, _)| *first <= index).checked_sub(1)?;
        self.runs.get(run).filter(|_| is_held).map(|(_, segment)| *segment)
    }

    /// Takes note of a write that is recorded in `segment`. Refuses what contradicts the writes before it.
    pub(crate) fn apply(&mut self, write: &Write, segment: u64) -> Result<(), String> {
        match write {
            Write::State(state) => self.state = Some(state.clone()),
            Write::Append { entries, commit } => self.append(entries, *commit, segment)?,
            Write::Cut { from } => self.cut(*from)?,
            Write::Compact { through } => self.compact(*through)?,
            Write::Install { snapshot } => self.install(*snapshot),
            // The log itself forgets groups.
            Write::Forget => {}
        }
        Ok(())
    }

    /// The part of [`Group::apply`] for entries of one record.
    pub(crate) fn append(&mut self, entries: &[Entry], commit: Index, segment: u64) -> Result<(), String> {
        for entry in entries {
            if self.last.0.checked_add(1) != Some(entry.id.index.0) {
                return Err(format!("entry {} does not follow {}", entry.id, self.last));
            }
            self.last = entry.id.index;
        }
        if let Some(first) = entries.first()
            && self.runs.back().is_none_or(|(_, newest)| *newest != segment)
        {
            self.runs.push_back((first.id.index, segment));
        }
        self.commit = self.commit.max(commit.min(self.last));
        Ok(())
    }

    fn cut(&mut self, from: Index) -> Result<(), String> {
        if from <= self.base.index {
            return Err(format!("a cut at {from}, although a snapshot covers {}", self.base));
        }
        self.last = self.last.min(from.previous());
        self.commit = self.commit.min(self.last);
        while self.runs.back().is_some_and(|(first, _)| *first > self.last) {
            self.runs.pop_back();
        }
        self.drop_runs();
        Ok(())
    }

    fn compact(&mut self, through: EntryId) -> Result<(), String> {
        if through.index <= self.base.index {
            return Ok(());
        }
        if through.index > self.last {
            return Err(format!("a compaction through {through}, although the log ends at {}", self.last));
        }
        self.base = through;
        self.commit = self.commit.max(through.index);
        self.drop_runs();
        Ok(())
    }

    fn install(&mut self, snapshot: EntryId) {
        self.base = snapshot;
        self.last = snapshot.index;
        // The commit index was about the log that is gone; what the snapshot covers is committed.
        self.commit = snapshot.index;
        self.runs.clear();
    }

    fn drop_runs(&mut self) {
        if self.last == self.base.index {
            self.runs.clear();
        }
        while self.runs.get(1).is_some_and(|(first, _)| *first <= self.base.index.next()) {
            self.runs.pop_front();
        }
    }

    fn matches(&self, head: &Head) -> bool {
        (self.base, self.last, self.commit, &self.state) == (head.base, head.last, head.commit, &head.state)
    }
}

/// A group that is being rebuilt from records.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    pub(crate) group: Group,
    /// Entries after the base up to here lie in segments that are gone. They must turn out not to be needed.
    missing_through: Index,
    /// The entries after the base and after `missing_through`.
    entries: VecDeque<Entry>,
}

impl Replay {
    /// Starts from the checkpoint at the head of the oldest segment.
    pub(crate) fn new(head: Head) -> Self {
        let Head { base, last, commit, state, .. } = head;
        let group = Group { state, base, last, commit, runs: VecDeque::new() };
        Self { group, missing_through: last, entries: VecDeque::new() }
    }

    /// A later checkpoint must say what the records before it have led to.
    pub(crate) fn check(&self, head: &Head) -> Result<(), String> {
        match self.group.matches(head) {
            true => Ok(()),
            false => Err(format!(
                "the checkpoint has the log of {} from {} to {}, but the records before it lead from {} to {}",
                head.group, head.base, head.last, self.group.base, self.group.last
            )),
        }
    }

    /// Applies one write. Refuses what contradicts the writes before it.
    pub(crate) fn apply(&mut self, write: Write, segment: u64) -> Result<(), String> {
        self.check_order(&write)?;
        self.group.apply(&write, segment)?;
        if let Write::Append { entries, .. } = write {
            self.entries.extend(entries);
        }
        // A compaction or an installed snapshot leaves entries out at the front, a cut at the back.
        while self.entries.front().is_some_and(|entry| entry.id.index <= self.group.base.index) {
            self.entries.pop_front();
        }
        while self.entries.back().is_some_and(|entry| entry.id.index > self.group.last) {
            self.entries.pop_back();
        }
        self.missing_through = self.missing_through.min(self.group.last);
        Ok(())
    }

    /// What remains when all records have been applied.
    pub(crate) fn finish(self) -> Result<(Group, Recovered), String> {
        let Self { group, missing_through, entries } = self;
        if missing_through > group.base.index {
            return Err(format!(
                "the entries after {} up to {missing_through} are in no segment and in no snapshot",
                group.base
            ));
        }
        let expected = group.last.0 - group.base.index.0;
        assert_eq!(
            entries.len() as u64,
            expected,
            "recovery: lost count of the entries after {}",
            group.base
        );
        let state = group.state.clone();
        let (base, commit) = (group.base, group.commit);
        Ok((group, Recovered { state, base, entries: entries.into(), commit }))
    }

    /// Epochs and times never decrease along a log; a compaction names an entry of the log.
    fn check_order(&self, write: &Write) -> Result<(), String> {
        match write {
            Write::Append { entries, .. } => {
                let mut epoch = self.entries.back().map_or(self.group.base.epoch, |entry| entry.id.epoch);
                let mut time = self.entries.back().map(|entry| entry.time).unwrap_or_default();
                for entry in entries {
                    if entry.id.epoch < epoch || entry.time < time {
                        return Err(format!("entry {} is older than the entry before it", entry.id));
                    }
                    (epoch, time) = (entry.id.epoch, entry.time);
                }
                Ok(())
            }
            Write::Compact { through } => {
                let position =
                    self.entries.front().and_then(|first| through.index.0.checked_sub(first.id.index.0));
                match position.and_then(|position| self.entries.get(usize::try_from(position).ok()?)) {
                    Some(entry) if entry.id != *through => {
                        Err(format!("a compaction through {through}, but the log has {}", entry.id))
                    }
                    _ => Ok(()),
                }
            }
            Write::State(_) | Write::Cut { .. } | Write::Install { .. } | Write::Forget => Ok(()),
        }
    }
}
