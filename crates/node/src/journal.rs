//! The log thread: it owns the durable log, and makes everything durable that has arrived meanwhile with one sync.
//!
//! Groups hand in writes with a ticket and hear when the ticket is durable. What "durable" means is the node's
//! [`Durability`]; the small state of a protocol (terms, votes, promises) is synced whatever the setting. After a
//! failed write nothing is ever reported as durable again, so the node stops acknowledging, and says why.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use onecopy_core::{GroupId, Ticket, Write};
use onecopy_host::Job;
use onecopy_storage::{Log, LogError, RealFileSystem, Stats};
use tokio::sync::mpsc::UnboundedSender;
use tracing::{error, info};

use crate::config::Durability;

/// After so long without work the log records that everything in it is synced, so that damage to its very end is not
/// taken for a torn write.
const IDLE: Duration = Duration::from_secs(1);
/// With `durability = "memory"`, how long something may wait for its sync.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// While there is work, the log notes about so often how far it reaches: what is cut off behind that is
/// missed.
const NOTE_INTERVAL: Duration = Duration::from_secs(1);
/// One sync serves at most about this many bytes, so that the first of them do not wait for ever.
const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Groups that need an older segment than these are asked for a snapshot.
const SEGMENTS_KEPT: u64 = 4;

/// What the log thread tells the owner of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JournalEvent {
    /// Everything up to this ticket is durable.
    Persisted { group: GroupId, ticket: Ticket },
    /// The group keeps old segments alive: a snapshot would let them go.
    SnapshotWanted { group: GroupId },
}

/// Hands writes of one owner to the log thread.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    jobs: Sender<(Job, UnboundedSender<JournalEvent>)>,
    events: UnboundedSender<JournalEvent>,
    health: Arc<JournalHealth>,
}

/// How the log is doing.
#[derive(Debug, Default)]
pub(crate) struct JournalHealth {
    failure: Mutex<Option<String>>,
    wants_room: AtomicBool,
    stats: Mutex<Stats>,
    /// Syncs and their total duration in microseconds, for metrics.
    pub(crate) sync_micros: AtomicU64,
}

impl Journal {
    /// Starts the log thread. It ends, after a last sync, when all journals of it are gone.
    pub(crate) fn start(
        log: Log<RealFileSystem>,
        durability: Durability,
        events: UnboundedSender<JournalEvent>,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (jobs, queue) = channel();
        let health = Arc::new(JournalHealth::default());
        let keeper = Keeper {
            log,
            durability,
            queue,
            health: health.clone(),
            unsynced_since: None,
            noted: Instant::now(),
            owners: BTreeMap::new(),
        };
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || keeper.run())?;
        Ok((Self { jobs, events, health }, thread))
    }

    /// The same log, for another owner.
    pub(crate) fn for_owner(&self, events: UnboundedSender<JournalEvent>) -> Self {
        Self { events, ..self.clone() }
    }

    /// Hands in writes. Comes back as [`JournalEvent::Persisted`], or never, if the log has failed.
    pub(crate) fn submit(&self, job: Job) {
        // The thread only ends before the journals when it has failed, and then nothing is durable any more.
        let _ = self.jobs.send((job, self.events.clone()));
    }

    /// How the log is doing.
    pub(crate) fn health(&self) -> &Arc<JournalHealth> {
        &self.health
    }
}

impl JournalHealth {
    /// Why the log does not take writes any more, if it does not.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.lock().expect("nobody panics with this lock").clone()
    }

    /// Whether the log has failed because there was no room for it.
    pub(crate) fn wants_room(&self) -> bool {
        self.wants_room.load(Ordering::Acquire)
    }

    /// What the log is made of.
    pub(crate) fn stats(&self) -> Stats {
        *self.stats.lock().expect("nobody panics with this lock")
    }
}

struct Keeper {
    log: Log<RealFileSystem>,
    durability: Durability,
    queue: Receiver<(Job, UnboundedSender<JournalEvent>)>,
    health: Arc<JournalHealth>,
    /// With `durability = "memory"`: since when something waits for its sync.
    unsynced_since: Option<Instant>,
    /// When the log has last noted how far it reaches.
    noted: Instant,
    /// Who hears about which group.
    owners: BTreeMap<GroupId, UnboundedSender<JournalEvent>>,
}

