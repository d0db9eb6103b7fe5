//! The operator who drops a database, while others use it.

use onecopy_core::GroupId;
use onecopy_views::Command;

use crate::clock::{MS, Time};
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
                self.say(onecopy_core::NodeId(0), &format!("{group} is dropped"));
                self.operate(&Command::DropDatabase { group, name: database.name });
            }
        }
        self.env.schedule(self.env.time + PATIENCE, Event::Drop(group));
    }
}
