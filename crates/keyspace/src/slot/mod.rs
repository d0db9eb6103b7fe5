//! How the keys of a database are kept.
//!
//! A *run* is 128 slots, one after the other. What their keys need is kept together:
//!
//! - [`arena`]: keys, short strings and integers, as [`record`]s of bytes;
//! - [`values`]: collections and long strings, which have no place in an arena;
//! - for each slot its [`keys`], which say where each record lies, and, once a key of the slot expires, its
//!   [`expiries`].
//!
//! A key of 16 bytes with a value of as many costs 35 bytes of record, 5 for its place, 2 for its tag, and 8
//! if it expires. To find it, a processor looks at the tags, at one place, and at the record.
//!
//! An arena for each slot would hold half a segment that nobody uses in each of them, and one for the whole
//! database would scatter what an image reads together.

pub(crate) mod arena;
pub(crate) mod blocks;
pub(crate) mod deadlines;
pub(crate) mod expiries;
pub(crate) mod keys;
pub(crate) mod marks;
pub(crate) mod record;
pub(crate) mod values;
mod view;

use std::cell::{Cell, OnceCell};
use std::hint::black_box;

use onecopy_core::Timestamp;

use self::arena::{Arena, Place};
use self::expiries::{Expiries, number_of};
use self::keys::Keys;
use self::marks::Marks;
use self::record::Payload;
use self::values::Values;
pub(crate) use self::view::SlotView;
use crate::eviction::Mark;
use crate::seed::Seed;
use crate::slots::slot_of;
use crate::trash::Trash;
use crate::value::{Content, Text, Value};

/// So many slots are kept together.
pub(crate) const RUN: usize = 128;
/// Longer strings lie beside their records.
pub(crate) const INLINE_MAX: usize = 1024;
/// So many bytes come from memory at once.
const CACHE_LINE: usize = 64;
/// To free a segment of an arena is as much work as to free so many elements.
const SEGMENT_COST: usize = 16;

/// A key and what it holds, lent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: Content<'a>,
    pub(crate) expires: Option<Timestamp>,
}

impl Object<'_> {
    /// Whether it is absent at `clock`, although it may still be there.
    pub(crate) fn is_expired(&self, clock: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= clock)
    }
}

/// What a key is to hold.
#[derive(Debug)]
pub(crate) enum New<'a> {
    Text(Text<'a>),
    Value(Value),
}

/// One slot.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    keys: Keys,
    expiries: Option<Box<Expiries>>,
}

/// Some slots, and what their keys hold.
#[derive(Debug)]
pub(crate) struct Run {
    seed: Seed,
    arena: Arena,
    values: Values,
    slots: Vec<Slot>,
    /// How many keys there are.
    length: usize,
    /// When they were used, if somebody has wanted to know. No part of the state.
    marks: OnceCell<Box<Marks>>,
}

impl Run {
    pub(crate) fn new(seed: Seed) -> Self {
        let mut slots = Vec::new();
        slots.resize_with(RUN, Slot::default);
        Self {
            seed,
            arena: Arena::default(),
            values: Values::default(),
            slots,
            length: 0,
            marks: OnceCell::new(),
        }
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// How many keys a slot has.
    pub(crate) fn keys(&self, slot: usize) -> usize {
        self.slots[slot].keys.len()
    }

    /// The position of a key with this hash.
    pub(crate) fn find(&self, slot: usize, hash: u64, key: &[u8]) -> Option<usize> {
        self.slots[slot].keys.find(hash, |place| record::key(self.arena.at(place)) == key)
    }

    /// Has the tags and places of a slot in the cache.
    pub(crate) fn touch_slot(&self, slot: usize) {
        self.slots[slot].keys.touch();
    }

    /// Where a key with this hash lies, as far as that can be told without a look at the record.
    pub(crate) fn likely_place(&self, slot: usize, hash: u64) -> Option<Place> {
        self.slots[slot].keys.likely_place(hash)
    }

    /// Has a record in the cache, or the beginning of it.
    pub(crate) fn touch_record(&self, place: Place) {
        let bytes = self.arena.at(place);
        black_box((bytes.first().copied(), bytes.get(CACHE_LINE).copied()));
    }

    /// What is at a position.
    pub(crate) fn object(&self, slot: usize, position: usize) -> Option<Object<'_>> {
        let Slot { keys, expiries } = &self.slots[slot];
        let bytes = self.arena.at(keys.place(position)?);
        let parts = record::parse(bytes);
        let value = match parts.payload(bytes) {
            Payload::Bytes(bytes) => Content::Text(Text::Raw(bytes)),
            Payload::Integer(number) => Content::Text(Text::Integer(number)),
            Payload::Beside(number) => self.values.get(number)?.content(),
        };
        let expires = expiries.as_ref().and_then(|expiries| expiries.get(position));
        Some(Object { key: &bytes[parts.key], value, expires })
    }

