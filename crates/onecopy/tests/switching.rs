//! Databases that are replicated in another way from now on, with real processes: under load, and while
//! whoever leads is killed in the middle. Nothing that was acknowledged is lost, counted twice or read too
//! old.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use onecopy::status::report::GroupReport;
use onecopy_harness::load::{Fate, Load};
use onecopy_harness::{Cluster, Line, Options, PATIENCE, run, try_run, wait};

const NUMBER: u16 = 16;

fn cluster() -> Cluster {
    Cluster::start(Options { databases: vec![format!("carts:{NUMBER}")], ..Options::default() })
}

fn group(cluster: &Cluster, name: &str) -> Option<GroupReport> {
    let of = |group: &GroupReport| group.database.split(':').next() == Some(name);
    cluster.report().groups.into_iter().find(of)
}

/// Waits until a database is replicated like that, and somebody leads it; who.
fn wait_for(cluster: &Cluster, name: &str, kind: &str) -> u32 {
    wait(&format!("{name} to be {kind}"), PATIENCE, || {
        let group = group(cluster, name).filter(|group| group.kind == kind)?;
        let leads =
            |replica: &onecopy_node::ReplicaStatus| replica.group == group.group && replica.role == "primary";
        cluster.status(group.primary)?.replicas.iter().any(leads).then_some(group.primary)
    })
}

/// Checks a load against the data, through every node, and says what happened.
fn conclude(what: &str, cluster: &Cluster, number: u16, load: Load) {
    let history = load.stop();
    for id in cluster.data_ids() {
        history.verify(&mut cluster.client_in(id, number));
    }
    let (acknowledged, unknown) = (history.count(Fate::Acknowledged), history.count(Fate::Unknown));
    println!(
        "{what}: {acknowledged} writes acknowledged and none lost, {unknown} unknown, {} reads",
        history.reads
    );
    assert!(acknowledged > 0, "nothing was written: the test proves nothing");
}

#[test]
fn a_database_is_switched_back_and_forth_under_load() {
    let cluster = cluster();
    let addresses: Vec<_> = cluster.data_ids().into_iter().map(|id| cluster.redis_address(id)).collect();
    for (name, number) in [("carts", NUMBER), ("main", 0)] {
        let load = Load::start_in(number, 4, &addresses, &addresses);
        load.wait_for_success(PATIENCE);
        for kind in ["raft", "primary-backup", "raft", "primary-backup"] {
            std::thread::sleep(Duration::from_millis(300));
            load.take_longest_gap();
            run::<()>(&mut cluster.client(2), &format!("DATABASE SET {name} REPLICATION {kind}"));
            wait_for(&cluster, name, kind);
            load.wait_for_success(PATIENCE);
            println!("{name} is {kind}, after a pause of {:?}", load.take_longest_gap());
        }
        conclude(name, &cluster, number, load);
    }
}

#[test]
fn whoever_leads_is_killed_in_the_middle_of_a_switch() {
    let mut cluster = cluster();
    let mut leads = wait_for(&cluster, "carts", "primary-backup");
    for (round, kind) in ["raft", "primary-backup", "raft", "primary-backup"].into_iter().enumerate() {
        let others: Vec<u32> = cluster.data_ids().into_iter().filter(|id| *id != leads).collect();
        let _: () = run(&mut cluster.client_in(others[0], NUMBER), "FLUSHDB");
        let addresses: Vec<_> = others.iter().map(|id| cluster.redis_address(*id)).collect();
        let load = Load::start_in(NUMBER, 4, &addresses, &addresses);
        load.wait_for_success(PATIENCE);
        std::thread::sleep(Duration::from_millis(200));
        load.take_longest_gap();
        let mut client = cluster.client(others[0]);
        let asks = std::thread::spawn(move || {
            // It may take longer than a client waits; whether it happens is seen below.
            let _ = try_run::<()>(&mut client, &format!("DATABASE SET carts REPLICATION {kind}"));
        });
        std::thread::sleep(Duration::from_millis(15 * round as u64));
        cluster.kill(leads);
        asks.join().expect("the command has ended");
        cluster.start_node(leads);
        cluster.wait_until_up(leads);
        leads = wait_for(&cluster, "carts", kind);
        load.wait_for_success(PATIENCE);
        let gap = load.take_longest_gap();
        conclude(&format!("killed while it becomes {kind}, a pause of {gap:?}"), &cluster, NUMBER, load);
    }
}

