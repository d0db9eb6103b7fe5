//! What a replica tells about itself.

use std::time::Duration;

use onecopy_core::{GroupId, Instant};
use onecopy_host::Group;
use onecopy_keyspace::{Counts, Keyspace};
use onecopy_replica::Standing;
use onecopy_views::{GroupReport, ReplicaRole};
use serde::{Deserialize, Serialize};

use super::CopyStatus;

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
    /// Bytes of those scripts and libraries.
    #[serde(default)]
    pub script_bytes: u64,
    /// How many removed values wait to be freed.
    #[serde(default)]
    pub freed_later: u64,
    /// How many keys are on their way to databases of other groups.
    #[serde(default)]
    pub departures: u64,
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

impl BusyStatus {
    /// Whether it is a script.
    pub(super) fn is_script(&self) -> bool {
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
    /// How many removed values were freed bit by bit.
    #[serde(default)]
    pub freed: u64,
}

impl KeyCounts {
    fn of(counts: &Counts) -> Self {
        let Counts { hits, misses, expired, evicted, freed } = counts;
        let (hits, misses) = (hits.get(), misses.get());
        Self { hits, misses, expired: *expired, evicted: *evicted, freed: *freed }
    }

    /// Each count by itself.
    pub(crate) fn combined(self, other: Self, with: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            hits: with(self.hits, other.hits),
            misses: with(self.misses, other.misses),
            expired: with(self.expired, other.expired),
            evicted: with(self.evicted, other.evicted),
            freed: with(self.freed, other.freed),
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
            script_bytes: group
                .machine()
                .map_or_else(|| before.map_or(0, |before| before.script_bytes), Keyspace::script_bytes),
            freed_later: group
                .machine()
                .map_or_else(|| before.map_or(0, |before| before.freed_later), Keyspace::freed_later),
            departures: group.machine().map_or_else(
                || before.map_or(0, |before| before.departures),
                |machine| machine.departures() as u64,
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
