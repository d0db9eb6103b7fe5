//! What is measured: clusters that run as long as they are held.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use onecopy_harness::{Cluster, Options, RedisServer, free_ports_in_a_row, wait};

use crate::databases;
use crate::load::Target;
use crate::process::{self, Thread};

/// How long a system may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long what a system has left to do may take before it is measured as it is.
const REST_PATIENCE: Duration = Duration::from_secs(20);
/// It rests if its processes, which look after each other all the time, take no more than so many seconds of
/// processor time in one window.
const REST: f64 = 0.05;
const REST_WINDOW: Duration = Duration::from_millis(150);

/// As many clients as are measured, and some that look.
const CLIENTS_MAX: u32 = 10_100;

/// How much of everything a system has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Copies of the data.
    pub(crate) copies: u32,
    /// Databases: groups of Onecopy.
    pub(crate) databases: u32,
}

impl Default for Size {
    /// Two copies, one database.
    fn default() -> Self {
        Self { copies: 2, databases: 1 }
    }
}

/// A system with copies of its data.
pub(crate) struct System {
    pub(crate) name: String,
    /// Where its primary listens.
    pub(crate) port: u16,
    /// What clients select there.
    pub(crate) database: u32,
    /// Its processes, with what they are.
    processes: Vec<(&'static str, u32)>,
    size: Size,
    kind: Kind,
}

enum Kind {
    Onecopy { cluster: Box<Cluster>, primary: u32 },
    Redis { servers: Vec<RedisServer>, everysec: bool, _directory: tempfile::TempDir },
}

impl System {
    /// A cluster of three nodes, or as many as there are copies.
    pub(crate) fn onecopy(durability: &str, size: Size) -> anyhow::Result<Self> {
        let durability = match durability {
            "memory" => "memory",
            "disk" => "disk",
            other => anyhow::bail!("{other} is no durability: memory, disk"),
        };
        let cluster = Cluster::start(Options {
            nodes: size.copies.max(3),
            copies: size.copies,
            databases: databases::configured(size.databases),
            durability,
            settings: vec![("limits-clients", CLIENTS_MAX.to_string())],
            ..Options::default()
        });
        let primary = cluster.primary();
        wait("the backups", PATIENCE, || {
            let is_backup = |id: &u32| cluster.role(*id).as_deref() == Some("backup");
            let backups = cluster.data_ids().into_iter().filter(is_backup).count();
            (backups as u32 + 1 == size.copies).then_some(())
        });
        let role = |id: u32| match cluster.role(id).as_deref() {
            Some("primary") => "primary",
            Some("backup") => "backup",
            _ => "spare",
        };
        let process = |id: u32| Some((role(id), cluster.status(id)?.pid));
        let processes = cluster.data_ids().into_iter().filter_map(process).collect();
        let (name, port) = (format!("onecopy, {durability}"), cluster.redis_address(primary).port());
        let kind = Kind::Onecopy { cluster: Box::new(cluster), primary };
        Ok(Self { name, port, database: 0, processes, size, kind })
    }

    /// The same, for those who use its optimistic database, which has as many copies.
    pub(crate) fn optimistic(durability: &str, size: Size) -> anyhow::Result<Self> {
        let system = Self::onecopy(durability, size)?;
        let Kind::Onecopy { cluster, .. } = &system.kind else { unreachable!("it is a cluster") };
        let (database, copies) = (databases::number(size.databases), size.copies.to_string());
        let number = database.to_string();
        let create = ["database", "create", "merged", "--numbers", &number, "--replication", "optimistic"];
        let http = cluster.http_address(1).to_string();
        let made = cluster.cli(&[&create[..], &["--copies", &copies, "--http", &http]].concat());
        ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let copy = |id: &u32| {
            let replicas = cluster.status(*id)?.replicas;
            replicas.into_iter().find_map(|replica| replica.optimistic).filter(|copy| copy.serves)
        };
        let id = wait("its copies", PATIENCE, || {
            let holders: Vec<u32> = cluster.data_ids().into_iter().filter(|id| copy(id).is_some()).collect();
            (holders.len() == size.copies as usize).then(|| holders[0])
        });
        let process =
            |id: u32| Some((if copy(&id).is_some() { "copy" } else { "spare" }, cluster.status(id)?.pid));
        let processes = cluster.data_ids().into_iter().filter_map(process).collect();
        let (name, port) = (format!("onecopy optimistic, {durability}"), cluster.redis_address(id).port());
        Ok(Self { name, port, database, processes, ..system })
    }

    /// A primary, and a replica for each further copy.
    pub(crate) fn redis(everysec: bool, size: Size) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("onecopy-bench-").tempdir()?;
        let port = free_ports_in_a_row(u16::try_from(size.copies)?);
        let (clients, databases) = (CLIENTS_MAX.to_string(), databases::number(size.databases).to_string());
        let start = |port: u16, more: &[&str]| -> anyhow::Result<RedisServer> {
            let home = directory.path().join(port.to_string());
            std::fs::create_dir(&home)?;
            let home = home.to_str().context("the path of a temporary directory is text")?;
            let appendonly = if everysec { "yes" } else { "no" };
            let log = ["--dir", home, "--appendonly", appendonly, "--appendfsync", "everysec"];
            let most = ["--maxclients", &clients, "--databases", &databases];
            Ok(RedisServer::start(port, &[log.as_slice(), most.as_slice(), more].concat())?)
        };
        let mut servers = vec![start(port, &[])?];
        for copy in 1..u16::try_from(size.copies)? {
            servers.push(start(port + copy, &["--replicaof", &format!("127.0.0.1 {port}")])?);
        }
        let roles = std::iter::once("primary").chain(std::iter::repeat("replica"));
        let processes = roles.zip(servers.iter().map(RedisServer::pid)).collect();
        let name = if everysec { "redis, everysec" } else { "redis" }.to_owned();
        let kind = Kind::Redis { servers, everysec, _directory: directory };
        let system = Self { name, port, database: 0, processes, size, kind };
        system.wait_until_complete();
        Ok(system)
    }

