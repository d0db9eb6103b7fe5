//! Reading the log after a start: what is there, what a crash explains, and what it does not.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use onecopy_core::{GroupId, Recovered};

use crate::end::End;
use crate::error::OpenError;
use crate::fs::{self, File, FileSystem};
use crate::group::{Group, Replay};
use crate::record::{self, Head, Header, Record};
use crate::segment::{self, Reader, SegmentHeader};

/// How much of the tail is written again at once.
const REWRITE: usize = 1 << 20;

/// What a recovery hands to the log, which goes on from there.
pub(crate) struct Recovery<F> {
    pub(crate) groups: BTreeMap<GroupId, Group>,
    pub(crate) recovered: BTreeMap<GroupId, Recovered>,
    /// Every segment with its size, oldest first; the last one goes on being written.
    pub(crate) segments: VecDeque<(u64, u64)>,
    pub(crate) file: F,
    pub(crate) header: SegmentHeader,
    /// Where the next record goes.
    pub(crate) end: u64,
    /// Up to where the last segment holds zeros after its last record.
    pub(crate) zeroed: u64,
    pub(crate) next_lsn: u64,
    /// Whether the last record is a mark that covers everything before it.
    pub(crate) marked: bool,
    /// Whether the last segment holds nothing but its checkpoint.
    pub(crate) fresh: bool,
    /// Where it is noted how far the log reaches.
    pub(crate) noted: End<F>,
}

/// Reads the log in `directory`; `None` if there is none. On return, all that was read is durable.
pub(crate) fn recover<F: FileSystem>(
    fs: &F,
    directory: &Path,
) -> Result<Option<Recovery<F::File>>, OpenError> {
    fs.create_directory(directory).map_err(OpenError::io("create", directory))?;
    fs::settle(fs, directory).map_err(OpenError::io("clean up", directory))?;
    let numbers = numbers(fs, directory)?;
    let mut headers = Vec::with_capacity(numbers.len());
    for number in &numbers {
        headers.push(read_header(fs, directory, *number)?);
    }
    let noted = End::open(fs, directory)?;
    let Some((newest, sealed)) = headers.split_last() else {
        return match noted {
            None => Ok(None),
            Some(_) => Err(OpenError::MissingLog { directory: directory.to_owned() }),
        };
    };

    let mut replays = Replays::default();
    let mut segments = VecDeque::new();
    let oldest = headers[0].number;
    for (header, next) in sealed.iter().zip(&headers[1..]) {
        let path = segment::path(directory, header.number);
        let file = fs.open(&path).map_err(OpenError::io("open", &path))?;
        let mut scan = Scan::new(&file, &path, *header)?;
        segments.push_back((header.number, scan.reader.size()));
        scan.replay(&mut replays, header.number == oldest)?;
        scan.check_sealed(next.first_lsn)?;
    }

    let path = segment::path(directory, newest.number);
    let file = fs.open(&path).map_err(OpenError::io("open", &path))?;
    let mut scan = Scan::new(&file, &path, *newest)?;
    scan.replay(&mut replays, newest.number == oldest)?;
    scan.check_end(noted.as_ref())?;
    let zeroed = scan.cut_torn_tail()?;
    scan.write_tail_again()?;
    segments.push_back((newest.number, zeroed));
    let Scan { offset: end, lsn: next_lsn, marked, .. } = scan;
    let fresh = next_lsn == newest.first_lsn + 1;
    let (groups, recovered) = replays.finish(&segment::path(directory, oldest))?;
    let header = *newest;
    // A log that was written before there were notes has none.
    let noted = match noted {
        Some(noted) => noted,
        None => {
            End::create(fs, directory, next_lsn - 1).map_err(OpenError::io("note the end in", directory))?
        }
    };
    Ok(Some(Recovery {
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
    }))
}

/// The numbers of the segments that are there, checked to be without gaps.
fn numbers<F: FileSystem>(fs: &F, directory: &Path) -> Result<Vec<u64>, OpenError> {
    let names = fs.list(directory).map_err(OpenError::io("list", directory))?;
    let numbers: Vec<u64> = names.iter().filter_map(|name| segment::number(name)).collect();
    for pair in numbers.windows(2) {
        if pair[0] + 1 != pair[1] {
            return Err(OpenError::MissingSegment { file: segment::path(directory, pair[0] + 1) });
        }
    }
    Ok(numbers)
}

