//! Starting and stopping a node.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use onecopy_core::{GroupId, Instant, NodeId, Recovered, StateMachine, Timestamp};
use onecopy_keyspace::Keyspace;
use onecopy_replica::{Config as ReplicaConfig, Replica};
use onecopy_storage::{
    DataDirectory, DirectoryError, LogError, LogOptions, Owner, RealFileSystem, SnapshotError, Snapshots,
};
use onecopy_views::{Addresses, Membership, Monitor, MonitorConfig, Table};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tracing::{error, info};

use crate::archive::{Archive, ArchiveEvent};
use crate::client::budget::Budget;
use crate::client::{Clients, listener};
use crate::clock::Clock;
use crate::config::{Config, Durability, Role};
use crate::control::view_service::{GENESIS_GROUP, Kept, Settings, VIEW_GROUP, ViewService};
use crate::control::{self, Control};
use crate::data;
use crate::data::coordinator::Coordinator;
use crate::data::group::Group;
use crate::data::inbox::{Event, FromControl, Inbox};
use crate::data::plane::Plane;
use crate::identity::Me;
use crate::journal::{Journal, JournalEvent};
use crate::knowledge::Knowledge;
use crate::peer::accept::{self, Callee};
use crate::peer::link::{Caller, Links};
use crate::peer::message::ControlMessage;
use crate::peer::{Lane, PeerEvent};
use crate::status::DataStatus;

/// The group that holds the data.
const DATA_GROUP: GroupId = GroupId(1);
/// How many bytes of a snapshot are read at once when the node starts.
const RESTORE_BYTES: usize = 1024 * 1024;

/// Why a node could not start. Nothing has been acknowledged to anybody.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings contradict each other.
    #[error("the configuration is wrong:\n  - {}", .0.join("\n  - "))]
    Config(Vec<String>),
    /// The data directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The log could not be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A snapshot is damaged or missing.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// What was read makes no sense, although its checksums are right.
    #[error("{what} in the data directory cannot be used: {reason}")]
    Nonsense {
        /// What was read.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for {what}: {source}")]
    Listen {
        /// What for.
        what: &'static str,
        /// The address.
        address: std::net::SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// A running node.
#[derive(Debug)]
pub struct Server {
    stop: Option<oneshot::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
    failed: mpsc::UnboundedReceiver<String>,
}

impl Server {
    /// Starts a node. It runs on threads of its own.
    ///
    /// # Errors
    /// [`StartError`], which says what to do.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(StartError::Config(problems));
        }
        let sockets = Sockets::bind(&config)?;
        let disk = Disk::open(&config)?;
        let clock = Clock::start();
        let (failures, failed) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();

        let (data_journal_events, data_journal) = mpsc::unbounded_channel();
        let (data_archive_events, data_archive) = mpsc::unbounded_channel();
        let (control_journal_events, control_journal) = mpsc::unbounded_channel();
        let (control_archive_events, control_archive) = mpsc::unbounded_channel();
        let (to_data, from_control) = mpsc::unbounded_channel();
        let (to_control, from_data) = mpsc::unbounded_channel();

        let (journal, log_thread) = Journal::start(disk.log, config.durability, data_journal_events)?;
        let (archive, snapshot_thread) = Archive::start(disk.snapshots, data_archive_events)?;
        let status = Arc::new(DataStatus::default());
        let roles = config.roles.iter().map(|role| role.name().to_owned()).collect();
        let health = journal.health().clone();
        let knowledge =
            Arc::new(Knowledge::new(disk.me, config.cluster.clone(), roles, status.clone(), health));

        let data = DataThread {
            config: config.clone(),
            me: disk.me,
            clock,
            group: disk.group,
            journal: journal.clone(),
            archive: archive.clone(),
            knowledge: knowledge.clone(),
            clients: sockets.redis,
            to_control,
            ears: data::Ears { journal: data_journal, archive: data_archive, control: from_control },
        };
        let control = ControlThread {
            config,
            me: disk.me,
            clock,
            kept: disk.kept,
            journal: journal.for_owner(control_journal_events),
            archive: archive.for_owner(control_archive_events),
            knowledge,
            peers: sockets.peer,
            http: sockets.http,
            to_data,
            journal_events: control_journal,
            archive_events: control_archive,
            from_data,
        };
        drop((journal, archive));
        let data_thread = spawn("data", failures.clone(), move || data.run())?;
        let control_thread = spawn("control", failures, move || control.run(stopped))?;
        let threads = vec![control_thread, data_thread, log_thread, snapshot_thread];
        Ok(Self { stop: Some(stop), threads, failed })
    }

    /// Waits until a thread of the node has died, which it never should. Returns what happened.
    pub async fn failed(&mut self) -> String {
        self.failed.recv().await.unwrap_or_else(|| "the threads of the node have ended".to_owned())
    }

    /// Stops the node: no client is answered any more, and what is in the log is synced.
    pub fn stop(mut self) {
        drop(self.stop.take());
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                error!("a thread of the node has died");
            }
        }
    }
}

