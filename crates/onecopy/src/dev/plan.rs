//! What a cluster consists of, before anything is started.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use onecopy_node::Config;
use onecopy_node::config::{Advertise, Limits, Mode, NewDatabase, NodeRole, Reads, Timeouts};
use rand::RngExt;

use super::cluster_file::ClusterFile;
use super::{Arguments, ports};
use crate::settings;

/// How long the nodes of a `dev` that was killed may take to notice.
const LEFTOVER_TIMEOUT: Duration = Duration::from_secs(5);
const LOG_BYTES: usize = 128 * 1024 * 1024;

/// A cluster that can be started.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) directory: PathBuf,
    pub(super) cluster: String,
    pub(super) nodes: Vec<PlannedNode>,
}

/// One node of it.
#[derive(Clone, Debug)]
pub(super) struct PlannedNode {
    /// Where it keeps its settings, its log and its data.
    pub(super) home: PathBuf,
    pub(super) config: Config,
}

/// Keeps a second `dev` out of a directory, for as long as the file is open.
pub(super) fn lock(directory: &Path) -> anyhow::Result<File> {
    let path = directory.join("dev.lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another `onecopy dev` uses {}: stop it, or give another directory with --data",
            directory.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

impl Plan {
    /// Plans the cluster that the directory holds, or a new one if it holds none.
    pub(super) fn make(directory: &Path, arguments: &Arguments) -> anyhow::Result<Self> {
        await_leftovers(directory)?;
        let mut configs = match existing(directory)? {
            configs if configs.is_empty() => create(directory, arguments)?,
            configs => resume(directory, configs, arguments)?,
        };
        for (offset, config) in configs.iter_mut().enumerate() {
            let redis = ports::following(arguments.port, offset as u32, "--port")?;
            let http = ports::following(arguments.http_port, offset as u32, "--http-port")?;
            if config.has(NodeRole::Coordinator) {
                ports::require_free(redis, &format!("Redis, node {}", config.node), "--port")?;
            }
            ports::require_free(http, &format!("HTTP, node {}", config.node), "--http-port")?;
            config.redis = ports::loopback(redis);
            config.http = ports::loopback(http);
            config.sentinel = match arguments.sentinel_port.filter(|_| config.has(NodeRole::Coordinator)) {
                Some(first) => {
                    let sentinel = ports::following(first, offset as u32, "--sentinel-port")?;
                    ports::require_free(
                        sentinel,
                        &format!("Sentinel, node {}", config.node),
                        "--sentinel-port",
                    )?;
                    Some(ports::loopback(sentinel))
                }
                None => None,
            };
        }
        choose_peer_ports(&mut configs)?;
        for config in &mut configs {
            *config = settings::apply(&arguments.settings, config)?;
        }
        for config in &configs {
            let problems = config.problems();
            ensure!(problems.is_empty(), "such a cluster cannot be: {}", problems.join("; "));
        }
        let cluster = configs[0].cluster.clone();
        let nodes =
            configs.into_iter().map(|config| PlannedNode { home: home(directory, config.node), config });
        Ok(Self { directory: directory.to_owned(), cluster, nodes: nodes.collect() })
    }

    /// Writes the settings of all nodes into their files.
    pub(super) fn write(&self) -> anyhow::Result<()> {
        for node in &self.nodes {
            let file = node.config_file();
            let text = toml::to_string(&node.config).context("the settings cannot be written as TOML")?;
            std::fs::create_dir_all(&node.home)
                .and_then(|()| std::fs::write(&file, text))
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(())
    }
}

impl PlannedNode {
    pub(super) fn id(&self) -> u32 {
        self.config.node
    }

    pub(super) fn config_file(&self) -> PathBuf {
        self.home.join("node.toml")
    }

    pub(super) fn log_file(&self) -> PathBuf {
        self.home.join("log")
    }

    /// Whether clients can use it.
    pub(super) fn takes_clients(&self) -> bool {
        self.config.has(NodeRole::Coordinator)
    }
}

fn home(directory: &Path, node: u32) -> PathBuf {
    directory.join(format!("node-{node}"))
}

/// Waits for the nodes of a `dev` that was killed: they end by themselves, but still hold ports and data for
/// a moment.
fn await_leftovers(directory: &Path) -> anyhow::Result<()> {
    let Ok(file) = ClusterFile::read(directory) else { return Ok(()) };
    let deadline = Instant::now() + LEFTOVER_TIMEOUT;
    for node in &file.nodes {
        let runs = |pid: u32| {
            // Another program may have got the number since.
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&command).contains(&*node.config.to_string_lossy())
        };
        while let Some(pid) = node.pid.filter(|pid| runs(*pid)) {
            ensure!(
                Instant::now() < deadline,
                "node {} of an earlier `onecopy dev` still runs in {}: end it with `kill -9 {pid}`",
                node.id,
                directory.display()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

/// The settings of the nodes that the directory holds, by id. Empty if it holds none.
fn existing(directory: &Path) -> anyhow::Result<Vec<Config>> {
    let mut configs = Vec::new();
    loop {
        let file = home(directory, configs.len() as u32 + 1).join("node.toml");
        if !file.exists() {
            return Ok(configs);
        }
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let config = toml::from_str(&text).with_context(|| format!("{} cannot be used", file.display()))?;
        configs.push(config);
    }
}

/// The cluster goes on as it was made: its copies and its view service are part of its data.
fn resume(directory: &Path, configs: Vec<Config>, arguments: &Arguments) -> anyhow::Result<Vec<Config>> {
    let data_nodes = configs.iter().filter(|config| config.has(NodeRole::Data)).count() as u32;
    let is_separate = configs.iter().any(|config| !config.has(NodeRole::Data));
    let same = |flag: &str, given: Option<u32>, kept: u32| {
        ensure!(
            given.is_none_or(|given| given == kept),
            "{} holds a cluster with {flag} {kept}: leave out {flag}, or give another directory with --data",
            directory.display()
        );
        Ok(())
    };
    same("--nodes", arguments.nodes, data_nodes)?;
    same("--copies", arguments.copies, configs[0].copies)?;
    same("--view-nodes", arguments.view_nodes, configs[0].view_nodes.len() as u32)?;
    ensure!(
        arguments.databases.is_empty() || parse(&arguments.databases)? == configs[0].databases,
        "{} holds a cluster with other databases: leave out --database, or give another directory with --data",
        directory.display()
    );
    ensure!(
        is_separate || !arguments.separate,
        "{} holds a cluster without separate nodes for the view service: leave out --separate, or give another \
         directory with --data",
        directory.display()
    );
    let moved = |config: Config| Config { data: home(directory, config.node).join("data"), ..config };
    Ok(configs.into_iter().map(moved).collect())
}

fn parse(databases: &[String]) -> anyhow::Result<Vec<NewDatabase>> {
    databases.iter().map(|text| Ok(text.parse()?)).collect()
}

fn create(directory: &Path, arguments: &Arguments) -> anyhow::Result<Vec<Config>> {
    let data_nodes = arguments.nodes.unwrap_or(3);
    let copies = arguments.copies.unwrap_or(2.min(data_nodes));
    ensure!(
        copies <= data_nodes,
        "--copies {copies} needs at least as many nodes, but there are {data_nodes}: give --nodes {copies} or less copies"
    );
    let usual = match (arguments.separate, data_nodes) {
        (true, _) | (false, 3..=4) => 3,
        (false, 0..=2) => 1,
        (false, _) => 5,
    };
    let view_nodes = arguments.view_nodes.unwrap_or(usual);
    ensure!(
        matches!(view_nodes, 1 | 3 | 5),
        "--view-nodes {view_nodes}: the view service needs 1, 3 or 5 nodes"
    );
    ensure!(
        arguments.separate || view_nodes <= data_nodes,
        "--view-nodes {view_nodes} needs at least as many nodes, but there are {data_nodes}: give more --nodes, or \
         nodes of its own with --separate"
    );
    let (all, first_view_node) = match arguments.separate {
        true => (data_nodes + view_nodes, data_nodes + 1),
        false => (data_nodes, 1),
    };
    let databases = parse(&arguments.databases)?;
    let view_ids: Vec<u32> = (first_view_node..first_view_node + view_nodes).collect();
    // Random, so that two clusters on one machine never meet, even if one takes a port that the other had.
    let cluster = format!("dev-{:016x}", rand::rng().random::<u64>());
    let config = |node: u32| {
        let mut roles = Vec::new();
        if view_ids.contains(&node) {
            roles.push(NodeRole::View);
        }
        if node <= data_nodes {
            roles.extend([NodeRole::Data, NodeRole::Coordinator]);
        }
        Config {
            node,
            cluster: cluster.clone(),
            data: home(directory, node).join("data"),
            redis: ports::loopback(0),
            http: ports::loopback(0),
            peer: ports::loopback(0),
            redis_mode: Mode::default(),
            redirect: false,
            cross_slot: false,
            listeners: Vec::new(),
            sentinel: None,
            sentinel_alias: String::new(),
            roles,
            zone: String::new(),
            view_nodes: view_ids.clone(),
            // The addresses follow when the ports are chosen.
            nodes: (1..=all).map(|node| (node, String::new())).collect(),
            databases: databases.clone(),
            copies,
            min_copies: 1,
            durability: Default::default(),
            reads: Reads::default(),
            clock_drift_ppm: 10_000,
            threads: 1,
            maxmemory: 0,
            requirepass: String::new(),
            protected_mode: true,
            log_bytes: LOG_BYTES,
            advertise: Advertise::default(),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
        }
    };
    Ok((1..=all).map(config).collect())
}

/// Nodes keep their peer ports from one start to the next, unless somebody else has taken them meanwhile.
fn choose_peer_ports(configs: &mut [Config]) -> anyhow::Result<()> {
    let mut chosen = Vec::new();
    for config in configs.iter_mut() {
        let kept = config.peer.port();
        let port = match kept != 0 && ports::is_free(kept) {
            true => kept,
            false => ports::free_for_peers(&chosen)?,
        };
        chosen.push(port);
        config.peer = ports::loopback(port);
    }
    let addresses: BTreeMap<u32, String> =
        configs.iter().map(|config| (config.node, config.peer.to_string())).collect();
    for config in configs {
        config.nodes.clone_from(&addresses);
    }
    Ok(())
}
