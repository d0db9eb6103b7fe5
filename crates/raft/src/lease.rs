//! Reads from a lease (Raft thesis, section 6.4.1): while a majority cannot elect another leader, this one need not ask
//! it whether it has.
//!
//! A voter that has heard a leader refuses every vote for an election timeout, on its own clock, whatever happens to
//! its term meanwhile, and for as long after a restart. A lease therefore begins when the heartbeat that a majority
//! has answered was *sent*, which is before any of them heard it, and lasts an election timeout, shortened by what the
//! clocks may differ in rate ([`crate::ClockDrift`]). Within it no other leader is elected, and nothing is committed
//! that this one does not know; unless it asks for that itself, by a transfer.

use onecopy_core::Rule;

use crate::node::{Raft, State};

impl Raft {
    /// Whether a read that arrives now may be answered from what is committed here.
    pub(crate) fn has_lease(&self) -> bool {
        let (State::Leader(leader), Some(drift)) = (&self.state, self.config.leases) else { return false };
        let handing_over = leader.transfer.is_some() || leader.leases_over;
        if !self.knows_commit() || (handing_over && self.holds(Rule::TransferEndsLeases)) {
            return false;
        }
        let followed =
            |member| leader.followers.get(&member).map_or(Some(self.now), |follower| follower.followed);
        let length = drift.shorten(self.config.election_timeout);
        self.quorum.reached(followed).is_some_and(|began| self.now.since(began) < length)
    }

    /// Whether a leader has committed an entry of its own term; before that, it does not know what is committed (Raft
    /// paper, section 8).
    pub(crate) fn knows_commit(&self) -> bool {
        let State::Leader(leader) = &self.state else { return false };
        self.commit >= leader.first || !self.holds(Rule::OwnEntryFirst)
    }
}
