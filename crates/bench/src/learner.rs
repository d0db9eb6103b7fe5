//! What clients and members notice while another copy is made.

use std::time::{Duration, Instant};

use onecopy_harness::{Cluster, Options};

use crate::failover::Roles;
use crate::process;
use crate::steady::{Ask, Steady, Window};

/// Measures what clients and members notice of a learner that joins a full group.
///
/// Three nodes, two copies. The group is filled; clients write half of what they could; `onecopy group copies
/// 3` makes the spare a learner, and a member once it has everything and its digest is that of the primary.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Keys in the group.
    #[arg(long, default_value_t = 5_000_000)]
    keys: u64,
    /// Bytes of a value.
    #[arg(long, default_value_t = 16)]
    bytes: usize,
    /// Connections that write.
    #[arg(long, default_value_t = 50)]
    clients: usize,
    /// Which share of the peak they write.
    #[arg(long, default_value_t = 0.5)]
    share: f64,
    /// Seconds for which the peak is measured, and the latency before and after.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// The node that joins has core 1 for itself, and everything else core 0, before and while it joins: what
    /// remains is what the others do for it.
    #[arg(long)]
    apart: bool,
}

/// A learner may take so long.
const JOIN_TIMEOUT: Duration = Duration::from_secs(1_800);
const FILL_CHUNK: u64 = 200;
const MEGABYTE: f64 = 1e6;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut cluster = Cluster::start(Options::default());
    let roles = Roles::of(&cluster);
    if arguments.apart {
        set_apart(&cluster, roles)?;
    }
    fill(&cluster, roles.primary, arguments)?;
    let address = cluster.redis_address(roles.primary);
    let asks = || (0..arguments.clients.max(1) as u64).map(|number| writer(number, arguments)).collect();
    let window = Duration::from_secs(arguments.seconds);

    let peak = Steady::start(address, None, asks())?;
    std::thread::sleep(Duration::from_secs(1));
    peak.take();
    std::thread::sleep(window);
    let peak_rate = peak.take().per_second();
    peak.stop();

    let writing = Steady::start(address, Some(peak_rate * arguments.share), asks())?;
    std::thread::sleep(Duration::from_secs(1));
    let members = Members::of(&cluster, roles)?;
    writing.take();
    std::thread::sleep(window);
    let (before, memory_before) = (Seen::of(writing.take()), members.peaks()?);
    let view = cluster.view();
    let log_before = log_bytes(&cluster, roles.spare);
    let begin = Instant::now();
    cluster.must_operate(&["group", "copies", "3"]);
    wait_until_member(&cluster, roles.spare)?;
    let took = begin.elapsed();
    // An attempt is a view with a learner, and one without: with a member more, or as before.
    let attempts = (cluster.view() - view) / 2;
    let log_after = log_bytes(&cluster, roles.spare);
    let (during, memory_during) = (Seen::of(writing.take()), members.peaks()?);
    std::thread::sleep(window);
    let after = Seen::of(writing.stop());

    println!(
        "{} keys; peak {peak_rate:.0} writes/s with {} connections, of which {:.0} %\n",
        arguments.keys,
        arguments.clients,
        arguments.share * 100.0
    );
    println!("| clients | writes/s | p50 ms | p99 ms | p99.9 ms | max ms | errors |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (name, seen) in
        [("before", &before), ("while the learner joins", &during), ("with three copies", &after)]
    {
        println!("| {name} | {seen} |");
    }
    println!(
        "| ratio of joining to before | | {:.2} | {:.2} | | | |\n",
        during.p50 / before.p50,
        during.p99 / before.p99
    );
    println!("| memory (RSS) | peak before | peak while joining | ratio |\n| --- | --- | --- | --- |");
    for ((name, before), (_, during)) in memory_before.iter().zip(&memory_during) {
        let megabytes = |bytes: u64| bytes as f64 / MEGABYTE;
        println!(
            "| {name} | {:.0} MB | {:.0} MB | {:.3} |",
            megabytes(*before),
            megabytes(*during),
            *during as f64 / *before as f64
        );
    }
    let image = snapshot_bytes(&cluster, roles.spare)? as f64 / MEGABYTE;
    let log = log_after.saturating_sub(log_before) as f64 / MEGABYTE;
    println!(
        "\na member after {:.1} s, with a snapshot of {image:.1} MB and {log:.1} MB of log: {:.1} MB/s; attempts: {attempts}",
        took.as_secs_f64(),
        (image + log) / took.as_secs_f64()
    );
    conclude(&cluster, arguments, [&before, &during, &after])
}

/// The spare to core 1, the members and the clients of this process to core 0.
fn set_apart(cluster: &Cluster, roles: Roles) -> anyhow::Result<()> {
    let pid = |id| cluster.pid(id).expect("it runs");
    process::pin(pid(roles.spare), 1)?;
    [pid(roles.primary), pid(roles.backup), std::process::id()]
        .into_iter()
        .try_for_each(|pid| process::pin(pid, 0))
}

