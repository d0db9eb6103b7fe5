//! What a replica has in every role, and the step that it takes.
//!
//! A role ([`Primary`](crate::primary::Primary), [`Follower`](crate::backup::Follower)) owns what is known in
//! one view. Its handlers take the [`Core`], which outlives views, and the [`Step`]. Which role takes an
//! input is decided once, at the entrance (`replica`).

use std::time::Duration;

use bytes::Bytes;
use onecopy_core::{
    Entry, EntryId, Epoch, Index, Instant, Log, NodeId, Plea, Rule, Ticket, Timestamp, View, ViewNumber,
};

use crate::config::Config;
use crate::disk::Disk;
use crate::divergence::Digests;
use crate::effect::Effect;
use crate::lease::Leases;
use crate::message::Message;
use crate::snapshot::Snapshots;

/// What does not depend on the role.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Core {
    pub(crate) config: Config,
    /// The promised view: messages of older ones are refused.
    pub(crate) view: Option<View>,
    /// The ticket of the promise. What is said in the view must wait for it.
    pub(crate) promise: Ticket,
    pub(crate) log: Log,
    pub(crate) commit: Index,
    /// The time of the base of the log.
    pub(crate) base_time: Timestamp,
    pub(crate) disk: Disk,
    pub(crate) leases: Leases,
    pub(crate) digests: Digests,
    /// It takes no leases any more and gives none: its process is about to stop.
    pub(crate) declines: bool,
    /// Whether each read is confirmed by the others, although there may be leases.
    pub(crate) confirms_all: bool,
    /// See [`Replica::hold_back`](crate::Replica::hold_back).
    pub(crate) is_full: bool,
    pub(crate) snapshots: Snapshots,
}

/// One step: when it is taken, and what comes of it.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    pub(crate) now: Instant,
    effects: &'a mut Vec<Effect>,
}

impl<'a> Step<'a> {
    pub(crate) fn new(now: Instant, effects: &'a mut Vec<Effect>) -> Self {
        Self { now, effects }
    }

    /// Wants something done, after everything that was wanted before.
    pub(crate) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// The same with several things, in their order.
    pub(crate) fn extend(&mut self, effects: impl IntoIterator<Item = Effect>) {
        self.effects.extend(effects);
    }
}

impl Core {
    /// The number of the promised view, 0 if there is none.
    pub(crate) fn view_number(&self) -> ViewNumber {
        self.view.as_ref().map_or(ViewNumber(0), |view| view.number)
    }

    /// The lease that may be given and taken, if there is one.
    pub(crate) fn lease(&self) -> Option<Duration> {
        self.config.lease.filter(|_| !self.declines)
    }

    /// The next entry of the log, in the promised view.
    pub(crate) fn new_entry(&self, payload: Bytes, time: Timestamp, seed: u64) -> Entry {
        let id = EntryId::new(self.log.last().index.next(), Epoch::from(self.view_number()));
        // The wall clock may have been set back, here or by a change of primaries: an entry's time never is.
        Entry { id, time: time.max(self.last_time()), seed, payload }
    }

    /// Sends a message that may not leave before the promise of the view is durable (rule P3).
    pub(crate) fn send(&self, step: &mut Step<'_>, to: NodeId, message: Message) {
        let waits = self.promise > self.disk.done() && self.config.rules.hold(Rule::DurablePromise);
        step.push(Effect::Send { to, message, after: waits.then_some(self.promise) });
    }

    /// Asks the view service for something, in the promised view.
    pub(crate) fn petition(&self, step: &mut Step<'_>, plea: Plea) {
        step.push(self.config.petition(self.view_number(), plea));
    }

    /// Whether the promise of the view is durable.
    pub(crate) fn promise_is_durable(&self) -> bool {
        self.promise <= self.disk.done() || !self.config.rules.hold(Rule::DurablePromise)
    }

    /// Whether the state is what the log says.
    pub(crate) fn is_sound(&self) -> bool {
        !self.snapshots.is_installing() && !self.digests.has_diverged()
    }
}
