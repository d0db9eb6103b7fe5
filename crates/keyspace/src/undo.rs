//! What a script has changed, so that nothing of it is left if the script is stopped.
//!
//! Whoever is about to change a key says so here first. Of a small value a copy is kept, once. Of a large one
//! it is noted what takes each change back ([`Undo`]), and when it goes, it is kept itself: to push to a list
//! of a million elements costs what it costs outside of scripts. If more has been noted about a value than a
//! copy takes, a copy is kept instead. A database that is flushed is kept, and freed later; and so on.
//!
//! To undo is to put all of that back, the latest first. Where a key stands in its slot may be another place
//! then: all copies agree about it, because all undo the same.
//!
//! What is kept is bounded ([`UNDO_BYTES_MAX`]): who changes more is stopped. What was there before takes no
//! more memory than it did, so it does not count.

use std::collections::BTreeMap;
use std::sync::Arc;

use onecopy_core::{Budget, Timestamp};

use crate::channels::Message;
use crate::database::{Database, Spot};
use crate::feeds::Item;
use crate::machine::Keyspace;
use crate::seed::Seed;
use crate::slot::New;
use crate::steps::{KEY, copying};
use crate::value::{Content, Undo, Value};
use crate::watches::Registered;

/// So many bytes of values are kept for one script.
pub const UNDO_BYTES_MAX: u64 = 64 << 20;
/// A copy is kept of values of so many bytes.
const COPIED_MAX: u64 = 4096;

/// A key of a database.
type Name = (u8, Box<[u8]>);

/// One change.
#[derive(Debug)]
enum Change {
    /// Of a key.
    Key { name: Name, before: Before },
    /// What a key held was given to another one, which held nothing.
    Moved { from: Name, to: Name },
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

/// How a key was.
#[derive(Debug)]
enum Before {
    /// It did not exist.
    Absent,
    /// It held this, once what was noted is undone.
    Held { value: Value, noted: Option<Undo>, expires: Option<Timestamp> },
    /// It holds it still, once what was noted is undone.
    Holds { noted: Undo, expires: Option<Timestamp> },
}

/// The changes of one script.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    changes: Vec<Change>,
    /// For the keys that are remembered as they were before the script, or before the last flush, swap or
    /// move: which change says it.
    remembered: BTreeMap<Name, usize>,
    bytes: u64,
}

/// To keep so many bytes of a value costs about as much as to copy as many of a text eight times.
fn keeping(bytes: u64) -> usize {
    copying(usize::try_from(bytes).unwrap_or(usize::MAX).saturating_mul(8))
}

fn pay(steps: usize, budget: Budget<'_>) {
    budget.charge(steps);
    budget.spend(steps);
}

