//! The metrics of a node.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};

use crate::knowledge::Knowledge;
use crate::status::ReplicaStatus;

/// All metrics as they are now.
pub(super) fn registry(knowledge: &Knowledge) -> Registry {
    let mut registry = Registry::with_prefix("onecopy");
    let mut gauge = |name: &str, help: &str, value: u64| {
        registry.register(name, help, ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)));
    };
    let status = knowledge.status();
    gauge(
        "up",
        "1 while the node acknowledges writes, 0 once it cannot",
        u64::from(status.failure.is_none()),
    );
    let leads = status.view_service.as_ref().is_some_and(|service| service.role == "leader");
    gauge("view_service_leader", "1 on the leader of the view service", u64::from(leads));
    let clients = &knowledge.data.clients;
    if let Some(disk) = status.disk {
        gauge(
            "disk_free_bytes",
            "Bytes that the node may still use on the disk of its data directory",
            disk.free_bytes,
        );
        gauge("disk_total_bytes", "Bytes that this disk has", disk.total_bytes);
    }
    let log = knowledge.journal.stats();
    gauge("log_segments", "Segments of the log on disk", log.segments);
    gauge("log_disk_bytes", "Bytes of the log on disk", log.bytes);

    let archived = knowledge.archived.load(Ordering::Relaxed);
    let written = log.bytes_flushed + log.bytes_zeroed + archived;
    registry.register(
        "written_per_log_byte",
        "Bytes written to the disk, snapshots included, for each byte of log",
        ConstGauge::new(written as f64 / log.bytes_flushed.max(1) as f64),
    );

    let mut counter = |name: &str, help: &str, unit: Option<Unit>, value: u64| match unit {
        Some(unit) => registry.register_with_unit(name, help, unit, ConstCounter::new(value)),
        None => registry.register(name, help, ConstCounter::new(value)),
    };
    counter("commands", "Commands of clients", None, clients.commands.load(Ordering::Relaxed));
    counter("errors", "Error replies to clients", None, clients.errors.load(Ordering::Relaxed));
    counter("connections", "Accepted connections", None, clients.accepted.load(Ordering::Relaxed));
    counter("connections_rejected", "Refused connections", None, clients.rejected.load(Ordering::Relaxed));
    counter("received", "From clients", Some(Unit::Bytes), clients.bytes_in.load(Ordering::Relaxed));
    counter("sent", "To clients", Some(Unit::Bytes), clients.bytes_out.load(Ordering::Relaxed));
    counter("log_syncs", "Syncs of the log", None, log.syncs);
    counter("log_flushed", "Written to the log", Some(Unit::Bytes), log.bytes_flushed);
    counter("log_zeroed", "Zeros written ahead of the log", Some(Unit::Bytes), log.bytes_zeroed);
    counter("snapshots_written", "Written to snapshots", Some(Unit::Bytes), archived);
    let micros = knowledge.journal.sync_micros.load(Ordering::Relaxed);
    counter("log_sync_microseconds", "Time spent in syncs of the log", None, micros);
    let did = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let replicas = &knowledge.data.replicas_did;
    counter("messages_sent", "To other nodes", None, did(&knowledge.data.messages));
    let help = "Batches of reads that went to a primary elsewhere";
    counter("read_batches_forwarded", help, None, did(&replicas.reads_forwarded));
    counter("handovers_failed", "Handovers that did not happen", None, did(&replicas.handovers_failed));
    counter("diverged", "Times that the state was not what the primary's was", None, did(&replicas.diverged));
    counter("rebuilt", "Times that the replica began anew", None, did(&replicas.rebuilt));
    let changes: Family<Vec<(&str, String)>, Counter> = Family::default();
    for ((change, reason), count) in knowledge.changes().iter() {
        let labels = vec![("change", (*change).to_owned()), ("reason", reason.clone())];
        changes.get_or_create(&labels).inc_by(*count);
    }
    threads_of(knowledge, &mut registry);
    replicas_of(&status.replicas, &mut registry);
    let help = "Changes of the view table since the node has known it, by what was changed and why";
    registry.register("view_table_changes", help, changes);
    registry
}

