//! The follower's side of a snapshot: it gathers the pieces, and replaces its log and its state by what they
//! make (Raft paper, section 7).

use onecopy_core::chunks::{Chunk, Incoming, Verdict};
use onecopy_core::{EntryId, Index, Log, Member, Timestamp};

use crate::configuration::Configuration;
use crate::core::{Core, Step};
use crate::effect::Effect;
use crate::follower::{Follower, Received};
use crate::membership::Membership;
use crate::message::Message;
use crate::node::Raft;
use crate::role::State;

/// A snapshot on its way to this member.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Receiving {
    incoming: Incoming,
    /// How large it is, once the last chunk has come.
    end: Option<u64>,
}

impl Follower {
    pub fn on_snapshot(&mut self, core: &mut Core, step: &mut Step<'_>, from: Member, chunk: Chunk) {
        let snapshot = chunk.snapshot;
        if snapshot.epoch > core.term().into() {
            // No entry is of a term that has not begun.
            return;
        }
        if core.log.contains(snapshot) || snapshot.index <= core.commit {
            // It covers nothing that the log does not: what a leader has a snapshot of is committed.
            self.received.agreed = self.received.agreed.max(snapshot.index);
            core.commit_through(step, snapshot.index);
            return core.acknowledge(step, from, core.commit);
        }
        let newest = self.received.snapshot.as_ref().map(|receiving| receiving.incoming.snapshot);
        if core.is_installing() || newest.is_some_and(|newest| snapshot < newest) {
            // A late piece of an older snapshot must not undo what has come of this one.
            return;
        }
        let receiving = match &mut self.received.snapshot {
            Some(receiving) if receiving.incoming.snapshot == snapshot => receiving,
            other => other.insert(Receiving { incoming: Incoming::new(&chunk), end: None }),
        };
        match receiving.incoming.accept(&chunk) {
            Verdict::Write => {
                if chunk.last {
                    receiving.end = Some(receiving.incoming.wanted);
                }
                step.push(Effect::WriteSnapshot { chunk });
            }
            Verdict::Skip => {
                let wanted = receiving.incoming.wanted;
                core.answer(step, from, Message::SnapshotReply { term: core.term(), snapshot, wanted });
            }
        }
    }
}

impl Received {
    /// Pieces were written, through `offset`. Returns what is wanted next, if the snapshot is still this one.
    fn on_written(
        &mut self,
        core: &mut Core,
        step: &mut Step<'_>,
        snapshot: EntryId,
        offset: u64,
    ) -> Option<u64> {
        let receiving = self.snapshot.as_ref().filter(|receiving| receiving.incoming.snapshot == snapshot)?;
        // Reports of an earlier attempt may claim more than this one has.
        let wanted = offset.min(receiving.incoming.wanted);
        if receiving.end.is_some_and(|end| wanted >= end) {
            self.snapshot = None;
            core.installing = Some(snapshot);
            step.push(Effect::InstallSnapshot { snapshot });
        }
        Some(wanted)
    }
}

impl Raft {
    pub(crate) fn on_snapshot_written(&mut self, step: &mut Step<'_>, snapshot: EntryId, offset: u64) {
        let (leader, core) = (self.leader(), &mut self.core);
        let Some(received) = self.state.received_mut() else { return };
        let Some(wanted) = received.on_written(core, step, snapshot, offset) else { return };
        if let Some(leader) = leader {
            core.answer(step, leader, Message::SnapshotReply { term: core.term(), snapshot, wanted });
        }
    }

    pub(crate) fn on_snapshot_installed(
        &mut self,
        step: &mut Step<'_>,
        snapshot: EntryId,
        time: Timestamp,
        configuration: Configuration,
    ) {
        let core = &mut self.core;
        let expected = core.installing.take() == Some(snapshot);
        assert!(expected, "raft: {snapshot} was installed, which nobody asked for");
        core.taking = None;
        core.snapshot = snapshot;
        core.applied = snapshot.index;
        // If the log has come to cover it meanwhile, the end of the step compacts it.
        if !core.log.contains(snapshot) {
            self.replace_log(snapshot, time, configuration);
        }
        if let Some(received) = self.state.received_mut() {
            received.agreed = received.agreed.max(snapshot.index);
        }
        self.commit_through(step, snapshot.index);
        if let State::Follower(Follower { leader: Some(leader), .. }) = &self.state {
            self.core.acknowledge(step, *leader, snapshot.index);
        }
    }

    fn replace_log(&mut self, snapshot: EntryId, time: Timestamp, configuration: Configuration) {
        assert!(
            !matches!(self.state, State::Leader(_)),
            "raft: leader completeness: the leader of {} lacks the committed {snapshot}",
            self.term()
        );
        // Whatever agreed is gone.
        self.state.take_received(snapshot.index);
        self.core.replace_log(snapshot, time, configuration);
    }

    pub(crate) fn on_snapshot_unusable(&mut self, step: &mut Step<'_>, snapshot: EntryId) {
        self.core.installing.take_if(|installing| *installing == snapshot);
        self.core.apply_committed(step);
        if let State::Leader(leader) = &mut self.state {
            leader.serve_confirmed_reads(&self.core, step);
        }
    }

    /// Everything through `index` is committed, in whatever role.
    fn commit_through(&mut self, step: &mut Step<'_>, index: Index) {
        match &mut self.state {
            State::Leader(leader) => leader.commit_through(&mut self.core, step, index),
            _ => self.core.commit_through(step, index),
        }
    }
}

impl Core {
    fn replace_log(&mut self, snapshot: EntryId, time: Timestamp, configuration: Configuration) {
        assert!(
            snapshot.index > self.commit,
            "raft: state machine safety: {snapshot} replaces what is committed"
        );
        self.log = Log::new(snapshot);
        self.base_time = time;
        self.commit = snapshot.index;
        self.disk.install(snapshot);
        self.membership = Membership::new(snapshot.index, configuration);
        self.count_anew();
    }
}