/// Starts a thread that reports when it dies.
fn spawn(
    name: &'static str,
    failures: mpsc::UnboundedSender<String>,
    run: impl FnOnce() -> std::io::Result<()> + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        let failure = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(error)) => format!("the {name} thread has failed: {error}"),
            Err(_) => format!("the {name} thread has panicked"),
        };
        let _ = failures.send(failure);
    })
}

/// Everything that the node listens on.
struct Sockets {
    redis: Option<std::net::TcpListener>,
    http: std::net::TcpListener,
    peer: std::net::TcpListener,
}

impl Sockets {
    fn bind(config: &Config) -> Result<Self, StartError> {
        let bind = |what: &'static str, address: std::net::SocketAddr| {
            listen(address).map_err(|source| StartError::Listen { what, address, source })
        };
        let redis = config.has(Role::Coordinator).then(|| bind("Redis clients", config.redis)).transpose()?;
        Ok(Self { redis, http: bind("HTTP", config.http)?, peer: bind("other nodes", config.peer)? })
    }
}

/// Listens with room for a crowd: whoever finds the queue of calls full tries again only after a second.
fn listen(address: std::net::SocketAddr) -> std::io::Result<std::net::TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    const QUEUE: i32 = 4096;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted node must not wait for the connections of the one before.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(QUEUE)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Everything that the data directory held.
struct Disk {
    me: Me,
    log: onecopy_storage::Log<RealFileSystem>,
    snapshots: Snapshots<RealFileSystem>,
    group: RestoredGroup,
    kept: Kept,
}

/// What the data group starts from.
struct RestoredGroup {
    recovered: Recovered,
    machine: Keyspace,
    base_time: Timestamp,
}

impl Disk {
    fn open(config: &Config) -> Result<Self, StartError> {
        let owner = Owner {
            node: NodeId(config.node),
            cluster: config.cluster.clone(),
            durability_is_memory: config.durability == Durability::Memory,
            machine_boot: machine_boot(),
            random: [rand::random(), rand::random()],
        };
        let options = LogOptions { salt: rand::random(), ..LogOptions::default() };
        let directory = DataDirectory::open(RealFileSystem, &config.data, owner, options)?;
        let DataDirectory { mut identity, mut log, mut recovered, snapshots, lock } = directory;
        // Held until the process ends.
        std::mem::forget(lock);
        if identity.discard_data {
            info!("the machine was restarted: the copies of data on this node begin a new life (rule P9)");
            log.forget(DATA_GROUP)?;
            log.sync()?;
            recovered.remove(&DATA_GROUP);
            snapshots.remove_group(DATA_GROUP)?;
            identity.discarded(&RealFileSystem, &config.data).map_err(DirectoryError::from)?;
        }
        let me = Me {
            node: NodeId(config.node),
            incarnation: identity.incarnation,
            view_member: identity.view_member,
            boot: identity.boot,
            holds_data: config.has(Role::Data),
        };
        let group = restore_group(&snapshots, recovered.remove(&DATA_GROUP).unwrap_or_default())?;
        let genesis = recovered.remove(&GENESIS_GROUP).and_then(|genesis| genesis.state);
        let membership = genesis.map(|state| decode_membership(&state)).transpose()?;
        let raft = recovered.remove(&VIEW_GROUP).unwrap_or_default();
        let (table, base_time) = restore_table(&snapshots, &raft)?;
        let kept = Kept { membership, raft, table, base_time };
        Ok(Self { me, log, snapshots, group, kept })
    }
}

/// What tells one run of the machine from the next.
fn machine_boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    if id.trim().is_empty() { "unknown".to_owned() } else { id.trim().to_owned() }
}

fn decode_membership(state: &[u8]) -> Result<Membership, StartError> {
    Membership::decode(state).ok_or_else(|| StartError::Nonsense {
        what: "the membership of the view service",
        reason: "it is in another encoding".to_owned(),
    })
}