impl Journal {
    /// Whether more is kept than may be.
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
        let name: Name = (db, key.into());
        if self.remembered.contains_key(&name) {
            return;
        }
        self.remembered.insert(name.clone(), self.changes.len());
        let object = database.object(spot);
        let bytes = object.map_or(0, |object| object.value.memory());
        let kept = if bytes <= COPIED_MAX { bytes } else { 0 };
        let before = object.map_or(Before::Absent, |object| match object.value {
            value if bytes <= COPIED_MAX => {
                Before::Held { value: value.copy(Budget::ENDLESS), noted: None, expires: object.expires }
            }
            value => Before::Holds { noted: Undo::of(value), expires: object.expires },
        });
        pay(KEY + keeping(kept), budget);
        self.push(Change::Key { name, before }, kept + 2 * key.len() as u64);
    }

    fn before_mut(&mut self, db: u8, key: &[u8]) -> Option<&mut Before> {
        match self.changes.get_mut(*self.remembered.get(&(db, key.into()))?)? {
            Change::Key { before, .. } => Some(before),
            _ => None,
        }
    }

    /// What is noted about a key whose changes are to be noted one by one.
    pub(crate) fn noted(&mut self, db: u8, key: &[u8]) -> Option<&mut Undo> {
        match self.before_mut(db, key)? {
            Before::Holds { noted, .. } => Some(noted),
            Before::Absent | Before::Held { .. } => None,
        }
    }

    /// The value of a key has been changed, about which so many bytes had been noted.
    pub(crate) fn changed(
        &mut self,
        (db, key): (u8, &[u8]),
        noted_before: u64,
        value: Content<'_>,
        seed: Seed,
        budget: Budget<'_>,
    ) {
        let Some(before) = self.before_mut(db, key) else { return };
        let Before::Holds { noted, expires } = before else { return };
        let (mut bytes, memory) = (noted.bytes(), value.memory());
        pay(keeping(bytes.saturating_sub(noted_before)), budget);
        if bytes > memory.max(COPIED_MAX) {
            budget.charge(keeping(memory) + keeping(bytes));
            let mut copy = value.copy(budget);
            let noted = std::mem::replace(noted, Undo::of(copy.content()));
            noted.undo(&mut copy, seed, &mut |steps| budget.spend(steps));
            bytes = copy.content().memory();
            *before = Before::Held { value: copy, noted: None, expires: *expires };
        }
        self.bytes = self.bytes + bytes - noted_before;
    }

    /// What a key held is not there any more. Returns it if it is not kept.
    pub(crate) fn gone(&mut self, db: u8, key: &[u8], value: Value) -> Option<Value> {
        match self.before_mut(db, key)? {
            Before::Absent | Before::Held { .. } => Some(value),
            before @ Before::Holds { .. } => {
                if let Before::Holds { noted, expires } = std::mem::replace(before, Before::Absent) {
                    *before = Before::Held { value, noted: Some(noted), expires };
                }
                None
            }
        }
    }

    /// What a key held was given to another one.
    pub(crate) fn moved(&mut self, from: (u8, &[u8]), to: (u8, &[u8])) {
        self.remembered.clear();
        let bytes = (from.1.len() + to.1.len()) as u64;
        self.push(Change::Moved { from: (from.0, from.1.into()), to: (to.0, to.1.into()) }, bytes);
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
            budget.spend(1);
            match change {
                Change::Key { name: (db, _), before } => {
                    let database = keyspace.database_mut(db);
                    let (value, noted) = match before {
                        Before::Absent => (None, None),
                        Before::Held { value, noted, .. } => (Some(value), noted),
                        Before::Holds { noted, .. } => (None, Some(noted)),
                    };
                    value.into_iter().for_each(|value| database.discard(value));
                    noted.into_iter().for_each(|noted| noted.keep(&mut |value| database.discard(value)));
                }
                Change::Flushed { database, .. } => keyspace.let_go(*database),
                Change::Published { message, memory_max } => {
                    let (channels, rules) = (&mut keyspace.channels, keyspace.rules);
                    channels.publish(rules, &message, memory_max, |steps| budget.spend(steps));
                }
                Change::Moved { .. } | Change::Swapped(..) | Change::Touched { .. } => {}
            }
        }
    }

    /// Nothing of it stays.
    pub(crate) fn undo(self, keyspace: &mut Keyspace, budget: Budget<'_>) {
        let seed = keyspace.seed;
        for change in self.changes.into_iter().rev() {
            budget.spend(KEY);
            match change {
                Change::Key { name: (db, key), before } => {
                    before.undo(keyspace.database_mut(db), &key, seed, budget);
                }
                Change::Moved { from, to } => {
                    let database = keyspace.database_mut(to.0);
                    let taken = database.take(database.locate(&to.1));
                    let (value, expires) = taken.expect("what was moved there is there");
                    let database = keyspace.database_mut(from.0);
                    database.put(database.locate(&from.1), &from.1, New::Value(value), expires);
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

impl Before {
    /// Has a key as it was.
    fn undo(self, database: &mut Database, key: &[u8], seed: Seed, budget: Budget<'_>) {
        let spot = database.locate(key);
        let step = &mut |steps| budget.spend(steps);
        match self {
            Self::Absent => drop(database.remove(spot)),
            Self::Held { mut value, noted, expires } => {
                noted.into_iter().for_each(|noted| noted.undo(&mut value, seed, step));
                database.put(spot, key, New::Value(value), expires);
            }
            Self::Holds { noted, expires } => {
                database.change(spot, |value| noted.undo(value, seed, step));
                database.set_expiry(spot, expires);
            }
        }
    }
}
