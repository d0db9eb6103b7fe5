//! Quiescent groups: where nothing is left to say, heartbeats are said for many groups at once.
//!
//! A heartbeat of a group in which nothing happens says what the one before said: only the times in it are
//! new. Once every member holds everything, knows that it is committed, and has compared its state, a primary
//! may therefore leave its heartbeats to the driver, which sends one to each other node for all groups that
//! both have; and a backup its answers. (Compare the coalesced heartbeats and the quiescence of CockroachDB's
//! ranges, and the hibernating regions of TiKV.)
//!
//! A shared heartbeat is a Prepare without entries, and its answer a PrepareOk, for each of the groups that
//! it names: it renews the same leases and promises, counted from the same moments (rules L1 to L6). So it
//! may speak only for a group that *stands still where it says*, at the moment when it is sent, when it is
//! heard, and when its answer is:
//!
//! - the primary looks at its own state before each ([`Replica::lends`]);
//! - a backup promises for a group only in that view, of that primary, with that log
//!   ([`Replica::hears_shared`]). One that has promised a later view stands elsewhere, and so does one that
//!   was dropped, began anew, or waits for its disk;
//! - the primary takes the answer for a group only if that still stands where it was asked about
//!   ([`Replica::hears_answer`]).
//!
//! Whatever else happens to a replica ends its quiescence in the same step. It ticks at once then, and says
//! what it has to say for itself. So does one whose driver hears no shared heartbeat, or no answer, in time
//! ([`Replica::rouse`]): what is silence, and for how long, is the same as ever.

use std::time::Duration;

use onecopy_core::{EntryId, Instant, NodeId, ViewNumber};
use serde::{Deserialize, Serialize};

use crate::backup::Follower;
use crate::core::Core;
use crate::lease::{Loan, Terms};
use crate::peer::Peer;
use crate::primary::Primary;
use crate::replica::{Replica, Role};

/// Where a group stands in which nothing is left to say: everything in the log is durable, committed, known
/// to be, and compared, at every member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Still {
    /// The view.
    pub view: ViewNumber,
    /// The last entry of the log.
    pub last: EntryId,
}

impl Replica {
    /// How often the primary of a group that is not quiescent sends a heartbeat.
    #[must_use]
    pub fn heartbeat_interval(&self) -> Duration {
        self.core.config.heartbeat_interval
    }

    /// Where this primary stands, if it has had nothing to say but heartbeats for so long that these can be
    /// left to the driver.
    #[must_use]
    pub fn may_be_quiescent(&self, now: Instant) -> Option<Still> {
        let Role::Primary(primary) = &self.role else { return None };
        let lasts = self.core.config.quiescent_after?;
        let is_long = primary.peers().all(|peer| now.since(peer.pace.moved()) >= lasts);
        let config = &self.core.config;
        // Who holds no lease has none to lend, and would have the others of a shared heartbeat lend none.
        let holds_lease = config.lease.is_none() || primary.lease_ends(config, now).is_some();
        if is_long && holds_lease { self.stands_still() } else { None }
    }

    /// Whether heartbeats, or answers to them, are left to the driver.
    #[must_use]
    pub fn is_quiescent(&self) -> bool {
        self.quiescent.is_some()
    }

    /// Where this replica stands, if nothing is left that it has to say, or to hear.
    #[must_use]
    pub fn stands_still(&self) -> Option<Still> {
        let core = &self.core;
        let is_still = core.stands_still()
            && match &self.role {
                Role::Primary(primary) => primary.stands_still(core),
                Role::Follower(follower) => follower.stands_still(core),
                Role::Retired | Role::Outside => false,
            };
        is_still.then(|| Still { view: core.view_number(), last: core.log.last() })
    }

    /// The others.
    pub fn followers(&self) -> impl Iterator<Item = NodeId> {
        let primary = match &self.role {
            Role::Primary(primary) => Some(primary),
            _ => None,
        };
        primary.into_iter().flat_map(Primary::peers).map(|peer| peer.node)
    }

    /// From now on the heartbeats of this primary are left to the driver.
    ///
    /// # Panics
    /// If there is something left to say.
    pub fn quiesce(&mut self) {
        self.quiescent = self.stands_still();
        assert!(self.quiescent.is_some(), "a group is quiescent in which something is left to say");
        self.tick = None;
    }

    /// The driver is about to send a heartbeat to `to` for this group too, if it stands where it is said to:
    /// what that says about leases. `Err` if it does not stand there.
    ///
    /// # Errors
    /// There is something else to say.
    pub fn lends(&mut self, now: Instant, to: NodeId, still: Still) -> Result<Option<Terms>, Moved> {
        if self.stands_still() != Some(still) {
            return Err(Moved);
        }
        let Role::Primary(primary) = &mut self.role else { return Err(Moved) };
        let commit = self.core.commit;
        let terms = primary.offer(&mut self.core, now, to);
        if let Some(peer) = primary.peer(to) {
            peer.sends(now, &[], commit);
        }
        if self.quiescent.is_some() {
            primary.awake.tick(&self.core.config, now);
        }
        Ok(terms)
    }

