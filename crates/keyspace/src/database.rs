//! One database: keys in slots, their expiries in order, and what they occupy.
//!
//! # Slots
//!
//! There is a table for each of the 16,384 slots of Redis Cluster ([`slots`](crate::slots)). So the order of
//! `SCAN`, `KEYS` and `RANDOMKEY` is the same on every replica whatever its seed, and a cursor of `SCAN`
//! survives a failover. Within a slot, the table is a hash table with the keyed hash: nobody can choose keys
//! that collide there. Who crowds one slot makes the image copy that slot in one step, and nothing else.
//!
//! # Point-in-time images
//!
//! While an image is being made, the database knows which of its slots the image already has. Every mutation
//! goes through [`Database::slot_mut`], which serializes a slot that the image does not have yet before it
//! lets anybody change it. What was serialized that way waits in [`Imaging::saved`].

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use onecopy_core::Timestamp;
use smallvec::SmallVec;

use crate::image::{Part, encode};
use crate::seed::Seed;
use crate::slots::{SLOTS, slot_of};
use crate::trash::Trash;
use crate::value::{EXPIRY_COST, KEY_COST, Value};

/// The keys of so many slots, one after the other, are counted together.
const RUN: usize = 128;
/// A slot that could hold four times as many keys as it has gives memory back, if they are so many.
const SLACK_MIN: usize = 16;

/// A key's value and expiry.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) value: Value,
    pub(crate) expires: Option<Timestamp>,
}

impl Object {
    /// Whether it is absent at `clock`, although it may still be there.
    pub(crate) fn is_expired(&self, clock: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= clock)
    }

    /// What the key and this object occupy together.
    pub(crate) fn memory(&self, key: &[u8]) -> u64 {
        let expiry = if self.expires.is_some() { EXPIRY_COST + key.len() as u64 } else { 0 };
        KEY_COST + key.len() as u64 + self.value.memory() + expiry
    }
}

/// A key. Most are short enough to lie within the table itself: one less cache miss for each command.
pub(crate) type Key = SmallVec<[u8; 24]>;

/// One of the tables.
pub(crate) type Slot = IndexMap<Key, Object, Seed>;

/// What an image in the making has of a database.
#[derive(Debug)]
pub(crate) struct Imaging {
    /// The number that the database had when the image was begun.
    pub(crate) number: u8,
    /// Whether the image has a slot.
    has: Vec<bool>,
    /// The image has all slots before this one.
    next: usize,
    /// Shards that were serialized because they were about to change.
    pub(crate) saved: Part,
}

/// One of the numbered databases.
#[derive(Debug)]
pub(crate) struct Database {
    seed: Seed,
    slots: Vec<Option<Box<Slot>>>,
    /// One bit per slot: whether it has a key.
    occupied: Vec<u64>,
    /// How many keys each [run](RUN) of slots has.
    runs: Vec<usize>,
    length: usize,
    expiries: BTreeSet<(Timestamp, Box<[u8]>)>,
    /// How many keys expire at each time.
    expiring_at: BTreeMap<Timestamp, usize>,
    memory: u64,
    /// Large values that were removed.
    trash: Trash,
    imaging: Option<Box<Imaging>>,
}

impl Database {
    pub(crate) fn new(seed: Seed) -> Self {
        let mut slots = Vec::new();
        slots.resize_with(SLOTS, || None);
        Self {
            seed,
            slots,
            occupied: vec![0; SLOTS / 64],
            runs: vec![0; SLOTS / RUN],
            length: 0,
            expiries: BTreeSet::new(),
            expiring_at: BTreeMap::new(),
            memory: 0,
            trash: Trash::default(),
            imaging: None,
        }
    }

    /// How many keys there are, with those that have expired but are still there.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// How many keys have expired but are still there.
    pub(crate) fn expired(&self, clock: Timestamp) -> usize {
        self.expiring_at.range(..=clock).map(|(_, count)| count).sum()
    }

    /// How many keys have an expiry.
    pub(crate) fn expiring(&self) -> usize {
        self.expiries.len()
    }

    pub(crate) fn memory(&self) -> u64 {
        self.memory
    }

    /// The earliest expiry that `clock` has not reached.
    pub(crate) fn due(&self, clock: Timestamp) -> Option<Timestamp> {
        self.expiring_at.range(Timestamp(clock.0.saturating_add(1))..).next().map(|(expires, _)| *expires)
    }

