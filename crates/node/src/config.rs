//! The settings of a node.
//!
//! Every setting has a name in the configuration file, a flag and an environment variable; the command line makes
//! a [`Config`] of all three, and [`Config::problems`] says everything that is wrong with it at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// When a write counts as durable on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Once it is synced to the disk.
    #[default]
    Disk,
    /// Once the operating system has it; synced every second. Acknowledged writes survive the death of any process,
    /// but not of all members' machines at once.
    Memory,
}

/// How the primary makes sure that a read is not stale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reads {
    /// By asking all members of the view, one round trip for all reads that arrived meanwhile. No clock is trusted.
    #[default]
    Confirm,
}

/// What a node is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It is part of the view service.
    View,
    /// It holds copies of data.
    Data,
    /// It takes Redis clients.
    Coordinator,
}

impl Role {
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
    /// Bytes of commands, of all clients together, that have arrived and are not answered; and as many again of replies
    /// that are not read. Clients that send more wait; those who hold much of it without need are disconnected.
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

/// How long things may take, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// How often a node tells the view service that it is alive.
    pub ping_ms: u64,
    /// How often a primary tells its backups that it is alive.
    pub heartbeat_ms: u64,
    /// After how much silence a node counts as failed.
    pub failure_ms: u64,
    /// How long a request waits for a primary before it is answered with an error.
    pub request_ms: u64,
    /// The least time without a leader after which the view service elects another; the most is twice as much.
    pub election_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { ping_ms: 100, heartbeat_ms: 50, failure_ms: 500, request_ms: 5_000, election_ms: 300 }
    }
}

impl Timeouts {
    pub(crate) fn ping(&self) -> Duration {
        Duration::from_millis(self.ping_ms)
    }

    pub(crate) fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms)
    }

    pub(crate) fn failure(&self) -> Duration {
        Duration::from_millis(self.failure_ms)
    }

    pub(crate) fn request(&self) -> Duration {
        Duration::from_millis(self.request_ms)
    }

    pub(crate) fn election(&self) -> Duration {
        Duration::from_millis(self.election_ms)
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
    /// What it is for.
    #[serde(default = "all_roles")]
    pub roles: Vec<Role>,
    /// The nodes that form the view service: one, three or five.
    pub view_nodes: Vec<u32>,
    /// Where this node reaches the other nodes: their ids and addresses. It may name this node too.
    #[serde(with = "node_ids")]
    pub nodes: BTreeMap<u32, String>,
    /// How many copies of the data there are. Counts when the cluster is new.
    #[serde(default = "two")]
    pub copies: u32,
    /// When a write counts as durable.
    #[serde(default)]
    pub durability: Durability,
    /// How reads are kept from being stale.
    #[serde(default)]
    pub reads: Reads,
    /// Bytes of data beyond which commands that need more are refused; 0 for no limit.
    #[serde(default)]
    pub maxmemory: u64,
    /// The password that clients must give; none if empty.
    #[serde(default)]
    pub requirepass: String,
    /// How large the log in memory may grow before a snapshot is taken, in bytes.
    #[serde(default = "log_bytes")]
    pub log_bytes: usize,
    /// See [`Timeouts`].
    #[serde(default)]
    pub timeouts: Timeouts,
    /// See [`Limits`].
    #[serde(default)]
    pub limits: Limits,
}

fn all_roles() -> Vec<Role> {
    Role::ALL.to_vec()
}

fn two() -> u32 {
    2
}

fn log_bytes() -> usize {
    128 * 1024 * 1024
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
        let id = |name: &str| {
            name.parse().map_err(|_| D::Error::custom(format!("{name:?} in [nodes] is not the id of a node")))
        };
        names.into_iter().map(|(name, address)| Ok((id(&name)?, address))).collect()
    }
}

impl Config {
    /// Whether the node has a role.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Everything that is wrong with the settings, each with what to do about it. Empty if a node can start.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut must = |holds: bool, problem: String| {
            if !holds {
                problems.push(problem);
            }
        };
        let is_view_node = self.view_nodes.contains(&self.node);
        must(self.node >= 1, "node = 0: ids of nodes begin with 1".to_owned());
        must(
            !self.cluster.is_empty() && self.cluster.len() <= 64,
            "cluster: give the cluster a name of 1 to 64 bytes, the same on all its nodes".to_owned(),
        );
        must(
            matches!(self.view_nodes.len(), 1 | 3 | 5),
            format!(
                "view_nodes names {} nodes: the view service needs 1, 3 or 5 of them (3 survive the failure of one, \
                 5 that of two; an even number survives no more than one less)",
                self.view_nodes.len()
            ),
        );
        must(
            self.has(Role::View) == is_view_node,
            match is_view_node {
                true => format!("view_nodes names node {}, but its roles lack \"view\"", self.node),
                false => format!(
                    "the roles of node {} include \"view\", but view_nodes does not name it",
                    self.node
                ),
            },
        );
        for id in &self.view_nodes {
            must(
                *id == self.node || self.nodes.contains_key(id),
                format!("view_nodes names node {id}, but [nodes] has no address for it"),
            );
        }
        must(!self.roles.is_empty(), "roles is empty: a node needs at least one".to_owned());
        must(self.copies >= 1, "copies = 0: at least one copy is needed to hold data".to_owned());
        let timeouts = &self.timeouts;
        must(
            timeouts.failure_ms >= 3 * timeouts.ping_ms.max(timeouts.heartbeat_ms),
            format!(
                "timeouts.failure_ms = {} is less than three pings ({} ms) or heartbeats ({} ms): one lost message \
                 would count as a failure",
                timeouts.failure_ms, timeouts.ping_ms, timeouts.heartbeat_ms
            ),
        );
        must(
            timeouts.ping_ms >= 1 && timeouts.heartbeat_ms >= 1 && timeouts.election_ms >= 30,
            "timeouts: ping_ms and heartbeat_ms must be at least 1, election_ms at least 30".to_owned(),
        );
        must(
            (1024..=512 * 1024 * 1024).contains(&self.limits.command_bytes),
            "limits.command_bytes must be between 1024 and 536870912".to_owned(),
        );
        must(self.limits.clients >= 1, "limits.clients must be at least 1".to_owned());
        must(
            self.limits.pipeline_bytes >= self.limits.command_bytes,
            "limits.pipeline_bytes must be at least limits.command_bytes".to_owned(),
        );
        problems
    }
}
