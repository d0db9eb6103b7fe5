//! Changes of the configuration, by joint consensus (Raft paper, section 6).
//!
//! ```text
//!  C_old ──Input::Change──▶ C_old,new appended ──committed──▶ C_new appended ──committed──▶ done
//! ```
//!
//! From the moment when `C_old,new` is appended, its leader needs a majority of each half; and nobody is
//! elected by a majority of `C_old` alone any more once `C_old,new` is committed. So `C_new` may stand alone
//! then, and at no point can two majorities decide without each other. Whoever leads goes on with a change
//! that it finds in its log.
//!
//! Changes go one at a time: two that overlap could put two configurations side by side that share no
//! majority.

use onecopy_core::{EntryId, Index, Instant, Member, Rule};

use crate::configuration::{Change, Configuration, ImpossibleChange};
use crate::content;
use crate::core::{Core, Step};
use crate::effect::Effect;
use crate::leader::Leader;
use crate::message::Message;
use crate::node::Raft;
use crate::progress::Progress;
use crate::role::State;

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
    /// What a leader does about a committed configuration: it completes a joint one, and one without itself
    /// ends its reign. Its successor does the same if it dies before.
    pub(crate) fn go_on_with_change(&mut self, step: &mut Step<'_>) {
        let core = &mut self.core;
        let State::Leader(leader) = &mut self.state else { return };
        if !core.is_configuration_committed() {
            return;
        }
        if core.configuration().is_joint() {
            let next = core.configuration().completed();
            leader.append_configuration(core, step, &next);
        } else if !core.may_lead() {
            self.resign(step);
        }
    }

    /// Steps down, and has a voter that holds the whole log, if there is one, campaign at once instead of
    /// after its timeout.
    fn resign(&mut self, step: &mut Step<'_>) {
        if let State::Leader(leader) = &self.state {
            leader.have_another_campaign(&self.core, step);
        }
        self.step_down(step);
    }
}

impl Leader {
    pub fn on_change(&mut self, core: &mut Core, step: &mut Step<'_>, changes: &[Change]) {
        match self.begin_change(core, step.now, changes) {
            Ok(next) => {
                let id = EntryId::new(core.log.last().index.next(), core.term());
                step.push(Effect::ChangeBegun { id });
                self.append_configuration(core, step, &next);
            }
            Err(reason) => step.push(Effect::ChangeRefused { reason }),
        }
    }

    fn begin_change(
        &self,
        core: &Core,
        now: Instant,
        changes: &[Change],
    ) -> Result<Configuration, ChangeRefusal> {
        if self.transfer.is_some() {
            return Err(ChangeRefusal::HandingOver);
        }
        if core.commit < self.first {
            return Err(ChangeRefusal::NewLeader);
        }
        if core.has_change_under_way() {
            return Err(ChangeRefusal::UnderWay);
        }
        let next = core.configuration().begin(changes)?;
        changes.iter().try_for_each(|change| match change {
            Change::Promote(member) => self.check_promotion(core, now, *member),
            Change::AddLearner(_) | Change::Remove(_) => Ok(()),
        })?;
        Ok(next)
    }

    /// Until a new voter has caught up, it cannot help to commit anything (thesis, section 4.2.1).
    fn check_promotion(&self, core: &Core, now: Instant, member: Member) -> Result<(), ChangeRefusal> {
        let progress = self.followers.get(&member);
        let matched = progress.map_or(Index(0), |progress| progress.matched);
        let lag = core.log.last().index.0 - matched.0;
        if lag > core.config.promotion_lag_max {
            return Err(ChangeRefusal::Lagging { member, lag });
        }
        // The time at which the leader turned to it counts as heard: only what it holds proves that it lives.
        let lives = |progress: &Progress| {
            matched > Index(0) && now.since(progress.heard) < core.config.election_timeout
        };
        match progress.is_some_and(lives) {
            true => Ok(()),
            false => Err(ChangeRefusal::Silent { member }),
        }
    }

    /// Other members count from here on: what waits for a majority may have it now.
    fn append_configuration(&mut self, core: &mut Core, step: &mut Step<'_>, next: &Configuration) {
        core.append_own(content::of_configuration(next), core.last_time(), 0);
        self.follow_configuration(core, step.now);
        self.replicate(core, step);
        self.advance_commit(core, step);
        self.confirm_reads(core, step);
    }

    /// Tells a voter that holds the whole log, if there is one, to campaign.
    fn have_another_campaign(&self, core: &Core, step: &mut Step<'_>) {
        let last = core.log.last().index;
        let complete =
            |member: &Member| self.followers.get(member).is_some_and(|progress| progress.matched == last);
        if let Some(to) = core.quorum.voters().find(complete) {
            step.send(to, Message::TimeoutNow { term: core.term() });
        }
    }
}

impl Core {
    /// Whether another change has to wait: two that overlap could put two configurations side by side that
    /// share no majority.
    fn has_change_under_way(&self) -> bool {
        let is_open = !self.is_configuration_committed() || self.configuration().is_joint();
        is_open && self.holds(Rule::OneChangeAtATime)
    }
}
