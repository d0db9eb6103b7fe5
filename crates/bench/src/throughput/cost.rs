//! What a command costs, counted: system calls, switches and messages, by thread.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use onecopy_harness::RedisServer;

use super::{Case, cases, load};
use crate::median::median;
use crate::system::{Size, System};

/// Counts what a command costs at each thread, beside Redis with a replica.
///
/// Needs redis-benchmark on the PATH, and perf, which must be allowed to count system calls (as root, for
/// example): it counts without slowing anybody down. Redis is left out if it is not installed. Each system
/// has two copies; the clients are connected to the primary. What is printed is the median of the rounds, by
/// thread. Unlike times, counts depend little on what else the machine does.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Rounds of each case.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// What is sent: set, get, incr.
    #[arg(long, value_delimiter = ',', default_value = "set")]
    tests: Vec<String>,
    /// Commands in a pipeline.
    #[arg(long, value_delimiter = ',', default_value = "1,16")]
    pipelines: Vec<u64>,
    /// Connections.
    #[arg(long, value_delimiter = ',', default_value = "50")]
    clients: Vec<u64>,
    /// Bytes of a value.
    #[arg(long, value_delimiter = ',', default_value = "64")]
    bytes: Vec<u64>,
    /// What durable means to Onecopy: memory, disk.
    #[arg(long, value_delimiter = ',', default_value = "memory")]
    durabilities: Vec<String>,
    /// About how long a run takes, in seconds, as far as can be known before.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
}

/// What perf counts of all system calls.
const ALL: &str = "raw_syscalls:sys_enter";
/// Those that are told apart. The rest is the difference.
const KINDS: [&str; 14] = [
    "epoll_wait",
    "recvfrom",
    "read",
    "sendto",
    "sendmsg",
    "write",
    "writev",
    "pwrite64",
    "fdatasync",
    "futex",
    "sched_yield",
    "clock_nanosleep",
    "epoll_ctl",
    "madvise",
];
const FAULTS: &str = "page-faults";
/// Threads with fewer system calls per thousand commands are not shown.
const SHOWN_PER_THOUSAND: f64 = 1.0;

/// What perf counted, by thread and event.
type Counts = BTreeMap<u32, BTreeMap<String, f64>>;

/// What a command cost at one thread.
#[derive(Clone, Debug, Default)]
struct Cost {
    /// Microseconds of processor time.
    user: f64,
    system: f64,
    switches: f64,
    counts: BTreeMap<String, f64>,
}

/// What came of one run.
struct Outcome {
    per_entry: Option<f64>,
    /// Named by process and thread.
    threads: BTreeMap<String, Cost>,
}

/// Does what the arguments say.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut systems = Vec::new();
    for durability in &arguments.durabilities {
        systems.push(System::onecopy(durability, Size::default())?);
    }
    if RedisServer::is_installed() {
        systems.push(System::redis(false, Size::default())?);
    }
    println!(
        "median of {} rounds; {} processors for all; everything per command",
        arguments.rounds,
        std::thread::available_parallelism()?
    );
    println!(
        "| test | pipeline | connections | bytes | system | commands per entry | thread | µs user + system | voluntary switches | \
         page faults | system calls | of these |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for case in cases(&arguments.tests, &arguments.bytes, &arguments.pipelines, &arguments.clients) {
        for system in &systems {
            let outcomes: Vec<Outcome> = (0..arguments.rounds.max(1))
                .map(|_| measure(system, &case, case.requests(arguments.seconds)))
                .collect::<anyhow::Result<_>>()?;
            rows(&case, &system.name, &outcomes);
        }
    }
    Ok(())
}

fn measure(system: &System, case: &Case, requests: u64) -> anyhow::Result<Outcome> {
    let (entries, before) = (system.entries(), system.threads()?);
    let counts = count(system, load(case, (system.port, system.database), requests))?;
    let entries = system.entries().zip(entries).map(|(after, before)| after - before);
    let per_command = |value: f64| value / requests as f64;
    let mut threads: BTreeMap<String, Cost> = BTreeMap::new();
    for (process, thread) in system.threads()? {
        let since = match before.iter().find(|(_, known)| known.id == thread.id) {
            Some((_, known)) => thread.since(known),
            None => thread,
        };
        let cost = threads.entry(format!("{process} {}", since.name)).or_default();
        cost.user += per_command(since.user * 1e6);
        cost.system += per_command(since.system * 1e6);
        cost.switches += per_command(since.switches as f64);
        for (event, count) in counts.get(&since.id).into_iter().flatten() {
            *cost.counts.entry(event.clone()).or_default() += per_command(*count);
        }
    }
    let per_entry = entries.filter(|entries| *entries > 0).map(|entries| requests as f64 / entries as f64);
    Ok(Outcome { per_entry, threads })
}

