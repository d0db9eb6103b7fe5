//! What a copy knows of another one.

use std::collections::BTreeMap;
use std::time::Duration;

use onecopy_core::Instant;
use onecopy_merge::{Clock, ReplicaId};

use super::message::Standing;
use super::places::Place;

/// Another copy.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// The life that the view table knows of its node.
    pub(super) life: ReplicaId,
    /// What the table says of it.
    pub(super) place: Place,
    /// What it said last, in its latest life.
    pub(super) standing: Standing,
    /// When that was.
    pub(super) heard: Option<Instant>,
    /// Own updates up to this one have been sent to it.
    pub(super) sent: u64,
    /// When it last acknowledged one, or was sent one that it was not sent before.
    pub(super) moved: Instant,
    /// Through which update of whom it has been sent others' updates, and when.
    pub(super) relayed: BTreeMap<ReplicaId, (u64, Instant)>,
    /// What it had, and this copy has lacked since then.
    pub(super) lacking: Option<(Instant, Clock)>,
    /// It is to be told soon where this copy stands.
    pub(super) owed: bool,
}

impl Peer {
    /// Whether it was heard lately.
    pub(super) fn is_there(&self, now: Instant, timeout: Duration) -> bool {
        self.heard.is_some_and(|heard| now.since(heard) < timeout)
    }

    /// It says where it stands; whether that is news. What a life that is over has said is not.
    pub(super) fn hear(&mut self, now: Instant, standing: Standing, me: ReplicaId) -> bool {
        if standing.life < self.standing.life {
            return false;
        }
        let is_same_life = standing.life == self.standing.life;
        let before = self.standing.clock.seen_of(me);
        let mut standing = standing;
        if is_same_life {
            // Messages may overtake each other.
            standing.clock.merge(&self.standing.clock);
        } else {
            self.relayed.clear();
        }
        if standing.clock.seen_of(me) > before || !is_same_life {
            self.moved = now;
        }
        self.standing = standing;
        self.heard = Some(now);
        true
    }

    /// What was on its way to it is lost.
    pub(super) fn lost(&mut self, me: ReplicaId) {
        self.sent = self.standing.clock.seen_of(me);
        self.relayed.clear();
    }
}
