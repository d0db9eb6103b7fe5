//! What is used, as far as this copy sees it, and what it takes for the least used.

use std::cell::Cell;
use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use onecopy_core::{Eviction, Need, Policy, Timestamp};

use super::draw::{Drawn, draw};
use super::{Mark, NAMED_BYTES_MAX, NAMED_MAX, mark, name, take_name};
use crate::database::{Database, Place, Spot};

/// The best of those that were drawn are kept for the next time, so many of them (as in Redis: "Random notes
/// on improving the Redis LRU algorithm", 2016).
const POOL: usize = 16;
/// So many times nothing better is drawn before it is given up.
const MISSES_MAX: usize = 16;
/// So many names of entries that are not executed yet are remembered, for so many milliseconds: if somebody
/// else has become the primary, such an entry may never be.
const AWAITED_MAX: usize = 8 * NAMED_MAX;
const AWAITED_MS: u64 = 3_000;

/// Observes what is used.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    eviction: Eviction,
    /// When it began.
    since: Timestamp,
    /// The command that is executed is no use of its keys.
    is_blind: Cell<bool>,
    /// What the command has used last: it is used once, however often it is looked up.
    last: Cell<Option<(u8, usize, usize)>>,
    /// Drawn for whatever is left to chance. Nothing in the state comes of it.
    chance: Cell<u64>,
    /// What was named in entries that are not executed yet.
    awaited: BTreeSet<(u8, Box<[u8]>)>,
    awaited_since: Timestamp,
}

/// Somebody who may be named.
struct Candidate {
    score: u64,
    db: u8,
    key: Box<[u8]>,
    bytes: u64,
}

impl Observer {
    /// Whether it observes anything.
    pub(crate) fn is_on(&self) -> bool {
        self.eviction.policy.evicts()
    }

    pub(crate) fn eviction(&self) -> Eviction {
        self.eviction
    }

    /// Observes from now on what this wants; whether what was observed is of no use for it.
    pub(crate) fn set(&mut self, eviction: Eviction, now: Timestamp) -> bool {
        let before = std::mem::replace(&mut self.eviction, eviction);
        let (was, is) = (before.policy, eviction.policy);
        let begins_anew = was.evicts() != is.evicts() || was.is_lfu() != is.is_lfu();
        if begins_anew {
            self.since = now;
        }
        begins_anew
    }

    /// A command begins, which is a use of its keys or not.
    pub(crate) fn begin(&self, is_use: bool) {
        self.is_blind.set(!is_use);
        self.last.set(None);
    }

