//! The view service with one node dead and another one far away.

use std::time::{Duration, Instant};

use onecopy_harness::load::{Findings, Load};
use onecopy_harness::{Cluster, Options, PATIENCE, wait};

use crate::median::median;

/// Measures how long it takes to have a leader of the view service, and writes again, when everything depends
/// on a view node behind a slow link.
///
/// Three nodes hold data in two copies; three others are the view service. One of these is behind a slow
/// link. The one that leads is killed: the far one and the last one have to agree on a leader. Then the
/// primary of the data is killed.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Rounds, each with a cluster of its own.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Milliseconds that everything takes on the slow link, each way.
    #[arg(long, default_value_t = 700)]
    delay_ms: u64,
}

/// Writers.
const WRITERS: usize = 4;
/// How long everybody knows of a leader before the primary is killed.
const QUIET: Duration = Duration::from_secs(3);

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (mut elections, mut gaps, mut errors) = (Vec::new(), Vec::new(), 0);
    for _ in 0..arguments.rounds.max(1) {
        let mut cluster = Cluster::start(Options { separate: true, proxied: true, ..Options::default() });
        let (leader, primary) = (cluster.view_leader(), cluster.primary());
        let others = |ids: Vec<u32>, but: u32| ids.into_iter().filter(move |id| *id != but);
        let far = others(cluster.view_ids(), leader).next().expect("there are three");
        for near in others(cluster.ids(), far) {
            cluster.slow_down(far, near, Duration::from_millis(arguments.delay_ms));
        }
        let addresses: Vec<_> =
            others(cluster.data_ids(), primary).map(|id| cluster.redis_address(id)).collect();
        let load = Load::start(WRITERS, &addresses, &addresses);
        load.wait_for_success(PATIENCE);

        let killed = Instant::now();
        cluster.kill(leader);
        wait("another leader of the view service", PATIENCE, || {
            let leads = |id: u32| cluster.status(id)?.view_service.map(|part| part.leader == Some(id));
            others(cluster.view_ids(), leader).any(|id| leads(id) == Some(true)).then_some(())
        });
        elections.push(killed.elapsed().as_secs_f64() * 1e3);
        std::thread::sleep(QUIET);

        load.take_longest_gap();
        cluster.kill(primary);
        cluster.wait_for_other_primary(primary);
        load.wait_for_success(PATIENCE);
        gaps.push(load.take_longest_gap().as_secs_f64() * 1e3);
        let history = load.stop();
        let survivor = others(cluster.data_ids(), primary).next().expect("there are two");
        let findings = history.check(&mut cluster.client(survivor));
        anyhow::ensure!(findings == Findings::default(), "lost / doubled / stale: {findings}");
        errors += history.errors.len();
    }
    println!(
        "| slow link, each way | rounds | a leader after, ms: median, max | no write for, ms: median, max | errors |"
    );
    println!("| --- | --- | --- | --- | --- |");
    let both = |mut all: Vec<f64>| {
        all.sort_by(f64::total_cmp);
        format!("{:.0}, {:.0}", median(all.clone()), all.last().copied().unwrap_or_default())
    };
    println!(
        "| {} ms | {} | {} | {} | {errors} |",
        arguments.delay_ms,
        arguments.rounds,
        both(elections),
        both(gaps)
    );
    Ok(())
}
