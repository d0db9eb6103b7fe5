//! A large collection: the names of its elements and what belongs to each, as records in an arena.
//!
//! It is kept as the keys of a slot are ([`slot`](crate::slot)): elements have positions, in order of
//! insertion, where a removed one is replaced by the last; they are found by tags, or by an index once there
//! are many. No step is longer than a thousand elements, however many there are.

use crate::seed::Seed;
use crate::slot::arena::{Arena, Place};
use crate::slot::keys::Keys;
use crate::slot::record::{self, Payload};

/// The elements.
#[derive(Clone, Debug)]
pub(crate) struct Dict {
    seed: Seed,
    arena: Arena,
    keys: Keys,
    /// The bytes of all names.
    names: u64,
}

impl Dict {
    pub(crate) fn new(seed: Seed) -> Self {
        Self { seed, arena: Arena::default(), keys: Keys::default(), names: 0 }
    }

    /// The same again, in pieces. `step` hears of the steps of each.
    pub(crate) fn copy(&self, step: &mut dyn FnMut(usize)) -> Self {
        let (arena, keys) = (self.arena.copy(step), self.keys.copy(step));
        Self { seed: self.seed, arena, keys, names: self.names }
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The bytes of all names.
    pub(crate) fn names(&self) -> u64 {
        self.names
    }

    fn position_of(&self, hash: u64, name: &[u8]) -> Option<usize> {
        self.keys.find(hash, |place| record::key(self.arena.at(place)) == name)
    }

    /// The position of an element.
    pub(crate) fn position(&self, name: &[u8]) -> Option<usize> {
        self.position_of(self.seed.hash(name), name)
    }

    /// The element at a position.
    pub(crate) fn at(&self, position: usize) -> Option<(&[u8], Payload<'_>)> {
        let bytes = self.arena.at(self.keys.place(position)?);
        let parts = record::parse(bytes);
        Some((&bytes[parts.key.clone()], parts.payload(bytes)))
    }

    /// What belongs to an element.
    pub(crate) fn get(&self, name: &[u8]) -> Option<Payload<'_>> {
        self.at(self.position(name)?).map(|(_, payload)| payload)
    }

    /// Adds an element behind the others, unless it is there; its position if it was.
    pub(crate) fn insert_new(&mut self, name: &[u8], payload: Payload<'_>) -> Option<usize> {
        let hash = self.seed.hash(name);
        let found = self.position_of(hash, name);
        if found.is_none() {
            let Self { seed, arena, keys, .. } = self;
            let place = arena.append(payload.record_size(name), |out| payload.write(name, out));
            keys.push(hash, place, |place| seed.hash(record::key(arena.at(place))));
            self.names += name.len() as u64;
            self.clean();
        }
        found
    }

    /// Gives something else to the element at a position.
    pub(crate) fn set(&mut self, position: usize, payload: Payload<'_>) {
        let Some(place) = self.keys.place(position) else { return };
        let parts = record::parse(self.arena.at(place));
        if payload.overwrite(&parts, self.arena.at_mut(place)) {
            return;
        }
        let name = self.arena.at(place)[parts.key.clone()].to_vec();
        self.arena.remove(place, parts.size);
        let place = self.arena.append(payload.record_size(&name), |out| payload.write(&name, out));
        self.keys.set_place(position, place);
        self.clean();
    }

    /// Removes the element at a position; the last one takes its place.
    pub(crate) fn remove_at(&mut self, position: usize) {
        let Some(place) = self.keys.place(position) else { return };
        let Self { seed, arena, keys, .. } = self;
        let hash_of = |place: Place| seed.hash(record::key(arena.at(place)));
        keys.swap_remove(position, hash_of(place), hash_of);
        let parts = record::parse(arena.at(place));
        self.names -= parts.key.len() as u64;
        self.arena.remove(place, parts.size);
        self.clean();
    }

