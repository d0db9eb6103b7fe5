//! Optimistic databases with real processes: every node takes writes while it sees nobody else, and once they
//! see each other again all hold the same, with everything that was acknowledged.
//!
//! `ONECOPY_SECONDS` sets for how long the nodes are cut from each other (3 by default).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use onecopy_harness::{Cluster, Options, PATIENCE, wait};
use onecopy_node::CopyStatus;

const NUMBER: u16 = 16;

fn cluster(options: Options) -> Cluster {
    let cluster = Cluster::start(Options {
        databases: vec![format!("carts:{NUMBER}:optimistic:3")],
        proxied: true,
        ..options
    });
    wait_until_all_serve(&cluster);
    cluster
}

fn seconds() -> u64 {
    std::env::var("ONECOPY_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(3)
}

/// What a node says of its copy.
fn copy(cluster: &Cluster, id: u32) -> Option<CopyStatus> {
    cluster.status(id)?.replicas.into_iter().find_map(|replica| replica.optimistic)
}

fn wait_until_all_serve(cluster: &Cluster) {
    wait("copies that serve", PATIENCE, || {
        let serves = |id: &u32| copy(cluster, *id).is_some_and(|copy| copy.serves);
        cluster.data_ids().iter().all(serves).then_some(())
    });
}

/// Waits until all copies have the same digest, and have seen the same; how long that took.
fn wait_until_same(cluster: &Cluster) -> Duration {
    let begin = Instant::now();
    // What was written in a minute takes longer to compare than what was written in a moment.
    wait("equal digests", PATIENCE + Duration::from_secs(2 * seconds()), || {
        let copies: Vec<CopyStatus> = cluster.data_ids().iter().filter_map(|id| copy(cluster, *id)).collect();
        let first = copies.first()?;
        let same = |copy: &CopyStatus| {
            let knows_all = copy.others.iter().all(|other| other.ahead == 0 && other.behind == 0);
            copy.digest == first.digest && copy.lacks == 0 && knows_all
        };
        (copies.len() == cluster.data_ids().len() && copies.iter().all(same)).then_some(())
    });
    begin.elapsed()
}

fn ask<T: redis::FromRedisValue>(cluster: &Cluster, id: u32, line: &str) -> redis::RedisResult<T> {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().unwrap_or_default());
    words.for_each(|word| {
        command.arg(word);
    });
    command.query(&mut cluster.client_in(id, NUMBER))
}

/// What one node was asked for, and has acknowledged.
#[derive(Debug, Default)]
struct Written {
    increments: i64,
    members: i64,
    refused: u64,
}

/// Writes through a node until it is told to stop.
fn write(cluster: &Cluster, id: u32, stop: &AtomicBool) -> Written {
    let (mut client, mut written) = (cluster.client_in(id, NUMBER), Written::default());
    while !stop.load(Ordering::Relaxed) {
        let member = format!("{id}:{}", written.members);
        let batch: redis::RedisResult<()> = redis::pipe()
            .cmd("INCR")
            .arg("counter")
            .ignore()
            .cmd("SADD")
            .arg("members")
            .arg(&member)
            .ignore()
            .cmd("SET")
            .arg(format!("key:{id}:{}", written.members % 500))
            .arg(&member)
            .ignore()
            .query(&mut client);
        match batch {
            Ok(()) => {
                written.increments += 1;
                written.members += 1;
            }
            Err(_) => written.refused += 1,
        }
    }
    written
}

/// These nodes write, while `meanwhile` happens.
fn under_load(cluster: &Cluster, ids: &[u32], meanwhile: impl FnOnce()) -> Vec<Written> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stop = &stop;
        let writers: Vec<_> = ids.iter().map(|id| scope.spawn(move || write(cluster, *id, stop))).collect();
        meanwhile();
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().map(|writer| writer.join().expect("a writer does not panic")).collect()
    })
}

/// Checks that everything that was acknowledged shows at every node.
fn verify(cluster: &Cluster, all: &[Written]) {
    let (increments, members) =
        (all.iter().map(|it| it.increments).sum::<i64>(), all.iter().map(|it| it.members).sum::<i64>());
    for id in cluster.data_ids() {
        assert_eq!(ask::<i64>(cluster, id, "GET counter"), Ok(increments), "node {id}");
        assert_eq!(ask::<i64>(cluster, id, "SCARD members"), Ok(members), "node {id}");
    }
}

