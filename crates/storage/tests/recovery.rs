//! What recovery does in the cases that have names: one test each.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use onecopy_core::{Entry, EntryId, GroupId, Index, Recovered, Timestamp, Write};
use onecopy_storage::{
    Crash, File, FileSystem, Log, LogError, LogOptions, MemoryFileSystem, Missing, OpenError, RealFileSystem,
};
use proptest::prelude::*;

const G1: GroupId = GroupId(1);
const G2: GroupId = GroupId(2);
/// Where the first record after the checkpoint of an empty log begins.
const FIRST: u64 = 64 + 40;

type MemoryLog = Log<MemoryFileSystem>;

fn data() -> &'static Path {
    Path::new("/data")
}

fn segment(number: u64) -> PathBuf {
    data().join(format!("log/{number:016x}.segment"))
}

fn options() -> LogOptions {
    LogOptions { salt: 7, zero_ahead_bytes: 4096, ..LogOptions::default() }
}

fn small_segments() -> LogOptions {
    LogOptions { segment_bytes: 1000, zero_ahead_bytes: 0, ..options() }
}

fn open(fs: &MemoryFileSystem) -> (MemoryLog, std::collections::BTreeMap<GroupId, Recovered>) {
    Log::open(fs.clone(), data(), options()).expect("the log opens")
}

fn damage(fs: &MemoryFileSystem) -> (PathBuf, u64, String) {
    match Log::open(fs.clone(), data(), options()) {
        Err(OpenError::Damaged { file, offset, reason }) => (file, offset, reason),
        other => panic!("expected damage, not {other:?}"),
    }
}

fn entry(index: u64) -> Entry {
    let payload = Bytes::from(vec![index as u8; 100]);
    Entry { id: EntryId::new(index, 1), time: Timestamp(index), seed: index, payload }
}

/// One record of 40 + 20 + 28 + 100 bytes, padded to 192.
fn append(log: &mut MemoryLog, group: GroupId, index: u64) {
    let write = Write::Append { entries: vec![entry(index)], commit: Index(index - 1) };
    log.append(group, &write).expect("the append succeeds");
}

fn synced_log(entries: u64) -> MemoryFileSystem {
    let fs = MemoryFileSystem::new();
    let (mut log, _) = open(&fs);
    for index in 1..=entries {
        append(&mut log, G1, index);
        log.sync().expect("the sync succeeds");
    }
    fs
}

#[test]
fn every_kind_of_write_is_recovered() {
    let fs = MemoryFileSystem::new();
    let (mut log, recovered) = open(&fs);
    assert!(recovered.is_empty());
    for index in 1..=9 {
        append(&mut log, G1, index);
    }
    let writes = [
        Write::State(Bytes::from_static(b"old")),
        Write::State(Bytes::from_static(b"new")),
        Write::Cut { from: Index(8) },
        Write::Compact { through: EntryId::new(3, 1) },
    ];
    for write in &writes {
        log.append(G1, write).expect("the append succeeds");
    }
    append(&mut log, G2, 1);
    log.append(G2, &Write::Install { snapshot: EntryId::new(40, 6) }).expect("the append succeeds");
    log.append(GroupId(3), &Write::State(Bytes::new())).expect("the append succeeds");
    log.forget(GroupId(3)).expect("the group is forgotten");
    log.close().expect("the log closes");

    let (log, recovered) = open(&fs);
    let first = Recovered {
        state: Some(Bytes::from_static(b"new")),
        base: EntryId::new(3, 1),
        entries: (4..=7).map(entry).collect(),
        commit: Index(7),
    };
    let second = Recovered { base: EntryId::new(40, 6), commit: Index(40), ..Recovered::default() };
    assert_eq!(recovered, [(G1, first), (G2, second)].into());
    assert_eq!(log.last_index(G1), Some(Index(7)));
    assert_eq!(log.last_index(GroupId(3)), None);
}

#[test]
fn a_last_record_that_is_cut_short_is_a_torn_tail() {
    for kept in 0..192 {
        let fs = synced_log(3);
        let end = FIRST + 3 * 192;
        let file = fs.open(&segment(1)).expect("it is there");
        file.set_size(end - 192 + kept).expect("it is cut");
        let (mut log, recovered) = open(&fs);
        // The last four bytes are padding.
        let whole = if kept >= 188 { 3 } else { 2 };
        assert_eq!(recovered[&G1].entries.len(), whole, "{kept} bytes kept");
        append(&mut log, G1, whole as u64 + 1);
        log.sync().expect("the sync succeeds");
        assert_eq!(open(&fs).1[&G1].entries.len(), whole + 1);
    }
}

