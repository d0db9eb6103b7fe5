//! What the node knows: shared by its threads, asked by HTTP and `INFO`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use std::time::Duration;

use onecopy_core::{GroupId, NodeId, View};
use onecopy_views::{Group, GroupReport, Kind, MAIN, Registration, Table};
use tokio::sync::Notify;

use crate::client::sentinel::Events;
use crate::config::Config;
use crate::control::Changes;
use crate::disk_room::DiskRoom;
use crate::identity::Me;
use crate::journal::JournalHealth;
use crate::levels::levels;
use crate::lock::lock;
use crate::policy::Policy;
use crate::records::Records;
use crate::status::{DataStatus, KnownGroup, KnownNode, NodeStatus, ViewServiceStatus};
use crate::topology::{Known, Topology};

/// What the view service has decided is known here after so long, or cannot be for a while.
const TABLE_PATIENCE: Duration = Duration::from_secs(2);

/// What the node knows of the cluster and of itself.
#[derive(Debug)]
pub(crate) struct Knowledge {
    me: Me,
    cluster: String,
    /// The data directory.
    directory: PathBuf,
    roles: Vec<String>,
    started: std::time::Instant,
    table: Mutex<Arc<Table>>,
    /// There is a newer one.
    table_changed: Notify,
    config: Config,
    policy: Mutex<Arc<Policy>>,
    policy_number: AtomicU64,
    view_service: Mutex<Option<ViewServiceStatus>>,
    changes: Mutex<Changes>,
    /// The nodes to which there is a connection.
    reached: Mutex<BTreeSet<NodeId>>,
    /// What clients of Sentinel are told of.
    pub(crate) events: Events,
    pub(crate) data: Arc<DataStatus>,
    pub(crate) journal: Arc<JournalHealth>,
    /// How many bytes of snapshots this process has written.
    pub(crate) archived: Arc<AtomicU64>,
    /// What clients did.
    pub(crate) records: Records,
}

impl Knowledge {
    pub(crate) fn new(
        me: Me,
        config: &Config,
        roles: Vec<String>,
        data: Arc<DataStatus>,
        journal: Arc<JournalHealth>,
        archived: Arc<AtomicU64>,
    ) -> Self {
        Self {
            me,
            cluster: config.cluster.clone(),
            directory: config.data.clone(),
            roles,
            started: std::time::Instant::now(),
            table: Mutex::default(),
            table_changed: Notify::new(),
            policy: Mutex::new(Arc::new(Policy::of(0, &Table::default(), config))),
            policy_number: AtomicU64::new(0),
            config: config.clone(),
            records: Records::default(),
            view_service: Mutex::default(),
            changes: Mutex::default(),
            reached: Mutex::default(),
            events: Events::new(config),
            data,
            journal,
            archived,
        }
    }

    /// The view table, as far as this node knows it.
    pub(crate) fn table(&self) -> Arc<Table> {
        lock(&self.table).clone()
    }

    /// Whether a table knows this process: then it is not from before its start.
    pub(crate) fn is_known_in(&self, table: &Table) -> bool {
        table.nodes().get(&self.me.node).map(Registration::start) == Some(self.me.start())
    }

    /// Takes a newer table; returns the one before.
    pub(crate) fn replace_table(&self, table: Arc<Table>) -> Arc<Table> {
        let before = self.table();
        let is_same = before.version() > 0
            && before.settings() == table.settings()
            && before.users().revision() == table.users().revision();
        // Whoever sees the table sees what follows from it: the table comes last.
        if !is_same {
            let mut policy = lock(&self.policy);
            *policy = Arc::new(Policy::of(policy.number + 1, &table, &self.config));
            self.policy_number.store(policy.number, Ordering::Release);
        }
        *lock(&self.table) = table;
        self.table_changed.notify_waiters();
        self.events.look(self);
        before
    }

    /// There is a connection to a node, or there is none any more.
    pub(crate) fn set_reached(&self, node: NodeId, is_reached: bool) {
        let changed = match is_reached {
            true => lock(&self.reached).insert(node),
            false => lock(&self.reached).remove(&node),
        };
        if changed {
            self.events.look(self);
        }
    }