/// What clients saw in some time.
struct Seen {
    per_second: f64,
    p50: f64,
    p99: f64,
    p999: f64,
    max: f64,
    errors: u64,
}

impl Seen {
    fn of(window: Window) -> Self {
        let [p50, p99, p999, max] = [0.5, 0.99, 0.999, 1.0].map(|quantile| window.milliseconds(quantile));
        Self { per_second: window.per_second(), p50, p99, p999, max, errors: window.errors }
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { per_second, p50, p99, p999, max, errors } = self;
        write!(f, "{per_second:.0} | {p50:.2} | {p99:.2} | {p999:.2} | {max:.2} | {errors}")
    }
}

/// The processes that could serve the snapshot.
struct Members(Vec<(&'static str, u32)>);

impl Members {
    fn of(cluster: &Cluster, roles: Roles) -> anyhow::Result<Self> {
        let pid = |id| cluster.pid(id).expect("it runs");
        let members = Self(vec![("primary", pid(roles.primary)), ("backup", pid(roles.backup))]);
        members.peaks()?;
        Ok(members)
    }

    /// The most bytes that each of them has occupied since the last call.
    fn peaks(&self) -> anyhow::Result<Vec<(&'static str, u64)>> {
        let peak = |(name, pid): &(&'static str, u32)| {
            let (_, peak) = process::memory(*pid)?;
            process::reset_peak(*pid)?;
            Ok((*name, peak))
        };
        self.0.iter().map(peak).collect()
    }
}

fn key(number: u64) -> String {
    format!("key:{number:012}")
}

/// Sets all keys once.
fn fill(cluster: &Cluster, primary: u32, arguments: &Arguments) -> anyhow::Result<()> {
    let mut connection = cluster.client(primary);
    let value = vec![b'x'; arguments.bytes];
    let mut next = 0;
    while next < arguments.keys {
        let mut pipeline = redis::pipe();
        for _ in 0..32 {
            let end = arguments.keys.min(next + FILL_CHUNK);
            if next < end {
                let command = pipeline.cmd("MSET");
                for number in next..end {
                    command.arg(key(number)).arg(&value);
                }
                next = end;
            }
        }
        pipeline.query::<()>(&mut connection)?;
    }
    Ok(())
}

/// Overwrites keys, scattered over all of them.
fn writer(number: u64, arguments: &Arguments) -> Ask {
    let (keys, value) = (arguments.keys.max(1), vec![b'y'; arguments.bytes]);
    let mut state = number;
    Box::new(move |connection| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let scattered = (state ^ (state >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11;
        redis::cmd("SET").arg(key(scattered % keys)).arg(&value).query(connection)
    })
}

/// Waits until a node is a member.
fn wait_until_member(cluster: &Cluster, id: u32) -> anyhow::Result<()> {
    let deadline = Instant::now() + JOIN_TIMEOUT;
    while Instant::now() < deadline {
        let report = cluster.report();
        if report.complete && report.groups.iter().any(|group| group.backups.contains(&id)) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    anyhow::bail!("node {id} is no member after {JOIN_TIMEOUT:?}")
}

/// The size of the greatest snapshot in a node's data directory: the one that it got.
fn snapshot_bytes(cluster: &Cluster, id: u32) -> anyhow::Result<u64> {
    let mut greatest = 0;
    for file in std::fs::read_dir(cluster.data_directory(id).join("snapshots"))? {
        greatest = greatest.max(file?.metadata()?.len());
    }
    Ok(greatest)
}

/// Bytes that a node has written to its log.
fn log_bytes(cluster: &Cluster, id: u32) -> u64 {
    cluster.metric(id, "onecopy_log_flushed_bytes_total").unwrap_or(0)
}

/// No client saw an error, no replica found that it differs, and all have all keys.
fn conclude(cluster: &Cluster, arguments: &Arguments, seen: [&Seen; 3]) -> anyhow::Result<()> {
    let errors: u64 = seen.iter().map(|seen| seen.errors).sum();
    let diverged: u64 =
        cluster.data_ids().iter().filter_map(|id| cluster.metric(*id, "onecopy_diverged_total")).sum();
    let mut keys = Vec::new();
    for id in cluster.data_ids() {
        keys.push(cluster.status(id).and_then(|status| status.replicas.first().map(|replica| replica.keys)));
    }
    println!(
        "digests compared with every entry: {diverged} differences; keys {:?}",
        keys.iter().flatten().collect::<Vec<_>>()
    );
    anyhow::ensure!(errors == 0, "{errors} errors");
    anyhow::ensure!(
        diverged == 0 && keys.iter().all(|count| *count == Some(arguments.keys)),
        "the copies differ"
    );
    Ok(())
}
