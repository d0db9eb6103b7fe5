//! Where the log ends, at the least: noted apart from the log, so that a log that was shortened while nobody
//! looked is damaged, and not short (rule E5).
//!
//! The note says through which record the log has been synced. That stays true for ever, so it is never
//! withdrawn: a start whose log ends earlier refuses. It stands in two slots, in disk sectors of their own,
//! which are written in turn: a torn write spoils one, and leaves the note before it.

use std::path::{Path, PathBuf};

use bytes::Buf;

use crate::error::OpenError;
use crate::fs::{self, File, FileSystem};

/// The name of the file within the directory of the log.
pub(crate) const FILE: &str = "end";

const MAGIC: [u8; 8] = *b"1copyend";
const VERSION: u32 = 1;
const SLOT: usize = 64;
/// Where the slots begin: no sector, and no page, holds both.
const SLOTS: [u64; 2] = [0, 4096];

/// The note of a log that is open.
#[derive(Debug)]
pub(crate) struct End<F> {
    file: F,
    path: PathBuf,
    /// The log is synced through this record.
    lsn: u64,
    /// Which slot is written next.
    next: usize,
}

impl<F: File> End<F> {
    /// Notes, for a log that has no note yet, that it is synced through `lsn`. Durable on return.
    pub(crate) fn create<S: FileSystem<File = F>>(
        fs: &S,
        directory: &Path,
        lsn: u64,
    ) -> std::io::Result<Self> {
        let path = path(directory);
        // Both slots are there from the beginning, so that a note never changes the size of the file.
        let mut bytes = vec![0; SLOTS[1] as usize + SLOT];
        bytes[..SLOT].copy_from_slice(&encode(lsn));
        fs::replace(fs, &path, &bytes)?;
        Ok(Self { file: fs.open(&path)?, path, lsn, next: 1 })
    }

    /// Opens the note in the directory of a log; `None` if there is none.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] if neither slot can be read: no crash explains that.
    pub(crate) fn open<S: FileSystem<File = F>>(fs: &S, directory: &Path) -> Result<Option<Self>, OpenError> {
        let names = fs.list(directory).map_err(OpenError::io("list", directory))?;
        if !names.iter().any(|name| name == FILE) {
            return Ok(None);
        }
        let path = path(directory);
        let file = fs.open(&path).map_err(OpenError::io("open", &path))?;
        let mut newest = None;
        for (slot, offset) in SLOTS.into_iter().enumerate() {
            let mut bytes = [0; SLOT];
            let count = file.read_at(&mut bytes, offset).map_err(OpenError::io("read", &path))?;
            let lsn = decode(&bytes[..count], &path)?;
            newest = newest.max(lsn.map(|lsn| (lsn, slot)));
        }
        let Some((lsn, slot)) = newest else {
            let reason = "it does not say any more where the log ends".to_owned();
            return Err(OpenError::Damaged { file: path, offset: 0, reason });
        };
        Ok(Some(Self { file, path, lsn, next: 1 - slot }))
    }

    /// Through which record the log is synced for certain.
    pub(crate) fn lsn(&self) -> u64 {
        self.lsn
    }

    /// The file, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Notes that the log is synced through `lsn`. Durable on return.
    pub(crate) fn note(&mut self, lsn: u64) -> std::io::Result<()> {
        self.file.write_at(&encode(lsn), SLOTS[self.next])?;
        self.file.sync_data()?;
        self.lsn = lsn;
        self.next = 1 - self.next;
        Ok(())
    }
}

fn path(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

fn encode(lsn: u64) -> [u8; SLOT] {
    let mut bytes = [0; SLOT];
    bytes[0..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[16..24].copy_from_slice(&lsn.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// What a slot says; `None` if it is torn, or was never written.
fn decode(bytes: &[u8], file: &Path) -> Result<Option<u64>, OpenError> {
    let Some(mut rest) = bytes.get(..SLOT) else { return Ok(None) };
    if rest[0..8] != MAGIC || crc32c::crc32c(&rest[..60]).to_le_bytes() != rest[60..64] {
        return Ok(None);
    }
    rest.advance(8);
    let found = rest.get_u32_le();
    if found != VERSION {
        return Err(OpenError::NewerFormat { file: file.to_owned(), found, supported: VERSION });
    }
    rest.advance(4);
    Ok(Some(rest.get_u64_le()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{Crash, MemoryFile, MemoryFileSystem};

    fn reopened(fs: &MemoryFileSystem) -> Result<Option<End<MemoryFile>>, OpenError> {
        End::open(fs, Path::new("/log"))
    }

    fn created(lsn: u64) -> (MemoryFileSystem, End<MemoryFile>) {
        let fs = MemoryFileSystem::new();
        fs.create_directory(Path::new("/log")).unwrap();
        let end = End::create(&fs, Path::new("/log"), lsn).unwrap();
        (fs, end)
    }

    #[test]
    fn the_newest_note_is_found_again() {
        let (fs, mut end) = created(3);
        for lsn in [4, 9, 1_000_000] {
            end.note(lsn).unwrap();
            assert_eq!(reopened(&fs).unwrap().unwrap().lsn(), lsn);
        }
        let mut end = reopened(&fs).unwrap().unwrap();
        end.note(1_000_001).unwrap();
        fs.crash(Crash::LoseUnsynced, 1);
        assert_eq!(reopened(&fs).unwrap().unwrap().lsn(), 1_000_001);
    }

    #[test]
    fn a_torn_note_leaves_the_one_before() {
        let (fs, mut end) = created(3);
        end.note(4).unwrap();
        end.note(5).unwrap();
        let file = fs.open(&path(Path::new("/log"))).unwrap();
        file.write_at(&[0xff; 30], SLOTS[0] + 10).unwrap();
        assert_eq!(reopened(&fs).unwrap().unwrap().lsn(), 4);
        file.write_at(&[0xff; 30], SLOTS[1] + 10).unwrap();
        assert!(reopened(&fs).is_err_and(|error| error.is_damage()), "no crash tears both");
    }

    #[test]
    fn a_log_of_before_has_none() {
        let fs = MemoryFileSystem::new();
        fs.create_directory(Path::new("/log")).unwrap();
        assert!(reopened(&fs).unwrap().is_none());
    }
}
