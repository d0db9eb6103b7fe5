//! Planned handover: a primary makes way for another member, and nothing fails, is lost, or waits for a
//! timeout.
//!
//! It takes no more requests, waits until everything that it took is committed, gives up its leases to the
//! heir (rule L3), and asks the view service to make the heir the primary. Which of the two reaches the heir
//! first does not matter. If nothing comes of that, the primary goes on as such, and confirms its reads: what
//! it has given up it does not get back in this view.
//!
//! ```text
//! primary                        heir                   view service
//!    │ (takes no more, drains)     │                          │
//!    │──GiveUp───────────────────▶│                          │
//!    │──Petition─────────────────────────────────────────────▶│
//!    │◀────────────────────────── view + 1 ──────────────────▶│
//! ```

use onecopy_core::{Instant, NodeId, Plea, ViewNumber};

use crate::backup::Follower;
use crate::core::{Core, Step};
use crate::effect::Effect;
use crate::lease::Granted;
use crate::message::Message;
use crate::primary::Primary;

/// How far a primary is with handing over.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Handover {
    under_way: Option<UnderWay>,
    /// The leases of this view were given up, once and for all.
    has_given_up: bool,
}

#[derive(Clone, Debug, Hash)]
struct UnderWay {
    heir: NodeId,
    /// When the attempt is given up.
    until: Instant,
    /// Everything is committed, and the view service has been asked.
    is_drained: bool,
}

/// Why a handover does not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandoverError {
    /// This replica is not the primary, or does not know yet what was committed before it was.
    #[error("this replica is not an active primary")]
    NotPrimary,
    /// The heir is not another member of the view.
    #[error("the heir is not another member of the view")]
    NotAMember,
    /// One is under way already.
    #[error("a handover is under way")]
    UnderWay,
    /// Entries could not be committed, or the view service did not answer, for as long as the failure
    /// timeout.
    #[error("the handover took too long and was given up")]
    TimedOut,
}

impl Handover {
    /// Whether no request is to be taken.
    pub(crate) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Whether the leases are of no use any more.
    pub(crate) fn has_given_up(&self) -> bool {
        self.has_given_up
    }

    /// Whether nothing may be put into the log any more.
    pub(crate) fn is_drained(&self) -> bool {
        self.under_way.as_ref().is_some_and(|under_way| under_way.is_drained)
    }
}

impl Primary {
    /// An operator, or this node because it is about to stop, wants `to` to be the primary.
    pub(crate) fn on_hand_over(&mut self, core: &mut Core, step: &mut Step<'_>, to: NodeId) {
        let is_heir =
            to != core.config.me.node && core.view.as_ref().is_some_and(|view| view.member(to).is_some());
        let refusal = if core.commit < self.noop {
            Some(HandoverError::NotPrimary)
        } else if !is_heir {
            Some(HandoverError::NotAMember)
        } else if self.handover.is_under_way() {
            Some(HandoverError::UnderWay)
        } else {
            None
        };
        if let Some(error) = refusal {
            return step.push(Effect::HandoverFailed { error });
        }
        let until = step.now + core.config.failure_timeout;
        self.handover.under_way = Some(UnderWay { heir: to, until, is_drained: false });
        self.continue_handover(core, step);
    }

    /// Gives up the leases as soon as everything is committed.
    pub(crate) fn continue_handover(&mut self, core: &Core, step: &mut Step<'_>) {
        let is_drained = core.commit == core.log.last().index;
        let Some(under_way) = self.handover.under_way.as_mut().filter(|_| is_drained) else { return };
        if !under_way.is_drained {
            under_way.is_drained = true;
            self.handover.has_given_up = true;
            self.ask_handover(core, step);
        }
    }

    fn ask_handover(&self, core: &Core, step: &mut Step<'_>) {
        let Some(under_way) = self.handover.under_way.as_ref().filter(|under_way| under_way.is_drained)
        else {
            return;
        };
        let (view, heir, granted) = (core.view_number(), under_way.heir, core.leases.granted(step.now));
        core.send(step, heir, Message::GiveUp { view, granted });
        core.petition(step, Plea::HandOver { to: heir });
    }

    /// One heartbeat interval has passed: something may have been lost, or nothing comes of it.
    pub(crate) fn handover_tick(&mut self, core: &Core, step: &mut Step<'_>) {
        if self.handover.under_way.take_if(|under_way| under_way.until <= step.now).is_some() {
            return step.push(Effect::HandoverFailed { error: HandoverError::TimedOut });
        }
        self.ask_handover(core, step);
    }

    /// Whether this is the primary after `view`, and has neither committed nor read anything yet.
    pub(crate) fn succeeds(&self, core: &Core, view: ViewNumber) -> bool {
        view.next() == core.view_number() && core.commit < self.noop
    }

    /// The primary of the view before hands over to this one: the view service was quicker. What it granted
    /// is as good as granted here (rule P6).
    pub(crate) fn on_given_up(
        &mut self,
        core: &mut Core,
        step: &mut Step<'_>,
        from: NodeId,
        granted: Vec<Granted>,
    ) {
        core.take_over(step, granted);
        core.leases.release(from);
        self.try_commit(core, step);
        self.try_join(core, step);
    }
}

impl Follower {
    /// The primary of this view hands over to this replica.
    pub(crate) fn on_given_up(&self, core: &mut Core, step: &Step<'_>, from: NodeId, granted: Vec<Granted>) {
        if from == self.primary {
            core.take_over(step, granted);
            core.leases.given_up(core.view_number(), from);
        }
    }
}

impl Core {
    /// Leases that another primary granted are as good as granted here (rule P6).
    fn take_over(&mut self, step: &Step<'_>, granted: Vec<Granted>) {
        for lease in granted {
            self.leases.grant(step.now, lease, &self.config);
        }
    }
}