    /// Whether there is a connection to a node.
    pub(crate) fn is_reached(&self, node: NodeId) -> bool {
        node == self.me.node || lock(&self.reached).contains(&node)
    }

    /// How many view nodes are reached, and how many have to agree on who is the primary.
    pub(crate) fn quorum(&self) -> (usize, usize) {
        let table = self.table();
        let nodes = table.view_nodes();
        let reached = nodes.iter().filter(|node| self.is_reached(**node)).count();
        (reached, nodes.len() / 2 + 1)
    }

    /// Looks at who holds what, as clients are told.
    fn look<T>(&self, table: &Table, at: impl FnOnce(&Known<'_>) -> T) -> T {
        let reached = lock(&self.reached).clone();
        at(&Known {
            table,
            cluster: &self.cluster,
            me: self.me.node,
            heard: &|group| self.data.cached_view(group),
            is_reached: &|node| reached.contains(&node),
        })
    }

    /// The view of a group, as new as this node knows it.
    pub(crate) fn view(&self, group: GroupId) -> Option<View> {
        self.look(&self.table(), |known| known.view(group))
    }

    /// Who holds a database. `is_cluster`: for clients of Redis Cluster.
    pub(crate) fn topology(&self, database: &str, is_cluster: bool) -> Topology {
        self.look(&self.table(), |known| known.topology(database, is_cluster))
    }

    /// What is set for the whole cluster, as far as this node knows it.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        lock(&self.policy).clone()
    }

    /// How often something else was set.
    pub(crate) fn policy_number(&self) -> u64 {
        self.policy_number.load(Ordering::Acquire)
    }

    /// Waits until the table of this node `shows` something, for a while.
    pub(crate) async fn table_shows(&self, shows: impl Fn(&Table) -> bool) -> bool {
        let waiting = async {
            loop {
                let changed = self.table_changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if shows(&self.table()) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(TABLE_PATIENCE, waiting).await.is_ok()
    }

    /// How often each kind of change of the view table was seen.
    pub(crate) fn changes(&self) -> MutexGuard<'_, Changes> {
        lock(&self.changes)
    }

    pub(crate) fn set_view_service(&self, status: ViewServiceStatus) {
        *lock(&self.view_service) = Some(status);
    }

    /// The replicas of this node, as a ping reports them. A log that has failed is a disk that never
    /// finishes.
    pub(crate) fn reports(&self) -> Vec<GroupReport> {
        let failed = self.journal.failure().is_some();
        // Nobody decides anything by how a copy of an optimistic database is.
        let report =
            |replica: &crate::status::ReplicaStatus| replica.optimistic.is_none().then(|| replica.report());
        let mut reports: Vec<GroupReport> = self.data.of_replicas(report);
        if failed {
            reports.iter_mut().for_each(|report| report.oldest_write = Some(std::time::Duration::MAX));
        }
        // The data thread cannot say how long its own write takes while it takes.
        let stuck = self.journal.stuck_for();
        reports.iter_mut().for_each(|report| report.oldest_write = report.oldest_write.max(stuck));
        reports
    }

    /// For how long the data thread has been busy with something, if that is long, or a replica so far behind
    /// with executing that it takes no more. The thread is not busy while it waits for its disk.
    pub(crate) fn busy_for(&self, now: onecopy_core::Instant) -> Option<std::time::Duration> {
        let busy = self.data.busy_for(now);
        let busy = busy.filter(|busy| self.journal.stuck_for().is_none_or(|stuck| stuck < *busy / 2));
        let full = self.data.of_replicas(|replica| replica.full_ms).into_iter().max();
        busy.max(full.map(std::time::Duration::from_millis))
    }

    /// Why clients had better go elsewhere, if they had: the node executes its log, requests do not get to
    /// the primary, or answers do not get back.
    pub(crate) fn obstacle(&self) -> Option<String> {
        let is_known = self.is_known_in(&self.table());
        let replays = || {
            let replaying = self.data.of_replicas(|replica| Some((replica.executed, replica.replays?)));
            replaying.into_iter().next()
        };
        if let Some((executed, through)) = replays() {
            return Some(format!("it executes its log, and is at entry {executed} of {through}"));
        }
        self.data.obstacle().or_else(|| match (self.data.cached_view(MAIN), is_known) {
            (None, _) => Some("no view is known yet".to_owned()),
            (_, false) => Some("the view service does not know this process yet".to_owned()),
            (_, true) => None,
        })
    }

    /// The life of this node's data.
    pub(crate) fn incarnation(&self) -> onecopy_core::Incarnation {
        self.me.incarnation
    }

    /// Seconds since the process was started.
    pub(crate) fn uptime_seconds(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    /// The room on the disk of the data directory, unless the operating system does not say.
    pub(crate) fn disk(&self) -> Option<DiskRoom> {
        DiskRoom::of(&self.directory).ok()
    }

    /// What an operator should look at, although everything is served.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let jump = self.data.clock_jump().map(|jump| {
            format!(
                "the wall clock of this node has jumped by {} ms just now: it is not believed yet",
                jump.ahead_ms
            )
        });
        let table = self.table();
        let clocks = table.clocks().iter().map(|(node, error)| {
            format!("the wall clock of node {} is {error}: keys do not expire by it", node.0)
        });
        let obstacle =
            self.obstacle().map(|obstacle| format!("node {} is not ready: {obstacle}", self.me.node.0));
        let disk = self.disk().filter(|disk| disk.is_little()).map(|disk| {
            let mib = |bytes: u64| bytes >> 20;
            format!(
                "node {} has {} MiB left of {} MiB on its disk",
                self.me.node.0,
                mib(disk.free_bytes),
                mib(disk.total_bytes)
            )
        });
        obstacle.into_iter().chain(jump).chain(clocks).chain(disk).collect()
    }

    /// Everything, for people and programs.
    pub(crate) fn status(&self) -> NodeStatus {
        let table = self.table().with_leaders(|group| self.data.cached_view(group));
        NodeStatus {
            node: self.me.node.0,
            cluster: self.cluster.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_seconds: self.uptime_seconds(),
            roles: self.roles.clone(),
            level: levels().newest.0,
            level_in_force: table.level().0,
            level_held: table.is_level_held(),
            failure: self.journal.failure(),
            warnings: self.warnings(),
            disk: self.disk(),
            view_service: lock(&self.view_service).clone(),
            threads: self.data.thread_reports(),
            replicas: self.data.replicas(),
            nodes: known_nodes(&table),
            groups: known_groups(&table),
        }
    }
}

