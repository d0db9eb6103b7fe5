//! `onecopy-sim`: runs seeds, and says what it found.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use onecopy_sim::clock::SECOND;
use onecopy_sim::env::Stats;
use onecopy_sim::faults::{Fault, Limits};
use onecopy_sim::shrink::shrink;
use onecopy_sim::{Options, Outcome, run};

/// How many events are shown before a violation.
const SHOWN: usize = 40;

/// How many seeds a sabotage is tried with, unless said otherwise.
#[cfg(feature = "sabotage")]
const SABOTAGE_SEEDS: u64 = 10_000;

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
    /// After a violation, look for a smaller history that violates the same.
    #[arg(long)]
    shrink: bool,
    /// These faults do not happen.
    #[arg(long, value_delimiter = ',', value_name = "FAULT")]
    without: Vec<Fault>,
    /// No message is lost, late or doubled, but for faults.
    #[arg(long)]
    calm: bool,
    /// At most so many clients.
    #[arg(long)]
    clients: Option<usize>,
    /// At most so many faults happen.
    #[arg(long)]
    faults_max: Option<u64>,
    /// Things go wrong for at most so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// How many nodes; drawn for every seed if not given.
    #[arg(long)]
    nodes: Option<u32>,
    /// Switch a rule off (or, with `all`, each in turn): it must be found out. Needs the feature `sabotage`.
    #[arg(long, value_name = "RULE")]
    sabotage: Option<String>,
    /// Go on after a violation.
    #[arg(long)]
    keep_going: bool,
}

impl Arguments {
    fn options(&self) -> Options {
        let limits = Limits {
            without: self.without.iter().copied().collect(),
            calm: self.calm,
            clients: self.clients,
            faults_max: self.faults_max,
            seconds: self.seconds,
        };
        Options { nodes: self.nodes, limits, ..Options::default() }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(name) = &arguments.sabotage {
        return sabotage(name, &arguments);
    }
    let options = arguments.options();
    let started = Instant::now();
    let mut total = Stats::default();
    let mut violations = 0;
    for seed in arguments.seed..arguments.seed + arguments.seeds {
        let trace = if arguments.trace { usize::MAX } else { 0 };
        let outcome = run(seed, &Options { trace, ..options.clone() });
        outcome.trace.iter().filter(|_| arguments.trace).for_each(|line| println!("{line}"));
        total.add(&outcome.stats);
        progress(started, seed, &total);
        if outcome.violation.is_some() {
            violations += 1;
            report(&outcome, &options, &arguments);
            if !arguments.keep_going {
                break;
            }
        }
    }
    close(&total, violations, started);
    if violations > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[cfg(not(feature = "sabotage"))]
fn sabotage(_: &str, _: &Arguments) -> ExitCode {
    println!("this build has all rules in force: build with --features sabotage");
    ExitCode::from(2)
}

#[cfg(feature = "sabotage")]
fn sabotage(name: &str, arguments: &Arguments) -> ExitCode {
    use onecopy_core::Rule;
    let rules: Vec<Rule> =
        Rule::ALL.into_iter().filter(|rule| name == "all" || name == rule.to_string()).collect();
    if rules.is_empty() {
        let names: Vec<String> = Rule::ALL.iter().map(ToString::to_string).collect();
        println!("there is no rule {name}; there are: {}", names.join(", "));
        return ExitCode::from(2);
    }
    if arguments.trace {
        return show_sabotage(rules[0], arguments);
    }
    let mut missed = 0;
    let seeds = if arguments.seeds > 1 { arguments.seeds } else { SABOTAGE_SEEDS };
    println!("| rule | caught by | seeds | simulated | wall | what it said |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for rule in rules {
        let started = Instant::now();
        let caught = onecopy_sim::run_sabotage(rule, arguments.seed, seeds);
        let wall = started.elapsed().as_secs_f64();
        match caught {
            Some(caught) => println!(
                "| {rule} | {} | {} | {:.0} s | {wall:.1} s | seed {}: {} |",
                caught.violation.checker,
                caught.seeds,
                caught.sim_time as f64 / SECOND as f64,
                caught.seed,
                caught.violation.what
            ),
            None => {
                missed += 1;
                println!("| {rule} | **not caught** | {seeds} | | {wall:.1} s | |");
            }
        }
    }
    if missed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Replays one seed with a rule switched off.
#[cfg(feature = "sabotage")]
fn show_sabotage(rule: onecopy_core::Rule, arguments: &Arguments) -> ExitCode {
    let options = Options { sabotaged: Some(rule), trace: usize::MAX, ..arguments.options() };
    let outcome = run(arguments.seed, &options);
    outcome.trace.iter().for_each(|line| println!("{line}"));
    match outcome.violation {
        Some(violation) => {
            println!("VIOLATION seed {} without {rule}: {violation}", arguments.seed);
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}

fn report(outcome: &Outcome, options: &Options, arguments: &Arguments) {
    let Some(violation) = &outcome.violation else { return };
    let seed = outcome.seed;
    let smaller = arguments.shrink.then(|| shrink(seed, options)).flatten();
    let limits = smaller.map_or(options.limits.clone(), |(limits, _)| limits);
    if !arguments.trace {
        let again = run(seed, &Options { trace: SHOWN, limits: limits.clone(), ..options.clone() });
        again.trace.iter().for_each(|line| println!("{line}"));
    }
    println!("VIOLATION seed {seed}: {violation}");
    let nodes = arguments.nodes.map_or(String::new(), |nodes| format!(" --nodes {nodes}"));
    let (limits, flags) = (limits.flags(), " --trace");
    println!("  replay: cargo run --release -p onecopy-sim -- --seed {seed}{nodes}{limits}{flags}");
}

/// One line, over and over, on a terminal only.
fn progress(started: Instant, seed: u64, total: &Stats) {
    if seed.is_multiple_of(50) && std::io::stderr().is_terminal() {
        let simulated = total.time / SECOND;
        eprint!(
            "\r{} seeds, {simulated} s simulated in {:.0} s ",
            total.seeds,
            started.elapsed().as_secs_f64()
        );
    }
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
    println!(
        "the longest recovery took {:.1} s (seed {})",
        total.recovery.0 as f64 / SECOND as f64,
        total.recovery.1
    );
    println!(
        "{} messages, {} lost, {} doubled; {} groups lost all their copies; faults: {:?}",
        total.messages[0], total.messages[1], total.messages[2], total.lost, total.faults
    );
}
