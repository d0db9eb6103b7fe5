//! What a node keeps on its disk: one durable log for all its groups, their snapshots, and who it is.
//!
//! # What it guarantees
//!
//! 1. **What was synced is there.** After [`Log::sync`] returned, every write that was appended before is
//!    found by the next [`Log::open`], whatever crash lies between. If it is not there any more, `open` fails
//!    and names the file and the byte: the log never answers with less than it promised, but for the cases
//!    under *What it cannot tell*.
//! 2. **What is there is a prefix.** Recovery finds the writes of all groups up to some point of the order in
//!    which they were appended, never a later one without an earlier one. A crash can move that point, damage
//!    cannot.
//! 3. **A crash is never mistaken for damage.** Unsynced blocks may survive in any order and in any part; the
//!    next start cuts them off and goes on.
//! 4. **What was cut off stays off.** A torn tail is removed durably before anything is written in its place.
//! 5. **A failed write or sync ends the log.** From then on everything is refused ([`LogError::Poisoned`]),
//!    as after a failed sync the page cache may show what the disk never gets. The next start writes the
//!    unconfirmed tail again before it relies on it.
//! 6. **A snapshot returns what was put in, or an error** that names the file and the block.
//! 7. **A data directory belongs to one node, one cluster and one process at a time**, and no two starts of
//!    it have the same boot number.
//!
//! # What it is not
//!
//! It is not a database: there is no index. While it runs it knows of each group which segments hold its
//! entries, and [`Entries`] reads them back from there, in order. It has one writer and no threads. It
//! encrypts and compresses nothing. It does not repair: a damaged copy is rebuilt from the other members of
//! its groups, which have it as well.
//!
//! # In use
//!
//! ```
//! use std::path::Path;
//!
//! use onecopy_core::{Entry, EntryId, GroupId, Index, Timestamp, Write};
//! use onecopy_storage::{Crash, Log, LogOptions, MemoryFileSystem};
//!
//! let (disk, directory, group) = (MemoryFileSystem::new(), Path::new("/data"), GroupId(7));
//! let (mut log, recovered) = Log::open(disk.clone(), directory, LogOptions::default())?;
//! assert!(recovered.is_empty());
//!
//! let entry = Entry { id: EntryId::new(1, 1), time: Timestamp(0), seed: 0, payload: "SET k v".into() };
//! log.append(group, &Write::Append { entries: vec![entry.clone()], commit: Index(0) })?;
//! log.sync()?; // Only now may anybody be told.
//!
//! disk.crash(Crash::LoseUnsynced, 42);
//! let (_, recovered) = Log::open(disk, directory, LogOptions::default())?;
//! assert_eq!(recovered[&group].entries, [entry]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A node opens the whole data directory at once, with [`DataDirectory::open`].
//!
//! # The files
//!
//! ```text
//! <data directory>/
//!   lock                                   held by the process that uses the directory
//!   identity                               who and which life (text; see [`identity`])
//!   log/<number, 16 hex digits>.segment    the log, in segments without gaps
//!   log/end                                through which record the log is known to be synced
//!   snapshots/<group>-<index>-<epoch>.snapshot
//! ```
//!
//! Whatever must appear as a whole (a segment with its head, a snapshot, the identity) is written under a
//! name that ends in `.partial`, synced, renamed, and the directory synced. A start removes the partial files
//! that it finds.
//!
//! # The log, byte by byte
//!
//! All numbers are little-endian. A segment:
//!
//! ```text
//! offset size
//!   0     8   magic "1copylog"
//!   8     4   format version (1)
//!  12     4   zero
//!  16     8   number of the segment, counted from 1
//!  24     8   number (LSN) of its first record
//!  32     8   salt: a random number of the process that made it
//!  40    20   zero
//!  60     4   CRC-32C of bytes 0..60
//!  64         records, each at a multiple of 8, then zeros or nothing
//! ```
//!
//! A record:
//!
//! ```text
//! offset size
//!   0     4   magic "1rec"
//!   4     1   kind
//!   5     3   zero
//!   8     4   group (0 where there is none)
//!  12     4   length of the payload, at most 2³⁰
//!  16     8   LSN: counts the records of the log, over all segments, from 1
//!  24     8   synced: every record up to this LSN was known to be durable when this one was written
//!  32     4   CRC-32C of the payload
//!  36     4   CRC-32C of bytes 0..36, continued from CRC-32C(salt, number of the segment)
//!  40         payload, then zeros up to a multiple of 8
//! ```
//!
//! | kind | payload |
//! | --- | --- |
//! | 1 state | the bytes |
//! | 2 append | `commit:u64 first:u64 count:u32`, each `epoch:u64 time:u64 seed:u64 length:u32 payload` |
//! | 3 cut | `from:u64` |
//! | 4 compact | `index:u64 epoch:u64` |
//! | 5 install | `index:u64 epoch:u64` |
//! | 6 forget | – |
//! | 7 checkpoint | per group `group:u32 base:(u64 u64) last:u64 commit:u64 has_state:u8 length:u32 state` |
//! | 8 mark | – |
//!
//! The checksum of a record's header begins with the segment's secret salt and its number. A record is
//! therefore valid in one place only: neither a value of a client that looks like a record, nor bytes of
//! another segment, can be taken for one, even if a damaged length makes recovery look in the wrong place.
//!
//! # Segments
//!
//! A segment that is full is synced before the next one begins, and the next one begins with a
//! **checkpoint**: for every group its state, base, last index and commit index. An older segment is then
//! needed only for the entries in it that lie after their group's base. Once there are none, it is removed,
//! oldest first, and only when what made it superfluous is durable. [`Log::pinned_groups`] says whose entries
//! hold the oldest segments; the node asks those groups for a snapshot.
//!
//! Small writes (up to a sixteenth of [`LogOptions::zero_ahead_bytes`]) find zeros ahead of them in the file,
//! so that most syncs change neither its size nor its blocks. Measured with `examples/sync_cost.rs` on ext4
//! on a virtual disk, an append with its sync, median: 128 bytes 113 µs without and 80 µs with zeros ahead, 4
//! KiB 146 and 85 µs, 16 kB 170 and 92 µs. A sparse file of full size and `fallocate` gain as much for small
//! records, as the blocks are allocated once for many of them, and nothing for records of 4 KiB. Zeros cost
//! the bandwidth twice; large writes therefore do without.
//!
//! # Recovery: a torn tail, or damage?
//!
//! Segments are read in order, and records are applied while their checksums and their LSNs are right. Then:
//!
//! - In a segment that has a successor, the last record must be the one before the successor's first. If it
//!   is not, the segment is damaged, for it was synced as a whole: [`OpenError::Damaged`].
//! - In the last segment, let `n` be the first record that is missing or wrong. Everything after it is
//!   searched for headers of records of this segment. If one says `synced >= n`, then `n` had been durable,
//!   and what is wrong with it is no work of a crash: `Damaged`. If none does, nobody was ever told that `n`
//!   is durable, with the exception below: the tail is cut off, durably, and the log goes on in its place.
//!
//! With `durability = "memory"` the caller flushes often and syncs once a second, with a sync that lets
//! others append meanwhile ([`Log::begin_sync`]). After a power failure any of the blocks since the last sync
//! may be there, later ones without earlier ones. None of those records says that it follows a sync of the
//! lost ones, so the rule cuts there as well.
//!
//! Entries that lie in segments that have been removed must turn out to be covered by a base; a gap is
//! `Damaged`. So is every write that contradicts the ones before it, and a checkpoint that differs from what
//! the records led to.
//!
//! # Where the log ends
//!
//! A tail that is missing as a whole cannot be told from a log that never had it, not even with watermarks:
//! there is no later record to say so. A file beside the segments, `end`, therefore notes through which
//! record the log has been synced (rule E5): when the log is closed or has nothing to do ([`Log::mark`]), at
//! every new segment, at every compaction to a snapshot, and once a second while there is work
//! ([`Log::note_end`]). A start whose log ends before the noted record is `Damaged`, whatever was done to it:
//! cut, zeroed, or segments removed by hand. So the log of a node that was stopped cleanly is found whole or
//! refused, and so is one that ends before the base of its snapshot.
//!
//! ```text
//! offset size   two slots like this, at 0 and at 4096, written in turn
//!   0     8   magic "1copyend"
//!   8     4   format version (1)
//!  12     4   zero
//!  16     8   every record up to this LSN is synced
//!  24    36   zero
//!  60     4   CRC-32C of bytes 0..60
//! ```
//!
//! # What it cannot tell
//!
//! - After a **crash**, of the records that were synced since the last note (at most a second before the
//!   crash), those at the very end of the log that no later record vouches for: if they are damaged while the
//!   node is down, they are cut off like a torn tail. The watermark that covers a batch is written with the
//!   next one, so this is the last batch if one record of it is damaged, and more if everything behind some
//!   point is overwritten. The group's other copies have them, and a copy that lacks them is told so by the
//!   protocol when it returns. (A primary that restarted gets a new view anyway, rule P11.) They are lost
//!   only if the same happens to every copy.
//! - An old copy of the whole directory that is put in place agrees with itself. It is found out by its boot
//!   number, see
//!   [`identity`].
//! - A log whose `end` was removed by hand is taken for one of a version before there were such files.

pub mod directory;
mod end;
pub mod entries;
pub mod error;
pub mod fs;
mod group;
pub mod identity;
pub mod log;
mod record;
mod recovery;
mod segment;
pub mod snapshot;

pub use directory::{DataDirectory, DirectoryError};
pub use entries::{Entries, Location};
pub use error::{LogError, OpenError};
pub use fs::{Crash, File, FileSystem, MemoryFile, MemoryFileSystem, RealFileSystem};
pub use identity::{Identity, IdentityError, Owner};
pub use log::{DIRECTORY as LOG_DIRECTORY, Log, LogOptions, Missing, Stats, Syncing};
pub use record::PAYLOAD_MAX as RECORD_BYTES_MAX;
pub use snapshot::{SnapshotError, SnapshotName, SnapshotReader, SnapshotWriter, Snapshots};
