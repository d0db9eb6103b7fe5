//! Snapshots: when to take one, when to forget what it covers, and how a follower gets one (Raft paper,
//! section 7).

use onecopy_core::chunks::{Chunk, Incoming, Outgoing, Verdict};
use onecopy_core::{EntryId, Index, Instant, Log, Member, Term, Timestamp};

use crate::configuration::Configuration;
use crate::effect::Effect;
use crate::membership::Membership;
use crate::message::Message;
use crate::node::{Raft, State};
use crate::progress::Pace;

/// A snapshot on its way to a follower.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Sending {
    to: Member,
    outgoing: Outgoing,
    /// The follower has written everything below.
    acknowledged: u64,
    /// The end of the furthest chunk that was sent.
    sent: u64,
    /// How large the snapshot is, once the last chunk has been seen.
    end: Option<u64>,
}

impl Sending {
    pub fn new(to: Member, snapshot: EntryId, now: Instant) -> Self {
        let outgoing = Outgoing::new(to.node, snapshot, now);
        Self { to, outgoing, acknowledged: 0, sent: 0, end: None }
    }

    fn restart(&mut self, snapshot: EntryId, now: Instant) {
        *self = Self::new(self.to, snapshot, now);
    }

    /// The follower has written everything below `wanted`, or, if that is 0, has lost everything.
    fn acknowledge(&mut self, wanted: u64, now: Instant) {
        if wanted == 0 && self.acknowledged > 0 {
            return self.restart(self.outgoing.snapshot, now);
        }
        // Nobody can want more than what follows the last piece sent: such a peer is mad, and is not
        // believed.
        if wanted <= self.sent {
            self.outgoing.acknowledge(now, wanted);
            self.acknowledged = self.acknowledged.max(wanted);
        }
    }

    /// Whether this piece is worth sending; what was asked for beyond the end is not.
    fn take(&mut self, chunk: &Chunk) -> bool {
        if self.end.is_some_and(|end| chunk.offset > end) {
            return false;
        }
        let end = chunk.offset.saturating_add(chunk.data.len() as u64);
        if chunk.last && self.end.is_none_or(|known| end < known) {
            self.end = Some(end);
            self.outgoing.sent_last();
        }
        self.sent = self.sent.max(end);
        true
    }
}

/// A snapshot on its way to this member.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Receiving {
    incoming: Incoming,
    /// The term of the leader that sends it. Images of the same state may differ from member to member, so
    /// pieces of two leaders are never mixed.
    term: Term,
    /// How large it is, once the last chunk has come.
    end: Option<u64>,
    /// It is complete, and replaces the state of the state machine.
    installing: bool,
}

impl Raft {
    /// Asks for a snapshot when the log has grown too large. Not while an older snapshot waits to be made use
    /// of, unless that takes too long.
    pub(crate) fn ask_for_snapshot(&mut self, effects: &mut Vec<Effect>) {
        let waiting = self.taking.is_some() || self.snapshot.index > self.log.base().index;
        if self.log.bytes() <= self.config.log_bytes_max || waiting || self.is_installing() {
            return;
        }
        self.take_snapshot(effects);
    }

    fn take_snapshot(&mut self, effects: &mut Vec<Effect>) {
        let Some(last) = self.log.get(self.applied) else { return };
        let (at, time) = (last.id, last.time);
        if at.index > self.snapshot.index {
            self.taking = Some(at);
            let configuration = self.membership.at(at.index).clone();
            effects.push(Effect::TakeSnapshot { at, time, configuration });
        }
    }

    pub(crate) fn on_snapshot_taken(&mut self, snapshot: EntryId) {
        if self.taking.is_some_and(|asked| asked.index <= snapshot.index) {
            self.taking = None;
        }
        if snapshot.index <= self.snapshot.index {
            // An installed one overtook it.
            return;
        }
        assert!(snapshot.index <= self.applied, "raft: {snapshot} was snapshot before it was applied");
        assert!(self.log.contains(snapshot), "raft: the snapshot {snapshot} is of another history");
        self.snapshot = snapshot;
    }

