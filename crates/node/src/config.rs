//! The settings of a node.
//!
//! Every setting has a name in the configuration file, a flag and an environment variable; the command line
//! makes a [`Config`] of all three, and [`Config::problems`] says everything that is wrong with it at once.

mod addresses;
mod listeners;
mod problems;
mod shared;
mod timeouts;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

pub use listeners::{Advertise, Listener, Mode, NoListener};
pub use onecopy_views::NewDatabase;
use serde::{Deserialize, Serialize};

#[cfg(test)]
pub(crate) use problems::COMMAND_BYTES_MAX;
pub use shared::SharedSettings;
pub use timeouts::Timeouts;

/// When a write counts as durable on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Once it is synced to the disk.
    #[default]
    Disk,
    /// Once the operating system has it; synced every second. Acknowledged writes survive the death of any
    /// process, but not of all members' machines at once.
    Memory,
}

/// How it is made sure that a read is not stale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reads {
    /// By leases: every member answers reads from its own state. It is trusted that no clock gains or loses
    /// more than `clock_drift_ppm`.
    #[default]
    Lease,
    /// By asking all members of the view, one round trip for all reads that arrived meanwhile. No clock is
    /// trusted.
    Confirm,
}

impl Reads {
    /// The name in configuration files and flags.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lease => "lease",
            Self::Confirm => "confirm",
        }
    }
}

/// What a node is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeRole {
    /// It is part of the view service.
    View,
    /// It holds copies of data.
    Data,
    /// It takes Redis clients.
    Coordinator,
}

impl NodeRole {
    /// All roles, which is what a node has unless it is told otherwise.
    pub const ALL: [Self; 3] = [Self::View, Self::Data, Self::Coordinator];

    /// The name in configuration files and flags.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Data => "data",
            Self::Coordinator => "coordinator",
        }
    }
}

/// Limits that keep one client, or all of them together, from taking the node down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Client connections at once.
    pub clients: usize,
    /// Bytes of one command, with all its arguments.
    pub command_bytes: usize,
    /// Bytes of commands, of all clients together, that have arrived and are not answered; and as many again
    /// of replies that are not read. Clients that send more wait; those who hold much of it without need are
    /// disconnected.
    pub pipeline_bytes: usize,
    /// Seconds that a client may leave its replies unread before it is disconnected.
    pub output_stall_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self { clients: 10_000, command_bytes: 64 * MIB, pipeline_bytes: 512 * MIB, output_stall_seconds: 60 }
    }
}

/// The settings of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The id of the node, unique in its cluster; at least 1.
    pub node: u32,
    /// The name of the cluster. Nodes of different clusters do not meet.
    pub cluster: String,
    /// Where the node keeps everything.
    pub data: PathBuf,
    /// Where it takes Redis clients.
    pub redis: SocketAddr,
    /// Where it answers HTTP.
    pub http: SocketAddr,
    /// Where it takes other nodes.
    pub peer: SocketAddr,
    /// What the clients at `redis` take the node for.
    #[serde(default)]
    pub redis_mode: Mode,
    /// Whether clients that take it for a node of a Redis Cluster are sent to the primary.
    #[serde(default)]
    pub redirect: bool,
    /// Whether such clients may name keys of several slots in one command.
    #[serde(default)]
    pub cross_slot: bool,
    /// Where else it takes Redis clients.
    #[serde(default, with = "listeners::texts")]
    pub listeners: Vec<Listener>,
    /// Where it speaks Sentinel's protocol, if it does.
    #[serde(default, with = "listeners::perhaps")]
    pub sentinel: Option<SocketAddr>,
    /// Another name by which clients of Sentinel find `main`; none if empty.
    #[serde(default)]
    pub sentinel_alias: String,
    /// What it is for.
    #[serde(default = "all_roles")]
    pub roles: Vec<NodeRole>,
    /// What the node fails together with (a rack, a data centre); empty if it does not matter. Copies are
    /// spread over zones.
    #[serde(default)]
    pub zone: String,
    /// The nodes that form the view service: one, three or five. They found the cluster; a node that finds
    /// one asks them where the view service is.
    pub view_nodes: Vec<u32>,
    /// Where this node reaches the other nodes: their ids and addresses. It may name this node too.
    #[serde(with = "node_ids")]
    pub nodes: BTreeMap<u32, String>,
    /// The databases beside `main`. Count when the cluster is new.
    #[serde(default, with = "database_texts")]
    pub databases: Vec<NewDatabase>,
    /// How many copies of the data there are. Counts when the cluster is new.
    #[serde(default = "two")]
    pub copies: u32,
    /// Writes are refused while the data has fewer copies.
    #[serde(default = "one")]
    pub min_copies: u32,
    /// When a write counts as durable.
    #[serde(default)]
    pub durability: Durability,
    /// How reads are kept from being stale.
    #[serde(default)]
    pub reads: Reads,
    /// No clock of any node gains or loses more than this, in parts per million: what leases rely on.
    #[serde(default = "clock_drift_ppm")]
    pub clock_drift_ppm: u32,
    /// How many threads serve the data, each some of the groups.
    #[serde(default = "one")]
    pub threads: u32,
    /// Bytes of data beyond which commands that need more are refused; 0 for no limit.
    #[serde(default)]
    pub maxmemory: u64,
    /// The password that clients must give; none if empty.
    #[serde(default)]
    pub requirepass: String,
    /// Without a password, whoever calls from another machine is turned away.
    #[serde(default = "yes")]
    pub protected_mode: bool,
    /// A snapshot is taken when the log is longer than this many bytes, and than the last snapshot.
    #[serde(default = "log_bytes")]
    pub log_bytes: usize,
    /// See [`Advertise`].
    #[serde(default)]
    pub advertise: Advertise,
    /// See [`Timeouts`].
    #[serde(default)]
    pub timeouts: Timeouts,
    /// See [`Limits`].
    #[serde(default)]
    pub limits: Limits,
}

