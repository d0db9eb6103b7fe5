//! The seam to the file system: as little of it as the log, the snapshots and the identity need.
//!
//! Everything in this crate reaches the disk through [`FileSystem`] and [`File`]. Production uses
//! [`RealFileSystem`]; tests and the simulator use [`MemoryFileSystem`], which loses, tears and fails what a
//! real disk may lose, tear and fail, from a seed.

mod memory;
mod real;

use std::io;
use std::path::{Path, PathBuf};

pub use memory::{Crash, MemoryFile, MemoryFileSystem, MemoryLock};
pub use real::{RealFile, RealFileSystem, RealLock};

/// The suffix of a file that is being written and does not count yet. Whoever finds one after a start removes
/// it.
pub const PARTIAL: &str = ".partial";

/// The operations on names.
///
/// What each promises about durability is the weakest that a file system on Linux gives: a created, renamed
/// or removed name survives a power failure only after [`FileSystem::sync_directory`].
pub trait FileSystem: Clone + std::fmt::Debug + Send + Sync + 'static {
    /// An open file.
    type File: File;
    /// Holds a lock until it is dropped, or the process ends.
    type Lock: std::fmt::Debug + Send + 'static;

    /// Creates a directory and those above it. Durable on return; no error if it is there.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// Creates an empty file, open for reading and writing, in the place of an older one of that name.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Self::File>;

    /// The names of the files (not of the directories) in a directory, sorted.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;

    /// Gives a file another name in the same directory, atomically; a file that had it is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes everything durable that happened to the names in a directory.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;

    /// Takes the lock of a file, which is created if need be. `None` if another process has it.
    fn lock(&self, path: &Path) -> io::Result<Option<Self::Lock>>;
}

/// The operations on the content of a file.
pub trait File: std::fmt::Debug + Send + Sync + 'static {
    /// How many bytes the file has.
    fn size(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset` on. Returns how many bytes there were; fewer than asked for only at the
    /// end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`. After an error any part of them may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file short, or lengthens it by zeros. A cut is durable only after [`File::sync_all`].
    fn set_size(&self, size: u64) -> io::Result<()>;

    /// Makes the content durable, and as much of the size as is needed to read it (`fdatasync`). After an
    /// error nothing is known about any byte that was written since the last success, and asking again proves
    /// nothing.
    fn sync_data(&self) -> io::Result<()>;

    /// Makes content and size durable (`fsync`). Errors as for [`File::sync_data`].
    fn sync_all(&self) -> io::Result<()>;
}

/// Replaces a file so that after a crash there is the old content or the new one, and nothing in between.
pub(crate) fn replace<F: FileSystem>(fs: &F, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let partial = partial(path);
    let file = fs.create(&partial)?;
    file.write_at(bytes, 0)?;
    file.sync_all()?;
    fs.rename(&partial, path)?;
    fs.sync_directory(parent(path))
}

/// Removes what an interrupted write left in a directory, and makes the names that are seen durable: the
/// process before this one may have died of a failed sync of the directory.
pub(crate) fn settle<F: FileSystem>(fs: &F, directory: &Path) -> io::Result<()> {
    for name in fs.list(directory)?.iter().filter(|name| name.ends_with(PARTIAL)) {
        fs.remove(&directory.join(name))?;
    }
    fs.sync_directory(directory)
}

/// The name under which a file is written before it counts.
pub(crate) fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PARTIAL);
    PathBuf::from(name)
}

/// The directory of a file.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}
