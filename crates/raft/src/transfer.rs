//! Leadership transfer (Raft thesis, section 3.10): the leader stops taking proposals, brings the next one up
//! to date, and tells it to campaign at once. That one's log is complete, and it asks without a pre-vote and
//! in the leader's name, so it wins unless a message is lost. If nothing has come of it after an election
//! timeout, or two round trips on a slow link, the leader goes on.

use onecopy_core::{Instant, Member};

use crate::core::{Core, Step};
use crate::effect::Effect;
use crate::leader::Leader;
use crate::message::Message;

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
    pub fn on_transfer(&mut self, core: &Core, step: &mut Step<'_>, to: Member) {
        if let Err(reason) = self.begin_transfer(core, step.now, to) {
            return step.push(Effect::TransferRefused { reason });
        }
        step.push(Effect::TransferBegun { to });
        self.hand_over_if_ready(core, step);
    }

    fn begin_transfer(&mut self, core: &Core, now: Instant, to: Member) -> Result<(), TransferRefusal> {
        if to == core.id() {
            return Err(TransferRefusal::LeadsAlready);
        }
        if !core.configuration().voters.contains(&to) {
            return Err(TransferRefusal::NotAVoter(to));
        }
        if self.transfer.is_some() {
            return Err(TransferRefusal::UnderWay);
        }
        let round_trip = self.followers.get(&to).map(|follower| follower.round_trip).unwrap_or_default();
        let ends = now + core.patience(round_trip, core.config.election_timeout);
        self.transfer = Some(Transfer { to, ends, told: false });
        Ok(())
    }

    /// Tells the next leader to campaign, once it holds all that there is. From then on it may be elected at
    /// any moment, however long that takes it: no lease counts any more in this reign.
    pub fn hand_over_if_ready(&mut self, core: &Core, step: &mut Step<'_>) {
        let (term, last) = (core.term(), core.log.last().index);
        let Some(transfer) = &mut self.transfer else { return };
        let complete = self.followers.get(&transfer.to).is_some_and(|progress| progress.matched == last);
        if complete && !transfer.told {
            transfer.told = true;
            self.leases_over = true;
            step.send(transfer.to, Message::TimeoutNow { term });
        }
    }

    pub fn abort_overdue_transfer(&mut self, step: &mut Step<'_>) {
        if let Some(transfer) = self.transfer.take_if(|transfer| step.now >= transfer.ends) {
            step.push(Effect::TransferAborted { to: transfer.to });
        }
    }

    /// When a transfer is given up.
    pub fn transfer_ends(&self) -> Option<Instant> {
        self.transfer.map(|transfer| transfer.ends)
    }
}