impl Keeper {
    fn run(mut self) {
        if let Err(error) = self.serve() {
            let wants_room = error.is_disk_full();
            let outlook = match wants_room {
                true => {
                    "the disk is full; the process waits until there is room, and then begins anew by itself"
                }
                false => "the disk must be mended, and the node started again",
            };
            error!(%error, outlook, "the log has failed: this node acknowledges nothing any more");
            *self.health.failure.lock().expect("nobody panics with this lock") =
                Some(format!("{error}: {outlook}"));
            self.health.wants_room.store(wants_room, Ordering::Release);
            return;
        }
        match self.log.close() {
            Ok(()) => info!("the log is closed"),
            Err(error) => error!(%error, "the log could not be closed cleanly"),
        }
    }

    fn serve(&mut self) -> Result<(), LogError> {
        loop {
            let first = match self.queue.recv_timeout(self.patience()) {
                Ok(job) => job,
                Err(RecvTimeoutError::Timeout) => {
                    self.log.mark()?;
                    self.unsynced_since = None;
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            self.write_batch(first)?;
            if self.patience().is_zero() {
                self.sync()?;
            }
            if self.noted.elapsed() >= NOTE_INTERVAL {
                self.note_end()?;
            }
        }
    }

    /// How long the next job may be waited for.
    fn patience(&self) -> Duration {
        self.unsynced_since.map_or(IDLE, |since| SYNC_INTERVAL.saturating_sub(since.elapsed()))
    }

    /// Writes everything that has arrived, makes it durable at once, and tells the owners.
    fn write_batch(&mut self, first: (Job, UnboundedSender<JournalEvent>)) -> Result<(), LogError> {
        let mut done: BTreeMap<GroupId, Ticket> = BTreeMap::new();
        let mut must_sync = self.durability == Durability::Disk;
        let mut compacted = false;
        let mut next = Some(first);
        while let Some((job, events)) = next {
            for write in &job.writes {
                must_sync |= matches!(write, Write::State(_));
                compacted |= matches!(write, Write::Compact { .. } | Write::Install { .. });
                self.log.append(job.group, write)?;
            }
            done.insert(job.group, job.ticket);
            self.owners.entry(job.group).or_insert(events);
            let more = self.log.unflushed_bytes() < BATCH_BYTES_MAX;
            next = more.then(|| self.queue.try_recv().ok()).flatten();
        }
        if must_sync {
            self.sync()?;
        } else {
            self.log.flush()?;
            self.unsynced_since.get_or_insert_with(Instant::now);
        }
        let segments = self.health.stats().segments;
        for (group, ticket) in done {
            self.tell(group, JournalEvent::Persisted { group, ticket });
        }
        if compacted {
            self.log.reclaim()?;
            // A log that ends before the base of its snapshot is damaged, not short.
            self.note_end()?;
        }
        let stats = self.log.stats();
        *self.health.stats.lock().expect("nobody panics with this lock") = stats;
        if stats.segments > segments {
            self.ask_for_snapshots();
        }
        Ok(())
    }

    /// A segment was started: whoever keeps old ones alive is asked for a snapshot, also if it has been idle.
    fn ask_for_snapshots(&self) {
        for (group, _) in self.log.pinned_groups(SEGMENTS_KEPT) {
            self.tell(group, JournalEvent::SnapshotWanted { group });
        }
    }

    fn tell(&self, group: GroupId, event: JournalEvent) {
        if let Some(owner) = self.owners.get(&group) {
            // An owner that is gone does not care any more.
            let _ = owner.send(event);
        }
    }

    fn note_end(&mut self) -> Result<(), LogError> {
        self.noted = Instant::now();
        self.log.note_end()
    }

    fn sync(&mut self) -> Result<(), LogError> {
        let started = Instant::now();
        self.log.sync()?;
        self.unsynced_since = None;
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.health.sync_micros.fetch_add(micros, Ordering::Relaxed);
        Ok(())
    }
}
