//! Counters: each replica adds up its own increments, and a removal takes away those that it had seen.
//!
//! # The problem
//!
//! Increments that did not know of each other add up, so a counter has a sum for each replica (the PN-counter
//! of Shapiro et al., *A Comprehensive Study of Convergent and Commutative Replicated Data Types*, 2011,
//! section 3.1.3). `SET` and `DEL` must take away the increments that their replica had seen, and no others:
//! a replica that goes on counting meanwhile loses nothing. To remove the sum as an element, by its dot,
//! would lose what was added to it concurrently, or keep what was removed (Baquero, Almeida and Lerche, *The
//! Problem with Embedded CRDT Counters and a Solution*, PaPoC 2016).
//!
//! # The series
//!
//! A [`Series`] is a sum of one replica, named by its first update. It has two points: the *latest*, and the
//! *floor*, below which everything was removed. Both only ever move on, so that joining two states takes the
//! later of each. What it contributes is the difference.
//!
//! Once floor and latest are the same the series is *dead*. It cannot be forgotten at once: its replica may
//! just be counting on, not knowing of the removal, and a later state of the series would then come back
//! whole. So its own replica ends it, with its next update after it has heard of the removal, and begins a
//! new series when it counts again. Everybody forgets it at that update, or when the replica is folded.

use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::dot::{Dot, ReplicaId};

/// The sum of a replica's increments up to one of its updates.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Point {
    /// Which update of the replica.
    pub counter: u64,
    /// What had been added by then, since the series began.
    pub amount: Amount,
}

impl Point {
    fn advance(&mut self, to: &Self) {
        if to.counter > self.counter {
            *self = to.clone();
        }
    }
}

/// What one replica has added to a counter since it began to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Series {
    /// Its name: the update that began it.
    pub start: Dot,
    /// All that is known of it.
    pub latest: Point,
    /// What of it was removed.
    pub floor: Point,
}

impl Series {
    /// A series in which nothing has been counted.
    #[must_use]
    pub fn begin(start: Dot) -> Self {
        Self { start, latest: Point::default(), floor: Point::default() }
    }

    /// Whose it is.
    #[must_use]
    pub fn replica(&self) -> ReplicaId {
        self.start.replica
    }

    /// Its last update that is known.
    #[must_use]
    pub fn last(&self) -> Dot {
        Dot::new(self.start.replica, self.latest.counter)
    }

    /// Whether all of it was removed.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.floor.counter >= self.latest.counter
    }

    /// What it adds to its counter.
    #[must_use]
    pub fn amount(&self) -> Amount {
        self.latest.amount.minus(&self.floor.amount)
    }

    /// Takes over a later point of it.
    pub fn count(&mut self, to: &Point) {
        self.latest.advance(to);
    }

    /// Removes what was counted up to a point.
    pub fn remove(&mut self, to: &Point) {
        self.floor.advance(to);
    }

    /// Joins two states of it.
    pub fn join(&mut self, other: &Self) {
        self.latest.advance(&other.latest);
        self.floor.advance(&other.floor);
    }
}
