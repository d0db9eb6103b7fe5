//! Who watches which keys: the memory of `WATCH`, on every copy.
//!
//! A watched key has no version. As in Redis' `watched_keys`, a watch is *registered* with the key, and
//! whoever changes the key takes all registrations off it. A transaction that is guarded by a watch is
//! executed if all its registrations still stand, and what was there still is: what expires, or is removed,
//! needs no hook at all, and what had expired already may be cleared away without anybody noticing. Where
//! nobody watches, a change costs the test of a flag.
//!
//! A watch that is not known, whatever became of it, guards nothing: its transaction is not executed. So it
//! may be forgotten at any time, at the price of an attempt. It is when its process is gone, and when there
//! is no room and it is [old](KEPT_MS).

use std::collections::{BTreeMap, BTreeSet};

use onecopy_core::{Incarnation, Timestamp};
use smallvec::SmallVec;

use crate::error::{CommandError, Outcome};

/// All watches together occupy at most so many bytes, and at most a quarter of what the whole state may.
const BYTES_MAX: u64 = 16 << 20;
/// And a single one so many.
const WATCH_BYTES_MAX: u64 = 1 << 20;
/// What a watch costs, and each of its keys beyond two copies of itself.
const WATCH_COST: u64 = 192;
const WATCHED_COST: u64 = 160;
/// Where there is no room, watches that are older than this, in milliseconds of entry time, make some.
const KEPT_MS: u64 = 60_000;

/// The name of a watch: it lasts from the first `WATCH` of a connection to its next `EXEC`, `DISCARD` or
/// `UNWATCH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId {
    /// The start of the process that the connection belongs to.
    pub process: Incarnation,
    /// Which one of that process. No number is given twice.
    pub number: u64,
}

type Key = Box<[u8]>;
/// The watches that have registered with a key. Most keys that are watched are watched by one.
pub(crate) type Registered = SmallVec<[WatchId; 1]>;

/// A watch, and what it saw.
#[derive(Debug)]
pub(crate) struct Watch {
    /// The time of the entry that began it.
    since: Timestamp,
    /// Its keys, with their databases; and whether they were there.
    keys: BTreeMap<(u8, Key), bool>,
}

/// All watches.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    watches: BTreeMap<WatchId, Watch>,
    by_age: BTreeSet<(Timestamp, WatchId)>,
    /// Who watches a key, of this database, and has not seen it change.
    registered: BTreeMap<u8, BTreeMap<Key, Registered>>,
    memory: u64,
}

impl Watches {
    pub(crate) fn is_empty(&self) -> bool {
        self.watches.is_empty()
    }

    pub(crate) fn memory(&self) -> u64 {
        self.memory
    }

