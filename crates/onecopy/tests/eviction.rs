//! Eviction with real processes: `CONFIG SET` at one node, writes through all of them, and a primary that is
//! killed meanwhile. Copies hold the same keys, and nobody is refused.

use std::time::Duration;

use onecopy_harness::{Cluster, Options, PATIENCE, wait};
use redis::{Connection, RedisResult};

fn call<T: redis::FromRedisValue>(client: &mut Connection, line: &str) -> RedisResult<T> {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().expect("a command"));
    words.for_each(|word| {
        command.arg(word);
    });
    command.query(client)
}

/// A number that `INFO` says at a node.
fn count(cluster: &Cluster, id: u32, name: &str) -> u64 {
    let text: String = call(&mut cluster.client(id), "INFO everything").expect("it answers");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or_else(|| panic!("no {name}"))
}

/// The keys that a node finds.
fn keys(cluster: &Cluster, id: u32) -> Vec<String> {
    let mut keys: Vec<String> = call(&mut cluster.client(id), "KEYS *").expect("it answers");
    keys.sort();
    keys
}

#[test]
fn what_is_used_least_goes_at_every_copy_whoever_leads() {
    let mut cluster = Cluster::start(Options { copies: 3, ..Options::default() });
    let all = cluster.data_ids();
    let primary = cluster.primary();
    let mut client = cluster.client(primary);
    call::<()>(&mut client, "CONFIG SET maxmemory 1mb maxmemory-policy allkeys-lru").expect("it is set");
    for id in &all {
        wait("every node knows the policy", PATIENCE, || {
            let pair: Vec<String> = call(&mut cluster.client(*id), "CONFIG GET maxmemory-policy").ok()?;
            (pair.get(1).map(String::as_str) == Some("allkeys-lru")).then_some(())
        });
    }
    let value = "x".repeat(1_000);
    let write = |client: &mut Connection, from: u32, count: u32| {
        for number in from..from + count {
            call::<()>(client, &format!("SET key{number} {value}")).expect("something goes");
            if number % 5 == 0 {
                call::<String>(client, "GET used").expect("what is used stays");
            }
        }
    };
    // What is used is known to the second, as in Redis: what goes must be older than that.
    let becomes_old = || std::thread::sleep(Duration::from_millis(1_500));
    call::<()>(&mut client, &format!("SET used {value}")).expect("there is room");
    write(&mut client, 0, 700);
    becomes_old();
    write(&mut client, 700, 600);
    let evicted = count(&cluster, primary, "evicted_keys");
    assert!(evicted > 100, "{evicted}");
    // What a node tells of its copies is a little behind.
    wait("all reads to be counted", PATIENCE, || {
        (count(&cluster, primary, "keyspace_hits") >= 75).then_some(())
    });
    let before = keys(&cluster, primary);
    assert!(before.len() < 1_100, "{}", before.len());
    for id in &all {
        wait("every copy holds the same keys", PATIENCE, || (keys(&cluster, *id) == before).then_some(()));
    }
    let idle: u64 = call(&mut client, "OBJECT IDLETIME used").expect("it is tracked");
    assert!(idle < 3_600);
    call::<()>(&mut client, "CONFIG RESETSTAT").expect("it is done");
    wait("the counts begin anew", PATIENCE, || (count(&cluster, primary, "evicted_keys") == 0).then_some(()));

    cluster.kill(primary);
    let survivors: Vec<u32> = all.iter().copied().filter(|id| *id != primary).collect();
    wait("there is another primary", PATIENCE, || {
        call::<()>(&mut cluster.client(survivors[0]), &format!("SET again {value}")).ok()
    });
    becomes_old();
    // An heir has seen only what it has executed and answered itself.
    let mut client = cluster.client(cluster.primary());
    call::<()>(&mut client, &format!("SET used {value}")).expect("something goes");
    write(&mut client, 10_000, 400);
    let after = keys(&cluster, survivors[0]);
    assert!(after.len() < 1_100 && after.iter().any(|key| key.starts_with("key10")));
    wait("the other copy too", PATIENCE, || (keys(&cluster, survivors[1]) == after).then_some(()));
}
