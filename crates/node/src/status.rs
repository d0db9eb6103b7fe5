//! What a node tells about itself, over HTTP and in `INFO`.
//!
//! The types are public and can be read back, so that the command line shows what the node says without a
//! second description of it.

mod copy;

use std::collections::{BTreeMap, BTreeSet};

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onecopy_core::{GroupId, Instant, Member, View};
use onecopy_host::clock::Jump;
use onecopy_host::{Elsewhere, Group, Share, ViewService};
use onecopy_keyspace::{Counts, Keyspace};
use onecopy_replica::Standing;
use onecopy_views::{GroupReport, ReplicaRole};
use serde::{Deserialize, Serialize};

pub use copy::{CopyStatus, OtherCopy};

use crate::disk_room::DiskRoom;
use crate::lock::lock;

/// Everything that `GET /status` answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeStatus {
    /// The node.
    pub node: u32,
    /// The name of its cluster.
    pub cluster: String,
    /// The version of the program.
    pub version: String,
    /// The process.
    pub pid: u32,
    /// Seconds since the process was started.
    pub uptime_seconds: u64,
    /// What the node is for.
    pub roles: Vec<String>,
    /// The highest level that the program knows: by which version's rules it can execute.
    #[serde(default)]
    pub level: u32,
    /// The level in force in the cluster, as far as the node knows.
    #[serde(default)]
    pub level_in_force: u32,
    /// Whether an operator holds it where it is.
    #[serde(default)]
    pub level_held: bool,
    /// Why the node does not acknowledge writes any more, if it does not.
    pub failure: Option<String>,
    /// What an operator should look at, although everything is served.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// The room on the disk of the data directory.
    #[serde(default)]
    pub disk: Option<DiskRoom>,
    /// What the node is in the view service, if it is a view node.
    pub view_service: Option<ViewServiceStatus>,
    /// Its data threads, by number.
    #[serde(default)]
    pub threads: Vec<ThreadReport>,
    /// The replicas on the node.
    pub replicas: Vec<ReplicaStatus>,
    /// The nodes of the cluster, as the node knows them.
    pub nodes: Vec<KnownNode>,
    /// The groups of the cluster, as the node knows them.
    pub groups: Vec<KnownGroup>,
}

/// What a view node is in the view service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewServiceStatus {
    /// `leader`, `follower`, `candidate`, `learner` (gets the log, has no vote yet), `founding` (waits for
    /// the other view nodes of a new cluster) or `waiting` (is no member).
    pub role: String,
    /// The Raft term.
    pub term: u64,
    /// The leader, if it is known.
    pub leader: Option<u32>,
    /// Who votes, as far as this node knows; during a change, who will.
    pub voters: Vec<u32>,
    /// Who gets the log without a vote.
    pub learners: Vec<u32>,
}

impl ViewServiceStatus {
    pub(crate) fn of(service: &ViewService) -> Self {
        let Some(raft) = service.raft() else {
            return Self { role: "founding".to_owned(), ..Self::default() };
        };
        let configuration = raft.configuration();
        let ids = |members: &BTreeSet<Member>| members.iter().map(|member| member.node.0).collect();
        let role = match (configuration.learners.contains(&raft.id()), service.is_member()) {
            (true, _) => "learner".to_owned(),
            (_, true) => raft.role().to_string(),
            _ => "waiting".to_owned(),
        };
        Self {
            role,
            term: raft.term().0,
            leader: raft.leader().map(|leader| leader.node.0),
            voters: ids(&configuration.voters),
            learners: ids(&configuration.learners),
        }
    }
}

/// A data thread of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadReport {
    /// Its number, from 0 on.
    pub thread: u32,
    /// How many replicas belong to it: those of the groups whose number leaves this one, divided by the
    /// number of threads.
    pub replicas: u64,
    /// How many clients it serves.
    pub clients: u64,
    /// Its turns, since the process was started.
    pub turns: u64,
    /// For which part of the last second that it has counted it was in a turn, in thousandths.
    pub busy_permille: u64,
}

