//! What the data threads tell the others about themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onecopy_core::{GroupId, Instant, View};
use onecopy_host::clock::Jump;
use onecopy_host::{Elsewhere, Share};

use super::{BusyStatus, ReplicaStatus, ThreadReport};
use crate::lock::lock;

/// A turn of the data thread that takes longer is worth a word.
const LONG_TURN: Duration = Duration::from_millis(40);

/// What the data threads tell the others about themselves, a little behind.
#[derive(Debug)]
pub(crate) struct DataStatus {
    threads: Vec<ThreadStatus>,
    pub(crate) clients: ClientCounters,
    pub(crate) replicas_did: ReplicaCounters,
    /// To other nodes.
    pub(crate) messages: Arc<AtomicU64>,
}

/// What one data thread tells about itself.
#[derive(Debug, Default)]
pub(crate) struct ThreadStatus {
    replicas: Mutex<BTreeMap<GroupId, ReplicaStatus>>,
    /// As its coordinators have them cached.
    views: Mutex<BTreeMap<GroupId, View>>,
    clock_jump: Mutex<Option<Jump>>,
    /// Why no client can be served, if none can.
    obstacle: Mutex<Option<String>>,
    /// When the turn began that it is in; 0 between turns.
    turn_began: AtomicU64,
    /// Bytes of memory that the states of its groups occupy.
    occupied: AtomicU64,
    /// How many they are, and the bytes that their snapshots have.
    groups: AtomicUsize,
    snapshots: AtomicU64,
    turns: AtomicU64,
    /// Whether a script goes on from turn to turn.
    runs_scripts: AtomicBool,
    /// Whose scripts are to stop, and whether there are some.
    killed: Mutex<BTreeSet<GroupId>>,
    kills: AtomicBool,
    busyness: Busyness,
    /// How many clients it serves.
    pub(crate) clients: AtomicU64,
}

/// How much of its time a thread spends in turns. Only the thread itself changes it.
#[derive(Debug, Default)]
struct Busyness {
    /// When the second began that is being counted, and how many nanoseconds of it were spent.
    began: AtomicU64,
    spent: AtomicU64,
    /// In the second before, in thousandths.
    permille: AtomicU64,
}

impl Busyness {
    /// A turn is over.
    fn spent(&self, from: Instant, to: Instant) {
        let spent = self.spent.load(Ordering::Relaxed) + to.since(from).as_nanos() as u64;
        let length = to.since(Instant(self.began.load(Ordering::Relaxed))).as_nanos() as u64;
        if length < 1_000_000_000 {
            return self.spent.store(spent, Ordering::Relaxed);
        }
        self.permille.store((spent.saturating_mul(1_000) / length).min(1_000), Ordering::Relaxed);
        self.spent.store(0, Ordering::Relaxed);
        self.began.store(to.0, Ordering::Relaxed);
    }
}

/// What the replicas of the node count, beside what is in [`ReplicaStatus`].
#[derive(Debug, Default)]
pub(crate) struct ReplicaCounters {
    pub(crate) handovers_failed: AtomicU64,
    pub(crate) diverged: AtomicU64,
    pub(crate) rebuilt: AtomicU64,
    /// Batches of reads that went to a primary elsewhere.
    pub(crate) reads_forwarded: AtomicU64,
}

impl ReplicaCounters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the client connections count.
#[derive(Debug, Default)]
pub(crate) struct ClientCounters {
    pub(crate) accepted: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) commands: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    /// How often something was read from a connection, and written to one.
    pub(crate) reads: AtomicU64,
    pub(crate) writes: AtomicU64,
}

impl ClientCounters {
    /// Begins anew.
    pub(crate) fn reset(&self) {
        let Self { accepted, rejected, commands, errors, bytes_in, bytes_out, reads, writes } = self;
        [accepted, rejected, commands, errors, bytes_in, bytes_out, reads, writes]
            .iter()
            .for_each(|counter| counter.store(0, Ordering::Relaxed));
    }

    /// Something was read from a connection.
    pub(crate) fn read(&self, bytes: usize) {
        Self::add(&self.bytes_in, bytes as u64);
        Self::add(&self.reads, 1);
    }

    /// Something was written to a connection.
    pub(crate) fn wrote(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        Self::add(&self.bytes_out, bytes as u64);
        Self::add(&self.writes, 1);
    }

