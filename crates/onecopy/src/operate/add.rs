//! `onecopy node add`: the settings of a node that joins a running cluster.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use onecopy_node::NodeStatus;
use onecopy_node::config::{Durability, SharedSettings};

use crate::DONE;
use crate::addressees::Addressees;
use crate::credentials::Credentials;

const PATIENCE: Duration = Duration::from_secs(2);

/// Print the settings of a new node for a running cluster.
///
/// They hold what all nodes have in common, as a running node says it, and the addresses of the new one. A
/// node that is started with them joins by itself: it takes clients at once, and is a spare that is recruited
/// when a copy is missing. No other node's settings need to be changed.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The HTTP address of a running node.
    #[arg(long, value_name = "HOST:PORT")]
    from: String,
    #[command(flatten)]
    credentials: Credentials,
    /// The id of the new node. One that was never used in this cluster.
    #[arg(long, value_name = "NODE")]
    id: u32,
    /// The address of its machine, as the others reach it.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    host: IpAddr,
    /// Where it takes Redis clients.
    #[arg(long, value_name = "PORT", default_value_t = 6379)]
    redis_port: u16,
    /// Where it answers HTTP.
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    http_port: u16,
    /// Where it takes other nodes.
    #[arg(long, value_name = "PORT", default_value_t = 7379)]
    peer_port: u16,
    /// The directory in which it keeps everything.
    #[arg(long, value_name = "DIRECTORY", default_value = "/var/lib/onecopy")]
    data: String,
    /// What it fails together with.
    #[arg(long, value_name = "NAME", default_value = "")]
    zone: String,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let from = Addressees::one(&arguments.from, &arguments.credentials);
    let status: NodeStatus = from.get("/status", PATIENCE)?;
    let shared: SharedSettings = from.get("/configuration", PATIENCE)?;
    let id = arguments.id;
    let is_known = shared.nodes.contains_key(&id) || status.nodes.iter().any(|node| node.node == id);
    ensure!(
        id >= 1 && !is_known,
        "--id {id} is in use in the cluster {}: choose another one",
        shared.cluster
    );
    print!("{}", settings(arguments, shared)?);
    eprintln!("Start the node with `onecopy server --config FILE`; `onecopy status` shows it then");
    Ok(DONE)
}

/// The file for the new node.
fn settings(arguments: &Arguments, mut shared: SharedSettings) -> anyhow::Result<String> {
    let address = |port| SocketAddr::from((arguments.host, port)).to_string();
    let peer = address(arguments.peer_port);
    shared.nodes.insert(arguments.id, peer.clone());
    let mut text = format!("# Node {} of {}, made by `onecopy node add`.\n", arguments.id, shared.cluster);
    let mut line = |key: &str, value: toml::Value| {
        let _ = writeln!(text, "{key} = {value}");
    };
    line("node", i64::from(arguments.id).into());
    line("cluster", shared.cluster.into());
    line("data", arguments.data.as_str().into());
    line("redis", address(arguments.redis_port).into());
    line("http", address(arguments.http_port).into());
    line("peer", peer.into());
    line("roles", toml::Value::try_from(["data", "coordinator"])?);
    line("zone", arguments.zone.as_str().into());
    line("view_nodes", toml::Value::try_from(&shared.view_nodes)?);
    line("databases", toml::Value::try_from(&shared.databases)?);
    line("copies", i64::from(shared.copies).into());
    line("min_copies", i64::from(shared.min_copies).into());
    let is_synced = shared.durability == Durability::Disk;
    line("durability", if is_synced { "disk" } else { "memory" }.into());
    line("reads", shared.reads.name().into());
    line("clock_drift_ppm", i64::from(shared.clock_drift_ppm).into());
    line("maxmemory", i64::try_from(shared.maxmemory)?.into());
    let _ = writeln!(text, "\n[nodes]");
    for (node, address) in &shared.nodes {
        let _ = writeln!(text, "{node} = {}", toml::Value::from(address.as_str()));
    }
    let _ = write!(text, "\n[timeouts]\n{}", toml::to_string(&shared.timeouts)?);
    if shared.needs_password {
        text =
            text.replacen("\n[nodes]", "# requirepass = \"the password of the other nodes\"\n\n[nodes]", 1);
    }
    Ok(text)
}
