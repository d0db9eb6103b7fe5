//! A state as it was at one moment, kept while somebody compares it with their own.
//!
//! What changes meanwhile is copied before its first change; the rest is read from where it is. So a
//! comparison that takes many messages is about one state and one clock, and the other side can take over
//! both, whole (rule O4).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::RangeInclusive;

use crate::object::Object;
use crate::store::{Key, Store};

/// If so much of it would have to be copied it is given up, and whoever compares begins anew: 256 MiB.
const COPIED_BYTES_MAX: usize = 256 << 20;

/// A state as it was.
#[derive(Clone, Debug)]
pub(crate) struct Frozen {
    sums: Vec<u64>,
    /// What has changed since, as it was.
    before: BTreeMap<Key, Option<Object>>,
    copied: usize,
}

impl Frozen {
    pub(crate) fn new(sums: Vec<u64>) -> Self {
        Self { sums, before: BTreeMap::new(), copied: 0 }
    }

    /// The digests of the slots.
    pub(crate) fn slots(&self) -> &[u64] {
        &self.sums
    }

    /// Whether too much has changed.
    pub(crate) fn is_overgrown(&self) -> bool {
        self.copied > COPIED_BYTES_MAX
    }

    /// A key is about to change.
    pub(crate) fn keep(&mut self, key: &Key, object: Option<&Object>) {
        if self.is_overgrown() {
            return;
        }
        if let Entry::Vacant(vacant) = self.before.entry(key.clone()) {
            self.copied += 64 + key.name().len() + object.map_or(0, Object::size);
            vacant.insert(object.cloned());
        }
        if self.is_overgrown() {
            self.before = BTreeMap::new();
        }
    }

    /// What a key held.
    pub(crate) fn get<'a>(&'a self, store: &'a Store, key: &Key) -> Option<&'a Object> {
        match self.before.get(key) {
            Some(before) => before.as_ref(),
            None => store.get(key),
        }
    }

    /// Whether there may have been more keys than so many within a range of coordinates.
    pub(crate) fn has_more_than(&self, store: &Store, range: RangeInclusive<u64>, count: usize) -> bool {
        let (first, last) = range.into_inner();
        let now = store.from(first).take_while(|(key, _)| key.coordinate() <= last);
        let before =
            self.before.range(Key::first_at(first)..).take_while(|(key, _)| key.coordinate() <= last);
        now.take(count + 1).count() + before.take(count + 1).count() > count
    }

    /// The keys within a range of coordinates, and what they held.
    pub(crate) fn range<'a>(
        &'a self,
        store: &'a Store,
        range: RangeInclusive<u64>,
    ) -> Vec<(&'a Key, &'a Object)> {
        let now = store.from(*range.start()).take_while(|(key, _)| key.coordinate() <= *range.end());
        let unchanged = now.filter(|(key, _)| !self.before.contains_key(*key));
        let before = self.before.range(Key::first_at(*range.start())..);
        let before = before.take_while(|(key, _)| key.coordinate() <= *range.end());
        let mut found: Vec<_> =
            unchanged.chain(before.filter_map(|(key, object)| Some((key, object.as_ref()?)))).collect();
        found.sort_by_key(|(key, _)| *key);
        found
    }
}
