//! All keys of a replica, with what makes them quick to find and to compare.
//!
//! Keys are in order of their *coordinates*: the slot of Redis Cluster, then a hash of the rest. So a slot is
//! a range, and so is any part of one, and all replicas have the same ranges, whatever their keys are called.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use onecopy_keyspace::slots::{SLOTS, slot_of};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::clock::Clock;
use crate::delta::Op;
use crate::dot::ReplicaId;
use crate::frozen::Frozen;
use crate::object::{By, Object};

/// How many bits of a coordinate are its slot.
const SLOT_BITS: u32 = SLOTS.trailing_zeros();

/// So many states are kept at most: who asks for another one ends the oldest, whose other side may be gone.
const FROZEN_MAX: usize = 4;

/// A key, in the order in which keys are kept and compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    coordinate: u64,
    db: u8,
    name: Bytes,
}

impl Key {
    /// A key of a database.
    #[must_use]
    pub fn new(db: u8, name: &[u8]) -> Self {
        Self::of(db, Bytes::copy_from_slice(name))
    }

    /// The same, of bytes that need not be copied.
    #[must_use]
    pub fn of(db: u8, name: Bytes) -> Self {
        let slot = slot_of(&name) as u64;
        let hash = xxh3_64_with_seed(&name, db.into());
        Self { coordinate: slot << (u64::BITS - SLOT_BITS) | hash >> SLOT_BITS, db, name }
    }

    /// Where it stands among all.
    #[must_use]
    pub fn coordinate(&self) -> u64 {
        self.coordinate
    }

    /// In which database it is.
    #[must_use]
    pub fn db(&self) -> u8 {
        self.db
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &Bytes {
        &self.name
    }

    /// The first key that may have a coordinate.
    pub(crate) fn first_at(coordinate: u64) -> Self {
        Self { coordinate, db: 0, name: Bytes::new() }
    }

    fn slot(&self) -> usize {
        // At most 14 bits.
        (self.coordinate >> (u64::BITS - SLOT_BITS)) as usize
    }

    fn hash(&self) -> u64 {
        xxh3_64_with_seed(&self.name, self.coordinate ^ u64::from(self.db) << 56)
    }
}

/// All keys of a replica.
#[derive(Clone, Debug)]
pub struct Store {
    objects: BTreeMap<Key, Object>,
    /// About how many bytes of memory they take.
    bytes: usize,
    /// The digests of the slots.
    sums: Vec<u64>,
    /// How many keys of each database show.
    visible: BTreeMap<u8, usize>,
    /// How many of them expire.
    expiring: BTreeMap<u8, usize>,
    /// When to look at which key's deadlines.
    look: BTreeSet<(u64, Key)>,
    /// Which keys have dead series of whom.
    dead: BTreeSet<(ReplicaId, Key)>,
    /// The state as it was when somebody began to compare it.
    frozen: BTreeMap<u64, Frozen>,
    frozen_next: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            bytes: 0,
            sums: vec![0; SLOTS],
            visible: BTreeMap::new(),
            expiring: BTreeMap::new(),
            look: BTreeSet::new(),
            dead: BTreeSet::new(),
            frozen: BTreeMap::new(),
            frozen_next: 0,
        }
    }
}

/// What is known of an object beyond itself.
fn accounts(object: Option<&Object>) -> (u64, bool, Option<u64>, BTreeSet<ReplicaId>) {
    object.map_or((0, false, None, BTreeSet::new()), |object| {
        (object.digest(), object.kind().is_some(), object.look_ms(), object.dead().collect())
    })
}

/// About how many bytes of memory a key takes with what it holds.
fn memory_of(key: &Key, object: &Object) -> usize {
    /// Where it lies among others, and the allocation of its name.
    const BESIDE: usize = size_of::<(Key, Object)>() * 4 / 3 + 48;
    if object.is_empty() { 0 } else { BESIDE + key.name.len() + object.memory() }
}