/// What each data thread says of itself, by its number.
fn threads_of(knowledge: &Knowledge, registry: &mut Registry) {
    type Labels = Vec<(&'static str, String)>;
    let (clients, replicas) = (Family::<Labels, Gauge>::default(), Family::<Labels, Gauge>::default());
    let turns = Family::<Labels, Counter>::default();
    let busy = Family::<Labels, Gauge>::default();
    for thread in knowledge.data.thread_reports() {
        let labels = vec![("thread", thread.thread.to_string())];
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        clients.get_or_create(&labels).set(gauge(thread.clients));
        replicas.get_or_create(&labels).set(gauge(thread.replicas));
        turns.get_or_create(&labels).inc_by(thread.turns);
        busy.get_or_create(&labels).set(gauge(thread.busy_permille));
    }
    registry.register("clients", "Connected clients, by the data thread that serves them", clients);
    registry.register("replicas", "Replicas, by the data thread that they belong to", replicas);
    registry.register("turns", "Turns of the data threads", turns);
    let help = "How much of the last second a data thread spent in turns, in thousandths";
    registry.register("thread_busy_permille", help, busy);
}

type OfReplica = (&'static str, &'static str, fn(&ReplicaStatus) -> u64);

const GAUGES: [OfReplica; 15] = [
    ("view", "The number of the view that the replica knows", |replica| replica.view),
    ("primary", "1 on the primary", |replica| u64::from(replica.role == "primary")),
    ("log_index", "The last index in the log", |replica| replica.last),
    ("durable_index", "The last durable index", |replica| replica.durable),
    ("commit_index", "The last committed index", |replica| replica.commit),
    ("executed_index", "The last executed index", |replica| replica.executed),
    ("busy_milliseconds", "For how long the replica has been executing one command, 0 if none", |replica| {
        replica.busy.as_ref().map_or(0, |busy| busy.busy_ms)
    }),
    ("lag_entries", "On a primary, entries that the slowest replica lacks", |replica| {
        replica.lag.iter().map(|(_, lag)| *lag).max().unwrap_or(0)
    }),
    ("memory_bytes", "Bytes that the state occupies", |replica| replica.memory_bytes),
    ("log_memory_bytes", "Bytes of the log in memory", |replica| replica.log_bytes),
    (
        "log_replay_bytes",
        "Bytes of the log behind the last snapshot: what a start would execute",
        |replica| replica.replay_bytes,
    ),
    ("keys", "Keys in all databases", |replica| replica.keys),
    ("sessions", "Coordinators whose batches are remembered", |replica| replica.sessions),
    ("copy_lacks", "Updates that a copy of an optimistic database lacks, as far as it knows", |replica| {
        replica.optimistic.as_ref().map_or(0, |copy| copy.lacks)
    }),
    ("copy_lacks_milliseconds", "For how long it has lacked some of them", |replica| {
        replica.optimistic.as_ref().map_or(0, |copy| copy.lacks_ms)
    }),
];

const COUNTERS: [OfReplica; 8] = [
    ("entries_applied", "Entries executed", |replica| replica.entries),
    ("batches_proposed", "Batches of writes in proposed entries", |replica| replica.batches),
    ("read_batches", "Batches of reads answered", |replica| replica.reads),
    ("read_batches_as_backup", "Of these, answered as a backup", |replica| replica.reads_as_backup),
    ("view_changes", "Views adopted", |replica| replica.view_changes),
    (
        "copy_repairs",
        "Repairs of a copy of an optimistic database from the state of another one",
        |replica| replica.optimistic.as_ref().map_or(0, |copy| copy.repairs),
    ),
    ("copy_repaired", "Keys, and parts of large ones, that differed in these", |replica| {
        replica.optimistic.as_ref().map_or(0, |copy| copy.repaired)
    }),
    ("copy_repair_bytes", "Bytes that these have taken", |replica| {
        replica.optimistic.as_ref().map_or(0, |copy| copy.repair_bytes)
    }),
];

/// What each replica says of itself, by group.
fn replicas_of(replicas: &[ReplicaStatus], registry: &mut Registry) {
    let labels = |replica: &ReplicaStatus| vec![("group", replica.group.to_string())];
    for (name, help, value) in GAUGES {
        let family: Family<Vec<(&str, String)>, Gauge> = Family::default();
        for replica in replicas {
            let value = i64::try_from(value(replica)).unwrap_or(i64::MAX);
            family.get_or_create(&labels(replica)).set(value);
        }
        registry.register(name, help, family);
    }
    for (name, help, value) in COUNTERS {
        let family: Family<Vec<(&str, String)>, Counter> = Family::default();
        for replica in replicas {
            family.get_or_create(&labels(replica)).inc_by(value(replica));
        }
        registry.register(name, help, family);
    }
}
