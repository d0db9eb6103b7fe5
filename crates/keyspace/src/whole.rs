//! What happens to databases as a whole, and who hears of it: expiry, flushing, swapping.

use onecopy_core::{ApplyContext, Rule};

use crate::database::Database;
use crate::machine::Keyspace;
use crate::watches::WatchId;

impl Keyspace {
    /// Removes keys that have expired, and says so, if somebody wants to know. How many more may be removed.
    pub(crate) fn remove_expired(&mut self, context: &ApplyContext<'_>, mut left: usize) -> usize {
        let (notifies, wanted) = (self.notifies(), left);
        let (mut expired, tracking) = (Vec::new(), &mut self.tracking);
        let tracks = !tracking.is_empty();
        for (database, number) in self.databases.iter_mut().zip(0u8..) {
            let Some(database) = database else { continue };
            left -= database.remove_expired(left, |key| {
                if notifies {
                    expired.push((number, Box::<[u8]>::from(key)));
                }
                if tracks {
                    tracking.change(key);
                }
            });
            if left == 0 {
                break;
            }
        }
        expired.iter().for_each(|(db, key)| self.notify_expired(context, *db, key));
        self.counts.expired += (wanted - left) as u64;
        left
    }

    /// Empties a database.
    pub(crate) fn flush(&mut self, number: u8) {
        self.tracking.change_everything();
        let Some(database) = self.databases.get_mut(usize::from(number)).and_then(Option::take) else {
            return;
        };
        self.waiters.signal_all(number);
        match &mut self.journal {
            Some(journal) => journal.flushed(number, database),
            None => self.let_go(*database),
        }
    }

    /// A database is of no more use, but for an image in the making.
    pub(crate) fn let_go(&mut self, database: Database) {
        match &mut self.image {
            Some(image) => image.detach(database),
            None => self.flushed.push(database),
        }
    }

    /// Puts a database in the place of another one.
    pub(crate) fn put_back(&mut self, number: u8, database: Box<Database>) -> Option<Box<Database>> {
        self.databases[usize::from(number)].replace(database)
    }

    /// Swaps two databases. Whoever watches a key that is in one of them sees it change.
    pub(crate) fn swap(&mut self, first: u8, second: u8) {
        if first == second {
            return;
        }
        self.tracking.change_everything();
        for db in [first, second] {
            let is_there = |key: &&[u8]| self.is_there(first, key) || self.is_there(second, key);
            let changed: Vec<Vec<u8>> =
                self.watches.registered(db).filter(is_there).map(<[u8]>::to_vec).collect();
            changed.iter().for_each(|key| self.touch(db, key));
            self.waiters.signal_all(db);
        }
        self.databases.swap(first.into(), second.into());
        if let Some(journal) = &mut self.journal {
            journal.swapped(first, second);
        }
    }

    /// A key changes that somebody may watch.
    pub(crate) fn touch(&mut self, db: u8, key: &[u8]) {
        if self.rules.hold(Rule::WatchedKeys) {
            if let Some(journal) = &mut self.journal {
                journal.touched(db, key, self.watches.registered_with(db, key));
            }
            self.watches.touch(db, key);
        }
    }

    pub(crate) fn is_there(&self, db: u8, key: &[u8]) -> bool {
        let object = self.database(db).and_then(|database| database.get(key));
        object.is_some_and(|object| !object.is_expired(self.clock))
    }

    /// Ends a watch. Whether it is known, and nothing that it watches has changed.
    pub(crate) fn end_watch(&mut self, watch: WatchId) -> bool {
        let mut watches = std::mem::take(&mut self.watches);
        let is_unchanged = watches.end_unchanged(watch, |db, key| self.is_there(db, key));
        self.watches = watches;
        is_unchanged
    }
}
