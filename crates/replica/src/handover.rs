//! Planned handover: a primary makes way for another member, and nothing fails, is lost, or waits for a timeout.
//!
//! It takes no more requests, waits until everything that it took is committed, gives up its leases to the heir (rule L3), and asks
//! the view service to make the heir the primary. Which of the two reaches the heir first does not matter. If nothing comes of that,
//! the primary goes on as such, and confirms its reads: what it has given up it does not get back in this view.
//!
//! ```text
//! primary                        heir                   view service
//!    │ (takes no more, drains)     │                          │
//!    │──GiveUp───────────────────▶│                          │
//!    │──Petition─────────────────────────────────────────────▶│
//!    │◀────────────────────────── view + 1 ──────────────────▶│
//! ```

use onecopy_core::{Instant, NodeId, Plea, ViewNumber};

use crate::effect::Effect;
use crate::lease::Granted;
use crate::message::Message;
use crate::replica::{Replica, Role};

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
    /// Entries could not be committed, or the view service did not answer, for as long as the failure timeout.
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

impl Replica {
    /// An operator, or this node because it is about to stop, wants `to` to be the primary.
    pub(crate) fn on_hand_over(&mut self, now: Instant, to: NodeId, effects: &mut Vec<Effect>) {
        let is_heir = to != self.config.me.node && self.view().is_some_and(|view| view.member(to).is_some());
        let until = now + self.config.failure_timeout;
        let commit = self.commit;
        let refusal = match &mut self.role {
            Role::Primary(primary) if commit < primary.noop => Some(HandoverError::NotPrimary),
            Role::Primary(_) if !is_heir => Some(HandoverError::NotAMember),
            Role::Primary(primary) if primary.handover.is_under_way() => Some(HandoverError::UnderWay),
            Role::Primary(primary) => {
                primary.handover.under_way = Some(UnderWay { heir: to, until, is_drained: false });
                None
            }
            _ => Some(HandoverError::NotPrimary),
        };
        match refusal {
            Some(error) => effects.push(Effect::HandoverFailed { error }),
            None => self.continue_handover(now, effects),
        }
    }

    /// Gives up the leases as soon as everything is committed.
    pub(crate) fn continue_handover(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let is_drained = self.commit == self.log.last().index;
        let Role::Primary(primary) = &mut self.role else { return };
        let Some(under_way) = primary.handover.under_way.as_mut().filter(|_| is_drained) else { return };
        if !under_way.is_drained {
            under_way.is_drained = true;
            primary.handover.has_given_up = true;
            self.ask_handover(now, effects);
        }
    }

    fn ask_handover(&self, now: Instant, effects: &mut Vec<Effect>) {
        let Role::Primary(primary) = &self.role else { return };
        let Some(under_way) = primary.handover.under_way.as_ref().filter(|under_way| under_way.is_drained)
        else {
            return;
        };
        let (view, heir, granted) = (self.view_number(), under_way.heir, self.leases.granted(now));
        self.send(heir, Message::GiveUp { view, granted }, effects);
        effects.push(self.config.petition(view, Plea::HandOver { to: heir }));
    }

    /// One heartbeat interval has passed: something may have been lost, or nothing comes of it.
    pub(crate) fn handover_tick(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let Role::Primary(primary) = &mut self.role else { return };
        if primary.handover.under_way.take_if(|under_way| under_way.until <= now).is_some() {
            effects.push(Effect::HandoverFailed { error: HandoverError::TimedOut });
            return;
        }
        self.ask_handover(now, effects);
    }

    /// Whether this replica is the primary after `view`, and has neither committed nor read anything yet.
    pub(crate) fn succeeds(&self, view: ViewNumber) -> bool {
        let Role::Primary(primary) = &self.role else { return false };
        view.next() == self.view_number() && self.commit < primary.noop
    }

    /// The primary of this view hands over to this replica, or the one of the view before has: the view service may have been
    /// quicker. What it granted is as good as granted here (rule P6).
    pub(crate) fn on_give_up(
        &mut self,
        now: Instant,
        from: NodeId,
        view: ViewNumber,
        granted: Vec<Granted>,
        effects: &mut Vec<Effect>,
    ) {
        let succeeds = self.succeeds(view);
        let follows = matches!(&self.role, Role::Follower(follower) if follower.primary == from);
        if !succeeds && !follows {
            return;
        }
        for lease in granted {
            self.leases.grant(now, lease, &self.config);
        }
        if succeeds {
            self.leases.release(from);
            self.try_commit(now, effects);
            self.try_join(now, effects);
        } else {
            self.leases.given_up(view, from);
        }
    }
}
