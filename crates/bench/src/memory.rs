//! What data occupies, beside Redis.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use onecopy_harness::{Cluster, Options, PATIENCE, RedisServer, free_port, wait};

use crate::databases;
use crate::filling::{connect, exchange, request};
use crate::process;

/// Measures the resident memory of a node with data, less that of one without, beside Redis with the same.
///
/// Each data set is loaded into a node of its own: one member, durability in memory, and a log of 1 MiB, so
/// that the log and the snapshots of it do not count. Redis runs without persistence. If `redis-server` is
/// not installed, its columns are empty.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many strings there are, and elements in a collection that is large. Small collections are a tenth
    /// as many.
    #[arg(long, default_value_t = 1_000_000)]
    keys: u64,
    /// Only data sets with this in their names.
    #[arg(long, default_value = "")]
    only: String,
    /// In an optimistic database.
    #[arg(long)]
    optimistic: bool,
}

/// So many bytes of log are kept.
const LOG_BYTES: usize = 1 << 20;
/// Elements of a small collection.
const FEW: u64 = 10;
/// Commands in a pipeline.
const PIPELINE: u64 = 500;
/// What is given back is given back by then.
const REST: Duration = Duration::from_secs(3);

/// Some data.
struct DataSet {
    name: &'static str,
    /// How many of `keys` there are, as a divisor.
    share: u64,
    /// A command that adds the one with a number.
    command: fn(u64) -> Vec<String>,
}

const DATA: [DataSet; 12] = [
    DataSet { name: "strings of 16 bytes", share: 1, command: |number| string(number, 16, None) },
    DataSet {
        name: "strings of 16 bytes with TTL",
        share: 1,
        command: |number| string(number, 16, Some(number)),
    },
    DataSet { name: "strings of 64 bytes", share: 1, command: |number| string(number, 64, None) },
    DataSet {
        name: "strings of 64 bytes with TTL",
        share: 1,
        command: |number| string(number, 64, Some(number)),
    },
    DataSet { name: "hashes of 10", share: FEW, command: |number| few("HSET", number) },
    DataSet { name: "sets of 10", share: FEW, command: |number| few("SADD", number) },
    DataSet { name: "sorted sets of 10", share: FEW, command: |number| few("ZADD", number) },
    DataSet { name: "lists of 10", share: FEW, command: |number| few("RPUSH", number) },
    DataSet {
        name: "one hash",
        share: 1,
        command: |number| words(&["HSET", "one", &element(number), &value(number)]),
    },
    DataSet { name: "one set", share: 1, command: |number| words(&["SADD", "one", &element(number)]) },
    DataSet {
        name: "one sorted set",
        share: 1,
        command: |number| words(&["ZADD", "one", &scattered(number).to_string(), &element(number)]),
    },
    DataSet { name: "one list", share: 1, command: |number| words(&["RPUSH", "one", &element(number)]) },
];

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Numbers in no order, all different.
fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24
}

/// A name of 16 bytes.
fn element(number: u64) -> String {
    format!("element:{number:08}")
}

fn value(number: u64) -> String {
    format!("value:{number:010}")
}

fn string(number: u64, bytes: usize, ttl: Option<u64>) -> Vec<String> {
    let mut command = words(&["SET", &format!("key:{number:012}"), &format!("{number:x>bytes$}")]);
    if let Some(ttl) = ttl {
        command.extend(words(&["PX", &(100_000_000 + scattered(ttl) % 100_000_000).to_string()]));
    }
    command
}