#[test]
fn nodes_that_see_nobody_take_every_write_and_agree_afterwards() {
    let cluster = cluster(Options::default());
    let mut cut = Duration::ZERO;
    let written = under_load(&cluster, &cluster.data_ids(), || {
        std::thread::sleep(Duration::from_millis(300));
        cluster.data_ids().into_iter().for_each(|id| cluster.isolate(id));
        let begin = Instant::now();
        std::thread::sleep(Duration::from_secs(seconds()));
        cut = begin.elapsed();
    });
    let digests: Vec<String> =
        cluster.data_ids().iter().filter_map(|id| copy(&cluster, *id)).map(|copy| copy.digest).collect();
    assert!(digests.iter().any(|digest| *digest != digests[0]), "they were not cut from each other");
    cluster.heal_all();
    let took = wait_until_same(&cluster);
    let writes: i64 = written.iter().map(|it| it.increments).sum();
    let copies = cluster.data_ids().into_iter().filter_map(|id| copy(&cluster, id));
    let repairs = copies.map(|copy| (copy.repairs, copy.repaired, copy.repair_bytes));
    let repairs = repairs.fold((0, 0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1, sum.2 + of.2));
    println!("cut for {cut:?}: {writes} batches, {written:?}; the same {took:?} after healing");
    println!("{} repairs, {} keys differed, {} bytes", repairs.0, repairs.1, repairs.2);
    assert!(written.iter().all(|it| it.refused == 0), "refused: {written:?}");
    assert!(written.iter().all(|it| it.increments > 50), "hardly anything was written: {written:?}");
    verify(&cluster, &written);
}

/// The clocks of two nodes are hours off, and that of the third one ten years.
#[test]
fn clocks_that_are_wrong_lose_nothing_and_block_nobody() {
    let clocks = [(1, 3 * 3_600), (2, -5 * 3_600), (3, 10 * 365 * 86_400)].into();
    let cluster = cluster(Options { clocks, stallable: true, ..Options::default() });
    let written = under_load(&cluster, &cluster.data_ids(), || {
        cluster.data_ids().into_iter().for_each(|id| cluster.isolate(id));
        std::thread::sleep(Duration::from_secs(seconds()));
    });
    ask::<()>(&cluster, 3, "SET flag of-ten-years-ahead").expect("it is taken");
    cluster.heal_all();
    println!("{written:?}; the same {:?} after healing", wait_until_same(&cluster));
    assert!(written.iter().all(|it| it.refused == 0 && it.increments > 50), "{written:?}");
    verify(&cluster, &written);
    // Who has seen the value overwrites it, whatever the clocks show.
    assert_eq!(ask::<String>(&cluster, 2, "GET flag").as_deref(), Ok("of-ten-years-ahead"));
    ask::<()>(&cluster, 2, "SET flag of-hours-ago").expect("it is taken");
    wait_until_same(&cluster);
    for id in cluster.data_ids() {
        assert_eq!(ask::<String>(&cluster, id, "GET flag").as_deref(), Ok("of-hours-ago"), "node {id}");
    }
    assert!([1, 2].iter().any(|id| cluster.log(*id).contains("far ahead")), "nobody has noticed the clock");
}

#[test]
fn a_killed_node_goes_on_where_it_was() {
    let mut cluster = cluster(Options::default());
    let written = under_load(&cluster, &[1, 2, 3], || std::thread::sleep(Duration::from_millis(500)));
    wait_until_same(&cluster);
    let before = copy(&cluster, 2).expect("a copy");
    cluster.kill(2);
    let more = under_load(&cluster, &[1, 3], || std::thread::sleep(Duration::from_millis(700)));
    assert!(more.iter().all(|it| it.refused == 0), "refused: {more:?}");
    // The members have the same names again: they are no new ones.
    let increments: i64 = written.iter().chain(&more).map(|it| it.increments).sum();
    cluster.start_node(2);
    cluster.wait_until_up(2);
    wait_until_all_serve(&cluster);
    println!("the same {:?} after the restart", wait_until_same(&cluster));
    let after = copy(&cluster, 2).expect("a copy");
    assert_eq!((after.life, after.updates), (before.life, before.updates), "it lost nothing of its own");
    for id in cluster.data_ids() {
        assert_eq!(ask::<i64>(&cluster, id, "GET counter"), Ok(increments), "node {id}");
    }
}

