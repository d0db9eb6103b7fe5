//! Databases that were dropped.
//!
//! Groups are numbered in a row, and no number is used again: a node that was away while a database was
//! dropped, and a new one created, must not take the log of the one for that of the other. So a group is gone
//! if its number was given and the table does not name it.

use std::collections::BTreeMap;

use onecopy_core::GroupId;
use serde::{Deserialize, Serialize};

use crate::command::Rejection;
use crate::database::MAIN;
use crate::table::Table;

/// So many names are remembered.
const REMEMBERED: usize = 1_000;

/// What the table remembers of groups that are gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Dropped {
    /// The last group that was created, or one before the last that there is.
    last: GroupId,
    /// The last ones, and what their databases were called: what settings still name is not created again.
    names: BTreeMap<GroupId, String>,
}

impl Dropped {
    /// A group was created.
    pub(crate) fn created(&mut self, group: GroupId, name: Option<&str>) {
        self.last = self.last.max(group);
        self.names.retain(|_, dropped| Some(dropped.as_str()) != name);
    }

    fn dropped(&mut self, group: GroupId, name: String) {
        self.names.insert(group, name);
        if self.names.len() > REMEMBERED {
            self.names.pop_first();
        }
    }
}

impl Table {
    /// The last group that was ever created. Groups before it that are not [there](Self::groups) are gone.
    #[must_use]
    pub fn last_group(&self) -> GroupId {
        // Tables of older versions do not say it, and know of no group that is gone.
        let last = self.groups().keys().next_back().copied().unwrap_or(GroupId(0));
        self.dropped.last.max(last)
    }

    /// Whether a database of this name was dropped, not long ago and by an operator.
    pub(crate) fn was_dropped(&self, name: &str) -> bool {
        self.dropped.names.values().any(|dropped| dropped == name)
    }

    /// The name is asked for as well as the group: whoever is wrong about one of them drops nothing.
    pub(crate) fn drop_database(&mut self, group: GroupId, name: &str) -> Result<(), Rejection> {
        if group == MAIN {
            return Err(Rejection::NotAllowed("main cannot be dropped: FLUSHALL empties it"));
        }
        if self.databases.get(&group).is_none_or(|database| database.name != name) {
            return Err(Rejection::NotAllowed("there is no such database"));
        }
        self.dropped.created(self.last_group(), None);
        self.dropped.dropped(group, name.to_owned());
        self.databases.remove(&group);
        self.rosters.remove(&group);
        self.options.remove(&group);
        self.switches.remove(&group);
        self.switched.remove(&group);
        self.copies.remove(&group);
        self.groups.remove(&group);
        Ok(())
    }
}
