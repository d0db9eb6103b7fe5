//! The adoption of views: promised, durably, before anything is said in them (rule P3).

use std::time::Duration;

use onecopy_core::{Member, NodeId, Rule, View, ViewNumber, Write};

use crate::backup::Follower;
use crate::core::{Core, Step};
use crate::effect::Effect;
use crate::message::Message;
use crate::primary::Primary;
use crate::promise::Promise;
use crate::replica::{Replica, Role};

impl Replica {
    /// Promises a newer view, durably, and takes up the role in it.
    pub(crate) fn adopt(&mut self, step: &mut Step<'_>, view: View) {
        assert!(view.valid(), "view: {view:?} is not valid");
        if view.number <= self.core.view_number() {
            return;
        }
        self.role.refuse_reads(step);
        self.core.snapshots.forget_transfers();
        self.core.write_promise(step, &view);
        self.enter(step, view);
    }

    pub(crate) fn enter(&mut self, step: &mut Step<'_>, view: View) {
        let core = &mut self.core;
        let me = core.config.me;
        // P9: another incarnation of this node is somebody else.
        let known = |member: &Member| match core.config.rules.hold(Rule::OneLife) {
            true => *member == me,
            false => member.node == me.node,
        };
        let is_member = view.members.iter().any(known);
        let is_learner = view.learners.iter().any(known);
        // P11: another boot of this process may have sent entries that this one does not know.
        let same_life = view.boot == core.config.boot || !core.config.rules.hold(Rule::NewLifeNewView);
        core.leases.entered(view.number);
        let before = core.view.replace(view.clone());
        core.maybe_rebuild(step, before.as_ref());
        // Nor can one lead whose log and state are about to be replaced, or whose state is wrong (P10).
        let can_lead = same_life && core.is_sound();
        let (now, commit) = (step.now, core.commit);
        self.tick = Some(now + core.config.heartbeat_interval);
        self.role = match (is_member, is_learner) {
            (true, _) if view.primary == me.node && can_lead => {
                Role::Primary(Primary::new(&view, me.node, now))
            }
            (true, _) if view.primary == me.node => Role::Retired,
            (true, _) | (_, true) => Role::Follower(Follower::new(view.primary, is_member, commit, now)),
            _ => Role::Outside,
        };
        step.push(Effect::ViewChanged { view, standing: self.standing() });
        if let Role::Primary(primary) = &mut self.role {
            primary.activate(&mut self.core, step);
        }
    }
}

impl Role {
    /// The role ends with its view: somebody else may answer.
    fn refuse_reads(&mut self, step: &mut Step<'_>) {
        match self {
            Self::Primary(primary) => primary.refuse_reads(step),
            Self::Follower(follower) => follower.refuse_reads(step),
            Self::Retired | Self::Outside => {}
        }
    }
}

impl Core {
    pub(crate) fn write_promise(&mut self, step: &mut Step<'_>, view: &View) {
        let promise = Promise { view: view.clone(), lease: self.lease_length() };
        self.promise = self.persist(step, vec![Write::State(promise.encode())]);
    }

    pub(crate) fn lease_length(&self) -> Duration {
        self.config.lease.unwrap_or_default()
    }

    /// Tells the sender of a message of an older view which view it has missed (rule P3).
    fn correct(&self, step: &mut Step<'_>, to: NodeId) {
        if let Some(view) = self.view.clone() {
            self.send(step, to, Message::NewerView { view });
        }
    }

    /// Whether a message that was sent in `view` is of the promised view. Older ones are refused (rule P3);
    /// newer ones, which do not carry the view itself, have to come again.
    pub(crate) fn is_current(&self, step: &mut Step<'_>, from: NodeId, view: ViewNumber) -> bool {
        if view < self.view_number() && self.config.rules.hold(Rule::NoOldPrimaries) {
            self.correct(step, from);
            return false;
        }
        view <= self.view_number()
    }
}
