//! Eviction: what goes where there is no room for what comes.
//!
//! Which limit there is, and which policy, is said by each entry. The primary's machine *observes* what is
//! used, by commands and by the reads that it answers itself ([`Observer`]), and *names victims*, before an
//! entry is made: the least used of some that it draws, as Redis does. The entry carries their names. When a
//! command of the entry finds no room, victims go, in their order, until there is some: at every copy the
//! same ones, for it is the state that says when there is room. If the names do not suffice, keys are drawn
//! by the entry's own random numbers.
//!
//! What is observed is no part of the state. It is in no image, and counts as no memory: three bytes for each
//! key, while there is a policy.

mod draw;
mod mark;
mod observer;

use bytes::{Buf, BufMut, BytesMut};
use onecopy_core::{ApplyContext, Policy, Rule};

use crate::context::Random;
use crate::machine::Keyspace;
use crate::steps::KEY;
pub(crate) use draw::Drawn;
pub(crate) use mark::Mark;
pub(crate) use observer::Observer;

/// So many keys go for one command at most. If there is still no room then, it is executed all the same, as
/// in Redis: the next ones go on.
const EVICTED_TOGETHER: usize = 512;
/// An entry names so many victims at most, in so many bytes.
const NAMED_MAX: usize = 512;
const NAMED_BYTES_MAX: usize = 64 << 10;
/// Of so many that expire, the next one goes, where it has to be drawn.
const DRAWN: usize = 5;

/// How far the execution of an entry has come with eviction.
#[derive(Debug, Default)]
pub(crate) struct Evicting {
    /// So many bytes of the names in the entry are used up.
    named: usize,
    /// So many times it was drawn.
    drawn: u64,
}

/// Appends the name of a victim.
fn name(db: u8, key: &[u8], out: &mut BytesMut) {
    out.put_u8(db);
    // No key is as long.
    out.put_u32_le(key.len() as u32);
    out.put_slice(key);
}

/// Takes the name of a victim off the front.
fn take_name<'a>(names: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (db, length) = (names.try_get_u8().ok()?, names.try_get_u32_le().ok()?);
    let (key, rest) = names.split_at_checked(length as usize)?;
    *names = rest;
    Some((db, key))
}

impl Keyspace {
    /// An entry begins.
    pub(crate) fn begin_evicting(&mut self, apply: &ApplyContext<'_>) {
        self.evicting = Evicting::default();
        self.observer.executed(apply.victims);
        self.make_room(apply);
    }

    /// If there is no room, and there is a policy, victims go.
    pub(crate) fn make_room(&mut self, apply: &ApplyContext<'_>) {
        if !apply.policy.evicts() || self.journal.is_some() {
            return;
        }
        for _ in 0..EVICTED_TOGETHER {
            if !apply.is_full(self.occupied()) {
                return;
            }
            let Some((db, key)) = self.victim(apply) else { return };
            apply.budget.spend(KEY);
            self.evict(apply, db, &key);
        }
    }

    /// Whether there is no room, although everything has gone that may go at once.
    pub(crate) fn lacks_room(&self, apply: &ApplyContext<'_>) -> bool {
        apply.is_full(self.occupied()) && (!apply.policy.evicts() || !self.may_evict(apply.policy))
    }

    /// Whether there is anything that may go.
    fn may_evict(&self, policy: Policy) -> bool {
        self.journal.is_none() && self.databases.iter().flatten().any(|database| database.pool(policy) > 0)
    }

    /// Who goes next.
    fn victim(&mut self, apply: &ApplyContext<'_>) -> Option<(u8, Box<[u8]>)> {
        if !self.rules.hold(Rule::EvictWhatIsNamed) {
            return self.observer.choose(&self.databases, self.clock, apply.policy);
        }
        let mut names = apply.victims.get(self.evicting.named..).unwrap_or_default();
        while let Some((db, key)) = take_name(&mut names) {
            self.evicting.named = apply.victims.len() - names.len();
            let object = self.database(db).and_then(|database| database.get(key));
            // It may have gone since, or expire no more.
            if object.is_some_and(|object| !apply.policy.is_volatile() || object.expires.is_some()) {
                return Some((db, key.into()));
            }
        }
        // No command of the entry asks for random numbers as often.
        let mut random = Random(apply.rng(u64::MAX - self.evicting.drawn));
        self.evicting.drawn += 1;
        let below = &mut |bound| random.below(bound);
        let draws = if apply.policy == Policy::VolatileTtl { DRAWN } else { 1 };
        let drawn = (0..draws).filter_map(|_| draw::draw(&self.databases, apply.policy, self.clock, below));
        let drawn: Vec<Drawn> = drawn.collect();
        let first = drawn.into_iter().min_by_key(|drawn| drawn.expires)?;
        let key = self.database(first.db)?.at(first.place)?.key;
        Some((first.db, key.into()))
    }

    fn evict(&mut self, apply: &ApplyContext<'_>, db: u8, key: &[u8]) {
        let clock = self.clock;
        let database = self.database_mut(db);
        let spot = database.locate(key);
        let is_expired = database.object(spot).is_some_and(|object| object.is_expired(clock));
        database.remove(spot);
        self.tracking.change(key);
        if !self.waiters.is_empty() {
            self.waiters.signal(db, key);
        }
        if is_expired {
            self.counts.expired += 1;
            self.notify_expired(apply, db, key);
        } else {
            self.counts.evicted += 1;
            self.notify_evicted(apply, db, key);
        }
    }
}

#[cfg(test)]
mod tests;