    /// A number below 2^32.
    fn chance(&self) -> u32 {
        // Any constant step and a good mixture make even numbers (Steele, Lea and Flood: "Fast Splittable
        // Pseudorandom Number Generators", OOPSLA 2014).
        let state = self.chance.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.chance.set(state);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 32) as u32
    }

    fn below(&self, bound: usize) -> usize {
        ((u128::from(self.chance()) * bound as u128) >> 32) as usize
    }

    /// A key is looked up.
    pub(crate) fn looked_up(&self, db: u8, database: &Database, spot: Spot, now: Timestamp) {
        if !self.is_on() || self.is_blind.get() {
            return;
        }
        let Some(place) = spot.place() else { return };
        if self.last.replace(Some((db, place.slot, place.position))) == Some((db, place.slot, place.position))
        {
            return;
        }
        if let Some(cell) = database.mark(place) {
            let before = self.known(cell.get());
            cell.set(mark::used(self.eviction, before, now, self.chance()));
        }
    }

    /// A mark, or what stands for one of which nothing is known.
    fn known(&self, mark: Mark) -> Mark {
        if mark == Mark::default() { self.fresh(self.since) } else { mark }
    }

    /// The mark of a key that is made now.
    pub(crate) fn fresh(&self, now: Timestamp) -> Mark {
        mark::new(self.eviction, now)
    }

    /// For how many seconds a key was not used.
    pub(crate) fn idle(&self, database: &Database, place: Place, now: Timestamp) -> u32 {
        database.mark(place).map_or(0, |cell| mark::idle(self.known(cell.get()), now))
    }

    /// How often a key is used.
    pub(crate) fn frequency(&self, database: &Database, place: Place, now: Timestamp) -> u8 {
        database.mark(place).map_or(0, |cell| mark::frequency(self.eviction, self.known(cell.get()), now))
    }

    /// The higher, the sooner it should go.
    fn score(&self, database: &Database, drawn: Drawn, policy: Policy, now: Timestamp) -> u64 {
        match policy {
            Policy::VolatileTtl => u64::MAX - drawn.expires.map_or(u64::MAX, |expires| expires.0),
            policy if policy.is_random() => 0,
            policy if policy.is_lfu() => u64::from(u8::MAX - self.frequency(database, drawn.place, now)),
            _ => self.idle(database, drawn.place, now).into(),
        }
    }

    /// Draws some, and has the best of these and of those before in the pool, the best one last.
    fn fill(
        &self,
        databases: &[Option<Box<Database>>],
        now: Timestamp,
        policy: Policy,
        pool: &mut Vec<Candidate>,
    ) {
        let samples = if policy.is_random() { 1 } else { self.eviction.samples.clamp(1, 64) };
        for _ in 0..samples {
            let Some(drawn) = draw(databases, policy, now, &mut |bound| self.below(bound)) else { return };
            let Some(database) = databases[usize::from(drawn.db)].as_deref() else { continue };
            let Some(object) = database.at(drawn.place) else { continue };
            let is_known = pool.iter().any(|other| other.db == drawn.db && *other.key == *object.key);
            if is_known || self.awaited.contains(&(drawn.db, object.key.into())) {
                continue;
            }
            let (score, bytes) = (self.score(database, drawn, policy, now), object.memory());
            pool.push(Candidate { score, db: drawn.db, key: object.key.into(), bytes });
        }
        pool.sort_by_key(|candidate| candidate.score);
        let worst = pool.len().saturating_sub(POOL);
        pool.drain(..worst);
    }

    /// The next one to go, as this copy sees it alone.
    pub(super) fn choose(
        &self,
        databases: &[Option<Box<Database>>],
        now: Timestamp,
        policy: Policy,
    ) -> Option<(u8, Box<[u8]>)> {
        let mut pool = Vec::new();
        self.fill(databases, now, policy, &mut pool);
        pool.pop().map(|candidate| (candidate.db, candidate.key))
    }

    /// Names victims.
    pub(crate) fn name(&mut self, databases: &[Option<Box<Database>>], need: Need) -> Bytes {
        if self.awaited_since.0 + AWAITED_MS <= need.now.0 {
            self.awaited.clear();
            self.awaited_since = need.now;
        }
        let (mut names, mut pool) = (BytesMut::new(), Vec::new());
        let (mut bytes, mut count, mut misses) = (0, 0, 0);
        while bytes < need.bytes && count < NAMED_MAX && names.len() < NAMED_BYTES_MAX && misses < MISSES_MAX
        {
            self.fill(databases, need.now, self.eviction.policy, &mut pool);
            let Some(Candidate { db, key, bytes: its, .. }) = pool.pop() else {
                misses += 1;
                continue;
            };
            name(db, &key, &mut names);
            (bytes, count) = (bytes + its, count + 1);
            if self.awaited.len() < AWAITED_MAX {
                self.awaited.insert((db, key));
            }
        }
        names.freeze()
    }

    /// An entry with these names is executed.
    pub(super) fn executed(&mut self, mut names: &[u8]) {
        if self.awaited.is_empty() {
            return;
        }
        while let Some((db, key)) = take_name(&mut names) {
            self.awaited.remove(&(db, key.into()));
        }
    }
}
