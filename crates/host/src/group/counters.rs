//! What a group counts, for metrics and `INFO`.

/// What a group has done since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Entries executed.
    pub entries: u64,
    /// Batches of writes in entries that were proposed here.
    pub batches: u64,
    /// Batches of reads that were taken.
    pub reads: u64,
    /// Those of them that were taken as a backup, under a lease.
    pub reads_as_backup: u64,
    /// Views adopted.
    pub view_changes: u64,
}
