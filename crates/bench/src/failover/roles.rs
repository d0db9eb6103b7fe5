//! Who is what, and making it so.

use std::time::{Duration, Instant};

use onecopy_harness::{Cluster, PATIENCE, wait};

/// The nodes of a cluster of three, of which two hold copies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Roles {
    pub(crate) primary: u32,
    pub(crate) backup: u32,
    pub(crate) spare: u32,
    /// Of the view service; one of the above.
    pub(crate) leader: u32,
}

impl Roles {
    /// Waits until every role has somebody.
    pub(crate) fn of(cluster: &Cluster) -> Self {
        wait("a primary, a backup, a spare and a view leader", PATIENCE, || {
            let report = cluster.report();
            let group = report.groups.first().filter(|group| group.learners.is_empty())?;
            let (primary, backup) = (group.primary, *group.backups.first()?);
            let leads = |service: &Option<String>| service.as_deref() == Some("leader");
            let leader = report.nodes.iter().find(|node| leads(&node.view_service))?.node;
            let spare = cluster.data_ids().into_iter().find(|id| ![primary, backup].contains(id))?;
            Some(Self { primary, backup, spare, leader })
        })
    }
}

/// Moves copies and the primary until the leader of the view service is the primary, or holds nothing.
///
/// # Panics
/// If that does not succeed.
pub(super) fn arrange(cluster: &mut Cluster, leader_is_primary: bool) -> Roles {
    let deadline = Instant::now() + 4 * PATIENCE;
    loop {
        cluster.wait_until_complete();
        let roles = Roles::of(cluster);
        let done = if leader_is_primary { roles.primary } else { roles.spare };
        if roles.leader == done {
            return roles;
        }
        assert!(Instant::now() < deadline, "the roles cannot be arranged: {roles:?}");
        if leader_is_primary && roles.leader == roles.backup {
            try_to(cluster, &["group", "handover", "--to", &roles.leader.to_string()]);
        } else {
            // Whoever is drained loses its copy to the spare.
            let leaves = if leader_is_primary { roles.backup } else { roles.leader }.to_string();
            try_to(cluster, &["node", "drain", &leaves, "--wait", "10"]);
            try_to(cluster, &["node", "undrain", &leaves]);
        }
    }
}

/// An operator's command, which may come at a bad moment: then it is tried again, if it is still needed.
fn try_to(cluster: &mut Cluster, arguments: &[&str]) {
    if !cluster.operate(arguments).status.success() {
        std::thread::sleep(Duration::from_millis(200));
    }
}
