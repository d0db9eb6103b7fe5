//! How long nobody can write when something fails.

mod case;
mod raft;
mod roles;
mod round;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use onecopy_harness::load::Findings;
use onecopy_harness::{Cluster, Options};

use case::Case;
pub(crate) use roles::Roles;
use round::Outcome;

/// Measures the time without an acknowledged write when something fails.
///
/// Three nodes with all roles and default settings hold two copies, or three in a database that is replicated
/// with Raft; clients at the nodes that survive write and read all the time. In every round something fails,
/// the cluster recovers, the fault is healed, and what the clients were told is compared with the data.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Rounds of each case.
    #[arg(long, default_value_t = 50)]
    rounds: usize,
    /// How the database is replicated. With Raft, the leader is the primary, and a follower the backup.
    #[arg(long, value_enum, default_value = "primary-backup")]
    replication: Replication,
    /// Only these cases.
    #[arg(long, value_enum, value_delimiter = ',')]
    cases: Vec<Case>,
    /// Writers, spread over the nodes that survive. There is a reader at each of these, too.
    #[arg(long, default_value_t = 8)]
    writers: usize,
    /// Milliseconds that a client waits after each answer, so that the clients do not keep the processors
    /// from the nodes.
    #[arg(long, default_value_t = 1)]
    pause_ms: u64,
}

/// How the database is replicated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Replication {
    /// `main`, on two of the nodes.
    PrimaryBackup,
    /// A database of its own, on all three.
    Raft,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let replication = arguments.replication;
    println!(
        "time without an acknowledged write, in milliseconds; {} writers, {replication:?}\n",
        arguments.writers
    );
    println!(
        "| case | rounds | quiet | median | p99 | max | max at the return | errors | lost / doubled / stale |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut is_clean = true;
    let all = || Case::ALL.into_iter().filter(|case| case.concerns(replication)).collect();
    let cases = if arguments.cases.is_empty() { all() } else { arguments.cases.clone() };
    for case in cases {
        let (outcomes, end) = rounds_of(case, arguments);
        println!("{}", row(case, &outcomes));
        is_clean &= outcomes.iter().all(Outcome::is_clean) && end.is_none();
        outcomes.iter().filter_map(|outcome| outcome.error.as_ref()).take(3).for_each(|e| println!("  {e}"));
        if let Some(end) = end {
            println!("  given up after {} rounds: {end}", outcomes.len());
        }
    }
    println!("\nquiet: the same without a fault, the median of half a second before each");
    anyhow::ensure!(is_clean, "not every client was told the truth, or not every round came to an end");
    Ok(())
}

/// Runs all rounds of a case on a cluster of its own. A round that does not end as it should is the last one
/// of its case, and says why: what was measured before stays.
fn rounds_of(case: Case, arguments: &Arguments) -> (Vec<Outcome>, Option<String>) {
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let (collected, rounds, writers) = (outcomes.clone(), arguments.rounds, arguments.writers);
    let (pause, replication) = (Duration::from_millis(arguments.pause_ms), arguments.replication);
    let work = move || {
        let options =
            Options { proxied: case.harms_a_link(), stallable: case.hangs_a_disk(), ..Options::default() };
        let mut cluster = match replication {
            Replication::PrimaryBackup => Cluster::start(options),
            Replication::Raft => raft::cluster(options),
        };
        for _ in 0..rounds {
            let outcome = round::run(&mut cluster, (case, replication), writers, pause);
            collected.lock().expect("nobody panics with this lock").push(outcome);
        }
    };
    let end = std::thread::spawn(work).join().err().map(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    });
    let outcomes = std::mem::take(&mut *outcomes.lock().expect("nobody panics with this lock"));
    (outcomes, end)
}

fn row(case: Case, outcomes: &[Outcome]) -> String {
    let sorted = |of: fn(&Outcome) -> Duration| {
        let mut all: Vec<u128> = outcomes.iter().map(|outcome| of(outcome).as_millis()).collect();
        all.sort_unstable();
        all
    };
    let (quiet, gaps, returns) = (sorted(|o| o.quiet), sorted(|o| o.gap), sorted(|o| o.gap_at_return));
    let errors: usize = outcomes.iter().map(|outcome| outcome.errors).sum();
    let mut findings = Findings::default();
    for outcome in outcomes {
        findings.lost += outcome.findings.lost;
        findings.doubled += outcome.findings.doubled;
        findings.stale += outcome.findings.stale;
    }
    format!(
        "| {} | {} | {} | {} | {} | {} | {} | {errors} | {findings} |",
        case.title(),
        outcomes.len(),
        quantile(&quiet, 0.5),
        quantile(&gaps, 0.5),
        quantile(&gaps, 0.99),
        quantile(&gaps, 1.0),
        quantile(&returns, 1.0),
    )
}

/// The least value that is not exceeded by this share of all (nearest rank); of fewer than 100, the 99 % are
/// the highest.
fn quantile(sorted: &[u128], share: f64) -> String {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.max(1) - 1).map_or_else(|| "-".to_owned(), u128::to_string)
}

#[cfg(test)]
mod tests {
    #[test]
    fn quantiles_are_of_the_nearest_rank() {
        let values: Vec<u128> = (1..=200).collect();
        assert_eq!(super::quantile(&values, 0.5), "100");
        assert_eq!(super::quantile(&values, 0.99), "198");
        assert_eq!(super::quantile(&values, 1.0), "200");
        assert_eq!(super::quantile(&values[..50], 0.99), "50");
        assert_eq!(super::quantile(&[], 0.5), "-");
    }
}
