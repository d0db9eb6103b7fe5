//! Curves: what becomes of throughput, waiting and cost when there is more of something, beside Redis.
//!
//! A [sweep](sweep::Sweep) changes one thing and leaves the rest as it is. At each of its points the systems
//! are started anew, side by side, and filled, so that no point remembers the one before. Then they are
//! loaded in turn, a second each, round after round: what disturbs the machine for a while disturbs all of
//! them. Medians of the rounds go to a table, from which `bench/draw_curves.py` makes pictures.

mod point;
mod sweep;
mod table;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::ensure;
use onecopy_harness::RedisServer;

use crate::open_files;
use sweep::Sweep;

/// Measures how throughput, p99 and processor time change with keys, values, clients, copies and groups.
///
/// Onecopy and Redis with asynchronous replicas are started anew at each point, filled, and loaded in turn.
/// Medians of the rounds are written to a table, in place of earlier rows of the same curves;
/// `bench/draw_curves.py` draws it. Redis is left out if it is not installed.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What there is more and more of.
    #[arg(long, value_enum)]
    over: Over,
    /// How much of it, instead of what is usual: for a first look. Not with `all`.
    #[arg(long, value_delimiter = ',')]
    points: Vec<u64>,
    /// Rounds of each load.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long a load lasts in each round, in seconds.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// The table.
    #[arg(long, default_value = "docs/curves/curves.csv")]
    csv: PathBuf,
}

/// What changes from point to point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Over {
    /// Keys that there are.
    Keys,
    /// Bytes of a value.
    Values,
    /// Connections.
    Clients,
    /// Copies of the data.
    Copies,
    /// Groups: databases with a log and a primary of their own.
    Groups,
    /// Each of these, one after the other.
    All,
}

/// How a load is repeated.
#[derive(Clone, Copy, Debug)]
struct Effort {
    rounds: usize,
    /// How long it lasts.
    each: Duration,
}

/// Does what the arguments say.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    ensure!(
        arguments.points.is_empty() || arguments.over != Over::All,
        "--points needs one thing to be over"
    );
    let mut sweeps = sweep::over(arguments.over);
    if !arguments.points.is_empty() {
        sweeps.iter_mut().for_each(|sweep| sweep.points.clone_from(&arguments.points));
    }
    open_files::allow(sweeps.iter().map(Sweep::clients_max).max().unwrap_or(0))?;
    if !RedisServer::is_installed() {
        sweeps.iter_mut().for_each(Sweep::without_redis);
    }
    let effort = Effort { rounds: arguments.rounds.max(1), each: Duration::from_secs_f64(arguments.seconds) };
    println!(
        "median of {} rounds of {:?}; {} processors for all",
        effort.rounds,
        effort.each,
        std::thread::available_parallelism()?
    );
    println!("{}", table::HEADER);
    for sweep in &sweeps {
        let started = Instant::now();
        let mut rows = Vec::new();
        for x in &sweep.points {
            for together in sweep.together() {
                let measured = point::measure(sweep, *x, together, effort)?;
                measured.iter().for_each(|row| println!("{row}"));
                rows.extend(measured);
            }
        }
        table::replace(&arguments.csv, &rows)?;
        println!("# {:.0} s", started.elapsed().as_secs_f64());
    }
    println!("# written to {}: bench/draw_curves.py draws it", arguments.csv.display());
    Ok(())
}
