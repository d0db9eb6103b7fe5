//! A data directory as a whole: opened in the one order that is safe.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use onecopy_core::{GroupId, Recovered};

use crate::error::OpenError;
use crate::fs::FileSystem;
use crate::identity::{Identity, IdentityError, Owner};
use crate::log::{Log, LogOptions, Missing};
use crate::snapshot::{SnapshotError, Snapshots};

/// The name of the file whose lock says that the directory is in use.
pub const LOCK: &str = "lock";

/// A data directory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Another process uses it. Two would destroy each other's log.
    #[error(
        "the data directory {} is used by another process: stop that one, or give this node a data directory \
         of its own",
        directory.display()
    )]
    InUse {
        /// The data directory.
        directory: PathBuf,
    },
    /// Its lock could not be taken.
    #[error("cannot lock {}: {source}", file.display())]
    Lock {
        /// The file that is locked.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Its identity could not be established.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Its log could not be opened.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// Its snapshots could not be opened.
    #[error(transparent)]
    Snapshots(#[from] SnapshotError),
}

/// An open data directory. Its parts may be moved out; the lock must outlive them.
#[derive(Debug)]
pub struct DataDirectory<F: FileSystem> {
    /// Who it belongs to, and which life of it this is. If [`Identity::discard_data`] is set, the caller
    /// forgets the groups that hold data, removes their snapshots, and calls [`Identity::discarded`], before
    /// anything else. The same for the view service's group with [`Identity::discard_views`].
    pub identity: Identity,
    /// The log.
    pub log: Log<F>,
    /// What each group finds in the log.
    pub recovered: BTreeMap<GroupId, Recovered>,
    /// The snapshots.
    pub snapshots: Snapshots<F>,
    /// Keeps other processes out.
    pub lock: F::Lock,
}

impl<F: FileSystem> DataDirectory<F> {
    /// Opens a data directory, or creates it at the first start of a node. [`LogOptions::missing`] is decided
    /// here: only a directory whose log was never begun may lack one.
    ///
    /// # Errors
    /// [`DirectoryError`], which says what to do.
    pub fn open(fs: F, directory: &Path, owner: Owner, options: LogOptions) -> Result<Self, DirectoryError> {
        let lock = lock(&fs, directory)?;
        let mut identity = Identity::open_or_create(&fs, directory, owner)?;
        let missing = if identity.log_begun { Missing::Refuse } else { Missing::Create };
        let (log, recovered) = Log::open(fs.clone(), directory, LogOptions { missing, ..options })?;
        if !identity.log_begun {
            identity.log_begun(&fs, directory)?;
        }
        let snapshots = Snapshots::open(fs, directory)?;
        Ok(Self { identity, log, recovered, snapshots, lock })
    }

    /// Has what a data directory holds begin a new life, under these random numbers (see [`Identity`]):
    /// whoever starts from it is taken for none that was there before, and what it holds counts for nothing
    /// unless an operator says so.
    ///
    /// # Errors
    /// [`DirectoryError`]: it is in use, or none.
    pub fn begin_new_life(fs: &F, directory: &Path, random: [u128; 2]) -> Result<Identity, DirectoryError> {
        let _lock = lock(fs, directory)?;
        Ok(Identity::begin_new_life(fs, directory, random)?)
    }
}

/// Keeps other processes out.
fn lock<F: FileSystem>(fs: &F, directory: &Path) -> Result<F::Lock, DirectoryError> {
    let file = directory.join(LOCK);
    let failed = |source| DirectoryError::Lock { file: file.clone(), source };
    fs.create_directory(directory).map_err(failed)?;
    let lock = fs.lock(&file).map_err(failed)?;
    lock.ok_or_else(|| DirectoryError::InUse { directory: directory.to_owned() })
}
