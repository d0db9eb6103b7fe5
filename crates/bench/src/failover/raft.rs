//! The same for a database that is replicated with Raft: three copies on three nodes.
//!
//! The view service is on the same nodes, and has no part in any of it: nobody is dropped or recruited, and a
//! majority goes on by itself.

use onecopy_harness::{Cluster, Options, PATIENCE, wait};

use super::case::Case;
use super::roles::Roles;

/// By which number clients select the database.
pub(super) const NUMBER: u16 = 16;

/// A cluster that has one.
pub(super) fn cluster(options: Options) -> Cluster {
    Cluster::start(Options { databases: vec![format!("data:{NUMBER}:raft:3")], ..options })
}

/// The leader, and two followers. Of the view service, whoever leads it.
pub(super) fn roles(cluster: &Cluster) -> Roles {
    wait("a leader of the database that all nodes know", PATIENCE, || {
        let report = cluster.report();
        let group = report.groups.iter().find(|group| group.kind == "raft")?;
        let role = |id: u32| {
            let replicas = cluster.status(id)?.replicas.into_iter();
            replicas.into_iter().find(|replica| replica.group == group.group).map(|replica| replica.role)
        };
        let roles: Vec<String> = cluster.data_ids().into_iter().map(role).collect::<Option<_>>()?;
        let leads = roles.iter().filter(|role| *role == "primary").count() == 1;
        let follow = roles.iter().filter(|role| *role == "backup").count() == 2;
        let is_led = role(group.primary).as_deref() == Some("primary");
        let leads_views = |service: &Option<String>| service.as_deref() == Some("leader");
        let leader = report.nodes.iter().find(|node| leads_views(&node.view_service))?.node;
        let (primary, backup) = (group.primary, *group.backups.first()?);
        let spare = *group.backups.get(1)?;
        (leads && follow && is_led).then_some(Roles { primary, backup, spare, leader })
    })
}

/// The group, for operators.
pub(super) fn group(cluster: &Cluster) -> u32 {
    let groups = cluster.report().groups;
    groups.iter().find(|group| group.kind == "raft").expect("it is there").group
}

/// Waits until another copy leads, if the one that did cannot any more. Nothing else has to happen.
pub(super) fn wait_until_recovered(cluster: &Cluster, case: Case, roles: Roles) {
    let must_change = case.victim(roles) == Some(roles.primary) || case == Case::Handover;
    if !must_change {
        return;
    }
    wait("another leader", PATIENCE, || {
        let others = cluster.data_ids().into_iter().filter(|id| *id != roles.primary);
        let leads = |id: u32| {
            let status = cluster.status(id)?;
            let group = status.groups.iter().find(|group| group.kind == "raft")?;
            let replica = status.replicas.iter().find(|replica| replica.group == group.group)?;
            (replica.role == "primary").then_some(())
        };
        others.into_iter().find_map(leads)
    });
}
