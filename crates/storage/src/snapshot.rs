//! Snapshots: images of a group's state, in files of their own.
//!
//! An image is cut into blocks, each with a checksum that also covers its place, so that any part can be read
//! and checked on its own: what a reader returns is what the writer was given, or there is an error. See the
//! crate's documentation for the bytes.

use std::io;
use std::path::{Path, PathBuf};

use bytes::{Buf, Bytes};
use onecopy_core::{EntryId, GroupId, Timestamp};

use crate::fs::{self, File, FileSystem};

/// The directory of the snapshots within the data directory.
pub const DIRECTORY: &str = "snapshots";

const SUFFIX: &str = ".snapshot";
const MAGIC: [u8; 8] = *b"1copysnp";
const MAGIC_END: [u8; 8] = *b"1copyend";
const VERSION: u32 = 1;
const HEADER: usize = 64;
const FOOTER: usize = 32;
/// Bytes of the image per checksum.
const BLOCK: usize = 64 << 10;
const CHECKSUM: usize = 4;
/// How many bytes are written between two syncs, so that the disk works while the image is made, and the log
/// does not have to wait for a mountain of bytes at the end.
const SYNC_BYTES: u64 = 8 << 20;

/// A snapshot could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The operating system refused something.
    #[error("cannot {action} {}: {source}", file.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        file: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A snapshot that the log goes on from is not there.
    #[error(
        "{} is missing, although the log goes on from it. Put it back if it was moved. If it is lost, and another copy of the \
         data is alive, move the data directory away (do not delete it) and start the node again: it returns as a new copy and \
         is rebuilt from the others",
        file.display()
    )]
    Missing {
        /// The file.
        file: PathBuf,
    },
    /// The file is not what was written.
    #[error(
        "{} is damaged at byte {offset}: {reason}. If another copy of the data is alive, move the data directory away (do \
         not delete it) and start the node again: it returns as a new copy and is rebuilt from the others",
        file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where the damage was noticed, in bytes from the start of the file.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// The file was written by a newer version of Onecopy.
    #[error(
        "{} has format version {found}, this program understands {VERSION}: start the version of Onecopy that \
         wrote it, or a newer one",
        file.display()
    )]
    NewerFormat {
        /// The file.
        file: PathBuf,
        /// Its format version.
        found: u32,
    },
}

impl SnapshotError {
    fn io(action: &'static str, file: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, file: file.to_owned(), source }
    }
}

/// Which snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotName {
    /// Whose state it is.
    pub group: GroupId,
    /// The last entry that it covers.
    pub id: EntryId,
}

impl SnapshotName {
    fn file(self) -> String {
        format!("{}-{}-{}{SUFFIX}", self.group.0, self.id.index.0, self.id.epoch.0)
    }

    fn parse(file: &str) -> Option<Self> {
        let mut numbers = file.strip_suffix(SUFFIX)?.split('-');
        let group = GroupId(numbers.next()?.parse().ok()?);
        let index: u64 = numbers.next()?.parse().ok()?;
        let epoch: u64 = numbers.next()?.parse().ok()?;
        let name = Self { group, id: EntryId::new(index, epoch) };
        (numbers.next().is_none() && name.file() == file).then_some(name)
    }
}

/// The snapshots of a data directory.
#[derive(Clone, Debug)]
pub struct Snapshots<F> {
    fs: F,
    directory: PathBuf,
}

impl<F: FileSystem> Snapshots<F> {
    /// Opens the snapshots of a data directory, and removes what interrupted writers left. The caller holds
    /// the lock of the data directory.
    ///
    /// # Errors
    /// [`SnapshotError::Io`].
    pub fn open(fs: F, data_directory: &Path) -> Result<Self, SnapshotError> {
        let directory = data_directory.join(DIRECTORY);
        fs.create_directory(&directory).map_err(SnapshotError::io("create", &directory))?;
        fs::settle(&fs, &directory).map_err(SnapshotError::io("clean up", &directory))?;
        Ok(Self { fs, directory })
    }

