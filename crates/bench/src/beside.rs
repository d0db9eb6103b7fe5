//! What sets that are there cost what is done beside them. Copies compare their state piece by piece (rule
//! P10), and a set is one value, however large it is.

use onecopy_harness::RedisServer;
use std::net::SocketAddr;

use crate::filling::collection;
use crate::median::median;
use crate::system::{Size, System};
use crate::throughput::per_second;

/// Measures SET and INCR beside sets, and without them: two clusters, which have their turn in each round,
/// and two pairs of redis-server. Needs redis-benchmark.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Rounds of each case.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// What is sent: set, get, incr.
    #[arg(long, value_delimiter = ',', default_value = "set,incr")]
    tests: Vec<String>,
    /// Commands in a pipeline.
    #[arg(long, value_delimiter = ',', default_value = "1,16")]
    pipelines: Vec<u64>,
    /// About how long a run takes, in seconds.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

/// How many sets there are of how many members.
const SETS: [(u64, u64); 3] = [(3, 14_000), (10, 100_000), (1, 5_000_000)];

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut pairs =
        vec![[System::onecopy("memory", Size::default())?, System::onecopy("memory", Size::default())?]];
    if RedisServer::is_installed() {
        pairs.push([System::redis(false, Size::default())?, System::redis(false, Size::default())?]);
    }
    for [_, with] in &pairs {
        make_sets(SocketAddr::from(([127, 0, 0, 1], with.port)))?;
    }
    println!("| test | pipeline | system | without sets, per second | beside them | ratio |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for test in &arguments.tests {
        for pipeline in &arguments.pipelines {
            let mut rates = vec![[Vec::new(), Vec::new()]; pairs.len()];
            for _ in 0..arguments.rounds.max(1) {
                for (pair, rates) in pairs.iter().zip(&mut rates) {
                    for (system, rates) in pair.iter().zip(rates) {
                        system.rest()?;
                        rates.push(per_second(system, test, *pipeline, arguments.seconds)?);
                    }
                }
            }
            for (pair, rates) in pairs.iter().zip(rates) {
                let [without, with] = rates.map(median);
                println!(
                    "| {} | {pipeline} | {} | {without:.0} | {with:.0} | {:.2} |",
                    test.to_uppercase(),
                    pair[0].name,
                    with / without
                );
            }
        }
    }
    Ok(())
}

fn make_sets(server: SocketAddr) -> anyhow::Result<()> {
    for (count, members) in SETS {
        for number in 0..count {
            collection(server, ["SADD", &format!("set:{members}:{number}")], members)?;
        }
    }
    Ok(())
}