/// Runs the load, and has perf count meanwhile.
fn count(system: &System, load: Command) -> anyhow::Result<Counts> {
    let file = tempfile::Builder::new().prefix("onecopy-bench-").tempfile()?;
    let kinds = KINDS.map(|kind| format!("syscalls:sys_enter_{kind}"));
    let events = [&[ALL.to_owned(), FAULTS.to_owned()], kinds.as_slice()].concat().join(",");
    let pids: Vec<String> = system.pids().map(|pid| pid.to_string()).collect();
    let status = Command::new("perf")
        .args(["stat", "--per-thread", "-x", ",", "-e", &events, "-p", &pids.join(",")])
        .arg("-o")
        .arg(file.path())
        .arg("--")
        .arg(load.get_program())
        .args(load.get_args())
        .stdout(Stdio::null())
        .status()
        .context("perf cannot be run")?;
    ensure!(status.success(), "perf, or redis-benchmark, failed");
    Ok(std::fs::read_to_string(file.path())?.lines().filter_map(counted).fold(Counts::new(), collect))
}

fn collect(mut counts: Counts, (thread, event, count): (u32, String, f64)) -> Counts {
    *counts.entry(thread).or_default().entry(event).or_default() += count;
    counts
}

/// A line of perf: `name-thread,count,unit,event,…`. None if nothing was counted.
fn counted(line: &str) -> Option<(u32, String, f64)> {
    let fields: Vec<&str> = line.split(',').collect();
    let thread = fields.first()?.rsplit_once('-')?.1.parse().ok()?;
    let event = fields.get(3)?.trim_start_matches("syscalls:sys_enter_").to_owned();
    Some((thread, event, fields[1].parse().ok()?))
}

/// Prints a row for each thread that does something.
fn rows(case: &Case, system: &str, outcomes: &[Outcome]) {
    let per_entry: Vec<f64> = outcomes.iter().filter_map(|outcome| outcome.per_entry).collect();
    let per_entry = if per_entry.is_empty() { String::new() } else { format!("{:.1}", median(per_entry)) };
    let Case { test, pipeline, clients, bytes } = case;
    for name in
        outcomes.iter().flat_map(|outcome| outcome.threads.keys()).collect::<std::collections::BTreeSet<_>>()
    {
        let of = |value: &dyn Fn(&Cost) -> f64| {
            median(outcomes.iter().map(|outcome| outcome.threads.get(name).map_or(0.0, value)).collect())
        };
        let count = |event: &str| of(&|cost| cost.counts.get(event).copied().unwrap_or(0.0));
        if count(ALL) * 1000.0 < SHOWN_PER_THOUSAND {
            continue;
        }
        let kinds = KINDS.iter().map(|kind| (count(kind), kind)).filter(|(count, _)| *count >= 0.0005);
        let kinds: Vec<String> = kinds.map(|(count, kind)| format!("{kind} {count:.3}")).collect();
        println!(
            "| {} | {pipeline} | {clients} | {bytes} | {system} | {per_entry} | {name} | {:.2} + {:.2} | {:.3} | {:.3} | {:.3} | {} |",
            test.to_uppercase(),
            of(&|cost| cost.user),
            of(&|cost| cost.system),
            of(&|cost| cost.switches),
            count(FAULTS),
            count(ALL),
            kinds.join(", "),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_perf_names_a_thread_and_an_event() {
        let line = "data-x-123,42447,,syscalls:sys_enter_read,253607799,100.00,,";
        assert_eq!(counted(line), Some((123, "read".to_owned(), 42447.0)));
        let line = "log-9,<not counted>,,page-faults,0,100.00,,";
        assert_eq!(counted(line), None);
        assert_eq!(counted("# started on a day"), None);
        assert_eq!(counted(""), None);
    }
}
