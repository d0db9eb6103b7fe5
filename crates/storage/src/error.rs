//! What can go wrong with the log, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// The log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
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
    /// Bytes that had been synced are not what was written. Going on would lose what others rely on.
    #[error(
        "{} is damaged at byte {offset}: {reason}. This copy cannot be trusted any more. If another copy of its data is \
         alive, move the data directory away (do not delete it) and start the node again: it returns as a new copy and is \
         rebuilt from the others",
        file.display()
    )]
    Damaged {
        /// The file that is damaged.
        file: PathBuf,
        /// Where the damage was noticed, in bytes from the start of the file.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// Segments follow each other without gaps; one in the middle is not there.
    #[error(
        "{} is missing, although segments before and after it are there. Put it back if it was moved; if it \
         is lost, and another copy of its data is alive, move the data directory away (do not delete it) and start \
         the node again: it returns as a new copy and is rebuilt from the others",
        file.display()
    )]
    MissingSegment {
        /// The file that should be there.
        file: PathBuf,
    },
    /// The data directory has been used before, but its log is gone.
    #[error(
        "{} holds no log, although this node has stored data before. Put the log back if it was moved; if it \
         is lost, and another copy of its data is alive, move the whole data directory away (do not delete it) and \
         start the node again: it returns as a new copy and is rebuilt from the others",
        directory.display()
    )]
    MissingLog {
        /// Where the log should be.
        directory: PathBuf,
    },
    /// A file has the name of a segment, but is none.
    #[error("{} is not a segment of an Onecopy log; move it out of the data directory", file.display())]
    NotASegment {
        /// The file.
        file: PathBuf,
    },
    /// The file was written by a newer version of Onecopy.
    #[error(
        "{} has format version {found}, this program understands {supported}: start the version of Onecopy \
         that wrote it, or a newer one",
        file.display()
    )]
    NewerFormat {
        /// The file.
        file: PathBuf,
        /// Its format version.
        found: u32,
        /// The newest version that this program understands.
        supported: u32,
    },
}

impl OpenError {
    /// For `map_err`: names what was tried on which file.
    pub(crate) fn io(action: &'static str, file: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, file: file.to_owned(), source }
    }

    /// Whether the content of the directory is to blame, rather than the machine: trying again is useless
    /// then.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        !matches!(self, Self::Io { .. } | Self::NewerFormat { .. })
    }
}

/// Something could not be appended or made durable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// A write or sync failed. It is unknown what of everything since the last successful sync is on the
    /// disk: none of it may be called durable. The log refuses everything from now on.
    #[error("cannot {action} {} at byte {offset}: {reason} (see the kernel's log; the node must stop)", file.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        file: PathBuf,
        /// Where the operation began, in bytes from the start of the file.
        offset: u64,
        /// Whether the disk is full: space must be freed before the node is started again.
        disk_full: bool,
        /// What the operating system said.
        reason: String,
    },
    /// An earlier call failed. After a failed sync the page cache cannot be trusted: what it shows may never
    /// reach the disk, and the next sync would not say so. Only a restart reads what is really there.
    #[error("the log is closed because of an earlier failure: {cause}")]
    Poisoned {
        /// The first failure.
        cause: Box<LogError>,
    },
    /// A write is larger than a record can be. Nothing was written, and the log goes on.
    #[error("a write of {bytes} bytes is larger than {bytes_max}, the most that the log takes")]
    TooLarge {
        /// The size of the write.
        bytes: u64,
        /// The largest that would have been taken.
        bytes_max: u64,
    },
}

impl LogError {
    /// Whether the log failed because the disk was full: what was refused never was in any cache, and a new
    /// start on the same disk is all that it takes once there is room.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Io { disk_full, .. } => *disk_full,
            Self::Poisoned { cause } => cause.is_disk_full(),
            Self::TooLarge { .. } => false,
        }
    }

    /// For `map_err`: names what was tried on which file, and where.
    pub(crate) fn io(action: &'static str, file: &Path, offset: u64) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io {
            action,
            file: file.to_owned(),
            offset,
            disk_full: matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded),
            reason: error.to_string(),
        }
    }
}
