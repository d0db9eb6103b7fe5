//! One database: keys in slots, what expires next, and what they occupy.
//!
//! # Slots
//!
//! Keys belong to the 16,384 slots of Redis Cluster ([`slots`](crate::slots)), and are kept by them
//! ([`slot`](crate::slot)). So the order of `SCAN`, `KEYS` and `RANDOMKEY` is the same on every replica
//! whatever its seed, and a cursor of `SCAN` survives a failover. Within a slot, keys have positions, and are
//! found by a keyed hash: nobody can choose keys that collide there. Who puts everything under one hash tag
//! crowds one slot, and pays no more for it: whatever is done to a slot is done to one block of its keys at a
//! time.
//!
//! # Expiry
//!
//! Each slot knows its next expiry, and the database the next of all slots. When time passes
//! ([`Database::advance`]), the keys that expire by that are counted; they are removed later, a few with each
//! entry, in an order that depends on nothing but slots and positions.

mod drawing;
mod imaging;
mod spot;

use onecopy_core::{Budget, Timestamp};

pub(crate) use self::drawing::Place;
use self::imaging::Imaging;
pub(crate) use self::spot::{Hashed, Spot};
use crate::eviction::Mark;
use crate::seed::Seed;
use crate::slot::blocks::BLOCK;
use crate::slot::deadlines::{Bits, Deadlines, NEVER};
use crate::slot::expiries::number_of;
use crate::slot::{INLINE_MAX, New, Object, RUN, Run, SlotView};
use crate::slots::{SLOTS, slot_of};
use crate::trash::Trash;
use crate::value::{Content, EXPIRY_COST, KEY_COST, Value};

/// What a key and what it holds occupy together.
pub(crate) fn memory_of(key: &[u8], value: Content<'_>, expires: bool) -> u64 {
    KEY_COST + key.len() as u64 + value.memory() + if expires { EXPIRY_COST } else { 0 }
}

impl Object<'_> {
    /// What it occupies.
    pub(crate) fn memory(&self) -> u64 {
        memory_of(self.key, self.value, self.expires.is_some())
    }
}

/// One of the numbered databases.
#[derive(Debug)]
pub(crate) struct Database {
    seed: Seed,
    runs: Vec<Option<Box<Run>>>,
    /// The slots that have keys.
    occupied: Bits,
    length: usize,
    /// The time up to which expired keys have been counted.
    clock: u64,
    /// How many keys have an expiry, and how many of these have expired.
    expiring: usize,
    expired: usize,
    /// One group for each slot.
    deadlines: Deadlines,
    memory: u64,
    /// Large values that were removed.
    trash: Trash,
    imaging: Option<Box<Imaging>>,
    /// The mark of new keys, if somebody wants to know when keys are used.
    fresh: Option<Mark>,
}

impl Database {
    /// A database without keys, at `clock`.
    pub(crate) fn new(seed: Seed, clock: Timestamp) -> Self {
        let mut runs = Vec::new();
        runs.resize_with(SLOTS / RUN, || None);
        let mut database = Self {
            seed,
            runs,
            occupied: Bits::default(),
            length: 0,
            clock: 0,
            expiring: 0,
            expired: 0,
            deadlines: Deadlines::default(),
            memory: 0,
            trash: Trash::default(),
            imaging: None,
            fresh: None,
        };
        database.advance(clock, Budget::ENDLESS);
        database
    }

    /// How many keys there are, with those that have expired but are still there.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// How many keys have expired but are still there.
    pub(crate) fn expired(&self) -> usize {
        self.expired
    }

    /// How many keys have an expiry.
    pub(crate) fn expiring(&self) -> usize {
        self.expiring
    }

    pub(crate) fn memory(&self) -> u64 {
        self.memory
    }

