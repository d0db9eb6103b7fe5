//! What a copy of an optimistic database tells about itself.

use std::time::Duration;

use onecopy_core::Instant;
use onecopy_host::OptimisticCopy;
use onecopy_keyspace::DATABASES;
use serde::{Deserialize, Serialize};

use super::ReplicaStatus;

/// What a copy of an optimistic database says beyond what all replicas say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyStatus {
    /// The number of its life, 0 as long as it has none.
    pub life: u64,
    /// `member`, `learner` (it is being filled), `leaving` (it hands on what it has, and takes nothing more)
    /// or `spare`.
    pub place: String,
    /// Of one that is leaving: the copies that still lack something of it, and how many updates.
    pub hands_on_to: Vec<(u32, u64)>,
    /// Whether it takes requests.
    pub serves: bool,
    /// How many updates it has made in this life.
    pub updates: u64,
    /// The digest of its state: the same where the same updates were seen.
    pub digest: String,
    /// How many updates it lacks that it knows some other copy to have.
    pub lacks: u64,
    /// For how many milliseconds it has lacked some of them.
    pub lacks_ms: u64,
    /// Updates that wait for others that were made before them.
    pub waiting: u64,
    /// Repairs from the state of others since the process was started.
    pub repairs: u64,
    /// Keys, and parts of large keys, that differed in them.
    pub repaired: u64,
    /// Bytes that they have taken.
    pub repair_bytes: u64,
    /// The other copies, as far as it knows.
    pub others: Vec<OtherCopy>,
}

/// Another copy, as one sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherCopy {
    /// Its node.
    pub node: u32,
    /// How many updates it has that the one that says this lacks.
    pub ahead: u64,
    /// How many updates it lacks that the one that says this has.
    pub behind: u64,
    /// For how many milliseconds nothing was heard of it; nothing if nothing ever was.
    pub silent_ms: Option<u64>,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl CopyStatus {
    fn of(copy: &OptimisticCopy, now: Instant) -> Self {
        let others: Vec<_> = copy.others(now).collect();
        let repairs = copy.repairs();
        Self {
            life: copy.life().0,
            place: copy.place().name().to_owned(),
            hands_on_to: copy.hands_on_to().map(|(node, lacks)| (node.0, lacks)).collect(),
            serves: copy.serves(),
            updates: copy.replica().clock().seen_of(copy.life()),
            digest: format!("{:016x}", copy.replica().digest()),
            lacks: others.iter().map(|other| other.ahead).max().unwrap_or(0),
            lacks_ms: others.iter().filter_map(|other| other.lacking).max().map_or(0, millis),
            waiting: copy.replica().waiting().len() as u64,
            repairs: repairs.count,
            repaired: repairs.differing,
            repair_bytes: repairs.bytes,
            others: others
                .into_iter()
                .map(|other| OtherCopy {
                    node: other.node.0,
                    ahead: other.ahead,
                    behind: other.behind,
                    silent_ms: other.silent.map(millis),
                })
                .collect(),
        }
    }
}

impl ReplicaStatus {
    /// What a copy of an optimistic database tells.
    pub(crate) fn of_copy(copy: &OptimisticCopy, thread: usize, now: Instant) -> Self {
        let store = copy.replica().store();
        let size = |db: u8| (db, store.len_of(db) as u64, store.expiring_of(db) as u64);
        let databases: Vec<_> =
            (0..DATABASES).map(size).filter(|(_, keys, expires)| keys + expires > 0).collect();
        let optimistic = CopyStatus::of(copy, now);
        let (last, durable) = copy.written();
        Self {
            group: copy.id().0,
            thread: thread as u32,
            view: 1,
            role: "copy".to_owned(),
            last: last.0,
            durable: durable.0,
            commit: durable.0,
            executed: last.0,
            lag: optimistic.others.iter().map(|other| (other.node, other.behind)).collect(),
            oldest_write_ms: copy.oldest_write(now).map(millis),
            memory_bytes: copy.memory(),
            keys: databases.iter().map(|(_, keys, _)| keys).sum(),
            databases,
            optimistic: Some(optimistic),
            ..Self::default()
        }
    }
}
