//! `onecopy-sim`: runs seeds, and says what it found.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use onecopy_sim::clock::SECOND;
use onecopy_sim::env::Stats;
use onecopy_sim::{Options, Outcome, run};

/// How many events are shown before a violation.
const SHOWN: usize = 40;

/// Runs the protocols as a whole cluster under simulated time, network, disks, clocks and clients.
#[derive(Debug, Parser)]
struct Arguments {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Print all events.
    #[arg(long)]
    trace: bool,
    /// How many nodes; drawn for every seed if not given.
    #[arg(long)]
    nodes: Option<u32>,
    /// Go on after a violation.
    #[arg(long)]
    keep_going: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = Options { nodes: arguments.nodes, ..Options::default() };
    let started = Instant::now();
    let mut total = Stats::default();
    let mut violations = 0;
    for seed in arguments.seed..arguments.seed + arguments.seeds {
        let trace = if arguments.trace { usize::MAX } else { 0 };
        let outcome = run(seed, Options { trace, ..options });
        outcome.trace.iter().filter(|_| arguments.trace).for_each(|line| println!("{line}"));
        total.add(&outcome.stats);
        if outcome.violation.is_some() {
            violations += 1;
            report(&outcome, options, arguments.trace);
            if !arguments.keep_going {
                break;
            }
        }
    }
    close(&total, violations, started);
    if violations > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn report(outcome: &Outcome, options: Options, traced: bool) {
    let Some(violation) = &outcome.violation else { return };
    if !traced {
        let again = run(outcome.seed, Options { trace: SHOWN, ..options });
        again.trace.iter().for_each(|line| println!("{line}"));
    }
    println!("VIOLATION seed {}: {violation}", outcome.seed);
    println!("  replay: cargo run --release -p onecopy-sim -- --seed {} --trace", outcome.seed);
}

fn close(total: &Stats, violations: u64, started: Instant) {
    let wall = started.elapsed().as_secs_f64();
    let simulated = total.time as f64 / SECOND as f64;
    println!(
        "{} seeds, {violations} violations, {simulated:.0} s simulated in {wall:.1} s ({:.0} s/s, {:.0} events/s)",
        total.seeds,
        simulated / wall,
        total.events as f64 / wall
    );
    println!(
        "{} views, {} elections, {} entries, {} operations ({} answered), {} snapshots taken, {} installed, {} view \
         snapshots installed, {} tails cut",
        total.views,
        total.elections,
        total.entries,
        total.operations,
        total.answered,
        total.snapshots[0],
        total.snapshots[1],
        total.snapshots[2],
        total.cuts
    );
    println!("{} messages, {} lost, {} doubled; faults: {:?}", total.messages[0], total.messages[1], total.messages[2], total.faults);
}