    /// Lets a watch have some keys of a database: all of them or, if there is no room, none. `is_there` says
    /// of a key whether it exists. Those that it has already stay as they are, also if they have changed.
    /// Where the whole state is to occupy at most `memory_max` bytes (0: no limit), watches take a quarter of
    /// it.
    pub(crate) fn watch<'a>(
        &mut self,
        (id, clock): (WatchId, Timestamp),
        db: u8,
        keys: impl Iterator<Item = &'a [u8]> + Clone,
        is_there: impl Fn(&[u8]) -> bool,
        memory_max: u64,
    ) -> Outcome {
        let bytes_max = if memory_max == 0 { BYTES_MAX } else { BYTES_MAX.min(memory_max / 4) };
        let added: u64 = keys.clone().map(cost).sum();
        if self.watches.get(&id).map_or(WATCH_COST, Watch::memory) + added > WATCH_BYTES_MAX {
            return Err(CommandError::Other(
                "ERR too many keys are watched by this connection; EXEC, DISCARD or UNWATCH first",
            ));
        }
        while self.memory + WATCH_COST + added > bytes_max {
            let oldest = self.by_age.first().copied().filter(|(_, oldest)| *oldest != id);
            match oldest.filter(|(since, _)| clock.0.saturating_sub(since.0) >= KEPT_MS) {
                Some((_, oldest)) => {
                    self.end(oldest);
                }
                None => {
                    return Err(CommandError::Other(
                        "ERR too many keys are watched by all clients together; try again",
                    ));
                }
            }
        }
        for key in keys {
            self.add(id, clock, (db, key.into()), is_there(key), true);
        }
        Ok(())
    }

    /// Adds a key to a watch that does not have it, and perhaps a registration.
    fn add(&mut self, id: WatchId, since: Timestamp, of: (u8, Key), was_there: bool, stands: bool) -> bool {
        let watch = self.watches.entry(id).or_insert_with(|| {
            self.by_age.insert((since, id));
            self.memory += WATCH_COST;
            Watch { since, keys: BTreeMap::new() }
        });
        if watch.keys.contains_key(&of) {
            return false;
        }
        self.memory += cost(&of.1);
        if stands {
            self.registered.entry(of.0).or_default().entry(of.1.clone()).or_default().push(id);
        }
        watch.keys.insert(of, was_there);
        true
    }

    /// A key has changed: nobody's registration stands.
    pub(crate) fn touch(&mut self, db: u8, key: &[u8]) {
        let Some(keys) = self.registered.get_mut(&db) else { return };
        keys.remove(key);
        if keys.is_empty() {
            self.registered.remove(&db);
        }
    }

    /// Who has registered with a key.
    pub(crate) fn registered_with(&self, db: u8, key: &[u8]) -> Registered {
        let registered = self.registered.get(&db).and_then(|keys| keys.get(key));
        registered.cloned().unwrap_or_default()
    }

    /// A key that was [touched](Self::touch) is as it was: those who had registered with it have again.
    pub(crate) fn register_again(&mut self, db: u8, key: &[u8], registered: Registered) {
        if !registered.is_empty() {
            self.registered.entry(db).or_default().insert(key.into(), registered);
        }
    }

    /// Which keys of a database are registered.
    pub(crate) fn registered(&self, db: u8) -> impl Iterator<Item = &[u8]> {
        self.registered.get(&db).into_iter().flat_map(BTreeMap::keys).map(AsRef::as_ref)
    }

    /// Ends a watch. Whether everything is as it was when its keys were watched, if it is known; `is_there`
    /// says of a key of a database whether it exists.
    pub(crate) fn end_unchanged(&mut self, id: WatchId, is_there: impl Fn(u8, &[u8]) -> bool) -> bool {
        let Some(watch) = self.watches.get(&id) else { return false };
        let is_unchanged = watch
            .keys
            .iter()
            .all(|((db, key), was_there)| self.stands(id, *db, key) && (!was_there || is_there(*db, key)));
        self.end(id);
        is_unchanged
    }

    fn stands(&self, id: WatchId, db: u8, key: &[u8]) -> bool {
        let registered = self.registered.get(&db).and_then(|keys| keys.get(key));
        registered.is_some_and(|watches| watches.contains(&id))
    }

    /// Ends a watch; how many keys it had.
    pub(crate) fn end(&mut self, id: WatchId) -> usize {
        let Some(watch) = self.watches.remove(&id) else { return 0 };
        self.by_age.remove(&(watch.since, id));
        self.memory -= watch.memory();
        for (db, key) in watch.keys.keys() {
            let Some(watches) = self.registered.get_mut(db).and_then(|keys| keys.get_mut(key)) else {
                continue;
            };
            watches.retain(|watch| *watch != id);
            if watches.is_empty() {
                self.touch(*db, key);
            }
        }
        watch.keys.len()
    }

    /// Ends those of processes that are gone.
    pub(crate) fn retain(&mut self, is_known: impl Fn(Incarnation) -> bool) {
        let gone: Vec<WatchId> = self.watches.keys().filter(|id| !is_known(id.process)).copied().collect();
        for id in gone {
            self.end(id);
        }
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (WatchId, &Watch)> {
        self.watches.iter().map(|(id, watch)| (*id, watch))
    }

    /// What is to be known of a watch: its keys in order, and of each of them its database, whether it was
    /// there, and whether the registration stands.
    pub(crate) fn keys<'a>(
        &'a self,
        (id, watch): (WatchId, &'a Watch),
    ) -> impl ExactSizeIterator<Item = (u8, &'a [u8], bool, bool)> {
        let seen = move |((db, key), was_there): (&'a (u8, Key), &bool)| {
            (*db, key.as_ref(), *was_there, self.stands(id, *db, key))
        };
        watch.keys.iter().map(seen)
    }

    /// Adds to an image that is restored: a key of a watch, as [`keys`](Self::keys) has it. Whether it is
    /// new.
    pub(crate) fn restore(
        &mut self,
        (id, since): (WatchId, Timestamp),
        (db, key, was_there, stands): (u8, &[u8], bool, bool),
    ) -> bool {
        self.add(id, since, (db, key.into()), was_there, stands)
    }
}

