//! The whole view service is down, and nobody notices.

use std::time::{Duration, Instant};

use onecopy_harness::load::{Findings, Load};
use onecopy_harness::{Cluster, Options, PATIENCE};

/// Counts failed operations while all view nodes are dead.
///
/// Three nodes hold data in two copies; three others are the view service, and are killed. Clients write and
/// read through all nodes with data.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long the view service is down.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Writers.
    #[arg(long, default_value_t = 8)]
    writers: usize,
    /// Milliseconds that a client waits after each answer.
    #[arg(long, default_value_t = 2)]
    pause_ms: u64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut cluster = Cluster::start(Options { separate: true, ..Options::default() });
    let addresses: Vec<_> = cluster.data_ids().iter().map(|id| cluster.redis_address(*id)).collect();
    let pause = Duration::from_millis(arguments.pause_ms);
    let load = Load::start_with_pauses((0, pause), arguments.writers, &addresses, &addresses);
    load.wait_for_success(PATIENCE);
    let view = cluster.view();
    cluster.kill_all(&cluster.view_ids());
    load.take_longest_gap();
    let (before, begin) = (load.acknowledged(), Instant::now());
    while begin.elapsed() < Duration::from_secs(arguments.seconds) {
        std::thread::sleep(Duration::from_secs(1).min(Duration::from_secs(arguments.seconds)));
    }
    let (writes, gap) = (load.acknowledged() - before, load.take_longest_gap());
    let same_view = cluster.view() == view;
    cluster.start_all();
    cluster.wait_until_complete();
    let history = load.stop();
    let findings = history.check(&mut cluster.client(1));
    let failed = history.errors.len();
    println!(
        "| view service down | writes acknowledged | reads in all | failed operations | longest time without a write | lost / doubled / stale |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    println!(
        "| {} s | {writes} | {} | {failed} | {} ms | {findings} |",
        arguments.seconds,
        history.reads,
        gap.as_millis()
    );
    anyhow::ensure!(same_view, "a view changed without the view service");
    anyhow::ensure!(failed == 0 && findings == Findings::default(), "{:?}", history.errors.first());
    Ok(())
}
