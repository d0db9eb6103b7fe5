//! A rolling upgrade with real processes (rule E4): the nodes of a cluster are exchanged one at a time by
//! those of a version that executes `APPEND` differently, while clients write. Only in builds with the
//! feature `test-level`: `cargo test --release -p onecopy --features test-level --test levels`.

use std::io::Read;
use std::process::Stdio;

use onecopy_harness::load::Counting;
use onecopy_harness::{Cluster, Options, PATIENCE, wait};
use redis::Connection;

/// A node is stopped, and started again in a version that knows this level, while clients of the others
/// write. None of them sees an error. Returns what they have counted so far.
fn exchange(cluster: &mut Cluster, database: u16, node: u32, level: u32, before: u64) -> u64 {
    let others: Vec<_> =
        (1..=3).filter(|other| *other != node).map(|other| cluster.redis_address(other)).collect();
    let load = Counting::start_in(database, 4, &others);
    assert!(cluster.terminate(node).success(), "node {node} stops cleanly");
    cluster.options.test_levels.insert(node, level);
    cluster.start_node(node);
    cluster.wait_until_serving(node);
    cluster.wait_until_complete();
    let (answered, counted) = load.stop(others[0]);
    assert_eq!(answered, counted - before, "each increment counts once");
    counted
}

/// What each node says: the level in force, and the highest that each node knows.
fn levels(cluster: &mut Cluster) -> (u64, Vec<u64>) {
    let report: serde_json::Value =
        serde_json::from_str(&cluster.must_operate(&["status", "--json"])).expect("JSON");
    let nodes = report["nodes"].as_array().expect("nodes").iter();
    let known = nodes.map(|node| node["level"].as_u64().expect("a level")).collect();
    (report["level"].as_u64().expect("a level"), known)
}

fn append(connection: &mut Connection, key: &str) -> u64 {
    redis::cmd("APPEND").arg(key).arg("x").query(connection).expect("APPEND")
}

fn upgrade(options: Options, database: u16) {
    let mut cluster = Cluster::start(options);
    let mut counted = 0;
    let mut exchange = |cluster: &mut Cluster, node, level| {
        counted = exchange(cluster, database, node, level, counted);
    };
    let mut client = cluster.client_in(1, database);
    assert_eq!((append(&mut client, "old"), append(&mut client, "old")), (1, 2));
    let said = cluster.must_operate(&["level", "hold"]);
    assert!(said.contains("held"), "{said}");
    for node in 1..=3 {
        exchange(&mut cluster, node, 2);
        let mut client = cluster.client_in(node, database);
        assert_eq!(append(&mut client, &format!("during-{node}")), 1, "as the older version does it");
    }
    assert_eq!(levels(&mut cluster), (1, vec![2, 2, 2]));
    // While it is held, going back is possible.
    exchange(&mut cluster, 2, 1);
    assert_eq!(levels(&mut cluster), (1, vec![2, 1, 2]));
    exchange(&mut cluster, 2, 2);
    cluster.must_operate(&["level", "release"]);
    let others = [cluster.redis_address(1), cluster.redis_address(3)];
    let load = Counting::start_in(database, 4, &others);
    wait("a higher level", PATIENCE, || (levels(&mut cluster).0 == 2).then_some(()));
    // All nodes have heard of it with their next pings.
    let mut client = cluster.client_in(3, database);
    wait("an entry of that level", PATIENCE, || {
        let _: () = redis::cmd("DEL").arg("new").query(&mut client).expect("DEL");
        (append(&mut client, "new") == 2).then_some(())
    });
    assert_eq!(append(&mut client, "new"), 4, "as the newer version does it");
    load.stop(others[0]);
    cluster.wait_until_complete();
    // Every copy answers reads itself, and holds the same.
    for node in 1..=3 {
        let mut client = cluster.client_in(node, database);
        let keys = ["old", "during-1", "during-2", "during-3", "new"];
        let values: Vec<String> = redis::cmd("MGET").arg(&keys).query(&mut client).expect("MGET");
        assert_eq!(values, ["xx", "x", "x", "x", "xxxx"], "node {node}");
    }
    let events = cluster.must_operate(&["events"]);
    assert!(!events.contains("holds something else"), "{events}");
    is_refused(&mut cluster);
}

/// An older version does not start any more: not with a log of that level, nor with nothing.
fn is_refused(cluster: &mut Cluster) {
    assert!(cluster.terminate(2).success());
    for empties in [false, true] {
        if empties {
            std::fs::remove_dir_all(cluster.data_directory(2)).expect("the data directory goes");
        }
        cluster.options.test_levels.insert(2, 1);
        let mut command = cluster.command(2);
        let mut child =
            command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program can be started");
        let status = wait("the end of the older version", PATIENCE, || child.try_wait().expect("a child"));
        let mut said = String::new();
        child.stderr.take().expect("it is piped").read_to_string(&mut said).expect("text");
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(
            said.contains("level 2 is in force") && said.contains("knows only levels through 1"),
            "{said}"
        );
    }
    cluster.options.test_levels.insert(2, 2);
    cluster.start_node(2);
    cluster.wait_until_complete();
}

#[test]
fn a_cluster_is_upgraded_node_by_node_under_load() {
    upgrade(Options { copies: 3, ..Options::default() }, 0);
}

#[test]
fn and_so_is_one_that_is_replicated_with_raft() {
    let databases = vec!["raft:16:raft:3".to_owned()];
    upgrade(Options { copies: 3, databases, ..Options::default() }, 16);
}
