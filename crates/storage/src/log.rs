//! The log while it runs: appending, handing over, syncing, starting and dropping segments.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use onecopy_core::{GroupId, Index, Recovered, Write};

use crate::end::End;
use crate::entries::Location;
use crate::error::{LogError, OpenError};
use crate::fs::{self, File, FileSystem};
use crate::group::Group;
use crate::record::{self, Buffer, Encoder};
use crate::recovery::{self, Recovery};
use crate::segment::{self, SegmentHeader};

/// The directory of the log within the data directory.
pub const DIRECTORY: &str = "log";

/// What to do when the directory holds no log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Start an empty one.
    Create,
    /// Refuse: there was one before.
    Refuse,
}

/// How the log is laid out.
#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// A segment that would grow beyond this many bytes is followed by a new one. A single record may be
    /// larger.
    pub segment_bytes: u64,
    /// When small writes reach the end of the file, this many bytes of zeros are written ahead of them, so
    /// that most syncs find the blocks allocated and the size unchanged, and cost one disk write instead of a
    /// transaction of the file system. More makes the sync that writes them slower. 0 switches it off.
    pub zero_ahead_bytes: u64,
    /// Payloads of entries that are larger are handed to the operating system as they are, each with a write
    /// of its own, instead of being copied into one with the rest.
    pub copied_bytes_max: usize,
    /// A random number, drawn at every start. It goes into the checksums, so that no client can store a value
    /// that looks like a record of the log.
    pub salt: u64,
    /// What to do when there is no log.
    pub missing: Missing,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            zero_ahead_bytes: 256 << 10,
            copied_bytes_max: 64 << 10,
            salt: 0,
            missing: Missing::Create,
        }
    }
}

/// What the log is made of, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// How many segments there are.
    pub segments: u64,
    /// How many bytes they occupy, zeros written ahead included.
    pub bytes: u64,
    /// How many groups have something in the log.
    pub groups: u64,
    /// The number of the last record that was appended.
    pub lsn_appended: u64,
    /// The number of the last record that was handed to the operating system.
    pub lsn_flushed: u64,
    /// The number of the last record that is known to be durable.
    pub lsn_synced: u64,
    /// How many syncs this process has made.
    pub syncs: u64,
    /// How many bytes of records this process has handed to the operating system.
    pub bytes_flushed: u64,
    /// How many zeros it has written ahead of them.
    pub bytes_zeroed: u64,
}

/// The durable log of a node, shared by all its groups. See the crate's documentation.
///
/// Guaranteed after every operation:
/// 1. `lsn_synced <= lsn_flushed <= lsn_appended`;
/// 2. every segment but the newest is synced as a whole;
/// 3. every entry after its group's base lies in a segment that is there.
#[derive(Debug)]
pub struct Log<F: FileSystem> {
    fs: F,
    directory: PathBuf,
    options: LogOptions,
    groups: BTreeMap<GroupId, Group>,
    /// Every segment with its size, oldest first; the last one is written.
    segments: VecDeque<(u64, u64)>,
    /// Shared with syncs that are under way.
    file: Arc<F::File>,
    path: PathBuf,
    seed: u32,
    /// Records that were not handed to the operating system yet.
    buffer: Buffer,
    /// Where the buffer goes, up to where the file holds zeros after that, and up to where it is synced.
    end: u64,
    zeroed: u64,
    synced_end: u64,
    next_lsn: u64,
    flushed: u64,
    synced: u64,
    /// The newest segment holds only its checkpoint.
    fresh: bool,
    /// The last record is a mark that covers all before it.
    marked: bool,
    /// Something in the file was not synced.
    dirty: bool,
    /// A sync is under way that [`Log::begin_sync`] began.
    syncing: bool,
    /// How far the log reaches for certain, noted apart from it. Shared with syncs that are under way.
    noted: Arc<Mutex<End<F::File>>>,
    failure: Option<LogError>,
    syncs: u64,
    bytes_flushed: u64,
    bytes_zeroed: u64,
}

