//! What a second member adds to reads, and what a read at a backup costs while there are writes.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use onecopy_harness::load::Register;
use onecopy_harness::{Cluster, Options};

use crate::load::{self, End, Order, Plan, Target, Test};
use crate::median::median;
use crate::process;
use crate::steady::{Ask, Steady};

/// Measures reads at one member and at two, and the latency of reads at the backup beside writes.
///
/// Two nodes with all roles but one view service, two copies: node 1 runs on core 0, node 2 on core 1. For
/// the throughput, each core also runs the clients that read at its node, as if it were a machine.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Runs of each throughput; medians are printed.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Reads in a run.
    #[arg(long, default_value_t = 2_000_000)]
    requests: u64,
    /// Connections to each member.
    #[arg(long, default_value_t = 50)]
    clients: usize,
    /// Reads in a pipeline.
    #[arg(long, default_value_t = 16)]
    pipeline: usize,
    /// Reads per second at the backup, for the latencies.
    #[arg(long, default_value_t = 4_000.0)]
    per_second: f64,
    /// Seconds of each latency.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

const KEYS: u64 = 1_000;
const READERS: usize = 8;
const WRITERS: usize = 8;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let cluster = Cluster::start(Options { nodes: 2, view_nodes: 1, ..Options::default() });
    for id in cluster.data_ids() {
        process::pin(cluster.pid(id).expect("it runs"), core_of(&cluster, id))?;
    }
    throughput(arguments, &cluster)?;
    println!();
    latency(arguments, &cluster)
}

// --- Throughput ---

/// One way to read: from which nodes, and what came of it.
struct Way {
    name: &'static str,
    nodes: Vec<u32>,
    per_second: Vec<f64>,
    /// Reads per second of processor time of the nodes.
    per_processor_second: Vec<f64>,
}

fn throughput(arguments: &Arguments, cluster: &Cluster) -> anyhow::Result<()> {
    let primary = cluster.primary();
    let backup = cluster.data_ids().into_iter().find(|id| *id != primary).expect("two nodes");
    load::execute(&plan(arguments, cluster, primary, Test::Set, 500_000))?;
    let way = |name, nodes| Way { name, nodes, per_second: Vec::new(), per_processor_second: Vec::new() };
    let mut ways = [
        way("the primary", vec![primary]),
        way("the backup", vec![backup]),
        way("both", vec![primary, backup]),
    ];
    // One after the other, again and again: what else the machine does hits all of them. The first round
    // warms up.
    for round in 0..=arguments.runs.max(1) {
        for way in &mut ways {
            let used =
                || way.nodes.iter().map(|id| processor_seconds(cluster, *id)).sum::<anyhow::Result<f64>>();
            let before = used()?;
            let per_second = read_at(arguments, cluster, &way.nodes)?;
            let used = used()? - before;
            if round > 0 {
                way.per_second.push(per_second);
                way.per_processor_second.push(arguments.requests as f64 / used);
            }
        }
    }
    println!(
        "GET, {} connections to each member, pipelines of {}, medians of {} runs\n",
        arguments.clients, arguments.pipeline, arguments.runs
    );
    println!("| clients read at | reads/s | ratio | reads per processor second of the members |");
    println!("| --- | --- | --- | --- |");
    let mut first = None;
    for way in ways {
        let (rate, each) = (median(way.per_second), median(way.per_processor_second));
        let ratio = rate / *first.get_or_insert(rate);
        println!("| {} | {rate:.0} | {ratio:.2} | {each:.0} |", way.name);
    }
    Ok(())
}

/// The reads per second at these nodes together, until the last of their clients is done. The clients of a
/// node run on its core.
fn read_at(arguments: &Arguments, cluster: &Cluster, nodes: &[u32]) -> anyhow::Result<f64> {
    let share = arguments.requests / nodes.len() as u64;
    let started = Instant::now();
    std::thread::scope(|scope| {
        let clients: Vec<_> = nodes
            .iter()
            .map(|node| {
                let plan = plan(arguments, cluster, *node, Test::Get, share);
                let core = core_of(cluster, *node);
                scope.spawn(move || {
                    process::pin_this_thread(core)?;
                    load::execute(&plan)
                })
            })
            .collect();
        clients.into_iter().try_for_each(|clients| {
            let outcome = clients.join().expect("the clients do not panic")?;
            anyhow::ensure!(outcome.errors() == 0, "{} reads failed", outcome.errors());
            Ok(())
        })
    })?;
    Ok((share * nodes.len() as u64) as f64 / started.elapsed().as_secs_f64())
}

fn plan(arguments: &Arguments, cluster: &Cluster, node: u32, test: Test, requests: u64) -> Plan {
    Plan {
        targets: vec![Target::first(cluster.redis_address(node).to_string())],
        test,
        clients: arguments.clients.max(1),
        pipeline: arguments.pipeline.max(1),
        end: End::Requests(requests),
        bytes: 64,
        keys: 100_000,
        order: Order::Random,
    }
}

/// On which core a node runs.
fn core_of(cluster: &Cluster, node: u32) -> usize {
    cluster.data_ids().iter().position(|id| *id == node).expect("a node of this cluster")
}

fn processor_seconds(cluster: &Cluster, id: u32) -> anyhow::Result<f64> {
    process::processor_seconds(cluster.pid(id).expect("it runs"))
}

// --- Latency ---

