//! The durable log of the node, as its owners use it. See [`keeper`] for the thread behind it.
//!
//! Groups hand in writes with a ticket and hear when the ticket is durable. What "durable" means is the
//! node's [`Durability`]; the small state of a protocol (terms, votes, promises) is synced whatever the
//! setting. After a failed write nothing is ever reported as durable again, so the node stops acknowledging,
//! and says why.
//!
//! With `durability = "memory"` entries are durable once the operating system has them. A data thread hands
//! them over itself, all that a turn has with one system call, and wakes nobody (decision 12). What takes
//! longer goes to the log thread, and everything behind it until that thread has caught up: what must be
//! synced, what begins another segment, what is large, and whatever comes while the log thread holds the log.

mod keeper;
mod stopwatch;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;

use onecopy_core::{GroupId, Index, Ticket, Write};
use onecopy_host::Job;
use onecopy_storage::{Location, Log, LogError, RealFileSystem, Stats};
use tokio::sync::mpsc::UnboundedSender;

use crate::config::Durability;
use crate::lock::lock;
use keeper::Keeper;
use stopwatch::Stopwatch;

/// The data thread copies at most so many bytes at once to the operating system. More is worth waking the log
/// thread: others wait for the copying, and where disks cannot keep up, the operating system makes whoever
/// writes much wait for them.
const DIRECT_BYTES_MAX: usize = 128 * 1024;
/// With `durability = "memory"`, how long something may wait for its sync.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// How often a data thread looks whether another one has written.
const TRIES: usize = 32;
/// The log thread syncs before so much has gathered that a new segment would wait for it.
const UNSYNCED_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What the log thread tells the owner of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JournalEvent {
    /// Everything up to this ticket is durable.
    Persisted { group: GroupId, ticket: Ticket },
    /// The group keeps old segments alive: a snapshot would let them go.
    SnapshotWanted {
        /// The group.
        group: GroupId,
        /// How many bytes they and all behind them have.
        bytes: u64,
    },
}

/// What the log thread is asked for.
enum Order {
    /// Make this durable, and tell the owner.
    Write(Job, Owner),
    /// There is much to sync, or the log has failed under another thread.
    Look,
}

/// Who hears about a group.
#[derive(Clone, Debug)]
struct Owner {
    events: UnboundedSender<JournalEvent>,
    /// How many of its jobs the log thread has not finished.
    queued: Arc<AtomicUsize>,
}

/// The log of one owner.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    orders: Sender<Order>,
    owner: Owner,
    /// The log itself, if the owner may append to it.
    direct: Option<Arc<Mutex<Log<RealFileSystem>>>>,
    health: Arc<JournalHealth>,
}

/// Knows where in the log an entry lies.
#[derive(Clone, Debug)]
pub(crate) struct Locator(Arc<Mutex<Log<RealFileSystem>>>);

impl Locator {
    /// Where this entry of a group lies, if the log holds it. Waits for a sync that is under way.
    pub(crate) fn locate(&self, group: GroupId, index: Index) -> Option<Location> {
        self.0.lock().expect("nobody panics with the log").locate(group, index)
    }
}

/// How the log is doing.
#[derive(Debug, Default)]
pub(crate) struct JournalHealth {
    failure: Mutex<Option<String>>,
    wants_room: AtomicBool,
    stats: Mutex<Stats>,
    /// A write of the data thread.
    direct: Stopwatch,
    /// A sync that lets others append meanwhile.
    syncing: Stopwatch,
    /// Syncs and their total duration in microseconds, for metrics.
    pub(crate) sync_micros: AtomicU64,
}

impl Owner {
    fn new(events: UnboundedSender<JournalEvent>) -> Self {
        Self { events, queued: Arc::default() }
    }
}

