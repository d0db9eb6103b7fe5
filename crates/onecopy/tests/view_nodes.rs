//! The view service grows, shrinks, moves and heals, with real processes and under load: no client sees an
//! error.

use std::net::SocketAddr;
use std::process::{Command, Output};
use std::time::Duration;

use onecopy_harness::load::{Fate, Load};
use onecopy_harness::{Cluster, Options, PATIENCE, executable, timed, wait};
use onecopy_node::ViewServiceStatus;

/// How long a view node that lost its disk may take to be replaced: the patience of the leader is ten
/// election timeouts.
const REPLACEMENT: Duration = Duration::from_secs(30);

/// Nodes 1 to 3 hold data; of nodes 4 to 8, the first is the view service, and the others wait.
fn cluster() -> Cluster {
    let options = Options { separate: true, view_nodes: 5, founders: Some(1), ..Options::default() };
    Cluster::start(options)
}

/// Runs `onecopy view`, asking node 1.
fn view(cluster: &Cluster, arguments: &[&str]) -> Output {
    let http = cluster.http_address(1).to_string();
    let mut command = Command::new(executable());
    command.arg("view").args(arguments).args(["--http", &http]).output().expect("the program runs")
}

/// The same, until it is done: a node that was just started may not be known to wait yet.
fn view_done(cluster: &Cluster, arguments: &[&str]) {
    wait(&format!("onecopy view {arguments:?}"), PATIENCE, || {
        let output = view(cluster, arguments);
        print!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        output.status.success().then_some(())
    });
}

fn part(cluster: &Cluster, id: u32) -> Option<ViewServiceStatus> {
    cluster.status(id)?.view_service
}

/// Waits until these are the voters, as each of them says.
fn wait_for_voters(cluster: &Cluster, voters: &[u32], patience: Duration) {
    wait(&format!("the voters {voters:?}"), patience, || {
        let agrees = |id: &u32| part(cluster, *id).is_some_and(|part| part.voters == voters);
        voters.iter().all(agrees).then_some(())
    });
}

fn addresses(cluster: &Cluster) -> Vec<SocketAddr> {
    cluster.data_ids().iter().map(|id| cluster.redis_address(*id)).collect()
}

/// No write was refused or of unknown fate, and all are there.
fn conclude(cluster: &Cluster, load: Load) {
    load.wait_for_success(PATIENCE);
    let gap = load.take_longest_gap();
    let history = load.conclude();
    for id in cluster.data_ids() {
        history.verify(&mut cluster.client(id));
    }
    let fates = [Fate::Acknowledged, Fate::Refused, Fate::Unknown].map(|fate| history.count(fate));
    println!(
        "{} writes acknowledged, {} refused, {} unknown, {} reads, longest time without a write {} ms",
        fates[0],
        fates[1],
        fates[2],
        history.reads,
        gap.as_millis()
    );
    assert_eq!(fates[1..], [0, 0]);
}

#[test]
fn the_view_service_grows_moves_and_heals_and_no_client_sees_an_error() {
    let mut cluster = cluster();
    let load = Load::start(6, &addresses(&cluster), &addresses(&cluster));
    load.wait_for_success(PATIENCE);
    wait_for_voters(&cluster, &[4], PATIENCE);
    view_done(&cluster, &["add", "5", "6"]);
    wait_for_voters(&cluster, &[4, 5, 6], PATIENCE);
    view_done(&cluster, &["add", "7", "8"]);
    wait_for_voters(&cluster, &[4, 5, 6, 7, 8], PATIENCE);

    // One dies and loses its disk.
    let lost = if cluster.view_leader() == 6 { 7 } else { 6 };
    cluster.kill(lost);
    std::fs::remove_dir_all(cluster.data_directory(lost)).expect("the disk is lost");
    cluster.start_node(lost);
    let ((), took) = timed(|| {
        wait("the lost view node to be a member again", REPLACEMENT, || {
            part(&cluster, lost).filter(|part| part.role == "follower" && part.voters.len() == 5)
        });
    });
    println!("replaced after {} ms", took.as_millis());

    // The leader stops politely: somebody else leads at once, and does not find out by silence.
    let leader = cluster.view_leader();
    cluster.terminate(leader);
    assert!(cluster.log(leader).contains("stopped"));
    let (next, took) = timed(|| cluster.view_leader());
    println!("{next} leads {} ms after {leader} has stopped", took.as_millis());
    cluster.start_node(leader);
    cluster.wait_until_up(leader);

    // The founder leaves, although every node's configuration names it and nobody else.
    view_done(&cluster, &["remove", "4", "5"]);
    wait_for_voters(&cluster, &[6, 7, 8], PATIENCE);
    cluster.kill(4);
    cluster.kill(5);
    // A data node that is started now, and a view node, find the view service where they saw it last.
    cluster.terminate(8);
    cluster.start_node(8);
    wait("the restarted view node", PATIENCE, || {
        part(&cluster, 8).filter(|part| part.leader.is_some() && part.role == "follower")
    });
    conclude(&cluster, load);

    let primary = cluster.primary();
    cluster.kill(primary);
    cluster.wait_for_other_primary(primary);
    cluster.start_node(primary);
    cluster.wait_until_complete();
}

#[test]
fn what_cannot_be_done_is_refused_and_status_shows_who_votes() {
    let cluster = cluster();
    let refused = |arguments: &[&str]| {
        let output = view(&cluster, arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(refused(&["add", "4"]).contains("n4 is a view node already"));
    assert!(refused(&["add", "1"]).contains("start it with the role \"view\""));
    assert!(refused(&["remove", "5"]).contains("n5 is no view node"));
    assert!(refused(&["remove", "4"]).contains("no voter would be left"));
    // Those who wait have just been started.
    wait("the status of those who vote and of those who wait", PATIENCE, || {
        let output = view(&cluster, &["status"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let is_said = said.contains("voters 4, learners -: 0 of them may fail") && said.contains("waiting");
        (output.status.success() && is_said).then_some(())
    });
}
