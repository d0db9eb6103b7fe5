//! What the replicas of the node tell people.

use std::collections::BTreeSet;
use std::sync::Arc;

use onecopy_core::machine::RestoreError;
use onecopy_core::{EntryId, GroupId, Index, Member, View};
use onecopy_host::optimistic::News;
use onecopy_host::{Group, GroupObserver};
use onecopy_raft::Configuration;
use onecopy_replica::{HandoverError, Standing};
use tokio::sync::mpsc::UnboundedSender;
use tracing::{error, info, warn};

use crate::control::FromData;
use crate::status::{DataStatus, ReplicaCounters};

/// The exit status of a process that takes itself for damaged: whoever looks after it starts it again.
const DAMAGED: i32 = 70;

/// Writes it into the log of the process, counts it, and tells the control thread what operators wait for.
#[derive(Debug)]
pub(crate) struct Telling {
    pub(crate) control: UnboundedSender<FromData>,
    pub(crate) status: Arc<DataStatus>,
}

impl Telling {
    /// A copy of an optimistic database has something to tell.
    pub(crate) fn news(&self, group: GroupId, news: &News) {
        match news {
            News::Lives(life) => info!(%group, %life, "the copy makes updates under this number"),
            News::Gone => {
                info!(%group, "the copy is not to be here any more, and has given back what it held")
            }
            News::Repaired { from, differing, bytes, took } => {
                info!(%group, %from, differing, bytes, ms = took.as_millis(), "the copy has been repaired");
            }
            News::Differs { from } => {
                error!(
                    %group,
                    %from,
                    "another copy has seen the same and holds something else: the two agree on one of the two, and are repaired. \
                     A machine, a disk or the program is at fault"
                );
                ReplicaCounters::add(&self.status.replicas_did.diverged);
            }
            News::ClockAhead { replica, by_ms } => {
                warn!(%group, life = %replica, by_ms, "an update comes from a clock that is far ahead of this node's");
            }
            News::Senseless { from } => warn!(%group, %from, "another copy says what makes no sense"),
        }
    }
}

impl<M: onecopy_core::StateMachine> GroupObserver<M> for Telling {
    fn view_changed(&mut self, group: &Group<M>, view: &View, standing: Standing, unknown: usize) {
        info!(group = %group.id(), %view, ?standing, "view changed");
        if unknown > 0 {
            warn!(
                group = %group.id(),
                batches = unknown,
                "no longer the primary: whoever sent these batches asks the new one what became of them"
            );
        }
    }

    fn configured(&mut self, group: &Group<M>, _: Index, configuration: &Configuration, committed: bool) {
        if committed {
            let names = |members: &BTreeSet<Member>| {
                members.iter().map(|member| member.node.0.to_string()).collect::<Vec<_>>().join(", ")
            };
            let Configuration { voters, old_voters, learners } = configuration;
            info!(
                group = %group.id(),
                voters = names(voters),
                old_voters = names(old_voters),
                learners = names(learners),
                "the members of the group have changed"
            );
        }
    }

    fn handover_failed(&mut self, group: &Group<M>, error: HandoverError) {
        warn!(group = %group.id(), %error, "a handover did not happen");
        ReplicaCounters::add(&self.status.replicas_did.handovers_failed);
        let _ = self.control.send(FromData::HandoverFailed { group: group.id(), error });
    }

    fn diverged(&mut self, group: &Group<M>, after: Index, own: u64, primarys: u64) {
        error!(
            group = %group.id(),
            %after,
            own = format!("{own:016x}"),
            primarys = format!("{primarys:016x}"),
            "the state here is not what the primary's is: this replica answers nothing any more, and is rebuilt. Keep its log \
             and report this: a machine, a disk or the program is at fault"
        );
        ReplicaCounters::add(&self.status.replicas_did.diverged);
    }

    fn rebuilt(&mut self, group: &Group<M>) {
        warn!(group = %group.id(), "the replica begins anew, with nothing");
        ReplicaCounters::add(&self.status.replicas_did.rebuilt);
    }

    fn snapshot_begun(&mut self, group: &Group<M>, at: EntryId) {
        info!(group = %group.id(), snapshot = %at, "taking a snapshot");
    }

    fn snapshot_taken(&mut self, group: &Group<M>, at: EntryId) {
        info!(group = %group.id(), snapshot = %at, "the snapshot is durable");
    }

    fn snapshot_arrives(&mut self, group: &Group<M>, at: EntryId) {
        info!(group = %group.id(), snapshot = %at, "receiving a snapshot");
    }

    fn snapshot_spoiled(&mut self, group: &Group<M>, at: EntryId, error: &RestoreError) {
        warn!(group = %group.id(), snapshot = %at, %error, "a received snapshot makes no sense");
    }

    fn snapshot_installed(&mut self, group: &Group<M>, at: EntryId) {
        info!(group = %group.id(), snapshot = %at, "installed a snapshot");
    }

    fn damaged(&mut self, group: &Group<M>) {
        error!(
            group = %group.id(),
            "other copies come to other results than this one did as the primary: its memory may be damaged. The process stops; \
             started again, it executes its log anew"
        );
        std::process::exit(DAMAGED);
    }
}
