//! Random histories with crashes, failing disks and damage, compared with a model.
//!
//! The model is a list of everything that was appended. After every start there must be a length of that list
//! that explains what was recovered, at least as long as what was synced. Every failure names its seed; run
//! one alone with `CRASH_SEED=<seed>`, or more than usual with `CRASH_SEEDS=<count>`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use onecopy_core::{Entry, EntryId, GroupId, Index, Recovered, Timestamp, Write};
use onecopy_storage::{
    Crash, File, FileSystem, Log, LogError, LogOptions, MemoryFile, MemoryFileSystem, OpenError, Syncing,
};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const DIRECTORY: &str = "/data";

#[derive(Clone, Debug)]
enum Op {
    Write(GroupId, Write),
    Forget(GroupId),
}

type Groups = BTreeMap<GroupId, Recovered>;

/// Written without a look at the log's own code.
fn apply(groups: &mut Groups, op: &Op) {
    let (group, write) = match op {
        Op::Forget(group) => (group, &Write::Forget),
        Op::Write(group, write) => (group, write),
    };
    if *write == Write::Forget {
        groups.remove(group);
        return;
    }
    let group = groups.entry(*group).or_default();
    match write {
        Write::Forget => {}
        Write::State(state) => group.state = Some(state.clone()),
        Write::Append { entries, commit } => {
            group.entries.extend(entries.iter().cloned());
            group.commit = group.commit.max((*commit).min(last(group).index));
        }
        Write::Cut { from } => {
            group.entries.retain(|entry| entry.id.index < *from);
            group.commit = group.commit.min(last(group).index);
        }
        Write::Compact { through } => {
            if through.index > group.base.index {
                group.entries.retain(|entry| entry.id.index > through.index);
                group.base = *through;
                group.commit = group.commit.max(through.index);
            }
        }
        Write::Install { snapshot } => {
            group.entries.clear();
            group.base = *snapshot;
            group.commit = snapshot.index;
        }
    }
}

fn last(group: &Recovered) -> EntryId {
    group.entries.last().map_or(group.base, |entry| entry.id)
}