    /// Forgets what the snapshot covers. A leader waits for followers that need it, until that costs too much
    /// memory.
    pub(crate) fn compact_if_possible(&mut self) {
        let through = self.snapshot;
        if through.index <= self.log.base().index || self.is_installing() {
            return;
        }
        let affordable = self.log.bytes() <= self.config.log_bytes_max.saturating_mul(2);
        if affordable && self.is_needed(through.index) {
            return;
        }
        if let Some(entry) = self.log.get(through.index) {
            self.base_time = entry.time;
        }
        self.log.compact(through);
        self.disk.compact(through);
        self.membership.compact(through.index);
        self.agreed = self.agreed.max(through.index);
    }

    /// Whether a live follower still lacks entries through `through`.
    fn is_needed(&self, through: Index) -> bool {
        let State::Leader(leader) = &self.state else { return false };
        leader.followers.values().any(|progress| {
            let alive = self.now.since(progress.heard) < self.config.election_timeout;
            alive && progress.matched < through
        })
    }

    /// Has the next pieces read from the disk, as many as the window allows.
    pub(crate) fn read_snapshot_for(&mut self, to: Member, effects: &mut Vec<Effect>) {
        let now = self.now;
        let Some(sending) = self.sending(to) else { return };
        while let Some(offset) = sending.outgoing.next(now) {
            effects.push(Effect::ReadSnapshot { to, snapshot: sending.outgoing.snapshot, offset });
        }
    }

    fn sending(&mut self, to: Member) -> Option<&mut Sending> {
        let State::Leader(leader) = &mut self.state else { return None };
        match &mut leader.followers.get_mut(&to)?.pace {
            Pace::Snapshot(sending) => Some(sending),
            Pace::Probe { .. } | Pace::Replicate { .. } => None,
        }
    }

    pub(crate) fn on_snapshot_read(
        &mut self,
        to: Member,
        snapshot: EntryId,
        chunk: Option<Chunk>,
        effects: &mut Vec<Effect>,
    ) {
        let (term, newest, now) = (self.term(), self.snapshot, self.now);
        let Some(sending) = self.sending(to).filter(|sending| sending.outgoing.snapshot == snapshot) else {
            return;
        };
        match chunk {
            Some(chunk) if sending.take(&chunk) => {
                effects.push(Effect::Send { to, message: Message::Snapshot { term, chunk }, after: None });
            }
            Some(_) => {}
            None if newest != snapshot => {
                sending.restart(newest, now);
                self.read_snapshot_for(to, effects);
            }
            // The newest is gone as well. Once there is a newer one, it will be sent.
            None if self.taking.is_none() => self.take_snapshot(effects),
            None => {}
        }
    }

    pub(crate) fn on_snapshot_reply(
        &mut self,
        from: Member,
        snapshot: EntryId,
        wanted: u64,
        effects: &mut Vec<Effect>,
    ) {
        let now = self.now;
        let Some(progress) = self.follower(from) else { return };
        if let Pace::Snapshot(sending) = &mut progress.pace
            && sending.outgoing.snapshot == snapshot
        {
            sending.acknowledge(wanted, now);
        }
        self.read_snapshot_for(from, effects);
    }

    /// Sends again what a follower has not acknowledged for long. If it has everything, sends the (empty)
    /// rest, which a follower that was restarted answers by asking for the beginning.
    pub(crate) fn rewind_stalled_snapshot(&mut self, to: Member) {
        let (now, patience, newest) = (self.now, self.config.election_timeout, self.snapshot);
        let Some(sending) = self.sending(to) else { return };
        if now.since(sending.outgoing.moved()) < patience {
            return;
        }
        match sending.acknowledged == 0 && sending.outgoing.snapshot != newest {
            true => sending.restart(newest, now),
            false => sending.outgoing.rewind(now),
        }
    }

    pub(crate) fn on_snapshot(&mut self, from: Member, chunk: Chunk, effects: &mut Vec<Effect>) {
        let snapshot = chunk.snapshot;
        if snapshot.epoch > self.term().into() {
            // No entry is of a term that has not begun.
            return;
        }
        if self.log.contains(snapshot) || snapshot.index <= self.commit {
            return self.has_snapshot_already(from, snapshot, effects);
        }
        let term = self.term();
        let newest = self.receiving.as_ref().map(|receiving| receiving.incoming.snapshot);
        if self.is_installing() || newest.is_some_and(|newest| snapshot < newest) {
            // A late piece of an older snapshot must not undo what has come of this one.
            return;
        }
        let fresh = || Receiving { incoming: Incoming::new(&chunk), term, end: None, installing: false };
        let receiving = match &mut self.receiving {
            Some(receiving) if receiving.incoming.snapshot == snapshot => receiving,
            other => other.insert(fresh()),
        };
        match receiving.incoming.accept(&chunk) {
            Verdict::Write => {
                if chunk.last {
                    receiving.end = Some(receiving.incoming.wanted);
                }
                effects.push(Effect::WriteSnapshot { chunk });
            }
            Verdict::Skip => {
                let wanted = receiving.incoming.wanted;
                self.answer(from, Message::SnapshotReply { term, snapshot, wanted }, effects);
            }
        }
    }

