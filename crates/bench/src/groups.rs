//! What several groups give, and what idle ones cost.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use onecopy_harness::{Cluster, Options};

use crate::median::median;
use crate::{databases, process};

/// Measures the throughput of one and two databases on one and two threads, and what idle groups cost.
///
/// Needs redis-benchmark on the PATH. The clusters of the first table run at the same time and have their
/// turn in each round; medians are printed, and the ratio to one database on one thread in the same rounds.
/// Each database has its own connections, through the primary of `main`. The second table is about clusters
/// that nobody asks anything.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Rounds of each case.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Nodes of a cluster, and copies of each database.
    #[arg(long, default_value_t = 1)]
    nodes: u32,
    /// Commands in a pipeline.
    #[arg(long, value_delimiter = ',', default_value = "1,16")]
    pipelines: Vec<u64>,
    /// Connections, to all databases together.
    #[arg(long, default_value_t = 50)]
    clients: u64,
    /// Bytes of a value.
    #[arg(long, default_value_t = 64)]
    bytes: u64,
    /// Commands of a run, to all databases together, without a pipeline; five times as many with one.
    #[arg(long, default_value_t = 100_000)]
    requests: u64,
    /// How many groups are idle, in the second table.
    #[arg(long, value_delimiter = ',', default_value = "1,100,1000")]
    idle: Vec<u32>,
    /// For how long they are watched, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

/// Does what the arguments say.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    println!(
        "{} nodes and copies, memory durability, median of {} rounds; {} processors for all",
        arguments.nodes,
        arguments.rounds,
        std::thread::available_parallelism()?
    );
    throughput(arguments)?;
    println!();
    println!("three nodes, two copies, memory durability, nobody asks anything");
    println!(
        "| groups | processor time of all nodes, % of a core | messages per second | resident, MiB per node |"
    );
    println!("| --- | --- | --- | --- |");
    for groups in &arguments.idle {
        println!("{}", idle(*groups, Duration::from_secs(arguments.seconds))?);
    }
    Ok(())
}

/// A cluster with so many databases, on so many threads per node.
struct Case {
    databases: u32,
    threads: u32,
    cluster: Cluster,
    port: u16,
}

impl Case {
    fn start(databases: u32, threads: u32, nodes: u32) -> Self {
        let cluster = Cluster::start(Options {
            nodes,
            copies: nodes,
            view_nodes: if nodes < 3 { 1 } else { 3 },
            durability: "memory",
            databases: databases::configured(databases),
            settings: vec![("threads", threads.to_string())],
            ..Options::default()
        });
        let port = cluster.redis_address(cluster.primary()).port();
        Self { databases, threads, cluster, port }
    }
}

fn throughput(arguments: &Arguments) -> anyhow::Result<()> {
    let cases: Vec<Case> = [(1, 1), (1, 2), (2, 1), (2, 2)]
        .into_iter()
        .map(|(databases, threads)| Case::start(databases, threads, arguments.nodes))
        .collect();
    println!("| pipeline | databases | threads | SET per second | ratio | µs of processor per command |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for pipeline in &arguments.pipelines {
        let mut outcomes: Vec<Vec<(f64, f64)>> = cases.iter().map(|_| Vec::new()).collect();
        for _ in 0..arguments.rounds.max(1) {
            for (case, outcomes) in cases.iter().zip(&mut outcomes) {
                outcomes.push(load(case, arguments, *pipeline)?);
            }
        }
        let first: Vec<f64> = outcomes[0].iter().map(|outcome| outcome.0).collect();
        for (case, outcomes) in cases.iter().zip(&outcomes) {
            let ratios = outcomes.iter().zip(&first).map(|(outcome, first)| outcome.0 / first).collect();
            println!(
                "| {pipeline} | {} | {} | {:.0} | {:.2} | {:.2} |",
                case.databases,
                case.threads,
                median(outcomes.iter().map(|outcome| outcome.0).collect()),
                median(ratios),
                median(outcomes.iter().map(|outcome| outcome.1).collect()),
            );
        }
    }
    Ok(())
}

/// One run: commands per second, over all databases, and microseconds of processor time of the nodes for
/// each.
fn load(case: &Case, arguments: &Arguments, pipeline: u64) -> anyhow::Result<(f64, f64)> {
    let requests = arguments.requests * if pipeline > 1 { 5 } else { 1 };
    let each = requests / u64::from(case.databases);
    let clients = (arguments.clients / u64::from(case.databases)).max(1);
    let before = processor_seconds(&case.cluster)?;
    let started = Instant::now();
    let children: Vec<Child> = (0..case.databases)
        .map(|database| {
            let number = databases::number(database);
            Command::new("redis-benchmark")
                .args(["-h", "127.0.0.1", "-p", &case.port.to_string(), "-t", "set", "--csv", "-r", "100000"])
                .args([
                    "--dbnum",
                    &number.to_string(),
                    "-P",
                    &pipeline.to_string(),
                    "-c",
                    &clients.to_string(),
                ])
                .args(["-n", &each.to_string(), "-d", &arguments.bytes.to_string()])
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .context("redis-benchmark cannot be run")
        })
        .collect::<Result<_, _>>()?;
    for child in children {
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "redis-benchmark failed");
    }
    let seconds = started.elapsed().as_secs_f64();
    let processor = processor_seconds(&case.cluster)? - before;
    let all = (each * u64::from(case.databases)) as f64;
    Ok((all / seconds, processor * 1e6 / all))
}

/// What a cluster with so many groups costs that nobody asks anything.
fn idle(groups: u32, watched: Duration) -> anyhow::Result<String> {
    let options =
        Options { durability: "memory", databases: databases::configured(groups), ..Options::default() };
    let cluster = Cluster::start(options);
    // What the start has left to do.
    std::thread::sleep(Duration::from_secs(5));
    let messages = |cluster: &Cluster| -> anyhow::Result<u64> {
        let sent = cluster.ids().into_iter().map(|id| cluster.metric(id, "onecopy_messages_sent_total"));
        sent.map(|sent| sent.context("a node says nothing")).sum()
    };
    let (sent, processor, started) = (messages(&cluster)?, processor_seconds(&cluster)?, Instant::now());
    std::thread::sleep(watched);
    let seconds = started.elapsed().as_secs_f64();
    let processor = (processor_seconds(&cluster)? - processor) / seconds;
    let sent = (messages(&cluster)? - sent) as f64 / seconds;
    let resident: u64 = cluster.ids().into_iter().map(|id| cluster.resident(id)).sum();
    let resident = resident as f64 / cluster.ids().len() as f64 / (1 << 20) as f64;
    Ok(format!("| {groups} | {:.1} | {sent:.0} | {resident:.0} |", processor * 100.0))
}

fn processor_seconds(cluster: &Cluster) -> anyhow::Result<f64> {
    let pids = cluster.ids().into_iter().filter_map(|id| cluster.pid(id));
    pids.map(process::processor_seconds).sum()
}
