//! Reads: at the primary, under its leases or confirmed, and at backups.
//!
//! A primary may answer a read from its own state if nobody can have committed anything that it does not
//! know of. Only a member of its view can have become the primary of a later one (rule P4). Two things tell it that
//! none has: every member has promised not to act as a later primary for a while (a lease, rule L1); or, without that,
//! every member answers a Confirm that was sent after the read arrived, and had not promised any later view at
//! that moment (rule P3). One round serves all the reads that arrived before it started.
//!
//! A backup under a lease of its own knows that nothing is committed that is not in its log. It answers a read once it has
//! applied those entries that its log held when the read arrived and that touch what is read (rule L5).

use onecopy_core::{Index, Instant, NodeId, Rule};

use crate::backup::Follower;
use crate::effect::Effect;
use crate::message::Message;
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
    /// Empties everything.
    fn take(&mut self) -> impl Iterator<Item = Read> {
        let (mut all, asked) = (std::mem::take(&mut self.confirmed), std::mem::take(&mut self.asked));
        all.extend(asked);
        all.append(&mut self.arrived);
        all.into_iter()
    }
}

impl crate::primary::Primary {
    /// The replica ceases to be the primary.
    pub(crate) fn refuse_reads(&mut self, effects: &mut Vec<Effect>) {
        effects.extend(self.reads.take().map(|read| Effect::ReadRefused { token: read.token }));
    }
}

impl Follower {
    /// The replica ceases to be a backup of this view.
    pub(crate) fn refuse_reads(&mut self, effects: &mut Vec<Effect>) {
        effects.extend(self.reads.drain(..).map(|read| Effect::ReadRefused { token: read.token }));
    }
}

impl Replica {
    /// Whether a coordinator may ask this replica to read, although it is not the primary (rule L5).
    #[must_use]
    pub fn reads_as_backup(&self, now: Instant) -> bool {
        let Role::Follower(follower) = &self.role else { return false };
        let holds = follower.reads_until > now || !self.config.rules.hold(Rule::BackupsNeedLease);
        self.config.lease.is_some() && follower.is_member && holds && self.is_sound()
    }

    /// Whether this is a primary that answers a read that arrives now on its own word, under a lease.
    #[must_use]
    pub fn reads_as_primary(&self, now: Instant) -> bool {
        let (Role::Primary(primary), Some(view)) = (&self.role, &self.view) else { return false };
        let is_open = self.leases.opens(view, &self.config) <= now;
        is_open && self.commit >= primary.noop && primary.lease_ends(&self.config, now).is_some()
    }

    /// Whether the state is what the log says.
    fn is_sound(&self) -> bool {
        !self.snapshots.is_installing() && !self.digests.has_diverged()
    }

    pub(crate) fn on_read(
        &mut self,
        now: Instant,
        token: u64,
        at_least: Index,
        touched: Option<Index>,
        effects: &mut Vec<Effect>,
    ) {
        if self.reads_as_backup(now) {
            let last = self.log.last().index;
            let held = touched.map_or(last, |touched| touched.min(last));
            return self.read_as_backup(now, token, at_least, held, effects);
        }
        let is_open = self.is_open(now);
        let commit = self.commit;
        let Role::Primary(primary) = &mut self.role else {
            effects.push(match self.config.rules.hold(Rule::OnlyThePrimary) {
                true => Effect::ReadRefused { token },
                false => Effect::ReadReady { token, through: Index(0) },
            });
            return;
        };
        // P7: before the no-op is committed it is not known what was committed before it.
        let floor = if self.config.rules.hold(Rule::OwnEntryFirst) { primary.noop } else { Index(0) };
        let index = commit.max(at_least).max(floor);
        let read = Read { token, index };
        let holds_lease = match self.config.rules.hold(Rule::ReadsNeedLease) {
            true => primary.lease_ends(&self.config, now).is_some(),
            false => self.config.lease.is_some(),
        };
        if holds_lease && is_open && commit >= floor {
            primary.reads.confirmed.push(read);
            return self.answer_reads(now, effects);
        }
        primary.reads.arrived.push(read);
        self.start_round(now, effects);
    }

