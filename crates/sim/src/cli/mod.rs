//! The command line: `onecopy sim`, and the small binary `onecopy-sim` that CI builds in its place.

mod progress;
mod report;
mod sabotage;

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::time::Instant;

use clap::Args;

use crate::batch::batch;
use crate::env::Stats;
use crate::faults::Fault;
use crate::limits::Limits;
use crate::run::Options;
use progress::Progress;

/// Nothing was violated; with `--sabotage`, everything that was switched off was found out.
pub const CLEAN: u8 = 0;
/// Something was violated; with `--sabotage`, something was not found out.
pub const VIOLATED: u8 = 1;
/// The arguments make no sense.
pub const MISUSED: u8 = 2;

/// Run the protocols as a whole cluster under simulated time, network, disks, clocks and clients.
///
/// One seed is one history, event for event, on any machine. The exit code is 0 if nothing was violated, 1 if
/// something was, and 2 for wrong arguments. With --sabotage it is 0 if every rule that was switched off was
/// found out.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  onecopy sim --seeds 1000\n  onecopy sim --seeds 1000000 --jobs 8 --keep-going\n  \
    onecopy sim --seed 17 --trace\n  onecopy sim --seed 17 --shrink"
)]
pub struct Arguments {
    /// The first seed.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// How many seeds.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// How many threads run seeds; what comes out is the same.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: u16,
    /// Print all events.
    #[arg(long)]
    pub trace: bool,
    /// After a violation, look for a smaller history that violates the same.
    #[arg(long)]
    pub shrink: bool,
    /// Go on after a violation.
    #[arg(long)]
    pub keep_going: bool,
    /// These faults do not happen.
    #[arg(long, value_delimiter = ',', value_name = "FAULT")]
    pub without: Vec<Fault>,
    /// No message is lost, late or doubled, but for faults.
    #[arg(long)]
    pub calm: bool,
    /// At most so many clients.
    #[arg(long, value_name = "N")]
    pub clients: Option<usize>,
    /// At most so many faults happen.
    #[arg(long, value_name = "N")]
    pub faults_max: Option<u64>,
    /// Things go wrong for at most so many seconds.
    #[arg(long, value_name = "N")]
    pub seconds: Option<u64>,
    /// How many nodes; drawn for every seed if not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(3..=9))]
    pub nodes: Option<u32>,
    /// With an optimistic database beside all others, which every node writes to.
    #[arg(long)]
    pub optimistic: bool,
    /// Switch off a rule, or bring back a bug that others had (or, with `all`, each in turn): it must be
    /// found out. Needs a program built with the feature `sabotage`.
    #[arg(long, value_name = "RULE")]
    pub sabotage: Option<String>,
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
        Options { nodes: self.nodes, optimistic: self.optimistic, limits, ..Options::default() }
    }
}

/// Runs the command, and returns its exit code. What it says goes to `out`, what it is about to the terminal.
///
/// # Errors
/// `out` takes no more.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> io::Result<u8> {
    if arguments.seed.checked_add(arguments.seeds).is_none() {
        eprintln!("there are no {} seeds from {} on", arguments.seeds, arguments.seed);
        return Ok(MISUSED);
    }
    match &arguments.sabotage {
        Some(name) => sabotage::run(name, arguments, out),
        None => search(arguments, out),
    }
}

/// Runs seeds, which should violate nothing.
fn search(arguments: &Arguments, out: &mut dyn Write) -> io::Result<u8> {
    let started = Instant::now();
    let trace = if arguments.trace { usize::MAX } else { 0 };
    let options = Options { trace, ..arguments.options() };
    let mut progress = Progress::new(started);
    let (mut total, mut violations, mut outcome) = (Stats::default(), 0, Ok(()));
    batch(arguments.seed, arguments.seeds, arguments.jobs, &options, |run| {
        total.add(&run.stats);
        progress.show(&total, violations);
        violations += u64::from(run.violation.is_some());
        if run.violation.is_some() || arguments.trace {
            progress.clear();
            outcome = report::report(&run, &options, arguments.shrink, out);
        }
        match outcome.is_err() || (run.violation.is_some() && !arguments.keep_going) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    progress.clear();
    outcome?;
    report::close(&total, violations, started, out)?;
    Ok(if violations > 0 { VIOLATED } else { CLEAN })
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn sim(arguments: &[&str]) -> (u8, String) {
        let cli = Cli::try_parse_from([&["sim"], arguments].concat()).expect("the arguments make sense");
        let mut out = Vec::new();
        let code = run(&cli.arguments, &mut out).expect("there is room for what it says");
        (code, String::from_utf8(out).expect("it says text"))
    }

    /// Without the lines that tell how long it took.
    fn timeless(text: &str) -> Vec<&str> {
        text.lines().filter(|line| !line.contains(" events/s")).collect()
    }

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn threads_change_nothing() {
        let (one, several) = (sim(&["--seeds", "12"]), sim(&["--seeds", "12", "--jobs", "3"]));
        assert_eq!((one.0, several.0), (CLEAN, CLEAN));
        assert_eq!(timeless(&one.1), timeless(&several.1));
        assert!(one.1.starts_with("12 seeds, "), "{}", one.1);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert_eq!(sim(&["--seed", &u64::MAX.to_string()]).0, MISUSED);
        assert_eq!(sim(&["--sabotage", "Nothing"]).0, MISUSED);
        for wrong in [["--jobs", "0"], ["--seeds", "0"], ["--nodes", "1"], ["--without", "Rain"]] {
            assert!(Cli::try_parse_from([&["sim"], wrong.as_slice()].concat()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    #[cfg(not(feature = "sabotage"))]
    fn a_program_without_sabotage_says_how_to_build_one() {
        assert_eq!(sim(&["--sabotage", "all"]).0, MISUSED);
    }

    #[test]
    #[cfg(feature = "sabotage")]
    fn a_shrunken_sabotage_prints_a_command_that_violates_the_same() {
        let checker = |text: &str| {
            let line = text.lines().find(|line| line.starts_with("VIOLATION")).map(str::to_owned);
            line.unwrap_or_default().split(": ").nth(1).map(str::to_owned)
        };
        let (code, text) = sim(&["--sabotage", "rejoining-primary-keeps-its-tail", "--shrink"]);
        assert_eq!(code, CLEAN, "{text}");
        let replay = text.lines().find_map(|line| line.trim().strip_prefix("replay: onecopy sim "));
        let replay: Vec<&str> = replay.expect("a command").split_whitespace().collect();
        let limits = ["--faults-max", "--calm", "--without", "--clients", "--seconds"];
        assert!(limits.iter().any(|limit| replay.contains(limit)), "nothing was taken away: {replay:?}");
        let (again, replayed) = sim(&replay);
        assert_eq!((again, checker(&replayed)), (CLEAN, checker(&text)), "{replayed}");
        assert!(checker(&text).is_some(), "{text}");
    }
}
