//! What it costs to execute a batch only once: every replica remembers the answers to all batches that may
//! come again.

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use onecopy_core::payload::{Batch, Builder, Header};
use onecopy_core::session::{AnswerBounds, Sessions, Verdict};
use onecopy_core::{BatchId, Budget, Entry, EntryId, Incarnation, Index, Replicated, Rules, Timestamp};
use onecopy_keyspace::Keyspace;
use onecopy_keyspace::request::{BodyBuilder, SegmentBuilder};
use onecopy_resp::Version;

use crate::median::median;

/// Measures the sessions (exactly once) beside the execution of which they are a part.
///
/// Batches of INCRs, one batch to an entry, from three coordinators that have up to four batches under way
/// each, are executed by a replica as in production; then the same batches pass through its sessions alone,
/// and the difference is what the execution would cost without.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Measurements of each batch size; medians are printed.
    #[arg(long, default_value_t = 15)]
    runs: usize,
    /// Commands in each measurement.
    #[arg(long, default_value_t = 500_000)]
    commands: u64,
}

const COORDINATORS: u64 = 3;
/// How many batches of one coordinator may be unanswered: each batch confirms those before.
const UNDER_WAY: u64 = 4;
const KEYS: u64 = 100_000;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    println!("| commands in a batch | with sessions | sessions alone | without | ratio |");
    println!("| --- | --- | --- | --- | --- |");
    for size in [1, 16, 128] {
        let batches = batches(arguments.commands.div_ceil(size), size);
        let (mut whole, mut alone) = (Vec::new(), Vec::new());
        for _ in 0..arguments.runs.max(1) {
            whole.push(execute(&batches));
            alone.push(remember(&batches));
        }
        let (whole, alone) = (median(whole), median(alone));
        let without = whole - alone;
        println!("| {size} | {whole:.0} ns | {alone:.0} ns | {without:.0} ns | {:.3} |", whole / without);
    }
    println!(
        "\nnanoseconds per batch, medians of {} runs of {} commands",
        arguments.runs, arguments.commands
    );
    Ok(())
}

/// Batches of `size` increments each.
fn batches(count: u64, size: u64) -> Vec<Batch> {
    (0..count)
        .map(|number| {
            let mut segment = SegmentBuilder::new(0, Version::Two);
            for at in 0..size {
                // Scattered, so that keys do not come in order.
                let key = (number * size + at).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
                let key = format!("counter:{:012}", key % KEYS);
                segment.push(["INCR", &key].iter().map(|word| word.as_bytes()));
            }
            let mut body = BodyBuilder::new();
            body.push(&segment.finish());
            let sequence = number / COORDINATORS;
            let id = BatchId { coordinator: Incarnation(u128::from(number % COORDINATORS)), sequence };
            Batch {
                id,
                done_below: sequence.saturating_sub(UNDER_WAY),
                part: None,
                heard: Vec::new(),
                body: body.finish(),
            }
        })
        .collect()
}

/// Nanoseconds per batch that a replica takes.
fn execute(batches: &[Batch]) -> f64 {
    let entry = |(index, batch): (u64, &Batch)| {
        let mut builder = Builder::new(Header::default());
        builder.push(batch);
        Entry { id: EntryId::new(index, 1), time: Timestamp(index), seed: index, payload: builder.finish() }
    };
    let entries: Vec<Entry> = (1..).zip(batches).map(entry).collect();
    let mut replicated = Replicated::new(Keyspace::new([1, 2]), Rules::default());
    let begin = Instant::now();
    for entry in &entries {
        replicated
            .execute(entry, Budget::ENDLESS, |id, response| drop(black_box((id, response))))
            .expect("it was just built");
    }
    let elapsed = begin.elapsed();
    assert_eq!(replicated.sessions().size().0 as u64, COORDINATORS.min(batches.len() as u64));
    elapsed.as_nanos() as f64 / batches.len() as f64
}

/// Nanoseconds per batch for what makes it execute only once.
fn remember(batches: &[Batch]) -> f64 {
    let response = Bytes::from_static(b":12345\r\n");
    let mut sessions = Sessions::default();
    let begin = Instant::now();
    for (index, batch) in (1..).zip(batches) {
        let (index, time) = (Index(index), Timestamp(index));
        assert_eq!(sessions.admit(index, time, batch), Verdict::Execute);
        sessions.executed(batch, &response, AnswerBounds::default(), 0);
        sessions.sweep(index, time);
    }
    let elapsed = begin.elapsed();
    black_box(&sessions);
    elapsed.as_nanos() as f64 / batches.len() as f64
}