    /// Whether a key has expired, but is still there.
    pub(crate) fn has_expired(&self, clock: Timestamp) -> bool {
        self.expiring_at.first_key_value().is_some_and(|(expires, _)| *expires <= clock)
    }

    /// The key with this number, counted through all slots in order.
    pub(crate) fn nth(&self, mut number: usize) -> Option<(&Key, &Object)> {
        let mut run = 0;
        while number >= *self.runs.get(run)? {
            number -= self.runs[run];
            run += 1;
        }
        for slot in run * RUN..(run + 1) * RUN {
            let Some(slot) = self.slot(slot) else { continue };
            match slot.get_index(number) {
                Some(found) => return Some(found),
                None => number -= slot.len(),
            }
        }
        None
    }

    /// A slot, if it has ever had a key.
    pub(crate) fn slot(&self, slot: usize) -> Option<&Slot> {
        self.slots.get(slot).and_then(Option::as_deref)
    }

    /// The first slot from `from` on that has a key.
    pub(crate) fn occupied_slot(&self, from: usize) -> Option<usize> {
        let word = *self.occupied.get(from / 64)? & u64::MAX << (from % 64);
        if word != 0 {
            return Some(from / 64 * 64 + word.trailing_zeros() as usize);
        }
        let next = from / 64 + 1 + self.occupied[from / 64 + 1..].iter().position(|word| *word != 0)?;
        Some(next * 64 + self.occupied[next].trailing_zeros() as usize)
    }

