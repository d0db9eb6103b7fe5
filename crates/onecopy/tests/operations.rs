//! What operators do to a running cluster, with real processes and under load: clients see a pause, and no
//! error.
//!
//! `ONECOPY_ROUNDS` sets how often primaries are killed and handed over (3 by default).

use std::net::SocketAddr;
use std::time::Duration;

use onecopy_harness::load::{Counting, Load};
use onecopy_harness::{Cluster, Options, PATIENCE, wait};

fn rounds() -> usize {
    std::env::var("ONECOPY_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3)
}

fn addresses(cluster: &Cluster, ids: &[u32]) -> Vec<SocketAddr> {
    ids.iter().map(|id| cluster.redis_address(*id)).collect()
}

fn others(cluster: &Cluster, left_out: u32) -> Vec<u32> {
    cluster.data_ids().into_iter().filter(|id| *id != left_out).collect()
}

fn summary(what: &str, mut gaps: Vec<Duration>) {
    gaps.sort();
    println!(
        "{what}, {} times: time without a write median {} ms, longest {} ms",
        gaps.len(),
        gaps[gaps.len() / 2].as_millis(),
        gaps[gaps.len() - 1].as_millis()
    );
}

fn members(cluster: &Cluster) -> Vec<u32> {
    let group = cluster.report().groups.into_iter().next().expect("there is a group");
    std::iter::once(group.primary).chain(group.backups).collect()
}

#[test]
fn increments_count_exactly_while_primaries_are_killed() {
    let mut cluster = Cluster::start(Options::default());
    let mut gaps = Vec::new();
    for _ in 0..rounds() {
        let primary = cluster.primary();
        let survivors = addresses(&cluster, &others(&cluster, primary));
        let _: () = redis::cmd("FLUSHALL").query(&mut cluster.client(primary)).expect("FLUSHALL");
        let counting = Counting::start(8, &survivors);
        std::thread::sleep(Duration::from_millis(500));
        counting.take_longest_gap();
        cluster.kill(primary);
        cluster.wait_for_other_primary(primary);
        std::thread::sleep(Duration::from_millis(500));
        gaps.push(counting.take_longest_gap());
        let (answered, counted) = counting.stop(survivors[0]);
        assert_eq!(answered, counted, "an increment was lost, or counted twice");
        cluster.start_node(primary);
        cluster.wait_until_serving(primary);
        cluster.wait_until_complete();
    }
    summary("primary killed", gaps);
}

#[test]
fn a_handover_under_load_fails_nothing() {
    let mut cluster = Cluster::start(Options::default());
    let all = addresses(&cluster, &cluster.data_ids());
    let (load, counting) = (Load::start(3, &all, &all), Counting::start(6, &all));
    std::thread::sleep(Duration::from_millis(300));
    let mut gaps = Vec::new();
    for _ in 0..rounds().max(5) {
        let primary = cluster.primary();
        counting.take_longest_gap();
        let said = cluster.must_operate(&["group", "handover"]);
        assert!(said.contains(&format!("from node {primary} to node ")), "{said}");
        assert_ne!(cluster.primary(), primary);
        std::thread::sleep(Duration::from_millis(200));
        gaps.push(counting.take_longest_gap());
    }
    let (answered, counted) = counting.stop(all[0]);
    assert_eq!(answered, counted);
    load.stop().assert_no_errors();
    summary("handed over", gaps);
}

#[test]
fn a_primary_that_is_terminated_makes_way_first() {
    let mut cluster = Cluster::start(Options::default());
    let primary = cluster.primary();
    let gap = terminated(&mut cluster, primary);
    println!("primary terminated: {} ms without a write", gap.as_millis());
    assert!(cluster.log(primary).contains("another node leads"), "it did not make way");
    let events = cluster.must_operate(&["events"]);
    assert!(events.contains("is handed over to"), "{events}");
    assert!(events.contains(&format!("drops n{primary}, it is leaving")), "{events}");
}

#[test]
fn shutdown_makes_way_first_and_ends_the_process() {
    let mut cluster = Cluster::start(Options::default());
    let primary = cluster.primary();
    let mut client = cluster.client(primary);
    let mut ask = |words: &[&str]| {
        let mut command = redis::cmd("SHUTDOWN");
        words.iter().for_each(|word| {
            command.arg(*word);
        });
        command.query::<()>(&mut client).expect_err("nobody is answered, or with an error")
    };
    assert!(ask(&["ABORT"]).to_string().contains("No shutdown in progress"));
    assert!(ask(&["SAVE", "NOSAVE"]).to_string().contains("syntax error"));
    let survivors = addresses(&cluster, &others(&cluster, primary));
    let counting = Counting::start(4, &survivors);
    assert!(ask(&["NOSAVE"]).is_connection_dropped(), "the end of the connection is the answer");
    assert_eq!(cluster.wait_for_end(primary).code(), Some(0));
    cluster.wait_until_complete();
    counting.stop_exact(survivors[0]);
    assert!(cluster.log(primary).contains("another node leads"), "it did not make way");
    assert!(cluster.log(primary).contains("stopping because of SHUTDOWN"));
}

#[test]
fn a_backup_that_is_terminated_says_goodbye() {
    let mut cluster = Cluster::start(Options::default());
    let backup = members(&cluster)[1];
    let gap = terminated(&mut cluster, backup);
    println!("backup terminated: {} ms without a write", gap.as_millis());
    let events = cluster.must_operate(&["events"]);
    assert!(events.contains(&format!("drops n{backup}, it is leaving")), "{events}");
    // And it is as welcome as before.
    cluster.start_node(backup);
    cluster.wait_until_serving(backup);
    cluster.must_operate(&["group", "copies", "3"]);
    wait("all to be members", PATIENCE, || (members(&cluster).len() == 3).then_some(()));
}

/// Stops a node under load; the longest time without a write. No client of another node sees an error.
fn terminated(cluster: &mut Cluster, id: u32) -> Duration {
    let survivors = addresses(cluster, &others(cluster, id));
    let (load, counting) = (Load::start(3, &survivors, &survivors), Counting::start(4, &survivors));
    std::thread::sleep(Duration::from_millis(300));
    counting.take_longest_gap();
    assert_eq!(cluster.terminate(id).code(), Some(0));
    cluster.wait_until_complete();
    let gap = counting.take_longest_gap();
    let (answered, counted) = counting.stop(survivors[0]);
    assert_eq!(answered, counted);
    load.stop().assert_no_errors();
    gap
}

#[test]
fn all_nodes_are_restarted_one_after_the_other_without_an_error() {
    let mut cluster = Cluster::start(Options::default());
    for id in cluster.data_ids() {
        let survivors = addresses(&cluster, &others(&cluster, id));
        let _: () = redis::cmd("FLUSHALL").query(&mut cluster.client(id)).expect("FLUSHALL");
        let (load, counting) = (Load::start(3, &survivors, &survivors), Counting::start(4, &survivors));
        let number = id.to_string();
        cluster.must_operate(&["node", "drain", &number, "--wait", "15"]);
        assert!(!members(&cluster).contains(&id), "node {id} is drained, but a member");
        assert_eq!(cluster.terminate(id).code(), Some(0));
        cluster.start_node(id);
        cluster.wait_until_serving(id);
        cluster.must_operate(&["node", "undrain", &number]);
        println!("node {id} restarted: {} ms without a write", counting.take_longest_gap().as_millis());
        let (answered, counted) = counting.stop(survivors[0]);
        assert_eq!(answered, counted);
        load.conclude().assert_no_errors();
        cluster.wait_until_complete();
    }
}

#[test]
fn copies_are_changed_while_clients_are_served() {
    let mut cluster = Cluster::start(Options::default());
    let all = addresses(&cluster, &cluster.data_ids());
    let load = Load::start(4, &all, &all);
    load.wait_for_success(PATIENCE);
    for copies in [3, 2] {
        let said = cluster.must_operate(&["group", "copies", &copies.to_string()]);
        assert!(said.contains(&format!("{copies} copies")), "{said}");
        wait("the copies", PATIENCE, || (members(&cluster).len() == copies).then_some(()));
        load.wait_for_success(PATIENCE);
    }
    let history = load.stop();
    history.assert_no_errors();
    history.verify(&mut cluster.client(1));
    let refused = cluster.operate(&["group", "copies", "0"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("at least one copy"), "{refused:?}");
}

#[test]
fn a_node_that_nobody_is_configured_for_joins_and_replaces_another() {
    // A view node would have to leave the view service first.
    let mut cluster = Cluster::start(Options { view_nodes: 1, ..Options::default() });
    let _: () = redis::cmd("SET").arg("key").arg("value").query(&mut cluster.client(1)).expect("SET");
    cluster.join(4);
    wait("node 4 to be known", PATIENCE, || {
        cluster.report().nodes.iter().any(|node| node.node == 4 && node.state == "up").then_some(())
    });
    let mut client = cluster.client(4);
    let read = || redis::cmd("GET").arg("key").query::<String>(&mut client).ok();
    assert_eq!(wait("a read through node 4", PATIENCE, read), "value");
    // Three nodes for two copies, of which one is drained: the new one is a member of whatever is left.
    cluster.must_operate(&["node", "drain", "2"]);
    cluster.must_operate(&["node", "drain", "3", "--wait", "15"]);
    wait("node 4 to be a member", PATIENCE, || {
        let members = members(&cluster);
        (members.contains(&4) && !members.contains(&2) && !members.contains(&3)).then_some(())
    });
    let _: () = redis::cmd("SET").arg("key").arg("new").query(&mut cluster.client(4)).expect("SET");
    // A node that runs is not forgotten, one that is gone is.
    let refused = cluster.operate(&["node", "remove", "3"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Stop it first"), "{refused:?}");
    cluster.terminate(3);
    let said = cluster.must_operate(&["node", "remove", "3"]);
    assert!(said.contains("forgotten"), "{said}");
    // Every node hears of it with its next ping.
    wait("node 3 to be forgotten by all", PATIENCE, || {
        let others = [1, 2, 4].into_iter().filter_map(|id| cluster.status(id));
        let known = others.flat_map(|status| status.nodes).any(|node| node.node == 3);
        (!known).then_some(())
    });
}

#[test]
fn failover_hands_over_and_says_so() {
    let cluster = Cluster::start(Options::default());
    let group = cluster.report().groups.into_iter().next().expect("a group");
    let (primary, backup) = (group.primary, group.backups[0]);
    let mut client = cluster.client(primary);
    let address = cluster.redis_address(backup);
    let mut failover = redis::cmd("FAILOVER");
    failover.arg("TO").arg(address.ip().to_string()).arg(address.port());
    let said: String = failover.query(&mut client).expect("FAILOVER");
    assert_eq!(said, "OK");
    assert_eq!(cluster.primary(), backup);
    // The same again is refused, and says why.
    let error = failover.query::<()>(&mut client).expect_err("it is the primary already");
    assert!(error.to_string().contains("the primary already"), "{error}");
    let error = redis::cmd("FAILOVER").arg("ABORT").query::<()>(&mut client).expect_err("not supported");
    assert!(error.to_string().contains("not supported"), "{error}");
}

#[test]
fn events_tell_what_happened_and_why() {
    let mut cluster = Cluster::start(Options::default());
    let primary = cluster.primary();
    cluster.kill(primary);
    cluster.wait_for_other_primary(primary);
    cluster.wait_until_complete();
    let text = cluster.must_operate(&["events"]);
    let promoted = text.lines().find(|line| line.contains("promotes")).expect("a promotion");
    assert!(promoted.contains("no ping") && promoted.contains("pinged"), "{promoted}");
    assert!(promoted.contains("refuses connections"), "{promoted}");
    let json: serde_json::Value =
        serde_json::from_str(&cluster.must_operate(&["events", "--json"])).expect("JSON");
    let kinds: Vec<&str> =
        json.as_array().expect("a list").iter().filter_map(|e| e["kind"].as_str()).collect();
    assert!(kinds.contains(&"create_group") && kinds.contains(&"promote_member"), "{kinds:?}");
    let survivor = others(&cluster, primary)[0];
    assert!(cluster.log(survivor).contains("promotes"), "the log does not tell");
}

#[test]
fn a_recovery_that_may_lose_data_needs_two_words_for_it() {
    let mut cluster = Cluster::start(Options::default());
    let refused = cluster.operate(&["group", "recover", "--node", "1"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--accept-data-loss"), "{refused:?}");
    let spare = cluster.data_ids().into_iter().find(|id| !members(&cluster).contains(id)).expect("a spare");
    let refused = cluster.operate(&["group", "recover", "--accept-data-loss", "--node", &spare.to_string()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("nothing of the group"), "{refused:?}");
}