    /// Waits until all copies are there, and take what is written.
    pub(crate) fn wait_until_complete(&self) {
        match &self.kind {
            Kind::Onecopy { cluster, .. } => cluster.wait_until_complete(),
            Kind::Redis { .. } => {
                let replicas = self.size.copies as usize - 1;
                wait("the replicas of Redis", PATIENCE, || {
                    let info = info(self.port, "replication").ok()?;
                    (info.matches("state=online").count() == replicas).then_some(())
                });
            }
        }
    }

    /// Waits until it has next to nothing to do: snapshots are made when clients have long had their answers.
    pub(crate) fn rest(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + REST_PATIENCE;
        loop {
            let before = self.processor_seconds()?;
            std::thread::sleep(REST_WINDOW);
            let rests = self.processor_seconds()? - before <= REST && !self.rewrites_its_log()?;
            if rests || Instant::now() >= deadline {
                return Ok(());
            }
        }
    }

    /// Redis writes its log anew in a process of its own.
    fn rewrites_its_log(&self) -> anyhow::Result<bool> {
        let Kind::Redis { everysec: true, .. } = self.kind else { return Ok(false) };
        let mut ports = self.port..self.port + self.size.copies as u16;
        ports.try_fold(false, |any, port| {
            let info = info(port, "persistence")?;
            Ok(any || info.contains("aof_rewrite_in_progress:1") || info.contains("aof_rewrite_scheduled:1"))
        })
    }

    /// Where clients write to each database: at its primary.
    pub(crate) fn targets(&self) -> anyhow::Result<Vec<Target>> {
        match &self.kind {
            Kind::Onecopy { cluster, .. } => {
                let groups = cluster.report().groups.into_iter().map(|group| {
                    let address = cluster.redis_address(group.primary).to_string();
                    Ok(Target { address, database: databases::first_number(&group.database)? })
                });
                groups.collect()
            }
            Kind::Redis { .. } => {
                let address = format!("127.0.0.1:{}", self.port);
                let numbers = (0..self.size.databases).map(databases::number);
                Ok(numbers.map(|database| Target { address: address.clone(), database }).collect())
            }
        }
    }

    /// Seconds of processor time that its processes have used.
    pub(crate) fn processor_seconds(&self) -> anyhow::Result<f64> {
        self.pids().map(process::processor_seconds).sum()
    }

    /// Bytes that its processes have had written to the disk.
    pub(crate) fn written_bytes(&self) -> anyhow::Result<u64> {
        self.pids().map(process::written_bytes).sum()
    }

    /// Bytes that have gone into the logs of all copies, if it has such.
    pub(crate) fn log_bytes(&self) -> anyhow::Result<Option<u64>> {
        match &self.kind {
            Kind::Onecopy { cluster, .. } => {
                let flushed = |id| cluster.metric(id, "onecopy_log_flushed_bytes_total");
                let all = cluster.data_ids().into_iter().map(|id| flushed(id).context("a node says nothing"));
                Ok(Some(all.sum::<anyhow::Result<u64>>()?))
            }
            Kind::Redis { everysec: false, .. } => Ok(None),
            Kind::Redis { .. } => {
                // What is logged is what goes to the replicas, and each copy logs it.
                let info = info(self.port, "replication")?;
                let offset = info.lines().find_map(|line| line.strip_prefix("master_repl_offset:"));
                let offset: u64 = offset.context("Redis does not say where it is")?.trim().parse()?;
                Ok(Some(offset * u64::from(self.size.copies)))
            }
        }
    }

    /// How many entries the primary has executed, if there is such a thing.
    pub(crate) fn entries(&self) -> Option<u64> {
        match &self.kind {
            Kind::Onecopy { cluster, primary } => cluster.metric(*primary, "onecopy_entries_applied_total"),
            Kind::Redis { .. } => None,
        }
    }

    /// Its processes.
    pub(crate) fn pids(&self) -> impl Iterator<Item = u32> {
        self.processes.iter().map(|(_, pid)| *pid)
    }

    /// All threads of its processes, with what the process is.
    pub(crate) fn threads(&self) -> anyhow::Result<Vec<(&'static str, Thread)>> {
        if let Kind::Redis { servers, .. } = &self.kind {
            ensure!(servers.len() == self.processes.len(), "a server is gone");
        }
        let mut all = Vec::new();
        for (role, pid) in &self.processes {
            all.extend(process::threads(*pid)?.into_iter().map(|thread| (*role, thread)));
        }
        Ok(all)
    }
}

/// A section of what a Redis server says of itself.
fn info(port: u16, section: &str) -> anyhow::Result<String> {
    let mut client = redis::Client::open(format!("redis://127.0.0.1:{port}/"))?.get_connection()?;
    Ok(redis::cmd("INFO").arg(section).query(&mut client)?)
}
