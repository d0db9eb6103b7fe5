//! Reading entries back from the log while it runs.

use std::path::Path;

use bytes::Bytes;
use onecopy_core::{Entry, EntryId, GroupId, Index, Timestamp, Write};
use onecopy_storage::{Entries, Log, LogOptions, MemoryFileSystem};

const GROUP: GroupId = GroupId(1);
const OTHER: GroupId = GroupId(2);

type MemoryLog = Log<MemoryFileSystem>;

fn log() -> (MemoryLog, Entries<MemoryFileSystem>) {
    let fs = MemoryFileSystem::new();
    let options = LogOptions { segment_bytes: 2_000, zero_ahead_bytes: 0, ..LogOptions::default() };
    let (log, _) = Log::open(fs.clone(), Path::new("/data"), options).expect("the log opens");
    (log, Entries::new(fs))
}

fn entry(index: u64, epoch: u64) -> Entry {
    let payload = Bytes::from(vec![index as u8; 100]);
    Entry { id: EntryId::new(index, epoch), time: Timestamp(index), seed: index, payload }
}

fn append(log: &mut MemoryLog, group: GroupId, indexes: std::ops::RangeInclusive<u64>, epoch: u64) {
    for index in indexes {
        let write = Write::Append { entries: vec![entry(index, epoch)], commit: Index(0) };
        log.append(group, &write).expect("the append succeeds");
    }
    log.flush().expect("the flush succeeds");
}

/// Reads from an entry on, piece by piece, as long as there is something.
fn read(
    log: &MemoryLog,
    entries: &mut Entries<MemoryFileSystem>,
    mut first: EntryId,
    bytes_max: usize,
) -> Vec<EntryId> {
    let mut found = Vec::new();
    while let Some(location) = log.locate(GROUP, first.index) {
        let piece = entries.read(location, first, bytes_max).expect("the segment can be read");
        let Some(last) = piece.last() else { break };
        assert!(piece.iter().all(|entry| entry.payload == [entry.id.index.0 as u8; 100][..]));
        first = EntryId { index: last.id.index.next(), epoch: last.id.epoch };
        found.extend(piece.into_iter().map(|entry| entry.id));
    }
    found
}

fn ids(indexes: std::ops::RangeInclusive<u64>, epoch: u64) -> Vec<EntryId> {
    indexes.map(|index| EntryId::new(index, epoch)).collect()
}

#[test]
fn entries_are_found_in_all_segments_and_among_those_of_others() {
    let (mut log, mut entries) = log();
    for index in 1..=50 {
        append(&mut log, GROUP, index..=index, 1);
        append(&mut log, OTHER, index..=index, 1);
    }
    assert!(log.stats().segments > 5);
    for (first, bytes_max) in [(1, 1), (1, 1 << 20), (17, 300), (50, 1)] {
        let found = read(&log, &mut entries, EntryId::new(first, 1), bytes_max);
        assert_eq!(found, ids(first..=50, 1), "from {first} on, {bytes_max} bytes at a time");
    }
    assert_eq!(log.locate(GROUP, Index(51)), None);
}

#[test]
fn the_log_may_go_on_meanwhile() {
    let (mut log, mut entries) = log();
    append(&mut log, GROUP, 1..=3, 1);
    assert_eq!(read(&log, &mut entries, EntryId::new(2, 1), 1), ids(2..=3, 1));
    append(&mut log, GROUP, 4..=20, 1);
    assert_eq!(read(&log, &mut entries, EntryId::new(4, 1), 1), ids(4..=20, 1));
}

#[test]
fn what_was_cut_is_not_found() {
    let (mut log, mut entries) = log();
    append(&mut log, GROUP, 1..=20, 1);
    log.append(GROUP, &Write::Cut { from: Index(6) }).expect("the append succeeds");
    append(&mut log, GROUP, 6..=9, 2);
    let piece = |log: &MemoryLog, entries: &mut Entries<_>, first: EntryId| {
        let location = log.locate(GROUP, first.index).expect("it is there");
        entries.read(location, first, 1).expect("the segment can be read")
    };
    assert_eq!(piece(&log, &mut entries, EntryId::new(6, 1)), []);
    assert_eq!(piece(&log, &mut entries, EntryId::new(6, 2)), [entry(6, 2)]);
    assert_eq!(piece(&log, &mut entries, EntryId::new(7, 2)), [entry(7, 2)]);
}

#[test]
fn what_takes_the_place_of_a_tail_in_the_same_segment_is_found() {
    let (mut log, mut entries) = log();
    append(&mut log, GROUP, 1..=5, 1);
    log.append(GROUP, &Write::Cut { from: Index(3) }).expect("the append succeeds");
    append(&mut log, GROUP, 3..=5, 2);
    assert_eq!(log.stats().segments, 1);
    let location = log.locate(GROUP, Index(1)).expect("it is there");
    let found = entries.read(location, EntryId::new(1, 1), 1 << 20).expect("the segment can be read");
    let found: Vec<EntryId> = found.iter().map(|entry| entry.id).collect();
    assert_eq!(found, [ids(1..=2, 1), ids(3..=5, 2)].concat());
}

#[test]
fn what_a_snapshot_covers_is_nowhere() {
    let (mut log, _) = log();
    append(&mut log, GROUP, 1..=20, 1);
    log.append(GROUP, &Write::Compact { through: EntryId::new(9, 1) }).expect("the append succeeds");
    assert_eq!(log.locate(GROUP, Index(9)), None);
    assert!(log.locate(GROUP, Index(10)).is_some());
    log.append(GROUP, &Write::Install { snapshot: EntryId::new(90, 3) }).expect("the append succeeds");
    assert_eq!(log.locate(GROUP, Index(10)), None);
}
