//! A file system in memory that fails the way disks fail, from a seed.
//!
//! It keeps two of everything: what a reader sees (the page cache) and what a power failure leaves (the
//! disk). A write changes the first; a sync copies it to the second. What lies between is at the mercy of
//! [`Crash`]. Two simplifications: directories themselves are durable at once, and a rename stays within its
//! directory.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{File, FileSystem, parent};

/// The unit in which unsynced content survives or is lost. Sectors of 512 bytes are the smallest that disks
/// write as a whole; whatever code survives this survives larger blocks.
const BLOCK: u64 = 512;

/// What a crash does with everything that was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// Only the process dies (`kill -9`): all that it handed to the operating system survives.
    Process,
    /// Power fails, and all is lost that was not synced, names too.
    LoseUnsynced,
    /// Power fails, and of each file a prefix of what was not synced survives, cut at any byte; of the
    /// changes of names, the first few.
    CutShort,
    /// Power fails, and any subset of the unsynced 512-byte blocks survives, a later one without an earlier
    /// one too, and any subset of the changes of names.
    Torn,
    /// Like `Torn`, in blocks of 4 KiB, as a page cache writes back.
    TornPages,
}

impl Crash {
    /// Every kind of crash.
    pub const ALL: [Self; 5] =
        [Self::Process, Self::LoseUnsynced, Self::CutShort, Self::Torn, Self::TornPages];
}

/// A file system in memory. Clones share the same content, as processes share a disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryFileSystem {
    disk: Arc<Mutex<Disk>>,
}

/// An open file of a [`MemoryFileSystem`]. A crash makes it useless, as it ends the process that had it open.
#[derive(Debug)]
pub struct MemoryFile {
    disk: Arc<Mutex<Disk>>,
    inode: u64,
    generation: u64,
}

/// A lock of a [`MemoryFileSystem`].
#[derive(Debug)]
pub struct MemoryLock {
    disk: Arc<Mutex<Disk>>,
    path: PathBuf,
    generation: u64,
}

#[derive(Debug, Default)]
struct Disk {
    directories: BTreeSet<PathBuf>,
    /// The names as a process sees them.
    names: BTreeMap<PathBuf, u64>,
    /// The names that a power failure leaves.
    names_durable: BTreeMap<PathBuf, u64>,
    /// Changes of names that are not durable, in order.
    changes: Vec<NameChange>,
    inodes: BTreeMap<u64, Inode>,
    inode_last: u64,
    /// Counts crashes; handles and locks of an earlier generation are dead.
    generation: u64,
    locks: BTreeSet<PathBuf>,
    faults: Faults,
    syncs: u64,
}

/// One atomic change: every name gets its new meaning, or none does.
#[derive(Debug)]
struct NameChange {
    directory: PathBuf,
    names: Vec<(PathBuf, Option<u64>)>,
}

#[derive(Debug, Default)]
struct Inode {
    /// What a reader sees.
    cached: Vec<u8>,
    /// What is on the disk.
    durable: Vec<u8>,
    /// The blocks in which the two may differ and that a sync would write.
    dirty: BTreeSet<u64>,
    /// The smallest size to which the file was cut since its size was last synced.
    shrunk: Option<u64>,
}

#[derive(Debug, Default)]
struct Faults {
    writes_until_failure: Option<u64>,
    syncs_until_failure: Option<u64>,
    space: Option<u64>,
}

impl MemoryFileSystem {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends every process that uses the disk: open files and locks are dead. What was not synced is treated
    /// as `crash` says; the same seed and history leave the same bytes. Planned faults are forgotten.
    pub fn crash(&self, crash: Crash, seed: u64) {
        let mut disk = self.disk();
        let mut random = Random(seed);
        disk.generation += 1;
        disk.locks.clear();
        disk.faults = Faults::default();
        if crash == Crash::Process {
            return;
        }
        disk.crash_names(crash, &mut random);
        for inode in disk.inodes.values_mut() {
            inode.crash(crash, &mut random);
        }
        disk.collect();
    }

