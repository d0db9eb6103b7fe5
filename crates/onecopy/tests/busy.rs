//! A node under load executes commands that take long, one after the other for several seconds. Nobody takes
//! it for dead, everybody says what it does, and the other copies do not notice.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use onecopy_harness::load::Load;
use onecopy_harness::{Cluster, Options, PATIENCE, wait};

const KEYS: usize = 300_000;
/// The database with the many keys: what others write is looked at as a whole.
const MANY: u16 = 1;
/// So many commands travel together, and take longer than a request may wait for a primary.
const TOGETHER: usize = 64;

/// Two copies on three nodes, with many keys.
fn start() -> Cluster {
    // What waits behind something long waits for longer.
    let settings = vec![("timeouts-request-ms", "1500".to_owned())];
    let cluster = Cluster::start(Options { durability: "memory", settings, ..Options::default() });
    let mut client = cluster.client_in(cluster.primary(), MANY);
    for first in (0..KEYS).step_by(10_000) {
        let mut command = redis::cmd("MSET");
        for number in first..first + 10_000 {
            command.arg(format!("key:{number:017}")).arg("v");
        }
        let () = command.query(&mut client).expect("MSET");
    }
    cluster
}

/// Looks at every letter of every key, again and again. None of them has an x.
fn look_long(client: &mut redis::Connection) {
    let mut pipeline = redis::pipe();
    for _ in 0..TOGETHER {
        pipeline.cmd("KEYS").arg("*x");
    }
    let found: Vec<Vec<String>> = pipeline.query(client).expect("KEYS");
    assert!(found.len() == TOGETHER && found.iter().all(Vec::is_empty));
}

/// Lets this node execute long commands, and say so, while others write and read through the other ones.
fn busy_beside_load(cluster: &Cluster, busy: u32, at: &[SocketAddr], meanwhile: impl FnOnce(&Load)) {
    let view = cluster.view();
    let load = Load::start(6, at, at);
    load.wait_for_success(PATIENCE);
    let mut client = cluster.client_in(busy, MANY);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            look_long(&mut client);
            is_done.store(true, Ordering::SeqCst);
        });
        wait("it to say that it is busy", PATIENCE, || {
            let status = cluster.status(busy)?;
            // A backup may still be executing what has made the keys.
            let says_so = status.replicas.first()?.busy.as_ref().is_some_and(|busy| busy.command == "keys");
            assert!(says_so || !is_done.load(Ordering::SeqCst), "it was busy, and never said so");
            says_so.then_some(())
        });
        meanwhile(&load);
    });
    wait("writes after it", PATIENCE, || (load.acknowledged() > 200).then_some(()));
    let history = load.stop();
    cluster.data_ids().into_iter().for_each(|id| history.verify(&mut cluster.client(id)));
    history.assert_no_errors();
    assert_eq!(cluster.view(), view, "somebody was taken for dead");
    let report = cluster.report();
    assert!(report.complete, "{report:?}");
}

#[test]
fn a_backup_that_executes_something_long_holds_up_no_write() {
    let cluster = start();
    let primary = cluster.primary();
    let backup = cluster.report().groups[0].backups[0];
    busy_beside_load(&cluster, backup, &[cluster.redis_address(primary)], |load| {
        // The reads of the backup are not over, and writes are.
        let before = load.acknowledged();
        wait("writes while the backup is busy", PATIENCE, || {
            (load.acknowledged() > before + 50).then_some(())
        });
        let status = cluster.status(backup).expect("it answers");
        assert!(status.replicas[0].busy.is_some(), "the reads were over before a few writes were");
    });
}

#[test]
fn a_primary_that_executes_something_long_stays_the_primary() {
    let cluster = start();
    let primary = cluster.primary();
    let others: Vec<SocketAddr> = cluster.data_ids().iter().map(|id| cluster.redis_address(*id)).collect();
    busy_beside_load(&cluster, primary, &others, |_| {
        let mut client = cluster.client(primary);
        let info: String = redis::cmd("INFO").arg("replication").query(&mut client).expect("INFO");
        assert!(info.contains("onecopy_busy_command:keys"), "{info}");
    });
    assert_eq!(cluster.primary(), primary);
}

