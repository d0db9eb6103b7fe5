//! Links that are cut one way, broken again and again, or slow. What happens to nodes that are killed, paused
//! or cut off altogether is in `faults.rs`.

use std::time::Duration;

use redis::Commands;

use onecopy_harness::{Cluster, Options, PATIENCE, wait};

fn proxied() -> Cluster {
    Cluster::start(Options { proxied: true, ..Options::default() })
}

/// The primary, its backup and the spare.
fn cast(cluster: &Cluster) -> (u32, u32, u32) {
    let group = cluster.report().groups.into_iter().next().expect("there is a group");
    let (primary, backup) = (group.primary, group.backups[0]);
    let spare = cluster.data_ids().into_iter().find(|id| ![primary, backup].contains(id));
    (primary, backup, spare.expect("three nodes, two copies"))
}

fn goes_on_although_one_way_is_cut(options: Options, cut: impl Fn(&Cluster, u32, u32)) {
    let cluster = Cluster::start(options);
    let (primary, backup, spare) = cast(&cluster);
    let _: () = cluster.client(spare).set("before", "value").unwrap();
    cut(&cluster, primary, backup);
    wait("a write through the third node", PATIENCE, || {
        cluster.client(spare).set::<_, _, ()>("during", "value").ok()
    });
    cluster.heal_all();
    cluster.wait_until_complete();
    for id in cluster.data_ids() {
        let values: Vec<String> = cluster.client(id).mget(&["before", "during"]).unwrap();
        assert_eq!(values, ["value", "value"], "read through node {id}");
    }
}

/// The view service has nodes of its own, so that only data is affected by a link between nodes with data.
fn with_separate_view_service() -> Options {
    Options { proxied: true, separate: true, ..Options::default() }
}

#[test]
fn the_primary_cannot_reach_its_backup() {
    goes_on_although_one_way_is_cut(with_separate_view_service(), |cluster, primary, backup| {
        cluster.cut(primary, backup);
    });
}

#[test]
fn the_backup_cannot_reach_its_primary() {
    goes_on_although_one_way_is_cut(with_separate_view_service(), |cluster, primary, backup| {
        cluster.cut(backup, primary);
    });
}

/// Every view node answers a ping with a newer view table, so a primary that hears everybody but the leader
/// learns the view in which its backup is replaced.
#[test]
fn the_leader_of_the_view_service_cannot_reach_a_primary_that_needs_a_new_view() {
    goes_on_although_one_way_is_cut(with_separate_view_service(), |cluster, primary, backup| {
        cluster.cut(cluster.view_leader(), primary);
        cluster.cut(backup, primary);
    });
}

#[test]
fn broken_connections_are_made_again() {
    let cluster = proxied();
    let (primary, backup, spare) = cast(&cluster);
    let mut client = cluster.client(spare);
    for number in 0..100 {
        if number % 10 == 0 {
            cluster.reset_connections(primary, backup);
            cluster.reset_connections(primary, spare);
        }
        // A write whose connection was broken is sent again, and executed once.
        let count: u32 = client.incr("count", 1).unwrap();
        assert_eq!(count, number + 1);
    }
    let count: u32 = cluster.client(backup).get("count").unwrap();
    assert_eq!(count, 100);
}

#[test]
fn slow_links_are_no_failures() {
    let cluster = proxied();
    let view = cluster.view();
    for from in cluster.ids() {
        for to in cluster.ids().into_iter().filter(|to| *to != from) {
            cluster.proxy(from, to).delay(Duration::from_millis(20));
        }
    }
    let mut client = cluster.client(1);
    for number in 0..20 {
        let _: () = client.set("key", number).unwrap();
    }
    assert_eq!(cluster.view(), view, "no node was taken for failed");
}
