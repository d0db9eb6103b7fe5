//! A cluster of `onecopy server` processes, and faults for it.

mod links;
mod processes;
mod questions;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::{PATIENCE, Proxy, Stall, free_port, wait};

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many nodes hold data and take clients: nodes 1, 2, …
    pub nodes: u32,
    /// How many copies of the data there are.
    pub copies: u32,
    /// The databases beside main: `carts:16`.
    pub databases: Vec<String>,
    /// How many nodes form the view service: 1, 3 or 5.
    pub view_nodes: u32,
    /// How many of these found the cluster, if not all: 1, 3 or 5. The others wait to be added.
    pub founders: Option<u32>,
    /// Whether these are nodes of their own, after those with data, rather than the first of them.
    pub separate: bool,
    /// `disk` or `memory`.
    pub durability: &'static str,
    /// Whether the links between nodes go through proxies, so that they can be cut.
    pub proxied: bool,
    /// Whether the disks of nodes can be made to hang.
    pub stallable: bool,
    /// How many seconds the wall clocks of nodes are ahead of the true time. Only with `stallable`.
    pub clocks: BTreeMap<u32, i64>,
    /// The highest levels that the programs of nodes know, if they are builds with the feature `test-level`.
    pub test_levels: BTreeMap<u32, u32>,
    /// More places for Redis clients, each on a port of its own: `carts`, `main:cluster`.
    pub listeners: Vec<&'static str>,
    /// Whether the nodes speak Sentinel's protocol.
    pub sentinel: bool,
    /// Further settings, as flags of `onecopy server`: `("limits-clients", "100")`.
    pub settings: Vec<(&'static str, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 3,
            copies: 2,
            databases: Vec::new(),
            view_nodes: 3,
            founders: None,
            separate: false,
            durability: "disk",
            proxied: false,
            stallable: false,
            clocks: BTreeMap::new(),
            test_levels: BTreeMap::new(),
            listeners: Vec::new(),
            sentinel: false,
            settings: Vec::new(),
        }
    }
}

/// A cluster. It ends when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    /// What it is made of.
    pub options: Options,
    /// Where everything is: `node-K/data`, `node-K/log`.
    pub directory: tempfile::TempDir,
    name: String,
    nodes: BTreeMap<u32, Node>,
    /// The links, by who connects and to whom.
    proxies: BTreeMap<(u32, u32), Proxy>,
    /// The disks that can hang, by node.
    stalls: BTreeMap<u32, Stall>,
    /// That of the user `default`, if it has one.
    password: Option<String>,
}

/// One node.
#[derive(Debug)]
struct Node {
    redis: SocketAddr,
    http: SocketAddr,
    peer: SocketAddr,
    sentinel: SocketAddr,
    /// Where else it takes Redis clients.
    listeners: Vec<SocketAddr>,
    /// Where the settings of the others look for it.
    known_at: SocketAddr,
    child: Option<Child>,
}

impl Node {
    /// One that does not run yet.
    fn new() -> Self {
        let address = || SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let peer = address();
        let (redis, http, sentinel) = (address(), address(), address());
        Self { redis, http, peer, sentinel, listeners: Vec::new(), known_at: peer, child: None }
    }
}

impl Cluster {
    /// Starts a new cluster, and waits until its data has all copies.
    pub fn start(options: Options) -> Self {
        let mut cluster = Self::prepare(options);
        cluster.start_all();
        cluster.wait_until_complete();
        cluster.wait_until_all_are_known();
        cluster
    }

    /// Chooses ports and directories, but starts nothing.
    pub fn prepare(options: Options) -> Self {
        let last = options.nodes + if options.separate { options.view_nodes } else { 0 };
        let mut nodes: BTreeMap<u32, Node> = (1..=last).map(|id| (id, Node::new())).collect();
        for node in nodes.values_mut() {
            let ports = options.listeners.iter().map(|_| (Ipv4Addr::LOCALHOST, free_port()).into());
            node.listeners = ports.collect();
        }
        let mut proxies = BTreeMap::new();
        if options.proxied {
            for from in nodes.keys() {
                for (to, target) in nodes.iter().filter(|(to, _)| *to != from) {
                    proxies.insert((*from, *to), Proxy::start(target.peer));
                }
            }
        }
        let directory =
            tempfile::Builder::new().prefix("onecopy-test-").tempdir().expect("a temporary directory");
        let stalls = match options.stallable {
            true => Stall::for_each(nodes.keys().copied(), directory.path()),
            false => BTreeMap::new(),
        };
        let name = format!("test-{:016x}", rand::random::<u64>());
        let password = options.settings.iter().find(|(name, _)| *name == "requirepass");
        let password = password.map(|(_, password)| password.clone());
        Self { options, directory, name, nodes, proxies, stalls, password }
    }

