//! Disasters, with real processes: disks that are lost for good, and old images of disks that come back.
//! Nothing does harm by itself; what happened is said, and which command gets out.

use std::path::{Path, PathBuf};
use std::time::Duration;

use onecopy_harness::{Cluster, Options, PATIENCE, wait};

/// The exit status of a node that could not start.
const NOT_STARTED: i32 = 1;

fn set(cluster: &Cluster, through: u32, key: &str, value: &str) {
    redis::cmd("SET").arg(key).arg(value).query::<()>(&mut cluster.client(through)).expect("SET");
}

fn get(cluster: &Cluster, through: u32, key: &str) -> Option<String> {
    redis::cmd("GET").arg(key).query(&mut cluster.client(through)).expect("GET")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let (path, target) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).expect("an entry");
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(std::fs::copy(&path, &target).expect("a copy of a file")),
        }
    }
}

/// An image of the disk of a node, which is stopped for that.
fn image(cluster: &mut Cluster, id: u32) -> PathBuf {
    cluster.terminate(id);
    let image = cluster.directory.path().join(format!("image-of-{id}"));
    copy(&cluster.data_directory(id), &image);
    cluster.start_node(id);
    cluster.wait_until_serving(id);
    cluster.wait_until_complete();
    image
}

fn lose_disk(cluster: &Cluster, id: u32) {
    std::fs::remove_dir_all(cluster.data_directory(id)).expect("the directory goes");
}

/// A node that was started from an old image refuses to run, and says what to do; and so it does ever after.
fn refuses_to_run(cluster: &mut Cluster, id: u32) {
    cluster.start_node(id);
    assert_eq!(cluster.wait_for_end(id).code(), Some(NOT_STARTED));
    let log = cluster.log(id);
    assert!(log.contains("is an old image") && log.contains("onecopy node new-life"), "{log}");
    cluster.start_node(id);
    assert_eq!(cluster.wait_for_end(id).code(), Some(NOT_STARTED));
    assert_eq!(cluster.log(id).lines().last().map(|line| line.contains("is an old image")), Some(true));
}

#[test]
fn an_old_image_of_a_disk_does_no_harm() {
    let mut cluster = Cluster::start(Options { nodes: 2, separate: true, ..Options::default() });
    let backup = cluster.report().groups[0].backups[0];
    set(&cluster, backup, "key", "old");
    let old = image(&mut cluster, backup);
    set(&cluster, backup, "key", "new");
    cluster.kill(backup);
    lose_disk(&cluster, backup);
    copy(&old, &cluster.data_directory(backup));
    let other = cluster.data_ids().into_iter().find(|id| *id != backup).expect("two nodes");
    refuses_to_run(&mut cluster, backup);
    assert_eq!(get(&cluster, other, "key").as_deref(), Some("new"));
    set(&cluster, other, "key", "newer");
    // What it says to do.
    lose_disk(&cluster, backup);
    cluster.start_node(backup);
    cluster.wait_until_complete();
    for id in cluster.data_ids() {
        assert_eq!(get(&cluster, id, "key").as_deref(), Some("newer"));
    }
}

#[test]
fn a_group_that_has_lost_all_its_disks_goes_on_with_an_old_copy_if_an_operator_says_so() {
    let mut cluster = Cluster::start(Options { nodes: 2, separate: true, ..Options::default() });
    let [one, other] = cluster.data_ids()[..] else { panic!("two nodes") };
    set(&cluster, one, "key", "old");
    let old = image(&mut cluster, one);
    set(&cluster, one, "key", "new");
    set(&cluster, one, "lost", "yes");
    cluster.kill_all(&[one, other]);
    lose_disk(&cluster, one);
    lose_disk(&cluster, other);
    let attempt = |cluster: &mut Cluster, node: u32| {
        let output =
            cluster.operate(&["group", "recover", "--accept-data-loss", "--node", &node.to_string()]);
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (output.status.code(), said.concat())
    };
    // One returns empty: it has nothing to go on with, and nobody promotes it.
    cluster.start_node(other);
    wait("the empty node to be known", PATIENCE, || {
        let (code, said) = attempt(&mut cluster, other);
        (code == Some(1) && said.contains("has nothing of the group")).then_some(())
    });
    let (code, said) = attempt(&mut cluster, one);
    assert!(code == Some(1) && said.contains("is not heard"), "{said}");
    let refused = redis::cmd("GET").arg("key").query::<Option<String>>(&mut cluster.client(other));
    assert_eq!(refused.expect_err("nothing is served").code(), Some("TRYAGAIN"));

    // The old image refuses to run as what it was, and begins a new life if it is told to.
    copy(&old, &cluster.data_directory(one));
    refuses_to_run(&mut cluster, one);
    let directory = cluster.data_directory(one);
    let said = cluster.cli(&["node", "new-life", "--data", &directory.to_string_lossy()]);
    assert!(said.status.success(), "{said:?}");
    cluster.start_node(one);
    let (code, said) = wait("the recovery", PATIENCE, || {
        Some(attempt(&mut cluster, one)).filter(|(code, _)| *code == Some(0))
    });
    println!("{code:?}: {said}");
    cluster.wait_until_complete();
    for id in [one, other] {
        assert_eq!(get(&cluster, id, "key").as_deref(), Some("old"));
        assert_eq!(get(&cluster, id, "lost"), None);
    }
    set(&cluster, other, "key", "newer");
    let events = cluster.must_operate(&["events"]);
    assert!(events.contains(&format!("goes on with what n{one} has, and may have lost data")), "{events}");
    // It is not for those who have something better.
    let (code, said) = attempt(&mut cluster, other);
    assert!(code == Some(1) && said.contains("nothing needs to be lost"), "{said}");
}

#[test]
fn without_a_view_service_data_is_served_and_operators_hear_why_nothing_changes() {
    let mut cluster = Cluster::start(Options { nodes: 2, separate: true, ..Options::default() });
    set(&cluster, 1, "key", "before");
    let views = cluster.view_ids();
    cluster.kill_all(&views);
    for id in &views[..2] {
        lose_disk(&cluster, *id);
    }
    views.iter().for_each(|id| cluster.start_node(*id));
    // Two of three have nothing: nobody can be elected, and nobody founds another view service.
    std::thread::sleep(Duration::from_secs(3));
    set(&cluster, 1, "key", "after");
    assert_eq!(get(&cluster, 2, "key").as_deref(), Some("after"));
    let status = cluster.operate(&["view", "status"]);
    assert_eq!(status.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&status.stderr).contains("no view node that answers leads"),
        "{status:?}"
    );
    let handover = cluster.operate(&["group", "handover"]);
    assert_eq!(handover.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&handover.stderr).contains("given up"), "{handover:?}");
    let drained = cluster.operate(&["node", "drain", "2"]);
    assert_eq!(drained.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&drained.stderr).contains("is a majority of the view nodes up?"),
        "{drained:?}"
    );
    set(&cluster, 2, "key", "still");
    assert_eq!(get(&cluster, 1, "key").as_deref(), Some("still"));
}