    /// The value at a position, if it lies beside.
    pub(crate) fn value_mut(&mut self, slot: usize, position: usize) -> Option<&mut Value> {
        let bytes = self.arena.at(self.slots[slot].keys.place(position)?);
        match record::parse(bytes).payload(bytes) {
            Payload::Beside(number) => self.values.get_mut(number),
            Payload::Bytes(_) | Payload::Integer(_) => None,
        }
    }

    fn append(&mut self, key: &[u8], payload: Payload<'_>) -> Place {
        self.arena.append(payload.record_size(key), |out| payload.write(key, out))
    }

    /// Calls `then` with what goes into the record of a new value, once it has been put beside if it must be.
    fn with_payload<R>(&mut self, new: New<'_>, then: impl FnOnce(&mut Self, Payload<'_>) -> R) -> R {
        match new {
            New::Text(Text::Integer(number)) | New::Value(Value::Integer(number)) => {
                then(self, Payload::Integer(number))
            }
            New::Text(Text::Raw(bytes)) if bytes.len() <= INLINE_MAX => then(self, Payload::Bytes(bytes)),
            New::Value(Value::Raw(bytes)) if bytes.len() <= INLINE_MAX => then(self, Payload::Bytes(&bytes)),
            New::Text(Text::Raw(bytes)) => {
                let number = self.values.put(Value::Raw(bytes.to_vec()));
                then(self, Payload::Beside(number))
            }
            New::Value(value) => {
                let number = self.values.put(value);
                then(self, Payload::Beside(number))
            }
        }
    }

    /// Adds a key that is not there.
    pub(crate) fn insert(&mut self, slot: usize, hash: u64, key: &[u8], new: New<'_>) -> usize {
        let place = self.with_payload(new, |run, payload| run.append(key, payload));
        let Self { seed, arena, slots, .. } = self;
        let hash_of = |place: Place| seed.hash(record::key(arena.at(place)));
        let Slot { keys, expiries } = &mut slots[slot];
        let position = keys.push(hash, place, hash_of);
        if let Some(expiries) = expiries {
            expiries.push(number_of(None), 0);
        }
        if let Some(marks) = self.marks.get_mut() {
            marks.push(slot, Mark::default());
        }
        self.length += 1;
        self.clean();
        position
    }

    /// Puts something else in the place of what a key holds; what lay beside, if something did.
    pub(crate) fn replace(
        &mut self,
        slot: usize,
        position: usize,
        key: &[u8],
        new: New<'_>,
    ) -> Option<Value> {
        let place = self.slots[slot].keys.place(position)?;
        let bytes = self.arena.at(place);
        let parts = record::parse(bytes);
        let old = match parts.payload(bytes) {
            Payload::Beside(number) => self.values.take(number),
            Payload::Bytes(_) | Payload::Integer(_) => None,
        };
        self.with_payload(new, |run, payload| {
            if !payload.overwrite(&parts, run.arena.at_mut(place)) {
                run.arena.remove(place, parts.size);
                let place = run.append(key, payload);
                run.slots[slot].keys.set_place(position, place);
            }
        });
        self.clean();
        old
    }

    /// Removes a key, which has this hash; the last one takes its position. What lay beside, if something
    /// did.
    pub(crate) fn remove(&mut self, slot: usize, position: usize, hash: u64, clock: u64) -> Option<Value> {
        let place = self.slots[slot].keys.place(position)?;
        let bytes = self.arena.at(place);
        let parts = record::parse(bytes);
        let value = match parts.payload(bytes) {
            Payload::Beside(number) => self.values.take(number),
            Payload::Bytes(_) | Payload::Integer(_) => None,
        };
        let Self { seed, arena, slots, .. } = self;
        let Slot { keys, expiries } = &mut slots[slot];
        keys.swap_remove(position, hash, |place| seed.hash(record::key(arena.at(place))));
        if let Some(some) = expiries {
            some.swap_remove(position, clock);
            if some.count() == 0 {
                *expiries = None;
            }
        }
        arena.remove(place, parts.size);
        if let Some(marks) = self.marks.get_mut() {
            marks.swap_remove(slot, position);
        }
        self.length -= 1;
        self.clean();
        value
    }

    /// The hash of the key at a position, which must exist.
    pub(crate) fn hash(&self, slot: usize, position: usize) -> u64 {
        let place = self.slots[slot].keys.place(position);
        place.map_or(0, |place| self.seed.hash(record::key(self.arena.at(place))))
    }

    /// Evacuates a segment of the arena, if one has too many holes.
    fn clean(&mut self) {
        let Some((segment, bytes)) = self.arena.evacuate() else { return };
        for (before, record) in Arena::records(segment, &bytes) {
            let key = record::key(record);
            let (slot, hash) = (slot_of(key) % RUN, self.seed.hash(key));
            let position = self.slots[slot].keys.find(hash, |place| place == before);
            let position = position.expect("a record that is not removed belongs to a key");
            let place = self.arena.append(record.len(), |out| out.extend_from_slice(record));
            self.slots[slot].keys.set_place(position, place);
        }
    }

    /// When the key at a position expires.
    pub(crate) fn expiry(&self, slot: usize, position: usize) -> Option<Timestamp> {
        self.slots[slot].expiries.as_ref()?.get(position)
    }

    /// The expiries of a slot in which some key expires.
    pub(crate) fn expiries(&self, slot: usize) -> Option<&Expiries> {
        self.slots[slot].expiries.as_deref()
    }

    pub(crate) fn expiries_mut(&mut self, slot: usize) -> Option<&mut Expiries> {
        self.slots[slot].expiries.as_deref_mut()
    }

    /// Says when a key expires.
    pub(crate) fn set_expiry(&mut self, slot: usize, position: usize, time: u64, clock: u64) {
        let Slot { keys, expiries } = &mut self.slots[slot];
        match expiries {
            None if time == number_of(None) => return,
            None => {
                expiries.insert(Box::new(Expiries::of(keys.len()))).set(position, time, clock);
            }
            Some(some) => some.set(position, time, clock),
        }
        if expiries.as_ref().is_some_and(|expiries| expiries.count() == 0) {
            *expiries = None;
        }
    }

    /// The mark of the key at a position.
    pub(crate) fn mark(&self, slot: usize, position: usize) -> Option<&Cell<Mark>> {
        let unknown = || Box::new(Marks::unknown((0..RUN).map(|slot| self.keys(slot))));
        self.marks.get_or_init(unknown).get(slot, position)
    }

    /// Nobody wants to know when keys were used, or it begins anew.
    pub(crate) fn forget_marks(&mut self) {
        self.marks.take();
    }

    /// Frees about `count` elements of a run that nobody uses any more; how many. Large values are put into
    /// `trash`. When there are none left, it may be dropped.
    pub(crate) fn shed(&mut self, count: usize, trash: &mut Trash) -> usize {
        let mut freed = 0;
        while freed < count {
            if let Some(cell) = self.values.shed() {
                freed += 1;
                cell.into_iter().for_each(|value| trash.put(value));
            } else if self.arena.shed() {
                freed += SEGMENT_COST;
            } else if self.slots.pop().is_some() {
                freed += 1;
            } else {
                break;
            }
        }
        freed
    }
}
