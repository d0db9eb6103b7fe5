//! The log thread: it makes everything durable that has arrived meanwhile with one sync, and does what takes
//! long: it begins segments, removes old ones, and notes where the log ends.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use onecopy_core::{GroupId, Ticket, Write};
use onecopy_host::Job;
use onecopy_storage::{Log, LogError, RealFileSystem};
use tracing::{error, info};

use super::{JournalEvent, JournalHealth, Order, Owner, SYNC_INTERVAL, UNSYNCED_BYTES_MAX};
use crate::config::Durability;

/// After so long without work the log records that everything in it is synced, so that damage to its very end
/// is not taken for a torn write. While there is work, it is synced so often if that is not done at once, and
/// the log notes how far it reaches: what is cut off behind that is missed.
const INTERVAL: Duration = SYNC_INTERVAL;
/// One sync serves at most about this many bytes, so that the first of them do not wait for ever.
const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Groups that need an older segment than these are asked for a snapshot.
const SEGMENTS_KEPT: u64 = 4;

pub(super) struct Keeper {
    log: Arc<Mutex<Log<RealFileSystem>>>,
    durability: Durability,
    queue: Receiver<Order>,
    health: Arc<JournalHealth>,
    /// When there is something to do although nobody asks for it.
    due: Instant,
    /// Something was written since the last time.
    worked: bool,
    /// Who hears about which group.
    owners: BTreeMap<GroupId, Owner>,
}

impl Keeper {
    pub(super) fn new(
        log: Arc<Mutex<Log<RealFileSystem>>>,
        durability: Durability,
        queue: Receiver<Order>,
        health: Arc<JournalHealth>,
    ) -> Self {
        let due = Instant::now() + INTERVAL;
        Self { log, durability, queue, health, due, worked: false, owners: BTreeMap::new() }
    }

    pub(super) fn run(mut self) {
        match self.serve() {
            Ok(()) => info!("the log is closed"),
            Err(error) => self.report(error),
        }
    }

    fn report(&self, error: LogError) {
        let error = match error {
            LogError::Poisoned { cause } => *cause,
            error => error,
        };
        let wants_room = error.is_disk_full();
        let outlook = match wants_room {
            true => "the disk is full; the process waits until there is room, and then begins anew by itself",
            false => "the disk must be mended, and the node started again",
        };
        error!(%error, outlook, "the log has failed: this node acknowledges nothing any more");
        *crate::lock::lock(&self.health.failure) = Some(format!("{error}: {outlook}"));
        self.health.wants_room.store(wants_room, Ordering::Release);
    }

    fn serve(&mut self) -> Result<(), LogError> {
        loop {
            match self.queue.recv_timeout(self.due.saturating_duration_since(Instant::now())) {
                Ok(Order::Write(job, owner)) => {
                    self.write_batch(job, owner)?;
                    self.sync_if_much()?;
                }
                Ok(Order::Look) => self.sync_if_much()?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return lock(&self.log).mark(),
            }
            if self.due <= Instant::now() {
                self.keep()?;
            }
        }
    }

    /// Writes everything that has arrived, makes it durable at once, and tells the owners. Nobody else
    /// appends meanwhile.
    fn write_batch(&mut self, job: Job, owner: Owner) -> Result<(), LogError> {
        let log = self.log.clone();
        let mut log = lock(&log);
        self.worked = true;
        let mut done: BTreeMap<GroupId, (Ticket, usize)> = BTreeMap::new();
        let mut must_sync = self.durability == Durability::Disk;
        let mut compacted = false;
        let mut next = Some((job, owner));
        while let Some((job, owner)) = next {
            for write in &job.writes {
                must_sync |= matches!(write, Write::State(_));
                compacted |= matches!(write, Write::Compact { .. } | Write::Install { .. } | Write::Forget);
                log.append(job.group, write)?;
            }
            let (ticket, jobs) = done.entry(job.group).or_default();
            (*ticket, *jobs) = (job.ticket, *jobs + 1);
            self.owners.entry(job.group).or_insert(owner);
            let more = log.unflushed_bytes() < BATCH_BYTES_MAX;
            next = more.then(|| self.next_job()).flatten();
        }
        match must_sync {
            true => self.sync(&mut log)?,
            false => log.flush()?,
        }
        let segments = self.health.stats().segments;
        for (group, (ticket, jobs)) in done {
            self.tell(group, JournalEvent::Persisted { group, ticket });
            if let Some(owner) = self.owners.get(&group) {
                owner.queued.fetch_sub(jobs, Ordering::AcqRel);
            }
        }
        if compacted {
            log.reclaim()?;
            // A log that ends before the base of its snapshot is damaged, not short.
            log.note_end()?;
        }
        self.health.set_stats(log.stats());
        if log.stats().segments > segments {
            self.ask_for_snapshots(&log);
        }
        Ok(())
    }

    fn next_job(&self) -> Option<(Job, Owner)> {
        loop {
            match self.queue.try_recv() {
                Ok(Order::Write(job, owner)) => return Some((job, owner)),
                // The batch is as good as a look: it fails if the log has, and the sync is due in a second at
                // most.
                Ok(Order::Look) => {}
                Err(_) => return None,
            }
        }
    }

    /// What has gathered is synced before a new segment would wait for it.
    fn sync_if_much(&mut self) -> Result<(), LogError> {
        let unsynced = {
            let mut log = lock(&self.log);
            // Fails if the log has failed under another thread.
            log.flush()?;
            log.unsynced_bytes()
        };
        match unsynced > UNSYNCED_BYTES_MAX {
            true => self.sync_meanwhile(),
            false => Ok(()),
        }
    }

    /// An interval has passed: what is there is made durable, and the end is noted; without work, the log
    /// says so itself.
    fn keep(&mut self) -> Result<(), LogError> {
        self.due = Instant::now() + INTERVAL;
        let worked = std::mem::take(&mut self.worked) || lock(&self.log).unsynced_bytes() > 0;
        if worked {
            self.sync_meanwhile()?;
        } else {
            lock(&self.log).mark()?;
        }
        self.health.set_stats(lock(&self.log).stats());
        Ok(())
    }

    /// Others append meanwhile.
    fn sync_meanwhile(&mut self) -> Result<(), LogError> {
        let Some(syncing) = lock(&self.log).begin_sync()? else { return Ok(()) };
        let started = Instant::now();
        self.health.syncing.start();
        let outcome = syncing.run();
        self.health.syncing.stop();
        self.count_sync(started);
        lock(&self.log).end_sync(&syncing, outcome)
    }

    fn sync(&self, log: &mut Log<RealFileSystem>) -> Result<(), LogError> {
        let started = Instant::now();
        log.sync()?;
        self.count_sync(started);
        Ok(())
    }

    fn count_sync(&self, started: Instant) {
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.health.sync_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// A segment was started: whoever keeps old ones alive is asked for a snapshot, also if it has been idle.
    fn ask_for_snapshots(&self, log: &Log<RealFileSystem>) {
        for (group, bytes) in log.pinned_groups(SEGMENTS_KEPT) {
            self.tell(group, JournalEvent::SnapshotWanted { group, bytes });
        }
    }

    fn tell(&self, group: GroupId, event: JournalEvent) {
        if let Some(owner) = self.owners.get(&group) {
            // An owner that is gone does not care any more.
            let _ = owner.events.send(event);
        }
    }
}

fn lock(log: &Mutex<Log<RealFileSystem>>) -> MutexGuard<'_, Log<RealFileSystem>> {
    // A thread that has panicked with the log may have left half a record.
    log.lock().expect("nobody panics with the log")
}
