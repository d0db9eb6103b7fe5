//! Reads from a lease (Raft thesis, section 6.4.1): while a majority cannot elect another leader, this one
//! need not ask it whether it has.
//!
//! A voter that has heard a leader refuses every vote for an election timeout, on its own clock, whatever
//! happens to its term meanwhile, and for as long after a restart. A lease therefore begins when the
//! heartbeat that a majority has answered was *sent*, which is before any of them heard it, and lasts an
//! election timeout, shortened by what the clocks may differ in rate ([`crate::ClockDrift`]). Within it no
//! other leader is elected, and nothing is committed that this one does not know; unless it asks for that
//! itself, by a transfer.

use onecopy_core::{Instant, Rule};

use crate::core::Core;
use crate::leader::Leader;

impl Leader {
    /// Whether a read that arrives now may be answered from what is committed here.
    pub fn has_lease(&self, core: &Core, now: Instant) -> bool {
        let Some(drift) = core.config.leases.filter(|_| !core.confirms_all) else { return false };
        if !self.knows_commit(core) || self.has_let_another_campaign(core) {
            return false;
        }
        let followed = |member| self.followers.get(&member).map_or(Some(now), |follower| follower.followed);
        let length = drift.shorten(core.config.election_timeout);
        core.quorum.reached(followed).is_some_and(|began| now.since(began) < length)
    }

    /// Whether this leader itself has somebody elected, or is about to.
    fn has_let_another_campaign(&self, core: &Core) -> bool {
        (self.transfer.is_some() || self.leases_over) && core.holds(Rule::TransferEndsLeases)
    }

    /// Whether it has committed an entry of its own term; before that, it does not know what is committed
    /// (Raft paper, section 8).
    pub fn knows_commit(&self, core: &Core) -> bool {
        core.commit >= self.first || !core.holds(Rule::OwnEntryFirst)
    }
}