    /// Lets the write after the next `successes` writes fail: half of its bytes are written, then it reports
    /// an input/output error. Changes of a file's size count as writes.
    pub fn fail_write(&self, successes: u64) {
        self.disk().faults.writes_until_failure = Some(successes);
    }

    /// Lets the sync after the next `successes` syncs fail: every other unsynced block is written, the others
    /// are forgotten: they stay visible, but no later sync writes them (as on Linux).
    pub fn fail_sync(&self, successes: u64) {
        self.disk().faults.syncs_until_failure = Some(successes);
    }

    /// Lets files grow by this many bytes altogether before the disk is full; `None` for no limit.
    pub fn limit_space(&self, bytes: Option<u64>) {
        self.disk().faults.space = bytes;
    }

    /// Forgets every planned fault.
    pub fn heal(&self) {
        self.disk().faults = Faults::default();
    }

    /// Flips one bit of a file on the disk, as ageing media do.
    ///
    /// # Errors
    /// If there is no such file or it has no such byte.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u8) -> io::Result<()> {
        let mut disk = self.disk();
        let inode = disk.named(path)?;
        let inode = disk.inode(inode)?;
        let position = usize::try_from(offset).map_err(io::Error::other)?;
        let byte = inode.cached.get_mut(position).ok_or(io::ErrorKind::UnexpectedEof)?;
        *byte ^= 1 << (bit % 8);
        if let Some(byte) = inode.durable.get_mut(position) {
            *byte ^= 1 << (bit % 8);
        }
        Ok(())
    }

    /// All files, with their sizes.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let disk = self.disk();
        let size = |inode: &u64| disk.inodes.get(inode).map_or(0, |inode| inode.cached.len() as u64);
        disk.names.iter().map(|(path, inode)| (path.clone(), size(inode))).collect()
    }

    /// The content of a file as a process sees it.
    ///
    /// # Errors
    /// If there is no such file.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut disk = self.disk();
        let inode = disk.named(path)?;
        Ok(disk.inode(inode)?.cached.clone())
    }

    /// Puts a file with this content onto the disk, durably, past all faults.
    pub fn plant(&self, path: &Path, content: &[u8]) {
        let mut disk = self.disk();
        disk.directories.insert(parent(path).to_owned());
        disk.inode_last += 1;
        let inode = disk.inode_last;
        let file = Inode { cached: content.to_vec(), durable: content.to_vec(), ..Inode::default() };
        disk.inodes.insert(inode, file);
        disk.names.insert(path.to_owned(), inode);
        disk.names_durable.insert(path.to_owned(), inode);
    }

    /// How many syncs of files were asked for so far.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.disk().syncs
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        lock(&self.disk)
    }

    fn handle(&self, disk: &Disk, inode: u64) -> MemoryFile {
        MemoryFile { disk: Arc::clone(&self.disk), inode, generation: disk.generation }
    }
}