#[test]
fn in_one_partition_the_minority_refuses_strong_writes_and_takes_optimistic_ones() {
    let cluster =
        cluster(Options { settings: vec![("timeouts-request-ms", "1000".to_owned())], ..Options::default() });
    let minority = wait("a node that is no primary of main", PATIENCE, || {
        let primary = cluster.report().groups.first()?.primary;
        cluster.data_ids().into_iter().find(|id| *id != primary)
    });
    ask::<()>(&cluster, minority, "SET cart before").expect("it is taken");
    wait_until_same(&cluster);
    cluster.isolate(minority);
    std::thread::sleep(Duration::from_millis(500));
    let strong = redis::cmd("SET").arg("k").arg("minority").query::<()>(&mut cluster.client(minority));
    assert!(strong.is_err(), "the minority has taken a strong write");
    ask::<()>(&cluster, minority, "SADD cart:1 apples").expect("an optimistic write is taken");
    let majority = cluster.data_ids().into_iter().find(|id| *id != minority).expect("there is one");
    ask::<()>(&cluster, majority, "SADD cart:1 pears").expect("here too");
    wait("a strong write of the majority", PATIENCE, || {
        redis::cmd("SET").arg("k").arg("majority").query::<()>(&mut cluster.client(majority)).ok()
    });
    cluster.heal_all();
    println!("the same {:?} after healing", wait_until_same(&cluster));
    for id in cluster.data_ids() {
        let mut members: Vec<String> = ask(&cluster, id, "SMEMBERS cart:1").expect("an answer");
        members.sort();
        assert_eq!(members, ["apples", "pears"]);
        let value = wait("a strong read", PATIENCE, || {
            redis::cmd("GET").arg("k").query::<String>(&mut cluster.client(id)).ok()
        });
        assert_eq!(value, "majority");
    }
}

#[test]
fn what_cannot_be_merged_is_refused_and_nodes_without_a_copy_forward() {
    let mut cluster = cluster(Options::default());
    let refused = ask::<()>(&cluster, 1, "BLPOP list 1").expect_err("it is refused").to_string();
    assert!(refused.contains("NOTMERGEABLE") && refused.contains("raft"), "{refused}");
    let made = cluster.must_operate(&[
        "database",
        "create",
        "flags",
        "--numbers",
        "20",
        "--replication",
        "optimistic",
        "--copies",
        "2",
    ]);
    assert!(made.contains("flags"), "{made}");
    for id in cluster.data_ids() {
        let mut client = cluster.client(id);
        wait("the new database", PATIENCE, || {
            redis::cmd("SELECT").arg(20).query::<()>(&mut client).ok()?;
            redis::cmd("INCR").arg("flag").query::<i64>(&mut client).ok()
        });
    }
    wait("all increments at every node", PATIENCE, || {
        let sees = |id: &u32| {
            let mut client = cluster.client(*id);
            redis::cmd("SELECT").arg(20).query::<()>(&mut client).ok()?;
            redis::cmd("GET").arg("flag").query::<i64>(&mut client).ok().filter(|flag| *flag == 3)
        };
        cluster.data_ids().iter().all(|id| sees(id).is_some()).then_some(())
    });
    let (kept, aborted): (Option<Vec<String>>, Option<Vec<String>>) = {
        let mut client = cluster.client_in(1, NUMBER);
        let mut other = cluster.client_in(1, NUMBER);
        let mut run = |interferes: bool| {
            redis::cmd("WATCH").arg("w").query::<()>(&mut client).expect("WATCH");
            if interferes {
                redis::cmd("INCR").arg("w").query::<()>(&mut other).expect("INCR");
            }
            redis::cmd("MULTI").query::<()>(&mut client).expect("MULTI");
            redis::cmd("SET").arg("t").arg("1").query::<()>(&mut client).expect("queued");
            redis::cmd("EXEC").query(&mut client).expect("EXEC")
        };
        (run(false), run(true))
    };
    assert_eq!((kept, aborted), (Some(vec!["OK".to_owned()]), None), "WATCH is local");
}