    pub(crate) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

impl ThreadStatus {
    /// The thread begins a turn.
    pub(crate) fn turn_begins(&self, now: Instant) {
        self.turn_began.store(now.0.max(1), Ordering::Relaxed);
    }

    /// It has come round.
    pub(crate) fn turn_ends(&self, now: Instant) {
        let began = self.turn_began.swap(0, Ordering::Relaxed);
        self.busyness.spent(Instant(began), now);
        self.turns.fetch_add(1, Ordering::Relaxed);
    }

    /// How many replicas it has.
    pub(crate) fn replicas(&self) -> u64 {
        lock(&self.replicas).len() as u64
    }

    /// How many turns there have been.
    pub(crate) fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    /// What it has of the memory, for the others.
    pub(crate) fn set_occupied(&self, bytes: u64) {
        self.occupied.store(bytes, Ordering::Relaxed);
    }

    /// Of these groups there is something new to tell: `status` says what, and is told what was said before.
    pub(crate) fn renew(
        &self,
        groups: &BTreeSet<GroupId>,
        mut status: impl FnMut(GroupId, Option<&ReplicaStatus>) -> Option<ReplicaStatus>,
    ) {
        let mut replicas = lock(&self.replicas);
        for group in groups {
            match status(*group, replicas.get(group)) {
                Some(status) => drop(replicas.insert(*group, status)),
                None => drop(replicas.remove(group)),
            }
        }
        let runs = replicas.values().any(|replica| replica.busy.as_ref().is_some_and(BusyStatus::is_script));
        self.runs_scripts.store(runs, Ordering::Relaxed);
    }

    /// The script that the copy of a group is in the middle of is to stop: it only reads.
    pub(crate) fn kill_script(&self, group: GroupId) {
        lock(&self.killed).insert(group);
        self.kills.store(true, Ordering::Release);
    }

    /// Whose scripts are to stop, since that was last asked.
    pub(crate) fn take_killed(&self) -> BTreeSet<GroupId> {
        match self.kills.swap(false, Ordering::AcqRel) {
            true => std::mem::take(&mut *lock(&self.killed)),
            false => BTreeSet::new(),
        }
    }

    /// Whether a script went on from turn to turn when that was last looked at.
    pub(crate) fn runs_script(&self) -> bool {
        self.runs_scripts.load(Ordering::Relaxed)
    }

    /// Its coordinators know these views. Returns whether one of them is news.
    pub(crate) fn learn<'a>(&self, views: impl Iterator<Item = (GroupId, &'a View)>) -> bool {
        let mut known = lock(&self.views);
        let mut is_news = false;
        for (group, view) in views {
            if known.get(&group).is_none_or(|known| known != view) {
                known.insert(group, view.clone());
                is_news = true;
            }
        }
        is_news
    }

    /// How many groups it has, and the bytes that their snapshots have, for the others.
    pub(crate) fn set_held(&self, groups: usize, snapshots: u64) {
        self.groups.store(groups, Ordering::Relaxed);
        self.snapshots.store(snapshots, Ordering::Relaxed);
    }

    /// Why no client can be served, if none can.
    pub(crate) fn set_obstacle(&self, obstacle: Option<String>) {
        *lock(&self.obstacle) = obstacle;
    }

    /// The wall clock has jumped, and is not believed; or not any more.
    pub(crate) fn set_clock_jump(&self, jump: Option<Jump>) {
        *lock(&self.clock_jump) = jump;
    }

    /// The jump of the wall clock that is not believed, if there is one.
    pub(crate) fn clock_jump(&self) -> Option<Jump> {
        *lock(&self.clock_jump)
    }
}

/// A script that a copy is in the middle of.
#[derive(Debug)]
pub(crate) struct BusyScript {
    /// The command that has begun it.
    pub(crate) command: String,
    pub(crate) is_function: bool,
    /// It only reads, at this copy alone.
    pub(crate) reads: bool,
    pub(crate) running: Duration,
    /// How many libraries and functions there are.
    pub(crate) libraries: u64,
    pub(crate) functions: u64,
}

impl DataStatus {
    pub(crate) fn new(threads: usize) -> Self {
        let threads = (0..threads).map(|_| ThreadStatus::default()).collect();
        let (clients, replicas_did) = (ClientCounters::default(), ReplicaCounters::default());
        Self { threads, clients, replicas_did, messages: Arc::default() }
    }

