//! The operator who drops a database, or has its copies elsewhere, while others use it.

use std::collections::BTreeSet;

use onecopy_core::{GroupId, NodeId};
use onecopy_views::{Command, Kind, OptionChanges};

use crate::clock::{MS, Time};
use crate::ending::Phase;
use crate::env::Event;
use crate::world::World;

/// So long does the operator wait before a command is repeated that nobody has obeyed.
const PATIENCE: Time = 500 * MS;

impl World {
    /// A database is dropped, and the operator looks whether it is gone.
    pub(crate) fn drop_database(&mut self, group: GroupId) {
        let named = self.newest_table().and_then(|table| table.database(group));
        let is_gone = self.newest_table().is_some_and(|table| group <= table.last_group());
        match named {
            None if is_gone => return,
            // It has not been created yet.
            None => {}
            Some(database) => {
                self.say(NodeId(0), &format!("{group} is dropped"));
                self.operate(&Command::DropDatabase { group, name: database.name });
            }
        }
        self.env.schedule(self.env.time + PATIENCE, Event::Drop(group));
    }

    /// The optimistic database is to have so many copies.
    pub(crate) fn resize_optimistic(&mut self, copies: u32) {
        let Some(group) = self.env.checks.merged.as_ref().map(|merged| merged.group) else { return };
        self.say(NodeId(0), &format!("{group} shall have {copies} copies"));
        self.operate(&Command::SetCopies { group, copies });
    }

    /// Writes to the optimistic database are to wait for several copies, and the operator looks whether that
    /// was heard.
    pub(crate) fn set_before_ok(&mut self) {
        let Some(group) = self.env.checks.merged.as_ref().map(|merged| merged.group) else { return };
        let known = self.newest_table().filter(|table| table.groups().contains_key(&group));
        let copies = known.map(|table| (table.groups()[&group].copies, table.copies_before_ok(group)));
        let wanted = copies.map_or(1, |(copies, _)| self.env.profile.before_ok.min(copies));
        if copies.is_some_and(|(_, known)| known == wanted) || self.phase != Phase::Faults {
            return;
        }
        self.operate(&Command::SetCopiesBeforeOk { group, copies: wanted });
        self.env.schedule(self.env.time + PATIENCE, Event::BeforeOk);
    }

    /// A database is to be replicated in another way, and the operator looks whether that was heard; not
    /// whether it is over. What was planned for later counts from then on.
    pub(crate) fn switch_database(&mut self, planned: Time, group: GroupId, kind: Kind) {
        let later = |(at, ..): &(Time, GroupId, Kind)| *at > planned && *at <= self.env.time;
        if self.env.profile.switched.iter().any(later) || self.phase != Phase::Faults {
            return;
        }
        let Some(table) = self.newest_table().filter(|table| table.groups().contains_key(&group)) else {
            return;
        };
        let wanted = table.switch(group).map_or(table.kind(group), |switch| switch.kind);
        if wanted != kind {
            self.say(NodeId(0), &format!("{group} shall be replicated as {kind}"));
            self.operate(&Command::SwitchKind { group, kind });
            self.env.schedule(self.env.time + PATIENCE, Event::Switch(planned, group, kind));
        }
    }

    /// The copies of a database are to be on as many nodes as it has copies, and the operator looks whether
    /// that was heard.
    pub(crate) fn move_database(&mut self, group: GroupId, mut nodes: BTreeSet<NodeId>) {
        let Some(table) = self.newest_table().filter(|table| table.groups().contains_key(&group)) else {
            return self.env.schedule(self.env.time + PATIENCE, Event::Move(group, nodes));
        };
        let (copies, is_known) =
            (table.groups()[&group].copies as usize, table.options(group).nodes == nodes);
        if is_known && !nodes.is_empty() {
            return;
        }
        let ids = self.ids();
        while nodes.len() < copies.min(ids.len()) {
            nodes.insert(*self.env.dice.pick(&ids));
        }
        self.say(NodeId(0), &format!("{group} is moved to {nodes:?}"));
        let changes = OptionChanges { nodes: Some(nodes.clone()), ..OptionChanges::default() };
        self.operate(&Command::SetOptions { group, changes });
        self.env.schedule(self.env.time + PATIENCE, Event::Move(group, nodes));
    }
}
