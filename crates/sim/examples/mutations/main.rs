//! The simulator as the judge of small mistakes: how many of those in `crates/sim/mutations` it finds by
//! itself.
//!
//! ```text
//! cargo run --release -p onecopy-sim --example mutations                      all of them, 3,000 seeds each
//! cargo run --release -p onecopy-sim --example mutations -- 500 lease read    500 seeds, those with "lease"
//! or "read" in the name
//! ```
//!
//! Every mutation runs in a process of its own, until a seed violates something. The exit code is 0 if all
//! are found out but those that the list says survive.

mod list;
mod program;

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use list::Mutation;

/// How many seeds a mutation is tried with, unless said otherwise.
const SEEDS: u64 = 3_000;
/// After how many seconds of a processor some seeds that do not end are taken for found out: a run takes some
/// tens of milliseconds. (Not by the clock: the machine may do something else.)
const PATIENCE: u64 = 60;
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(20);

/// What became of a mutation.
enum Fate {
    /// A check found it, at this seed.
    Caught { seed: u64, check: String, said: String },
    /// A run came to no end.
    Hung,
    /// Nothing was violated.
    Survived,
}

fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = std::env::args().skip(1).peekable();
    let seeds = arguments.peek().and_then(|first| first.parse().ok());
    let seeds = seeds.inspect(|_: &u64| drop(arguments.next())).unwrap_or(SEEDS);
    let wanted: Vec<String> = arguments.collect();
    let mutations = list::read()?;
    let program = program::build(&mutations)?;
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let numbered = mutations.iter().enumerate().filter(|(_, mutation)| is_wanted(&mutation.name));
    let tally = judge_all(&program, &numbered.collect::<Vec<_>>(), seeds)?;
    println!("\n{tally}");
    Ok(if tally.missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How many mutations have which fate.
#[derive(Debug, Default)]
struct Tally {
    caught: usize,
    /// They survive, and the list says why.
    known: usize,
    /// Nobody knows why these survive.
    missed: Vec<String>,
}

impl Tally {
    fn add(&mut self, mutation: &Mutation, fate: &Fate) {
        match fate {
            Fate::Caught { .. } | Fate::Hung => self.caught += 1,
            Fate::Survived if mutation.survives.is_some() => self.known += 1,
            Fate::Survived => self.missed.push(mutation.name.clone()),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { caught, known, missed } = self;
        let all = caught + known + missed.len();
        let share = 100.0 * *caught as f64 / all.max(1) as f64;
        write!(
            f,
            "{caught} of {all} found out by the simulator alone ({share:.0} %); {known} are known to survive"
        )?;
        if missed.is_empty() { Ok(()) } else { write!(f, "\nnobody knows why these survive: {missed:?}") }
    }
}

/// Judges mutations, as many at a time as there are processors, and prints a row for each as it is done.
fn judge_all(program: &Path, mutations: &[(usize, &Mutation)], seeds: u64) -> anyhow::Result<Tally> {
    println!("| mutation | caught by | seeds | wall | what it said |");
    println!("| --- | --- | --- | --- | --- |");
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    let work = || -> anyhow::Result<()> {
        while let Some((number, mutation)) = mutations.get(next.fetch_add(1, Ordering::Relaxed)) {
            let started = Instant::now();
            let fate = judge(program, *number, seeds)?;
            println!("{}", row(mutation, &fate, started.elapsed(), seeds));
            tally.lock().expect("nobody panics with it").add(mutation, &fate);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..processors).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("judging does not panic"))
    })?;
    Ok(tally.into_inner().expect("nobody panicked with it"))
}

/// A row of the table.
fn row(mutation: &Mutation, fate: &Fate, took: Duration, seeds: u64) -> String {
    let (Mutation { name, what, survives, .. }, wall) = (mutation, took.as_secs_f64());
    match (fate, survives) {
        (Fate::Caught { seed, check, said }, _) => {
            format!("| {name} | {check} | {} | {wall:.1} s | {said} |", seed + 1)
        }
        (Fate::Hung, _) => format!("| {name} | a run without end | | {wall:.1} s | |"),
        (Fate::Survived, Some(why)) => format!("| {name} | survives {seeds} | | {wall:.1} s | {why} |"),
        (Fate::Survived, None) => format!("| {name} | **not caught** | {seeds} | {wall:.1} s | {what} |"),
    }
}

/// Runs seeds under a mutation until one violates something.
fn judge(program: &Path, number: usize, seeds: u64) -> anyhow::Result<Fate> {
    const STEP: u64 = 100;
    for first in (0..seeds).step_by(STEP as usize) {
        let count = STEP.min(seeds - first);
        let mut child = Command::new(program)
            .args(["--seed", &first.to_string(), "--seeds", &count.to_string()])
            .env(program::VARIABLE, number.to_string())
            // Its allocator gives nothing back to the system: a fifth of the time.
            .env("MIMALLOC_PURGE_DELAY", "60000")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        // Read as it comes: what a violation says may be more than a pipe holds.
        let mut stdout = child.stdout.take().context("its output is piped")?;
        let reader = thread::spawn(move || {
            let mut said = Vec::new();
            stdout.read_to_end(&mut said).map(|_| said)
        });
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if processor_seconds(child.id()) > PATIENCE {
                child.kill()?;
                child.wait()?;
                return Ok(Fate::Hung);
            }
            thread::sleep(LOOK);
        };
        let output = reader.join().expect("reading does not panic")?;
        let text = String::from_utf8_lossy(&output);
        if let Some(fate) = text.lines().find_map(understand) {
            return Ok(fate);
        }
        if !status.success() {
            // Stopped by something that is no check: an assertion outside of a run, or memory.
            let said = status.to_string();
            return Ok(Fate::Caught { seed: first, check: "the process".to_owned(), said });
        }
    }
    Ok(Fate::Survived)
}

/// For how long processors have worked for a process; 0 if it has ended.
fn processor_seconds(pid: u32) -> u64 {
    /// Of the times that the kernel tells processes, on every architecture.
    const TICKS_PER_SECOND: u64 = 100;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, which is in parentheses, may hold anything. The user time is the twelfth field after it.
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = rest.split(' ').nth(11).and_then(|ticks| ticks.parse::<u64>().ok());
    ticks.unwrap_or_default() / TICKS_PER_SECOND
}

/// What a line about a violation says.
fn understand(line: &str) -> Option<Fate> {
    let (seed, rest) = line.strip_prefix("VIOLATION seed ")?.split_once(": ")?;
    let (check, said) = rest.split_once(": ")?;
    let said = said.chars().take(150).collect::<String>().replace('|', "/");
    Some(Fate::Caught { seed: seed.parse().ok()?, check: check.to_owned(), said })
}