    /// The earliest expiry that is still to come.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        Some(self.deadlines.next()).filter(|next| *next != NEVER).map(Timestamp)
    }

    /// The key with this number, counted through all slots in order.
    pub(crate) fn nth(&self, mut number: usize) -> Option<Object<'_>> {
        for run in self.runs.iter().flatten() {
            if number >= run.len() {
                number -= run.len();
                continue;
            }
            for slot in 0..RUN {
                match run.object(slot, number) {
                    Some(found) => return Some(found),
                    None => number -= run.keys(slot),
                }
            }
        }
        None
    }

    /// A slot that has keys.
    pub(crate) fn slot(&self, slot: usize) -> Option<SlotView<'_>> {
        let run = self.runs.get(slot / RUN)?.as_deref()?;
        let view = run.view(slot % RUN);
        (view.len() > 0).then_some(view)
    }

    /// The first slot from `from` on that has a key.
    pub(crate) fn occupied_slot(&self, from: usize) -> Option<usize> {
        self.occupied.next(from)
    }

    /// All keys in order, slot by slot.
    pub(crate) fn objects(&self) -> impl Iterator<Item = Object<'_>> {
        let numbers = std::iter::successors(self.occupied_slot(0), |last| self.occupied_slot(last + 1));
        let slots = numbers.filter_map(|number| self.slot(number));
        slots.flat_map(|slot| (0..slot.len()).filter_map(move |position| slot.at(position)))
    }

    /// Calls `each` with every block: its slot and number, and the slot.
    pub(crate) fn each_block(&self, mut each: impl FnMut((usize, usize), SlotView<'_>)) {
        let numbers = std::iter::successors(self.occupied_slot(0), |last| self.occupied_slot(last + 1));
        for (number, slot) in numbers.filter_map(|number| Some((number, self.slot(number)?))) {
            (0..slot.len().div_ceil(BLOCK)).for_each(|block| each((number, block), slot));
        }
    }

    /// Hashes a key.
    pub(crate) fn hashed<'a>(&self, key: &'a [u8]) -> Hashed<'a> {
        Hashed { key, slot: slot_of(key), hash: self.seed.hash(key) }
    }

    /// Where a key is.
    pub(crate) fn locate(&self, key: &[u8]) -> Spot {
        self.locate_hashed(None, key)
    }

    /// The same, with what was hashed before, if it is this key.
    pub(crate) fn locate_hashed(&self, hashed: Option<Hashed<'_>>, key: &[u8]) -> Spot {
        let hashed = hashed.filter(|hashed| hashed.is_of(key));
        let Hashed { slot, hash, .. } = hashed.unwrap_or_else(|| self.hashed(key));
        let run = self.runs[slot / RUN].as_ref();
        Spot { slot, hash, position: run.and_then(|run| run.find(slot % RUN, hash, key)) }
    }

    /// Some slots, with this one among them, if one of them has keys.
    pub(crate) fn run_of(&self, slot: usize) -> Option<&Run> {
        self.runs[slot / RUN].as_deref()
    }

    /// What is at a spot, expired or not.
    pub(crate) fn object(&self, spot: Spot) -> Option<Object<'_>> {
        self.runs[spot.slot / RUN].as_ref()?.object(spot.slot % RUN, spot.position?)
    }

    /// What a key holds, expired or not.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Object<'_>> {
        self.object(self.locate(key))
    }

    fn run_mut(&mut self, slot: usize) -> &mut Run {
        let seed = self.seed;
        self.runs[slot / RUN].get_or_insert_with(|| Box::new(Run::new(seed)))
    }

    /// A slot's expiries have changed: by how many keys, compared with `before`.
    fn account_expiries(&mut self, slot: usize, before: (usize, usize)) {
        let after = self.expiries_of(slot);
        self.expiring = self.expiring + after.0 - before.0;
        self.expired = self.expired + after.1 - before.1;
        if after.0 > 0 || before.0 > 0 {
            let run = self.runs[slot / RUN].as_ref();
            let next = run.and_then(|run| run.expiries(slot % RUN)).map_or(NEVER, |expiries| expiries.next());
            self.deadlines.put(slot, next, after.1 > 0);
        }
    }

    /// How many keys of a slot expire, and how many of these have expired.
    fn expiries_of(&self, slot: usize) -> (usize, usize) {
        let expiries = self.runs[slot / RUN].as_ref().and_then(|run| run.expiries(slot % RUN));
        expiries.map_or((0, 0), |expiries| (expiries.count(), expiries.expired()))
    }

    /// Lets what is at a spot expire at another time, or never.
    pub(crate) fn set_expiry(&mut self, spot: Spot, expires: Option<Timestamp>) {
        let Some(position) = spot.position else { return };
        let before = self.object(spot).and_then(|object| object.expires);
        if before == expires {
            return;
        }
        self.before_change(spot.slot, position);
        self.put_expiry(spot.slot, position, expires);
        match (before, expires) {
            (None, Some(_)) => self.memory += EXPIRY_COST,
            (Some(_), None) => self.memory -= EXPIRY_COST,
            _ => {}
        }
    }

    fn put_expiry(&mut self, slot: usize, position: usize, expires: Option<Timestamp>) {
        let clock = self.clock;
        let run = self.run_mut(slot);
        if run.expiry(slot % RUN, position) != expires {
            let before = self.expiries_of(slot);
            self.run_mut(slot).set_expiry(slot % RUN, position, number_of(expires), clock);
            self.account_expiries(slot, before);
        }
    }

    /// Puts something at a spot, whatever is there.
    pub(crate) fn put(&mut self, spot: Spot, key: &[u8], new: New<'_>, expires: Option<Timestamp>) {
        let old = self.exchange(spot, key, new, expires);
        old.into_iter().for_each(|old| self.trash.put(old));
    }

    /// The same; returns what was there, if it lay beside its key.
    pub(crate) fn exchange(
        &mut self,
        spot: Spot,
        key: &[u8],
        new: New<'_>,
        expires: Option<Timestamp>,
    ) -> Option<Value> {
        let Spot { slot, hash, .. } = spot;
        let memory_after = match &new {
            New::Text(text) => memory_of(key, Content::Text(*text), expires.is_some()),
            New::Value(value) => memory_of(key, value.content(), expires.is_some()),
        };
        let memory_before = self.object(spot).map_or(0, |object| object.memory());
        let mut old = None;
        let position = if let Some(position) = spot.position {
            self.before_change(slot, position);
            old = self.run_mut(slot).replace(slot % RUN, position, key, new);
            position
        } else {
            self.before_change(slot, usize::MAX);
            self.occupied.put(slot, true);
            self.length += 1;
            let position = self.run_mut(slot).insert(slot % RUN, hash, key, new);
            self.mark_new(slot, position);
            position
        };
        self.put_expiry(slot, position, expires);
        self.memory = self.memory + memory_after - memory_before;
        old
    }

    /// Lets `change` have the value at a spot, if it is one that lies beside: a collection, or a long string.
    /// Removes the key if the change leaves a collection without elements.
    pub(crate) fn change<R>(&mut self, spot: Spot, change: impl FnOnce(&mut Value) -> R) -> Option<R> {
        let (slot, position) = (spot.slot, spot.position?);
        self.before_change(slot, position);
        let value = self.run_mut(slot).value_mut(slot % RUN, position)?;
        let memory_before = value.content().memory();
        let result = change(value);
        let (memory_after, is_gone) = (value.content().memory(), value.content().is_gone());
        self.memory = self.memory + memory_after - memory_before;
        if is_gone {
            self.remove(spot);
        }
        Some(result)
    }

    /// Removes what is at a spot; whether something was, expired or not. If it is large, it is freed bit by
    /// bit.
    pub(crate) fn remove(&mut self, spot: Spot) -> bool {
        let value = self.take_beside(spot);
        let was_there = value.is_some();
        value.flatten().into_iter().for_each(|value| self.trash.put(value));
        was_there
    }

    /// Lets go of what is in no key any more, bit by bit if it is large.
    pub(crate) fn discard(&mut self, value: Value) {
        self.trash.put(value);
    }

    /// Removes what is at a spot, and gives it away.
    pub(crate) fn take(&mut self, spot: Spot) -> Option<(Value, Option<Timestamp>)> {
        let object = self.object(spot)?;
        let expires = object.expires;
        // A long one lies beside.
        let text = object.value.text().filter(|text| text.len() <= INLINE_MAX);
        let text = text.map(|text| Value::of_bytes(text.to_vec()));
        let beside = self.take_beside(spot)?;
        Some((beside.or(text)?, expires))
    }

    /// Removes what is at a spot; if something was there, what of it lay beside its key, which is not freed.
    pub(crate) fn take_beside(&mut self, spot: Spot) -> Option<Option<Value>> {
        let (Spot { slot, hash, .. }, position) = (spot, spot.position?);
        self.memory -= self.object(spot)?.memory();
        let last = self.slot(slot)?.len() - 1;
        self.before_change(slot, position);
        self.before_change(slot, last);
        let (before, clock) = (self.expiries_of(slot), self.clock);
        let run = self.runs[slot / RUN].as_mut()?;
        let beside = run.remove(slot % RUN, position, hash, clock);
        self.account_expiries(slot, before);
        self.length -= 1;
        if last == 0 {
            self.occupied.put(slot, false);
        }
        if self.runs[slot / RUN].as_ref().is_some_and(|run| run.len() == 0) {
            self.runs[slot / RUN] = None;
        }
        Some(beside)
    }

    /// Lets time pass. Many keys that expire at the same moment are counted bit by bit.
    pub(crate) fn advance(&mut self, clock: Timestamp, budget: Budget<'_>) {
        // No time is as late as never.
        let clock = clock.0.min(NEVER - 1);
        while let Some(slot) = self.deadlines.due(clock) {
            let run = self.runs[slot / RUN].as_mut().expect("a slot in which something expires has keys");
            let expiries = run.expiries_mut(slot % RUN).expect("and expiries");
            self.expired += expiries.advance(self.clock, clock, budget);
            self.deadlines.put(slot, expiries.next(), expiries.expired() > 0);
        }
        self.clock = self.clock.max(clock);
    }

    /// Removes keys that have expired, at most `count_max`; how many. `each` hears of every one before.
    pub(crate) fn remove_expired(&mut self, count_max: usize, mut each: impl FnMut(&[u8])) -> usize {
        for count in 0..count_max {
            let Some(slot) = self.deadlines.leftover() else { return count };
            let run = self.runs[slot / RUN].as_ref().expect("a slot with expired keys has keys");
            let position = run.expiries(slot % RUN).and_then(|expiries| expiries.leftover(self.clock));
            let position = position.expect("the index agrees with the slots");
            let hash = run.hash(slot % RUN, position);
            if let Some(object) = run.object(slot % RUN, position) {
                each(object.key);
            }
            self.remove(Spot { slot, hash, position: Some(position) });
        }
        count_max
    }

    /// Frees up to `count` elements of values that were removed; how many.
    pub(crate) fn tidy(&mut self, count: usize) -> usize {
        self.trash.free(count)
    }

    /// How many removed values wait to be freed.
    pub(crate) fn trash_count(&self) -> usize {
        self.trash.len()
    }

    /// Whether removed values wait to be freed.
    pub(crate) fn has_trash(&self) -> bool {
        !self.trash.is_empty()
    }

    /// Frees up to about `count` keys and elements of a database that nobody uses any more. Whether there are
    /// more.
    pub(crate) fn dismantle(&mut self, mut count: usize) -> bool {
        while count > 0 {
            let freed = self.trash.free(count);
            let Some(run) = self.runs.last_mut() else {
                if freed == 0 {
                    return false;
                }
                count -= freed;
                continue;
            };
            let shed = run.as_mut().map_or(0, |run| run.shed(count, &mut self.trash));
            if shed == 0 {
                self.runs.pop();
            }
            count = count.saturating_sub(freed + shed + 1);
        }
        true
    }
}

#[cfg(test)]
mod tests;
