//! How a learner becomes a member (rule P5).

use bytes::Bytes;
use onecopy_core::{Index, Member, Plea, Rule, Timestamp};

use crate::core::{Core, Step};
use crate::peer::Peer;
use crate::primary::Primary;
use crate::sending::LEARNER_WINDOW_MAX;

impl Primary {
    /// Makes a learner that has nearly everything required (rule P5), and once it has everything that is
    /// committed, asks the view service to make it a member.
    pub(crate) fn try_join(&mut self, core: &Core, step: &mut Step<'_>) {
        let last = core.log.last().index;
        let Some(view) = &core.view else { return };
        if self.joining.is_none() && core.commit >= self.noop {
            let config = &core.config;
            // Few entries may be many bytes.
            let bytes_max = self.uncommitted_bytes() + config.window_bytes_max.min(LEARNER_WINDOW_MAX);
            // One that has acknowledged nothing yet may be slow, or dead, and one that needs a snapshot first
            // would hold up every write until it has it.
            let base = core.log.base().index;
            let keeps_up = |peer: &&Peer| {
                let answers = peer.matched > Index(0) && peer.matched >= base && peer.transfer.is_none();
                let is_near = || {
                    let lacks_few = peer.matched.plus(config.join_lag_max) >= last;
                    lacks_few && core.log.bytes_after(peer.matched) <= bytes_max
                };
                !peer.is_member && answers && is_near() && peer.pace.keeps_up(step.now, config)
            };
            let joins = self.peers().find(keeps_up).and_then(|peer| view.learner(peer.node).copied());
            if joins.is_some() {
                self.joining = joins;
                self.ask_membership(core, step);
            }
        }
    }

    pub(crate) fn ask_membership(&mut self, core: &Core, step: &mut Step<'_>) {
        let Some(learner) = self.joining else { return };
        // It has everything, and what it made of it is the same (P10).
        let is_certified = self.has_all(core, learner) && self.is_compared(core, learner);
        if is_certified || !core.config.rules.hold(Rule::CertifyBeforeMembership) {
            self.has_asked = true;
            core.petition(step, Plea::AddMember { learner });
        }
    }

    fn has_all(&self, core: &Core, learner: Member) -> bool {
        let has_all = |peer: &Peer| peer.matched >= core.commit && peer.matched >= self.noop;
        self.peers().any(|peer| peer.node == learner.node && has_all(peer))
    }

    /// Whether it made the same of it, as far as somebody compares.
    fn is_compared(&self, core: &Core, learner: Member) -> bool {
        let is_same = |peer: &Peer| peer.node == learner.node && peer.checked >= self.noop;
        core.digests.last().is_none() || self.peers().any(is_same)
    }

    /// A learner that was slow is tried with an entry of its own, where nobody writes: it holds up nobody
    /// yet. So is one to be compared that has got the last entry in a snapshot, and has executed nothing.
    pub(crate) fn try_learners(&mut self, core: &mut Core, step: &mut Step<'_>) {
        let last = core.log.last().index;
        let is_idle = core.commit == last && !self.handover.is_under_way();
        let waits = |learner| self.has_all(core, learner) && !self.is_compared(core, learner);
        if is_idle && (self.wants_to_try(&core.config, step.now, last) || self.joining.is_some_and(waits)) {
            let entry = core.new_entry(Bytes::new(), Timestamp(0), 0);
            self.order(core, step, entry);
        }
    }
}