#[test]
fn a_flipped_bit_under_a_later_sync_is_damage() {
    let fs = synced_log(5);
    fs.flip_bit(&segment(1), FIRST + 2 * 192 + 90, 3).expect("the byte is there");
    let (file, offset, reason) = damage(&fs);
    assert_eq!((file, offset), (segment(1), FIRST + 2 * 192));
    assert!(reason.contains("record 4 is damaged, but it had been synced"), "{reason}");
    let error = Log::open(fs, data(), options()).expect_err("it is still damaged").to_string();
    assert!(error.contains("0000000000000001.segment is damaged at byte 488"), "{error}");
    assert!(error.contains("move the data directory away"), "{error}");
}

#[test]
fn a_flipped_bit_in_the_last_batch_is_noticed_after_a_mark() {
    for mark in [false, true] {
        let fs = MemoryFileSystem::new();
        let (mut log, _) = open(&fs);
        append(&mut log, G1, 1);
        log.sync().expect("the sync succeeds");
        if mark {
            log.close().expect("the log closes");
        }
        fs.flip_bit(&segment(1), FIRST + 90, 3).expect("the byte is there");
        match mark {
            true => assert_eq!(damage(&fs).1, FIRST),
            false => assert!(open(&fs).1.is_empty()),
        }
    }
}

#[test]
fn a_log_that_was_closed_is_found_whole_or_refused() {
    for kept in (64..FIRST + 3 * 192).step_by(8) {
        for zeroed in [false, true] {
            let fs = MemoryFileSystem::new();
            let (mut log, _) = open(&fs);
            (1..=3).for_each(|index| append(&mut log, G1, index));
            log.close().expect("the log closes");
            let file = fs.open(&segment(1)).expect("it is there");
            let size = file.size().expect("it has a size");
            file.set_size(kept).expect("it is cut");
            if zeroed {
                file.set_size(size).expect("it is lengthened by zeros");
            }
            let (_, _, reason) = damage(&fs);
            let says = reason.contains("had been synced through record 5") || kept < FIRST;
            assert!(says, "{kept} bytes kept: {reason}");
        }
    }
}

#[test]
fn a_log_that_ends_before_the_base_of_a_snapshot_is_refused_after_a_crash_too() {
    let fs = synced_log(9);
    let (mut log, _) = open(&fs);
    log.append(G1, &Write::Compact { through: entry(9).id }).expect("it is appended");
    log.sync().expect("the sync succeeds");
    log.note_end().expect("it is noted");
    drop(log);
    fs.open(&segment(1)).expect("it is there").set_size(300).expect("it is cut");
    assert!(damage(&fs).2.contains("had been synced through record 11"));
}

#[test]
fn segments_that_were_removed_by_hand_are_missed() {
    let fs = MemoryFileSystem::new();
    let (mut log, _) = Log::open(fs.clone(), data(), small_segments()).expect("it opens");
    (1..=40).for_each(|index| append(&mut log, G1, index));
    log.sync().expect("the sync succeeds");
    let newest = log.stats().segments;
    drop(log);
    assert!(newest > 2);
    fs.remove(&segment(newest)).expect("it is there");
    assert!(damage(&fs).2.contains("had been synced through"));
    (1..newest).for_each(|number| fs.remove(&segment(number)).expect("it is there"));
    let error = Log::open(fs, data(), options()).expect_err("there was one");
    assert!(matches!(error, onecopy_storage::OpenError::MissingLog { .. }), "{error}");
}

#[test]
fn a_mark_is_not_repeated() {
    let fs = synced_log(2);
    let (mut log, _) = open(&fs);
    log.mark().expect("it is marked");
    let marked = log.stats().lsn_appended;
    log.mark().expect("it is marked");
    log.close().expect("it closes");
    let (mut log, _) = open(&fs);
    log.mark().expect("it is marked");
    assert_eq!(log.stats().lsn_appended, marked);
}

#[test]
fn damage_in_an_older_segment_is_refused() {
    let fs = MemoryFileSystem::new();
    let (mut log, _) = Log::open(fs.clone(), data(), small_segments()).expect("the log opens");
    for index in 1..=12 {
        append(&mut log, G1, index);
    }
    assert!(log.stats().segments >= 3);
    log.sync().expect("the sync succeeds");
    fs.flip_bit(&segment(2), 300, 0).expect("the byte is there");
    let (file, offset, reason) = damage(&fs);
    assert_eq!(file, segment(2));
    assert!(offset <= 300, "{offset}");
    assert!(reason.contains("a newer segment follows"), "{reason}");
}

#[test]
fn a_missing_segment_is_refused() {
    let fs = MemoryFileSystem::new();
    let (mut log, _) = Log::open(fs.clone(), data(), small_segments()).expect("the log opens");
    for index in 1..=12 {
        append(&mut log, G1, index);
    }
    log.sync().expect("the sync succeeds");
    let first = fs.read(&segment(1)).expect("it is there");
    fs.remove(&segment(1)).expect("it is removed");
    let (file, _, reason) = damage(&fs);
    assert_eq!(file, segment(2));
    assert!(reason.contains("are in no segment and in no snapshot"), "{reason}");

    fs.plant(&segment(1), &first);
    fs.remove(&segment(2)).expect("it is removed");
    let error = Log::open(fs, data(), options()).expect_err("it is refused");
    assert!(matches!(&error, OpenError::MissingSegment { file } if *file == segment(2)), "{error}");
}