    fn read_as_backup(
        &mut self,
        now: Instant,
        token: u64,
        at_least: Index,
        held: Index,
        effects: &mut Vec<Effect>,
    ) {
        let commit = self.commit;
        let held = if self.config.rules.hold(Rule::CleanReads) { held } else { commit };
        let Role::Follower(follower) = &mut self.role else { return };
        let is_news = !follower.has_read && follower.reads.is_empty();
        follower.has_read = true;
        let index = held.max(at_least);
        if index <= commit {
            return effects.push(Effect::ReadReady { token, through: index });
        }
        follower.reads.push(Read { token, index });
        if is_news {
            // The primary may have committed it long ago, and not know that somebody waits to hear of it.
            self.acknowledge(now, effects);
        }
    }

    /// Answers the reads whose entries are committed.
    pub(crate) fn answer_backup_reads(&mut self, effects: &mut Vec<Effect>) {
        let commit = self.commit;
        let Role::Follower(follower) = &mut self.role else { return };
        for read in follower.reads.extract_if(.., |read| read.index <= commit) {
            effects.push(Effect::ReadReady { token: read.token, through: read.index });
        }
    }

    /// Asks all required replicas to confirm the view, unless a round is under way.
    fn start_round(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let confirm = self.config.rules.hold(Rule::ConfirmReads);
        let Role::Primary(primary) = &mut self.role else { return };
        if !primary.reads.asked.is_empty() || primary.reads.arrived.is_empty() {
            return;
        }
        let missing: Vec<NodeId> = match confirm {
            true => primary.required(&self.config, now).map(|peer| peer.node).collect(),
            false => Vec::new(),
        };
        let reads = &mut primary.reads;
        reads.asked = std::mem::take(&mut reads.arrived);
        reads.missing = missing;
        reads.round += 1;
        self.send_confirms(effects);
        self.finish_round(now, effects);
    }

    fn send_confirms(&self, effects: &mut Vec<Effect>) {
        let view = self.view_number();
        let Role::Primary(primary) = &self.role else { return };
        for node in &primary.reads.missing {
            self.send(*node, Message::Confirm { view, round: primary.reads.round }, effects);
        }
    }

    /// A heartbeat interval has passed: a Confirm or its answer may have been lost.
    pub(crate) fn ask_again(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let Role::Primary(primary) = &self.role else { return };
        if !primary.reads.asked.is_empty() {
            self.send_confirms(effects);
            self.finish_round(now, effects);
        }
    }

    pub(crate) fn on_confirmed(&mut self, now: Instant, from: NodeId, round: u64, effects: &mut Vec<Effect>) {
        self.heard_from(now, from);
        let Role::Primary(primary) = &mut self.role else { return };
        if round == primary.reads.round {
            primary.reads.missing.retain(|node| *node != from);
            self.finish_round(now, effects);
        }
    }

    fn finish_round(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        // Until its promise is durable the primary itself has not confirmed the view.
        let durable = self.promise_is_durable();
        let Role::Primary(primary) = &mut self.role else { return };
        let reads = &mut primary.reads;
        if reads.asked.is_empty() || !reads.missing.is_empty() || !durable {
            return;
        }
        let asked = std::mem::take(&mut reads.asked);
        reads.confirmed.extend(asked);
        self.answer_reads(now, effects);
        self.start_round(now, effects);
    }

    /// Answers the confirmed reads whose entries are committed.
    pub(crate) fn answer_reads(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let commit = self.commit;
        let Role::Primary(primary) = &mut self.role else { return };
        let reads = &mut primary.reads;
        for read in reads.confirmed.extract_if(.., |read| read.index <= commit) {
            effects.push(Effect::ReadReady { token: read.token, through: read.index });
        }
        let stuck = !reads.asked.is_empty() && reads.missing.is_empty();
        if stuck {
            // The round was complete but for the durable promise.
            self.finish_round(now, effects);
        }
    }
}
