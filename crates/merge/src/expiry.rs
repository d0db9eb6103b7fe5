//! When keys expire.
//!
//! A deadline is part of a key, and covers what its maker had seen of the key, and what its own update has
//! put there. What it does not cover it does not delete: a value that was written concurrently lives on.
//! Whoever writes to a key that expires, and has seen the deadline, says it anew, under the new dot and with
//! the old stamp, so that it covers the new things as well.
//!
//! Of several deadlines the one with the greatest stamp is in force, among those that cover something of what
//! shows. Once it has come, a replica removes what it covers, as a removal of what this replica has seen
//! (rule O2). It does so by the wall clock that it is given; it has no other.

use crate::cell::{Atom, Cell};
use crate::clock::Clock;
use crate::delta::Op;
use crate::dot::Dot;
use crate::object::Object;
use crate::place::{Kind, Place};
use crate::stamp::Stamp;

/// The deadline of a key that is in force.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Deadline {
    /// When it was said.
    pub(crate) stamp: Stamp,
    /// The time; `None` for never.
    pub(crate) at_ms: Option<u64>,
    /// What it covers.
    pub(crate) covers: Clock,
}

/// The deadlines that a cell holds.
fn deadlines(cell: &Cell) -> impl Iterator<Item = (Dot, Stamp, Option<u64>, &Clock)> {
    cell.atoms().iter().filter_map(|(dot, atom)| match atom {
        Atom::Deadline { stamp, at_ms, covers } => Some((*dot, *stamp, *at_ms, covers)),
        _ => None,
    })
}

impl Object {
    /// Whether a deadline covers something of what shows.
    fn is_covered(&self, covers: &Clock) -> bool {
        let Some(kind) = self.kind() else { return false };
        if kind == Kind::String
            && let Some((dot, _)) = self.cell(&Place::Whole).and_then(Cell::winner)
        {
            return covers.contains(dot);
        }
        self.visible(kind).any(|(_, cell)| cell.dots().any(|dot| covers.contains(dot)))
    }

    /// The deadline that is in force. Those that were said at the same time are one.
    pub(crate) fn deadline(&self) -> Option<Deadline> {
        let all = || self.cell(&Place::Expiry).into_iter().flat_map(deadlines);
        let in_force = all().filter(|(_, _, _, covers)| self.is_covered(covers));
        let (_, stamp, at_ms, _) = in_force.max_by_key(|(dot, stamp, ..)| (*stamp, *dot))?;
        let mut together = Clock::new();
        all().filter(|(_, other, ..)| *other == stamp).for_each(|(_, _, _, covers)| together.merge(covers));
        Some(Deadline { stamp, at_ms, covers: together })
    }

    /// When the key expires.
    #[must_use]
    pub fn expires_ms(&self) -> Option<u64> {
        self.deadline()?.at_ms
    }

    /// When somebody should look at its deadlines: at the earliest of them, or at once if there is nothing
    /// left that they could be about.
    pub(crate) fn look_ms(&self) -> Option<u64> {
        let cell = self.cell(&Place::Expiry)?;
        if self.kind().is_none() {
            return Some(0);
        }
        deadlines(cell).filter_map(|(_, _, at_ms, _)| at_ms).min()
    }

    /// What has to be done because of the time: the next of several steps. The first one is the removal; what
    /// it removes of counters follows.
    pub(crate) fn due(&self, now_ms: u64) -> Option<Vec<Op>> {
        let cell = self.cell(&Place::Expiry)?;
        if self.kind().is_none() {
            return Some(vec![Op::Clear(Place::Expiry)]);
        }
        let deadline =
            self.deadline().filter(|deadline| deadline.at_ms.is_some_and(|at_ms| at_ms <= now_ms))?;
        let covers = deadline.covers;
        let values = || self.cells().filter(|(place, _)| **place != Place::Expiry);
        let left: Vec<Dot> =
            values().flat_map(|(_, cell)| cell.dots()).filter(|dot| !covers.contains(*dot)).collect();
        let is_done = |other: &Clock| !left.iter().any(|dot| other.contains(*dot));
        let done = deadlines(cell).filter(|(_, _, _, other)| is_done(other)).map(|(dot, ..)| dot).collect();
        let mut ops = vec![Op::Expire { covers: covers.clone(), deadlines: done }];
        for (place, cell) in values() {
            let counted =
                cell.series().iter().filter(|series| !series.is_dead() && covers.contains(series.start));
            ops.extend(counted.map(|series| Op::Floor {
                place: place.clone(),
                start: series.start,
                to: series.latest.clone(),
            }));
        }
        Some(ops)
    }
}
