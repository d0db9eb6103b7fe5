//! Real processes, real sockets, real disks: nodes are killed, paused and cut off under load, and nothing
//! that was acknowledged is lost, nothing stale is read, and redundancy comes back by itself.
//!
//! `ONECOPY_ROUNDS` sets how often the kill loop kills (3 by default).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use onecopy_harness::load::{Fate, History, Load};
use onecopy_harness::{Cluster, Options, PATIENCE, wait};

fn addresses(cluster: &Cluster, ids: &[u32]) -> Vec<SocketAddr> {
    ids.iter().map(|id| cluster.redis_address(*id)).collect()
}

fn without(ids: &[u32], left_out: u32) -> Vec<u32> {
    ids.iter().copied().filter(|id| *id != left_out).collect()
}

fn rounds() -> usize {
    std::env::var("ONECOPY_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3)
}

/// Checks a history against the data, through every node, and says what happened.
fn conclude(what: &str, cluster: &Cluster, load: Load) -> History {
    let history = load.conclude();
    for id in cluster.data_ids() {
        history.verify(&mut cluster.client(id));
    }
    println!(
        "{what}: {} writes acknowledged and none lost, {} with unknown outcome, {} refused, {} reads and none stale",
        history.count(Fate::Acknowledged),
        history.count(Fate::Unknown),
        history.count(Fate::Refused),
        history.reads,
    );
    history
}

#[test]
fn a_killed_primary_loses_nothing_and_is_replaced_again_and_again() {
    let mut cluster = Cluster::start(Options::default());
    let mut gaps = Vec::new();
    for round in 1..=rounds() {
        let primary = cluster.primary();
        let others = addresses(&cluster, &without(&cluster.data_ids(), primary));
        let _: () = redis::cmd("FLUSHALL").query(&mut cluster.client(primary)).expect("FLUSHALL");
        let load = Load::start(8, &others, &others);
        load.wait_for_success(PATIENCE);
        std::thread::sleep(Duration::from_millis(300));
        load.take_longest_gap();
        let killed = Instant::now();
        cluster.kill(primary);
        load.wait_for_success(PATIENCE);
        cluster.wait_for_other_primary(primary);
        // The spare is recruited while the killed node is still away.
        cluster.wait_until_complete();
        let restored = killed.elapsed();
        let gap = load.take_longest_gap();
        cluster.start_node(primary);
        cluster.wait_until_up(primary);
        wait("the returning node is the spare or a learner", PATIENCE, || {
            let role = cluster.role(primary)?;
            ["spare", "learner", "backup"].contains(&role.as_str()).then_some(())
        });
        // Clients of surviving nodes wait, and are told nothing else than what became of their requests.
        let history = conclude(
            &format!(
                "round {round}: killed primary {primary}, {} ms without a write, two copies again after {} ms",
                gap.as_millis(),
                restored.as_millis()
            ),
            &cluster,
            load,
        );
        history.assert_no_errors();
        gaps.push(gap);
        cluster.wait_until_complete();
    }
    gaps.sort();
    println!(
        "time without a successful write over {} kills: median {} ms, longest {} ms",
        gaps.len(),
        gaps[gaps.len() / 2].as_millis(),
        gaps[gaps.len() - 1].as_millis()
    );
}

#[test]
fn a_paused_primary_wakes_up_as_a_follower_and_answers_nothing_stale() {
    let cluster = Cluster::start(Options::default());
    let primary = cluster.primary();
    let all = addresses(&cluster, &cluster.data_ids());
    let load = Load::start(6, &all, &all);
    load.wait_for_success(PATIENCE);
    std::thread::sleep(Duration::from_millis(500));
    cluster.pause(primary);
    let heir = cluster.wait_for_other_primary(primary);
    load.wait_for_success(PATIENCE);
    std::thread::sleep(Duration::from_secs(5));
    cluster.resume(primary);
    wait("the old primary follows", PATIENCE, || {
        let role = cluster.role(primary)?;
        ["backup", "learner", "spare"].contains(&role.as_str()).then_some(())
    });
    load.wait_for_success(PATIENCE);
    std::thread::sleep(Duration::from_millis(500));
    conclude(&format!("primary {primary} paused for more than 5 s, {heir} took over"), &cluster, load);
    cluster.wait_until_complete();
}

#[test]
fn a_primary_that_is_cut_off_answers_nothing_until_it_learns_the_new_view() {
    // A short request timeout shows the silence of the old primary as refusals.
    let settings = vec![("timeouts-request-ms", "1500".to_owned())];
    let cluster = Cluster::start(Options { proxied: true, settings, ..Options::default() });
    let primary = cluster.primary();
    let others = without(&cluster.data_ids(), primary);
    let load = Load::start(6, &addresses(&cluster, &others), &addresses(&cluster, &cluster.data_ids()));
    load.wait_for_success(PATIENCE);
    let mut client = cluster.client(primary);
    let _: () = redis::cmd("SET").arg("cut").arg("before").query(&mut client).expect("SET before the cut");
    let _: () = redis::cmd("DEL").arg("cut").query(&mut client).expect("DEL before the cut");

    cluster.isolate(primary);
    let cut_off = Instant::now();
    let mut refusals = 0;
    while cut_off.elapsed() < Duration::from_secs(4) {
        let mut client = cluster.client(primary);
        let written = redis::cmd("SET").arg("cut").arg("inside").query::<()>(&mut client);
        let error = written.expect_err("a primary that is cut off must not acknowledge a write");
        assert!(matches!(error.code(), Some("UNKNOWN" | "TRYAGAIN")), "{error}");
        let mut client = cluster.client(primary);
        let read = redis::cmd("GET").arg("cut").query::<Option<String>>(&mut client);
        let error = read.expect_err("a primary that is cut off must not answer a read");
        assert_eq!(error.code(), Some("TRYAGAIN"), "{error}");
        refusals += 2;
    }
    let heir = cluster.wait_for_other_primary(primary);
    load.wait_for_success(PATIENCE);
    cluster.heal_all();
    cluster.wait_until_complete();
    // What was sent to it inside the partition was never acknowledged, and its tail has yielded to the new
    // primary's.
    let value: Option<String> =
        redis::cmd("GET").arg("cut").query(&mut cluster.client(primary)).expect("GET");
    assert_eq!(value, None, "a write inside the partition survived");
    conclude(
        &format!("primary {primary} cut off: {refusals} refusals there, {heir} went on"),
        &cluster,
        load,
    );
}

#[test]
fn what_was_acknowledged_survives_the_death_of_all_nodes_at_once() {
    kill_all(Options::default());
}

/// Nothing has to be synced for that: the operating system lives on.
#[test]
fn what_was_acknowledged_in_memory_survives_the_death_of_all_processes_at_once() {
    kill_all(Options { durability: "memory", ..Options::default() });
}

fn kill_all(options: Options) {
    let mut cluster = Cluster::start(options);
    for _ in 0..2 {
        let _: () = redis::cmd("FLUSHALL").query(&mut cluster.client(1)).expect("FLUSHALL");
        let all = addresses(&cluster, &cluster.data_ids());
        let load = Load::start(8, &all, &all);
        load.wait_for_success(PATIENCE);
        std::thread::sleep(Duration::from_secs(1));
        cluster.kill_all(&cluster.ids());
        cluster.start_all();
        load.wait_for_success(PATIENCE);
        cluster.wait_until_complete();
        conclude("all nodes killed at once", &cluster, load);
    }
}

#[test]
fn the_view_service_may_fail_and_only_failover_waits_for_it() {
    let mut cluster = Cluster::start(Options { separate: true, ..Options::default() });
    let data = cluster.data_ids();
    let views = cluster.view_ids();
    let load = Load::start(6, &addresses(&cluster, &data), &addresses(&cluster, &data));

    // Any one view node dead: failover works.
    for view_node in views.clone() {
        cluster.kill(view_node);
        let primary = cluster.primary();
        cluster.kill(primary);
        cluster.wait_for_other_primary(primary);
        load.wait_for_success(PATIENCE);
        cluster.start_node(primary);
        cluster.start_node(view_node);
        cluster.wait_until_complete();
    }

    // All of them dead: reads and writes go on.
    cluster.kill_all(&views);
    load.take_longest_gap();
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(100));
        load.wait_for_success(PATIENCE);
    }
    println!("view service down: longest time without a write {} ms", load.take_longest_gap().as_millis());

    // A primary that dies now is not replaced, until they are back.
    let primary = cluster.primary();
    cluster.kill(primary);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(cluster.primary(), primary, "a view changed without the view service");
    views.iter().for_each(|view_node| cluster.start_node(*view_node));
    cluster.wait_for_other_primary(primary);
    load.wait_for_success(PATIENCE);
    cluster.start_node(primary);
    cluster.wait_until_complete();
    conclude("view nodes dead one at a time and all at once", &cluster, load);
}

