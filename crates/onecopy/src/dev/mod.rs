//! `onecopy dev`: a whole cluster on this machine, to play with and to test against.
//!
//! Each node is a process of its own, started from this executable as `onecopy server`, so that killing one
//! is a real crash.
//!
//! ```text
//! <data>/
//!   dev.lock          held while a `dev` uses the directory
//!   cluster.json      what runs where ([`ClusterFile`])
//!   node-K/node.toml  the settings of node K; also what `dev` remembers: the cluster, who is in it, its peer
//!                     ports
//!   node-K/log        what node K logged
//!   node-K/data/      its data directory
//! ```

mod cluster_file;
mod command;
mod plan;
mod ports;
mod process;
mod screen;
mod supervisor;
mod watch;

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

pub use cluster_file::{ClusterFile, ClusterNode};

use crate::DONE;
use crate::settings::CommonOverrides;
use plan::Plan;

/// Run a cluster on this machine, until Ctrl-C.
///
/// Starts one process per node, says where each listens, and shows what they are doing. The nodes end with
/// this command, however it ends. The settings of the nodes are taken as flags and environment variables,
/// like those of `onecopy server`; a cluster that is kept remembers them. Type `help` while it runs to see
/// how to kill, pause and restart nodes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  onecopy dev                                   three nodes, two copies, Redis on ports 7001-7003
  onecopy dev --data ./cluster                  keep the data, and go on with it at the next start
  onecopy dev --port 7101 --http-port 8101      a second cluster beside the first
  onecopy dev --database carts:16               a database beside main: `SELECT 16`
  onecopy dev --redis-mode cluster              for clients of Redis Cluster
  onecopy dev --sentinel-port 26379 --sentinel-alias mymaster
                                                for clients of Redis Sentinel
  onecopy dev --nodes 3 --separate              three nodes for data, three for the view service")]
pub struct Arguments {
    /// How many nodes hold data and take clients (3 for a new cluster).
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=64))]
    nodes: Option<u32>,
    /// How many copies of the data there are (2 for a new cluster, 1 if it has one node).
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=64))]
    copies: Option<u32>,
    /// A database beside main, with its number or numbers, and perhaps how it is replicated (primary-backup,
    /// raft or optimistic) and its copies, such as locks:16:raft:3; may be given several times (for a new
    /// cluster).
    #[arg(long = "database", value_name = "NAME:NUMBER[:KIND[:COPIES]]")]
    databases: Vec<String>,
    /// The Redis port of the first node; the others follow.
    #[arg(long, value_name = "PORT", default_value_t = 7001)]
    port: u16,
    /// The port on which the first node speaks the protocol of Redis Sentinel; the others follow.
    #[arg(long, value_name = "PORT")]
    sentinel_port: Option<u16>,
    /// The HTTP port of the first node; the others follow.
    #[arg(long, value_name = "PORT", default_value_t = 8001)]
    http_port: u16,
    /// Where everything is kept. Without it, a temporary directory that is removed at the end.
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<PathBuf>,
    /// How many nodes form the view service: 1, 3 or 5 (for a new cluster, 1 up to two nodes, 3 up to four,
    /// then 5).
    #[arg(long, value_name = "NUMBER")]
    view_nodes: Option<u32>,
    /// Give the view service nodes of its own, after those that hold data (3 unless --view-nodes says
    /// otherwise).
    #[arg(long)]
    separate: bool,
    /// What the nodes log, into DIRECTORY/node-K/log.
    #[arg(long, env = "ONECOPY_LOG", value_name = "LEVEL", default_value = "info")]
    log: String,
    /// Of all nodes, from now on.
    #[command(flatten)]
    settings: CommonOverrides,
}

/// Runs the command, until somebody stops it.
///
/// # Errors
/// The cluster could not be started; then none of its nodes runs.
pub fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    // Removed when this is dropped, which is after the nodes have ended.
    let temporary = match arguments.data {
        Some(_) => None,
        None => Some(
            tempfile::Builder::new()
                .prefix("onecopy-dev-")
                .tempdir()
                .context("cannot make a temporary directory; give one with --data")?,
        ),
    };
    let directory = match (&arguments.data, &temporary) {
        (Some(directory), _) => directory.clone(),
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => unreachable!("one of the two is there"),
    };
    std::fs::create_dir_all(&directory).with_context(|| {
        format!("cannot create {}; give another directory with --data", directory.display())
    })?;
    // Processes of the cluster have other working directories in mind than the person who reads the paths.
    let directory = std::path::absolute(&directory)?;
    let _lock = plan::lock(&directory)?;
    let plan = Plan::make(&directory, arguments)?;
    plan.write()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(supervisor::run(plan, &arguments.log))?;
    Ok(DONE)
}