fn restore_group(
    snapshots: &Snapshots<RealFileSystem>,
    recovered: Recovered,
) -> Result<RestoredGroup, StartError> {
    let mut machine = Keyspace::new(rand::random());
    let mut base_time = Timestamp(0);
    if recovered.base.index.0 > 0 {
        let nonsense = |error: onecopy_core::machine::RestoreError| StartError::Nonsense {
            what: "a snapshot",
            reason: error.to_string(),
        };
        let reader = snapshots.read(DATA_GROUP, recovered.base)?;
        base_time = reader.time();
        let mut offset = 0;
        while offset < reader.image_len() {
            let piece = reader.read_at(offset, RESTORE_BYTES)?;
            machine.restore(&piece).map_err(nonsense)?;
            offset += piece.len() as u64;
        }
        machine.restore_finish().map_err(nonsense)?;
        info!(snapshot = %recovered.base, bytes = reader.image_len(), "restored a snapshot");
    }
    Ok(RestoredGroup { recovered, machine, base_time })
}

fn restore_table(
    snapshots: &Snapshots<RealFileSystem>,
    raft: &Recovered,
) -> Result<(Table, Timestamp), StartError> {
    if raft.base.index.0 == 0 {
        return Ok((Table::default(), Timestamp(0)));
    }
    let reader = snapshots.read(VIEW_GROUP, raft.base)?;
    let image = reader.read_at(0, usize::try_from(reader.image_len()).unwrap_or(usize::MAX))?;
    let table = Table::decode(&image)
        .map_err(|error| StartError::Nonsense { what: "the view table", reason: error.to_string() })?;
    Ok((table, reader.time()))
}

/// The addresses of the other nodes.
fn others(config: &Config) -> impl Iterator<Item = (NodeId, String)> + '_ {
    let others = config.nodes.iter().filter(|(node, _)| **node != config.node);
    others.map(|(node, address)| (NodeId(*node), address.clone()))
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

struct DataThread {
    config: Config,
    me: Me,
    clock: Clock,
    group: RestoredGroup,
    journal: Journal,
    archive: Archive,
    knowledge: Arc<Knowledge>,
    clients: Option<std::net::TcpListener>,
    to_control: mpsc::UnboundedSender<ControlMessage>,
    ears: data::Ears,
}

impl DataThread {
    fn run(self) -> std::io::Result<()> {
        let runtime = runtime()?;
        LocalSet::new().block_on(&runtime, self.serve())
    }

    async fn serve(self) -> std::io::Result<()> {
        let inbox = Rc::new(Inbox::default());
        let caller = Caller { cluster: self.config.cluster.clone(), node: self.me.node, lane: Lane::Data };
        let lost_inbox = inbox.clone();
        let lost = move |node| lost_inbox.push(Event::Peer(PeerEvent::Lost { node }));
        let links = Links::start(&caller, others(&self.config), lost);
        let request_timeout = self.config.timeouts.request();
        let coordinator = Coordinator::new(DATA_GROUP, self.me.incarnation, request_timeout);
        let config = Rc::new(self.config);
        let mut groups = BTreeMap::new();
        if config.has(Role::Data) {
            let group =
                start_group(&config, self.me, self.clock.now(), self.group, self.journal, self.archive)?;
            groups.insert(DATA_GROUP, group);
        }
        if let Some(socket) = self.clients {
            let clients = Clients {
                config: config.clone(),
                inbox: inbox.clone(),
                knowledge: self.knowledge.clone(),
                budget: Budget::new(config.limits.pipeline_bytes),
                replies: Budget::new(config.limits.pipeline_bytes),
                next_id: std::cell::Cell::new(1),
                connected: std::cell::RefCell::default(),
            };
            tokio::task::spawn_local(listener::listen(TcpListener::from_std(socket)?, Rc::new(clients)));
        }
        let plane = Plane {
            me: self.me.node,
            clock: self.clock,
            groups,
            coordinator,
            links,
            inbox: inbox.clone(),
            control: self.to_control,
            status: self.knowledge.data.clone(),
            status_due: Instant::ZERO,
            status_is_old: false,
        };
        data::run(plane, &inbox, self.ears).await;
        Ok(())
    }
}

