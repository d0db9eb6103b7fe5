//! Keys that are drawn, and when they were used.

use std::cell::Cell;

use onecopy_core::{Policy, Timestamp};

use super::{Database, Spot};
use crate::eviction::Mark;
use crate::slot::{Object, RUN};
use crate::slots::SLOTS;

/// In a crowded slot, so many keys are looked at for one that expires.
const LOOKED_AT: usize = 64;

/// A key by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) slot: usize,
    pub(crate) position: usize,
}

impl Spot {
    /// Where the key is, if it is there.
    pub(crate) fn place(self) -> Option<Place> {
        Some(Place { slot: self.slot, position: self.position? })
    }
}

impl Database {
    /// How many keys may be drawn under a policy. Those count that have expired, and are still there.
    pub(crate) fn pool(&self, policy: Policy) -> usize {
        if policy.is_volatile() { self.expiring.saturating_sub(self.expired) } else { self.length }
    }

    /// What is at a place.
    pub(crate) fn at(&self, Place { slot, position }: Place) -> Option<Object<'_>> {
        self.runs[slot / RUN].as_ref()?.object(slot % RUN, position)
    }

    /// The place of the key with this number, counted through all slots in order.
    pub(crate) fn place_of(&self, mut number: usize) -> Option<Place> {
        for (at, run) in self.runs.iter().enumerate() {
            let Some(run) = run else { continue };
            if number >= run.len() {
                number -= run.len();
                continue;
            }
            for slot in 0..RUN {
                if number < run.keys(slot) {
                    return Some(Place { slot: at * RUN + slot, position: number });
                }
                number -= run.keys(slot);
            }
        }
        None
    }

    /// Draws a key that expires after `clock`, from the next slot with one. In a crowded slot it may be
    /// missed.
    pub(crate) fn draw_expiring(
        &self,
        clock: Timestamp,
        below: &mut dyn FnMut(usize) -> usize,
    ) -> Option<Place> {
        let from = below(SLOTS);
        let slot = self.deadlines.expiring(from).or_else(|| self.deadlines.expiring(0))?;
        let keys = self.slot(slot)?.len();
        let start = below(keys);
        let positions = (start..keys).chain(0..start).take(LOOKED_AT);
        let mut places = positions.map(|position| Place { slot, position });
        places.find(|place| self.at(*place).and_then(|object| object.expires).is_some_and(|it| it > clock))
    }

    /// New keys have this mark from now on, if somebody wants to know when keys are used.
    pub(crate) fn set_fresh(&mut self, fresh: Option<Mark>) {
        self.fresh = fresh;
    }

    /// A key has been made.
    pub(super) fn mark_new(&self, slot: usize, position: usize) {
        if let Some(fresh) = self.fresh
            && let Some(mark) = self.mark(Place { slot, position })
        {
            mark.set(fresh);
        }
    }

    /// The mark of the key at a place.
    pub(crate) fn mark(&self, Place { slot, position }: Place) -> Option<&Cell<Mark>> {
        self.runs[slot / RUN].as_ref()?.mark(slot % RUN, position)
    }

    /// Nobody wants to know when keys were used, or it begins anew.
    pub(crate) fn forget_marks(&mut self) {
        self.runs.iter_mut().flatten().for_each(|run| run.forget_marks());
    }
}