impl<F: FileSystem> Log<F> {
    /// Opens the log of a data directory, and returns what each group finds in it. Everything that is
    /// returned is durable. The caller holds the lock of the data directory.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] and its kin if something that was synced is not there any more; nothing is
    /// changed on the disk then.
    pub fn open(
        fs: F,
        data_directory: &Path,
        options: LogOptions,
    ) -> Result<(Self, BTreeMap<GroupId, Recovered>), OpenError> {
        let directory = data_directory.join(DIRECTORY);
        match recovery::recover(&fs, &directory)? {
            Some(Recovery {
                groups,
                recovered,
                segments,
                file,
                header,
                end,
                zeroed,
                next_lsn,
                marked,
                fresh,
                noted,
            }) => {
                let path = segment::path(&directory, header.number);
                let log = Self {
                    fs,
                    directory,
                    options,
                    groups,
                    segments,
                    file: Arc::new(file),
                    path,
                    seed: header.seed(),
                    buffer: Buffer::default(),
                    end,
                    zeroed,
                    synced_end: end,
                    next_lsn,
                    flushed: next_lsn - 1,
                    synced: next_lsn - 1,
                    fresh,
                    marked,
                    dirty: false,
                    syncing: false,
                    noted: Arc::new(Mutex::new(noted)),
                    failure: None,
                    syncs: 0,
                    bytes_flushed: 0,
                    bytes_zeroed: 0,
                };
                Ok((log, recovered))
            }
            None if options.missing == Missing::Refuse => Err(OpenError::MissingLog { directory }),
            None => Ok((Self::create(fs, directory, options)?, BTreeMap::new())),
        }
    }

    fn create(fs: F, directory: PathBuf, options: LogOptions) -> Result<Self, OpenError> {
        let groups = BTreeMap::new();
        let (number, lsn) = (1, 1);
        let path = segment::path(&directory, number);
        let segment = start_segment(&fs, &directory, number, lsn, options.salt, &groups)
            .map_err(OpenError::io("create", &path))?;
        let noted =
            End::create(&fs, &directory, lsn).map_err(OpenError::io("note the end in", &directory))?;
        Ok(Self {
            fs,
            directory,
            options,
            groups,
            segments: VecDeque::from([(number, segment.end)]),
            file: Arc::new(segment.file),
            path,
            seed: segment.seed,
            buffer: Buffer::default(),
            end: segment.end,
            zeroed: segment.end,
            synced_end: segment.end,
            next_lsn: lsn + 1,
            flushed: lsn,
            synced: lsn,
            fresh: true,
            marked: false,
            dirty: false,
            syncing: false,
            noted: Arc::new(Mutex::new(noted)),
            failure: None,
            syncs: 0,
            bytes_flushed: 0,
            bytes_zeroed: 0,
        })
    }

    /// Takes a write of a group. It is handed to the operating system by [`Log::flush`] and durable after
    /// [`Log::sync`]. May start a new segment, which syncs everything before.
    ///
    /// # Errors
    /// [`LogError::TooLarge`] leaves the log as it was; any other error closes it.
    ///
    /// # Panics
    /// If the write contradicts the ones before it (a gap, a cut into the snapshot): a protocol with such a
    /// bug must not spoil what is on the disk.
    pub fn append(&mut self, group: GroupId, write: &Write) -> Result<(), LogError> {
        self.check()?;
        check_size(write)?;
        match write {
            Write::State(state) => {
                self.put(group, state.len(), write, |encoder| encoder.state(group, state))?;
            }
            Write::Append { entries, commit } => {
                for chunk in record::append_chunks(entries) {
                    self.make_room(record::append_size(chunk))?;
                    let segment = self.number();
                    let known = self.groups.entry(group).or_default();
                    contradiction(group, known.append(chunk, *commit, segment));
                    self.encode(|encoder| encoder.append(group, chunk, *commit));
                }
            }
            Write::Cut { from } => self.put(group, 8, write, |encoder| encoder.cut(group, *from))?,
            Write::Compact { through } => {
                self.put(group, 16, write, |encoder| encoder.compact(group, *through))?;
            }
            Write::Install { snapshot } => {
                self.put(group, 16, write, |encoder| encoder.install(group, *snapshot))?;
            }
            Write::Forget => return self.forget(group),
        }
        Ok(())
    }