    /// Every finished snapshot, by group, then by index.
    ///
    /// # Errors
    /// [`SnapshotError::Io`].
    pub fn list(&self) -> Result<Vec<SnapshotName>, SnapshotError> {
        let files = self.fs.list(&self.directory).map_err(SnapshotError::io("list", &self.directory))?;
        let mut names: Vec<_> = files.iter().filter_map(|file| SnapshotName::parse(file)).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Begins to write a snapshot of `group` that covers everything up to `id`, an entry made at `time`. A
    /// second writer of the same snapshot would spoil the first: the caller sees to it that there is none.
    ///
    /// # Errors
    /// [`SnapshotError::Io`].
    pub fn create(
        &self,
        group: GroupId,
        id: EntryId,
        time: Timestamp,
    ) -> Result<SnapshotWriter<F>, SnapshotError> {
        let path = self.path(SnapshotName { group, id });
        let partial = fs::partial(&path);
        let file = self.fs.create(&partial).map_err(SnapshotError::io("create", &partial))?;
        let header = encode_header(group, id, time);
        file.write_at(&header, 0).map_err(SnapshotError::io("write", &partial))?;
        Ok(SnapshotWriter {
            fs: self.fs.clone(),
            path,
            partial,
            file,
            seed: crc32c::crc32c(&header),
            block: Vec::with_capacity(BLOCK + CHECKSUM),
            blocks: 0,
            length: 0,
            end: HEADER as u64,
            unsynced: 0,
            checksum: 0,
        })
    }

    /// Opens a snapshot for reading.
    ///
    /// # Errors
    /// [`SnapshotError::Damaged`] if header, footer or size are wrong. The image is checked as it is read.
    pub fn read(&self, group: GroupId, id: EntryId) -> Result<SnapshotReader<F>, SnapshotError> {
        let name = SnapshotName { group, id };
        let path = self.path(name);
        let file = self.fs.open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => SnapshotError::Missing { file: path.clone() },
            _ => SnapshotError::io("open", &path)(error),
        })?;
        SnapshotReader::open(file, path, name)
    }

    /// Removes every snapshot of a group that is older than this one. Call it when the log has durably been
    /// compacted to this one. A newer one stays: it may have been finished since, with the compaction to it
    /// still on its way to the disk, and then it is the one that the next start needs.
    ///
    /// # Errors
    /// [`SnapshotError::Io`].
    pub fn remove_older(&self, group: GroupId, than: EntryId) -> Result<(), SnapshotError> {
        self.remove(|name| name.group == group && name.id.index < than.index)
    }

    /// Removes every snapshot of a group.
    ///
    /// # Errors
    /// [`SnapshotError::Io`].
    pub fn remove_group(&self, group: GroupId) -> Result<(), SnapshotError> {
        self.remove(|name| name.group == group)
    }

    fn remove(&self, which: impl Fn(SnapshotName) -> bool) -> Result<(), SnapshotError> {
        let mut removed = false;
        for name in self.list()?.into_iter().filter(|name| which(*name)) {
            let path = self.path(name);
            self.fs.remove(&path).map_err(SnapshotError::io("remove", &path))?;
            removed = true;
        }
        match removed {
            true => {
                self.fs.sync_directory(&self.directory).map_err(SnapshotError::io("sync", &self.directory))
            }
            false => Ok(()),
        }
    }

    fn path(&self, name: SnapshotName) -> PathBuf {
        self.directory.join(name.file())
    }
}

/// A snapshot that is being written. It counts only once it is finished; dropped before, it leaves a partial
/// file that the next one of this name, or the next start, removes.
#[derive(Debug)]
pub struct SnapshotWriter<F: FileSystem> {
    fs: F,
    path: PathBuf,
    partial: PathBuf,
    file: F::File,
    seed: u32,
    block: Vec<u8>,
    blocks: u64,
    /// Bytes of the image so far.
    length: u64,
    /// Where the next block goes in the file.
    end: u64,
    unsynced: u64,
    /// Over the checksums of all blocks.
    checksum: u32,
}

impl<F: FileSystem> SnapshotWriter<F> {
    /// Adds the next piece of the image.
    ///
    /// # Errors
    /// [`SnapshotError::Io`]; the snapshot must be given up then.
    pub fn write(&mut self, mut image: &[u8]) -> Result<(), SnapshotError> {
        while !image.is_empty() {
            let (now, later) = image.split_at(image.len().min(BLOCK - self.block.len()));
            self.block.extend_from_slice(now);
            self.length += now.len() as u64;
            image = later;
            if self.block.len() == BLOCK {
                self.write_block()?;
            }
        }
        Ok(())
    }

