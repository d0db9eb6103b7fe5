//! Throughput and what it costs, beside Redis, in turn.

pub(crate) mod cost;

use std::process::Command;

use anyhow::{Context, ensure};

use crate::median::median;
use crate::process::Thread;
use crate::system::{Size, System};

/// Measures throughput and its price beside Redis, both with two copies, in turn.
///
/// Needs redis-server and redis-benchmark on the PATH. Onecopy has three nodes and two copies, Redis one
/// asynchronous replica. The clients are connected to the primary. Every case is run as often as there are
/// rounds, one system after the other in each round; medians are printed, and the ratio to Redis in the same
/// rounds.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Rounds of each case.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// What is sent: set, get, incr.
    #[arg(long, value_delimiter = ',', default_value = "set,get,incr")]
    tests: Vec<String>,
    /// Commands in a pipeline.
    #[arg(long, value_delimiter = ',', default_value = "1,16")]
    pipelines: Vec<u64>,
    /// Connections.
    #[arg(long, value_delimiter = ',', default_value = "50,500")]
    clients: Vec<u64>,
    /// Bytes of a value.
    #[arg(long, value_delimiter = ',', default_value = "64,1024,16384")]
    bytes: Vec<u64>,
    /// What durable means to Onecopy: memory, disk.
    #[arg(long, value_delimiter = ',', default_value = "memory,disk")]
    durabilities: Vec<String>,
    /// Redis keeps a log too, which it syncs once a second: what values that are not small have to be
    /// compared with.
    #[arg(long)]
    everysec: bool,
    /// An optimistic database beside the others, with two copies as well.
    #[arg(long)]
    optimistic: bool,
    /// About how long a run takes, in seconds, as far as can be known before.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
}

/// What is measured together.
#[derive(Clone, Debug)]
struct Case {
    test: String,
    pipeline: u64,
    clients: u64,
    bytes: u64,
}

/// What came of one run.
#[derive(Debug)]
struct Outcome {
    per_second: f64,
    /// Commands per entry of the log, if the system has such.
    per_entry: Option<f64>,
    /// By thread, named by its process and itself: microseconds of processor time, user and system, and
    /// voluntary switches, per command.
    threads: Vec<(String, f64, f64, f64)>,
}

/// Does what the arguments say.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut systems = Vec::new();
    for durability in &arguments.durabilities {
        systems.push(System::onecopy(durability, Size::default())?);
        if arguments.optimistic {
            systems.push(System::optimistic(durability, Size::default())?);
        }
    }
    systems.push(System::redis(arguments.everysec, Size::default())?);
    println!(
        "median of {} rounds; {} processors for all",
        arguments.rounds,
        std::thread::available_parallelism()?
    );
    println!(
        "| test | pipeline | connections | bytes | system | per second | ratio | commands per entry | µs of processor per \
         command | of these, user + system by thread | switches per command |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for case in cases(&arguments.tests, &arguments.bytes, &arguments.pipelines, &arguments.clients) {
        let mut outcomes: Vec<Vec<Outcome>> = systems.iter().map(|_| Vec::new()).collect();
        for _ in 0..arguments.rounds.max(1) {
            for (system, outcomes) in systems.iter().zip(&mut outcomes) {
                outcomes.push(measure(system, &case, arguments.seconds)?);
            }
        }
        let rates = |outcomes: &Vec<Outcome>| median(outcomes.iter().map(|it| it.per_second).collect());
        let redis = outcomes.last().map_or(1.0, rates);
        for (system, outcomes) in systems.iter().zip(&outcomes) {
            println!("{}", row(&case, &system.name, rates(outcomes), redis, outcomes));
        }
    }
    Ok(())
}

fn cases(tests: &[String], bytes: &[u64], pipelines: &[u64], clients: &[u64]) -> Vec<Case> {
    let mut cases = Vec::new();
    for test in tests {
        // INCR has no value.
        let bytes = if test == "incr" { &bytes[..1] } else { bytes };
        for bytes in bytes {
            for pipeline in pipelines {
                for clients in clients {
                    let (pipeline, clients, bytes) = (*pipeline, *clients, *bytes);
                    cases.push(Case { test: test.clone(), pipeline, clients, bytes });
                }
            }
        }
    }
    cases
}

