//! What the control plane tells people.

use std::collections::BTreeSet;
use std::time::Duration;

use onecopy_core::{Entry, EntryId, Incarnation, Index, Instant, Member, NodeId, Term};
use onecopy_host::{ControlObserver, ViewObserver};
use onecopy_raft::{Configuration, CorruptState, Raft, Role};
use onecopy_views::{Command, Membership, Monitor, Rejection, Table};
use tracing::{debug, error, info, warn};

/// Writes it into the log of the process.
#[derive(Debug)]
pub(crate) struct Telling {
    /// This node.
    pub(crate) node: NodeId,
}

impl ViewObserver for Telling {
    fn founded(&mut self, membership: &Membership) {
        info!(members = ?membership.members.keys(), "the view service is founded");
    }

    fn waits(&mut self) {
        info!(
            node = %self.node,
            "waiting to be a view node: the view service replaces one that lost its disk by itself, and takes a new one \
             with `onecopy view add`"
        );
    }

    fn cannot_start(&mut self, error: &CorruptState) {
        error!(%error, "the view service cannot start on this node");
    }

    fn slept(&mut self, length: Duration) {
        warn!(millis = length.as_millis(), "the view node was not run for a while");
    }

    fn foreign_member(&mut self, from: NodeId, incarnation: Incarnation) {
        warn!(%from, %incarnation, "a view node of another cluster of the same name: nothing of it is believed");
    }

    fn configured(&mut self, _: Index, configuration: &Configuration, committed: bool) {
        let ids = |members: &BTreeSet<Member>| members.iter().map(|member| member.node.0).collect::<Vec<_>>();
        let (voters, learners) = (ids(&configuration.voters), ids(&configuration.learners));
        info!(?voters, ?learners, joint = configuration.is_joint(), committed, "view nodes");
    }

    fn role_changed(&mut self, role: Role, term: Term, leader: Option<NodeId>, _: &Raft) {
        info!(%role, %term, ?leader, "view service");
    }

    fn proposes(&mut self, _: Instant, command: &Command, _: &Monitor) {
        debug!(?command, "proposing");
    }

    fn executed(&mut self, _: &Entry, command: &Command, outcome: &Result<(), Rejection>, _: &Table) {
        match outcome {
            // What has changed is told by every node that learns of it. The same evidence may lead to it
            // twice, or somebody else may be first: that is what compare-and-set is for.
            Ok(()) | Err(Rejection::NoChange | Rejection::ViewChanged { .. }) => {}
            Err(rejection) => debug!(?command, %rejection, "view table: refused"),
        }
    }

    fn installed(&mut self, at: EntryId, _: &Table) {
        info!(snapshot = %at, "view service: installed a snapshot");
    }
}

impl ControlObserver for Telling {
    fn makes_way(&mut self) {
        info!("making way before the node stops");
    }

    fn made_way(&mut self) {
        info!("another node leads, this one stops");
    }

    fn made_no_way(&mut self) {
        warn!("nobody has taken over in time: the node stops as if it failed");
    }
}