impl FileSystem for MemoryFileSystem {
    type File = MemoryFile;
    type Lock = MemoryLock;

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        for directory in path.ancestors() {
            disk.directories.insert(directory.to_owned());
        }
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<MemoryFile> {
        let mut disk = self.disk();
        if !disk.directories.contains(parent(path)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if let Some(inode) = disk.names.get(path).copied() {
            disk.inode(inode)?.set_size(0);
            return Ok(self.handle(&disk, inode));
        }
        disk.inode_last += 1;
        let inode = disk.inode_last;
        disk.inodes.insert(inode, Inode::default());
        disk.change(path, vec![(path.to_owned(), Some(inode))]);
        Ok(self.handle(&disk, inode))
    }

    fn open(&self, path: &Path) -> io::Result<MemoryFile> {
        let disk = self.disk();
        let inode = disk.named(path)?;
        Ok(self.handle(&disk, inode))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let disk = self.disk();
        if !disk.directories.contains(directory) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let names = disk.names.keys().filter(|path| parent(path) == directory);
        Ok(names.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        let inode = disk.named(from)?;
        if parent(from) != parent(to) {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        disk.change(from, vec![(from.to_owned(), None), (to.to_owned(), Some(inode))]);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.named(path)?;
        disk.change(path, vec![(path.to_owned(), None)]);
        Ok(())
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.count_sync()?;
        for change in std::mem::take(&mut disk.changes) {
            match change.directory == directory {
                true => disk.make_durable(change),
                false => disk.changes.push(change),
            }
        }
        disk.collect();
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<MemoryLock>> {
        let mut disk = self.disk();
        let generation = disk.generation;
        let free = disk.locks.insert(path.to_owned());
        Ok(free.then(|| MemoryLock { disk: Arc::clone(&self.disk), path: path.to_owned(), generation }))
    }
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut disk = lock(&self.disk);
        if disk.generation == self.generation {
            disk.locks.remove(&self.path);
        }
    }
}

impl MemoryFile {
    fn with<T>(&self, work: impl FnOnce(&mut Disk, u64) -> io::Result<T>) -> io::Result<T> {
        let mut disk = lock(&self.disk);
        if disk.generation != self.generation {
            return Err(io::Error::other("the process that opened this file has crashed"));
        }
        work(&mut disk, self.inode)
    }

    fn sync(&self, size_too: bool) -> io::Result<()> {
        self.with(|disk, inode| {
            let fails = disk.count_sync();
            let inode = disk.inode(inode)?;
            if fails.is_err() {
                inode.sync_half();
                return fails;
            }
            inode.sync(size_too);
            Ok(())
        })
    }
}

impl File for MemoryFile {
    fn size(&self) -> io::Result<u64> {
        self.with(|disk, inode| Ok(disk.inode(inode)?.cached.len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|disk, inode| {
            let content = &disk.inode(inode)?.cached;
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
            let count = buffer.len().min(content.len() - start);
            buffer[..count].copy_from_slice(&content[start..start + count]);
            Ok(count)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.with(|disk, inode| {
            let failure = disk.count_write();
            let growth = (offset + bytes.len() as u64).saturating_sub(disk.inode(inode)?.cached.len() as u64);
            let lacking = disk.take_space(growth);
            let count = match failure {
                Err(_) => bytes.len() / 2,
                Ok(()) => bytes.len().saturating_sub(lacking as usize),
            };
            disk.inode(inode)?.write(&bytes[..count], offset);
            match lacking > 0 {
                true => Err(io::ErrorKind::StorageFull.into()),
                false => failure,
            }
        })
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.with(|disk, inode| {
            disk.count_write()?;
            disk.inode(inode)?.set_size(size);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync(false)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync(true)
    }
}

impl Disk {
    fn named(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn inode(&mut self, inode: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&inode).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change(&mut self, path: &Path, names: Vec<(PathBuf, Option<u64>)>) {
        apply(&mut self.names, &names);
        self.changes.push(NameChange { directory: parent(path).to_owned(), names });
    }

    fn make_durable(&mut self, change: NameChange) {
        apply(&mut self.names_durable, &change.names);
    }

    fn crash_names(&mut self, crash: Crash, random: &mut Random) {
        let changes = std::mem::take(&mut self.changes);
        let kept = random.below(changes.len() as u64 + 1);
        for (position, change) in (0..).zip(changes) {
            let survives = match crash {
                Crash::Process => true,
                Crash::LoseUnsynced => false,
                Crash::CutShort => position < kept,
                Crash::Torn | Crash::TornPages => random.coin(),
            };
            if survives {
                self.make_durable(change);
            }
        }
        self.names = self.names_durable.clone();
    }

    /// Drops files that have no name any more.
    fn collect(&mut self) {
        let named: BTreeSet<u64> = self.names.values().chain(self.names_durable.values()).copied().collect();
        let changing = |inode: &u64| {
            self.changes.iter().flat_map(|change| &change.names).any(|(_, target)| *target == Some(*inode))
        };
        self.inodes.retain(|inode, _| named.contains(inode) || changing(inode));
    }

    fn count_write(&mut self) -> io::Result<()> {
        count_down(&mut self.faults.writes_until_failure)
    }

    fn count_sync(&mut self) -> io::Result<()> {
        self.syncs += 1;
        count_down(&mut self.faults.syncs_until_failure)
    }

    /// Takes space for `growth` bytes; returns how many do not fit.
    fn take_space(&mut self, growth: u64) -> u64 {
        let Some(space) = &mut self.faults.space else { return 0 };
        let taken = growth.min(*space);
        *space -= taken;
        growth - taken
    }
}

impl Inode {
    fn write(&mut self, bytes: &[u8], offset: u64) {
        if bytes.is_empty() {
            return;
        }
        let start = offset as usize;
        let end = start + bytes.len();
        if self.cached.len() < end {
            self.mark(self.cached.len(), end);
            self.cached.resize(end, 0);
        }
        self.cached[start..end].copy_from_slice(bytes);
        self.mark(start, end);
    }

    fn set_size(&mut self, size: u64) {
        let length = size as usize;
        if length < self.cached.len() {
            self.shrunk = Some(self.shrunk.map_or(size, |shrunk| shrunk.min(size)));
            self.dirty.retain(|block| block * BLOCK < size);
        }
        self.mark(self.cached.len().min(length), length);
        self.cached.resize(length, 0);
    }

    fn mark(&mut self, start: usize, end: usize) {
        if start < end {
            self.dirty.extend(start as u64 / BLOCK..=(end as u64 - 1) / BLOCK);
        }
    }

    fn sync(&mut self, size_too: bool) {
        if size_too && let Some(shrunk) = self.shrunk.take() {
            self.durable.truncate(shrunk as usize);
        }
        for block in std::mem::take(&mut self.dirty) {
            self.write_back(block, usize::MAX);
        }
    }

    /// What a failed sync leaves: some blocks written, the others clean although they are not on the disk.
    fn sync_half(&mut self) {
        for (position, block) in (0..).zip(std::mem::take(&mut self.dirty)) {
            if position % 2 == 0 {
                self.write_back(block, usize::MAX);
            }
        }
    }

    /// Copies one block to the disk, up to the byte `limit` of the file.
    fn write_back(&mut self, block: u64, limit: usize) {
        let start = (block * BLOCK) as usize;
        let end = (start + BLOCK as usize).min(self.cached.len()).min(limit);
        if start >= end {
            return;
        }
        if self.durable.len() < end {
            self.durable.resize(end, 0);
        }
        self.durable[start..end].copy_from_slice(&self.cached[start..end]);
    }

    fn crash(&mut self, crash: Crash, random: &mut Random) {
        let dirty: Vec<u64> = std::mem::take(&mut self.dirty).into_iter().collect();
        let shrunk = self.shrunk.take();
        let cut_survives = random.coin();
        if let Some(shrunk) = shrunk
            && crash != Crash::LoseUnsynced
            && cut_survives
        {
            self.durable.truncate(shrunk as usize);
        }
        match crash {
            Crash::Process | Crash::LoseUnsynced => {}
            Crash::CutShort => {
                let first = dirty.first().map_or(0, |block| block * BLOCK);
                let limit = first + random.below((self.cached.len() as u64).saturating_sub(first) + 1);
                for block in dirty {
                    self.write_back(block, limit as usize);
                }
            }
            Crash::Torn | Crash::TornPages => {
                let unit = if crash == Crash::Torn { 1 } else { 8 };
                let mut decided = None;
                for block in dirty {
                    let page = block / unit;
                    let survives = match decided {
                        Some((same, survives)) if same == page => survives,
                        _ => random.coin(),
                    };
                    decided = Some((page, survives));
                    if survives {
                        self.write_back(block, usize::MAX);
                    }
                }
            }
        }
        self.cached = self.durable.clone();
    }
}

fn apply(names: &mut BTreeMap<PathBuf, u64>, changes: &[(PathBuf, Option<u64>)]) {
    for (path, inode) in changes {
        match inode {
            Some(inode) => names.insert(path.clone(), *inode),
            None => names.remove(path),
        };
    }
}

fn count_down(counter: &mut Option<u64>) -> io::Result<()> {
    match counter {
        None => Ok(()),
        Some(0) => {
            *counter = None;
            Err(io::Error::other("input/output error (injected)"))
        }
        Some(left) => {
            *left -= 1;
            Ok(())
        }
    }
}

fn lock(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}

/// SplitMix64: enough to decide what a crash leaves, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}
