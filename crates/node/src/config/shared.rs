//! What all nodes of a cluster have in common.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Config, Durability, Reads, Timeouts};

/// The settings that a new node takes over from one that runs. Passwords are not among them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedSettings {
    /// The name of the cluster.
    pub cluster: String,
    /// The nodes that form the view service.
    pub view_nodes: Vec<u32>,
    /// Where the configured nodes take other nodes, the one that says so among them.
    pub nodes: BTreeMap<u32, String>,
    /// The databases beside `main`, as settings write them.
    #[serde(default)]
    pub databases: Vec<String>,
    /// How many copies a new group gets.
    pub copies: u32,
    /// Writes are refused while the data has fewer copies.
    pub min_copies: u32,
    /// When a write counts as durable.
    pub durability: Durability,
    /// How reads are kept from being stale.
    pub reads: Reads,
    /// What leases rely on.
    pub clock_drift_ppm: u32,
    /// Bytes of data beyond which commands that need more are refused.
    pub maxmemory: u64,
    /// See [`Timeouts`].
    pub timeouts: Timeouts,
    /// Whether clients must give a password.
    pub needs_password: bool,
}

impl SharedSettings {
    pub(crate) fn of(config: &Config) -> Self {
        let mut nodes = config.nodes.clone();
        nodes.entry(config.node).or_insert_with(|| config.peer_address());
        Self {
            cluster: config.cluster.clone(),
            view_nodes: config.view_nodes.clone(),
            nodes,
            databases: config.databases.iter().map(ToString::to_string).collect(),
            copies: config.copies,
            min_copies: config.min_copies,
            durability: config.durability,
            reads: config.reads,
            clock_drift_ppm: config.clock_drift_ppm,
            maxmemory: config.maxmemory,
            timeouts: config.timeouts,
            needs_password: !config.requirepass.is_empty(),
        }
    }
}
