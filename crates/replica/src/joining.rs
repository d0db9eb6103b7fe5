//! How a learner becomes a member (rule P5).

use bytes::Bytes;
use onecopy_core::{Index, Instant, Plea, Rule, Timestamp};

use crate::effect::Effect;
use crate::peer::Peer;
use crate::replica::{Replica, Role};
use crate::sending::LEARNER_WINDOW_MAX;

impl Replica {
    /// Makes a learner that has nearly everything required (rule P5), and once it has everything that is
    /// committed, asks the view service to make it a member.
    pub(crate) fn try_join(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let last = self.log.last().index;
        let Some(view) = &self.view else { return };
        let Role::Primary(primary) = &mut self.role else { return };
        if primary.joining.is_none() && self.commit >= primary.noop {
            let config = &self.config;
            // Few entries may be many bytes.
            let bytes_max = primary.uncommitted_bytes() + config.window_bytes_max.min(LEARNER_WINDOW_MAX);
            // One that has acknowledged nothing yet may be slow, or dead, and one that needs a snapshot first would hold
            // up every write until it has it.
            let base = self.log.base().index;
            let keeps_up = |peer: &&Peer| {
                let answers = peer.matched > Index(0) && peer.matched >= base && peer.transfer.is_none();
                let is_near = || {
                    let lacks_few = peer.matched.plus(config.join_lag_max) >= last;
                    lacks_few && self.log.bytes_after(peer.matched) <= bytes_max
                };
                !peer.is_member && answers && is_near() && peer.pace.keeps_up(now, config)
            };
            let joins = primary.peers().find(keeps_up).and_then(|peer| view.learner(peer.node).copied());
            if joins.is_some() {
                primary.joining = joins;
                self.ask_membership(effects);
            }
        }
    }

    pub(crate) fn ask_membership(&mut self, effects: &mut Vec<Effect>) {
        let (Role::Primary(primary), Some(view)) = (&mut self.role, &self.view) else { return };
        let Some(learner) = primary.joining else { return };
        // It has everything, and what it made of it is the same (P10), as far as somebody compares.
        let compares = self.digests.last().is_some();
        let certified = primary.peers().any(|peer| {
            let has_all = peer.matched >= self.commit && peer.matched >= primary.noop;
            peer.node == learner.node && has_all && (!compares || peer.checked >= primary.noop)
        });
        if certified || !self.config.rules.hold(Rule::CertifyBeforeMembership) {
            primary.has_asked = true;
            effects.push(self.config.petition(view.number, Plea::AddMember { learner }));
        }
    }

    /// A learner that was slow is tried with an entry of its own, where nobody writes: it holds up nobody yet.
    pub(crate) fn try_learners(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let last = self.log.last().index;
        let Role::Primary(primary) = &self.role else { return };
        let is_idle = self.commit == last && !primary.handover.is_under_way();
        if is_idle && primary.wants_to_try(&self.config, now, last) {
            let entry = self.new_entry(Bytes::new(), Timestamp(0), 0);
            self.order(now, entry, effects);
        }
    }
}
