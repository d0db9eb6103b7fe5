//! Values go from a real Redis to a keyspace and back, as `DUMP` and `RESTORE` have them: they must be the
//! same.
//!
//! Needs a `redis-server` of version 7 on the path; without one the test says so and passes. How many
//! commands make the values, and from which seed, can be set by `ONECOPY_REDIS_COMMANDS` and
//! `ONECOPY_REDIS_SEED`. What a keyspace writes is of Redis 7.2. If the server is older, the version is made
//! older, too, and of a stream that is one field of each consumer.

mod support;

use onecopy_rdb::{Corrupt, Element, EntriesRead, Input, Kind, Node, Output, open, read_value, seal};
use onecopy_resp::Version;
use support::maker::Maker;
use support::redis::{Redis, comparable, seed_and_count};
use support::templates::Compare;
use support::{Machine, Reply, words};

/// The version of Redis 7.0.
const SEVEN: u16 = 10;
/// Values are compared after so many commands.
const ROUND: u64 = 200;

fn bulk(reply: Reply) -> Option<Vec<u8>> {
    match reply {
        Reply::Bulk(bytes) => Some(bytes),
        Reply::Null => None,
        other => panic!("{} is no payload", other.text()),
    }
}

/// What is asked of a key, by its type, and how the answer is compared.
fn looks(kind: &str) -> &'static [(&'static str, Compare)] {
    match kind {
        "string" => &[("GET", Compare::Exact)],
        "list" => &[("LRANGE 0 -1", Compare::Exact)],
        "set" => &[("SMEMBERS", Compare::Sorted)],
        "hash" => &[("HGETALL", Compare::SortedPairs)],
        "zset" => &[("ZRANGE 0 -1 WITHSCORES", Compare::Exact)],
        _ => &[("XRANGE - +", Compare::Exact), ("XINFO FULL COUNT 0", Compare::Exact)],
    }
}

/// Leaves out what Redis 7.0 does not say, and what is not there to be said.
fn said_by_both(reply: Reply) -> Reply {
    match reply {
        Reply::Map(items) => {
            let pairs = items.chunks(2).filter(|pair| {
                !["active-time", "radix-tree-keys", "radix-tree-nodes"].contains(&pair[0].text().as_str())
            });
            Reply::Map(pairs.flatten().cloned().map(said_by_both).collect())
        }
        Reply::Array(items) => Reply::Array(items.into_iter().map(said_by_both).collect()),
        other => other,
    }
}

/// What a key holds, as its server says.
fn content(key: &str, run: &mut dyn FnMut(&[Vec<u8>]) -> Reply) -> String {
    let kind = run(&words(&format!("TYPE {key}"))).text();
    let look = |(command, compare): &(&str, Compare)| {
        let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
        let subcommand = if name == "XINFO" { "STREAM " } else { "" };
        let reply = run(&words(&format!("{name} {subcommand}{key} {rest}")));
        comparable(said_by_both(reply), *compare).text()
    };
    let looks: Vec<String> = looks(&kind).iter().map(look).collect();
    format!("{kind} {}", looks.join(" "))
}

/// A payload as Redis 7.0 has it.
fn as_of_7_0(payload: &[u8]) -> Vec<u8> {
    let value = open(payload, &mut |_| {}).expect("it is whole");
    let (kind, rest) = value.split_first().expect("it has a kind");
    let mut value = match Kind::of_byte(*kind).expect("it is known") {
        Kind::Stream => stream_as_of_7_0(rest).expect("it is a stream"),
        _ => value.to_vec(),
    };
    seal(&mut value, SEVEN, &mut |_| {});
    value
}