fn known_nodes(table: &Table) -> Vec<KnownNode> {
    let nodes = table.nodes().iter().map(|(node, registration)| KnownNode {
        node: node.0,
        pid: registration.pid,
        redis: registration.addresses.redis.clone(),
        http: registration.addresses.http.clone(),
        peer: registration.addresses.peer.clone(),
        holds_data: registration.holds_data,
        drained: table.drained().contains(node),
        zone: registration.zone.clone(),
        level: table.level_of(*node).0,
    });
    nodes.collect()
}

fn known_groups(table: &Table) -> Vec<KnownGroup> {
    let known = |id: &GroupId, group: &Group| {
        let (database, options) = (table.database(*id), table.options(*id));
        KnownGroup {
            group: id.0,
            database: database.as_ref().map(ToString::to_string).unwrap_or_default(),
            kind: database.map(|database| database.kind.to_string()).unwrap_or_default(),
            view: group.view.number.0,
            primary: group.view.primary.0,
            backups: group.view.backups().map(|backup| backup.node.0).collect(),
            learners: group.view.learners.iter().map(|learner| learner.node.0).collect(),
            copies: group.copies,
            min_copies: options.min_copies,
            confirms_reads: options.confirms_reads,
            nodes: options.nodes.iter().map(|node| node.0).collect(),
            copies_before_ok: (table.kind(*id) == Kind::Optimistic).then(|| table.copies_before_ok(*id)),
            leaving: group
                .view
                .members
                .iter()
                .filter(|member| table.is_leaving(*id, member.node))
                .map(|member| member.node.0)
                .collect(),
        }
    };
    table.groups().iter().map(|(id, group)| known(id, group)).collect()
}
