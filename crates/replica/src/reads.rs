//! Reads: at the primary, under its leases or confirmed, and at backups.
//!
//! A primary may answer a read from its own state if nobody can have committed anything that it does not know
//! of. Only a member of its view can have become the primary of a later one (rule P4). Two things tell it
//! that none has: every member has promised not to act as a later primary for a while (a lease, rule L1); or,
//! without that, every member answers a Confirm that was sent after the read arrived, and had not promised
//! any later view at that moment (rule P3). One round serves all the reads that arrived before it started.
//!
//! A backup under a lease of its own knows that nothing is committed that is not in its log. It answers a
//! read once it has applied those entries that its log held when the read arrived and that touch what is read
//! (rule L5).

use onecopy_core::{Index, Instant, NodeId, Rule};

use crate::backup::Follower;
use crate::core::{Core, Step};
use crate::effect::Effect;
use crate::message::Message;
use crate::primary::Primary;
use crate::replica::{Replica, Role};

/// The reads that a primary has not answered yet.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Reads {
    /// Waiting for the next round.
    arrived: Vec<Read>,
    /// Waiting for the answers of a round.
    asked: Vec<Read>,
    /// Confirmed, waiting for the commit index.
    confirmed: Vec<Read>,
    /// The number of the last round.
    round: u64,
    /// Who has not answered the last round.
    missing: Vec<NodeId>,
}

/// One read, or as many as the driver asks for together.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Read {
    token: u64,
    /// The state must reflect the log up to here.
    index: Index,
}

impl Reads {
    /// Whether there are any.
    pub(crate) fn are_waiting(&self) -> bool {
        !(self.arrived.is_empty() && self.asked.is_empty() && self.confirmed.is_empty())
    }

    /// Empties everything.
    fn take(&mut self) -> impl Iterator<Item = Read> {
        let (mut all, asked) = (std::mem::take(&mut self.confirmed), std::mem::take(&mut self.asked));
        all.extend(asked);
        all.append(&mut self.arrived);
        all.into_iter()
    }
}

impl Replica {
    /// Whether each read is confirmed by the others from now on, although there may be leases: those are kept
    /// and outlasted all the same.
    pub fn confirm_all_reads(&mut self, all: bool) {
        self.core.confirms_all = all;
    }

    /// Whether a coordinator may ask this replica to read, although it is not the primary (rule L5).
    #[must_use]
    pub fn reads_as_backup(&self, now: Instant) -> bool {
        matches!(&self.role, Role::Follower(follower) if follower.may_read(&self.core, now))
            && !self.core.confirms_all
    }

    /// Whether this is a primary that answers a read that arrives now on its own word, under a lease.
    #[must_use]
    pub fn reads_as_primary(&self, now: Instant) -> bool {
        let core = &self.core;
        let (Role::Primary(primary), Some(view)) = (&self.role, &core.view) else { return false };
        let is_open = core.leases.opens(view, &core.config) <= now && !core.confirms_all;
        is_open && core.commit >= primary.noop && primary.lease_ends(&core.config, now).is_some()
    }

    pub(crate) fn on_read(
        &mut self,
        step: &mut Step<'_>,
        token: u64,
        at_least: Index,
        touched: Option<Index>,
    ) {
        let core = &mut self.core;
        match &mut self.role {
            Role::Follower(follower) if follower.may_read(core, step.now) && !core.confirms_all => {
                let last = core.log.last().index;
                let held = touched.map_or(last, |touched| touched.min(last));
                follower.on_read(core, step, token, at_least, held);
            }
            Role::Primary(primary) => primary.on_read(core, step, token, at_least),
            _ => step.push(match core.config.rules.hold(Rule::OnlyThePrimary) {
                true => Effect::ReadRefused { token },
                false => Effect::ReadReady { token, through: Index(0) },
            }),
        }
    }
}

impl Primary {
    /// The replica ceases to be the primary.
    pub(crate) fn refuse_reads(&mut self, step: &mut Step<'_>) {
        step.extend(self.reads.take().map(|read| Effect::ReadRefused { token: read.token }));
    }

    fn on_read(&mut self, core: &Core, step: &mut Step<'_>, token: u64, at_least: Index) {
        let is_open = self.is_open(core, step.now);
        let commit = core.commit;
        // P7: before the no-op is committed it is not known what was committed before it.
        let floor = if core.config.rules.hold(Rule::OwnEntryFirst) { self.noop } else { Index(0) };
        let index = commit.max(at_least).max(floor);
        let read = Read { token, index };
        let holds_lease = match core.config.rules.hold(Rule::ReadsNeedLease) {
            true => self.lease_ends(&core.config, step.now).is_some(),
            false => core.config.lease.is_some(),
        };
        if holds_lease && !core.confirms_all && is_open && commit >= floor {
            self.reads.confirmed.push(read);
            return self.answer_reads(core, step);
        }
        self.reads.arrived.push(read);
        self.start_round(core, step);
    }