fn start_group(
    config: &Config,
    me: Me,
    now: Instant,
    restored: RestoredGroup,
    journal: Journal,
    archive: Archive,
) -> std::io::Result<Group> {
    let member = onecopy_core::Member { node: me.node, incarnation: me.incarnation };
    let replica_config = ReplicaConfig {
        heartbeat_interval: config.timeouts.heartbeat(),
        failure_timeout: config.timeouts.failure(),
        log_bytes_max: config.log_bytes,
        ..ReplicaConfig::new(DATA_GROUP, member, me.boot)
    };
    let mut effects = Vec::new();
    let RestoredGroup { recovered, machine, base_time } = restored;
    let replica = Replica::new(replica_config, recovered, base_time, now, &mut effects)
        .map_err(std::io::Error::other)?;
    Ok(Group::start(DATA_GROUP, replica, machine, (journal, archive), config.maxmemory, effects))
}

struct ControlThread {
    config: Config,
    me: Me,
    clock: Clock,
    kept: Kept,
    journal: Journal,
    archive: Archive,
    knowledge: Arc<Knowledge>,
    peers: std::net::TcpListener,
    http: std::net::TcpListener,
    to_data: mpsc::UnboundedSender<FromControl>,
    journal_events: mpsc::UnboundedReceiver<JournalEvent>,
    archive_events: mpsc::UnboundedReceiver<ArchiveEvent>,
    from_data: mpsc::UnboundedReceiver<ControlMessage>,
}

impl ControlThread {
    fn run(self, stopped: oneshot::Receiver<()>) -> std::io::Result<()> {
        let runtime = runtime()?;
        LocalSet::new().block_on(&runtime, async {
            tokio::select! {
                outcome = self.serve() => outcome,
                _ = stopped => Ok(()),
            }
        })
    }

    async fn serve(self) -> std::io::Result<()> {
        let config = &self.config;
        let (peer_events, peers) = mpsc::unbounded_channel();
        let caller = Caller { cluster: config.cluster.clone(), node: self.me.node, lane: Lane::Control };
        // The pings say everything again.
        let links = Links::start(&caller, others(config), |_| {});
        let callee = Callee { cluster: config.cluster.clone(), node: self.me.node };
        let to_data = self.to_data.clone();
        let accepted = move |call: accept::Accepted| match call.lane {
            Lane::Data => {
                let _ = to_data.send(FromControl::Call(call));
            }
            Lane::Control => {
                let events = peer_events.clone();
                let event = move |event: PeerEvent<ControlMessage>| {
                    let _ = events.send(event);
                };
                tokio::task::spawn_local(accept::read_messages(call, event));
            }
        };
        tokio::task::spawn_local(accept::accept(TcpListener::from_std(self.peers)?, callee, accepted));
        let http = control::http::serve(TcpListener::from_std(self.http)?, self.knowledge.clone());
        let http = tokio::task::spawn_local(http);

        let view_nodes: Vec<NodeId> = config.view_nodes.iter().map(|node| NodeId(*node)).collect();
        let view_service = config.has(Role::View).then(|| {
            let settings = Settings {
                node: self.me.node,
                incarnation: self.me.view_member,
                election_timeout: config.timeouts.election(),
                heartbeat_interval: config.timeouts.election() / 6,
                groups: vec![DATA_GROUP],
            };
            let monitor_config = MonitorConfig {
                failure_timeout: config.timeouts.failure(),
                copies: config.copies,
                rules: onecopy_core::Rules::default(),
            };
            let monitor = Monitor::new(monitor_config, self.clock.now());
            let disk = (self.journal.clone(), self.archive.clone());
            ViewService::start(settings, &view_nodes, self.kept, monitor, self.clock, disk)
        });
        // The service has its own handles: the threads behind them end with the last one.
        drop((self.journal, self.archive));
        let addresses = Addresses {
            redis: if config.has(Role::Coordinator) { config.redis.to_string() } else { String::new() },
            http: config.http.to_string(),
            peer: config.peer.to_string(),
        };
        let control = Control {
            me: self.me,
            clock: self.clock,
            addresses,
            view_nodes,
            ping_interval: config.timeouts.ping(),
            next_ping: Instant::ZERO,
            links,
            view_service,
            knowledge: self.knowledge,
            data: self.to_data,
        };
        let ears = control::Ears {
            peers,
            data: self.from_data,
            journal: self.journal_events,
            archive: self.archive_events,
        };
        tokio::select! {
            () = control.run(ears) => Ok(()),
            outcome = http => outcome.map_err(std::io::Error::other)?,
        }
    }
}
