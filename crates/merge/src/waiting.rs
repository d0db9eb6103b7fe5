//! Deltas that have arrived before something that their makers had seen.

use std::collections::BTreeMap;

use crate::clock::Clock;
use crate::delta::Delta;
use crate::dot::{Dot, ReplicaId};

/// What waits has at most so many bytes. What comes beyond is dropped: repair brings it.
pub const WAITING_BYTES_MAX: usize = 64 << 20;

/// Deltas that wait for others.
#[derive(Clone, Debug)]
pub struct Waiting {
    deltas: BTreeMap<Dot, Delta>,
    bytes: usize,
    bytes_max: usize,
}

impl Default for Waiting {
    fn default() -> Self {
        Self::bounded(WAITING_BYTES_MAX)
    }
}

impl Waiting {
    /// Nothing, and room for so many bytes.
    #[must_use]
    pub fn bounded(bytes_max: usize) -> Self {
        Self { deltas: BTreeMap::new(), bytes: 0, bytes_max }
    }

    /// How many deltas wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.deltas.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deltas.is_empty()
    }

    /// The names of those that wait, in order.
    pub fn dots(&self) -> impl Iterator<Item = Dot> {
        self.deltas.keys().copied()
    }

    /// About how many bytes they occupy.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a delta, if there is room; whether it waits now.
    pub(crate) fn push(&mut self, delta: Delta) -> bool {
        if self.deltas.contains_key(&delta.dot) {
            return true;
        }
        let size = delta.size();
        if self.bytes.saturating_add(size) > self.bytes_max {
            return false;
        }
        self.bytes += size;
        self.deltas.insert(delta.dot, delta);
        true
    }

    fn take(&mut self, dot: Dot) -> Option<Delta> {
        let delta = self.deltas.remove(&dot)?;
        self.bytes -= delta.size();
        Some(delta)
    }

    /// A delta for which everything is there now.
    pub(crate) fn next(&mut self, clock: &Clock) -> Option<Delta> {
        let mut from = Dot::default();
        while let Some((first, _)) = self.deltas.range(from..).next() {
            let replica = first.replica;
            let next = Dot::new(replica, clock.seen_of(replica).saturating_add(1));
            if self.deltas.get(&next).is_some_and(|delta| clock.covers(&delta.context)) {
                return self.take(next);
            }
            from = Dot::new(ReplicaId(replica.0.checked_add(1)?), 0);
        }
        None
    }

    /// Drops what has been seen otherwise.
    pub(crate) fn forget_seen(&mut self, clock: &Clock) {
        let seen: Vec<Dot> = self.deltas.keys().copied().filter(|dot| clock.contains(*dot)).collect();
        seen.into_iter().for_each(|dot| drop(self.take(dot)));
    }

    /// What is missing: of each replica of which something waits, the first update that has not arrived and
    /// the first behind it that has. And what those that wait had seen, and nobody here has.
    #[must_use]
    pub fn missing(&self, clock: &Clock) -> BTreeMap<ReplicaId, (u64, u64)> {
        let mut missing: BTreeMap<ReplicaId, (u64, u64)> = BTreeMap::new();
        for delta in self.deltas.values() {
            for (replica, counter) in delta.context.iter().filter(|(replica, _)| !clock.is_folded(*replica)) {
                let first = (clock.seen_of(replica).saturating_add(1)..=counter)
                    .find(|counter| !self.deltas.contains_key(&Dot::new(replica, *counter)));
                if let Some(first) = first {
                    let most = missing.entry(replica).or_insert((first, counter));
                    *most = (most.0.min(first), most.1.max(counter));
                }
            }
        }
        missing
    }
}
