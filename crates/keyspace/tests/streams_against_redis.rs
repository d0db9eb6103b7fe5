//! The same commands on streams to a real Redis and to a keyspace: the replies must be equal.
//!
//! As `against_redis.rs`, with the differences that are known:
//!
//! - Times are rounded, because the two clocks differ; ids that a server makes from its clock are given to
//!   Redis by this test.
//! - Redis 7.0 has no `inactive` and no `active-time`. It makes a consumer only when there is something for
//!   it to read or to claim; 7.2 makes it always. So each consumer is made here before.
//! - Whoever may not wait, as here, hears at once that there is nothing, where Redis waits for the time of
//!   `BLOCK` first.
//! - Redis 7.0 says `XREAD` where 7.2 says which command has an unbalanced list of streams. It lets `XSETID`
//!   go back behind the latest entry that was deleted.
//! - What is deleted stays in its node in Redis, as it calls a chunk. One whose newest entry is gone counts
//!   as newer than it is when it is trimmed by `MINID`. Where that shows, both begin anew.
//! - How many nodes a radix tree has, of which there is none here.

mod support;

use std::collections::BTreeMap;

use onecopy_resp::Version;
use support::maker::Maker;
use support::redis::{Redis, seed_and_count};
use support::stream_templates::STREAM_TEMPLATES;
use support::{Machine, Reply, words};

/// So many milliseconds are about the same time.
const SAME_TIME: i64 = 10_000_000;

fn rounded(time: &Reply) -> Reply {
    match time {
        Reply::Integer(time) => Reply::Integer((time + SAME_TIME / 2).div_euclid(SAME_TIME)),
        other => other.clone(),
    }
}

fn since(now: i64, time: &Reply) -> Reply {
    match time {
        Reply::Integer(time) => rounded(&Reply::Integer(now - time)),
        other => other.clone(),
    }
}

/// Leaves out of what `XINFO` says what differs.
fn without_times(reply: &Reply, now: i64) -> Reply {
    let (Reply::Array(items) | Reply::Map(items)) = reply else { return reply.clone() };
    let is_map = matches!(items.first(), Some(Reply::Bulk(name)) if name == b"length" || name == b"name");
    if !is_map {
        return Reply::Array(items.iter().map(|item| without_times(item, now)).collect());
    }
    let mut kept = Vec::new();
    for pair in items.chunks(2) {
        let (name, value) = (pair[0].text(), &pair[1]);
        let value = match name.as_str() {
            "inactive" | "active-time" | "radix-tree-nodes" => continue,
            "idle" => rounded(value),
            "seen-time" => since(now, value),
            "pending" => pending(value, now),
            "groups" | "consumers" => without_times(value, now),
            _ => value.clone(),
        };
        kept.extend([pair[0].clone(), value]);
    }
    Reply::Map(kept)
}

/// What is pending: of a consumer three parts each, of a group four; the last but one is a time.
fn pending(reply: &Reply, now: i64) -> Reply {
    let Reply::Array(items) = reply else { return reply.clone() };
    let one = |item: &Reply| match item {
        Reply::Array(parts) => {
            let mut parts = parts.clone();
            let time = parts.len() - 2;
            parts[time] = since(now, &parts[time]);
            Reply::Array(parts)
        }
        other => other.clone(),
    };
    Reply::Array(items.iter().map(one).collect())
}

fn comparable(args: &[Vec<u8>], reply: Reply, now: i64) -> String {
    let reply = match (std::str::from_utf8(&args[0]).expect("a name"), reply) {
        ("XINFO", reply) => without_times(&reply, now),
        // The idle time is where the time of delivery would be.
        ("XPENDING", Reply::Array(items)) if !matches!(items.first(), Some(Reply::Integer(_))) => {
            let items = items.into_iter().map(|item| match item {
                Reply::Array(mut parts) => {
                    parts[2] = rounded(&parts[2]);
                    Reply::Array(parts)
                }
                other => other,
            });
            Reply::Array(items.collect())
        }
        ("SCAN", Reply::Array(mut items)) => {
            if let Some(Reply::Array(keys)) = items.get_mut(1) {
                keys.sort_by_key(Reply::text);
            }
            Reply::Array(items)
        }
        (_, Reply::Error(text)) if text.starts_with("ERR Unbalanced") => {
            Reply::Error("ERR Unbalanced".into())
        }
        (_, reply) => reply,
    };
    reply.text().trim_end().to_owned()
}

