//! An update in the making: what its commands read and change, and the delta that comes of it.
//!
//! Each change is made at once, by the same functions that make it elsewhere, so that later commands of the
//! transaction see it, and so that it is the same here and there.

use bytes::Bytes;
use onecopy_keyspace::CommandError;

use crate::cell::Cell;
use crate::clock::Clock;
use crate::delta::{Change, DELTA_BYTES_MAX, Delta, Op, Put};
use crate::dot::{Dot, ReplicaId};
use crate::expiry::Deadline;
use crate::object::{By, Object};
use crate::place::{Kind, Place};
use crate::position::{Maker, Position};
use crate::random::Random;
use crate::replica::{Call, Replica};
use crate::stamp::{HybridClock, Stamp};
use crate::store::{Key, Store};

/// A step removes one deadline at least; more of them on one key than this are left for later.
const DEADLINES_MAX: usize = 64;

/// An update in the making.
pub(crate) struct Transaction<'a> {
    pub(crate) replica: &'a mut Replica,
    pub(crate) call: Call,
    dot: Dot,
    stamp: Stamp,
    /// The clock of stamps as it is once this update is made.
    hybrid: HybridClock,
    /// What the replica had seen, if its clock is not that any more: after a fold.
    context: Option<Clock>,
    changes: Vec<Change>,
    bytes: usize,
    /// How many positions of lists it has made.
    positions: u32,
    /// How often it has asked for random numbers.
    draws: u64,
}

impl<'a> Transaction<'a> {
    pub(crate) fn begin(replica: &'a mut Replica, call: Call) -> Self {
        let dot = Dot::new(replica.id, replica.clock.seen_of(replica.id).saturating_add(1));
        let mut hybrid = replica.hybrid;
        let stamp = hybrid.stamp(call.now, replica.id, replica.rules);
        Self {
            replica,
            call,
            dot,
            stamp,
            hybrid,
            context: None,
            changes: Vec::new(),
            bytes: 0,
            positions: 0,
            draws: 0,
        }
    }

    /// The delta, if something has changed.
    pub(crate) fn finish(self) -> Option<Delta> {
        if self.changes.is_empty() {
            return None;
        }
        let context = self.context.unwrap_or_else(|| self.replica.clock.clone());
        self.replica.hybrid = self.hybrid;
        self.replica.clock.add(self.dot);
        Some(Delta { dot: self.dot, context, stamp: self.stamp, changes: self.changes })
    }

    /// Whether all others take the replica for one that is over: nobody would show what it does.
    pub(crate) fn is_over(&self) -> bool {
        self.replica.clock.is_folded(self.dot.replica)
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.call.now.0
    }

    pub(crate) fn store(&self) -> &Store {
        &self.replica.store
    }

    pub(crate) fn key(&self, name: &[u8]) -> Key {
        Key::new(self.call.db, name)
    }

    /// What a key holds, if something shows.
    pub(crate) fn object(&self, key: &Key) -> Option<&Object> {
        self.store().get(key).filter(|object| object.kind().is_some())
    }

    /// What a key holds, which must show this type.
    pub(crate) fn read(&self, key: &Key, kind: Kind) -> Result<Option<&Object>, CommandError> {
        match self.object(key) {
            Some(object) if object.kind() != Some(kind) => Err(CommandError::WrongType),
            object => Ok(object),
        }
    }

    /// The string of a key.
    pub(crate) fn text(&self, key: &Key) -> Result<Option<Bytes>, CommandError> {
        let object = self.read(key, Kind::String)?;
        Ok(object.and_then(|object| object.cell(&Place::Whole)).and_then(Cell::text))
    }

    /// Random numbers for one command.
    pub(crate) fn random(&mut self) -> Random {
        self.draws += 1;
        Random::new(self.call.seed, self.draws)
    }

    /// Whether so many bytes more have room in the delta.
    pub(crate) fn afford(&self, bytes: usize) -> Result<(), CommandError> {
        match self.bytes.saturating_add(bytes) {
            ..=DELTA_BYTES_MAX => Ok(()),
            _ => Err(CommandError::Other("ERR the update would be too large to send; change less at a time")),
        }
    }

