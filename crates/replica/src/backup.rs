//! Everybody but the primary: members that acknowledge, and learners that catch up.

use onecopy_core::{Entry, EntryId, Grounds, Index, Instant, NodeId, Plea, Rule, ViewNumber};

use crate::awake::Awake;
use crate::effect::Effect;
use crate::lease::{Loan, Terms};
use crate::message::Message;
use crate::reads::Read;
use crate::replica::{Replica, Role};

/// What a backup or a learner knows in its view.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Follower {
    /// Whom it follows.
    pub(crate) primary: NodeId,
    /// Whether it is a member; otherwise it is a learner.
    pub(crate) is_member: bool,
    /// Up to here the log is known to agree with the primary's. In a new view only what is committed is.
    pub(crate) agreed: Index,
    /// The highest index that was acknowledged in this view.
    acknowledged: Index,
    /// When the primary last said anything.
    pub(crate) heard: Instant,
    /// Whether this replica stood still.
    awake: Awake,
    /// The primary's clock when it sent its newest Prepare, if it uses leases: what a promise to it counts from.
    prepared_at: Option<Instant>,
    /// Until when this backup may answer reads (rule L5).
    pub(crate) reads_until: Instant,
    /// Reads that wait for what the log held when they arrived.
    pub(crate) reads: Vec<Read>,
    /// A read was taken since the last acknowledgement.
    pub(crate) has_read: bool,
}

impl Follower {
    pub(crate) fn new(primary: NodeId, is_member: bool, commit: Index, now: Instant) -> Self {
        Self {
            primary,
            is_member,
            agreed: commit,
            acknowledged: Index(0),
            heard: now,
            awake: Awake::new(now),
            prepared_at: None,
            reads_until: Instant::ZERO,
            reads: Vec::new(),
            has_read: false,
        }
    }
}

impl Replica {
    #[expect(clippy::too_many_arguments, reason = "the fields of one message")]
    pub(crate) fn on_prepare(
        &mut self,
        now: Instant,
        from: NodeId,
        view: ViewNumber,
        sequence: u64,
        previous: EntryId,
        entries: Vec<Entry>,
        commit: Index,
        terms: Option<Terms>,
        effects: &mut Vec<Effect>,
    ) {
        let Role::Follower(follower) = &mut self.role else { return };
        if from != follower.primary && self.config.rules.hold(Rule::NoOldPrimaries) {
            return;
        }
        follower.heard = now;
        if self.digests.has_diverged() {
            return;
        }
        if let Some(terms) = terms.filter(|_| self.config.lease.is_some() && !self.declines) {
            follower.prepared_at = follower.prepared_at.max(Some(terms.sent));
            let until = terms.lease.map_or(Instant::ZERO, |loan| self.config.held_until(now, loan));
            follower.reads_until = follower.reads_until.max(until);
        }
        if self.snapshots.is_installing() {
            // The entries are as good as lost, and are sent again. But loading a snapshot may take longer than the
            // failure timeout, and this replica is not silent.
            return self.acknowledge(now, effects);
        }
        // What a snapshot covers is committed, and agrees by that.
        let covered = previous.index <= self.log.base().index;
        if !covered && !self.log.contains(previous) {
            let (agreed, last) = (follower.agreed.max(self.commit), self.log.last());
            return self.send(from, Message::PrepareReject { view, sequence, agreed, last }, effects);
        }
        let heartbeat = entries.is_empty();
        let end = entries.last().map_or(previous.index, |entry| entry.id.index);
        self.take_entries(now, entries, effects);
        let end = end.min(self.log.last().index);
        let Role::Follower(follower) = &mut self.role else { return };
        follower.agreed = follower.agreed.max(end);
        let committed = commit.min(follower.agreed);
        self.commit_through(committed, effects);
        self.answer_backup_reads(effects);
        match heartbeat {
            // Always answered, so that a lost acknowledgement is said again.
            true => self.acknowledge(now, effects),
            false => self.follower_durable(now, effects),
        }
    }

    /// Appends what the log does not hold yet; the first disagreement cuts the tail (rule P8).
    fn take_entries(&mut self, now: Instant, entries: Vec<Entry>, effects: &mut Vec<Effect>) {
        let base = self.log.base().index;
        let known = |replica: &Self, entry: &Entry| entry.id.index <= base || replica.log.contains(entry.id);
        let new: Vec<Entry> = entries.into_iter().skip_while(|entry| known(self, entry)).collect();
        let Some(first) = new.first().map(|entry| entry.id.index) else { return };
        if first <= self.log.last().index {
            if !self.config.rules.hold(Rule::TailsYield) {
                return;
            }
            self.cut(now, first, effects);
            if let Role::Follower(follower) = &mut self.role {
                follower.agreed = follower.agreed.min(first.previous());
            }
        }
        self.append(now, new, effects);
    }

    /// Acknowledges what has become durable since the last time.
    pub(crate) fn follower_durable(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let Role::Follower(follower) = &self.role else { return };
        if self.digests.has_diverged() {
            return;
        }
        if self.disk.durable.min(follower.agreed) > follower.acknowledged {
            self.acknowledge(now, effects);
        }
    }

    /// Says what is durable here, and promises what the primary reads under.
    pub(crate) fn acknowledge(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let view = self.view_number();
        let Role::Follower(follower) = &mut self.role else { return };
        let durable = self.disk.durable.min(follower.agreed);
        follower.acknowledged = durable;
        let primary = follower.primary;
        let reads = std::mem::take(&mut follower.has_read) || !follower.reads.is_empty();
        let lease = self.config.lease.filter(|_| !self.declines);
        let terms = follower.prepared_at.zip(lease).map(|(earned, lasts)| {
            self.leases.promise(now, primary, lasts, &self.config);
            Terms { sent: now, lease: Some(Loan { earned, lasts }), reads }
        });
        self.send(
            primary,
            Message::PrepareOk { view, durable, checked: self.digests.agreed(), terms },
            effects,
        );
    }

    pub(crate) fn on_confirm(
        &mut self,
        now: Instant,
        from: NodeId,
        view: ViewNumber,
        round: u64,
        effects: &mut Vec<Effect>,
    ) {
        let Role::Follower(follower) = &mut self.role else { return };
        if from == follower.primary || !self.config.rules.hold(Rule::NoOldPrimaries) {
            follower.heard = now;
            self.send(from, Message::Confirmed { view, round }, effects);
        }
    }

    /// One heartbeat interval has passed.
    pub(crate) fn follower_tick(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let view = self.view_number();
        self.accuse(effects);
        self.nudge_serving(now, effects);
        let Role::Follower(follower) = &mut self.role else { return };
        follower.awake.tick(&self.config, now);
        let silent_for = now.since(follower.awake.at_least(follower.heard));
        if silent_for >= self.config.failure_timeout {
            let plea = Plea::Suspect { node: follower.primary, grounds: Grounds::Silent(silent_for) };
            effects.push(self.config.petition(view, plea));
        }
    }
}
