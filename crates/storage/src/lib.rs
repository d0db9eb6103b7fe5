//! The durable log and snapshots, on a file-system seam.

pub mod error;
pub mod fs;
mod group;
pub mod log;
mod record;
mod recovery;
mod segment;

pub use error::{LogError, OpenError};
pub use fs::{Crash, File, FileSystem, MemoryFileSystem, RealFileSystem};
pub use log::{Log, LogOptions, Missing, Stats};