#[test]
fn files_that_are_no_segments_are_named() {
    let fs = synced_log(1);
    fs.plant(&segment(1), b"something else that somebody put here, by accident or with bad intentions");
    let error = Log::open(fs.clone(), data(), options()).expect_err("it is refused");
    assert!(matches!(error, OpenError::NotASegment { .. }), "{error}");

    let fs = synced_log(1);
    let mut newer = fs.read(&segment(1)).expect("it is there");
    newer[8] = 9;
    let checksum = crc32c::crc32c(&newer[..60]).to_le_bytes();
    newer[60..64].copy_from_slice(&checksum);
    fs.plant(&segment(1), &newer);
    let error = Log::open(fs, data(), options()).expect_err("it is refused");
    assert!(matches!(error, OpenError::NewerFormat { found: 9, supported: 1, .. }), "{error}");
}

#[test]
fn a_log_that_must_be_there_is_not_made_up() {
    let refuse = LogOptions { missing: Missing::Refuse, ..options() };
    let error = Log::open(MemoryFileSystem::new(), data(), refuse).expect_err("there is none");
    assert!(matches!(error, OpenError::MissingLog { .. }), "{error}");
}

#[test]
fn unsynced_records_that_survive_out_of_order_are_cut() {
    // Memory durability: flushed often, synced seldom, and then the power fails.
    for seed in 0..200 {
        let fs = MemoryFileSystem::new();
        let (mut log, _) = open(&fs);
        for index in 1..=30 {
            append(&mut log, G1, index);
            log.flush().expect("the flush succeeds");
            if index == 10 {
                log.sync().expect("the sync succeeds");
            }
        }
        fs.crash(Crash::Torn, seed);
        let (_, recovered) = open(&fs);
        let entries = &recovered[&G1].entries;
        assert!((10..=30).contains(&entries.len()));
        assert_eq!(*entries, (1..=entries.len() as u64).map(entry).collect::<Vec<_>>());
    }
}

#[test]
fn a_value_that_looks_like_a_record_proves_nothing() {
    // A client stores bytes of the log itself, read from a backup, say; then the tail is torn in front of
    // them.
    let fs = synced_log(4);
    let record = fs.read(&segment(1)).expect("it is there")[(FIRST + 3 * 192) as usize..][..192].to_vec();
    let fs = MemoryFileSystem::new();
    let (mut log, _) = Log::open(fs.clone(), data(), LogOptions { salt: 8, ..options() }).expect("it opens");
    let mut payload = vec![0; 4];
    payload.extend_from_slice(&record);
    let entries = vec![Entry { payload: payload.into(), ..entry(1) }];
    log.append(G1, &Write::Append { entries, commit: Index(0) }).expect("the append succeeds");
    log.sync().expect("the sync succeeds");
    fs.flip_bit(&segment(1), FIRST + 50, 0).expect("the byte is there");
    assert!(open(&fs).1.is_empty());
}

#[test]
fn segments_that_nobody_needs_are_removed() {
    let fs = MemoryFileSystem::new();
    let (mut log, _) = Log::open(fs.clone(), data(), small_segments()).expect("the log opens");
    append(&mut log, G2, 1);
    for index in 1..=40 {
        append(&mut log, G1, index);
    }
    let bytes = log.stats().bytes;
    assert_eq!(log.pinned_groups(2), [(G1, bytes), (G2, bytes)]);
    log.append(G1, &Write::Compact { through: EntryId::new(39, 1) }).expect("the append succeeds");
    assert_eq!(log.reclaim().expect("nothing fails"), 0);
    assert_eq!(log.pinned_groups(2), [(G2, log.stats().bytes)]);
    log.append(G2, &Write::Compact { through: EntryId::new(1, 1) }).expect("the append succeeds");
    assert!(log.reclaim().expect("nothing fails") > 5);
    assert!(log.stats().segments <= 2);
    assert!(log.pinned_groups(2).is_empty());
    fs.crash(Crash::LoseUnsynced, 0);
    let (_, recovered) = open(&fs);
    assert_eq!(recovered[&G1].entries, [entry(40)]);
    assert_eq!(recovered[&G2].base, EntryId::new(1, 1));
}

