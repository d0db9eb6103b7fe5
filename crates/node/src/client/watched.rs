//! What connections watch, and wait for, and how it is called in the replicated state.

use std::sync::atomic::{AtomicU64, Ordering};

use onecopy_core::{GroupId, Incarnation};
use onecopy_host::Share;
use onecopy_keyspace::request::{WaiterId, WatchId};

use super::databases::Selected;

/// The lives of the data threads, which began with this process: their coordinators go by these names. A
/// watch belongs to the life that sends what is for its group, and ends with it.
#[derive(Debug)]
pub(crate) struct Lives {
    threads: Vec<Incarnation>,
    /// The number of the next watch, waiter or listener.
    next: AtomicU64,
}

impl Lives {
    /// So many threads begin to live.
    pub(crate) fn begin(threads: usize) -> Self {
        let threads = (0..threads).map(|_| Incarnation(rand::random())).collect();
        Self { threads, next: AtomicU64::new(1) }
    }

    /// How many threads there are.
    pub(crate) fn threads(&self) -> usize {
        self.threads.len()
    }

    /// The life of a thread.
    pub(crate) fn of(&self, thread: usize) -> Incarnation {
        self.threads[thread]
    }

    /// Whether it is one of them.
    pub(crate) fn include(&self, life: Incarnation) -> bool {
        self.threads.contains(&life)
    }

    /// The name of another watch, of keys of this group.
    pub(crate) fn watch(&self, group: GroupId) -> WatchId {
        let (process, number) = self.name(group);
        WatchId { process, number }
    }

    /// The name of another waiter, at keys of this group.
    pub(crate) fn waiter(&self, group: GroupId) -> WaiterId {
        let (process, number) = self.name(group);
        WaiterId { process, number }
    }

    /// The number of another listener.
    pub(crate) fn listener(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn name(&self, group: GroupId) -> (Incarnation, u64) {
        let process = self.of(Share::holder(group, self.threads.len()));
        (process, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// What a connection watches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched {
    pub(crate) id: WatchId,
    /// The database that was selected when it began: all keys belong to its group.
    pub(crate) selected: Selected,
    /// Nobody can say whether a key is watched that should be: no transaction may rely on it.
    pub(crate) is_uncertain: bool,
}
