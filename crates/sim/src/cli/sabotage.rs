//! `--sabotage`: what is switched off must be found out.

use std::io::{self, Write};

use super::Arguments;
use crate::sabotage;

#[cfg(not(feature = "sabotage"))]
pub(super) fn run(name: &str, _: &Arguments, _: &mut dyn Write) -> io::Result<u8> {
    match sabotage::named(name).is_empty() {
        true => unknown(name),
        false => eprintln!(
            "this program has all rules in force; build one that can switch them off: \
             cargo run --release --features sabotage -- sim --sabotage {name}"
        ),
    }
    Ok(super::MISUSED)
}

fn unknown(name: &str) {
    let names: Vec<String> = sabotage::names().collect();
    eprintln!("there is no rule {name}; there are: all, {}", names.join(", "));
}

/// How many seeds a sabotage is tried with, unless said otherwise.
#[cfg(feature = "sabotage")]
const SEEDS: u64 = 10_000;

#[cfg(feature = "sabotage")]
pub(super) fn run(name: &str, arguments: &Arguments, out: &mut dyn Write) -> io::Result<u8> {
    use super::{CLEAN, MISUSED, VIOLATED, report};
    use crate::run::Options;
    use std::time::Instant;

    let rules = sabotage::named(name);
    if rules.is_empty() {
        unknown(name);
        return Ok(MISUSED);
    }
    let seeds = if arguments.trace || arguments.seeds > 1 { arguments.seeds } else { SEEDS };
    if !arguments.trace {
        writeln!(out, "| rule | as a bug of others | caught by | seeds | simulated | wall | what it said |")?;
        writeln!(out, "| --- | --- | --- | --- | --- | --- | --- |")?;
    }
    let mut missed = 0;
    for rule in rules {
        let trace = if arguments.trace { usize::MAX } else { 0 };
        let options = Options { sabotaged: Some(rule), trace, ..arguments.options() };
        let started = Instant::now();
        let caught = sabotage::run(arguments.seed, seeds, arguments.jobs, &options);
        let wall = started.elapsed().as_secs_f64();
        let aliases = sabotage::aliases(rule);
        match &caught {
            _ if arguments.trace => {}
            Some(caught) => writeln!(
                out,
                "| {rule} | {aliases} | {} | {} | {:.0} s | {wall:.1} s | seed {}: {} |",
                caught.violation.checker,
                caught.seeds,
                report::seconds(caught.sim_time),
                caught.outcome.seed,
                caught.violation.what
            )?,
            None => writeln!(out, "| {rule} | {aliases} | **not caught** | {seeds} | | {wall:.1} s | |")?,
        }
        match &caught {
            Some(caught) if arguments.trace || arguments.shrink => {
                report::report(&caught.outcome, &options, arguments.shrink, out)?;
            }
            Some(_) => {}
            None => missed += 1,
        }
    }
    Ok(if missed > 0 { VIOLATED } else { CLEAN })
}
