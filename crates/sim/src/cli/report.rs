//! What a run says: a violation with the events before it and the command that replays it, and the sum of all
//! seeds.

use std::io::{self, Write};
use std::time::Instant;

use crate::clock::{SECOND, Time};
use crate::env::Stats;
use crate::run::{Options, Outcome, run};
use crate::shrink::shrink;

/// How many events are shown before a violation.
const SHOWN: usize = 40;

/// Shows the events of a run, if it kept any, and what it violated, if anything.
pub(super) fn report(
    outcome: &Outcome,
    options: &Options,
    smaller: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let seed = outcome.seed;
    let is_complete = options.trace == usize::MAX;
    let Some(violation) = &outcome.violation else { return lines(&outcome.trace, out) };
    if is_complete && !smaller {
        lines(&outcome.trace, out)?;
        return conclude(outcome, options, out).map(|_| ());
    }
    let shrunken = smaller.then(|| shrink(seed, options)).flatten();
    let limits = shrunken.map_or(options.limits.clone(), |(limits, _)| limits);
    let keep = if is_complete { usize::MAX } else { SHOWN };
    let options = Options { trace: keep, limits, ..options.clone() };
    let again = run(seed, &options);
    lines(&again.trace, out)?;
    if again.violation.as_ref() != Some(violation) {
        writeln!(out, "before anything was taken away: {violation}")?;
    }
    conclude(&again, &options, out).map(|_| ())
}

fn lines(lines: &[String], out: &mut dyn Write) -> io::Result<()> {
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}

fn conclude(outcome: &Outcome, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let Some(violation) = &outcome.violation else { return Ok(()) };
    let (seed, faults) = (outcome.seed, outcome.stats.faults.values().sum::<u64>());
    let without = options.sabotaged.map_or(String::new(), |rule| format!(" without {rule}"));
    writeln!(out, "VIOLATION seed {seed}{without}: {violation}")?;
    writeln!(
        out,
        "  after {:.1} s, {faults} faults, {} messages",
        seconds(outcome.time),
        outcome.stats.messages[0]
    )?;
    writeln!(out, "  replay: onecopy sim {}", replay(seed, options))?;
    let features = if options.sabotaged.is_some() { " --features sabotage" } else { "" };
    writeln!(out, "  in a checkout: cargo run --release{features} -- sim {}", replay(seed, options))
}

/// The arguments that show this history again.
fn replay(seed: u64, options: &Options) -> String {
    let nodes = options.nodes.map_or(String::new(), |nodes| format!(" --nodes {nodes}"));
    let sabotage = options.sabotaged.map_or(String::new(), |rule| format!(" --sabotage {rule}"));
    let optimistic = if options.optimistic { " --optimistic" } else { "" };
    format!("--seed {seed}{nodes}{optimistic}{}{sabotage} --trace", options.limits.flags())
}

/// The sum of everything: one line, and the details below it.
pub(super) fn close(total: &Stats, violations: u64, started: Instant, out: &mut dyn Write) -> io::Result<()> {
    let wall = started.elapsed().as_secs_f64();
    let simulated = seconds(total.time);
    let faults: u64 = total.faults.values().sum();
    writeln!(
        out,
        "{} seeds, {simulated:.0} s simulated, {faults} faults, {violations} violations",
        total.seeds
    )?;
    writeln!(
        out,
        "  {wall:.1} s of wall time: {:.0} s/s, {:.0} events/s",
        simulated / wall,
        total.events as f64 / wall
    )?;
    writeln!(
        out,
        "  {} operations ({} answered), {} entries; {} messages ({} lost, {} doubled)",
        total.operations,
        total.answered,
        total.entries,
        total.messages[0],
        total.messages[1],
        total.messages[2]
    )?;
    writeln!(
        out,
        "  {} databases; {} views, {} elections, {} more in databases whose copies moved {} times, {} snapshots taken, {} installed, {} of the view table installed, {} tails cut, \
         {} turns that ended in the middle of a command, {} with a quiescent group",
        total.groups,
        total.views,
        total.elections,
        total.reigns,
        total.moves,
        total.snapshots[0],
        total.snapshots[1],
        total.snapshots[2],
        total.cuts,
        total.pauses,
        total.quiescent
    )?;
    writeln!(
        out,
        "  {} batches came again, {} in parts, and {} commands under tokens; {} planned handovers, {} damaged copies found out; \
         {} keys went to make room",
        total.repeated, total.in_parts, total.tokens_repeated, total.handovers, total.diverged, total.evicted
    )?;
    writeln!(
        out,
        "  {} copies became some of another kind of replication, {} groups were opened after a seal, {} keys went to another database",
        total.turned, total.opened, total.moved
    )?;
    let [answered, repairs, came, went] = total.merged;
    writeln!(
        out,
        "  {answered} operations of optimistic databases, whose copies were repaired {repairs} times; {came} came, {went} went"
    )?;
    let (recovery, seed) = total.recovery;
    writeln!(
        out,
        "  the longest recovery took {:.1} s (seed {seed}); {} records torn, {} starts refused by damaged disks, {} groups lost all \
         their copies; {} upgrades, in which {} processes were too old",
        seconds(recovery),
        total.torn,
        total.refused,
        total.lost,
        total.levels[0],
        total.levels[1],
    )?;
    let faults: Vec<String> =
        total.faults.iter().map(|(fault, count)| format!("{fault:?} {count}")).collect();
    writeln!(out, "  faults: {}", faults.join(", "))
}

pub(super) fn seconds(time: Time) -> f64 {
    time as f64 / SECOND as f64
}