fn stream_as_of_7_0(bytes: &[u8]) -> Result<Vec<u8>, Corrupt> {
    let (mut nodes, mut entries, mut first) = (Vec::new(), 0, (0, 0));
    let (mut head, mut groups, mut owned) = (Output::default(), Vec::new(), Vec::new());
    read_value::<Corrupt>(Kind::Stream, &mut Input::new(bytes), &mut |element| {
        match element {
            Element::Entry(id, pairs) => {
                let pairs: Vec<(&[u8], &[u8])> = pairs.chunks(2).map(|pair| (pair[0], pair[1])).collect();
                if nodes.last().is_none_or(|node: &Node| node.is_full(100)) {
                    nodes.push(Node::new(id, pairs.iter().map(|(name, _)| *name)));
                }
                nodes.last_mut().expect("there is one").entry(id, &pairs);
                first = if entries == 0 { id } else { first };
                entries += 1;
            }
            Element::Stream { last, deleted, added } => {
                head.length(entries);
                [last, first, deleted].into_iter().for_each(|id| head.id(id));
                head.length(added);
            }
            Element::Group { name, last, read } => {
                let mut group = Output::default();
                group.string(name);
                group.id(last);
                group.length(match read {
                    EntriesRead::Count(read) => read.cast_unsigned(),
                    _ => u64::MAX,
                });
                groups.push((group, Vec::new(), Vec::new()));
            }
            Element::Pending { id, delivered, deliveries } => {
                groups.last_mut().expect("of a group").1.push((id, delivered, deliveries));
            }
            Element::Consumer { name, seen, .. } => {
                owned.push(Vec::new());
                groups.last_mut().expect("of a group").2.push((name.to_vec(), seen, owned.len() - 1));
            }
            Element::Owned(id) => owned.last_mut().expect("of a consumer").push(id),
            other => panic!("{other:?} in a stream"),
        }
        Ok(())
    })?;
    let mut out = Output::new(Kind::Stream7);
    out.length(nodes.len() as u64);
    nodes.into_iter().for_each(|node| out.node(node));
    let mut bytes = [out.into_bytes(), head.into_bytes()].concat();
    let mut tail = Output::default();
    tail.length(groups.len() as u64);
    for (group, pending, consumers) in groups {
        bytes.append(&mut tail.into_bytes());
        bytes.append(&mut group.into_bytes());
        tail = Output::default();
        tail.length(pending.len() as u64);
        for (id, delivered, deliveries) in pending {
            tail.raw_id(id);
            tail.millis(delivered);
            tail.length(deliveries);
        }
        tail.length(consumers.len() as u64);
        for (name, seen, number) in consumers {
            tail.string(&name);
            tail.millis(seen);
            tail.length(owned[number].len() as u64);
            owned[number].iter().for_each(|id| tail.raw_id(*id));
        }
    }
    bytes.append(&mut tail.into_bytes());
    Ok(bytes)
}

#[test]
fn values_are_the_same_there_and_back_again() {
    let (seed, count) = seed_and_count();
    let Some(mut redis) = Redis::start(&[]) else {
        println!("there is no redis-server on the path: nothing to compare with, the test is skipped");
        return;
    };
    let is_old = redis.run(&words("INFO server")).text().contains("redis_version:7.0");
    redis.run(&words("HELLO 3"));
    let (mut machine, mut maker) =
        (Machine { version: Version::Three, ..Machine::default() }, Maker::new(seed));
    let mut compared = std::collections::BTreeMap::<Vec<u8>, u64>::new();
    for step in 0..count {
        let line = maker.any();
        if !line.contains("BLOCK") {
            redis.run(&words(&line));
        }
        if step % ROUND != 0 {
            continue;
        }
        // Small limits, so that small values have the encodings of large ones, too.
        let limit = [1, 3, 128][maker.below(3)];
        for setting in ["hash-max-listpack-entries", "zset-max-listpack-entries", "set-max-intset-entries"] {
            redis.run(&words(&format!("CONFIG SET {setting} {limit}")));
        }
        redis.run(&words(&format!("CONFIG SET list-max-listpack-size {limit}")));
        let Reply::Array(keys) = redis.run(&words("KEYS *")) else { panic!("no keys") };
        for key in keys.iter().map(Reply::text).filter(|key| key != "''" && key != "copy") {
            let Some(payload) = bulk(redis.run(&words(&format!("DUMP {key}")))) else { continue };
            *compared.entry(payload[..1].to_vec()).or_default() += 1;
            let mut restore = words("RESTORE copy 0 payload REPLACE");
            restore[3] = payload;
            let restored = Reply::parse(&mut machine.apply(&restore).as_slice()).expect("a reply");
            assert_eq!(restored.text(), "OK", "seed {seed}, step {step}: {key}");
            let theirs = content(&key, &mut |args| redis.run(args));
            let ours = content("copy", &mut |args| {
                Reply::parse(&mut machine.apply(args).as_slice()).expect("a reply")
            });
            assert_eq!(ours, theirs, "seed {seed}, step {step}: {key}");

            let dumped = Reply::parse(&mut machine.apply(&words("DUMP copy")).as_slice()).expect("a reply");
            let dumped = bulk(dumped).expect("it is there");
            restore[3] = if is_old { as_of_7_0(&dumped) } else { dumped };
            assert_eq!(redis.run(&restore).text(), "OK", "seed {seed}, step {step}: {key}");
            let back = content("copy", &mut |args| redis.run(args));
            assert_eq!(back, theirs, "seed {seed}, step {step}: {key} came back");
        }
        redis.run(&words("DEL copy"));
    }
    println!("values of each encoding: {compared:?}");
}
