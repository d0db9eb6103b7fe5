//! `LATENCY`: what took long, and when.

use std::fmt::Write as _;

use onecopy_resp::Writer;

use super::{help, lower, misfit};
use crate::client::Clients;
use crate::records::{Latency, time_of_day};

/// `LATENCY LATEST|HISTORY|RESET|GRAPH|HISTOGRAM|DOCTOR|HELP`
pub(super) fn latency(clients: &Clients, args: &[&[u8]], reply: &mut Writer<'_>) -> Result<(), String> {
    let mut known = clients.knowledge.records.latency();
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    match (lower(args.first()).as_slice(), &args[1..]) {
        (b"latest", []) => {
            reply.array(known.all().len());
            for (event, samples) in known.all() {
                let last = samples.last.back().copied();
                let (second, milliseconds) =
                    last.map_or((0, 0), |sample| (sample.second, sample.milliseconds));
                reply.array(4);
                reply.bulk(event.as_bytes());
                [second, milliseconds, samples.longest_ms]
                    .iter()
                    .for_each(|value| reply.integer(number(*value)));
            }
        }
        (b"history", [event]) => {
            let samples = known.of(event);
            reply.array(samples.map_or(0, |samples| samples.last.len()));
            for sample in samples.iter().flat_map(|samples| &samples.last) {
                reply.array(2);
                reply.integer(number(sample.second));
                reply.integer(number(sample.milliseconds));
            }
        }
        (b"graph", [event]) => reply.verbatim(graph(&known, event)?.as_bytes()),
        (b"reset", events) => {
            let count = known.reset(events);
            reply.length(count);
        }
        (b"histogram", names) => {
            drop(known);
            histogram(clients, names, reply);
        }
        (b"doctor", []) => reply.verbatim(doctor(clients, &known).as_bytes()),
        (b"help", []) => help::reply(help::LATENCY, reply),
        _ => return misfit("LATENCY", args),
    }
    Ok(())
}

/// Rows of bars, newest at the bottom.
fn graph(known: &Latency, event: &[u8]) -> Result<String, String> {
    const WIDTH: u64 = 60;
    let name = String::from_utf8_lossy(event).into_owned();
    let samples = known.of(event).ok_or_else(|| format!("ERR No samples available for event '{name}'"))?;
    let most = samples.last.iter().map(|sample| sample.milliseconds).max().unwrap_or_default().max(1);
    let least = samples.last.iter().map(|sample| sample.milliseconds).min().unwrap_or_default();
    let mut text =
        format!("{name} - high {most} ms, low {least} ms (all time high {} ms)\n", samples.longest_ms);
    let now = time_of_day().as_secs();
    for sample in &samples.last {
        let bar = "#".repeat((sample.milliseconds * WIDTH).div_ceil(most) as usize);
        let ago = now.saturating_sub(sample.second);
        writeln!(text, "{ago:>8} s ago {:>8} ms {bar}", sample.milliseconds)
            .expect("a string takes everything");
    }
    Ok(text)
}

fn histogram(clients: &Clients, names: &[&[u8]], reply: &mut Writer<'_>) {
    let statistics = clients.knowledge.records.statistics();
    // With a command come its subcommands.
    let is_wanted = |name: &str| {
        let command = name.split('|').next().unwrap_or(name);
        let is =
            |wanted: &[u8]| [name, command].iter().any(|known| wanted.eq_ignore_ascii_case(known.as_bytes()));
        names.is_empty() || names.iter().any(|wanted| is(wanted))
    };
    let known: Vec<_> = statistics
        .commands()
        .iter()
        .filter(|(name, command)| is_wanted(name) && command.histogram.total() > 0)
        .collect();
    reply.map(known.len());
    for (name, command) in known {
        reply.bulk(name.as_bytes());
        reply.map(2);
        reply.bulk(b"calls");
        reply.integer(i64::try_from(command.histogram.total()).unwrap_or(i64::MAX));
        reply.bulk(b"histogram_usec");
        let powers = command.histogram.powers();
        reply.map(powers.len());
        for (microseconds, count) in powers {
            reply.integer(i64::try_from(microseconds).unwrap_or(i64::MAX));
            reply.integer(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

fn doctor(clients: &Clients, known: &Latency) -> String {
    let threshold = clients.policy().parameters.latency_threshold;
    if threshold.is_zero() {
        return "Nothing is watched: CONFIG SET latency-monitor-threshold <milliseconds> says what counts as long.\n"
            .to_owned();
    }
    if known.all().is_empty() {
        return format!("Nothing has taken as long as {} ms.\n", threshold.as_millis());
    }
    let mut text = format!("What has taken as long as {} ms:\n", threshold.as_millis());
    for (event, samples) in known.all() {
        let count = samples.last.len() as u64;
        let average = samples.last.iter().map(|sample| sample.milliseconds).sum::<u64>() / count.max(1);
        writeln!(
            text,
            "- {event}: in {count} different seconds, {average} ms on average, {} ms at most. SLOWLOG GET names the commands; \
             `onecopy status` tells which node is busy, and whose disk is slow.",
            samples.longest_ms
        )
        .expect("a string takes everything");
    }
    text
}
