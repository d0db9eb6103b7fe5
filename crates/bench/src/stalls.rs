//! How long others wait while something large is made, removed, or expires; beside Redis.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use onecopy_harness::{Cluster, Options, RedisServer, free_port};

use crate::filling::{TOGETHER, collection, connect, exchange, fill, request};

/// Measures the longest time for which another client waits: one that does nothing but SET and GET, each
/// after the answer to the last.
///
/// Members of a cluster have durability in memory; Redis runs without persistence. If `redis-server` is not
/// installed, its column is empty.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many members a large set has, and how many elements a large list.
    #[arg(long, default_value_t = 5_000_000)]
    members: u64,
    /// How many keys are flushed.
    #[arg(long, default_value_t = 5_000_000)]
    keys: u64,
    /// How many keys expire at the same millisecond.
    #[arg(long, default_value_t = 1_000_000)]
    expiring: u64,
    /// How many mebibytes a long string has.
    #[arg(long, default_value_t = 256)]
    mebibytes: usize,
    /// How many members the cluster has.
    #[arg(long, default_value_t = 1)]
    copies: u32,
    /// Only cases with this in their names.
    #[arg(long, default_value = "")]
    only: String,
}

/// What follows by itself, such as giving memory back, is over by then.
const REST: Duration = Duration::from_secs(3);

/// Something that could hold up others.
struct Case {
    name: &'static str,
    /// Makes what is needed.
    prepare: fn(&Arguments, SocketAddr) -> anyhow::Result<()>,
    /// Does it.
    act: fn(&Arguments, SocketAddr) -> anyhow::Result<()>,
}

const CASES: [Case; 9] = [
    Case { name: "nothing", prepare: |_, _| Ok(()), act: |_, _| Ok(()) },
    Case { name: "a large set, DEL", prepare: large_set, act: |_, to| ask(to, &["DEL", "large"]) },
    Case { name: "a large set, UNLINK", prepare: large_set, act: |_, to| ask(to, &["UNLINK", "large"]) },
    Case { name: "a large set, SET", prepare: large_set, act: |_, to| ask(to, &["SET", "large", "x"]) },
    Case { name: "a large list, DEL", prepare: large_list, act: |_, to| ask(to, &["DEL", "large"]) },
    Case { name: "many keys, FLUSHALL", prepare: many_keys, act: |_, to| ask(to, &["FLUSHALL"]) },
    Case { name: "many keys expire", prepare: |_, _| Ok(()), act: expire },
    Case { name: "a long string, SET", prepare: |_, _| Ok(()), act: long_string },
    Case { name: "a long string, DEL", prepare: long_string, act: |_, to| ask(to, &["DEL", "long"]) },
];

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let has_redis = RedisServer::is_installed();
    println!(
        "The longest time that another client waits, in milliseconds: {} members, {} keys, {} that expire, {} MiB.\n",
        arguments.members, arguments.keys, arguments.expiring, arguments.mebibytes
    );
    println!("| case | Onecopy | Redis |\n| --- | --- | --- |");
    for case in CASES.iter().filter(|case| case.name.contains(&arguments.only)) {
        let ours = ours(arguments, case)?;
        let theirs = if has_redis { format!("{:.1}", theirs(arguments, case)?) } else { String::new() };
        println!("| {} | {ours:.1} | {theirs} |", case.name);
    }
    Ok(())
}

fn ours(arguments: &Arguments, case: &Case) -> anyhow::Result<f64> {
    let copies = arguments.copies;
    let mut options =
        Options { nodes: copies, copies, view_nodes: 1, durability: "memory", ..Options::default() };
    let longest = (arguments.mebibytes + 1) << 20;
    options.settings.push(("limits-command-bytes", longest.to_string()));
    let cluster = Cluster::start(options);
    measure(arguments, case, cluster.redis_address(cluster.primary()))
}

fn theirs(arguments: &Arguments, case: &Case) -> anyhow::Result<f64> {
    let port = free_port();
    let _redis = RedisServer::start(port, &["--appendonly", "no"])?;
    measure(arguments, case, SocketAddr::from(([127, 0, 0, 1], port)))
}

/// The longest wait in milliseconds.
fn measure(arguments: &Arguments, case: &Case, server: SocketAddr) -> anyhow::Result<f64> {
    (case.prepare)(arguments, server)?;
    std::thread::sleep(REST);
    let witness = Witness::start(server)?;
    std::thread::sleep(Duration::from_millis(200));
    (case.act)(arguments, server)?;
    std::thread::sleep(REST);
    Ok(witness.stop()?.as_secs_f64() * 1e3)
}

/// A client that waits for nothing but answers.
struct Witness {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Duration>>,
}

impl Witness {
    fn start(server: SocketAddr) -> anyhow::Result<Self> {
        let mut stream = connect(server)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !stopped.load(Ordering::Relaxed) {
                for words in [&["SET", "witness", "x"][..], &["GET", "witness"]] {
                    let asked = Instant::now();
                    exchange(&mut stream, &request(words), 1)?;
                    longest = longest.max(asked.elapsed());
                }
            }
            Ok(longest)
        });
        Ok(Self { stop, thread })
    }

    /// How long it has waited at most.
    fn stop(self) -> anyhow::Result<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().ok().context("the witness has panicked")?
    }
}

fn ask(server: SocketAddr, words: &[&str]) -> anyhow::Result<()> {
    exchange(&mut connect(server)?, &request(words), 1)
}

fn large_set(arguments: &Arguments, server: SocketAddr) -> anyhow::Result<()> {
    collection(server, ["SADD", "large"], arguments.members)
}

fn large_list(arguments: &Arguments, server: SocketAddr) -> anyhow::Result<()> {
    collection(server, ["RPUSH", "large"], arguments.members)
}

fn many_keys(arguments: &Arguments, server: SocketAddr) -> anyhow::Result<()> {
    fill(server, arguments.keys, |numbers| {
        let pairs: Vec<[String; 2]> =
            numbers.map(|number| [format!("key:{number:012}"), format!("value:{number:010}")]).collect();
        let words: Vec<&str> =
            std::iter::once("MSET").chain(pairs.iter().flatten().map(String::as_str)).collect();
        request(&words)
    })
}

/// Makes keys that expire together, and waits until they have.
fn expire(arguments: &Arguments, server: SocketAddr) -> anyhow::Result<()> {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map(|now| now.as_millis());
    // A million are made in some seconds.
    let at = now()? + 3_000 + u128::from(arguments.expiring) / 50;
    let at_text = at.to_string();
    let mut stream = connect(server)?;
    for start in (0..arguments.expiring).step_by(TOGETHER as usize) {
        let numbers = start..arguments.expiring.min(start + TOGETHER);
        let count = numbers.end - numbers.start;
        let commands = numbers
            .flat_map(|number| request(&["SET", &format!("key:{number:012}"), "value", "PXAT", &at_text]));
        exchange(&mut stream, &commands.collect::<Vec<u8>>(), count)?;
    }
    ensure!(now()? < at, "the keys have expired before all were made: fewer, please");
    std::thread::sleep(Duration::from_millis(u64::try_from(at - now()?)?));
    Ok(())
}

fn long_string(arguments: &Arguments, server: SocketAddr) -> anyhow::Result<()> {
    let value = "x".repeat(arguments.mebibytes << 20);
    ask(server, &["SET", "long", &value])
}
