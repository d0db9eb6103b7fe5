//! Who is connected, over all data threads. Each thread writes about its own clients.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use onecopy_core::GroupId;
use onecopy_keyspace::request::WaiterId;

use super::mailbox::Letterbox;
use super::pause::Pause;
use super::session::Peer;
use crate::lock::lock;

/// The clients of a node, by id.
#[derive(Debug)]
pub(crate) struct Register {
    next_id: AtomicU64,
    /// How many there are.
    count: AtomicUsize,
    /// By the thread that serves them.
    threads: Vec<Mutex<BTreeMap<u64, Peer>>>,
    /// Whether they are served.
    pub(crate) pause: Pause,
}

impl Register {
    pub(crate) fn new(threads: usize) -> Self {
        let threads = (0..threads).map(|_| Mutex::default()).collect();
        Self { next_id: AtomicU64::new(1), count: AtomicUsize::new(0), threads, pause: Pause::default() }
    }

    /// A client is connected from now on, and is served by this thread.
    pub(crate) fn add(&self, thread: usize, peer: impl FnOnce(u64) -> Peer) -> u64 {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.lock(thread).insert(id, peer(id));
        self.count.fetch_add(1, Ordering::Relaxed);
        id
    }

    pub(crate) fn remove(&self, thread: usize, id: u64) {
        if self.lock(thread).remove(&id).is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// How many are connected.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Looks at a client of this thread, or changes what is known of it.
    pub(crate) fn with<R>(&self, thread: usize, id: u64, act: impl FnOnce(&mut Peer) -> R) -> Option<R> {
        self.lock(thread).get_mut(&id).map(act)
    }

    /// Who waits in the replicated state for a client of any thread, if it waits for something.
    pub(crate) fn blocked(&self, id: u64) -> Option<(GroupId, WaiterId)> {
        (0..self.threads.len()).find_map(|thread| self.lock(thread).get(&id)?.blocked)
    }

    /// Where the mailbox of a client of any thread is found, if it is connected.
    pub(crate) fn letterbox(&self, id: u64) -> Option<Arc<Letterbox>> {
        (0..self.threads.len()).find_map(|thread| Some(self.lock(thread).get(&id)?.letterbox.clone()))
    }

    /// How many clients wait for something.
    pub(crate) fn blocked_count(&self) -> usize {
        let count = |thread| self.lock(thread).values().filter(|peer| peer.blocked.is_some()).count();
        (0..self.threads.len()).map(count).sum::<usize>() + self.pause.waiting()
    }

    /// All clients, by id.
    pub(crate) fn all(&self) -> BTreeMap<u64, Peer> {
        let mut all = BTreeMap::new();
        (0..self.threads.len()).for_each(|thread| all.extend(self.lock(thread).clone()));
        all
    }

    /// Ends the connections of those who are `meant`. Returns how many there were.
    pub(crate) fn end(&self, meant: impl Fn(&Peer) -> bool) -> usize {
        let mut count = 0;
        for thread in 0..self.threads.len() {
            for peer in self.lock(thread).values().filter(|peer| meant(peer)) {
                peer.ending.tell();
                count += 1;
            }
        }
        count
    }

    fn lock(&self, thread: usize) -> MutexGuard<'_, BTreeMap<u64, Peer>> {
        lock(&self.threads[thread])
    }
}