/// Writes beside the reads.
struct Beside {
    name: &'static str,
    /// Which share of all commands they are.
    share: f64,
    /// Whether they write the keys that are read.
    same_keys: bool,
}

const BESIDE: [Beside; 4] = [
    Beside { name: "no writes", share: 0.0, same_keys: false },
    Beside { name: "50 % writes to other keys", share: 0.5, same_keys: false },
    Beside { name: "10 % writes to the same keys", share: 0.1, same_keys: true },
    Beside { name: "50 % writes to the same keys", share: 0.5, same_keys: true },
];

fn latency(arguments: &Arguments, cluster: &Cluster) -> anyhow::Result<()> {
    let rate = arguments.per_second;
    println!(
        "{rate} GET/s at the backup for {} s, writes at the primary, {KEYS} keys; milliseconds\n",
        arguments.seconds
    );
    println!(
        "| beside the reads | GET p50 | GET p99 | GET p99.9 | GET max | SET p50 | SET p99 | reads | answered by the backup | errors | not linearizable |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut wrong = 0;
    for beside in BESIDE {
        wrong += latency_beside(arguments, cluster, &beside)?;
    }
    anyhow::ensure!(wrong == 0, "{wrong} reads were wrong");
    Ok(())
}

fn latency_beside(arguments: &Arguments, cluster: &Cluster, beside: &Beside) -> anyhow::Result<usize> {
    let primary = cluster.primary();
    let backup = cluster.data_ids().into_iter().find(|id| *id != primary).expect("two nodes");
    let _: () = redis::cmd("FLUSHALL").query(&mut cluster.client(primary))?;
    let registers: Arc<Vec<Register>> = Arc::new((0..2 * KEYS).map(|_| Register::default()).collect());
    let wrong = Arc::new(Mutex::new(Vec::new()));
    // The keys that are written are the first half, or the second one.
    let written_from = if beside.same_keys { 0 } else { KEYS };
    let write: Vec<Ask> =
        (0..WRITERS as u64).map(|number| writer(&registers, written_from, number)).collect();
    let read: Vec<Ask> = (0..READERS as u64).map(|number| reader(&registers, &wrong, number)).collect();
    let write_rate = arguments.per_second * beside.share / (1.0 - beside.share);
    let writing = match beside.share {
        0.0 => None,
        _ => Some(Steady::start(cluster.redis_address(primary), Some(write_rate), write)?),
    };
    let reading = Steady::start(cluster.redis_address(backup), Some(arguments.per_second), read)?;
    std::thread::sleep(Duration::from_secs(1));
    reading.take();
    writing.as_ref().map(Steady::take);
    let forwarded = || cluster.metric(backup, "onecopy_read_batches_forwarded_total").unwrap_or(0);
    let before = forwarded();
    std::thread::sleep(Duration::from_secs(arguments.seconds));
    let elsewhere = forwarded() - before;
    let reads = reading.stop();
    let writes = writing.map(Steady::stop);
    let wrong = wrong.lock().expect("nobody panics with this lock");
    let of_writes = |quantile: f64| {
        writes
            .as_ref()
            .map_or_else(|| "-".to_owned(), |window| format!("{:.2}", window.milliseconds(quantile)))
    };
    println!(
        "| {} | {:.2} | {:.2} | {:.2} | {:.2} | {} | {} | {} | all but {elsewhere} | {} | {} |",
        beside.name,
        reads.milliseconds(0.5),
        reads.milliseconds(0.99),
        reads.milliseconds(0.999),
        reads.milliseconds(1.0),
        of_writes(0.5),
        of_writes(0.99),
        reads.count(),
        reads.errors + writes.as_ref().map_or(0, |window| window.errors),
        wrong.len(),
    );
    wrong.iter().take(3).for_each(|wrong| println!("  {wrong}"));
    Ok(wrong.len())
}

fn key(number: u64) -> String {
    format!("register:{number:06}")
}

/// Writes rising values to keys that nobody else writes.
fn writer(registers: &Arc<Vec<Register>>, first: u64, number: u64) -> Ask {
    let registers = registers.clone();
    let own: Vec<u64> = (first..first + KEYS).filter(|key| key % WRITERS as u64 == number).collect();
    let mut writes = 0;
    Box::new(move |connection| {
        let at = own[writes as usize % own.len()];
        writes += 1;
        let register = &registers[at as usize];
        register.trying(writes);
        redis::cmd("SET").arg(key(at)).arg(writes).query::<()>(connection)?;
        register.acknowledged(writes);
        Ok(())
    })
}

/// Reads the first half of the keys, in an order of its own, and judges what it reads.
fn reader(registers: &Arc<Vec<Register>>, wrong: &Arc<Mutex<Vec<String>>>, number: u64) -> Ask {
    let (registers, wrong) = (registers.clone(), wrong.clone());
    let mut at = number * (KEYS / READERS as u64);
    Box::new(move |connection| {
        // Coprime to the number of keys: every key has its turn.
        at = (at + 7) % KEYS;
        let register = &registers[at as usize];
        let floor = register.floor();
        let value: Option<u64> = redis::cmd("GET").arg(key(at)).query(connection)?;
        if let Err(reason) = register.judge(value.unwrap_or(0), floor) {
            wrong.lock().expect("nobody panics with this lock").push(format!("{}: {reason}", key(at)));
        }
        Ok(())
    })
}
