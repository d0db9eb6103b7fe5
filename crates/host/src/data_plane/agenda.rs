//! Which groups want a turn: those to which something has happened, and those whose time has come. The others
//! cost nothing, however many there are.

use std::collections::{BTreeMap, BTreeSet};

use onecopy_core::{GroupId, Instant};

/// What is to be done, and when.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    /// Something has happened to these. Not in order, and perhaps twice.
    touched: Vec<GroupId>,
    deadlines: BTreeMap<GroupId, Instant>,
    due: BTreeSet<(Instant, GroupId)>,
}

impl Agenda {
    /// Something has happened to a group: it wants the next turn.
    pub(super) fn touch(&mut self, group: GroupId) {
        if self.touched.last() != Some(&group) {
            self.touched.push(group);
        }
    }

    /// When a group wants a turn although nothing happens to it.
    pub(super) fn set(&mut self, group: GroupId, deadline: Option<Instant>) {
        let before = match deadline {
            Some(deadline) => self.deadlines.insert(group, deadline),
            None => self.deadlines.remove(&group),
        };
        if before == deadline {
            return;
        }
        if let Some(before) = before {
            self.due.remove(&(before, group));
        }
        self.due.extend(deadline.map(|deadline| (deadline, group)));
    }

    /// Moves to `groups` those that want a turn now, each once, by id.
    pub(super) fn take(&mut self, now: Instant, groups: &mut Vec<GroupId>) {
        groups.append(&mut self.touched);
        groups.extend(self.due.iter().take_while(|(due, _)| *due <= now).map(|(_, group)| *group));
        groups.sort_unstable();
        groups.dedup();
    }

    /// Those to which something has happened since the last turn: what was [set](Self::set) for them is old.
    pub(super) fn touched(&self) -> impl Iterator<Item = GroupId> {
        self.touched.iter().copied()
    }

    /// The first deadline that was set for a group to which nothing has happened since.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.iter().find(|(_, group)| !self.touched.contains(group)).map(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant(1_000);

    fn take(agenda: &mut Agenda, now: u64) -> Vec<u32> {
        let mut groups = Vec::new();
        agenda.take(Instant(now), &mut groups);
        groups.into_iter().map(|group| group.0).collect()
    }

    #[test]
    fn groups_have_a_turn_when_something_happens_or_their_time_comes() {
        let mut agenda = Agenda::default();
        agenda.set(GroupId(1), Some(NOW));
        agenda.set(GroupId(2), Some(Instant(2_000)));
        assert_eq!(agenda.next(), Some(NOW));
        [3, 2, 3].into_iter().for_each(|group| agenda.touch(GroupId(group)));
        assert_eq!(take(&mut agenda, 999), [2, 3]);
        assert_eq!(take(&mut agenda, 1_000), [1]);
        assert_eq!(take(&mut agenda, 2_000), [1, 2]);
    }

    #[test]
    fn a_deadline_takes_the_place_of_the_one_before() {
        let mut agenda = Agenda::default();
        agenda.set(GroupId(1), Some(NOW));
        agenda.set(GroupId(1), Some(Instant(2_000)));
        assert_eq!(take(&mut agenda, 1_999), [0; 0]);
        agenda.set(GroupId(1), None);
        assert_eq!(agenda.next(), None);
        assert_eq!(take(&mut agenda, 5_000), [0; 0]);
    }

    #[test]
    fn what_was_set_for_a_group_is_old_once_something_has_happened_to_it() {
        let mut agenda = Agenda::default();
        agenda.set(GroupId(1), Some(NOW));
        agenda.set(GroupId(2), Some(Instant(3_000)));
        agenda.touch(GroupId(1));
        assert_eq!(agenda.next(), Some(Instant(3_000)));
        assert_eq!(agenda.touched().collect::<Vec<_>>(), [GroupId(1)]);
    }
}
