//! Which keys there are, by position, and where each lies in an arena.
//!
//! Keys are in order of insertion, but a removed one is replaced by the last. The positions are part of the
//! state: scans walk over them, and random choices pick them. Up to a thousand keys are found by *tags*,
//! sixteen bits of each one's hash, side by side: a slot has some sixty keys, whose tags are two cache lines.
//! More are found by an [`Index`], so that a slot into which somebody puts millions is as fast as many small
//! ones.

use std::hint::black_box;

use super::arena::Place;
use super::blocks::{BLOCK, Blocks, give_back, grow};
use crate::index::Index;

/// So many tags are compared at once.
const COMPARED: usize = 32;
/// With fewer keys, an index goes again.
const INDEXED_MIN: usize = BLOCK / 2;

/// The keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    /// One for each key while there is no index.
    tags: Vec<u16>,
    places: Blocks<Place>,
    index: Option<Box<Index>>,
}

fn tag_of(hash: u64) -> u16 {
    (hash >> 48) as u16
}

impl Keys {
    /// The same again, in pieces. `step` hears of the steps of each.
    pub(crate) fn copy(&self, step: &mut dyn FnMut(usize)) -> Self {
        let index = self.index.as_ref().map(|index| Box::new(index.copy(step)));
        Self { tags: self.tags.clone(), places: self.places.copy(step), index }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Where the key at a position lies.
    pub(crate) fn place(&self, position: usize) -> Option<Place> {
        self.places.get(position).copied()
    }

    /// Where the key at a position, which must exist, lies from now on.
    pub(crate) fn set_place(&mut self, position: usize, place: Place) {
        if let Some(current) = self.places.get_mut(position) {
            *current = place;
        }
    }

    /// The position of the key with this hash for which `is_it` is true.
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(Place) -> bool) -> Option<usize> {
        if let Some(index) = &self.index {
            return index.find(hash, |position| self.place(position).is_some_and(&mut is_it));
        }
        let places = self.places.block(0);
        self.tagged(hash).find(|position| is_it(places[*position]))
    }

    /// The positions with the tag of this hash.
    fn tagged(&self, hash: u64) -> impl Iterator<Item = usize> {
        let tag = tag_of(hash);
        let chunks = self.tags.chunks(COMPARED).zip((0..).step_by(COMPARED));
        // Compared without a branch first: most have no such tag.
        let some =
            chunks.filter(move |(tags, _)| tags.iter().fold(false, |any, other| any | (*other == tag)));
        some.flat_map(move |(tags, start)| {
            tags.iter().zip(start..).filter(move |(other, _)| **other == tag).map(|(_, position)| position)
        })
    }

    /// Has the tags, and the places of the first keys, in the cache.
    pub(crate) fn touch(&self) {
        black_box((self.tags.first().copied(), self.places.block(0).first().copied()));
    }

    /// The place of the first key with the tag of this hash, if keys are found by tags.
    pub(crate) fn likely_place(&self, hash: u64) -> Option<Place> {
        self.tagged(hash).next().and_then(|position| self.place(position))
    }

    /// Adds a key that is not there, behind the others; its position. `hash_of` gives the hash of the key at
    /// a place.
    pub(crate) fn push(&mut self, hash: u64, place: Place, hash_of: impl Fn(Place) -> u64) -> usize {
        let position = self.len();
        self.places.push(place);
        let places = &self.places;
        let rehash = |position: usize| places.get(position).map_or(0, |place| hash_of(*place));
        match &mut self.index {
            Some(index) => index.enter(hash, position, rehash),
            None if position < BLOCK => {
                grow(&mut self.tags);
                self.tags.push(tag_of(hash));
            }
            None => {
                let mut index = Index::default();
                (0..=position).for_each(|position| index.enter(rehash(position), position, rehash));
                self.index = Some(Box::new(index));
                self.tags = Vec::new();
            }
        }
        position
    }

    /// Removes the key at a position, which has this hash.
    pub(crate) fn swap_remove(&mut self, position: usize, hash: u64, hash_of: impl Fn(Place) -> u64) {
        let last = self.len() - 1;
        if let Some(index) = &mut self.index {
            let rehash = |position: usize| self.places.get(position).map_or(0, |place| hash_of(*place));
            index.leave(hash, position, rehash);
            if position != last {
                index.moved(rehash(last), last, position);
            }
        } else {
            self.tags.swap_remove(position);
            give_back(&mut self.tags);
        }
        self.places.swap_remove(position);
        if self.index.is_some() && last < INDEXED_MIN {
            self.index = None;
            self.tags = self.places.iter().map(|place| tag_of(hash_of(*place))).collect();
        }
    }

    /// Lets the key at a position and the last one change places.
    pub(crate) fn swap_with_last(&mut self, position: usize, hash_of: impl Fn(Place) -> u64) {
        let last = self.len() - 1;
        let (Some(place), Some(last_place)) = (self.place(position), self.place(last)) else { return };
        if position == last {
            return;
        }
        if let Some(index) = &mut self.index {
            /// No key has this position.
            const NOWHERE: usize = u32::MAX as usize;
            let (hash, last_hash) = (hash_of(place), hash_of(last_place));
            index.moved(hash, position, NOWHERE);
            index.moved(last_hash, last, position);
            index.moved(hash, NOWHERE, last);
        } else {
            self.tags.swap(position, last);
        }
        self.set_place(position, last_place);
        self.set_place(last, place);
    }

    /// Drops keys of a collection that nobody uses any more, until at most so many are left. Nothing is found
    /// from now on.
    pub(crate) fn shed(&mut self, left: usize) {
        (self.tags, self.index) = (Vec::new(), None);
        while self.len() > left && self.places.pop().is_some() {}
    }
}