/// One small collection.
fn few(name: &str, number: u64) -> Vec<String> {
    let mut command = words(&[name, &format!("key:{number:012}")]);
    for at in number * FEW..(number + 1) * FEW {
        match name {
            "HSET" => command.extend([element(at), value(at)]),
            "ZADD" => command.extend([(scattered(at) % 100_000).to_string(), element(at)]),
            _ => command.push(element(at)),
        }
    }
    command
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let has_redis = RedisServer::is_installed();
    println!(
        "Resident bytes, less those of an empty process, for each of {} (a tenth for small collections).\n",
        arguments.keys
    );
    println!("| data | Onecopy | Redis | ratio | used_memory / resident |\n| --- | --- | --- | --- | --- |");
    for data in DATA.iter().filter(|data| data.name.contains(&arguments.only)) {
        let count = arguments.keys / data.share;
        let ours = ours(data, count, arguments.optimistic)?;
        let per = |bytes: f64| bytes / count as f64;
        let theirs = if has_redis { Some(theirs(data, count)?) } else { None };
        let (theirs, ratio) = theirs.map_or_else(Default::default, |theirs| {
            (format!("{:.0}", per(theirs)), format!("{:.2}", ours.resident / theirs))
        });
        let believed = ours.believed / ours.resident;
        println!("| {} | {:.0} | {theirs} | {ratio} | {believed:.2} |", data.name, per(ours.resident));
    }
    Ok(())
}

/// What data occupy in a node.
struct Occupied {
    resident: f64,
    /// What the node believes that they occupy.
    believed: f64,
}

fn ours(data: &DataSet, count: u64, is_optimistic: bool) -> anyhow::Result<Occupied> {
    let mut options =
        Options { nodes: 1, copies: 1, view_nodes: 1, durability: "memory", ..Options::default() };
    options.settings.push(("log-bytes", LOG_BYTES.to_string()));
    let number = if is_optimistic { databases::number(1) } else { 0 };
    if is_optimistic {
        options.databases.push(format!("merged:{number}:optimistic:1"));
    }
    let cluster = Cluster::start(options);
    wait("the database", PATIENCE, || {
        let mut client = cluster.client(1);
        redis::cmd("SELECT").arg(number).query::<()>(&mut client).ok()?;
        redis::cmd("FLUSHALL").query::<()>(&mut client).ok()
    });
    let pid = cluster.pid(1).context("the node runs")?;
    let believed = || cluster.metric(1, "onecopy_memory_bytes").context("the node says what it believes");
    // What any data need, whatever they are, is there from now on.
    load((cluster.redis_address(1), number), 20_000, |number| words(&["SET", &number.to_string(), "x"]))?;
    load((cluster.redis_address(1), number), 1, |_| words(&["FLUSHALL"]))?;
    std::thread::sleep(REST);
    let empty = (process::memory(pid)?.0, believed()?);
    load((cluster.redis_address(1), number), count, data.command)?;
    std::thread::sleep(REST);
    let full = (process::memory(pid)?.0, believed()?);
    let grown = |before: u64, after: u64| after.saturating_sub(before) as f64;
    Ok(Occupied { resident: grown(empty.0, full.0), believed: grown(empty.1, full.1) })
}

fn theirs(data: &DataSet, count: u64) -> anyhow::Result<f64> {
    let port = free_port();
    let redis = RedisServer::start(port, &["--appendonly", "no"])?;
    let (address, pid) = (SocketAddr::from(([127, 0, 0, 1], port)), redis.pid());
    let (empty, _) = process::memory(pid)?;
    load((address, 0), count, data.command)?;
    std::thread::sleep(REST);
    Ok((process::memory(pid)?.0 - empty) as f64)
}

/// Sends the commands of so many numbers, in pipelines.
fn load(
    (address, database): (SocketAddr, u32),
    count: u64,
    command: impl Fn(u64) -> Vec<String>,
) -> anyhow::Result<()> {
    let mut stream = connect(address)?;
    if database > 0 {
        exchange(&mut stream, &request(&words(&["SELECT", &database.to_string()])), 1)?;
    }
    for start in (0..count).step_by(PIPELINE as usize) {
        let end = count.min(start + PIPELINE);
        let requests: Vec<u8> = (start..end).flat_map(|number| request(&command(number))).collect();
        exchange(&mut stream, &requests, end - start)?;
    }
    Ok(())
}
