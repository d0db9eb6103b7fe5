//! What hostile input costs everybody else: memory of the process, the longest wait of other clients, and
//! views.
//!
//! Three nodes with default settings and a password hold two copies. Each input goes to the node of the
//! primary, and its connections stay open for a while; meanwhile one client at that node and one at another
//! write and read all the time, and a client that comes new is timed.

mod client;
mod http;
mod input;
mod peer;
mod stranger;
mod witness;

use std::time::{Duration, Instant};

use onecopy_harness::{Cluster, Options, wait};

use input::{Input, Target};
use witness::Witnesses;

use crate::process;

/// The password of the cluster.
const PASSWORD: &str = "of the benchmark";
/// How long the connections of an input stay open.
const HELD: Duration = Duration::from_secs(2);
/// How long it may take until everybody is served again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures what hostile input costs everybody else.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only inputs whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let settings = vec![("requirepass", PASSWORD.to_owned()), ("maxmemory", "1gb".to_owned())];
    let cluster = Cluster::start(Options { settings, ..Options::default() });
    println!(
        "| port | input | first answer | longest wait here | elsewhere | a new client | resident before, peak, after | views |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let inputs = [client::BEFORE_AUTH, client::AFTER_AUTH, peer::INPUTS, http::INPUTS].concat();
    let mut worst = Duration::ZERO;
    for input in inputs.iter().filter(|input| input.name.contains(&arguments.only)) {
        worst = worst.max(measure(&cluster, input)?);
    }
    println!("\nmilliseconds and MiB; the longest wait of all: {} ms", worst.as_millis());
    Ok(())
}

/// Hands in one input, and prints what it has cost; the longest wait of another client.
fn measure(cluster: &Cluster, input: &Input) -> anyhow::Result<Duration> {
    let (primary, view) = (cluster.primary(), cluster.view());
    let other = cluster.data_ids().into_iter().find(|id| *id != primary).unwrap_or(primary);
    let target = Target {
        redis: cluster.redis_address(primary),
        peer: cluster.peer_address(primary),
        http: cluster.http_address(primary),
        cluster: cluster.name().to_owned(),
    };
    let mut operator = authenticated(target.redis)?;
    (input.prepare)(&mut operator)?;
    let pid = cluster.pid(primary).ok_or_else(|| anyhow::anyhow!("node {primary} does not run"))?;
    let witnesses = Witnesses::start([target.redis, cluster.redis_address(other)])?;
    std::thread::sleep(HELD / 4);
    witnesses.begin();
    process::reset_peak(pid)?;
    let (before, _) = process::memory(pid)?;
    let held = (input.send)(&target);
    let newcomer = Instant::now();
    let is_served =
        || redis::cmd("GET").arg("new").query::<Option<u64>>(&mut authenticated(target.redis).ok()?).ok();
    wait("that a new client is served", PATIENCE, is_served);
    let newcomer = newcomer.elapsed();
    std::thread::sleep(HELD);
    let answer = held.first_answer();
    drop(held);
    let [here, elsewhere] = witnesses.end();
    let (_, peak) = process::memory(pid)?;
    let mut operator = wait("a client that may flush", PATIENCE, || authenticated(target.redis).ok());
    redis::cmd("FLUSHALL").query::<()>(&mut operator)?;
    std::thread::sleep(HELD / 2);
    let (after, _) = process::memory(pid)?;
    let errors = witnesses.stop();
    let [before, peak, after] = [before, peak, after].map(|bytes| bytes >> 20);
    let views = match cluster.view() {
        same if same == view => format!("{view}"),
        changed => format!("**{view} → {changed}**"),
    };
    let told = if errors == 0 { String::new() } else { format!(", {errors} errors") };
    println!(
        "| {} | {} | {answer} | {} | {}{told} | {} | {before}, {peak}, {after} | {views} |",
        input.port,
        input.name,
        here.as_millis(),
        elsewhere.as_millis(),
        newcomer.as_millis(),
    );
    Ok(here.max(elsewhere).max(newcomer))
}

/// A client that has given the password.
fn authenticated(address: std::net::SocketAddr) -> redis::RedisResult<redis::Connection> {
    let client = redis::Client::open(format!("redis://{address}/"))?;
    let mut connection = client.get_connection_with_timeout(Duration::from_secs(2))?;
    connection.set_read_timeout(Some(PATIENCE))?;
    redis::cmd("AUTH").arg(PASSWORD).query::<()>(&mut connection)?;
    Ok(connection)
}