impl Journal {
    /// Starts the log thread. It ends, after a last sync, when all journals of it are gone. The owner of this
    /// first one belongs to one thread.
    pub(crate) fn start(
        log: Log<RealFileSystem>,
        durability: Durability,
        events: UnboundedSender<JournalEvent>,
    ) -> std::io::Result<(Self, Locator, JoinHandle<()>)> {
        let (orders, queue) = channel();
        let log = Arc::new(Mutex::new(log));
        let health = Arc::new(JournalHealth::default());
        let keeper = Keeper::new(log.clone(), durability, queue, health.clone());
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || keeper.run())?;
        let locator = Locator(log.clone());
        let direct = (durability == Durability::Memory).then_some(log);
        Ok((Self { orders, owner: Owner::new(events), direct, health }, locator, thread))
    }

    /// The same log, for another owner, who always lets the log thread do the work.
    pub(crate) fn for_owner(&self, events: UnboundedSender<JournalEvent>) -> Self {
        Self { owner: Owner::new(events), direct: None, ..self.clone() }
    }

    /// The same log, for another data thread.
    pub(crate) fn for_thread(&self, events: UnboundedSender<JournalEvent>) -> Self {
        Self { owner: Owner::new(events), ..self.clone() }
    }

    /// Whether some of what is handed in may be durable at once, so that it had better come all together.
    pub(crate) fn is_direct(&self) -> bool {
        self.direct.is_some()
    }

    /// Hands in writes. Those that are durable at once are pushed to `durable`; the others come back as
    /// [`JournalEvent::Persisted`], or never, if the log has failed.
    pub(crate) fn submit(&self, jobs: impl IntoIterator<Item = Job>, durable: &mut Vec<(GroupId, Ticket)>) {
        let mut rest = jobs.into_iter().peekable();
        if rest.peek().is_some()
            && let Some(log) = &self.direct
            && self.health.syncing.elapsed().is_none_or(|elapsed| elapsed < SYNC_INTERVAL)
            // Nothing overtakes what the log thread has not finished.
            && self.owner.queued.load(Ordering::Acquire) == 0
            && let Some(mut log) = take(log)
        {
            let before = durable.len();
            let mut append = |log: &mut Log<RealFileSystem>| -> Result<(), LogError> {
                while let Some(job) = rest.next_if(|job| is_quick(log, &job.writes)) {
                    job.writes.iter().try_for_each(|write| log.append(job.group, write))?;
                    durable.push((job.group, job.ticket));
                }
                log.flush()
            };
            self.health.direct.start();
            let outcome = append(&mut log);
            self.health.direct.stop();
            if outcome.is_err() {
                // None of it may count. The log thread finds out why, and says so.
                durable.truncate(before);
            }
            if outcome.is_err() || log.unsynced_bytes() > UNSYNCED_BYTES_MAX {
                let _ = self.orders.send(Order::Look);
            }
        }
        for job in rest {
            self.owner.queued.fetch_add(1, Ordering::AcqRel);
            // The thread only ends before the journals when it has failed, and then nothing is durable any
            // more.
            let _ = self.orders.send(Order::Write(job, self.owner.clone()));
        }
    }

    /// How the log is doing.
    pub(crate) fn health(&self) -> &Arc<JournalHealth> {
        &self.health
    }
}

/// The log, unless somebody keeps it. Another data thread has it for a write, which takes no longer than to
/// have the log thread woken.
fn take(log: &Mutex<Log<RealFileSystem>>) -> Option<MutexGuard<'_, Log<RealFileSystem>>> {
    for _ in 0..TRIES {
        match log.try_lock() {
            Ok(log) => return Some(log),
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            Err(TryLockError::Poisoned(_)) => return None,
        }
    }
    None
}

/// Whether these writes need no sync, no new segment and little time.
fn is_quick(log: &Log<RealFileSystem>, writes: &[Write]) -> bool {
    let entries_only = writes.iter().all(|write| matches!(write, Write::Append { .. } | Write::Cut { .. }));
    let bytes: usize = writes.iter().map(Write::size).sum();
    entries_only && log.unflushed_bytes() + bytes <= DIRECT_BYTES_MAX && log.has_room(writes)
}

impl JournalHealth {
    /// Why the log does not take writes any more, if it does not.
    pub(crate) fn failure(&self) -> Option<String> {
        lock(&self.failure).clone()
    }

    /// Whether the log has failed because there was no room for it.
    pub(crate) fn wants_room(&self) -> bool {
        self.wants_room.load(Ordering::Acquire)
    }

    /// For how long the data thread has been writing to the log, if it has: it is not busy then, but waits
    /// for its disk.
    pub(crate) fn stuck_for(&self) -> Option<Duration> {
        self.direct.elapsed()
    }

    /// What the log is made of, at most a second ago.
    pub(crate) fn stats(&self) -> Stats {
        *lock(&self.stats)
    }

    fn set_stats(&self, stats: Stats) {
        *lock(&self.stats) = stats;
    }
}
