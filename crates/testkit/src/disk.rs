//! What survives a crash: the log of one process, and its newest image.

use bytes::{Buf, BufMut, Bytes};
use onecopy_core::chunks::{CHUNK, Chunk};
use onecopy_core::{Entry, EntryId, Index, Recovered, Timestamp, Write};

use crate::Machine;

/// A snapshot of the state machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// The last entry that it covers.
    pub snapshot: EntryId,
    /// The time of that entry.
    pub time: Timestamp,
    /// What the protocol keeps with it, encoded.
    pub extra: Bytes,
    /// The state.
    pub machine: Machine,
}

impl Image {
    /// The length of what precedes the extra bytes.
    const HEADER: usize = 40;

    /// How many bytes it has that mean something.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (Self::HEADER + self.extra.len()) as u64
    }

    /// As bytes, of which the last `padding` mean nothing: images have several chunks that way.
    fn encode(&self, padding: usize) -> Bytes {
        let mut bytes = Vec::with_capacity(Self::HEADER + self.extra.len() + padding);
        bytes.put_u64_le(self.snapshot.index.0);
        bytes.put_u64_le(self.snapshot.epoch.0);
        bytes.put_u64_le(self.time.0);
        bytes.put_u64_le(self.machine.digest);
        bytes.put_u64_le(self.extra.len() as u64);
        bytes.put_slice(&self.extra);
        bytes.resize(bytes.len() + padding, 0);
        Bytes::from(bytes)
    }

    /// The image that these bytes are, if they are one with so much padding.
    #[must_use]
    pub fn decode(mut bytes: &[u8], padding: usize) -> Option<Self> {
        if bytes.len() < Self::HEADER {
            return None;
        }
        let snapshot = EntryId::new(bytes.get_u64_le(), bytes.get_u64_le());
        let time = Timestamp(bytes.get_u64_le());
        let machine = Machine { applied: snapshot, time, digest: bytes.get_u64_le() };
        let length = usize::try_from(bytes.get_u64_le()).ok()?;
        let (extra, rest) = bytes.split_at_checked(length)?;
        let extra = Bytes::copy_from_slice(extra);
        (rest.len() == padding).then_some(Self { snapshot, time, extra, machine })
    }
}

/// The durable data of a process.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// What a start finds of the log.
    pub log: Recovered,
    /// The newest image.
    pub image: Image,
}

impl Disk {
    /// Makes writes durable.
    ///
    /// # Panics
    /// When the protocol must not have asked for them.
    pub fn write(&mut self, writes: Vec<Write>) {
        for write in writes {
            self.write_one(write);
        }
    }

    fn write_one(&mut self, write: Write) {
        let log = &mut self.log;
        match write {
            Write::State(state) => log.state = Some(state),
            Write::Append { entries, commit } => {
                let last = log.entries.last().map_or(log.base, |entry| entry.id);
                assert_eq!(entries[0].id.index, last.index.next(), "entries are written without gaps");
                log.entries.extend(entries);
                log.commit = log.commit.max(commit);
            }
            Write::Cut { from } => {
                assert!(from > log.commit, "the committed {from} is cut");
                log.entries.retain(|entry| entry.id.index < from);
            }
            Write::Compact { through } => {
                assert!(through.index <= self.image.snapshot.index, "{through} is in no snapshot");
                self.begin_after(through);
            }
            Write::Install { snapshot } => {
                // A newer one may have been taken since.
                assert!(snapshot.index <= self.image.snapshot.index, "what is installed is on disk");
                log.entries.clear();
                log.base = snapshot;
                log.commit = snapshot.index;
            }
            Write::Forget => panic!("no protocol forgets its group"),
        }
    }

    fn begin_after(&mut self, through: EntryId) {
        let log = &mut self.log;
        log.entries.retain(|entry| entry.id.index > through.index);
        log.base = through;
        log.commit = log.commit.max(through.index);
    }

    /// Makes an image durable.
    pub fn keep(&mut self, image: Image) {
        if image.snapshot.index > self.image.snapshot.index {
            self.image = image;
        }
    }

    /// Reads a piece of an image, which was encoded with so much padding; `None` if it is gone.
    #[must_use]
    pub fn read(&self, snapshot: EntryId, offset: u64, padding: usize) -> Option<Chunk> {
        if self.image.snapshot != snapshot {
            return None;
        }
        let bytes = self.image.encode(padding);
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = (start + CHUNK).min(bytes.len());
        let (data, last) = (bytes.slice(start..end), end == bytes.len());
        Some(Chunk { snapshot, time: self.image.time, offset, data, last })
    }

    /// Entries of the log from this one on, as many as fit into so many bytes, but at least that one; none if
    /// it is not there.
    #[must_use]
    pub fn entries(&self, first: EntryId, bytes_max: usize) -> Vec<Entry> {
        let behind = self.log.entries.iter().skip_while(|entry| entry.id != first);
        let mut bytes = 0;
        let fits = behind.take_while(|entry| {
            bytes += entry.size();
            entry.id == first || bytes <= bytes_max
        });
        fits.cloned().collect()
    }

    /// What a restarted process finds. A snapshot that is newer than the log's base takes its place, with the
    /// entries after it only if the log agrees with it.
    pub fn recover(&mut self) -> (Recovered, Image) {
        let snapshot = self.image.snapshot;
        if snapshot.index > self.log.base.index {
            if !self.log.entries.iter().any(|entry| entry.id == snapshot) {
                self.log.entries.clear();
            }
            self.begin_after(snapshot);
        }
        (self.log.clone(), self.image.clone())
    }

    /// Makes up a log, as a test wants it.
    pub fn make_up(&mut self, state: Bytes, entries: Vec<Entry>, commit: Index) {
        self.log = Recovered { state: Some(state), base: EntryId::ZERO, entries, commit };
    }
}