    /// A heartbeat of `from` arrives that speaks for this group too. From now on its answers are left to the
    /// driver. Returns for how long it promises what an answer to a heartbeat does, if it does.
    ///
    /// # Errors
    /// This replica does not stand there: it has heard, and promises, nothing.
    pub fn hears_shared(
        &mut self,
        now: Instant,
        from: NodeId,
        still: Still,
        terms: Option<Terms>,
    ) -> Result<Option<Duration>, Moved> {
        if self.stands_still() != Some(still) {
            return Err(Moved);
        }
        let core = &mut self.core;
        let Role::Follower(follower) = &mut self.role else { return Err(Moved) };
        if follower.primary != from {
            return Err(Moved);
        }
        follower.heard = now;
        follower.awake.tick(&core.config, now);
        self.quiescent = Some(still);
        self.tick = None;
        let Some((terms, lasts)) = terms.zip(core.lease()) else { return Ok(None) };
        follower.take_terms(core, now, terms);
        core.leases.promise(now, from, lasts, &core.config);
        Ok(Some(lasts))
    }

    /// A follower has answered a heartbeat that spoke for this group too.
    ///
    /// # Errors
    /// The group does not stand there any more: what it was asked about is over.
    pub fn hears_answer(
        &mut self,
        now: Instant,
        from: NodeId,
        still: Still,
        terms: Option<Terms>,
    ) -> Result<(), Moved> {
        if self.stands_still() != Some(still) {
            return Err(Moved);
        }
        let Role::Primary(primary) = &mut self.role else { return Err(Moved) };
        let Some(peer) = primary.peer(from) else { return Err(Moved) };
        peer.heard = now;
        if let Some(terms) = terms {
            // Whether it wants to hear at once what is committed, it says with the next acknowledgement.
            peer.take_terms(now, Terms { reads: peer.reads, ..terms }, &self.core.config);
        }
        Ok(())
    }

    /// The driver says nothing more for this replica: it speaks for itself again. `slept` if the driver was
    /// not running, and may have been silent, or deaf, for that reason alone.
    pub fn rouse(&mut self, now: Instant, slept: bool) {
        if self.quiescent.take().is_none() {
            return;
        }
        self.tick = Some(now);
        match &mut self.role {
            Role::Primary(primary) if !slept => primary.awake.was(now),
            Role::Follower(follower) if !slept => follower.awake.was(now),
            _ => {}
        }
    }

    /// After each step: whatever has happened may have ended the quiescence.
    pub(crate) fn reconsider_quiescence(&mut self, now: Instant) {
        if self.quiescent.is_some() && self.stands_still() != self.quiescent {
            // Whether it stood still before this step, its next tick finds out.
            self.rouse(now, true);
        }
    }
}

/// A replica does not stand where somebody believes it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved;

impl Core {
    fn stands_still(&self) -> bool {
        let last = self.log.last().index;
        let settled = self.commit == last && self.disk.durable == last && self.promise_is_durable();
        settled && self.is_sound() && !self.declines && !self.is_full
    }
}

impl Primary {
    fn stands_still(&self, core: &Core) -> bool {
        let last = core.log.last().index;
        let is_occupied = self.joining.is_some() || self.handover.is_under_way() || self.reads.are_waiting();
        let is_open = self.opens().is_none() && last >= self.noop;
        let compared = core.digests.last().map(|digest| digest.after);
        let has_all = |peer: &Peer| {
            let is_compared = compared.is_none_or(|after| after == last && peer.checked == last);
            peer.is_member && peer.has_heard_all(last) && is_compared
        };
        !is_occupied && is_open && self.peers().all(has_all)
    }
}

impl Follower {
    fn stands_still(&self, core: &Core) -> bool {
        let last = core.log.last().index;
        self.is_member && self.has_said_all(last) && self.reads.is_empty() && self.serving.is_empty()
    }
}

impl Terms {
    /// What holds of both: who takes it for either takes no more than that says.
    #[must_use]
    pub fn common(self, other: Self) -> Self {
        let lease = self.lease.zip(other.lease).map(|(one, another)| Loan {
            earned: one.earned.min(another.earned),
            lasts: one.lasts.min(another.lasts),
        });
        Self { sent: self.sent.min(other.sent), lease, reads: self.reads || other.reads }
    }

    /// The answer to this, which promises as much as that lasts.
    #[must_use]
    pub fn promise(self, now: Instant, lasts: Duration) -> Self {
        Self { sent: now, lease: Some(Loan { earned: self.sent, lasts }), reads: false }
    }
}
