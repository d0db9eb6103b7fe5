//! One fault, from the quiet before it to the quiet after it.

use std::net::SocketAddr;
use std::time::Duration;

use onecopy_harness::load::{Findings, Load};
use onecopy_harness::{Cluster, PATIENCE, wait};

use super::case::Case;
use super::roles::{self, Roles};
use super::{Replication, raft};

/// How long clients write before something fails, and after all is well again.
const QUIET: Duration = Duration::from_millis(500);
/// How long everything takes on a slow link, one way: answers come in less than the time after which a node
/// counts as silent.
const SLOW: Duration = Duration::from_millis(180);

/// What a round has shown.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The longest time without an acknowledged write while nothing failed.
    pub(super) quiet: Duration,
    /// The same from the fault until the group had two copies again.
    pub(super) gap: Duration,
    /// The same while what had failed came back.
    pub(super) gap_at_return: Duration,
    /// Answers that were errors.
    pub(super) errors: usize,
    /// The first of them, or the first wrong read.
    pub(super) error: Option<String>,
    pub(super) findings: Findings,
}

impl Outcome {
    pub(super) fn is_clean(&self) -> bool {
        self.errors == 0 && self.findings == Findings::default()
    }
}

pub(super) fn run(
    cluster: &mut Cluster,
    (case, replication): (Case, Replication),
    writers: usize,
    pause: Duration,
) -> Outcome {
    let is_raft = replication == Replication::Raft;
    let roles = match is_raft {
        true => raft::roles(cluster),
        false => roles::arrange(cluster, case.leader_is_primary()),
    };
    let number = if is_raft { raft::NUMBER } else { 0 };
    wait_for_view_service(cluster);
    let survivors = survivors(cluster, case, roles);
    let _: () =
        redis::cmd("FLUSHALL").query(&mut cluster.client_in(roles.primary, number)).expect("FLUSHALL");
    let load = Load::start_with_pauses((number, pause), writers, &survivors, &survivors);
    load.wait_for_success(PATIENCE);
    std::thread::sleep(QUIET / 2);
    load.take_longest_gap();
    std::thread::sleep(QUIET);
    let quiet = load.take_longest_gap();

    inject(cluster, (case, is_raft), roles);
    match is_raft {
        true => raft::wait_until_recovered(cluster, case, roles),
        false => wait_until_recovered(cluster, case, roles),
    }
    load.wait_for_success(PATIENCE);
    std::thread::sleep(QUIET);
    let gap = load.take_longest_gap();

    heal(cluster, case, roles);
    cluster.wait_until_complete();
    if is_raft {
        raft::roles(cluster);
    }
    wait_for_view_service(cluster);
    load.wait_for_success(PATIENCE);
    std::thread::sleep(QUIET);
    let gap_at_return = load.take_longest_gap();

    let history = load.stop();
    let findings = history.check(&mut cluster.client_in(roles.spare, number));
    let error = history.errors.first().or(history.wrong_reads.first()).cloned();
    Outcome { quiet, gap, gap_at_return, errors: history.errors.len(), error, findings }
}

/// Where the clients are: at all nodes but the one that fails. If the link between two nodes is harmed, a
/// client of either may be behind it: they are at the third one, all of whose links are whole.
fn survivors(cluster: &Cluster, case: Case, roles: Roles) -> Vec<SocketAddr> {
    let mut ids = if case.harms_a_link() { vec![roles.spare] } else { cluster.data_ids() };
    ids.retain(|id| Some(*id) != case.victim(roles));
    ids.iter().map(|id| cluster.redis_address(*id)).collect()
}

fn inject(cluster: &mut Cluster, (case, is_raft): (Case, bool), roles: Roles) {
    match case {
        Case::KillPrimary => cluster.kill(roles.primary),
        Case::KillBackup => cluster.kill(roles.backup),
        Case::KillLeader | Case::KillPrimaryAndLeader => cluster.kill(roles.leader),
        Case::PausePrimary => cluster.pause(roles.primary),
        Case::PauseBackup => cluster.pause(roles.backup),
        Case::StallPrimary => cluster.disk(roles.primary).hang(),
        Case::StallBackup => cluster.disk(roles.backup).hang(),
        Case::CutPrimaryToBackup => cluster.cut(roles.primary, roles.backup),
        Case::CutBackupToPrimary => cluster.cut(roles.backup, roles.primary),
        Case::SlowLink => cluster.slow_down(roles.primary, roles.backup, SLOW),
        Case::Handover => {
            let group = if is_raft { raft::group(cluster) } else { 1 };
            cluster.must_operate(&["group", "handover", "--group", &group.to_string()]);
        }
    }
}

/// Waits until there are two copies again, neither of them where something has failed, and a leader of the
/// view service.
fn wait_until_recovered(cluster: &Cluster, case: Case, roles: Roles) {
    wait("two copies without what has failed", PATIENCE, || {
        let report = cluster.report();
        let group = report.groups.first()?;
        let is_member = |id: u32| group.primary == id || group.backups.contains(&id);
        let is_rid_of_it = match case {
            Case::CutPrimaryToBackup | Case::CutBackupToPrimary | Case::SlowLink => {
                !(is_member(roles.primary) && is_member(roles.backup))
            }
            Case::Handover => group.primary != roles.primary,
            _ => case.victim(roles).is_none_or(|victim| !is_member(victim)),
        };
        let leads = |service: &Option<String>| service.as_deref() == Some("leader");
        let has_leader = report.nodes.iter().any(|node| {
            node.state == "up" && leads(&node.view_service) && Some(node.node) != case.victim(roles)
        });
        let has_all = report.complete && group.learners.is_empty();
        // A victim that leads the view service and is not gone may go on to do so.
        let leader_needed = matches!(case, Case::KillLeader | Case::KillPrimaryAndLeader);
        (is_rid_of_it && has_all && (has_leader || !leader_needed)).then_some(())
    });
}

fn heal(cluster: &mut Cluster, case: Case, roles: Roles) {
    match case {
        Case::KillPrimary | Case::KillBackup | Case::KillLeader | Case::KillPrimaryAndLeader => {
            cluster.start_all();
        }
        Case::PausePrimary => cluster.resume(roles.primary),
        Case::PauseBackup => cluster.resume(roles.backup),
        Case::StallPrimary => cluster.disk(roles.primary).recover(),
        Case::StallBackup => cluster.disk(roles.backup).recover(),
        Case::CutPrimaryToBackup | Case::CutBackupToPrimary | Case::SlowLink => cluster.heal_all(),
        Case::Handover => {}
    }
}

/// Waits until all nodes are up, and all view nodes follow one leader: else the next fault would be a second
/// one.
fn wait_for_view_service(cluster: &Cluster) {
    wait("all nodes, and a view service that agrees", PATIENCE, || {
        let statuses: Option<Vec<_>> = cluster.ids().iter().map(|id| cluster.status(*id)).collect();
        let statuses = statuses?;
        let leaders: Vec<Option<u32>> = statuses
            .iter()
            .filter_map(|status| status.view_service.as_ref())
            .map(|part| part.leader)
            .collect();
        let agree = leaders.first()?.is_some() && leaders.iter().all(|leader| *leader == leaders[0]);
        let sound = statuses.iter().all(|status| status.failure.is_none());
        let serving = statuses.iter().all(|status| !status.groups.is_empty());
        (agree && sound && serving).then_some(())
    });
}