/// What was written through one node is read through another one, however far behind that is.
#[test]
fn a_token_lets_a_client_read_its_writes_through_another_node() {
    let cluster = cluster(Options::default());
    cluster.slow_down(1, 2, Duration::from_millis(20));
    let (mut writer, mut reader) = (cluster.client_in(1, NUMBER), cluster.client_in(2, NUMBER));
    let (mut stale, mut checked) = (0, 0);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(seconds()) {
        let value: u64 = redis::cmd("INCR").arg("n").query(&mut writer).expect("INCR");
        let token: String = redis::cmd("CAUSAL").query(&mut writer).expect("CAUSAL");
        let before: Option<u64> = redis::cmd("GET").arg("n").query(&mut reader).expect("GET");
        stale += u64::from(before.is_none_or(|before| before < value));
        redis::cmd("CAUSAL").arg(&token).arg(5_000).query::<()>(&mut reader).expect("it catches up");
        let read: u64 = redis::cmd("GET").arg("n").query(&mut reader).expect("GET");
        assert!(read >= value, "{read} is older than {value}");
        checked += 1;
    }
    println!("{checked} writes read through another node; without a token {stale} would have been missed");
    assert!(stale > 0, "the other node was never behind: the test proves nothing");
    let copies: u64 = redis::cmd("WAIT").arg(2).arg(5_000).query(&mut writer).expect("WAIT");
    assert_eq!(copies, 2);
    cluster.isolate(2);
    redis::cmd("INCR").arg("n").query::<()>(&mut writer).expect("INCR");
    let token: String = redis::cmd("CAUSAL").query(&mut writer).expect("CAUSAL");
    let behind = redis::cmd("CAUSAL").arg(&token).arg(200).query::<()>(&mut reader).expect_err("it waits");
    assert_eq!(behind.code(), Some("BEHIND"));
    let copies: u64 = redis::cmd("WAIT").arg(2).arg(200).query(&mut writer).expect("WAIT");
    assert_eq!(copies, 1);
}

/// A node that comes back from an old image of its disk, and then without any of it.
#[test]
fn an_old_image_gives_no_updates_and_a_new_life_brings_nothing_back() {
    let mut cluster = cluster(Options::default());
    ask::<()>(&cluster, 3, "SADD s old gone").expect("it is taken");
    wait_until_same(&cluster);
    cluster.terminate(3);
    let (data, image) = (cluster.data_directory(3), cluster.directory.path().join("image"));
    copy_directory(&data, &image);
    cluster.start_node(3);
    cluster.wait_until_up(3);
    wait_until_all_serve(&cluster);
    ask::<()>(&cluster, 3, "SADD s new").expect("it is taken");
    wait_until_same(&cluster);
    ask::<()>(&cluster, 1, "SREM s gone").expect("it is taken");
    wait_until_same(&cluster);
    let life = copy(&cluster, 3).expect("a copy").life;
    cluster.kill(3);
    std::fs::remove_dir_all(&data).expect("the disk is gone");
    copy_directory(&image, &data);
    cluster.start_node(3);
    assert!(!cluster.wait_for_end(3).success(), "a node with an old image ends");
    let said = cluster.cli(&["node", "new-life", "--data", &data.to_string_lossy()]);
    assert!(said.status.success(), "{said:?}");
    cluster.start_node(3);
    cluster.wait_until_up(3);
    wait_until_all_serve(&cluster);
    println!("the same {:?} after the new life began", wait_until_same(&cluster));
    let copy = copy(&cluster, 3).expect("a copy");
    assert!(copy.life > life, "{} is no new life after {life}", copy.life);
    for id in cluster.data_ids() {
        let mut members: Vec<String> = ask(&cluster, id, "SMEMBERS s").expect("an answer");
        members.sort();
        assert_eq!(members, ["new", "old"], "node {id}");
    }
    ask::<()>(&cluster, 3, "SADD s more").expect("it is taken");
}

fn copy_directory(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy_directory(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).expect("a copy")),
        }
    }
}