    /// Whether a script goes on from turn to turn, in some group.
    pub(crate) fn runs_scripts(&self) -> bool {
        self.threads.iter().any(ThreadStatus::runs_script)
    }

    /// The script that a copy of a group is in the middle of, if it runs for as long as the threshold says.
    pub(crate) fn busy_script(&self, group: GroupId, threshold: Option<Duration>) -> Option<BusyScript> {
        let replica = self.replica(group)?;
        let busy = replica.busy.filter(BusyStatus::is_script)?;
        let running = Duration::from_millis(busy.busy_ms);
        let [libraries, functions] = replica.functions;
        (running >= threshold?).then(|| BusyScript {
            is_function: busy.command.starts_with("fcall"),
            reads: busy.reads,
            command: busy.command,
            running,
            libraries,
            functions,
        })
    }

    /// See [`ThreadStatus::kill_script`].
    pub(crate) fn kill_script(&self, group: GroupId) {
        self.thread(Share::holder(group, self.threads.len())).kill_script(group);
    }

    /// What people are told of the data threads.
    pub(crate) fn thread_reports(&self) -> Vec<ThreadReport> {
        let report = |(number, thread): (usize, &ThreadStatus)| ThreadReport {
            thread: number as u32,
            replicas: thread.replicas(),
            clients: thread.clients.load(Ordering::Relaxed),
            turns: thread.turns(),
            busy_permille: thread.busyness.permille.load(Ordering::Relaxed),
        };
        self.threads.iter().enumerate().map(report).collect()
    }

    /// What one of the threads tells.
    pub(crate) fn thread(&self, thread: usize) -> &ThreadStatus {
        &self.threads[thread]
    }

    /// For how long a thread has been in one turn, if that is long.
    pub(crate) fn busy_for(&self, now: Instant) -> Option<Duration> {
        let busy_for = |thread: &ThreadStatus| {
            let began = thread.turn_began.load(Ordering::Relaxed);
            Some(now.since(Instant(began))).filter(|busy| began > 0 && *busy >= LONG_TURN)
        };
        self.threads.iter().filter_map(busy_for).max()
    }

    /// What all threads but this one have.
    pub(crate) fn beside(&self, thread: usize) -> Elsewhere {
        let mut all = Elsewhere::default();
        for (_, other) in self.threads.iter().enumerate().filter(|(other, _)| *other != thread) {
            all.occupied += other.occupied.load(Ordering::Relaxed);
            all.snapshots += other.snapshots.load(Ordering::Relaxed);
            all.groups += other.groups.load(Ordering::Relaxed);
        }
        all
    }

    /// All replicas of the node, by group.
    pub(crate) fn replicas(&self) -> Vec<ReplicaStatus> {
        let mut replicas = self.of_replicas(|replica| Some(replica.clone()));
        replicas.sort_by_key(|replica| replica.group);
        replicas
    }

    /// What `look` sees in the replicas of the node, in no particular order.
    pub(crate) fn of_replicas<T>(&self, look: impl Fn(&ReplicaStatus) -> Option<T>) -> Vec<T> {
        let look =
            |thread: &ThreadStatus| -> Vec<T> { lock(&thread.replicas).values().filter_map(&look).collect() };
        self.threads.iter().flat_map(look).collect()
    }

    /// What is told of the replica of one group.
    pub(crate) fn replica(&self, group: GroupId) -> Option<ReplicaStatus> {
        let thread = self.thread(Share::holder(group, self.threads.len()));
        lock(&thread.replicas).get(&group).cloned()
    }

    /// Why no client can be served, if none can.
    pub(crate) fn obstacle(&self) -> Option<String> {
        self.threads.iter().find_map(|thread| lock(&thread.obstacle).clone())
    }

    /// The jump of the wall clock that is not believed, if there is one.
    pub(crate) fn clock_jump(&self) -> Option<Jump> {
        self.threads.iter().find_map(ThreadStatus::clock_jump)
    }

    /// The view of a group that this node's coordinator has cached.
    pub(crate) fn cached_view(&self, group: GroupId) -> Option<View> {
        lock(&self.thread(Share::holder(group, self.threads.len())).views).get(&group).cloned()
    }
}