struct World {
    rng: ChaCha8Rng,
    fs: MemoryFileSystem,
    log: Option<Log<MemoryFileSystem>>,
    /// The state before `history`.
    before: Groups,
    history: Vec<Op>,
    /// The state after `history`.
    now: Groups,
    /// How much of the history was handed over, and how much was synced.
    flushed: usize,
    synced: usize,
    /// A sync that is under way, how much was handed over when it began, and its outcome once it has one.
    syncing: Option<(Syncing<MemoryFile>, usize, Option<std::io::Result<()>>)>,
    /// How much was synced when the last record was written.
    covered: usize,
    /// How much was synced when the end was last noted.
    noted: usize,
    epoch: u64,
    /// All records are of one size, so that what was cut off would fit if it came back.
    uniform: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            fs: MemoryFileSystem::new(),
            log: None,
            before: Groups::new(),
            history: Vec::new(),
            now: Groups::new(),
            flushed: 0,
            synced: 0,
            syncing: None,
            covered: 0,
            noted: 0,
            epoch: 1,
            uniform: false,
        };
        world.uniform = world.rng.random_ratio(1, 3);
        world.open(false);
        world
    }

    fn options(&mut self) -> LogOptions {
        LogOptions {
            segment_bytes: self.rng.random_range(300..8_000),
            zero_ahead_bytes: [0, 512, 4096][self.rng.random_range(0..3)],
            copied_bytes_max: [0, 50, 64 << 10][self.rng.random_range(0..3)],
            salt: self.rng.random(),
            ..LogOptions::default()
        }
    }

    fn log(&mut self) -> &mut Log<MemoryFileSystem> {
        self.log.as_mut().expect("the log is open")
    }

    /// Opens the log, perhaps after failing and crashing in between, and finds the history that explains it.
    fn open(&mut self, mut all_flushed: bool) {
        let (log, recovered) = loop {
            if self.rng.random_ratio(1, 4) {
                match self.rng.random_range(0..3) {
                    0 => self.fs.fail_write(self.rng.random_range(0..3)),
                    1 => self.fs.fail_sync(self.rng.random_range(0..4)),
                    _ => self.fs.limit_space(Some(self.rng.random_range(0..200))),
                }
            }
            let options = self.options();
            match Log::open(self.fs.clone(), Path::new(DIRECTORY), options) {
                Ok(opened) => break opened,
                Err(OpenError::Io { .. }) => {
                    let crash = self.random_crash();
                    all_flushed &= crash == Crash::Process;
                    self.fs.crash(crash, self.rng.random());
                }
                Err(error) => panic!("a crash is no damage: {error}"),
            }
        };
        self.fs.heal();
        let least = if all_flushed { self.flushed } else { self.synced };
        self.explain(recovered, least);
        self.log = Some(log);
    }

    fn explain(&mut self, recovered: Groups, least: usize) {
        let mut groups = self.before.clone();
        for length in 0..=self.history.len() {
            if length > 0 {
                apply(&mut groups, &self.history[length - 1]);
            }
            if length >= least && groups == recovered {
                self.before = recovered.clone();
                self.now = recovered;
                self.history.clear();
                (self.flushed, self.synced, self.covered) = (0, 0, 0);
                return;
            }
        }
        panic!(
            "no prefix of at least {least} of {} writes explains what was recovered: {recovered:?}",
            self.history.len()
        );
    }

    fn random_crash(&mut self) -> Crash {
        Crash::ALL[self.rng.random_range(0..Crash::ALL.len())]
    }

    fn random_write(&mut self, group: GroupId) -> Write {
        let known = self.now.get(&group).cloned().unwrap_or_default();
        let last = last(&known);
        if self.uniform {
            return Write::State(self.rng.random::<[u8; 24]>().to_vec().into());
        }
        match self.rng.random_range(0..20) {
            0..=1 => {
                let mut state = vec![0; self.rng.random_range(0..40)];
                self.rng.fill(&mut state[..]);
                Write::State(state.into())
            }
            2 if last.index > known.base.index => {
                self.epoch += 1;
                Write::Cut { from: Index(self.rng.random_range(known.base.index.0 + 1..=last.index.0 + 1)) }
            }
            3..=5 if !known.entries.is_empty() => {
                let position = self.rng.random_range(0..known.entries.len());
                Write::Compact { through: known.entries[position].id }
            }
            6 if self.rng.random_ratio(1, 4) => {
                self.epoch += 1;
                let index = last.index.0 + self.rng.random_range(0..20);
                Write::Install { snapshot: EntryId::new(index, self.epoch) }
            }
            _ => {
                let count = self.rng.random_range(0..4);
                let entries: Vec<_> = (1..=count).map(|n| self.random_entry(last.index.0 + n)).collect();
                let commit = self.rng.random_range(0..=last.index.0 + count);
                Write::Append { entries, commit: Index(commit) }
            }
        }
    }

    fn random_entry(&mut self, index: u64) -> Entry {
        let length = if self.rng.random_ratio(1, 10) { 2_000 } else { 100 };
        let mut payload = vec![0; self.rng.random_range(0..length)];
        self.rng.fill(&mut payload[..]);
        Entry {
            id: EntryId::new(index, self.epoch),
            time: Timestamp(index),
            seed: self.rng.random(),
            payload: payload.into(),
        }
    }

    fn step(&mut self) -> Result<(), LogError> {
        let group = GroupId(self.rng.random_range(0..4));
        if self.syncing.is_some() || self.rng.random_ratio(1, 10) {
            return self.sync_meanwhile(group);
        }
        match self.rng.random_range(0..40) {
            0..=2 => {
                self.log().flush()?;
                self.flushed = self.history.len();
            }
            3..=6 => {
                self.log().sync()?;
                self.all_synced();
            }
            7 => {
                self.log().mark()?;
                self.all_synced();
                self.covered = self.synced;
                self.noted = self.synced;
            }
            8 => {
                self.log().reclaim()?;
            }
            10 => {
                self.log().note_end()?;
                self.noted = self.synced;
            }
            9 if self.now.contains_key(&group) && self.rng.random_ratio(1, 3) => {
                self.note(Op::Forget(group));
                self.log().forget(group)?;
                self.all_synced();
            }
            _ => {
                let write = self.random_write(group);
                self.note(Op::Write(group, write.clone()));
                self.log().append(group, &write)?;
            }
        }
        Ok(())
    }

    /// A sync that does not keep others from appending: it begins, is done, and ends, and in between, records
    /// are appended and flushed as far as the segment has room.
    fn sync_meanwhile(&mut self, group: GroupId) -> Result<(), LogError> {
        let Some((syncing, flushed, outcome)) = self.syncing.take() else {
            let flushed = self.flushed;
            self.syncing = self.log().begin_sync()?.map(|syncing| (syncing, flushed, None));
            return Ok(());
        };
        match (self.rng.random_range(0..6), outcome) {
            (0, None) => {
                let outcome = syncing.run();
                if outcome.is_ok() {
                    self.noted = self.noted.max(flushed);
                }
                self.syncing = Some((syncing, flushed, Some(outcome)));
                Ok(())
            }
            (0, Some(outcome)) => {
                self.log().end_sync(&syncing, outcome)?;
                self.synced = self.synced.max(flushed);
                Ok(())
            }
            (1, outcome) => {
                self.syncing = Some((syncing, flushed, outcome));
                self.log().flush()?;
                self.flushed = self.history.len();
                Ok(())
            }
            (_, outcome) => {
                self.syncing = Some((syncing, flushed, outcome));
                let write = self.random_write(group);
                if !self.log().has_room(std::slice::from_ref(&write)) {
                    return Ok(());
                }
                self.note(Op::Write(group, write.clone()));
                self.log().append(group, &write)
            }
        }
    }

    /// Has a sync that is under way come to its end.
    fn settle(&mut self) {
        while self.syncing.is_some() {
            self.sync_meanwhile(GroupId(0)).expect("nothing fails");
        }
    }

    fn note(&mut self, op: Op) {
        apply(&mut self.now, &op);
        self.history.push(op);
        self.covered = self.synced;
    }

    fn all_synced(&mut self) {
        self.flushed = self.history.len();
        self.synced = self.history.len();
    }

    fn crash(&mut self) {
        self.log = None;
        self.syncing = None;
        let crash = self.random_crash();
        self.fs.crash(crash, self.rng.random());
        self.open(crash == Crash::Process);
    }

    fn segments(&self) -> Vec<(PathBuf, u64)> {
        let files = self.fs.files().into_iter();
        files.filter(|(path, _)| path.extension().is_some_and(|suffix| suffix == "segment")).collect()
    }
}

