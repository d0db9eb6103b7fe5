//! What the replicas of the node tell people.

use onecopy_core::machine::RestoreError;
use onecopy_core::{EntryId, View};
use onecopy_host::{Group, GroupObserver};
use onecopy_replica::Standing;
use tracing::{info, warn};

/// Writes it into the log of the process.
pub(crate) struct Telling;

impl<M: onecopy_core::StateMachine> GroupObserver<M> for Telling {
    fn view_changed(&mut self, group: &Group<M>, view: &View, standing: Standing, unknown: usize) {
        info!(group = %group.id(), %view, ?standing, "view changed");
        if unknown > 0 {
            warn!(group = %group.id(), batches = unknown, "no longer the primary: their outcome is unknown");
        }
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
}