impl Case {
    /// How many commands take so many seconds, roughly.
    fn requests(&self, seconds: f64) -> u64 {
        // What a machine of two cores does of it in a second.
        let commands = if self.pipeline == 1 { 30_000.0 } else { 150_000.0 };
        (seconds * f64::min(commands, 2e8 / self.bytes as f64)).max(self.clients as f64) as u64
    }
}

/// What sends so many commands to this port.
fn load(case: &Case, (port, database): (u16, u32), requests: u64) -> Command {
    let mut command = Command::new("redis-benchmark");
    command
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-t", &case.test, "--csv", "-r", "100000"])
        .args(["--dbnum", &database.to_string()])
        .args(["-P", &case.pipeline.to_string(), "-c", &case.clients.to_string()])
        .args(["-n", &requests.to_string(), "-d", &case.bytes.to_string()]);
    command
}

/// Commands per second of 50 clients, with values of 64 bytes.
pub(crate) fn per_second(system: &System, test: &str, pipeline: u64, seconds: f64) -> anyhow::Result<f64> {
    let case = Case { test: test.to_owned(), pipeline, clients: 50, bytes: 64 };
    Ok(measure(system, &case, seconds)?.per_second)
}

fn measure(system: &System, case: &Case, seconds: f64) -> anyhow::Result<Outcome> {
    let requests = case.requests(seconds);
    let (entries, before) = (system.entries(), system.threads()?);
    let output = load(case, (system.port, system.database), requests)
        .output()
        .context("redis-benchmark cannot be run")?;
    let (entries, after) =
        (system.entries().zip(entries).map(|(after, before)| after - before), system.threads()?);
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().context("redis-benchmark said nothing")?;
    let field = line.split(',').nth(1).context("redis-benchmark said something else")?;
    let per_second = field.trim_matches('"').parse()?;
    ensure!(output.status.success(), "redis-benchmark failed: {line}");
    let per_entry = entries.filter(|entries| *entries > 0).map(|entries| requests as f64 / entries as f64);
    let threads = after.iter().map(|(process, thread)| {
        let known = before.iter().find(|(_, known)| known.id == thread.id);
        let since = known.map_or_else(|| thread.clone(), |(_, known)| thread.since(known));
        let per_command = |value: f64| value / requests as f64;
        let (user, kernel) = (per_command(since.user * 1e6), per_command(since.system * 1e6));
        (format!("{process} {}", thread.name), user, kernel, per_command(since.switches as f64))
    });
    Ok(Outcome { per_second, per_entry, threads: threads.collect() })
}

fn row(case: &Case, system: &str, rate: f64, redis: f64, outcomes: &[Outcome]) -> String {
    let sum =
        |outcome: &Outcome| outcome.threads.iter().map(|(_, user, kernel, _)| user + kernel).sum::<f64>();
    let switches =
        |outcome: &Outcome| outcome.threads.iter().map(|(_, _, _, switches)| switches).sum::<f64>();
    let per_entry: Vec<f64> = outcomes.iter().filter_map(|outcome| outcome.per_entry).collect();
    let per_entry = if per_entry.is_empty() { String::new() } else { format!("{:.1}", median(per_entry)) };
    let mut names: Vec<&String> = outcomes.iter().flat_map(|it| it.threads.iter().map(|it| &it.0)).collect();
    names.sort();
    names.dedup();
    let of = |name: &String, value: fn(&(String, f64, f64, f64)) -> f64| {
        let of =
            |outcome: &Outcome| outcome.threads.iter().filter(|it| it.0 == *name).map(value).sum::<f64>();
        median(outcomes.iter().map(of).collect())
    };
    let threads = names.into_iter().filter_map(|name| {
        let (user, kernel) = (of(name, |it| it.1), of(name, |it| it.2));
        (user + kernel >= 0.1).then(|| format!("{name} {user:.1} + {kernel:.1}"))
    });
    let Case { test, pipeline, clients, bytes } = case;
    format!(
        "| {} | {pipeline} | {clients} | {bytes} | {system} | {rate:.0} | {:.2} | {per_entry} | {:.2} | {} | {:.3} |",
        test.to_uppercase(),
        rate / redis,
        median(outcomes.iter().map(sum).collect()),
        threads.collect::<Vec<_>>().join(", "),
        median(outcomes.iter().map(switches).collect()),
    )
}

impl Thread {
    fn since(&self, before: &Self) -> Self {
        Self {
            user: self.user - before.user,
            system: self.system - before.system,
            switches: self.switches - before.switches,
            ..self.clone()
        }
    }
}