fn read_header<F: FileSystem>(fs: &F, directory: &Path, number: u64) -> Result<SegmentHeader, OpenError> {
    let path = segment::path(directory, number);
    let file = fs.open(&path).map_err(OpenError::io("open", &path))?;
    let header = Reader::new(&file, &path)?.segment_header()?;
    let out_of_range = header.first_lsn == 0 || header.first_lsn > u64::MAX / 2;
    if header.number != number || out_of_range {
        let reason = format!("the header is that of segment {:016x}", header.number);
        return Err(OpenError::Damaged { file: path, offset: 0, reason });
    }
    Ok(header)
}

/// All groups while they are being rebuilt.
#[derive(Default)]
struct Replays(BTreeMap<GroupId, Replay>);

impl Replays {
    fn apply(&mut self, group: GroupId, record: Record, segment: u64, oldest: bool) -> Result<(), String> {
        match record {
            Record::Write(write) => self.0.entry(group).or_default().apply(write, segment)?,
            Record::Forget => drop(self.0.remove(&group)),
            Record::Checkpoint(heads) if oldest => {
                self.0 = heads.into_iter().map(|head| (head.group, Replay::new(head))).collect();
            }
            Record::Checkpoint(heads) => self.check(&heads)?,
            Record::Mark => {}
        }
        Ok(())
    }

    fn check(&self, heads: &[Head]) -> Result<(), String> {
        if heads.len() != self.0.len() {
            let (said, known) = (heads.len(), self.0.len());
            return Err(format!(
                "the checkpoint lists {said} groups, but the records before it have {known}"
            ));
        }
        for head in heads {
            let replay = self.0.get(&head.group);
            replay
                .ok_or_else(|| format!("no record of {} before its checkpoint", head.group))?
                .check(head)?;
        }
        Ok(())
    }

    #[expect(clippy::type_complexity, reason = "one map each for the log and for its caller")]
    fn finish(
        self,
        path: &Path,
    ) -> Result<(BTreeMap<GroupId, Group>, BTreeMap<GroupId, Recovered>), OpenError> {
        let mut groups = BTreeMap::new();
        let mut recovered = BTreeMap::new();
        for (id, replay) in self.0 {
            let damaged = |reason: String| {
                let reason = format!("the log of {id} is incomplete: {reason}");
                OpenError::Damaged { file: path.to_owned(), offset: 0, reason }
            };
            let (group, content) = replay.finish().map_err(damaged)?;
            groups.insert(id, group);
            recovered.insert(id, content);
        }
        Ok((groups, recovered))
    }
}

/// One segment while it is being read.
struct Scan<'a, F> {
    file: &'a F,
    path: &'a Path,
    header: SegmentHeader,
    seed: u32,
    reader: Reader<'a, F>,
    /// Where the next record begins, and which one it is.
    offset: u64,
    lsn: u64,
    /// The highest watermark seen, and the records above it with their offsets.
    synced: u64,
    unsynced: VecDeque<(u64, u64)>,
    marked: bool,
}

impl<'a, F: File> Scan<'a, F> {
    fn new(file: &'a F, path: &'a Path, header: SegmentHeader) -> Result<Self, OpenError> {
        Ok(Self {
            file,
            path,
            header,
            seed: header.seed(),
            reader: Reader::new(file, path)?,
            offset: segment::HEADER as u64,
            lsn: header.first_lsn,
            synced: 0,
            unsynced: VecDeque::new(),
            marked: false,
        })
    }