    /// Whether it has room for what a command writes, and for what it may remove of keys: each counter of a
    /// hash is named when it goes.
    pub(crate) fn afford_write<'k>(
        &self,
        args: &[&[u8]],
        keys: impl Iterator<Item = &'k Key>,
    ) -> Result<(), CommandError> {
        /// What a change takes beside its argument, at most.
        const CHANGE: usize = 48;
        /// Hashes with fewer fields have room in any case.
        const FIELDS_MIN: usize = 200_000;
        let written: usize = args.iter().map(|arg| arg.len() + CHANGE).sum();
        let large = keys.filter_map(|key| self.store().get(key));
        let large = large.filter(|object| object.len_of(Kind::Hash) >= FIELDS_MIN);
        let floors = |object: &Object| -> usize {
            Self::counted(object).iter().map(|place| place.size() + 2 * CHANGE).sum()
        };
        self.afford(large.map(floors).fold(written, usize::saturating_add))
    }

    /// Does something to a key.
    pub(crate) fn apply(&mut self, key: &Key, op: Op) {
        let Self { replica, dot, stamp, .. } = self;
        let clock = &replica.clock;
        let by = By { dot: *dot, stamp: *stamp, context: clock, clock, rules: replica.rules };
        replica.store.edit(key, |object| object.apply(&op, by));
        self.bytes += op.size();
        match self.changes.last_mut() {
            Some(Change::Key { db, name, ops }) if *db == key.db() && name == key.name() => ops.push(op),
            _ => {
                self.bytes += 8 + key.name().len();
                self.changes.push(Change::Key { db: key.db(), name: key.name().clone(), ops: vec![op] });
            }
        }
    }

    /// Puts something where nothing is, or beside what is there.
    pub(crate) fn put(&mut self, key: &Key, place: Place, put: Put) {
        self.apply(key, Op::Put(place, put));
    }

    /// Takes away everything that has been counted at a place.
    fn floor(&mut self, key: &Key, place: &Place) {
        let cell = self.store().get(key).and_then(|object| object.cell(place));
        for series in cell.map(|cell| cell.series().to_vec()).unwrap_or_default() {
            let (place, start) = (place.clone(), series.start);
            if !series.is_dead() {
                self.apply(key, Op::Floor { place, start, to: series.latest });
            } else if start.replica == self.dot.replica {
                self.apply(key, Op::End { place, start: start.counter });
            }
        }
    }

    /// Removes what stands at a place.
    pub(crate) fn clear(&mut self, key: &Key, place: &Place) {
        let cell = self.store().get(key).and_then(|object| object.cell(place));
        if cell.is_some_and(|cell| !cell.atoms().is_empty()) {
            self.apply(key, Op::Clear(place.clone()));
        }
        self.floor(key, place);
    }

    /// Replaces what stands at a place.
    pub(crate) fn replace(&mut self, key: &Key, place: Place, put: Put) {
        self.clear(key, &place);
        self.put(key, place, put);
    }

    /// Where something has been counted in a key.
    fn counted(object: &Object) -> Vec<Place> {
        let cells = object.cells().filter(|(_, cell)| !cell.series().is_empty());
        cells.map(|(place, _)| place.clone()).collect()
    }

    /// Removes what a key holds, with or without its expiry.
    fn clear_all(&mut self, key: &Key, op: Op) {
        let Some(object) = self.store().get(key) else { return };
        let counted = Self::counted(object);
        if object.cells().any(|(_, cell)| !cell.atoms().is_empty()) {
            self.apply(key, op);
        }
        counted.iter().for_each(|place| self.floor(key, place));
    }

    /// Removes a key; whether it showed.
    pub(crate) fn delete(&mut self, key: &Key) -> bool {
        let showed = self.object(key).is_some();
        self.clear_all(key, Op::ClearKey);
        showed
    }

    /// Replaces what a key holds by a string, without an expiry.
    pub(crate) fn store_text(&mut self, key: &Key, text: Bytes) {
        self.delete(key);
        self.put(key, Place::Whole, Put::Text(text));
    }

    /// Replaces what a key holds by a string, and lets the expiry be as it is.
    pub(crate) fn keep_text(&mut self, key: &Key, text: Bytes) {
        self.modify(key, |transaction| {
            transaction.clear_all(key, Op::ClearValue);
            transaction.put(key, Place::Whole, Put::Text(text));
        });
    }

    /// Lets `change` write to a key, whose expiry stays as it is: it is said anew for what was added, and
    /// goes with the last of what it was about.
    pub(crate) fn modify<R>(&mut self, key: &Key, change: impl FnOnce(&mut Self) -> R) -> R {
        let kept = self.object(key).and_then(Object::deadline);
        let result = change(self);
        let adds = |op: &Op| {
            matches!(op, Op::Put(place, _) if *place != Place::Expiry) || matches!(op, Op::Count { .. })
        };
        let added = match self.changes.last() {
            Some(Change::Key { db, name, ops }) => {
                *db == key.db() && name == key.name() && ops.iter().any(adds)
            }
            _ => false,
        };
        match (self.object(key).is_some(), kept) {
            (true, Some(kept)) if added && kept.at_ms.is_some() => {
                self.say(key, kept.at_ms, Some(kept.stamp))
            }
            (true, _) => {}
            (false, _) => self.clear(key, &Place::Expiry),
        }
        result
    }

    /// Gives a key an expiry, or none.
    pub(crate) fn say(&mut self, key: &Key, at_ms: Option<u64>, said: Option<Stamp>) {
        self.replace(key, Place::Expiry, Put::Deadline { at_ms, said });
    }

    /// The expiry of a key that is in force.
    pub(crate) fn deadline(&self, key: &Key) -> Option<Deadline> {
        self.object(key)?.deadline()
    }

    /// Counts at a place: goes on with the own series, or begins one.
    pub(crate) fn count(&mut self, key: &Key, place: Place, by: &crate::amount::Amount) {
        let me = self.dot.replica;
        let cell = self.store().get(key).and_then(|object| object.cell(&place));
        let own = cell.into_iter().flat_map(Cell::series).filter(|series| series.replica() == me);
        let own: Vec<_> = own.cloned().collect();
        for series in own.iter().filter(|series| series.is_dead()) {
            self.apply(key, Op::End { place: place.clone(), start: series.start.counter });
        }
        let live = own.iter().find(|series| !series.is_dead());
        let (start, amount) = match live {
            Some(series) => (series.start.counter, series.latest.amount.plus(by)),
            None => (self.dot.counter, by.clone()),
        };
        self.apply(key, Op::Count { place, start, amount });
    }

    /// The own part of a score, and what it would be with so much more.
    pub(crate) fn raise(&mut self, key: &Key, place: Place, base: Dot, by: f64) {
        let cell = self.store().get(key).and_then(|object| object.cell(&place));
        let own = cell.and_then(|cell| cell.part_of(base, self.dot.replica)).unwrap_or(0.0);
        self.apply(key, Op::Raise { place, base, score: crate::cell::sum_of(own, by) });
    }

    /// A new position in a list, between two others.
    pub(crate) fn position(&mut self, left: Option<&Position>, right: Option<&Position>) -> Position {
        let maker = Maker { dot: self.dot, ordinal: self.positions };
        self.positions += 1;
        Position::between(left, right, maker)
    }

    /// Removes what is due of a key.
    pub(crate) fn expire_key(&mut self, key: &Key) {
        for _ in 0..DEADLINES_MAX {
            let now_ms = self.now_ms();
            let Some(ops) = self.store().get(key).and_then(|object| object.due(now_ms)) else { break };
            ops.into_iter().for_each(|op| self.apply(key, op));
        }
    }

    /// Removes what is due, of at most so many keys.
    pub(crate) fn expire(&mut self, count_max: usize) {
        for key in self.store().to_look_at(self.now_ms(), count_max) {
            self.expire_key(&key);
            let is_due =
                self.store().get(&key).and_then(Object::look_ms).is_some_and(|at_ms| at_ms <= self.now_ms());
            if is_due {
                self.replica.store.looked_at(&key);
            }
        }
    }

    /// Ends own series that others have removed.
    pub(crate) fn end_dead(&mut self, count_max: usize) {
        for key in self.store().dead_of(self.dot.replica, count_max) {
            let me = self.dot.replica;
            let places = self.store().get(&key).map(|object| object.dead_of(me)).unwrap_or_default();
            for place in places {
                self.floor_dead(&key, &place);
            }
        }
    }

    fn floor_dead(&mut self, key: &Key, place: &Place) {
        let me = self.dot.replica;
        let cell = self.store().get(key).and_then(|object| object.cell(place));
        let dead = cell
            .into_iter()
            .flat_map(Cell::series)
            .filter(|series| series.is_dead() && series.replica() == me);
        for start in dead.map(|series| series.start.counter).collect::<Vec<_>>() {
            self.apply(key, Op::End { place: place.clone(), start });
        }
    }

    /// Removes all keys of a database.
    pub(crate) fn flush(&mut self, db: u8) -> Result<(), CommandError> {
        let keys = self.store().objects().filter(|(key, _)| key.db() == db);
        let counted: Vec<(Key, Vec<Place>)> = keys
            .map(|(key, object)| (key.clone(), Self::counted(object)))
            .filter(|(_, places)| !places.is_empty())
            .collect();
        let bytes = |(key, places): &(Key, Vec<Place>)| {
            key.name().len() + places.iter().map(|place| place.size() + 48).sum::<usize>()
        };
        self.afford(counted.iter().map(bytes).sum())?;
        if self.store().objects().any(|(key, _)| key.db() == db) {
            let Self { replica, dot, stamp, .. } = self;
            let clock = &replica.clock;
            let by = By { dot: *dot, stamp: *stamp, context: clock, clock, rules: replica.rules };
            replica.store.flush(db, by);
            self.changes.push(Change::Flush(db));
        }
        for (key, places) in counted {
            places.iter().for_each(|place| self.floor(&key, place));
        }
        Ok(())
    }

    /// Replicas are over.
    pub(crate) fn fold(&mut self, floor: ReplicaId, living: &[ReplicaId]) {
        // Who says so lives.
        let mut living = living.to_vec();
        living.push(self.dot.replica);
        living.sort_unstable();
        living.dedup();
        self.context = Some(self.replica.clock.clone());
        self.replica.clock.fold(floor, &living);
        let Replica { store, clock, .. } = &mut *self.replica;
        store.fold(clock);
        self.changes.push(Change::Fold { floor, living });
    }
}