/// A replica, as it reports itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaStatus {
    /// The group.
    pub group: u32,
    /// The data thread that it belongs to, counted from 0.
    #[serde(default)]
    pub thread: u32,
    /// The number of the view that it knows.
    pub view: u64,
    /// `primary`, `backup`, `learner`, `retired` (waits for a new view), `spare` or, of an optimistic
    /// database, `copy`.
    pub role: String,
    /// The highest index in its log.
    pub last: u64,
    /// The highest durable index.
    pub durable: u64,
    /// The highest index known to be committed.
    pub commit: u64,
    /// The highest index that has been executed.
    #[serde(default)]
    pub executed: u64,
    /// While the replica executes what its log kept when the process was started: how far that goes.
    #[serde(default)]
    pub replays: Option<u64>,
    /// What the replica is in the middle of executing, if that takes longer than a turn.
    #[serde(default)]
    pub busy: Option<BusyStatus>,
    /// Bytes of entries that are committed and not executed.
    #[serde(default)]
    pub behind_bytes: u64,
    /// For how many milliseconds the replica has been so far behind that it takes no more writes, or entries.
    #[serde(default)]
    pub full_ms: Option<u64>,
    /// For a primary: how many entries each other replica has still to acknowledge.
    pub lag: Vec<(u32, u64)>,
    /// Milliseconds that the oldest unfinished disk write has been waiting.
    pub oldest_write_ms: Option<u64>,
    /// Milliseconds that the oldest uncommitted entry of a primary has been waiting.
    pub oldest_prepare_ms: Option<u64>,
    /// Bytes that the state occupies. This and what follows about its contents is as it was before the
    /// command that the replica is in the middle of.
    pub memory_bytes: u64,
    /// Bytes of the log that are kept in memory.
    pub log_bytes: u64,
    /// Bytes of the log behind the last snapshot: what a start would execute.
    #[serde(default)]
    pub replay_bytes: u64,
    /// Keys, over all databases.
    pub keys: u64,
    /// Keys and keys with an expiry, by database as the state machine counts them; only those that have some.
    pub databases: Vec<(u8, u64, u64)>,
    /// Entries executed since the process was started.
    pub entries: u64,
    /// Batches of coordinators in entries that this replica proposed.
    pub batches: u64,
    /// Batches of reads that it answered.
    pub reads: u64,
    /// Those of them that it answered as a backup, under a lease.
    pub reads_as_backup: u64,
    /// Coordinators whose batches it remembers, so that none is executed twice.
    pub sessions: u64,
    /// How many libraries of functions there are, and how many functions.
    #[serde(default)]
    pub functions: [u64; 2],
    /// How many scripts are known by their names.
    #[serde(default)]
    pub scripts: u64,
    /// What became of keys here.
    #[serde(default)]
    pub counts: KeyCounts,
    /// Views adopted since the process was started.
    pub view_changes: u64,
    /// What a copy of an optimistic database says beyond that.
    #[serde(default)]
    pub optimistic: Option<CopyStatus>,
}

/// What a replica is in the middle of executing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BusyStatus {
    /// The command, in small letters.
    pub command: String,
    /// For how many milliseconds the replica has been executing it, and what belongs to the same entry or
    /// batch.
    pub busy_ms: u64,
    /// It changes nothing, and no other copy executes it.
    #[serde(default)]
    pub reads: bool,
}

/// A node as another one knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownNode {
    /// The node.
    pub node: u32,
    /// Its process, when it last registered.
    pub pid: u32,
    /// Where it takes Redis clients.
    pub redis: String,
    /// Where it answers HTTP.
    pub http: String,
    /// Where it takes other nodes.
    pub peer: String,
    /// Whether it holds data.
    pub holds_data: bool,
    /// Whether it is to hold nothing.
    pub drained: bool,
    /// What it fails together with; empty if nobody said.
    pub zone: String,
    /// The highest level that it knows, as it said when it last registered.
    #[serde(default)]
    pub level: u32,
}

/// A group as a node knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownGroup {
    /// The group.
    pub group: u32,
    /// The database that it holds, with its numbers, such as `carts:16`.
    #[serde(default)]
    pub database: String,
    /// How it is replicated: `primary-backup` or `raft`.
    #[serde(default)]
    pub kind: String,
    /// The number of its view; of a Raft group, one more than the term of its leader.
    pub view: u64,
    /// The node that orders requests: of a Raft group, the last leader that this node has heard of.
    pub primary: u32,
    /// The other members.
    pub backups: Vec<u32>,
    /// The replicas that are catching up.
    pub learners: Vec<u32>,
    /// How many members there should be.
    pub copies: u32,
    /// Without how many of them writes are refused, if that is set for this database alone.
    #[serde(default)]
    pub min_copies: Option<u32>,
    /// Whether its reads are confirmed, whatever the settings of the nodes say.
    #[serde(default)]
    pub confirms_reads: bool,
    /// The only nodes on which its copies are to be; empty: whichever.
    #[serde(default)]
    pub nodes: Vec<u32>,
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

impl BusyStatus {
    /// Whether it is a script.
    fn is_script(&self) -> bool {
        let scripts = ["eval", "eval_ro", "evalsha", "evalsha_ro", "fcall", "fcall_ro"];
        scripts.contains(&self.command.as_str())
    }
}

/// What became of keys at one copy, since its state was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCounts {
    /// How many keys that were read were there.
    pub hits: u64,
    /// And how many were not.
    pub misses: u64,
    /// How many have expired, and were removed.
    pub expired: u64,
    /// How many have gone to make room.
    pub evicted: u64,
}

impl KeyCounts {
    fn of(counts: &Counts) -> Self {
        let Counts { hits, misses, expired, evicted } = counts;
        Self { hits: hits.get(), misses: misses.get(), expired: *expired, evicted: *evicted }
    }