    /// The snapshot covers nothing that the log does not: what a leader has a snapshot of is committed.
    fn has_snapshot_already(&mut self, from: Member, snapshot: EntryId, effects: &mut Vec<Effect>) {
        self.agreed = self.agreed.max(snapshot.index);
        self.commit_through(snapshot.index, effects);
        let through = self.commit;
        let message = Message::Appended { term: self.term(), through };
        effects.push(Effect::Send { to: from, message, after: self.disk.after_entries(through) });
    }

    pub(crate) fn on_snapshot_written(&mut self, snapshot: EntryId, offset: u64, effects: &mut Vec<Effect>) {
        let Some(receiving) = &mut self.receiving else { return };
        if receiving.incoming.snapshot != snapshot || receiving.installing {
            return;
        }
        // Reports of an earlier attempt may claim more than this one has.
        let wanted = offset.min(receiving.incoming.wanted);
        if receiving.end.is_some_and(|end| wanted >= end) {
            receiving.installing = true;
            effects.push(Effect::InstallSnapshot { snapshot });
        }
        if let Some(leader) = self.leader {
            self.answer(leader, Message::SnapshotReply { term: self.term(), snapshot, wanted }, effects);
        }
    }

    /// Whether a snapshot is replacing the state of the state machine.
    pub(crate) fn is_installing(&self) -> bool {
        self.receiving.as_ref().is_some_and(|receiving| receiving.installing)
    }

    /// The leader has changed: another will send its own image.
    pub(crate) fn forget_unfinished_snapshot(&mut self) {
        let term = self.term();
        self.receiving.take_if(|receiving| !receiving.installing && receiving.term != term);
    }

    pub(crate) fn on_snapshot_installed(
        &mut self,
        snapshot: EntryId,
        time: Timestamp,
        configuration: Configuration,
        effects: &mut Vec<Effect>,
    ) {
        let expected = self.is_installing()
            && self.receiving.as_ref().is_some_and(|receiving| receiving.incoming.snapshot == snapshot);
        assert!(expected, "raft: {snapshot} was installed, which nobody asked for");
        self.receiving = None;
        self.taking = None;
        self.snapshot = snapshot;
        self.applied = snapshot.index;
        if self.log.contains(snapshot) {
            // Entries came from a leader in the meantime.
            self.compact_if_possible();
        } else {
            self.replace_log(snapshot, time, configuration);
        }
        self.commit_through(snapshot.index, effects);
        self.tell_installed(snapshot, effects);
    }

    fn replace_log(&mut self, snapshot: EntryId, time: Timestamp, configuration: Configuration) {
        assert!(
            !matches!(self.state, State::Leader(_)),
            "raft: leader completeness: the leader of {} lacks the committed {snapshot}",
            self.term()
        );
        assert!(
            snapshot.index > self.commit,
            "raft: state machine safety: {snapshot} replaces what is committed"
        );
        self.log = Log::new(snapshot);
        self.base_time = time;
        self.commit = snapshot.index;
        self.agreed = snapshot.index;
        self.disk.install(snapshot);
        self.membership = Membership::new(snapshot.index, configuration);
        self.count_anew();
    }

    fn tell_installed(&mut self, snapshot: EntryId, effects: &mut Vec<Effect>) {
        if let Some(leader) = self.leader.filter(|leader| *leader != self.id()) {
            let through = snapshot.index;
            let message = Message::Appended { term: self.term(), through };
            effects.push(Effect::Send { to: leader, message, after: self.disk.after_entries(through) });
        }
    }

    pub(crate) fn on_snapshot_unusable(&mut self, snapshot: EntryId, effects: &mut Vec<Effect>) {
        self.receiving.take_if(|receiving| receiving.incoming.snapshot == snapshot);
        self.apply_committed(effects);
    }
}