    /// Asks all required replicas to confirm the view, unless a round is under way.
    fn start_round(&mut self, core: &Core, step: &mut Step<'_>) {
        if !self.reads.asked.is_empty() || self.reads.arrived.is_empty() {
            return;
        }
        let missing: Vec<NodeId> = match core.config.rules.hold(Rule::ConfirmReads) {
            true => self.required(&core.config, step.now).map(|peer| peer.node).collect(),
            false => Vec::new(),
        };
        let reads = &mut self.reads;
        reads.asked = std::mem::take(&mut reads.arrived);
        reads.missing = missing;
        reads.round += 1;
        self.send_confirms(core, step);
        self.finish_round(core, step);
    }

    fn send_confirms(&self, core: &Core, step: &mut Step<'_>) {
        let view = core.view_number();
        for node in &self.reads.missing {
            core.send(step, *node, Message::Confirm { view, round: self.reads.round });
        }
    }

    /// A heartbeat interval has passed: a Confirm or its answer may have been lost.
    pub(crate) fn ask_again(&mut self, core: &Core, step: &mut Step<'_>) {
        if !self.reads.asked.is_empty() {
            self.send_confirms(core, step);
            self.finish_round(core, step);
        }
    }

    pub(crate) fn on_confirmed(&mut self, core: &Core, step: &mut Step<'_>, from: NodeId, round: u64) {
        self.heard_from(step.now, from);
        if round == self.reads.round {
            self.reads.missing.retain(|node| *node != from);
            self.finish_round(core, step);
        }
    }

    fn finish_round(&mut self, core: &Core, step: &mut Step<'_>) {
        let reads = &mut self.reads;
        // Until its promise is durable the primary itself has not confirmed the view.
        if reads.asked.is_empty() || !reads.missing.is_empty() || !core.promise_is_durable() {
            return;
        }
        let asked = std::mem::take(&mut reads.asked);
        reads.confirmed.extend(asked);
        self.answer_reads(core, step);
        self.start_round(core, step);
    }

    /// Answers the confirmed reads whose entries are committed.
    pub(crate) fn answer_reads(&mut self, core: &Core, step: &mut Step<'_>) {
        let commit = core.commit;
        let reads = &mut self.reads;
        for read in reads.confirmed.extract_if(.., |read| read.index <= commit) {
            step.push(Effect::ReadReady { token: read.token, through: read.index });
        }
        let stuck = !reads.asked.is_empty() && reads.missing.is_empty();
        if stuck {
            // The round was complete but for the durable promise.
            self.finish_round(core, step);
        }
    }
}

impl Follower {
    /// The replica ceases to be a backup of this view.
    pub(crate) fn refuse_reads(&mut self, step: &mut Step<'_>) {
        step.extend(self.reads.drain(..).map(|read| Effect::ReadRefused { token: read.token }));
    }

    /// Whether it may answer reads (rule L5).
    fn may_read(&self, core: &Core, now: Instant) -> bool {
        let holds = self.reads_until > now || !core.config.rules.hold(Rule::BackupsNeedLease);
        core.config.lease.is_some() && self.is_member && holds && core.is_sound()
    }

    fn on_read(&mut self, core: &mut Core, step: &mut Step<'_>, token: u64, at_least: Index, held: Index) {
        let commit = core.commit;
        let held = if core.config.rules.hold(Rule::CleanReads) { held } else { commit };
        let is_news = !self.has_read && self.reads.is_empty();
        self.has_read = true;
        let index = held.max(at_least);
        if index <= commit {
            return step.push(Effect::ReadReady { token, through: index });
        }
        self.reads.push(Read { token, index });
        if is_news {
            // The primary may have committed it long ago, and not know that somebody waits to hear of it.
            self.acknowledge(core, step);
        }
    }

    /// Answers the reads whose entries are committed.
    pub(crate) fn answer_reads(&mut self, core: &Core, step: &mut Step<'_>) {
        let commit = core.commit;
        for read in self.reads.extract_if(.., |read| read.index <= commit) {
            step.push(Effect::ReadReady { token: read.token, through: read.index });
        }
    }
}