    /// Each count by itself.
    pub(crate) fn combined(self, other: Self, with: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            hits: with(self.hits, other.hits),
            misses: with(self.misses, other.misses),
            expired: with(self.expired, other.expired),
            evicted: with(self.evicted, other.evicted),
        }
    }
}

impl ReplicaStatus {
    /// What was said of the replica `before` stands in for what nobody can look into while a command is
    /// executed.
    pub(crate) fn of(group: &Group<Keyspace>, thread: usize, now: Instant, before: Option<&Self>) -> Self {
        let (replica, counters) = (group.replica(), group.counters());
        let status = replica.status(now);
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let lag = |matched: onecopy_core::Index| status.last.0.saturating_sub(matched.0);
        let databases: Vec<(u8, u64, u64)> = match group.machine() {
            Some(machine) => {
                let sizes = machine.database_sizes();
                sizes.map(|size| (size.number, size.keys as u64, size.expires as u64)).collect()
            }
            None => before.map_or_else(Vec::new, |before| before.databases.clone()),
        };
        let (memory_bytes, sessions) = match group.state() {
            Some(state) => (state.memory(), state.sessions().size().0 as u64),
            None => before.map_or((0, 0), |before| (before.memory_bytes, before.sessions)),
        };
        Self {
            group: group.id().0,
            thread: thread as u32,
            view: status.view.0,
            role: role_name(status.standing).to_owned(),
            last: status.last.0,
            durable: status.durable.0,
            commit: status.commit.0,
            executed: group.applied().0,
            replays: group.replays().map(|through| through.0),
            busy: group.busy().map(|busy| BusyStatus {
                command: busy.command.to_owned(),
                busy_ms: millis(now.since(busy.since)),
                reads: busy.reads,
            }),
            behind_bytes: group.behind_bytes() as u64,
            full_ms: group.full_since().map(|since| millis(now.since(since))),
            lag: replica.acknowledged().into_iter().map(|(node, at)| (node.0, lag(at))).collect(),
            oldest_write_ms: status.oldest_write.map(millis),
            oldest_prepare_ms: status.oldest_prepare.map(millis),
            memory_bytes,
            log_bytes: replica.log().memory_bytes() as u64,
            replay_bytes: replica.log().bytes() as u64,
            keys: databases.iter().map(|(_, keys, _)| keys).sum(),
            databases,
            entries: counters.entries,
            batches: counters.batches,
            reads: counters.reads,
            reads_as_backup: counters.reads_as_backup,
            sessions,
            functions: group.machine().map_or_else(
                || before.map(|before| before.functions).unwrap_or_default(),
                |machine| machine.function_counts().map(|count| count as u64),
            ),
            scripts: group.machine().map_or_else(
                || before.map_or(0, |before| before.scripts),
                |machine| machine.script_count() as u64,
            ),
            counts: group.machine().map_or_else(
                || before.map(|before| before.counts).unwrap_or_default(),
                |machine| KeyCounts::of(machine.counts()),
            ),
            view_changes: counters.view_changes,
            optimistic: None,
        }
    }

    /// Whether it tells for how long something has been going on: that is another one each time.
    pub(crate) fn is_waiting(&self) -> bool {
        let waits = self.oldest_write_ms.or(self.oldest_prepare_ms).or(self.full_ms);
        waits.is_some() || self.busy.is_some() || self.replays.is_some()
    }

    /// The replica as a ping reports it.
    pub(crate) fn report(&self) -> GroupReport {
        GroupReport {
            group: GroupId(self.group),
            view: self.view.into(),
            role: match self.role.as_str() {
                "primary" => ReplicaRole::Primary,
                "backup" => ReplicaRole::Backup,
                "learner" => ReplicaRole::Learner,
                "diverged" => ReplicaRole::Diverged,
                "retired" => ReplicaRole::CannotLead,
                _ => ReplicaRole::Outside,
            },
            last: self.last.into(),
            durable: self.durable.into(),
            commit: self.commit.into(),
            oldest_write: self.oldest_write_ms.map(Duration::from_millis),
            oldest_prepare: self.oldest_prepare_ms.map(Duration::from_millis),
        }
    }
}

fn role_name(standing: Standing) -> &'static str {
    match standing {
        Standing::Primary => "primary",
        Standing::Backup => "backup",
        Standing::Learner => "learner",
        Standing::Diverged => "diverged",
        Standing::Retired => "retired",
        Standing::Outside => "spare",
    }
}

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
}

impl ClientCounters {
    /// Begins anew.
    pub(crate) fn reset(&self) {
        let Self { accepted, rejected, commands, errors, bytes_in, bytes_out } = self;
        [accepted, rejected, commands, errors, bytes_in, bytes_out]
            .iter()
            .for_each(|counter| counter.store(0, Ordering::Relaxed));
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