/// Who is about to read or to claim.
fn consumer_of(args: &[Vec<u8>]) -> Vec<String> {
    let word = |at: usize| String::from_utf8_lossy(args.get(at).map_or(b"", Vec::as_slice)).into_owned();
    match args[0].as_slice() {
        b"XREADGROUP" if word(1) == "GROUP" => {
            let streams = args.iter().position(|arg| arg == b"STREAMS").map_or(args.len(), |at| at + 1);
            let keys = args[streams..].iter().take((args.len() - streams) / 2);
            keys.map(|key| format!("{} {} {}", String::from_utf8_lossy(key), word(2), word(3))).collect()
        }
        b"XCLAIM" | b"XAUTOCLAIM" => vec![format!("{} {} {}", word(1), word(2), word(3))],
        _ => Vec::new(),
    }
}

/// A keyspace and a Redis that are told the same.
struct Both {
    machine: Machine,
    redis: Redis,
    now: i64,
}

impl Both {
    fn ours(&mut self, args: &[Vec<u8>]) -> String {
        let raw = self.machine.apply(args);
        comparable(args, Reply::parse(&mut raw.as_slice()).expect("a reply"), self.now)
    }

    fn theirs(&mut self, args: &[Vec<u8>]) -> String {
        comparable(args, self.redis.run(args), self.now)
    }

    /// What both answer.
    fn run(&mut self, line: &str) -> (String, String) {
        let args = words(line);
        (self.ours(&args), self.theirs(&args))
    }
}

fn compare_replies(version: Version) {
    let (seed, count) = seed_and_count();
    // Entries are short here: chunks are full when they have a hundred.
    let Some(mut redis) = Redis::start(&["--stream-node-max-bytes", "0"]) else {
        println!("there is no redis-server on the path: nothing to compare with, the test is skipped");
        return;
    };
    if version == Version::Three {
        redis.run(&words("HELLO 3"));
    }
    let machine = Machine { version, ..Machine::default() };
    let mut both = Both { machine, redis, now: 0 };
    let mut maker = Maker::new(seed);
    let mut different: BTreeMap<&str, (u64, String)> = BTreeMap::new();
    let (mut step, mut longest, mut most_chunks, mut forgiven) = (0, 0, 0, 0);
    while step < count {
        let template = STREAM_TEMPLATES[maker.below(STREAM_TEMPLATES.len())];
        // What removes much is rare, or there would never be much in them.
        let trims = template.contains("MAXLEN") || template.contains("MINID");
        if template.starts_with('*') && maker.below(50) > 0 || trims && maker.below(15) > 0 {
            continue;
        }
        step += 1;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        both.machine.context.time.0 = u64::try_from(now.as_millis()).expect("a time");
        both.now = both.machine.context.time.0.cast_signed();
        let line = maker.fill(template.trim_start_matches('*'));
        let mut args = words(&line);
        for consumer in consumer_of(&args) {
            both.run(&format!("XGROUP CREATECONSUMER {consumer}"));
        }
        // The clock would be far ahead of all other ids.
        if line.starts_with("XADD") && args.get(2).is_some_and(|id| id == b"*") {
            args[2] = maker.new_id().into_bytes();
        }
        let ours = both.ours(&args);
        if ours.ends_with("smaller than current max_deleted_entry_id") {
            continue;
        }
        let theirs = both.theirs(&args);
        if args.iter().any(|arg| arg == b"MINID") {
            let key = String::from_utf8_lossy(&args[1]).into_owned();
            let (here, there) = both.run(&format!("XINFO STREAM {key}"));
            if here != there {
                both.run(&format!("DEL {key}"));
                forgiven += 1;
                continue;
            }
        }
        if line.starts_with("XLEN") {
            longest = longest.max(ours.trim_start_matches(':').parse().unwrap_or(0));
        }
        if let Some((_, rest)) = ours.split_once("radix-tree-keys :") {
            most_chunks =
                most_chunks.max(rest.split(' ').next().map_or(0, |chunks| chunks.parse().unwrap_or(0)));
        }
        if ours != theirs {
            let report = format!("step {step}: {line}\n  redis:   {theirs}\n  onecopy: {ours}");
            different.entry(template).or_insert((0, report)).0 += 1;
        }
    }
    let reports: Vec<String> =
        different.values().map(|(times, report)| format!("({times} times) {report}")).collect();
    assert!(reports.is_empty(), "{version:?}, seed {seed}:\n{}", reports.join("\n"));
    assert!(forgiven <= count / 1_000, "{forgiven} streams had to begin anew");
    assert!(count < 10_000 || longest > 100 && most_chunks > 1, "{longest} entries, {most_chunks} chunks");
}

#[test]
fn replies_are_those_of_redis_in_resp2() {
    compare_replies(Version::Two);
}

#[test]
fn replies_are_those_of_redis_in_resp3() {
    compare_replies(Version::Three);
}