    /// Lets the element at a position and the last one change places.
    pub(crate) fn swap_with_last(&mut self, position: usize) {
        let Self { seed, arena, keys, .. } = self;
        keys.swap_with_last(position, |place| seed.hash(record::key(arena.at(place))));
    }

    /// Evacuates a segment of the arena, if one has too many holes.
    fn clean(&mut self) {
        let Some((segment, bytes)) = self.arena.evacuate() else { return };
        for (before, record) in Arena::records(segment, &bytes) {
            let position = self.keys.find(self.seed.hash(record::key(record)), |place| place == before);
            let position = position.expect("a record that is not removed belongs to an element");
            let place = self.arena.append(record.len(), |out| out.extend_from_slice(record));
            self.keys.set_place(position, place);
        }
    }

    /// The elements by their positions.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], Payload<'_>)> {
        self.iter_from(0)
    }

    /// The elements from a position on.
    pub(crate) fn iter_from(&self, position: usize) -> impl Iterator<Item = (&[u8], Payload<'_>)> {
        (position..self.len()).filter_map(|position| self.at(position))
    }

    /// Drops up to about `count` elements at the end, of a collection that nobody uses any more; how many.
    pub(crate) fn shed(&mut self, count: usize) -> usize {
        let before = self.len();
        let left = before.saturating_sub(count);
        self.keys.shed(left);
        if left == 0 {
            self.arena = Arena::default();
        } else {
            // About as large a share of the arena.
            self.arena.shed_share(left, before);
        }
        before - left
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What an arena of records does, against a vector: few elements, and thousands.
    fn compare(seed: u64, names: u64, steps: usize) {
        let mut dict = Dict::new(Seed([seed, 1]));
        let mut model: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut at: std::collections::HashMap<Vec<u8>, usize> = std::collections::HashMap::new();
        let mut random = seed;
        let mut below = |bound: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % bound
        };
        for step in 0..steps {
            let name = below(names).to_string().into_bytes();
            let value = vec![step as u8; below(if step % 50 == 0 { 9_000 } else { 30 }) as usize];
            let known = at.get(&name).copied();
            assert_eq!(dict.position(&name), known);
            match (below(if step < steps / 2 { 3 } else { 6 }), known) {
                (0 | 1, None) => {
                    assert_eq!(dict.insert_new(&name, Payload::Bytes(&value)), None);
                    at.insert(name.clone(), model.len());
                    model.push((name, value));
                }
                (0 | 1, Some(position)) => {
                    assert_eq!(dict.insert_new(&name, Payload::Bytes(b"not this")), Some(position));
                    dict.set(position, Payload::Bytes(&value));
                    model[position].1 = value;
                }
                (_, Some(position)) => {
                    dict.remove_at(position);
                    model.swap_remove(position);
                    at.remove(&name);
                    if let Some((moved, _)) = model.get(position) {
                        at.insert(moved.clone(), position);
                    }
                }
                (_, None) => {}
            }
            if step % 997 == 0 || steps < 500 {
                check(&dict, &model);
            }
        }
        check(&dict, &model);
        check(&dict.clone(), &model);
        let mut shed = 0;
        while dict.len() > 0 {
            shed += dict.shed(100);
        }
        assert_eq!(shed, model.len());
    }

    fn check(dict: &Dict, model: &[(Vec<u8>, Vec<u8>)]) {
        let elements = dict.iter();
        assert!(elements.eq(model.iter().map(|(name, value)| (name.as_slice(), Payload::Bytes(value)))));
        assert_eq!(dict.names(), model.iter().map(|(name, _)| name.len() as u64).sum::<u64>());
    }

    #[test]
    fn many_elements_are_a_vector() {
        compare(1, 30_000, 100_000);
        compare(2, 1_500, 60_000);
    }

    proptest! {
        #[test]
        fn few_elements_are_a_vector(seed: u64, names in 1u64..100) {
            compare(seed, names, 400);
        }
    }
}
