//! What a sync costs on this machine's disk, and how fast the log takes large writes.
//!
//! ```text
//! cargo run --release -p onecopy-storage --example sync_cost [directory]
//! ```

use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use onecopy_core::{Entry, EntryId, GroupId, Index, Timestamp, Write};
use onecopy_storage::{Log, LogOptions, RealFileSystem};

const SYNCS: u64 = 2_000;
const MEGABYTES: u64 = 512;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let root = std::env::args().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let directory = root.join("sync_cost.tmp");
    println!("append + sync, median, 99th percentile and mean of {SYNCS}:");
    for size in [128, 4096, 16_000, 65_000] {
        for zero_ahead_bytes in [0, 256 << 10, 1 << 20] {
            syncs(&directory, size, zero_ahead_bytes)?;
        }
    }
    println!("append + flush, {MEGABYTES} MB, one sync at the end:");
    for size in [1 << 10, 64 << 10, 1 << 20] {
        flushes(&directory, size)?;
    }
    Ok(())
}

fn syncs(directory: &Path, size: usize, zero_ahead_bytes: u64) -> Result<(), Failure> {
    let mut log = open(directory, LogOptions { zero_ahead_bytes, ..LogOptions::default() })?;
    let mut micros = Vec::new();
    for index in 1..=SYNCS {
        let write = write(index, size);
        let start = Instant::now();
        log.append(GroupId(1), &write)?;
        log.sync()?;
        micros.push(start.elapsed().as_micros());
    }
    micros.sort_unstable();
    let (median, high) = (micros[micros.len() / 2], micros[micros.len() * 99 / 100]);
    let mean = micros.iter().sum::<u128>() / micros.len() as u128;
    println!(
        "  {size:>6} B, {zero_ahead_bytes:>7} B of zeros ahead: {median:>5} µs, {high:>5} µs, mean {mean:>5} µs"
    );
    Ok(std::fs::remove_dir_all(directory)?)
}

fn flushes(directory: &Path, size: usize) -> Result<(), Failure> {
    let mut log = open(directory, LogOptions::default())?;
    let start = Instant::now();
    for index in 1..=MEGABYTES * 1_000_000 / size as u64 {
        log.append(GroupId(1), &write(index, size))?;
        if log.unflushed_bytes() >= 256 << 10 {
            log.flush()?;
        }
    }
    let flushed = start.elapsed();
    log.sync()?;
    let synced = start.elapsed();
    let rate = |elapsed: std::time::Duration| MEGABYTES as f64 / elapsed.as_secs_f64();
    println!("  {size:>8} B: {:>5.0} MB/s, with the sync {:>5.0} MB/s", rate(flushed), rate(synced));
    drop(log);
    let start = Instant::now();
    let (_, recovered) = Log::open(RealFileSystem, directory, LogOptions::default())?;
    assert_eq!(recovered.len(), 1, "the group must be there again");
    println!("            read back: {:>5.0} MB/s", rate(start.elapsed()));
    Ok(std::fs::remove_dir_all(directory)?)
}

fn open(directory: &Path, options: LogOptions) -> Result<Log<RealFileSystem>, Failure> {
    let _ = std::fs::remove_dir_all(directory); // Left by a run that was interrupted.
    Ok(Log::open(RealFileSystem, directory, options)?.0)
}

fn write(index: u64, size: usize) -> Write {
    let payload = Bytes::from(vec![index as u8; size]);
    let entry = Entry { id: EntryId::new(index, 1), time: Timestamp(index), seed: index, payload };
    Write::Append { entries: vec![entry], commit: Index(index - 1) }
}