    /// How many bytes of the image were taken so far: the offset of the piece that is wanted next.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.length
    }

    /// Ends the image and makes the snapshot durable under its name. Returns the length of the image.
    ///
    /// # Errors
    /// [`SnapshotError::Io`]; there is no new snapshot then.
    pub fn finish(mut self) -> Result<u64, SnapshotError> {
        if !self.block.is_empty() {
            self.write_block()?;
        }
        let footer = encode_footer(self.length, self.checksum, self.seed);
        self.file.write_at(&footer, self.end).map_err(SnapshotError::io("write", &self.partial))?;
        // An older partial file of this name may have been longer.
        let size = self.end + FOOTER as u64;
        self.file.set_size(size).map_err(SnapshotError::io("write", &self.partial))?;
        self.file.sync_all().map_err(SnapshotError::io("sync", &self.partial))?;
        self.fs.rename(&self.partial, &self.path).map_err(SnapshotError::io("rename", &self.partial))?;
        let directory = fs::parent(&self.path);
        self.fs.sync_directory(directory).map_err(SnapshotError::io("sync", directory))?;
        Ok(self.length)
    }

    /// Gives the snapshot up and removes what was written of it.
    ///
    /// # Errors
    /// [`SnapshotError::Io`].
    pub fn abandon(self) -> Result<(), SnapshotError> {
        self.fs.remove(&self.partial).map_err(SnapshotError::io("remove", &self.partial))
    }

    fn write_block(&mut self) -> Result<(), SnapshotError> {
        let checksum = block_checksum(self.seed, self.blocks, &self.block).to_le_bytes();
        self.block.extend_from_slice(&checksum);
        self.file.write_at(&self.block, self.end).map_err(SnapshotError::io("write", &self.partial))?;
        self.checksum = crc32c::crc32c_append(self.checksum, &checksum);
        self.end += self.block.len() as u64;
        self.unsynced += self.block.len() as u64;
        self.blocks += 1;
        self.block.clear();
        if self.unsynced >= SYNC_BYTES {
            self.unsynced = 0;
            self.file.sync_data().map_err(SnapshotError::io("sync", &self.partial))?;
        }
        Ok(())
    }
}

/// A snapshot that is being read. Offsets are those of the image.
#[derive(Debug)]
pub struct SnapshotReader<F: FileSystem> {
    file: F::File,
    path: PathBuf,
    name: SnapshotName,
    time: Timestamp,
    seed: u32,
    length: u64,
    checksum: u32,
}

impl<F: FileSystem> SnapshotReader<F> {
    fn open(file: F::File, path: PathBuf, name: SnapshotName) -> Result<Self, SnapshotError> {
        let damaged = |offset: u64, reason: &str| {
            Err(SnapshotError::Damaged { file: path.clone(), offset, reason: reason.to_owned() })
        };
        let read = |buffer: &mut [u8], offset| {
            file.read_at(buffer, offset).map_err(SnapshotError::io("read", &path))
        };
        let size = file.size().map_err(SnapshotError::io("ask for the size of", &path))?;
        if size < (HEADER + FOOTER) as u64 {
            return damaged(size, "the file is shorter than its header and footer");
        }
        let mut header = [0; HEADER];
        read(&mut header, 0)?;
        if header[0..8] != MAGIC {
            return damaged(0, "the file does not begin like a snapshot");
        }
        if crc32c::crc32c(&header[..60]).to_le_bytes() != header[60..64] {
            return damaged(0, "the checksum of the header is wrong");
        }
        let mut fields = &header[8..];
        let found = fields.get_u32_le();
        if found != VERSION {
            return Err(SnapshotError::NewerFormat { file: path, found });
        }
        let group = GroupId(fields.get_u32_le());
        let id = EntryId::new(fields.get_u64_le(), fields.get_u64_le());
        let time = Timestamp(fields.get_u64_le());
        if (SnapshotName { group, id }) != name {
            return damaged(0, "the header is that of another snapshot");
        }

        let seed = crc32c::crc32c(&header);
        let footer_at = size - FOOTER as u64;
        let mut footer = [0; FOOTER];
        read(&mut footer, footer_at)?;
        let mut fields = &footer[8..];
        let length = fields.get_u64_le();
        let checksum = fields.get_u32_le();
        if encode_footer(length, checksum, seed) != footer {
            return damaged(footer_at, "the footer is damaged or belongs to another snapshot");
        }
        let reader = Self { file, path, name, time, seed, length, checksum };
        let expected = length.div_ceil(BLOCK as u64).checked_mul(CHECKSUM as u64);
        let expected =
            expected.and_then(|checksums| checksums.checked_add(length)?.checked_add(HEADER as u64));
        match expected == Some(footer_at) {
            true => Ok(reader),
            false => Err(reader.damaged(size, "the file is not as long as its footer says")),
        }
    }

