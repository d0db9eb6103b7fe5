//! The adoption of views: promised, durably, before anything is said in them (rule P3).

use std::time::Duration;

use onecopy_core::{Instant, Member, NodeId, Rule, View, ViewNumber, Write};

use crate::backup::Follower;
use crate::effect::Effect;
use crate::message::Message;
use crate::primary::Primary;
use crate::promise::Promise;
use crate::replica::{Replica, Role};

impl Replica {
    /// Promises a newer view, durably, and takes up the role in it.
    pub(crate) fn adopt(&mut self, now: Instant, view: View, effects: &mut Vec<Effect>) {
        assert!(view.valid(), "view: {view:?} is not valid");
        if view.number <= self.view_number() {
            return;
        }
        self.leave_role(effects);
        self.snapshots.forget_transfers();
        self.write_promise(now, &view, effects);
        self.enter(now, view, effects);
    }

    pub(crate) fn write_promise(&mut self, now: Instant, view: &View, effects: &mut Vec<Effect>) {
        let promise = Promise { view: view.clone(), lease: self.lease_length() };
        self.promise = self.persist(now, vec![Write::State(promise.encode())], effects);
    }

    pub(crate) fn lease_length(&self) -> Duration {
        self.config.lease.unwrap_or_default()
    }

    pub(crate) fn enter(&mut self, now: Instant, view: View, effects: &mut Vec<Effect>) {
        let me = self.config.me;
        // P9: another incarnation of this node is somebody else.
        let known = |member: &Member| match self.config.rules.hold(Rule::OneLife) {
            true => *member == me,
            false => member.node == me.node,
        };
        let is_member = view.members.iter().any(known);
        let is_learner = view.learners.iter().any(known);
        // P11: another boot of this process may have sent entries that this one does not know.
        let same_life = view.boot == self.config.boot || !self.config.rules.hold(Rule::NewLifeNewView);
        self.leases.entered(view.number);
        let before = self.view.replace(view.clone());
        self.maybe_rebuild(before.as_ref(), now, effects);
        // Nor can one lead whose log and state are about to be replaced, or whose state is wrong (P10).
        let can_lead = same_life && !self.snapshots.is_installing() && !self.digests.has_diverged();
        self.tick = Some(now + self.config.heartbeat_interval);
        self.role = match (is_member, is_learner) {
            (true, _) if view.primary == me.node && can_lead => {
                Role::Primary(Primary::new(&view, me.node, now))
            }
            (true, _) if view.primary == me.node => Role::Retired,
            (true, _) | (_, true) => Role::Follower(Follower::new(view.primary, is_member, self.commit, now)),
            _ => Role::Outside,
        };
        effects.push(Effect::ViewChanged { view, standing: self.standing() });
        if matches!(self.role, Role::Primary(_)) {
            self.activate(now, effects);
        }
    }

    pub(crate) fn leave_role(&mut self, effects: &mut Vec<Effect>) {
        match &mut self.role {
            Role::Primary(primary) => primary.refuse_reads(effects),
            Role::Follower(follower) => follower.refuse_reads(effects),
            Role::Retired | Role::Outside => {}
        }
    }

    /// Tells the sender of a message of an older view which view it has missed (rule P3).
    pub(crate) fn correct(&self, to: NodeId, effects: &mut Vec<Effect>) {
        if let Some(view) = self.view.clone() {
            self.send(to, Message::NewerView { view }, effects);
        }
    }

    /// Whether a message that was sent in `view` is of the promised view. Older ones are refused (rule P3);
    /// newer ones, which do not carry the view itself, have to come again.
    pub(crate) fn is_current(&self, from: NodeId, view: ViewNumber, effects: &mut Vec<Effect>) -> bool {
        if view < self.view_number() && self.config.rules.hold(Rule::NoOldPrimaries) {
            self.correct(from, effects);
            return false;
        }
        view <= self.view_number()
    }
}