impl Store {
    /// What a key holds, if anything is kept of it.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key)
    }

    /// All keys of which something is kept.
    pub fn objects(&self) -> impl Iterator<Item = (&Key, &Object)> {
        self.objects.iter()
    }

    /// The keys from a coordinate on.
    pub(crate) fn from(&self, coordinate: u64) -> impl Iterator<Item = (&Key, &Object)> {
        self.objects.range(Key::first_at(coordinate)..)
    }

    /// How many keys of a database show.
    #[must_use]
    pub fn len_of(&self, db: u8) -> usize {
        self.visible.get(&db).copied().unwrap_or(0)
    }

    /// How many keys of a database expire.
    #[must_use]
    pub fn expiring_of(&self, db: u8) -> usize {
        self.expiring.get(&db).copied().unwrap_or(0)
    }

    /// The digest of each slot.
    #[must_use]
    pub fn slots(&self) -> &[u64] {
        &self.sums
    }

    /// The digest of everything.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.sums.iter().copied().fold(0, u64::wrapping_add)
    }

    /// The digest of everything, counted anew. Walks over all of it: for checks.
    #[must_use]
    pub fn recount(&self) -> u64 {
        let cells = |(key, object): (&Key, &Object)| -> u64 {
            let fresh = Object::new(key.hash());
            object.cells().map(|(place, cell)| fresh.digest_of(place, cell)).fold(0, u64::wrapping_add)
        };
        self.objects().map(cells).fold(0, u64::wrapping_add)
    }

    /// About how many bytes of memory all keys take.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.bytes as u64
    }

    /// Lets `edit` change what a key holds, and keeps account.
    pub(crate) fn edit<R>(&mut self, key: &Key, edit: impl FnOnce(&mut Object) -> R) -> R {
        self.frozen.values_mut().for_each(|frozen| frozen.keep(key, self.objects.get(key)));
        let object = self.objects.entry(key.clone()).or_insert_with(|| Object::new(key.hash()));
        let before = accounts(Some(object));
        let bytes_before = memory_of(key, object);
        let result = edit(object);
        let after = accounts(Some(object));
        self.bytes = self.bytes - bytes_before + memory_of(key, object);
        if object.is_empty() {
            self.objects.remove(key);
        }
        let sum = &mut self.sums[key.slot()];
        *sum = sum.wrapping_sub(before.0).wrapping_add(after.0);
        if before.1 != after.1 {
            let visible = self.visible.entry(key.db).or_default();
            *visible = *visible + usize::from(after.1) - usize::from(before.1);
        }
        if before.2.is_some() != after.2.is_some() {
            let expiring = self.expiring.entry(key.db).or_default();
            *expiring = *expiring + usize::from(after.2.is_some()) - usize::from(before.2.is_some());
        }
        if let Some(at_ms) = before.2.filter(|at_ms| after.2 != Some(*at_ms)) {
            self.look.remove(&(at_ms, key.clone()));
        }
        // Also where it is the same: what was looked at in vain may have come into force.
        after.2.map(|at_ms| self.look.insert((at_ms, key.clone())));
        for replica in before.3.difference(&after.3) {
            self.dead.remove(&(*replica, key.clone()));
        }
        for replica in after.3.difference(&before.3) {
            self.dead.insert((*replica, key.clone()));
        }
        result
    }

    /// Removes all keys of a database, as far as an update had seen them.
    pub(crate) fn flush(&mut self, db: u8, by: By<'_>) {
        let keys: Vec<Key> = self.objects.keys().filter(|key| key.db == db).cloned().collect();
        for key in keys {
            self.edit(&key, |object| object.apply(&Op::ClearKey, by));
        }
    }

    /// Keys whose deadlines must be looked at by now: the earliest, at most so many.
    pub(crate) fn to_look_at(&self, now_ms: u64, count_max: usize) -> Vec<Key> {
        let due = self.look.iter().take_while(|(at_ms, _)| *at_ms <= now_ms);
        due.take(count_max).map(|(_, key)| key.clone()).collect()
    }

    /// There is nothing to do at a key whose deadline has come: it covers nothing that shows.
    pub(crate) fn looked_at(&mut self, key: &Key) {
        if let Some(at_ms) = self.objects.get(key).and_then(Object::look_ms) {
            self.look.remove(&(at_ms, key.clone()));
        }
    }

    /// Keys with dead series of a replica, at most so many.
    pub(crate) fn dead_of(&self, replica: ReplicaId, count_max: usize) -> Vec<Key> {
        let all = self.dead.range((replica, Key::first_at(0))..);
        let own = all.take_while(|(other, _)| *other == replica);
        own.take(count_max).map(|(_, key)| key.clone()).collect()
    }

    /// Forgets the dead series of replicas that are over.
    pub(crate) fn fold(&mut self, clock: &Clock) {
        let over = self.dead.iter().filter(|(replica, _)| clock.is_folded(*replica));
        for key in over.map(|(_, key)| key.clone()).collect::<Vec<_>>() {
            self.edit(&key, |object| object.fold(clock));
        }
    }

    /// How many dead series, and how many deadlines to look at, are kept beside the data.
    #[must_use]
    pub fn beside(&self) -> usize {
        self.dead.len() + self.look.len()
    }

    /// Keeps the state as it is now, for those who compare with it, under the number that is returned.
    pub(crate) fn freeze(&mut self) -> u64 {
        self.frozen_next += 1;
        if self.frozen.len() >= FROZEN_MAX {
            self.frozen.pop_first();
        }
        self.frozen.insert(self.frozen_next, Frozen::new(self.sums.clone()));
        self.frozen_next
    }

    /// A state that was kept, unless too much has changed since.
    pub(crate) fn frozen(&self, number: u64) -> Option<&Frozen> {
        self.frozen.get(&number).filter(|frozen| !frozen.is_overgrown())
    }

    /// Nobody needs a state any more.
    pub(crate) fn thaw(&mut self, number: u64) {
        self.frozen.remove(&number);
    }
}
