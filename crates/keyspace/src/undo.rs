//! What a script has changed, so that nothing of it is left if the script is stopped.
//!
//! Whoever is about to change a key remembers it here as it is, once; a database that is flushed is kept, and
//! freed later; and so on. To undo is to put all of that back, the latest first. Where a key stands in its
//! slot may be another place then: all copies agree about it, because all undo the same.
//!
//! What is remembered is bounded ([`UNDO_BYTES_MAX`]): who changes more is stopped.

use std::collections::BTreeSet;
use std::sync::Arc;

use onecopy_core::{Budget, Timestamp};

use crate::channels::Message;
use crate::database::{Database, Spot};
use crate::feeds::Item;
use crate::machine::Keyspace;
use crate::slot::New;
use crate::steps::{KEY, copying};
use crate::value::{Content, Value};
use crate::watches::Registered;

/// So many bytes of values are remembered for one script.
pub const UNDO_BYTES_MAX: u64 = 64 << 20;

/// One change.
#[derive(Debug)]
enum Change {
    /// What a key held, and when it expired; none if it did not exist.
    Key { db: u8, key: Box<[u8]>, before: Option<(Value, Option<Timestamp>)> },
    /// A database was flushed.
    Flushed { db: u8, database: Box<Database> },
    /// Two databases were swapped.
    Swapped(u8, u8),
    /// A watched key has changed, for those who had registered with it.
    Touched { db: u8, key: Box<[u8]>, registered: Registered },
    /// Something was published, and waits for the end of the script; where feeds have a limit, with that of
    /// the state.
    Published { message: Arc<Message>, memory_max: u64 },
}

/// The changes of one script.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    changes: Vec<Change>,
    /// The keys that are remembered as they were before the script, or before the last flush or swap.
    remembered: BTreeSet<(u8, Box<[u8]>)>,
    bytes: u64,
}

impl Journal {
    /// Whether more is remembered than may be.
    pub(crate) fn is_over(&self) -> bool {
        self.bytes > UNDO_BYTES_MAX
    }

    /// Whether nothing has changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    fn push(&mut self, change: Change, bytes: u64) {
        /// What it costs to remember anything.
        const CHANGE: u64 = 128;
        self.changes.push(change);
        self.bytes += CHANGE + bytes;
    }

    /// A key of a database is about to change.
    pub(crate) fn remember(
        &mut self,
        (db, database): (u8, &Database),
        (spot, key): (Spot, &[u8]),
        budget: Budget<'_>,
    ) {
        if !self.remembered.insert((db, key.into())) {
            return;
        }
        let before = database.object(spot).map(|object| (owned(object.value), object.expires));
        let bytes = before.as_ref().map_or(0, |(value, _)| value.content().memory());
        // A copy of a collection costs about as much for each of its bytes as one of a text for eight.
        let steps = copying(usize::try_from(bytes).unwrap_or(usize::MAX).saturating_mul(8));
        budget.charge(KEY + steps);
        budget.spend(KEY + steps);
        self.push(Change::Key { db, key: key.into(), before }, bytes + 2 * key.len() as u64);
    }

    /// A watched key changes.
    pub(crate) fn touched(&mut self, db: u8, key: &[u8], registered: Registered) {
        let bytes = key.len() as u64;
        self.push(Change::Touched { db, key: key.into(), registered }, bytes);
    }

    /// Something is published.
    pub(crate) fn published(&mut self, message: Arc<Message>, memory_max: u64) {
        let bytes = message.memory();
        self.push(Change::Published { message, memory_max }, bytes);
    }

    /// A database is flushed.
    pub(crate) fn flushed(&mut self, db: u8, database: Box<Database>) {
        self.remembered.clear();
        self.push(Change::Flushed { db, database }, 0);
    }

    /// Two databases are swapped.
    pub(crate) fn swapped(&mut self, first: u8, second: u8) {
        self.remembered.clear();
        self.push(Change::Swapped(first, second), 0);
    }

    /// All of it stays.
    pub(crate) fn keep(self, keyspace: &mut Keyspace, budget: Budget<'_>) {
        for change in self.changes {
            match change {
                Change::Key { db, before: Some((value, _)), .. } => keyspace.database_mut(db).discard(value),
                Change::Flushed { database, .. } => keyspace.let_go(*database),
                Change::Published { message, memory_max } => {
                    let (channels, rules) = (&mut keyspace.channels, keyspace.rules);
                    channels.publish(rules, &message, memory_max, |steps| budget.spend(steps));
                }
                Change::Key { .. } | Change::Swapped(..) | Change::Touched { .. } => {}
            }
        }
    }

    /// Nothing of it stays.
    pub(crate) fn undo(self, keyspace: &mut Keyspace, budget: Budget<'_>) {
        for change in self.changes.into_iter().rev() {
            budget.spend(KEY);
            match change {
                Change::Key { db, key, before } => {
                    let database = keyspace.database_mut(db);
                    let spot = database.locate(&key);
                    match before {
                        Some((value, expires)) => database.put(spot, &key, New::Value(value), expires),
                        None => {
                            database.remove(spot);
                        }
                    }
                }
                Change::Flushed { db, database } => {
                    if let Some(since) = keyspace.put_back(db, database) {
                        keyspace.let_go(*since);
                    }
                }
                Change::Published { .. } => {}
                Change::Swapped(first, second) => keyspace.databases.swap(first.into(), second.into()),
                Change::Touched { db, key, registered } => {
                    keyspace.watches.register_again(db, &key, registered);
                }
            }
        }
    }
}

/// A copy of what a key holds.
fn owned(content: Content<'_>) -> Value {
    match content {
        Content::Text(text) => Value::of_bytes(text.to_vec()),
        Content::List(list) => Value::List(list.clone()),
        Content::Hash(hash) => Value::Hash(hash.clone()),
        Content::Set(set) => Value::Set(set.clone()),
        Content::Zset(zset) => Value::Zset(zset.clone()),
        Content::Stream(stream) => Value::Stream(stream.clone()),
    }
}