#[test]
fn a_primary_whose_disk_hangs_is_replaced_and_nobody_notices_more_than_a_pause() {
    hang_the_disk_of_the_primary(Options { stallable: true, ..Options::default() });
}

/// Then it is the data thread that waits for its disk.
#[test]
fn a_primary_whose_disk_hangs_is_replaced_with_durability_in_memory_too() {
    hang_the_disk_of_the_primary(Options { stallable: true, durability: "memory", ..Options::default() });
}

fn hang_the_disk_of_the_primary(options: Options) {
    let cluster = Cluster::start(options);
    let primary = cluster.primary();
    let others = addresses(&cluster, &without(&cluster.data_ids(), primary));
    let load = Load::start(6, &others, &others);
    load.wait_for_success(PATIENCE);
    std::thread::sleep(Duration::from_millis(500));
    cluster.disk(primary).hang();
    let heir = cluster.wait_for_other_primary(primary);
    load.wait_for_success(PATIENCE);
    cluster.disk(primary).recover();
    cluster.wait_until_complete();
    std::thread::sleep(Duration::from_millis(500));
    conclude(&format!("the disk of primary {primary} hung, {heir} took over"), &cluster, load)
        .assert_no_errors();
}

#[test]
fn writes_wait_for_enough_copies_and_reads_do_not() {
    let settings = vec![("min-copies", "2".to_owned()), ("timeouts-request-ms", "1500".to_owned())];
    let mut cluster = Cluster::start(Options { nodes: 2, view_nodes: 1, settings, ..Options::default() });
    // The view service is at node 1.
    if cluster.primary() != 1 {
        cluster.must_operate(&["group", "handover", "--to", "1"]);
    }
    let mut client = cluster.client(1);
    let incr = |client: &mut redis::Connection| redis::cmd("INCR").arg("n").query::<u64>(client);
    assert_eq!(incr(&mut client).expect("two copies"), 1);
    cluster.kill(2);
    // The first may be on its way when the backup dies: then nobody can say. The next certainly finds one
    // copy only.
    let mut executed = 1;
    wait("an error that says what is missing", PATIENCE, || match incr(&mut client) {
        Ok(_) => {
            executed += 1;
            None
        }
        Err(error) => error.to_string().contains("NOREPLICAS").then_some(()),
    });
    let read: u64 = redis::cmd("GET").arg("n").query(&mut client).expect("reads need no second copy");
    assert!((executed..=executed + 1).contains(&read), "{executed} were acknowledged, there are {read}");
    let error = incr(&mut client).expect_err("one copy").to_string();
    assert!(
        error.contains("1 where writes need 2 (min_copies, copies_before_ok); nothing was executed"),
        "{error}"
    );
    let error = cluster.operate(&["group", "copies", "1"]);
    assert!(
        !error.status.success() && String::from_utf8_lossy(&error.stderr).contains("min_copies = 2"),
        "{error:?}"
    );
    cluster.start_node(2);
    cluster.wait_until_complete();
    assert_eq!(incr(&mut client).expect("two copies again"), read + 1);
}