/// Runs a test for many seeds, or for the one that is asked for.
fn for_seeds(count: u64, run: impl Fn(u64) + std::panic::RefUnwindSafe) {
    if let Ok(seed) = std::env::var("CRASH_SEED") {
        return run(seed.parse().expect("CRASH_SEED is a number"));
    }
    let count = std::env::var("CRASH_SEEDS").map_or(count, |count| count.parse().expect("a number"));
    for seed in 0..count {
        if let Err(panic) = std::panic::catch_unwind(|| run(seed)) {
            eprintln!("failed with CRASH_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn what_was_synced_survives_every_crash() {
    for_seeds(4_000, |seed| {
        let mut world = World::new(seed);
        for _ in 0..6 {
            for _ in 0..world.rng.random_range(0..60) {
                world.step().expect("nothing fails");
            }
            world.crash();
        }
    });
}

#[test]
fn a_failing_disk_closes_the_log_and_loses_nothing_that_was_synced() {
    for_seeds(4_000, |seed| {
        let mut world = World::new(seed);
        for _ in 0..6 {
            match world.rng.random_range(0..3) {
                0 => world.fs.fail_write(world.rng.random_range(0..12)),
                1 => world.fs.fail_sync(world.rng.random_range(0..8)),
                _ => world.fs.limit_space(Some(world.rng.random_range(0..6_000))),
            }
            for _ in 0..80 {
                if world.step().is_err() {
                    let synced = world.log().stats().lsn_synced;
                    for result in [world.log().sync(), world.log().flush(), world.log().mark()] {
                        assert!(matches!(result, Err(LogError::Poisoned { .. })));
                    }
                    let write = Write::State(Bytes::new());
                    let result = world.log().append(GroupId(1), &write);
                    assert!(matches!(result, Err(LogError::Poisoned { .. })));
                    assert_eq!(world.log().stats().lsn_synced, synced);
                    break;
                }
            }
            world.crash();
        }
    });
}

#[test]
fn damage_is_never_taken_for_a_crash() {
    let refused = std::sync::atomic::AtomicU64::new(0);
    for_seeds(4_000, |seed| {
        let mut world = World::new(seed);
        for _ in 0..world.rng.random_range(20..120) {
            world.step().expect("nothing fails");
        }
        world.settle();
        world.log().sync().expect("nothing fails");
        world.all_synced();
        if world.rng.random() {
            world.log().mark().expect("nothing fails");
            world.covered = world.synced;
            world.noted = world.synced;
        }
        world.log = None;
        let segments = world.segments();
        let (file, size) = segments[world.rng.random_range(0..segments.len())].clone();
        let (offset, bit) = (world.rng.random_range(0..size), world.rng.random_range(0..8));
        world.fs.flip_bit(&file, offset, bit).expect("the byte is there");
        world.fs.crash(Crash::LoseUnsynced, 0);

        let options = world.options();
        match Log::open(world.fs.clone(), Path::new(DIRECTORY), options) {
            // The bit lay in a place without meaning, or in the last batch, which nothing covers.
            Ok((_, recovered)) => world.explain(recovered, world.covered.max(world.noted)),
            Err(OpenError::Damaged { file: named, offset: at, reason }) => {
                assert_eq!(named, file, "{reason}");
                assert!(at <= offset, "damage at {offset} was noticed at {at}: {reason}");
                refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            Err(OpenError::NotASegment { file: named }) => assert_eq!(named, file),
            Err(error) => panic!("{error}"),
        }
    });
    let refused = refused.into_inner();
    assert!(refused > 1_500 || std::env::var("CRASH_SEED").is_ok(), "only {refused} were refused");
}

#[test]
fn a_log_that_was_shortened_is_never_taken_for_a_short_one() {
    let refused = std::sync::atomic::AtomicU64::new(0);
    for_seeds(4_000, |seed| {
        let mut world = World::new(seed);
        for _ in 0..world.rng.random_range(20..120) {
            world.step().expect("nothing fails");
        }
        let clean = world.rng.random();
        world.settle();
        if clean {
            world.log.take().expect("it is open").close().expect("nothing fails");
            world.all_synced();
            world.noted = world.synced;
        }
        world.log = None;
        // Everything behind some byte is gone: cut off, or overwritten; newer segments are removed.
        let segments = world.segments();
        let place = world.rng.random_range(0..segments.len());
        let (file, size) = segments[place].clone();
        for (newer, _) in &segments[place + 1..] {
            world.fs.remove(newer).expect("it is there");
        }
        let from = world.rng.random_range(64..=size.max(64));
        let content = world.fs.open(&file).expect("it is there");
        match world.rng.random() {
            true => content.set_size(from).expect("it is cut"),
            false => content.write_at(&vec![0; (size - from.min(size)) as usize], from).expect("zeroed"),
        }
        let options = world.options();
        match Log::open(world.fs.clone(), Path::new(DIRECTORY), options) {
            Ok((_, recovered)) => world.explain(recovered, world.noted),
            Err(OpenError::Damaged { .. }) => {
                refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            Err(error) => panic!("{error}"),
        }
    });
    let refused = refused.into_inner();
    assert!(refused > 2_000 || std::env::var("CRASH_SEED").is_ok(), "only {refused} were refused");
}

#[test]
fn the_same_seed_leaves_the_same_bytes() {
    let run = |seed| {
        let mut world = World::new(seed);
        for _ in 0..4 {
            for _ in 0..40 {
                world.step().expect("nothing fails");
            }
            world.crash();
        }
        let files = world.fs.files();
        let contents = files.iter().map(|(path, _)| world.fs.read(path).expect("it is there"));
        (contents.collect::<Vec<_>>(), files)
    };
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed));
    }
}
