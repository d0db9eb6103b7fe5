//! Streams: each chunk of entries, and each group, is noted once, as it was.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Noted;

use onecopy_core::Budget;

use super::chunk::Chunk;
use super::group::{GroupEdit, GroupUndo};
use super::{Group, Id, Log, Stream, Trim};
use crate::value::undo::{Edit, STEP_COST};
use crate::value::{Typed, Value};

/// What takes the changes of a stream back.
#[derive(Debug)]
pub(crate) struct StreamUndo {
    last: Id,
    deleted: Id,
    added: i64,
    /// The latest last: another one is begun when ids may come again.
    logs: Vec<LogUndo>,
    groups: BTreeMap<Box<[u8]>, GroupBefore>,
    bytes: u64,
}

/// What takes the changes of the entries back.
#[derive(Debug)]
pub(super) struct LogUndo {
    /// Where the last chunk began. What begins later is new.
    pub(super) last_base: Option<Id>,
    /// Chunks that have changed or gone, by where they began.
    pub(super) before: BTreeMap<Id, Chunk>,
}

/// What was under the name of a group.
#[derive(Debug)]
enum GroupBefore {
    Nothing,
    Changed(GroupUndo),
    /// It was changed, perhaps, and is gone.
    Removed(Group, GroupUndo),
}

impl LogUndo {
    fn of(log: &Log) -> Self {
        Self { last_base: log.last_base(), before: BTreeMap::new() }
    }

    /// A chunk is about to change, or to go; how many bytes it takes to note that.
    fn note(&mut self, chunk: &Chunk) -> u64 {
        let is_noted = Some(chunk.base) > self.last_base || self.before.contains_key(&chunk.base);
        if is_noted {
            return 0;
        }
        self.before.insert(chunk.base, chunk.clone());
        STEP_COST + chunk.bytes.len() as u64
    }
}

impl StreamUndo {
    pub(in crate::value) fn of(stream: &Stream) -> Self {
        let Stream { last, deleted, added, .. } = *stream;
        let logs = vec![LogUndo::of(&stream.log)];
        Self { last, deleted, added, logs, groups: BTreeMap::new(), bytes: 0 }
    }

    pub(in crate::value) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(in crate::value) fn undo(self, stream: &mut Stream, step: &mut dyn FnMut(usize)) {
        self.logs.into_iter().rev().for_each(|log| stream.log.undo(log, step));
        (stream.last, stream.deleted, stream.added) = (self.last, self.deleted, self.added);
        for (name, before) in self.groups {
            match before {
                GroupBefore::Nothing => drop(stream.remove_group(&name)),
                GroupBefore::Changed(undo) => {
                    stream.change_group(&name, |_, group| undo.undo(group, step));
                }
                GroupBefore::Removed(mut group, undo) => {
                    stream.remove_group(&name);
                    undo.undo(&mut group, step);
                    stream.add_group(&name, group);
                }
            }
        }
    }

    pub(in crate::value) fn keep(self, discard: &mut dyn FnMut(Value)) {
        let mut rest = Stream::new();
        for (name, before) in self.groups {
            if let GroupBefore::Removed(group, _) = before {
                rest.add_group(&name, group);
            }
        }
        discard(rest.into_value());
    }
}

/// Calls `$change` with what hears of each chunk before it changes.
macro_rules! noting {
    ($edit:ident, |$note:ident| $change:expr) => {{
        let mut bytes = 0;
        let mut undo = $edit.undo.as_mut().and_then(|undo| undo.logs.last_mut());
        let $note = &mut |chunk: &Chunk| bytes += undo.as_mut().map_or(0, |undo| undo.note(chunk));
        let changed = $change;
        if let Some(undo) = &mut $edit.undo {
            undo.bytes += bytes;
        }
        changed
    }};
}

impl Edit<'_, Stream> {
    /// See [`Stream::append`].
    pub(crate) fn append(&mut self, id: Id, pairs: &[&[u8]], budget: Budget<'_>) {
        noting!(self, |note| self.value.append_noted(id, pairs, budget, note));
    }

    /// Removes an entry; whether it was there.
    pub(crate) fn remove(&mut self, id: Id) -> bool {
        let was_there = noting!(self, |note| self.value.log.remove(id, note));
        if was_there {
            self.value.deleted = self.value.deleted.max(id);
        }
        was_there
    }

    /// Removes the oldest entries; how many.
    pub(crate) fn trim(&mut self, trim: &Trim, budget: Budget<'_>) -> usize {
        noting!(self, |note| self.value.log.trim(trim, budget, note))
    }

    /// See [`Stream::set_progress`].
    pub(crate) fn set_progress(&mut self, last: Id, added: Option<i64>, deleted: Option<Id>) {
        if let Some(undo) = &mut self.undo
            && last < self.value.last
        {
            undo.logs.push(LogUndo::of(&self.value.log));
            undo.bytes += STEP_COST;
        }
        self.value.set_progress(last, added, deleted);
    }

    /// See [`Stream::add_group`].
    pub(crate) fn add_group(&mut self, name: &[u8], group: Group) {
        if let Some(undo) = &mut self.undo
            && let Noted::Vacant(vacant) = undo.groups.entry(name.into())
        {
            vacant.insert(GroupBefore::Nothing);
            undo.bytes += STEP_COST + name.len() as u64;
        }
        self.value.add_group(name, group);
    }

    /// Removes a group; whether it was there, and the group itself, unless it is noted.
    pub(crate) fn remove_group(&mut self, name: &[u8]) -> (bool, Option<Group>) {
        let Some(group) = self.value.remove_group(name) else { return (false, None) };
        let Some(undo) = &mut self.undo else { return (true, Some(group)) };
        match undo.groups.entry(name.into()) {
            Noted::Vacant(vacant) => {
                undo.bytes += STEP_COST + name.len() as u64 + group.memory();
                let nothing = GroupUndo::of(&group);
                vacant.insert(GroupBefore::Removed(group, nothing));
                (true, None)
            }
            Noted::Occupied(mut noted) => match std::mem::replace(noted.get_mut(), GroupBefore::Nothing) {
                GroupBefore::Changed(changes) => {
                    undo.bytes += group.memory();
                    noted.insert(GroupBefore::Removed(group, changes));
                    (true, None)
                }
                before => {
                    noted.insert(before);
                    (true, Some(group))
                }
            },
        }
    }

    /// Lets `change` have a group, beside the stream's entries.
    pub(crate) fn change_group<R>(
        &mut self,
        name: &[u8],
        change: impl FnOnce(&Log, &mut GroupEdit<'_>) -> R,
    ) -> Option<R> {
        let group = self.value.group(name)?;
        let (mut changes, mut bytes) = (None, None);
        if let Some(undo) = &mut self.undo {
            bytes = Some(&mut undo.bytes);
            let noted = undo.groups.entry(name.into());
            let noted = noted.or_insert_with(|| GroupBefore::Changed(GroupUndo::of(group)));
            if let GroupBefore::Changed(noted) = noted {
                changes = Some(noted);
            }
        }
        let before = changes.as_ref().map_or(0, |changes| changes.bytes());
        let changed = self
            .value
            .change_group(name, |log, group| change(log, &mut GroupEdit::new(group, changes.as_deref_mut())));
        if let (Some(bytes), Some(changes)) = (bytes, changes) {
            *bytes += changes.bytes() - before;
        }
        changed
    }
}