impl Watch {
    pub(crate) fn since(&self) -> Timestamp {
        self.since
    }

    fn memory(&self) -> u64 {
        WATCH_COST + self.keys.keys().map(|(_, key)| cost(key)).sum::<u64>()
    }
}

/// What a watched key costs.
fn cost(key: &[u8]) -> u64 {
    WATCHED_COST + 2 * key.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> WatchId {
        WatchId { process: Incarnation(7), number }
    }

    /// Watches keys of database 0, none of which is there.
    fn watch(watches: &mut Watches, number: u64, clock: u64, keys: &[&str]) -> Outcome {
        let keys = keys.iter().map(|key| key.as_bytes());
        watches.watch((id(number), Timestamp(clock)), 0, keys, |_| false, 0)
    }

    fn end_unchanged(watches: &mut Watches, number: u64) -> bool {
        watches.end_unchanged(id(number), |_, _| false)
    }

    #[test]
    fn a_change_takes_all_registrations_off_a_key() {
        let mut watches = Watches::default();
        watch(&mut watches, 1, 0, &["a", "b"]).unwrap();
        watch(&mut watches, 2, 0, &["b"]).unwrap();
        watch(&mut watches, 3, 0, &["a"]).unwrap();
        watches.touch(1, b"a");
        watches.touch(0, b"b");
        let unchanged = [1, 2, 3].map(|number| end_unchanged(&mut watches, number));
        assert_eq!(unchanged, [false, false, true]);
        assert!(!end_unchanged(&mut watches, 3), "it has ended");
        assert!(watches.is_empty() && watches.registered.is_empty() && watches.by_age.is_empty());
        assert_eq!(watches.memory(), 0);
    }

    #[test]
    fn a_key_that_changed_stays_so_when_it_is_watched_again() {
        let mut watches = Watches::default();
        watch(&mut watches, 1, 0, &["a"]).unwrap();
        watches.touch(0, b"a");
        watch(&mut watches, 1, 0, &["a", "b"]).unwrap();
        assert!(!end_unchanged(&mut watches, 1));
    }

    #[test]
    fn what_was_there_must_still_be() {
        let mut watches = Watches::default();
        for number in [1, 2] {
            let keys = [b"a".as_slice()].into_iter();
            watches.watch((id(number), Timestamp(0)), 0, keys, |_| true, 0).unwrap();
        }
        assert!(watches.end_unchanged(id(1), |_, _| true));
        assert!(!watches.end_unchanged(id(2), |_, _| false), "it has expired");
    }

    #[test]
    fn a_watch_has_a_limit_and_all_of_them_have_one() {
        let mut watches = Watches::default();
        let long = "x".repeat(400 << 10);
        watch(&mut watches, 0, 0, &[&long]).unwrap();
        assert!(watch(&mut watches, 0, 0, &["y", &long]).is_err(), "even if it has the key already");
        assert_eq!(watches.watches[&id(0)].keys.len(), 1, "all or none");
        let refused = (1..100).find(|number| watch(&mut watches, *number, 0, &[&long]).is_err());
        assert!(refused.is_some_and(|number| number > 10));
        assert!(watches.memory() <= BYTES_MAX);
        assert!(watch(&mut watches, 200, KEPT_MS - 1, &[&long]).is_err());
        watch(&mut watches, 200, KEPT_MS, &[&long]).unwrap();
        assert!(!end_unchanged(&mut watches, 0), "the oldest has made room");
        assert!(end_unchanged(&mut watches, 1));
    }

    #[test]
    fn watches_of_processes_that_are_gone_end() {
        let mut watches = Watches::default();
        watch(&mut watches, 1, 0, &["a"]).unwrap();
        let other = WatchId { process: Incarnation(8), number: 1 };
        watches.watch((other, Timestamp(0)), 0, [b"a".as_slice()].into_iter(), |_| true, 0).unwrap();
        watches.retain(|process| process == Incarnation(8));
        assert!(!end_unchanged(&mut watches, 1));
        assert!(watches.end_unchanged(other, |_, _| true));
    }
}
