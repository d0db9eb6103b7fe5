//! The durable data of a member, and the state machine whose images it keeps.

use bytes::{Buf, BufMut, Bytes};
use onecopy_core::transfer::{CHUNK, Chunk};
use onecopy_core::{Entry, EntryId, Index, Recovered, Timestamp, Write};
use onecopy_raft::Configuration;

/// A state machine that remembers only what tells histories apart: a digest of all entries that it applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    pub applied: EntryId,
    pub time: Timestamp,
    pub digest: u64,
}

impl Machine {
    pub fn apply(&mut self, entry: &Entry) {
        assert_eq!(entry.id.index, self.applied.index.next(), "entries are applied once, in order");
        assert!(entry.time >= self.time, "time goes back at {}", entry.id);
        self.applied = entry.id;
        self.time = entry.time;
        self.digest = chain(self.digest, entry);
    }
}

/// FNV-1a over what an entry is, continued from the digest of all before.
pub fn chain(digest: u64, entry: &Entry) -> u64 {
    let numbers = [entry.id.index.0, entry.id.epoch.0, entry.time.0, entry.seed];
    let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
    bytes.chain(entry.payload.iter().copied()).fold(digest ^ 0xcbf2_9ce4_8422_2325, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A snapshot of the state machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    pub snapshot: EntryId,
    pub time: Timestamp,
    pub configuration: Configuration,
    pub machine: Machine,
}

impl Image {
    fn encode(&self, padding: usize) -> Bytes {
        let configuration = self.configuration.encode();
        let mut bytes = Vec::new();
        bytes.put_u64_le(self.snapshot.index.0);
        bytes.put_u64_le(self.snapshot.epoch.0);
        bytes.put_u64_le(self.time.0);
        bytes.put_u64_le(self.machine.digest);
        bytes.put_u64_le(configuration.len() as u64);
        bytes.put_slice(&configuration);
        bytes.resize(bytes.len() + padding, 0);
        Bytes::from(bytes)
    }

    pub fn decode(mut bytes: &[u8], padding: usize) -> Option<Self> {
        if bytes.len() < 40 {
            return None;
        }
        let snapshot = EntryId::new(bytes.get_u64_le(), bytes.get_u64_le());
        let time = Timestamp(bytes.get_u64_le());
        let machine = Machine { applied: snapshot, time, digest: bytes.get_u64_le() };
        let (configuration, rest) = bytes[8..].split_at_checked(bytes.get_u64_le() as usize)?;
        let configuration = Configuration::decode(&Bytes::copy_from_slice(configuration)).ok()?;
        (rest.len() == padding).then_some(Self { snapshot, time, configuration, machine })
    }
}

/// What survives a crash.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    pub log: Recovered,
    pub image: Image,
}

impl Disk {
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

    /// Reads a piece of an image; `None` if it is gone.
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
