//! Two processes with one id, and nodes that have moved: mistakes and changes of operators, with real
//! processes.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use onecopy_harness::{Cluster, Options, PATIENCE, wait};

/// The exit status of a process that should not have been started.
const NOT_STARTED: i32 = 1;

fn set(cluster: &Cluster, through: u32, key: &str, value: &str) {
    redis::cmd("SET").arg(key).arg(value).query::<()>(&mut cluster.client(through)).expect("SET");
}

fn get(cluster: &Cluster, through: u32, key: &str) -> Option<String> {
    redis::cmd("GET").arg(key).query(&mut cluster.client(through)).expect("GET")
}

/// A second process for a node.
fn second(cluster: &Cluster, id: u32, directory: &Path) -> Child {
    let mut command = cluster.second_command(id, directory);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().expect("the program can be started")
}

/// It ends by itself, and says why; every node is as it was.
fn is_refused(cluster: &mut Cluster, mut second: Child, id: u32) {
    let status = wait("the end of the second process", PATIENCE, || second.try_wait().expect("a child"));
    let output = second.wait_with_output().expect("its output");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(status.code(), Some(NOT_STARTED), "{said}");
    assert!(said.contains("a process with the same id is alive at"), "{said}");
    assert!(said.contains(&format!("is not taken for node {id}")), "{said}");
    for id in cluster.ids() {
        assert!(cluster.is_running(id), "node {id} is still there");
    }
}

#[test]
fn a_second_process_with_the_id_of_a_living_one_is_refused() {
    let mut cluster = Cluster::start(Options::default());
    let primary = cluster.primary();
    set(&cluster, primary, "key", "value");
    let views = cluster.view();
    // With an empty directory.
    let directory = cluster.directory.path().join("empty");
    let process = second(&cluster, primary, &directory);
    is_refused(&mut cluster, process, primary);
    // With a copy of the directory of the one that runs: a later start of the same life, as far as it says.
    let copy = cluster.directory.path().join("copy");
    let copied = Command::new("cp").arg("-r").arg(cluster.data_directory(primary)).arg(&copy).status();
    assert!(copied.expect("cp").success());
    let process = second(&cluster, primary, &copy);
    is_refused(&mut cluster, process, primary);
    assert_eq!(cluster.view(), views, "nothing has changed");
    set(&cluster, primary, "key", "newer");
    for id in cluster.data_ids() {
        assert_eq!(get(&cluster, id, "key").as_deref(), Some("newer"));
    }
    // The node itself may be started again at any time.
    cluster.kill(primary);
    cluster.start_node(primary);
    cluster.wait_until_complete();
    assert_eq!(get(&cluster, primary, "key").as_deref(), Some("newer"));
}

#[test]
fn a_node_that_has_moved_is_found_where_it_is() {
    let mut cluster = Cluster::start(Options::default());
    set(&cluster, 1, "key", "value");
    for id in cluster.ids() {
        cluster.terminate(id);
        cluster.move_node(id);
        cluster.start_node(id);
        // The settings of the others are what they were.
        wait(&format!("node {id} to be ready"), PATIENCE, || {
            cluster.http(id, "/readyz").filter(|(status, _)| *status == 200)
        });
        cluster.wait_until_complete();
        set(&cluster, id, "key", &format!("through {id}"));
        for other in cluster.data_ids() {
            assert_eq!(get(&cluster, other, "key"), Some(format!("through {id}")));
        }
    }
}

#[test]
fn a_node_that_nobody_can_reach_is_not_ready_and_says_why() {
    let mut cluster = Cluster::start(Options { proxied: true, ..Options::default() });
    // It has a replica once it has heard of the group.
    let spare = wait("a spare", PATIENCE, || {
        cluster.ids().into_iter().find(|id| cluster.role(*id).as_deref() == Some("spare"))
    });
    let readyz = |cluster: &Cluster| cluster.http(spare, "/readyz");
    wait("the spare to be ready", PATIENCE, || readyz(&cluster).filter(|(status, _)| *status == 200));
    // It speaks, but whoever looks for it does so in the wrong place.
    cluster.terminate(spare);
    cluster.move_node(spare);
    cluster.start_node(spare);
    let said = wait("the node to say that it cannot serve", PATIENCE, || {
        readyz(&cluster).filter(|(status, said)| {
            *status == 503 && said.contains("no other node has a connection to this one")
        })
    });
    println!("{}", said.1);
    let status = cluster.operate(&["status"]);
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains(&format!("warning: node {spare} is not ready")), "{status}");
    wait("a word in the log", PATIENCE, || {
        cluster.log(spare).contains("no client can be served").then_some(())
    });
}
