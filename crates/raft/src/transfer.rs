//! Leadership transfer (Raft thesis, section 3.10): the leader stops taking proposals, brings the next one up to date,
//! and tells it to campaign at once. That one's log is complete, and it asks without a pre-vote and in the leader's
//! name, so it wins unless a message is lost. If nothing has come of it after an election timeout, or two
//! round trips on a slow link, the leader goes on.

use onecopy_core::{Instant, Member};

use crate::effect::Effect;
use crate::message::Message;
use crate::node::{Raft, State};
use crate::patience::RoundTrip;
use crate::replication::Leader;

/// To whom the leadership is being handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Transfer {
    /// The next leader.
    pub to: Member,
    /// When the leader gives up.
    ends: Instant,
    /// It was told to campaign.
    told: bool,
}

/// Why a transfer was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TransferRefusal {
    /// This member does not lead.
    #[error("this member is not the leader")]
    NotLeader {
        /// Who does, if that is known.
        leader: Option<Member>,
    },
    /// The next leader would be this one.
    #[error("this member leads already")]
    LeadsAlready,
    /// Only voters lead; in a joint configuration, only those of the new half are handed the leadership.
    #[error("{0:?} is not a voter")]
    NotAVoter(Member),
    /// The transfer before has not ended.
    #[error("the leadership is being handed over")]
    UnderWay,
}

impl Leader {
    /// When a transfer is given up.
    pub fn transfer_ends(&self) -> Option<Instant> {
        self.transfer.map(|transfer| transfer.ends)
    }
}

impl Raft {
    pub(crate) fn on_transfer(&mut self, to: Member, effects: &mut Vec<Effect>) {
        if let Err(reason) = self.begin_transfer(to) {
            return effects.push(Effect::TransferRefused { reason });
        }
        effects.push(Effect::TransferBegun { to });
        self.hand_over_if_ready(effects);
    }

    fn begin_transfer(&mut self, to: Member) -> Result<(), TransferRefusal> {
        let is_voter = self.configuration().voters.contains(&to);
        let ends = self.now + self.patience(self.round_trip(to), self.config.election_timeout);
        let (me, known) = (self.id(), self.leader);
        let State::Leader(leader) = &mut self.state else {
            return Err(TransferRefusal::NotLeader { leader: known });
        };
        if to == me {
            return Err(TransferRefusal::LeadsAlready);
        }
        if !is_voter {
            return Err(TransferRefusal::NotAVoter(to));
        }
        if leader.transfer.is_some() {
            return Err(TransferRefusal::UnderWay);
        }
        leader.transfer = Some(Transfer { to, ends, told: false });
        Ok(())
    }

    /// How long a heartbeat to this follower and its answer take.
    fn round_trip(&self, follower: Member) -> RoundTrip {
        let State::Leader(leader) = &self.state else { return RoundTrip::default() };
        leader.followers.get(&follower).map(|follower| follower.round_trip).unwrap_or_default()
    }

    /// Tells the next leader to campaign, once it holds all that there is. From then on it may be elected at any
    /// moment, however long that takes it: no lease counts any more in this reign.
    pub(crate) fn hand_over_if_ready(&mut self, effects: &mut Vec<Effect>) {
        let (term, last) = (self.term(), self.log.last().index);
        let State::Leader(leader) = &mut self.state else { return };
        let Some(transfer) = &mut leader.transfer else { return };
        let complete = leader.followers.get(&transfer.to).is_some_and(|progress| progress.matched == last);
        if complete && !transfer.told {
            transfer.told = true;
            leader.leases_over = true;
            let message = Message::TimeoutNow { term };
            effects.push(Effect::Send { to: transfer.to, message, after: None });
        }
    }

    pub(crate) fn abort_overdue_transfer(&mut self, effects: &mut Vec<Effect>) {
        let now = self.now;
        let State::Leader(leader) = &mut self.state else { return };
        if let Some(transfer) = leader.transfer.take_if(|transfer| now >= transfer.ends) {
            effects.push(Effect::TransferAborted { to: transfer.to });
        }
    }

    /// The leader wants this member to take over.
    pub(crate) fn on_timeout_now(&mut self, effects: &mut Vec<Effect>) {
        if self.may_lead() {
            self.campaign(true, effects);
        }
    }
}
