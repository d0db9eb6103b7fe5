//! How long a node takes to start again, and what it says meanwhile.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use onecopy_harness::{Cluster, Options, RedisServer, free_port, wait};

/// Measures how long a server takes to answer clients after it was loaded for a while, killed (`kill -9`),
/// and started again: it reads its snapshot, and executes the log behind it.
///
/// One node with one copy, settings as they are by default but for durability in memory; beside it Redis with
/// a log that is synced once a second. Needs redis-benchmark.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Seconds of load: SET in pipelines of 16, 50 clients, values of 64 bytes, a million keys.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(300);
/// How many commands are sent between two looks at the clock.
const COMMANDS: u64 = 500_000;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let time = Duration::from_secs(arguments.seconds);
    println!("| system | written in {} s | log, MB | serves again after | meanwhile |", arguments.seconds);
    println!("| --- | --- | --- | --- | --- |");
    onecopy(time)?;
    if RedisServer::is_installed() {
        redis(time)?;
    }
    Ok(())
}

fn onecopy(time: Duration) -> anyhow::Result<()> {
    let one = Options { nodes: 1, copies: 1, view_nodes: 1, durability: "memory", ..Options::default() };
    let mut cluster = Cluster::start(one);
    let written = load(cluster.redis_address(1), time)?;
    let size = |path: std::path::PathBuf| std::fs::metadata(path).map_or(0, |file| file.len());
    let log: u64 = cluster.segments(1).into_iter().map(size).sum();
    cluster.kill(1);
    let began = Instant::now();
    cluster.start_node(1);
    let mut said = String::new();
    wait("an answer", PATIENCE, || {
        let (status, body) = cluster.http(1, "/readyz")?;
        if status == 503 {
            said = body.trim().to_owned();
        }
        (status == 200).then_some(())
    });
    cluster.wait_until_serving(1);
    row("Onecopy", written, log, began.elapsed(), &said);
    Ok(())
}

fn redis(time: Duration) -> anyhow::Result<()> {
    let directory = tempfile::Builder::new().prefix("onecopy-bench-").tempdir()?;
    let home = directory.path().to_str().context("the path of a temporary directory is text")?;
    let port = free_port();
    let settings = ["--dir", home, "--appendonly", "yes", "--appendfsync", "everysec"];
    let server = RedisServer::start(port, &settings)?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let written = load(address, time)?;
    let log = std::fs::read_dir(directory.path().join("appendonlydir"))?
        .map(|entry| Ok(entry?.metadata()?.len()))
        .sum::<std::io::Result<u64>>()?;
    drop(server);
    let began = Instant::now();
    let _server = RedisServer::start(port, &settings)?;
    let mut said = String::new();
    wait("an answer of Redis", PATIENCE, || {
        let mut client = redis::Client::open(format!("redis://{address}/")).ok()?.get_connection().ok()?;
        let answer = redis::cmd("GET").arg("").query::<Option<String>>(&mut client);
        answer.map_err(|error| said = error.to_string()).ok()
    });
    row("Redis, everysec", written, log, began.elapsed(), &said);
    Ok(())
}

fn row(system: &str, written: u64, log: u64, took: Duration, said: &str) {
    let (log, took) = (log as f64 / 1e6, took.as_secs_f64());
    println!("| {system} | {written} | {log:.0} | {took:.1} s | {said} |");
}

/// Writes as fast as it goes; how many commands that were.
fn load(server: SocketAddr, time: Duration) -> anyhow::Result<u64> {
    let (began, mut written) = (Instant::now(), 0);
    while began.elapsed() < time {
        let status = Command::new("redis-benchmark")
            .args(["-h", "127.0.0.1", "-p", &server.port().to_string(), "-t", "set", "-q"])
            .args(["-P", "16", "-c", "50", "-d", "64", "-r", "1000000", "-n", &COMMANDS.to_string()])
            .stdout(Stdio::null())
            .status()
            .context("redis-benchmark cannot be run")?;
        ensure!(status.success(), "redis-benchmark failed");
        written += COMMANDS;
    }
    Ok(written)
}