/// What is asked of a connection, as an error that it answers.
fn refused(client: &mut redis::Connection, words: &[&str]) -> Option<String> {
    let mut command = redis::cmd(words[0]);
    for word in &words[1..] {
        command.arg(*word);
    }
    let error = command.query::<redis::Value>(client).err()?;
    Some(format!("{} {error}", error.code().unwrap_or_default()))
}

#[test]
fn who_asks_while_a_script_runs_is_told_so() {
    let cluster = Cluster::start(Options { durability: "memory", ..Options::default() });
    let primary = cluster.primary();
    let (mut client, mut other) = (cluster.client(primary), cluster.client(primary));
    assert_eq!(refused(&mut client, &["CONFIG", "SET", "busy-reply-threshold", "30"]), None);
    assert_eq!(refused(&mut client, &["SET", "key", "before"]), None);
    assert!(refused(&mut client, &["SCRIPT", "KILL"]).is_some_and(|error| error.contains("NOTBUSY")));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // One after the other, until somebody was told: each is stopped after some time.
            while !is_over.load(Ordering::SeqCst) {
                let script = "redis.call('SET', KEYS[1], 'during') while true do end";
                let error = refused(&mut other, &["EVAL", script, "1", "key"]).expect("it is stopped");
                assert!(error.contains("took too long"), "{error}");
            }
        });
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait("somebody to be told that a script runs", PATIENCE, || {
                let status = cluster.status(primary)?;
                let busy = status.replicas.iter().filter_map(|replica| replica.busy.as_ref());
                let runs = busy.into_iter().any(|busy| busy.command == "eval" && busy.busy_ms >= 30);
                // Whoever asks too late, or too early, is answered when the script has ended.
                let busy = runs.then(|| refused(&mut client, &["GET", "key"])).flatten()?;
                assert!(busy.contains("BUSY") && busy.contains("SCRIPT KILL"), "{busy}");
                let killed = refused(&mut client, &["SCRIPT", "KILL"])?;
                killed.contains("UNKILLABLE").then_some(())
            });
        }));
        is_over.store(true, Ordering::SeqCst);
        told.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    // Nothing that was refused is executed, and nothing of the script is left.
    let value: String =
        wait("others to be served again", PATIENCE, || redis::cmd("GET").arg("key").query(&mut client).ok());
    assert_eq!(value, "before");
    assert!(refused(&mut client, &["SCRIPT", "KILL"]).is_some_and(|error| error.contains("NOTBUSY")));
}

#[test]
fn a_script_that_only_reads_is_killed() {
    let cluster = Cluster::start(Options { durability: "memory", ..Options::default() });
    let primary = cluster.primary();
    let (mut client, mut other) = (cluster.client(primary), cluster.client(primary));
    assert_eq!(refused(&mut client, &["CONFIG", "SET", "busy-reply-threshold", "30"]), None);
    assert_eq!(refused(&mut client, &["SET", "key", "before"]), None);
    let is_killed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let script = "while true do redis.call('GET', KEYS[1]) end";
            while !is_killed.load(Ordering::SeqCst) {
                let error = refused(&mut other, &["EVAL_RO", script, "1", "key"]).expect("it is stopped");
                // One that nobody has noticed in time is stopped by itself.
                let killed = error.contains("Script killed by user with SCRIPT KILL");
                assert!(killed || error.contains("took too long"), "{error}");
                is_killed.fetch_or(killed, Ordering::SeqCst);
            }
        });
        let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait("the script to be killed", PATIENCE, || {
                let status = cluster.status(primary)?;
                let busy = status.replicas.iter().filter_map(|replica| replica.busy.as_ref());
                let runs = busy.into_iter().any(|busy| busy.command == "eval_ro" && busy.busy_ms >= 30);
                // Whoever asks too late, or too early, is answered when the script has ended.
                let answer = runs.then(|| refused(&mut client, &["SCRIPT", "KILL"])).flatten();
                assert!(answer.is_none_or(|error| error.contains("NOTBUSY")), "it only reads");
                is_killed.load(Ordering::SeqCst).then_some(())
            });
        }));
        is_killed.store(true, Ordering::SeqCst);
        asked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    let value: String = redis::cmd("GET").arg("key").query(&mut client).expect("others are served again");
    assert_eq!(value, "before");
}
