//! What the view node tells people.

use std::time::Duration;

use onecopy_core::{Entry, EntryId, Incarnation, Instant, NodeId, Term};
use onecopy_host::ViewObserver;
use onecopy_raft::{CorruptState, Raft, Role};
use onecopy_views::{Command, Membership, Monitor, Rejection, Table};
use tracing::{debug, error, info, warn};

/// Writes it into the log of the process.
pub(crate) struct Telling {
    /// This node.
    pub(crate) node: NodeId,
}

impl ViewObserver for Telling {
    fn founded(&mut self, membership: &Membership) {
        info!(members = ?membership.members.keys(), "the view service is founded");
    }

    fn stays_out(&mut self) {
        error!(
            node = %self.node,
            "the view service knows this node with another disk: it stays out of the view service. A view node \
             that lost its disk must not vote, because it may have voted before"
        );
    }

    fn cannot_start(&mut self, error: &CorruptState) {
        error!(%error, "the view service cannot start on this node");
    }

    fn slept(&mut self, length: Duration) {
        warn!(millis = length.as_millis(), "the view node was not run for a while");
    }

    fn unknown_member(&mut self, from: NodeId, incarnation: Incarnation) {
        debug!(%from, %incarnation, "a message of an unknown view node");
    }

    fn role_changed(&mut self, role: Role, term: Term, leader: Option<NodeId>, _: &Raft) {
        info!(%role, %term, ?leader, "view service");
    }

    fn proposes(&mut self, _: Instant, command: &Command, _: &Monitor) {
        debug!(?command, "proposing");
    }

    fn executed(&mut self, _: &Entry, command: &Command, outcome: &Result<(), Rejection>, _: &Table) {
        match outcome {
            // What has changed is told by every node that learns of it. The same evidence may lead to it twice, or somebody
            // else may be first: that is what compare-and-set is for.
            Ok(()) | Err(Rejection::NoChange | Rejection::ViewChanged { .. }) => {}
            Err(rejection) => debug!(?command, %rejection, "view table: refused"),
        }
    }

    fn installed(&mut self, at: EntryId, _: &Table) {
        info!(snapshot = %at, "view service: installed a snapshot");
    }
}
