//! Everybody but the primary: members that acknowledge, and learners that catch up.

use onecopy_core::{Entry, EntryId, Grounds, Index, Instant, NodeId, Plea, Rule, ViewNumber};

use crate::awake::Awake;
use crate::core::{Core, Step};
use crate::lease::{Loan, Terms};
use crate::message::Message;
use crate::reads::Read;
use crate::snapshot_transfer::Serving;

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
    pub(crate) awake: Awake,
    /// The primary's clock when it sent its newest Prepare, if it uses leases: what a promise to it counts
    /// from.
    pub(crate) prepared_at: Option<Instant>,
    /// Until when this backup may answer reads (rule L5).
    pub(crate) reads_until: Instant,
    /// Reads that wait for what the log held when they arrived.
    pub(crate) reads: Vec<Read>,
    /// A read was taken since the last acknowledgement.
    pub(crate) has_read: bool,
    /// The snapshots that it sends to others.
    pub(crate) serving: Vec<Serving>,
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
            serving: Vec::new(),
        }
    }
}

impl Follower {
    #[expect(clippy::too_many_arguments, reason = "the fields of one message")]
    pub(crate) fn on_prepare(
        &mut self,
        core: &mut Core,
        step: &mut Step<'_>,
        from: NodeId,
        sequence: u64,
        previous: EntryId,
        entries: Vec<Entry>,
        commit: Index,
        terms: Option<Terms>,
    ) {
        if from != self.primary && core.config.rules.hold(Rule::NoOldPrimaries) {
            return;
        }
        self.heard = step.now;
        if core.digests.has_diverged() {
            return;
        }
        if let Some(terms) = terms.filter(|_| core.lease().is_some()) {
            self.take_terms(core, step.now, terms);
        }
        if core.snapshots.is_installing() {
            // The entries are as good as lost, and are sent again. But loading a snapshot may take longer
            // than the failure timeout, and this replica is not silent.
            return self.acknowledge(core, step);
        }
        if core.is_full {
            // Neither taken nor refused: what is refused is sent again at once. Once there is room, the next
            // heartbeat brings to light what is lacking.
            core.commit_through(step, commit.min(self.agreed), self.demand());
            self.answer_reads(core, step);
            return self.acknowledge(core, step);
        }
        // What a snapshot covers is committed, and agrees by that.
        let covered = previous.index <= core.log.base().index;
        if !covered && !core.log.contains(previous) {
            let (view, agreed, last) = (core.view_number(), self.agreed.max(core.commit), core.log.last());
            return core.send(step, from, Message::PrepareReject { view, sequence, agreed, last });
        }
        let heartbeat = entries.is_empty();
        let end = entries.last().map_or(previous.index, |entry| entry.id.index);
        self.take_entries(core, step, entries);
        let end = end.min(core.log.last().index);
        self.agreed = self.agreed.max(end);
        let committed = commit.min(self.agreed);
        core.commit_through(step, committed, self.demand());
        self.answer_reads(core, step);
        match heartbeat {
            // Always answered, so that a lost acknowledgement is said again.
            true => self.acknowledge(core, step),
            false => self.became_durable(core, step),
        }
    }

    /// Appends what the log does not hold yet; the first disagreement cuts the tail (rule P8).
    fn take_entries(&mut self, core: &mut Core, step: &mut Step<'_>, entries: Vec<Entry>) {
        let base = core.log.base().index;
        let known = |entry: &Entry| entry.id.index <= base || core.log.contains(entry.id);
        let new: Vec<Entry> = entries.into_iter().skip_while(known).collect();
        let Some(first) = new.first().map(|entry| entry.id.index) else { return };
        if first <= core.log.last().index {
            if !core.config.rules.hold(Rule::TailsYield) {
                return;
            }
            core.cut(step, first);
            self.agreed = self.agreed.min(first.previous());
        }
        core.append(step, new);
    }

    /// Acknowledges what has become durable since the last time.
    pub(crate) fn became_durable(&mut self, core: &mut Core, step: &mut Step<'_>) {
        if !core.digests.has_diverged() && core.disk.durable.min(self.agreed) > self.acknowledged {
            self.acknowledge(core, step);
        }
    }

    /// Says what is durable here, and promises what the primary reads under.
    pub(crate) fn acknowledge(&mut self, core: &mut Core, step: &mut Step<'_>) {
        let (view, now) = (core.view_number(), step.now);
        let durable = core.disk.durable.min(self.agreed);
        self.acknowledged = durable;
        let reads = std::mem::take(&mut self.has_read) || !self.reads.is_empty();
        let terms = self.prepared_at.zip(core.lease()).map(|(earned, lasts)| {
            core.leases.promise(now, self.primary, lasts, &core.config);
            Terms { sent: now, lease: Some(Loan { earned, lasts }), reads }
        });
        let checked = core.digests.agreed();
        core.send(step, self.primary, Message::PrepareOk { view, durable, checked, terms });
    }

    /// What a Prepare says about leases.
    pub(crate) fn take_terms(&mut self, core: &Core, now: Instant, terms: Terms) {
        self.prepared_at = self.prepared_at.max(Some(terms.sent));
        let until = terms.lease.map_or(Instant::ZERO, |loan| core.config.held_until(now, loan));
        self.reads_until = self.reads_until.max(until);
    }

    /// Whether everything through `last` agrees, and was acknowledged.
    pub(crate) fn has_said_all(&self, last: Index) -> bool {
        self.agreed == last && self.acknowledged == last
    }

    pub(crate) fn on_confirm(
        &mut self,
        core: &Core,
        step: &mut Step<'_>,
        from: NodeId,
        view: ViewNumber,
        round: u64,
    ) {
        if from == self.primary || !core.config.rules.hold(Rule::NoOldPrimaries) {
            self.heard = step.now;
            core.send(step, from, Message::Confirmed { view, round });
        }
    }

    /// One heartbeat interval has passed.
    pub(crate) fn tick(&mut self, core: &Core, step: &mut Step<'_>) {
        self.accuse(core, step);
        self.nudge_serving(core, step);
        self.awake.tick(&core.config, step.now);
        let silent_for = step.now.since(self.awake.at_least(self.heard));
        if silent_for >= core.config.failure_timeout {
            core.petition(step, Plea::Suspect { node: self.primary, grounds: Grounds::Silent(silent_for) });
        }
    }
}