    /// Whose state it is, and up to which entry.
    #[must_use]
    pub fn name(&self) -> SnapshotName {
        self.name
    }

    /// The time of the last entry that it covers.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// How many bytes the image has.
    #[must_use]
    pub fn image_len(&self) -> u64 {
        self.length
    }

    /// The bytes of the image from `offset` on, at most `length_max` of them: fewer only at the end, none
    /// past it. All of them are checked.
    ///
    /// # Errors
    /// [`SnapshotError::Damaged`] if they are not what was written.
    pub fn read_at(&self, offset: u64, length_max: usize) -> Result<Bytes, SnapshotError> {
        let end = offset.saturating_add(length_max as u64).min(self.length);
        if offset >= end {
            return Ok(Bytes::new());
        }
        let first = offset / BLOCK as u64;
        let mut image = Vec::with_capacity((end - first * BLOCK as u64) as usize + BLOCK);
        for block in first..end.div_ceil(BLOCK as u64) {
            self.read_block(block, &mut image)?;
        }
        let skip = (offset - first * BLOCK as u64) as usize;
        Ok(Bytes::from(image).slice(skip..skip + (end - offset) as usize))
    }

    /// Reads the whole image and checks it, in constant memory.
    ///
    /// # Errors
    /// [`SnapshotError::Damaged`] with the first place that is wrong.
    pub fn verify(&self) -> Result<(), SnapshotError> {
        let mut checksum = 0;
        let mut image = Vec::with_capacity(BLOCK + CHECKSUM);
        for block in 0..self.length.div_ceil(BLOCK as u64) {
            image.clear();
            let sealed = self.read_block(block, &mut image)?;
            checksum = crc32c::crc32c_append(checksum, &sealed.to_le_bytes());
        }
        match checksum == self.checksum {
            true => Ok(()),
            false => Err(self.damaged(HEADER as u64, "the blocks are not those that the footer seals")),
        }
    }

    /// Appends a block to `image`. Returns its checksum.
    fn read_block(&self, block: u64, image: &mut Vec<u8>) -> Result<u32, SnapshotError> {
        let length = (self.length - block * BLOCK as u64).min(BLOCK as u64) as usize;
        let at = HEADER as u64 + block * (BLOCK + CHECKSUM) as u64;
        let start = image.len();
        image.resize(start + length + CHECKSUM, 0);
        self.file.read_at(&mut image[start..], at).map_err(SnapshotError::io("read", &self.path))?;
        let mut sealed = &image[start + length..];
        let sealed = sealed.get_u32_le();
        image.truncate(start + length);
        match block_checksum(self.seed, block, &image[start..]) == sealed {
            true => Ok(sealed),
            false => Err(self.damaged(at, "the checksum of a block is wrong")),
        }
    }

    fn damaged(&self, offset: u64, reason: &str) -> SnapshotError {
        SnapshotError::Damaged { file: self.path.clone(), offset, reason: reason.to_owned() }
    }
}

fn encode_header(group: GroupId, id: EntryId, time: Timestamp) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[0..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..16].copy_from_slice(&group.0.to_le_bytes());
    bytes[16..24].copy_from_slice(&id.index.0.to_le_bytes());
    bytes[24..32].copy_from_slice(&id.epoch.0.to_le_bytes());
    bytes[32..40].copy_from_slice(&time.0.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn encode_footer(length: u64, checksum: u32, seed: u32) -> [u8; FOOTER] {
    let mut bytes = [0; FOOTER];
    bytes[0..8].copy_from_slice(&MAGIC_END);
    bytes[8..16].copy_from_slice(&length.to_le_bytes());
    bytes[16..20].copy_from_slice(&checksum.to_le_bytes());
    let sealed = crc32c::crc32c_append(seed, &bytes[..28]);
    bytes[28..32].copy_from_slice(&sealed.to_le_bytes());
    bytes
}

/// Begins with the header's checksum and the block's place, so that a block of another file or place is
/// noticed.
fn block_checksum(seed: u32, block: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &block.to_le_bytes()), bytes)
}
