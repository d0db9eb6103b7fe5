//! Entries read back from the log while it runs: for a replica that lacks what is not in memory any more.

use std::path::{Path, PathBuf};

use onecopy_core::{Entry, EntryId, GroupId, Write};

use crate::error::OpenError;
use crate::fs::FileSystem;
use crate::record::{self, Record};
use crate::segment::{self, Reader};

/// Where the log has an entry: see [`Log::locate`](crate::Log::locate).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub(crate) group: GroupId,
    /// The segment.
    pub(crate) path: PathBuf,
}

/// Reads entries from segments, beside the log that goes on writing them. It remembers where it was: who
/// reads one piece after the other looks for each once.
#[derive(Debug)]
pub struct Entries<F: FileSystem> {
    fs: F,
    /// The segment that was read last, and where to go on in it for the entry after the last.
    open: Option<Place<F::File>>,
}

#[derive(Debug)]
struct Place<F> {
    file: F,
    location: Location,
    /// The entry after this one begins a record there, unless the segment has ended.
    after: EntryId,
    offset: u64,
}

impl<F: FileSystem> Entries<F> {
    /// From the files of a log.
    #[must_use]
    pub fn new(fs: F) -> Self {
        Self { fs, open: None }
    }

    /// The entry `first`, which must be handed to the operating system, and those behind it in the same
    /// segment: about so many bytes, and at least one. None if it is not there.
    ///
    /// # Errors
    /// The segment cannot be read, or is damaged.
    pub fn read(
        &mut self,
        location: Location,
        first: EntryId,
        bytes_max: usize,
    ) -> Result<Vec<Entry>, OpenError> {
        let resumed = self
            .open
            .take()
            .filter(|place| place.location == location && place.after.index.next() == first.index);
        if let Some(place) = resumed {
            let entries = self.read_from(place, first, bytes_max)?;
            if !entries.is_empty() {
                return Ok(entries);
            }
            // A tail was cut there, and what follows it lies elsewhere.
        }
        let file = self.fs.open(&location.path).map_err(OpenError::io("open", &location.path))?;
        let place = Place { file, location, after: EntryId::ZERO, offset: segment::HEADER as u64 };
        self.read_from(place, first, bytes_max)
    }

    fn read_from(
        &mut self,
        mut place: Place<F::File>,
        first: EntryId,
        bytes_max: usize,
    ) -> Result<Vec<Entry>, OpenError> {
        let Location { group, path } = &place.location;
        let mut reader = Reader::new(&place.file, path)?;
        let seed = reader.segment_header()?.seed();
        let mut found = Found::new(first);
        while found.bytes < bytes_max || found.entries.is_empty() {
            let Some(header) = reader.header(place.offset, seed)? else { break };
            let next = place.offset + record::size(header.length as usize) as u64;
            if header.group == *group && record::holds_entries(header.kind) {
                // One that is being written is none yet.
                let Some(payload) = reader.payload(place.offset, &header)? else { break };
                let record = record::decode(header.kind, payload).map_err(damaged(path, place.offset))?;
                if let Record::Write(Write::Append { entries, .. }) = record {
                    entries.into_iter().for_each(|entry| found.take(entry));
                }
            }
            place.offset = next;
        }
        if let Some(last) = found.entries.last() {
            place.after = last.id;
            self.open = Some(place);
        }
        Ok(found.entries)
    }
}

/// Entries that follow each other from a certain one on.
struct Found {
    first: EntryId,
    entries: Vec<Entry>,
    bytes: usize,
}

impl Found {
    fn new(first: EntryId) -> Self {
        Self { first, entries: Vec::new(), bytes: 0 }
    }

    /// Entries come in the order in which they were written: one takes the place of what was written at its
    /// index before, and of all behind that, since a tail was cut there.
    fn take(&mut self, entry: Entry) {
        let position = entry.id.index.0.checked_sub(self.first.index.0);
        let position = position.map_or(0, |position| usize::try_from(position).unwrap_or(usize::MAX));
        let replaced = self.entries.len().min(position);
        self.bytes -= self.entries.drain(replaced..).map(|entry| entry.size()).sum::<usize>();
        if entry.id == self.first || (position > 0 && position == self.entries.len()) {
            self.bytes += entry.size();
            self.entries.push(entry);
        }
    }
}

fn damaged(path: &Path, offset: u64) -> impl FnOnce(String) -> OpenError + '_ {
    move |reason| OpenError::Damaged { file: path.to_owned(), offset, reason }
}
