//! Streams: a log of entries with ids, and groups of consumers that read it together.

mod building;
mod chunk;
mod group;
mod id;
mod items;
mod log;
mod progress;
mod sorted;
mod undo;

use std::collections::BTreeMap;

use onecopy_core::Budget;

use self::log::Note;
pub(crate) use building::Building;
pub(crate) use chunk::Entry;
pub(crate) use group::{Consumer, Group, GroupEdit, Pending};
pub(crate) use id::Id;
pub(crate) use log::{Kept, Log, Trim};
pub(crate) use progress::Progress;
pub(crate) use undo::StreamUndo;

/// What a stream costs beyond its entries and groups.
const STREAM_COST: u64 = 160;

/// A stream value. Without entries, it still exists.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    log: Log,
    /// The last id that was given.
    last: Id,
    /// The latest entry that was deleted.
    deleted: Id,
    /// How many entries have ever been added.
    added: i64,
    groups: BTreeMap<Box<[u8]>, Group>,
    /// What all groups occupy, and how many items they have.
    group_memory: u64,
    group_items: usize,
}

impl Stream {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The same again, in pieces. `step` hears of the steps of each.
    pub(crate) fn copy(&self, step: &mut dyn FnMut(usize)) -> Self {
        let groups = self.groups.iter().map(|(name, group)| (name.clone(), group.copy(step))).collect();
        Self { log: self.log.copy(step), groups, ..*self }
    }

    /// How many items there are to say all of it; that it exists is one.
    pub(crate) fn len(&self) -> usize {
        1 + 2 * self.log.chunks() + self.group_items
    }

    pub(crate) fn memory(&self) -> u64 {
        STREAM_COST + self.log.memory() + self.group_memory
    }

    /// Its entries.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// The last id that was given.
    pub(crate) fn last(&self) -> Id {
        self.last
    }

    /// The latest entry that was deleted.
    pub(crate) fn deleted(&self) -> Id {
        self.deleted
    }

    /// How far it has come.
    pub(crate) fn progress(&self) -> Progress {
        let first = self.log.first().map_or(Id::ZERO, |first| first.id);
        let (added, last, deleted) = (self.added, self.last, self.deleted);
        Progress { added, length: self.log.len(), first, last, deleted }
    }

    /// Says how far it has come.
    pub(crate) fn set_progress(&mut self, last: Id, added: Option<i64>, deleted: Option<Id>) {
        self.last = last;
        self.added = added.unwrap_or(self.added);
        self.deleted = deleted.unwrap_or(self.deleted);
    }

    /// Adds an entry of fields and values in turn. Its id must be later than the last.
    pub(crate) fn append(&mut self, id: Id, pairs: &[&[u8]], budget: Budget<'_>) {
        self.append_noted(id, pairs, budget, &mut |_| {});
    }

    /// The same; `note` hears of the chunk that changes.
    fn append_noted(&mut self, id: Id, pairs: &[&[u8]], budget: Budget<'_>, note: Note<'_>) {
        self.log.append(id, pairs, budget, note);
        self.last = id;
        self.added = self.added.wrapping_add(1);
    }

    /// The groups in order of their names.
    pub(crate) fn groups(&self) -> impl ExactSizeIterator<Item = (&[u8], &Group)> {
        self.groups.iter().map(|(name, group)| (&**name, group))
    }

    pub(crate) fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.get(name)
    }

    fn account(&mut self, name: &[u8], group: &Group, is_added: bool) {
        let (memory, items) = (group.memory() + name.len() as u64, group.items());
        if is_added {
            (self.group_memory, self.group_items) = (self.group_memory + memory, self.group_items + items);
        } else {
            (self.group_memory, self.group_items) = (self.group_memory - memory, self.group_items - items);
        }
    }

    /// Adds a group, whose name no other may have.
    pub(crate) fn add_group(&mut self, name: &[u8], group: Group) {
        self.account(name, &group, true);
        self.groups.insert(name.into(), group);
    }

    /// Takes a group out.
    pub(super) fn remove_group(&mut self, name: &[u8]) -> Option<Group> {
        let group = self.groups.remove(name)?;
        self.account(name, &group, false);
        Some(group)
    }

    /// Lets `change` have a group, beside the stream's entries.
    pub(super) fn change_group<R>(
        &mut self,
        name: &[u8],
        change: impl FnOnce(&Log, &mut Group) -> R,
    ) -> Option<R> {
        let group = self.groups.get_mut(name)?;
        let (memory, items) = (group.memory(), group.items());
        let result = change(&self.log, group);
        self.group_memory = self.group_memory + group.memory() - memory;
        self.group_items = self.group_items + group.items() - items;
        Some(result)
    }

    /// Drops about `count` parts of a stream that nobody uses any more; how many.
    pub(crate) fn shed(&mut self, count: usize) -> usize {
        let mut shed = self.log.shed(count);
        while shed < count
            && let Some(mut group) = self.groups.last_entry()
        {
            let parts = group.get_mut().shed(count - shed);
            if shed + parts < count {
                group.remove();
            }
            shed += parts + 1;
        }
        shed
    }
}

#[cfg(test)]
mod tests;