    /// The ids of all nodes.
    pub fn ids(&self) -> Vec<u32> {
        self.nodes.keys().copied().collect()
    }

    /// The ids of the nodes that hold data and take clients.
    pub fn data_ids(&self) -> Vec<u32> {
        (1..=self.options.nodes).collect()
    }

    /// The ids of the nodes that form the view service.
    pub fn view_ids(&self) -> Vec<u32> {
        let first = if self.options.separate { self.options.nodes + 1 } else { 1 };
        (first..first + self.options.view_nodes).collect()
    }

    /// Connects to a node. Commands that take longer than 10 s fail.
    pub fn client(&self, id: u32) -> redis::Connection {
        wait(&format!("a connection to node {id}"), PATIENCE, || self.try_client(id).ok())
    }

    /// The same, and selects a database, of which a node that was just started has to hear first.
    pub fn client_in(&self, id: u32, database: u16) -> redis::Connection {
        let mut client = self.client(id);
        wait(&format!("database {database} at node {id}"), PATIENCE, || {
            match redis::cmd("SELECT").arg(database).query::<()>(&mut client) {
                Err(error) if error.code() == Some("LOADING") => None,
                answer => {
                    answer.expect("SELECT");
                    Some(())
                }
            }
        });
        client
    }

    /// Connects to a node, once.
    pub fn try_client(&self, id: u32) -> redis::RedisResult<redis::Connection> {
        let client = redis::Client::open(format!("redis://{}/", self.redis_address(id)))?;
        let connection = client.get_connection_with_timeout(Duration::from_secs(2))?;
        connection.set_read_timeout(Some(Duration::from_secs(10)))?;
        connection.set_write_timeout(Some(Duration::from_secs(10)))?;
        Ok(connection)
    }

    /// What the nodes call it: nodes of other clusters are turned away.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where a node takes Redis clients.
    pub fn redis_address(&self, id: u32) -> SocketAddr {
        self.node(id).redis
    }

    /// Where a node takes the clients of one of the further listeners, by its place among the options.
    pub fn listener_address(&self, id: u32, listener: usize) -> SocketAddr {
        self.node(id).listeners[listener]
    }

    /// Where a node speaks Sentinel's protocol.
    pub fn sentinel_address(&self, id: u32) -> SocketAddr {
        self.node(id).sentinel
    }

    /// Where a node answers HTTP.
    pub fn http_address(&self, id: u32) -> SocketAddr {
        self.node(id).http
    }

    /// Where a node takes other nodes.
    pub fn peer_address(&self, id: u32) -> SocketAddr {
        self.node(id).peer
    }

    /// The data directory of a node.
    pub fn data_directory(&self, id: u32) -> PathBuf {
        self.home(id).join("data")
    }

    /// The segments of a node's durable log, oldest first.
    pub fn segments(&self, id: u32) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.data_directory(id).join("log")).expect("a log");
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "segment"));
        files.sort();
        files
    }

    /// What a node has logged, over all its starts.
    pub fn log(&self, id: u32) -> String {
        std::fs::read_to_string(self.log_file(id)).unwrap_or_default()
    }

    fn log_file(&self, id: u32) -> PathBuf {
        self.home(id).join("log")
    }

    fn home(&self, id: u32) -> PathBuf {
        self.directory.path().join(format!("node-{id}"))
    }

    fn node(&self, id: u32) -> &Node {
        self.nodes.get(&id).unwrap_or_else(|| panic!("there is no node {id}"))
    }

    fn node_mut(&mut self, id: u32) -> &mut Node {
        self.nodes.get_mut(&id).unwrap_or_else(|| panic!("there is no node {id}"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for id in self.ids() {
                let log = self.log(id);
                let lines: Vec<&str> = log.lines().collect();
                let end = lines[lines.len().saturating_sub(20)..].join("\n");
                eprintln!("--- the end of the log of node {id} ---\n{end}");
            }
        }
        for node in self.nodes.values_mut() {
            if let Some(mut child) = node.child.take() {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

/// How long something took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    (work(), begin.elapsed())
}