    /// Hands everything that was appended to the operating system, in one write, but for large entries
    /// ([`LogOptions::copied_bytes_max`]). It then survives the end of the
    /// process, but not that of the machine.
    ///
    /// # Errors
    /// Any error closes the log.
    pub fn flush(&mut self) -> Result<(), LogError> {
        self.check()?;
        let result = self.write_buffer();
        self.remember(result)
    }

    /// Makes everything durable that was appended: one sync for all of it.
    ///
    /// # Errors
    /// Any error closes the log, and nothing since the last successful sync may be called durable.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.check()?;
        let result = self.write_buffer().and_then(|()| self.sync_file());
        self.remember(result)
    }

    /// Begins a sync of everything that was handed to the operating system, for a caller that wants to append
    /// meanwhile: [`Syncing::run`] does it, without the log, and [`Log::end_sync`] takes the outcome. It also
    /// notes how far the log is synced then, as [`Log::note_end`] does. `None` if all that is done.
    ///
    /// In between, the log may only be appended to, as far as [`Log::has_room`], and flushed: it panics when
    /// it must sync, since the operating system reports a failure to one of two syncs only.
    ///
    /// # Errors
    /// [`LogError::Poisoned`].
    pub fn begin_sync(&mut self) -> Result<Option<Syncing<F::File>>, LogError> {
        self.check()?;
        if !self.dirty && lock(&self.noted).lsn() >= self.synced {
            return Ok(None);
        }
        self.syncing = true;
        let (file, noted) = (self.file.clone(), self.noted.clone());
        Ok(Some(Syncing { file, noted, lsn: self.flushed, end: self.end }))
    }

    /// Ends a sync that [`Log::begin_sync`] began.
    ///
    /// # Errors
    /// The outcome's, if it is one: it closes the log, as an error of [`Log::sync`] does.
    pub fn end_sync(
        &mut self,
        syncing: &Syncing<F::File>,
        outcome: std::io::Result<()>,
    ) -> Result<(), LogError> {
        self.syncing = false;
        self.check()?;
        let result = outcome.map_err(LogError::io("sync", &self.path, self.end));
        self.remember(result)?;
        self.syncs += 1;
        self.dirty = syncing.lsn != self.flushed;
        (self.synced, self.synced_end) = (syncing.lsn, syncing.end);
        Ok(())
    }

    /// Whether these writes go into the newest segment: [`Log::append`] then does nothing that takes long.
    #[must_use]
    pub fn has_room(&self, writes: &[Write]) -> bool {
        let bytes = self.buffer.len() + writes.iter().map(record::size_of_write).sum::<usize>();
        self.end + bytes as u64 <= self.options.segment_bytes
    }

    /// How many bytes were handed to the operating system since the last sync.
    #[must_use]
    pub fn unsynced_bytes(&self) -> u64 {
        self.end - self.synced_end
    }

    /// Syncs, and then records durably that everything was synced and where the log ends, unless that is said
    /// already.
    ///
    /// The last batch before a power failure cannot be told from a torn tail if it is damaged later: nothing
    /// after it says that it had been synced. This closes that window; call it when there is nothing else to
    /// do.
    ///
    /// # Errors
    /// As [`Log::sync`].
    pub fn mark(&mut self) -> Result<(), LogError> {
        self.sync()?;
        if !self.marked {
            self.make_room(0)?;
            self.encode(|encoder| encoder.mark());
            self.marked = true;
            self.sync()?;
        }
        self.note_end()
    }

    /// Notes durably how far the log is synced: a start that finds less of it refuses (rule E5). Costs a sync
    /// of another file, with the log: whoever wants to append meanwhile lets [`Log::begin_sync`] do it.
    ///
    /// # Errors
    /// Any error closes the log.
    pub fn note_end(&mut self) -> Result<(), LogError> {
        self.check()?;
        let result = self.note_synced();
        self.remember(result)
    }

    /// Ends the log in good order: as [`Log::mark`].
    ///
    /// # Errors
    /// As [`Log::sync`].
    pub fn close(mut self) -> Result<(), LogError> {
        self.mark()
    }

    /// Drops everything that the log holds of a group, durably: a later recovery does not know the group.
    ///
    /// # Errors
    /// As [`Log::sync`].
    pub fn forget(&mut self, group: GroupId) -> Result<(), LogError> {
        self.check()?;
        if !self.groups.contains_key(&group) {
            return Ok(());
        }
        self.make_room(0)?;
        self.groups.remove(&group);
        self.encode(|encoder| encoder.forget(group));
        self.sync()
    }

    /// Removes the segments that no group needs any more, oldest first. Marks first if there is one, so that
    /// what made it superfluous is durable for certain. Also done whenever a segment is started. Returns how
    /// many were removed.
    ///
    /// # Errors
    /// Any error closes the log.
    pub fn reclaim(&mut self) -> Result<u64, LogError> {
        self.check()?;
        if self.segments.front().is_none_or(|(oldest, _)| *oldest >= self.oldest_needed()) {
            return Ok(0);
        }
        let before = self.segments.len();
        // Not only synced but marked: once the segments are gone, damage to the record that released them
        // must not pass for a torn tail.
        self.mark()?;
        let result = self.remove_segments();
        self.remember(result)?;
        Ok((before - self.segments.len()) as u64)
    }

    /// The groups that need a segment older than the `segments_kept` newest, with the number of bytes from
    /// the oldest that they need on. Once each of them has compacted, [`Log::reclaim`] leaves at most that
    /// many.
    #[must_use]
    pub fn pinned_groups(&self, segments_kept: u64) -> Vec<(GroupId, u64)> {
        let oldest_kept = self.number().saturating_sub(segments_kept.max(1) - 1);
        let bytes_from = |oldest: u64| -> u64 {
            self.segments.iter().filter(|(number, _)| *number >= oldest).map(|(_, size)| size).sum()
        };
        let oldest = self.groups.iter().filter_map(|(id, group)| Some((*id, group.oldest_segment()?)));
        let pinning = oldest.filter(|(_, oldest)| *oldest < oldest_kept);
        pinning.map(|(id, oldest)| (id, bytes_from(oldest))).collect()
    }

    /// Where an entry of a group lies, for [`Entries::read`](crate::Entries::read); `None` if the log does
    /// not hold it any more.
    #[must_use]
    pub fn locate(&self, group: GroupId, index: Index) -> Option<Location> {
        let segment = self.groups.get(&group)?.segment_of(index)?;
        Some(Location { group, path: segment::path(&self.directory, segment) })
    }

    /// What the log is made of.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            segments: self.segments.len() as u64,
            bytes: self.segments.iter().map(|(_, size)| size).sum(),
            groups: self.groups.len() as u64,
            lsn_appended: self.next_lsn - 1,
            lsn_flushed: self.flushed,
            lsn_synced: self.synced,
            syncs: self.syncs,
            bytes_flushed: self.bytes_flushed,
            bytes_zeroed: self.bytes_zeroed,
        }
    }

    /// How many bytes were appended since the last [`Log::flush`].
    #[must_use]
    pub fn unflushed_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The index of the last entry of a group, or of its base; `None` if the log has nothing of it.
    #[must_use]
    pub fn last_index(&self, group: GroupId) -> Option<Index> {
        self.groups.get(&group).map(|group| group.last)
    }

    fn number(&self) -> u64 {
        self.segments.back().map_or(0, |(number, _)| *number)
    }

    fn put(
        &mut self,
        group: GroupId,
        payload: usize,
        write: &Write,
        encode: impl FnOnce(&mut Encoder<'_>),
    ) -> Result<(), LogError> {
        self.make_room(payload)?;
        let segment = self.number();
        contradiction(group, self.groups.entry(group).or_default().apply(write, segment));
        self.encode(encode);
        Ok(())
    }

    fn encode(&mut self, encode: impl FnOnce(&mut Encoder<'_>)) {
        let (seed, lsn, synced) = (self.seed, self.next_lsn, self.synced);
        let copied_max = self.options.copied_bytes_max;
        let mut encoder = Encoder { buffer: &mut self.buffer, copied_max, seed, lsn, synced };
        encode(&mut encoder);
        self.next_lsn = encoder.lsn;
        self.fresh = false;
        self.marked = false;
    }

    /// Starts a new segment if the next record does not fit. A segment takes at least one record, however
    /// large.
    fn make_room(&mut self, payload: usize) -> Result<(), LogError> {
        let end = self.end + (self.buffer.len() + record::size(payload)) as u64;
        if self.fresh || end <= self.options.segment_bytes {
            return Ok(());
        }
        let result = self.start_next_segment();
        self.remember(result)
    }

    fn start_next_segment(&mut self) -> Result<(), LogError> {
        // A segment with a successor is whole: recovery refuses damage in it without further questions.
        self.write_buffer()?;
        self.sync_file()?;
        let (number, lsn) = (self.number() + 1, self.next_lsn);
        let path = segment::path(&self.directory, number);
        let segment = start_segment(&self.fs, &self.directory, number, lsn, self.options.salt, &self.groups)
            .map_err(LogError::io("create", &path, 0))?;
        self.segments.push_back((number, segment.end));
        (self.file, self.path, self.seed) = (Arc::new(segment.file), path, segment.seed);
        (self.end, self.zeroed, self.synced_end) = (segment.end, segment.end, segment.end);
        self.next_lsn = lsn + 1;
        (self.flushed, self.synced) = (lsn, lsn);
        self.fresh = true;
        // Before anything is removed: the newest segment must be missed from now on.
        self.note_synced()?;
        self.remove_segments()
    }

    fn oldest_needed(&self) -> u64 {
        let needed = self.groups.values().filter_map(Group::oldest_segment).min();
        needed.unwrap_or(u64::MAX).min(self.number())
    }

    /// Only when all that was appended is synced: a segment is superfluous because of records in newer ones.
    fn remove_segments(&mut self) -> Result<(), LogError> {
        assert_eq!(
            self.synced + 1,
            self.next_lsn,
            "log: what makes a segment superfluous must be durable first"
        );
        let needed = self.oldest_needed();
        while let Some((number, _)) = self.segments.front().copied()
            && number < needed
        {
            let path = segment::path(&self.directory, number);
            self.fs.remove(&path).map_err(LogError::io("remove", &path, 0))?;
            // One by one, as a gap in the middle would be taken for a loss.
            let synced = self.fs.sync_directory(&self.directory);
            synced.map_err(LogError::io("sync", &self.directory, 0))?;
            self.segments.pop_front();
        }
        Ok(())
    }

    fn write_buffer(&mut self) -> Result<(), LogError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let end = self.end + self.buffer.len() as u64;
        self.zero_ahead(end)?;
        self.dirty = true;
        let mut at = self.end;
        for piece in self.buffer.pieces() {
            self.file.write_at(piece, at).map_err(LogError::io("write", &self.path, at))?;
            at += piece.len() as u64;
        }
        self.bytes_flushed += self.buffer.len() as u64;
        self.buffer.clear();
        self.end = end;
        self.zeroed = self.zeroed.max(end);
        self.flushed = self.next_lsn - 1;
        self.note_size();
        Ok(())
    }

    /// Writes zeros beyond `end` when the file is used up, unless so much is written at once that the cost of
    /// growing it does not matter.
    fn zero_ahead(&mut self, end: u64) -> Result<(), LogError> {
        let ahead = self.options.zero_ahead_bytes;
        if end <= self.zeroed || ahead == 0 || self.buffer.len() as u64 > ahead / 16 {
            return Ok(());
        }
        let target = end.next_multiple_of(ahead).min(self.options.segment_bytes.max(end));
        let zeros = vec![0; (target - self.zeroed) as usize];
        self.dirty = true;
        self.file.write_at(&zeros, self.zeroed).map_err(LogError::io("write", &self.path, self.zeroed))?;
        self.bytes_zeroed += zeros.len() as u64;
        self.zeroed = target;
        Ok(())
    }

    fn sync_file(&mut self) -> Result<(), LogError> {
        assert!(self.buffer.is_empty(), "log: a sync must cover everything that was appended");
        assert!(!self.syncing, "log: of two syncs at a time, one would not hear of a failure");
        if self.dirty {
            self.file.sync_data().map_err(LogError::io("sync", &self.path, self.end))?;
            self.syncs += 1;
            self.dirty = false;
        }
        (self.synced, self.synced_end) = (self.flushed, self.end);
        Ok(())
    }

    fn note_synced(&mut self) -> Result<(), LogError> {
        let mut noted = lock(&self.noted);
        if noted.lsn() < self.synced {
            noted.note(self.synced).map_err(LogError::io("note the end in", noted.path(), 0))?;
        }
        Ok(())
    }

    fn note_size(&mut self) {
        if let Some((_, size)) = self.segments.back_mut() {
            *size = self.zeroed;
        }
    }

    fn check(&self) -> Result<(), LogError> {
        match &self.failure {
            None => Ok(()),
            Some(cause) => Err(LogError::Poisoned { cause: Box::new(cause.clone()) }),
        }
    }

    /// Remembers the first failure: from then on, nothing is accepted.
    fn remember<T>(&mut self, result: Result<T, LogError>) -> Result<T, LogError> {
        if let Err(error) = &result
            && self.failure.is_none()
        {
            self.failure = Some(error.clone());
        }
        result
    }
}

