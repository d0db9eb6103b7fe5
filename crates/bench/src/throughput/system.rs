//! What is measured: clusters that run as long as they are held.

use std::time::Duration;

use anyhow::{Context, ensure};
use onecopy_harness::{Cluster, Options, free_ports_in_a_row, wait};

use crate::process::{self, Thread};
use crate::redis_server::RedisServer;

/// How long a system may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// A system with two copies of its data.
pub(super) struct System {
    pub(super) name: String,
    /// Where its primary listens.
    pub(super) port: u16,
    /// Its processes, with what they are.
    processes: Vec<(&'static str, u32)>,
    kind: Kind,
}

enum Kind {
    Onecopy { cluster: Box<Cluster>, primary: u32 },
    Redis { servers: Vec<RedisServer>, _directory: tempfile::TempDir },
}

impl System {
    pub(super) fn onecopy(durability: &str) -> anyhow::Result<Self> {
        let durability = match durability {
            "memory" => "memory",
            "disk" => "disk",
            other => anyhow::bail!("{other} is no durability: memory, disk"),
        };
        let cluster = Cluster::start(Options { durability, ..Options::default() });
        let primary = cluster.primary();
        wait("a backup", PATIENCE, || {
            cluster.data_ids().into_iter().find(|id| cluster.role(*id).as_deref() == Some("backup"))
        });
        let role = |id: u32| match cluster.role(id).as_deref() {
            Some("primary") => "primary",
            Some("backup") => "backup",
            _ => "spare",
        };
        let process = |id: u32| Some((role(id), cluster.status(id)?.pid));
        let processes = cluster.data_ids().into_iter().filter_map(process).collect();
        let (name, port) = (format!("onecopy, {durability}"), cluster.redis_address(primary).port());
        Ok(Self { name, port, processes, kind: Kind::Onecopy { cluster: Box::new(cluster), primary } })
    }

    pub(super) fn redis(everysec: bool) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("onecopy-bench-").tempdir()?;
        let port = free_ports_in_a_row(2);
        let start = |port: u16, more: &[&str]| -> anyhow::Result<RedisServer> {
            let home = directory.path().join(port.to_string());
            std::fs::create_dir(&home)?;
            let home = home.to_str().context("the path of a temporary directory is text")?;
            let appendonly = if everysec { "yes" } else { "no" };
            let usual = ["--appendonly", appendonly, "--appendfsync", "everysec", "--dir", home];
            RedisServer::start(port, &[&usual, more].concat())
        };
        let primary = start(port, &[])?;
        let replica = start(port + 1, &["--replicaof", &format!("127.0.0.1 {port}")])?;
        let mut client = redis::Client::open(format!("redis://127.0.0.1:{port}/"))?.get_connection()?;
        wait("a replica of Redis", PATIENCE, || {
            let info = redis::cmd("INFO").arg("replication").query::<String>(&mut client).ok()?;
            info.contains("state=online").then_some(())
        });
        let processes = vec![("primary", primary.pid()), ("replica", replica.pid())];
        let name = if everysec { "redis, everysec" } else { "redis" }.to_owned();
        Ok(Self {
            name,
            port,
            processes,
            kind: Kind::Redis { servers: vec![primary, replica], _directory: directory },
        })
    }

    /// How many entries the primary has executed, if there is such a thing.
    pub(super) fn entries(&self) -> Option<u64> {
        match &self.kind {
            Kind::Onecopy { cluster, primary } => cluster.metric(*primary, "onecopy_entries_applied_total"),
            Kind::Redis { .. } => None,
        }
    }

    /// Its processes.
    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        self.processes.iter().map(|(_, pid)| *pid)
    }

    /// All threads of its processes, with what the process is.
    pub(super) fn threads(&self) -> anyhow::Result<Vec<(&'static str, Thread)>> {
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
