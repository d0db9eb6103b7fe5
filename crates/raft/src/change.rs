//! Changes of the configuration, by joint consensus (Raft paper, section 6).
//!
//! ```text
//!  C_old ──Input::Change──▶ C_old,new appended ──committed──▶ C_new appended ──committed──▶ done
//! ```
//!
//! From the moment when `C_old,new` is appended, its leader needs a majority of each half; and nobody is elected by a
//! majority of `C_old` alone any more once `C_old,new` is committed. So `C_new` may stand alone then, and at no point can
//! two majorities decide without each other. Whoever leads goes on with a change that it finds in its log.
//!
//! Changes go one at a time: two that overlap could put two configurations side by side that share no majority.

use onecopy_core::{EntryId, Index, Member, Rule};

use crate::configuration::{Change, Configuration, ImpossibleChange};
use crate::content;
use crate::effect::Effect;
use crate::message::Message;
use crate::node::{Raft, State};

/// Why a change was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ChangeRefusal {
    /// This member does not lead.
    #[error("this member is not the leader")]
    NotLeader {
        /// Who does, if that is known.
        leader: Option<Member>,
    },
    /// The leadership is being handed over.
    #[error("the leadership is being handed over")]
    HandingOver,
    /// The leader has not committed an entry of its own term yet, and so does not know which configuration is
    /// committed. It soon will.
    #[error("the leader has not committed an entry of its own term yet")]
    NewLeader,
    /// The change before is not done.
    #[error("another change is under way")]
    UnderWay,
    /// No leader could make this change.
    #[error(transparent)]
    Impossible(#[from] ImpossibleChange),
    /// A learner that is to be promoted lacks too much ([`crate::Config::promotion_lag_max`]).
    #[error("{member:?} lacks {lag} entries")]
    Lagging {
        /// The learner.
        member: Member,
        /// How many entries it is not known to hold durably.
        lag: u64,
    },
    /// A learner that is to be promoted has not been heard for an election timeout.
    #[error("{member:?} is not heard")]
    Silent {
        /// The learner.
        member: Member,
    },
}

impl Raft {
    pub(crate) fn on_change(&mut self, changes: &[Change], effects: &mut Vec<Effect>) {
        match self.begin_change(changes) {
            Ok(next) => {
                let id = EntryId::new(self.log.last().index.next(), self.term());
                effects.push(Effect::ChangeBegun { id });
                self.append_configuration(&next, effects);
            }
            Err(reason) => effects.push(Effect::ChangeRefused { reason }),
        }
    }

    fn begin_change(&self, changes: &[Change]) -> Result<Configuration, ChangeRefusal> {
        let State::Leader(leader) = &self.state else {
            return Err(ChangeRefusal::NotLeader { leader: self.leader });
        };
        if leader.transfer.is_some() {
            return Err(ChangeRefusal::HandingOver);
        }
        if self.commit < leader.first {
            return Err(ChangeRefusal::NewLeader);
        }
        let under_way = !self.is_configuration_committed() || self.configuration().is_joint();
        if under_way && self.holds(Rule::OneChangeAtATime) {
            return Err(ChangeRefusal::UnderWay);
        }
        let next = self.configuration().begin(changes)?;
        changes.iter().try_for_each(|change| match change {
            Change::Promote(member) => self.check_promotion(*member),
            Change::AddLearner(_) | Change::Remove(_) => Ok(()),
        })?;
        Ok(next)
    }

    /// Until a new voter has caught up, it cannot help to commit anything (thesis, section 4.2.1).
    fn check_promotion(&self, member: Member) -> Result<(), ChangeRefusal> {
        let State::Leader(leader) = &self.state else { return Ok(()) };
        let progress = leader.followers.get(&member);
        let matched = progress.map_or(Index(0), |progress| progress.matched);
        let lag = self.log.last().index.0 - matched.0;
        let heard = |progress: &crate::progress::Progress| self.now.since(progress.heard);
        if lag > self.config.promotion_lag_max {
            return Err(ChangeRefusal::Lagging { member, lag });
        }
        // The time at which the leader turned to it counts as heard: only what it holds proves that it lives.
        let lives = |progress: &crate::progress::Progress| {
            matched > Index(0) && heard(progress) < self.config.election_timeout
        };
        match progress.is_some_and(lives) {
            true => Ok(()),
            false => Err(ChangeRefusal::Silent { member }),
        }
    }

    /// What a leader does about a committed configuration: it completes a joint one, and one without itself ends its
    /// reign. Its successor does the same if it dies before.
    pub(crate) fn go_on_with_change(&mut self, effects: &mut Vec<Effect>) {
        if !matches!(self.state, State::Leader(_)) || !self.is_configuration_committed() {
            return;
        }
        if self.configuration().is_joint() {
            let next = self.configuration().completed();
            self.append_configuration(&next, effects);
        } else if !self.may_lead() {
            self.resign(effects);
        }
    }

    /// Other members count from here on: what waits for a majority may have it now.
    fn append_configuration(&mut self, configuration: &Configuration, effects: &mut Vec<Effect>) {
        self.append_own(content::of_configuration(configuration), self.last_time(), 0);
        self.replicate(effects);
        self.advance_commit(effects);
        self.confirm_reads(effects);
    }

    /// Steps down, and has a voter that holds the whole log, if there is one, campaign at once instead of after its
    /// timeout.
    fn resign(&mut self, effects: &mut Vec<Effect>) {
        let (term, last) = (self.term(), self.log.last().index);
        let State::Leader(leader) = &self.state else { return };
        let complete =
            |member: &Member| leader.followers.get(member).is_some_and(|progress| progress.matched == last);
        if let Some(to) = self.quorum.voters().find(complete) {
            effects.push(Effect::Send { to, message: Message::TimeoutNow { term }, after: None });
        }
        self.step_down(effects);
    }
}
