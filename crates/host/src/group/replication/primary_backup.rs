//! Primary-backup: the view service says who leads, and all members hold what is acknowledged.

use onecopy_core::{EntryId, Index, Instant, Protocol, Recovered, StateMachine};
use onecopy_replica::{Base, Config, CorruptPromise, Effect, Input, Replica};

use crate::disk::{ArchiveJob, Out};
use crate::group::{Group, GroupEffect, GroupObserver};
use crate::message::GroupMessage;

/// A replica, and what it wants done.
#[derive(Debug)]
pub struct PrimaryBackup {
    pub(super) replica: Replica,
    /// Empty between steps; kept for its memory.
    pub(super) effects: Vec<Effect>,
}

impl PrimaryBackup {
    pub(super) fn start(
        config: Config,
        recovered: Recovered,
        base: Base,
        now: Instant,
    ) -> Result<Self, CorruptPromise> {
        let mut effects = Vec::new();
        let replica = Replica::new(config, recovered, base, now, &mut effects)?;
        Ok(Self { replica, effects })
    }

    pub(super) fn step(&mut self, now: Instant, input: Input) {
        self.replica.step(now, input, &mut self.effects);
        self.replica.check_invariants();
    }

    /// Under which name the payload of the last step stands in the log, if it was taken.
    pub(super) fn proposed(&self) -> Option<EntryId> {
        match self.effects.first() {
            Some(Effect::Proposed { id }) => Some(*id),
            _ => None,
        }
    }
}

impl<M: StateMachine> Group<M> {
    pub(super) fn replica_wants(
        &mut self,
        effect: Effect,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) {
        let group = self.id;
        match effect {
            Effect::Persist { ticket, writes } => self.journal.persist(ticket, writes, out),
            Effect::Send { to, message, after } => {
                self.send((to, GroupMessage::PrimaryBackup(message)), after, out);
            }
            Effect::Apply { entries } => self.committed_now(entries, observer),
            // Seen to by whoever proposed.
            Effect::Proposed { .. } | Effect::Refused => {}
            Effect::ReadReady { token, through } => self.read_ready(token, through, out),
            Effect::ReadRefused { token } => self.refuse_reads(token, out),
            Effect::ViewChanged { view, standing } => self.view_changed(view, standing, observer, out),
            Effect::Petition(petition) => out.effects.push(GroupEffect::Petition(petition)),
            Effect::HandoverFailed { error } => observer.handover_failed(self, error),
            Effect::Diverged { after, own, primarys } => {
                self.refuse_waiting_reads(out);
                observer.diverged(self, after, own, primarys);
            }
            Effect::Damaged => {
                self.disown_proposals(Index(0), out);
                self.refuse_waiting_reads(out);
                observer.damaged(self);
            }
            Effect::Rebuild => self.rebuild(observer, out),
            Effect::TakeSnapshot { at, time } => {
                self.execution.want_snapshot(at, time);
                self.begin_wanted_snapshot(observer);
            }
            Effect::ReadEntries { to, first, bytes_max } => {
                out.archive.push(ArchiveJob::ReadEntries { group, to, first, bytes_max });
            }
            Effect::ReadSnapshot { to, snapshot: id, offset } => {
                out.archive.push(ArchiveJob::Read { group, to, id, offset });
            }
            Effect::WriteSnapshot { chunk } => self.receive_chunk(chunk, observer, out),
            Effect::InstallSnapshot { snapshot, time } => self.finish_receiving(snapshot, time, out),
        }
    }
}