    /// The slots that have keys, in order.
    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        let numbers = std::iter::successors(self.occupied_slot(0), |last| self.occupied_slot(last + 1));
        numbers.filter_map(|number| self.slot(number))
    }

    /// A slot, to change it. An image in the making gets it as it was first.
    fn slot_mut(&mut self, index: usize) -> &mut Slot {
        let seed = self.seed;
        if let Some(imaging) = &mut self.imaging
            && !imaging.has[index]
        {
            imaging.has[index] = true;
            if let Some(slot) = &self.slots[index] {
                encode::slot(imaging.number, slot, &mut imaging.saved);
            }
        }
        self.slots[index].get_or_insert_with(|| Box::new(Slot::with_hasher(seed)))
    }

    /// A key's object, expired or not.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Object> {
        self.slots[slot_of(key)].as_ref()?.get(key)
    }

    /// Lets `change` have a key's object; `None` if the key is absent at `clock`. Removes the key if it had
    /// expired, or if the change leaves a collection without elements.
    pub(crate) fn modify<R>(
        &mut self,
        key: &[u8],
        clock: Timestamp,
        change: impl FnOnce(&mut Object) -> R,
    ) -> Option<R> {
        let index = slot_of(key);
        // Nothing to change: the image need not be disturbed.
        self.slots[index].as_ref()?;
        let object = self.slot_mut(index).get_mut(key)?;
        if object.is_expired(clock) {
            self.delete(key, clock);
            return None;
        }
        let memory_before = object.memory(key);
        let expires_before = object.expires;
        let result = change(object);
        let memory_after = object.memory(key);
        let expires_after = object.expires;
        let gone = object.value.is_gone();
        self.memory = self.memory + memory_after - memory_before;
        if expires_before != expires_after {
            self.reindex(key, expires_before, expires_after);
        }
        if gone {
            self.remove(key);
        }
        Some(result)
    }

    fn reindex(&mut self, key: &[u8], before: Option<Timestamp>, after: Option<Timestamp>) {
        if let Some(expires) = before
            && self.expiries.remove(&(expires, key.into()))
            && let Some(count) = self.expiring_at.get_mut(&expires)
        {
            *count -= 1;
            if *count == 0 {
                self.expiring_at.remove(&expires);
            }
        }
        if let Some(expires) = after
            && self.expiries.insert((expires, key.into()))
        {
            *self.expiring_at.entry(expires).or_default() += 1;
        }
    }

    /// Sets a key, whatever it was before.
    pub(crate) fn insert(&mut self, key: &[u8], object: Object) {
        let memory_after = object.memory(key);
        let expires_after = object.expires;
        let index = slot_of(key);
        self.occupied[index / 64] |= 1 << (index % 64);
        let slot = self.slot_mut(index);
        let before = match slot.get_mut(key) {
            Some(place) => Some(std::mem::replace(place, object)),
            None => {
                slot.insert(Key::from_slice(key), object);
                None
            }
        };
        let (memory_before, expires_before) = match &before {
            Some(before) => (before.memory(key), before.expires),
            None => {
                self.length += 1;
                self.runs[index / RUN] += 1;
                (0, None)
            }
        };
        before.into_iter().for_each(|before| self.trash.put(before.value));
        self.memory = self.memory + memory_after - memory_before;
        if expires_before != expires_after {
            self.reindex(key, expires_before, expires_after);
        }
    }

    /// Removes a key; its object, expired or not.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Object> {
        let index = slot_of(key);
        self.slots[index].as_ref()?;
        let slot = self.slot_mut(index);
        let object = slot.swap_remove(key)?;
        if slot.is_empty() {
            self.occupied[index / 64] &= !(1 << (index % 64));
            self.slots[index] = None;
        } else if slot.capacity() > SLACK_MIN && slot.len() < slot.capacity() / 4 {
            slot.shrink_to(slot.len() * 2);
        }
        self.length -= 1;
        self.runs[index / RUN] -= 1;
        self.memory -= object.memory(key);
        self.reindex(key, object.expires, None);
        Some(object)
    }

    /// Removes a key for good: if its value is large, it is freed bit by bit. Whether the key was there at
    /// `clock`.
    pub(crate) fn delete(&mut self, key: &[u8], clock: Timestamp) -> bool {
        let Some(object) = self.remove(key) else { return false };
        let was_there = !object.is_expired(clock);
        self.trash.put(object.value);
        was_there
    }

    /// Removes keys that have expired, at most `count_max`; how many.
    pub(crate) fn remove_expired(&mut self, clock: Timestamp, count_max: usize) -> usize {
        let mut count = 0;
        while count < count_max
            && let Some((expires, key)) = self.expiries.first()
            && *expires <= clock
        {
            let key = key.clone();
            self.delete(&key, clock);
            assert!(
                self.expiries.first().is_none_or(|(_, first)| *first != key),
                "the index agrees with the tables"
            );
            count += 1;
        }
        count
    }

    /// Frees up to `count` elements of values that were removed; how many.
    pub(crate) fn tidy(&mut self, count: usize) -> usize {
        self.trash.free(count)
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
            let (keys, expiries) = (self.dismantle_slot(), self.expiries.pop_first());
            self.expiring_at.pop_first();
            if freed + keys == 0 && expiries.is_none() && self.slots.is_empty() {
                return false;
            }
            count = count.saturating_sub(freed + keys + 1);
        }
        true
    }

    /// Frees the last slot, but for its large values; how many keys it had.
    fn dismantle_slot(&mut self) -> usize {
        let Some(slot) = self.slots.pop().flatten() else { return 0 };
        let keys = slot.len();
        slot.into_iter().for_each(|(_, object)| self.trash.put(object.value));
        keys
    }

    /// Begins to give its slots to an image, as they are now.
    pub(crate) fn begin_imaging(&mut self, number: u8) {
        let has = vec![false; SLOTS];
        self.imaging = Some(Box::new(Imaging { number, has, next: 0, saved: Part::default() }));
    }

    /// Whether an image still needs something from it.
    pub(crate) fn is_imaging(&self) -> bool {
        self.imaging.is_some()
    }

    /// The image is given up.
    pub(crate) fn stop_imaging(&mut self) {
        self.imaging = None;
    }

    /// Appends the next part of the image to `out`; whether there was one.
    pub(crate) fn image_next(&mut self, out: &mut Part) -> bool {
        let Some(mut imaging) = self.imaging.take() else { return false };
        if !imaging.saved.bytes.is_empty() {
            out.take(&mut imaging.saved);
            self.imaging = Some(imaging);
            return true;
        }
        // A slot that has no key now had none when the image was begun, or the image has it.
        while let Some(index) = self.occupied_slot(imaging.next) {
            imaging.next = index + 1;
            if std::mem::replace(&mut imaging.has[index], true) {
                continue;
            }
            if let Some(slot) = self.slot(index) {
                encode::slot(imaging.number, slot, out);
                self.imaging = Some(imaging);
                return true;
            }
        }
        false
    }
}