fn all_roles() -> Vec<NodeRole> {
    NodeRole::ALL.to_vec()
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

fn two() -> u32 {
    2
}

fn clock_drift_ppm() -> u32 {
    10_000
}

fn log_bytes() -> usize {
    128 * 1024 * 1024
}

/// Databases are written as `name:number` or `name:first-last`, and perhaps `:kind` or `:kind:copies`.
mod database_texts {
    use onecopy_views::NewDatabase;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        databases: &[NewDatabase],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let texts: Vec<String> = databases.iter().map(ToString::to_string).collect();
        texts.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<NewDatabase>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
    }
}

/// TOML has only strings for keys of tables.
mod node_ids {
    use std::collections::BTreeMap;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        nodes: &BTreeMap<u32, String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let names: BTreeMap<String, &String> =
            nodes.iter().map(|(id, address)| (id.to_string(), address)).collect();
        names.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<u32, String>, D::Error> {
        let names = BTreeMap::<String, String>::deserialize(deserializer)?;
        let mut nodes = BTreeMap::new();
        for (name, address) in names {
            let id = name
                .parse()
                .map_err(|_| D::Error::custom(format!("{name:?} in [nodes] is not the id of a node")))?;
            // "1" and "01" are different names to TOML.
            if nodes.insert(id, address).is_some() {
                return Err(D::Error::custom(format!("[nodes] has an address for node {id} twice")));
            }
        }
        Ok(nodes)
    }
}

impl Config {
    /// How many threads serve the data.
    #[must_use]
    pub fn data_threads(&self) -> usize {
        self.threads as usize
    }

    /// Whether the node has a role.
    #[must_use]
    pub fn has(&self, role: NodeRole) -> bool {
        self.roles.contains(&role)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One that is right: node 1 of three on this machine.
    pub(crate) fn config() -> Config {
        let address = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        Config {
            node: 1,
            cluster: "test".to_owned(),
            data: PathBuf::from("/tmp/nowhere"),
            redis: address(11),
            http: address(10),
            peer: address(13),
            redis_mode: Mode::default(),
            redirect: false,
            cross_slot: false,
            listeners: Vec::new(),
            sentinel: None,
            sentinel_alias: String::new(),
            roles: all_roles(),
            zone: String::new(),
            view_nodes: vec![1, 2, 3],
            nodes: [(2, address(12).to_string()), (3, address(14).to_string())].into(),
            databases: Vec::new(),
            copies: 2,
            min_copies: 1,
            durability: Durability::Disk,
            reads: Reads::Lease,
            clock_drift_ppm: clock_drift_ppm(),
            threads: one(),
            maxmemory: 0,
            requirepass: String::new(),
            protected_mode: true,
            log_bytes: log_bytes(),
            advertise: Advertise::default(),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
        }
    }

    #[test]
    fn ids_that_stand_twice_are_refused() {
        let parse = |text: &str| {
            #[derive(Debug, Deserialize)]
            struct Nodes {
                #[serde(with = "node_ids")]
                nodes: BTreeMap<u32, String>,
            }
            serde_json::from_str::<Nodes>(text)
                .map(|nodes| nodes.nodes.len())
                .map_err(|error| error.to_string())
        };
        assert_eq!(parse(r#"{"nodes": {"1": "a:1", "2": "b:1"}}"#), Ok(2));
        assert!(parse(r#"{"nodes": {"1": "a:1", "01": "b:1"}}"#).unwrap_err().contains("node 1 twice"));
        assert!(parse(r#"{"nodes": {"one": "a:1"}}"#).unwrap_err().contains("not the id"));
    }
}
