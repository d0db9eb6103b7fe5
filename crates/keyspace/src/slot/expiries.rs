//! When the keys of a slot expire, by their positions.
//!
//! A slot in which no key expires has none of this. Otherwise each of its keys has a time here, eight bytes,
//! and no copy of its name. The times lie side by side, a thousand to a block, and a block is looked through
//! in a fraction of a microsecond; so what is kept beside it is only each block's next expiry.

use onecopy_core::{Budget, Timestamp};

use super::blocks::{BLOCK, Blocks};
use super::deadlines::{Deadlines, NEVER};
use crate::steps::KEY;

/// The expiries of a slot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expiries {
    times: Blocks<u64>,
    /// How many keys expire.
    count: usize,
    /// How many of them have expired.
    expired: usize,
    /// One group for each block.
    blocks: Deadlines,
}

/// As a number, of which the largest means never. That time is half a thousand million years away.
pub(crate) fn number_of(expires: Option<Timestamp>) -> u64 {
    expires.map_or(NEVER, |expires| expires.0)
}

impl Expiries {
    /// Those of so many keys that do not expire.
    pub(crate) fn of(keys: usize) -> Self {
        let mut expiries = Self::default();
        (0..keys).for_each(|_| expiries.times.push(NEVER));
        expiries
    }

    pub(crate) fn get(&self, position: usize) -> Option<Timestamp> {
        self.times.get(position).filter(|time| **time != NEVER).map(|time| Timestamp(*time))
    }

    /// How many keys expire.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// How many keys have expired.
    pub(crate) fn expired(&self) -> usize {
        self.expired
    }

    /// The next expiry that is still to come.
    pub(crate) fn next(&self) -> u64 {
        self.blocks.next()
    }

    fn enter(&mut self, time: u64, clock: u64) {
        self.count += usize::from(time != NEVER);
        self.expired += usize::from(time <= clock);
    }

    fn leave(&mut self, time: u64, clock: u64) {
        self.count -= usize::from(time != NEVER);
        self.expired -= usize::from(time <= clock);
    }

    /// Looks through a block. No clock is as late as [`NEVER`].
    fn look(&mut self, block: usize, clock: u64) {
        let (mut next, mut expired) = (NEVER, false);
        // The last block may be gone.
        let times = if block * BLOCK < self.times.len() { self.times.block(block) } else { &[] };
        for time in times {
            expired |= *time <= clock;
            next = next.min(if *time <= clock { NEVER } else { *time });
        }
        self.blocks.put(block, next, expired);
    }

    /// The time of a key that comes behind the others.
    pub(crate) fn push(&mut self, time: u64, clock: u64) {
        let position = self.times.len();
        self.times.push(time);
        if time != NEVER {
            self.enter(time, clock);
            self.look(position / BLOCK, clock);
        }
    }

    /// Another time for a key.
    pub(crate) fn set(&mut self, position: usize, time: u64, clock: u64) {
        let Some(place) = self.times.get_mut(position) else { return };
        let before = std::mem::replace(place, time);
        if before != time {
            self.leave(before, clock);
            self.enter(time, clock);
            self.look(position / BLOCK, clock);
        }
    }

    /// A key goes, and the last one takes its position.
    pub(crate) fn swap_remove(&mut self, position: usize, clock: u64) {
        let last = self.times.len() - 1;
        let Some(time) = self.times.swap_remove(position) else { return };
        self.leave(time, clock);
        self.look(position / BLOCK, clock);
        if last / BLOCK != position / BLOCK {
            self.look(last / BLOCK, clock);
        }
    }

    /// Lets time pass, block by block; how many keys have expired by that.
    pub(crate) fn advance(&mut self, before: u64, clock: u64, budget: Budget<'_>) -> usize {
        let mut passed = 0;
        while let Some(block) = self.blocks.due(clock) {
            let times = self.times.block(block);
            passed += times.iter().filter(|time| before < **time && **time <= clock).count();
            self.look(block, clock);
            budget.spend(KEY);
        }
        self.expired += passed;
        passed
    }

    /// The position of a key that has expired.
    pub(crate) fn leftover(&self, clock: u64) -> Option<usize> {
        let block = self.blocks.leftover()?;
        let within = self.times.block(block).iter().rposition(|time| *time <= clock)?;
        Some(block * BLOCK + within)
    }
}