    /// Applies records up to the first that is not there or not whole.
    fn replay(&mut self, replays: &mut Replays, oldest: bool) -> Result<(), OpenError> {
        while let Some(header) = self.reader.header(self.offset, self.seed)? {
            if header.lsn != self.lsn {
                break;
            }
            let Some(payload) = self.reader.payload(self.offset, &header)? else { break };
            // The checksums are right: what follows is no torn write, but a record that should never have
            // been written, or a log put together from parts of several.
            let record = record::decode(header.kind, payload).map_err(|reason| self.damaged(reason))?;
            let first = self.lsn == self.header.first_lsn;
            if first != matches!(record, Record::Checkpoint(_)) {
                return Err(self.damaged("a checkpoint must be the first record, and no other".to_owned()));
            }
            self.marked = record == Record::Mark && header.synced + 1 == header.lsn;
            replays
                .apply(header.group, record, self.header.number, oldest)
                .map_err(|reason| self.damaged(reason))?;
            self.passed(&header);
        }
        match self.lsn == self.header.first_lsn {
            // The checkpoint was synced before the segment got its name.
            true => Err(self.damaged("the checkpoint at the head of the segment is damaged".to_owned())),
            false => Ok(()),
        }
    }

    fn passed(&mut self, header: &Header) {
        self.unsynced.push_back((self.lsn, self.offset));
        self.synced = self.synced.max(header.synced);
        while self.unsynced.front().is_some_and(|(lsn, _)| *lsn <= self.synced) {
            self.unsynced.pop_front();
        }
        self.offset += record::size(header.length as usize) as u64;
        self.lsn += 1;
    }

    /// A segment with a successor was synced as a whole before the successor was begun.
    fn check_sealed(&self, next_first_lsn: u64) -> Result<(), OpenError> {
        match self.lsn == next_first_lsn {
            true => Ok(()),
            false => Err(self.damaged(format!(
                "record {} is damaged; the segment must go on to record {}, as a newer segment follows it",
                self.lsn,
                next_first_lsn.saturating_sub(1)
            ))),
        }
    }

    /// E5: a log that ends before the record that was noted as synced was not cut short by a crash.
    fn check_end(&self, noted: Option<&End<F>>) -> Result<(), OpenError> {
        let Some(noted) = noted.filter(|noted| noted.lsn() >= self.lsn) else { return Ok(()) };
        Err(self.damaged(format!(
            "record {} is damaged or missing, but the log had been synced through record {}, says {}",
            self.lsn,
            noted.lsn(),
            noted.path().display()
        )))
    }

    /// Decides whether the end of the last segment is a torn tail, and cuts it off, so that nothing of it
    /// comes back once new records have filled the gap. Durable after [`Scan::write_tail_again`]. Returns up
    /// to where there are zeros after the last record.
    fn cut_torn_tail(&mut self) -> Result<u64, OpenError> {
        let (offset, lost) = (self.offset, self.lsn);
        // Whatever was written after a sync says so. A record that claims that the lost one had been synced
        // proves that this is no torn tail, whether or not the rest of that record is intact.
        let witness =
            self.reader.search(offset, self.seed, |header| header.lsn >= lost && header.synced >= lost)?;
        if let Some((at, witness)) = witness {
            return Err(self.damaged(format!(
                "record {lost} is damaged, but it had been synced: record {} at byte {at} was written after that",
                witness.lsn
            )));
        }
        if self.reader.is_zero_from(offset)? {
            return Ok(self.reader.size().max(offset));
        }
        self.file.set_size(offset).map_err(OpenError::io("cut the torn tail of", self.path))?;
        Ok(offset)
    }

    /// Writes again what was read but is not known to have been synced. If the process before this one died
    /// of a failed sync, the page cache may show bytes that are not on the disk, and that no sync would
    /// write. Syncs, size and all.
    fn write_tail_again(&self) -> Result<(), OpenError> {
        let mut offset = self.unsynced.front().map_or(self.offset, |(_, offset)| *offset);
        let mut buffer = vec![0; REWRITE.min((self.offset - offset) as usize)];
        while offset < self.offset {
            let count = buffer.len().min((self.offset - offset) as usize);
            let bytes = &mut buffer[..count];
            let count = self.file.read_at(bytes, offset).map_err(OpenError::io("read", self.path))?;
            if count == 0 {
                break; // Only the padding of the last record is not there.
            }
            self.file.write_at(&bytes[..count], offset).map_err(OpenError::io("write", self.path))?;
            offset += count as u64;
        }
        self.file.sync_all().map_err(OpenError::io("sync", self.path))
    }

    fn damaged(&self, reason: String) -> OpenError {
        OpenError::Damaged { file: self.path.to_owned(), offset: self.offset, reason }
    }
}
