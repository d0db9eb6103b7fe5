//! What things cost: a write, a delta of somebody else, and a repair, with so many keys.
//! `cargo run --release -p onecopy-merge --example merge_cost -- 1000000`.

use std::time::{Duration, Instant};

use onecopy_core::Timestamp;
use onecopy_merge::repair::Next;
use onecopy_merge::{Call, Delta, Replica, ReplicaId, Rules};
use onecopy_resp::Version;

const CALL: Call = Call { now: Timestamp(1_700_000_000_000), db: 0, seed: 1, version: Version::Two };
/// So many commands are timed.
const TIMED: usize = 100_000;

fn run(replica: &mut Replica, words: &[&str]) -> Option<Delta> {
    let args: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    replica.execute(CALL, &args, &mut Vec::new())
}

/// Nanoseconds each.
fn each(elapsed: Duration) -> u128 {
    elapsed.as_nanos() / TIMED as u128
}

fn time(replica: &mut Replica, other: &mut Replica, name: &str, line: impl Fn(usize) -> Vec<String>) {
    let lines: Vec<Vec<String>> = (0..TIMED).map(line).collect();
    let begin = Instant::now();
    let mut deltas = Vec::new();
    for line in &lines {
        deltas.extend(run(replica, &line.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    let made = begin.elapsed();
    let bytes: usize = deltas.iter().map(|delta| delta.encode().len()).sum();
    let begin = Instant::now();
    let count = deltas.len().max(1);
    for delta in deltas {
        other.receive(CALL.now, delta);
    }
    println!("| {name} | {} | {} | {} |", each(made), each(begin.elapsed()), bytes / count);
}

fn repair(to: &mut Replica, from: &mut Replica) -> (usize, usize) {
    let (mut pull, mut ask) = to.pull();
    let (mut messages, mut bytes) = (0, 0);
    loop {
        let answer = from.serve(&ask);
        bytes += ask.encode().len() + answer.encode().len();
        messages += 2;
        match to.pull_step(CALL.now, &mut pull, answer).expect("a repair") {
            Next::Ask(next) => ask = next,
            Next::Done(_, close) => {
                from.serve(&close);
                return (messages, bytes);
            }
        }
    }
}

/// How many bytes of memory the process has, where the system says so.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<usize>().ok().map(|kilobytes| kilobytes << 10)
}

fn main() {
    let before = resident();
    let keys: usize = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(200_000);
    let [mut a, mut b] = [1, 2].map(|id| Replica::new(ReplicaId(id), Rules::default()));
    for at in 0..keys {
        let delta = run(&mut a, &["SET", &format!("key:{at}"), &format!("a value of key {at}")]);
        delta.map(|delta| b.receive(CALL.now, delta));
    }
    println!("{keys} keys");
    if let (Some(before), Some(after)) = (before, resident()) {
        // Both replicas have them.
        println!("{} bytes of memory for each", after.saturating_sub(before) / keys / 2);
    }
    println!();
    println!("| command | ns here | ns elsewhere | bytes of its delta |\n| --- | --- | --- | --- |");
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let at = |count: usize| format!("key:{}", count * 7_919 % keys);
    time(&mut a, &mut b, "GET", |count| words(&["GET", &at(count)]));
    time(&mut a, &mut b, "SET", |count| words(&["SET", &at(count), "another value"]));
    time(&mut a, &mut b, "INCR, one key", |_| words(&["INCR", "counter"]));
    time(&mut a, &mut b, "HSET, 1,000 fields", |count| {
        words(&["HSET", "h", &format!("f{}", count % 1_000), "v"])
    });
    time(&mut a, &mut b, "SADD, one set", |count| words(&["SADD", "s", &format!("m{count}")]));
    time(&mut a, &mut b, "ZADD, one sorted set", |count| {
        words(&["ZADD", "z", &count.to_string(), &format!("m{count}")])
    });
    time(&mut a, &mut b, "RPUSH, one list", |_| words(&["RPUSH", "l", "element"]));
    time(&mut a, &mut b, "LPOP, one list", |_| words(&["LPOP", "l"]));
    println!("\n| keys that differ | messages | bytes | bytes for each |\n| --- | --- | --- | --- |");
    for differing in [0, 1, 100, 10_000] {
        for count in 0..differing {
            run(&mut a, &["SET", &format!("key:{}", count * 7_907 % keys), &format!("value {differing}")]);
        }
        let begin = Instant::now();
        let (messages, bytes) = repair(&mut b, &mut a);
        assert_eq!(a.digest(), b.digest());
        println!(
            "| {differing} | {messages} | {bytes} | {} | ({} ms)",
            bytes.checked_div(differing).unwrap_or(bytes),
            begin.elapsed().as_millis()
        );
    }
}