#[test]
fn large_writes_are_spread_over_records() {
    let fs = MemoryFileSystem::new();
    let (mut log, _) = open(&fs);
    let payload = Bytes::from(vec![5; 3 << 20]);
    let entries: Vec<_> = (1..=4).map(|index| Entry { payload: payload.clone(), ..entry(index) }).collect();
    let write = Write::Append { entries: entries.clone(), commit: Index(3) };
    log.append(G1, &write).expect("the append succeeds");
    assert_eq!(log.stats().lsn_appended, 5);
    log.sync().expect("the sync succeeds");
    let (_, recovered) = open(&fs);
    assert_eq!((recovered[&G1].commit, &recovered[&G1].entries), (Index(3), &entries));
}

#[test]
fn too_large_a_write_leaves_the_log_usable() {
    let fs = MemoryFileSystem::new();
    let (mut log, _) = open(&fs);
    let state = Write::State(Bytes::from(vec![0; (1 << 30) + 1]));
    assert!(matches!(log.append(G1, &state), Err(LogError::TooLarge { .. })));
    append(&mut log, G1, 1);
    log.sync().expect("the sync succeeds");
}

#[test]
#[should_panic(expected = "does not follow")]
fn a_gap_is_a_bug_of_the_protocol() {
    append(&mut open(&synced_log(1)).0, G1, 3);
}

#[test]
fn a_full_disk_closes_the_log_and_says_so() {
    let fs = synced_log(1);
    let (mut log, _) = open(&fs);
    fs.limit_space(Some(1000));
    let error = (2..100).find_map(|index| append_result(&mut log, index).and_then(|()| log.sync()).err());
    assert!(matches!(error, Some(LogError::Io { disk_full: true, .. })), "{error:?}");
    assert!(matches!(log.flush(), Err(LogError::Poisoned { .. })));
    fs.crash(Crash::Process, 0);
    assert!(!open(&fs).1[&G1].entries.is_empty());
}

fn append_result(log: &mut MemoryLog, index: u64) -> Result<(), LogError> {
    log.append(G1, &Write::Append { entries: vec![entry(index)], commit: Index(0) })
}

#[test]
fn the_real_file_system_keeps_its_promises() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let root = directory.path().join("a/b");
    let fs = RealFileSystem;
    let options = LogOptions { segment_bytes: 1000, ..options() };
    let (mut log, _) = Log::open(fs, &root, options).expect("the log opens");
    for index in 1..=20 {
        let write = Write::Append { entries: vec![entry(index)], commit: Index(0) };
        log.append(G1, &write).expect("the append succeeds");
    }
    log.append(G1, &Write::Compact { through: EntryId::new(18, 1) }).expect("the append succeeds");
    assert!(log.reclaim().expect("nothing fails") > 0);
    log.close().expect("the log closes");
    let (_, recovered) = Log::open(fs, &root, options).expect("the log opens");
    assert_eq!(recovered[&G1].entries, [entry(19), entry(20)]);

    let file = root.join("lock");
    let lock = fs.lock(&file).expect("it can be locked");
    assert!(lock.is_some());
    assert!(fs.lock(&file).expect("it can be asked for").is_none());
    drop(lock);
    assert!(fs.lock(&file).expect("it can be locked").is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_in_place_of_a_segment_are_an_error_or_a_log(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        keep in 0..400_usize,
    ) {
        let fs = synced_log(2);
        let mut content = fs.read(&segment(1)).expect("it is there");
        content.truncate(keep);
        content.extend_from_slice(&bytes);
        fs.plant(&segment(1), &content);
        let _ = Log::open(fs, data(), options());
    }

    #[test]
    fn payloads_that_lie_under_right_checksums_are_an_error(
        kind in 0..12_u8,
        payload in prop::collection::vec(prop_oneof![Just(0), Just(1), Just(255), any::<u8>()], 0..120),
    ) {
        let fs = synced_log(1);
        let mut content = fs.read(&segment(1)).expect("it is there")[..(FIRST + 192) as usize].to_vec();
        let salt = crc32c::crc32c(&7_u64.to_le_bytes());
        let seed = crc32c::crc32c_append(salt, &1_u64.to_le_bytes());
        let mut header = b"1rec".to_vec();
        header.extend_from_slice(&[kind, 0, 0, 0]);
        header.extend_from_slice(&1_u32.to_le_bytes());
        header.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        header.extend_from_slice(&3_u64.to_le_bytes());
        header.extend_from_slice(&2_u64.to_le_bytes());
        header.extend_from_slice(&crc32c::crc32c(&payload).to_le_bytes());
        header.extend_from_slice(&crc32c::crc32c_append(seed, &header).to_le_bytes());
        content.extend_from_slice(&header);
        content.extend_from_slice(&payload);
        fs.plant(&segment(1), &content);
        match Log::open(fs, data(), options()) {
            Ok((log, _)) => prop_assert_eq!(log.stats().lsn_appended, 3),
            Err(error) => prop_assert!(error.is_damage()),
        }
    }
}
