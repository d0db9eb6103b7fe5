//! Starting and stopping a node.

mod control_thread;
mod data_thread;
mod descriptors;
mod disk;
mod sockets;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use onecopy_core::NodeId;
use onecopy_host::Share;
use onecopy_storage::{DirectoryError, LogError, SnapshotError};
use onecopy_views::MAIN;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use crate::archive::Archive;
use crate::client::budget::Budget;
use crate::client::guesses::Guesses;
use crate::client::register::Register;
use crate::client::shutdown::Shutdown;
use crate::client::watched::Lives;
use crate::clock::Clock;
use crate::config::Config;
use crate::control::operators::Operators;
use crate::data;
use crate::data::plane::Callers;
use crate::journal::Journal;
use crate::knowledge::Knowledge;
use crate::status::DataStatus;
use control_thread::ControlThread;
use data_thread::{DataThread, Shared};
use disk::Disk;
pub use disk::begin_new_life;
use sockets::Sockets;

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
    /// The system grants too few open files.
    #[error(
        "this process may open {granted} files, and needs at least {needed}: raise the limit (ulimit -n, or LimitNOFILE \
         in a unit of systemd)"
    )]
    Descriptors {
        /// What it grants.
        granted: usize,
        /// What is needed for the node itself, and a few clients.
        needed: usize,
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
    endings: mpsc::UnboundedReceiver<Ending>,
}

/// Why a node ends that nobody has stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A thread has died, which none ever should: what happened.
    Broken(String),
    /// The log has found no room on its disk, where there is some now: the process is to begin anew, as after
    /// a crash.
    BeginsAnew,
    /// A client has asked for it: it is to be [stopped](Server::stop).
    ShutDown,
}

impl Server {
    /// Starts a node. It runs on threads of its own.
    ///
    /// # Errors
    /// [`StartError`], which says what to do.
    pub fn start(mut config: Config) -> Result<Self, StartError> {
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(StartError::Config(problems));
        }
        descriptors::reserve(&mut config)?;
        let sockets = Sockets::bind(&config)?;
        let disk = Disk::open(&config)?;
        let clock = Clock::start();
        let (endings_sent, endings) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();

        let count = config.data_threads();
        let (journals, mut data_journals) = channels(count);
        let (archives, mut data_archives) = channels(count);
        let (to_data, mut from_control) = channels(count);
        let (mailboxes, mut mail) = channels(count);
        let (control_journal_events, control_journal) = mpsc::unbounded_channel();
        let (control_archive_events, control_archive) = mpsc::unbounded_channel();
        let (to_control, from_data) = mpsc::unbounded_channel();
        let (to_operators, requests) = mpsc::unbounded_channel();
        let operators = Operators(to_operators);

        let (journal, locator, log_thread) =
            Journal::start(disk.log, config.durability, journals[0].clone())?;
        let (archive, snapshot_thread) = Archive::start(disk.snapshots, locator, archives[0].clone())?;
        let status = Arc::new(DataStatus::new(count));
        let roles = config.roles.iter().map(|role| role.name().to_owned()).collect();
        let health = journal.health().clone();
        let knowledge =
            Arc::new(Knowledge::new(disk.me, &config, roles, status.clone(), health, archive.written()));

        let guesses = Arc::<Guesses>::default();
        let shared = Shared {
            config: config.clone(),
            me: disk.me,
            clock,
            knowledge: knowledge.clone(),
            to_control,
            operators: operators.clone(),
            shutdown: Shutdown::new(endings_sent.clone()),
            mailboxes: mailboxes.into(),
            callers: Callers::default(),
            register: Arc::new(Register::new(count)),
            lives: Arc::new(Lives::begin(count)),
            guesses: guesses.clone(),
            hub: Arc::default(),
            caches: Arc::default(),
            monitors: Arc::default(),
            budget: Arc::new(Budget::new(config.limits.pipeline_bytes)),
            replies: Arc::new(Budget::new(config.limits.pipeline_bytes)),
        };
        let mut data: Vec<DataThread> = (0..count)
            .map(|thread| DataThread {
                shared: shared.clone(),
                thread,
                groups: BTreeMap::new(),
                copies: BTreeMap::new(),
                journal: journal.for_thread(journals[thread].clone()),
                archive: archive.for_owner(archives[thread].clone()),
                clients: Vec::new(),
                channels: data::Channels {
                    journal: data_journals.remove(0),
                    archive: data_archives.remove(0),
                    control: from_control.remove(0),
                    others: mail.remove(0),
                },
            })
            .collect();
        for (group, restored) in disk.groups {
            data[Share::holder(group, count)].groups.insert(group, restored);
        }
        for (group, restored) in disk.copies {
            data[Share::holder(group, count)].copies.insert(group, restored);
        }
        // Where most clients are served.
        data[Share::holder(MAIN, count)].clients = sockets.clients;
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
            guesses,
            operators,
            requests,
            endings: endings_sent.clone(),
            stopped,
        };
        drop((journal, archive, shared, journals, archives));
        let mut data_threads = Vec::new();
        for thread in data {
            data_threads.push(spawn("data", endings_sent.clone(), move || thread.run())?);
        }
        let control_thread = spawn("control", endings_sent, move || control.run())?;
        let mut threads = vec![control_thread];
        threads.extend(data_threads);
        threads.extend([log_thread, snapshot_thread]);
        Ok(Self { stop: Some(stop), threads, endings })
    }

    /// Waits until the node ends by itself. Returns why.
    pub async fn ended(&mut self) -> Ending {
        let ending = self.endings.recv().await;
        ending.unwrap_or_else(|| Ending::Broken("the threads of the node have ended".to_owned()))
    }

    /// Stops the node: what it leads is handed over first, if that goes within a second; then no client is
    /// answered any more, and what is in the log is synced.
    pub fn stop(mut self) {
        drop(self.stop.take());
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                error!("a thread of the node has died");
            }
        }
    }
}

/// A channel for each of so many threads.
fn channels<T>(count: usize) -> (Vec<mpsc::UnboundedSender<T>>, Vec<mpsc::UnboundedReceiver<T>>) {
    (0..count).map(|_| mpsc::unbounded_channel()).unzip()
}

/// Starts a thread that reports when it dies.
fn spawn(
    name: &'static str,
    endings: mpsc::UnboundedSender<Ending>,
    run: impl FnOnce() -> std::io::Result<()> + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        let failure = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(error)) => format!("the {name} thread has failed: {error}"),
            Err(_) => format!("the {name} thread has panicked"),
        };
        let _ = endings.send(Ending::Broken(failure));
    })
}

/// The addresses of the other nodes.
fn others(config: &Config) -> impl Iterator<Item = (NodeId, String)> + '_ {
    let others = config.nodes.iter().filter(|(node, _)| **node != config.node);
    others.map(|(node, address)| (NodeId(*node), address.clone()))
}

/// A runtime for the current thread alone, with tasks that stay on it.
fn runtime() -> std::io::Result<LocalRuntime> {
    Builder::new_current_thread().enable_all().build_local(LocalOptions::default())
}