#[test]
fn what_cannot_be_switched_is_refused_and_what_is_remembered_of_clients_stays() {
    let cluster = cluster();
    let mut client = cluster.client_in(1, NUMBER);
    for (line, reason) in [
        ("DATABASE SET carts REPLICATION optimistic", "only when it is created"),
        ("DATABASE SET carts REPLICATION nothing", "no kind of replication"),
        ("DATABASE SET other REPLICATION raft", "there is no database other"),
    ] {
        let refusal = try_run::<redis::Value>(&mut client, line).expect_err(line).to_string();
        assert!(refusal.contains(reason), "{line}: {refusal}");
    }
    run::<()>(&mut client, "SET key 1");
    run::<()>(&mut client, "SET soon 1 PX 100");
    run::<()>(&mut client, "WATCH key");
    let mut waiter = cluster.client_in(3, NUMBER);
    let waits = std::thread::spawn(move || run::<Vec<String>>(&mut waiter, "BLPOP queue 20"));
    wait("somebody to wait", PATIENCE, || {
        let info: String = run(&mut client, "INFO clients");
        (1..=3).any(|_| info.contains("blocked_clients:")).then_some(())
    });
    run::<()>(&mut cluster.client(2), "DATABASE SET carts REPLICATION raft");
    wait_for(&cluster, "carts", "raft");
    // A watch holds across the switch, expiry goes on, and whoever waits is served.
    let mut transaction = redis::pipe();
    transaction.atomic().cmd("INCR").arg("key");
    let (counted,): (u64,) = transaction.query(&mut client).expect("nobody has changed the key");
    assert_eq!(counted, 2);
    assert_eq!(run::<Option<u64>>(&mut client, "GET soon"), None);
    run::<()>(&mut client, "RPUSH queue x");
    assert_eq!(waits.join().expect("it is answered"), ["queue", "x"]);
}

/// A connection that speaks RESP3.
fn speaking_three(address: SocketAddr) -> Line {
    let mut line = Line::to(address);
    line.say("HELLO 3");
    line
}

#[test]
fn subscribers_hear_everything_once_while_messages_go_through_a_log_that_is_switched() {
    let cluster = cluster();
    let mut ears: Vec<Line> =
        cluster.data_ids().into_iter().map(|id| speaking_three(cluster.redis_address(id))).collect();
    for ear in &mut ears {
        assert!(ear.say("SUBSCRIBE news").contains("subscribe"));
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let (mut speaker, ends) = (cluster.client(1), is_over.clone());
    let speaks = std::thread::spawn(move || {
        let mut count = 0_u64;
        while !ends.load(Ordering::Relaxed) {
            // Nothing dies, so nothing is unknown.
            assert_eq!(run::<u64>(&mut speaker, &format!("PUBLISH news n{count}")), 3, "message {count}");
            count += 1;
        }
        count
    });
    for kind in ["raft", "primary-backup", "raft"] {
        std::thread::sleep(Duration::from_millis(300));
        run::<()>(&mut cluster.client(2), &format!("DATABASE SET main REPLICATION {kind}"));
        wait_for(&cluster, "main", kind);
    }
    std::thread::sleep(Duration::from_millis(300));
    is_over.store(true, Ordering::Relaxed);
    let count = speaks.join().expect("all were published");
    assert!(count > 0, "nothing was said: the test proves nothing");
    println!("{count} messages through three switches");
    for ear in &mut ears {
        for number in 0..count {
            let heard = ear.hear();
            assert!(heard.ends_with(&format!("\r\nn{number}\r\n")), "message {number}: {heard}");
        }
    }
}

#[test]
fn clients_caches_and_scripts_go_through_a_switch() {
    let cluster = cluster();
    let mut caches: Vec<Line> =
        cluster.data_ids().into_iter().map(|id| speaking_three(cluster.redis_address(id))).collect();
    let mut writer = cluster.client_in(1, NUMBER);
    let hash: String = run(&mut writer, "SCRIPT LOAD return(redis.call('INCR',KEYS[1]))");
    let library = "#!lua name=lib\nredis.register_function('add', function(keys) return redis.call('INCR', keys[1]) end)";
    let _: String = redis::cmd("FUNCTION").arg("LOAD").arg(library).query(&mut writer).expect("it is loaded");
    assert_eq!(run::<u64>(&mut writer, "ONCE token INCR once"), 1);
    for cache in &mut caches {
        assert_eq!(cache.say(&format!("SELECT {NUMBER}")), "+OK\r\n");
        assert_eq!(cache.say("CLIENT TRACKING ON"), "+OK\r\n");
    }
    for (round, kind) in (1_u64..).zip(["raft", "primary-backup", "raft"]) {
        run::<()>(&mut writer, &format!("SET key {round}"));
        for cache in &mut caches {
            // What was said of an older value comes before.
            cache.send("GET key");
            let shown = format!("${}\r\n{round}\r\n", round.to_string().len());
            while cache.hear() != shown {}
        }
        run::<()>(&mut cluster.client(2), &format!("DATABASE SET carts REPLICATION {kind}"));
        wait_for(&cluster, "carts", kind);
        // What was cached before the switch is known behind it.
        run::<()>(&mut writer, "SET key changed");
        for cache in &mut caches {
            wait("the key to be invalid", PATIENCE, || {
                cache.poll().expect("it is connected").filter(|push| push.contains("invalidate"))
            });
        }
        assert_eq!(run::<u64>(&mut writer, &format!("EVALSHA {hash} 1 counter")), 2 * round - 1);
        assert_eq!(run::<u64>(&mut writer, "FCALL add 1 counter"), 2 * round);
        assert_eq!(run::<u64>(&mut writer, "ONCE token INCR once"), 1, "it is remembered");
    }
}