/// A sync that is under way while the log goes on, see [`Log::begin_sync`].
#[derive(Debug)]
pub struct Syncing<F> {
    file: Arc<F>,
    noted: Arc<Mutex<End<F>>>,
    /// What it covers.
    lsn: u64,
    end: u64,
}

impl<F: File> Syncing<F> {
    /// Syncs, and notes that. The outcome is for [`Log::end_sync`], whatever it is.
    ///
    /// # Errors
    /// Those of [`File::sync_data`] and [`File::write_at`].
    pub fn run(&self) -> std::io::Result<()> {
        self.file.sync_data()?;
        lock(&self.noted).note(self.lsn)
    }
}

fn lock<F>(noted: &Mutex<End<F>>) -> MutexGuard<'_, End<F>> {
    noted.lock().expect("nobody panics with the note of the end")
}

struct Started<F> {
    file: F,
    seed: u32,
    end: u64,
}

/// Makes a segment that holds a checkpoint. It gets its name only when its content is durable, so that a
/// segment with that name and a damaged head is never the work of a crash.
fn start_segment<F: FileSystem>(
    fs: &F,
    directory: &Path,
    number: u64,
    lsn: u64,
    salt: u64,
    groups: &BTreeMap<GroupId, Group>,
) -> std::io::Result<Started<F::File>> {
    let header = SegmentHeader { number, first_lsn: lsn, salt };
    let mut buffer = Buffer::default();
    let mut encoder =
        Encoder { buffer: &mut buffer, copied_max: 0, seed: header.seed(), lsn, synced: lsn - 1 };
    let heads = groups.iter();
    encoder.checkpoint(
        heads.map(|(id, group)| (*id, group.base, group.last, group.commit, group.state.as_ref())),
    );
    let header_bytes = header.encode();
    let bytes: Vec<u8> =
        std::iter::once(&header_bytes[..]).chain(buffer.pieces()).flatten().copied().collect();
    let path = segment::path(directory, number);
    fs::replace(fs, &path, &bytes)?;
    Ok(Started { file: fs.open(&path)?, seed: header.seed(), end: bytes.len() as u64 })
}

fn check_size(write: &Write) -> Result<(), LogError> {
    let bytes = match write {
        Write::State(state) => state.len(),
        Write::Append { entries, .. } => {
            entries.iter().map(|entry| record::append_size(std::slice::from_ref(entry))).max().unwrap_or(0)
        }
        Write::Cut { .. } | Write::Compact { .. } | Write::Install { .. } | Write::Forget => 0,
    };
    match bytes > record::PAYLOAD_MAX {
        true => Err(LogError::TooLarge { bytes: bytes as u64, bytes_max: record::PAYLOAD_MAX as u64 }),
        false => Ok(()),
    }
}

fn contradiction(group: GroupId, result: Result<(), String>) {
    if let Err(reason) = result {
        panic!("log: {group} asks for a write that contradicts what it wrote before: {reason}");
    }
}
