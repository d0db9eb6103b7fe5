//! The list of settings.

use super::kind::Kind;

/// One setting of a node.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name in the configuration file; a dot stands for a table.
    pub key: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// What it means.
    pub meaning: &'static str,
    /// A value for the example file, as it is written there. Settings that have no default must be given.
    pub example: &'static str,
    /// Whether a node cannot start without it.
    pub required: bool,
}

const fn required(key: &'static str, kind: Kind, example: &'static str, meaning: &'static str) -> Setting {
    Setting { key, kind, meaning, example, required: true }
}

const fn optional(key: &'static str, kind: Kind, example: &'static str, meaning: &'static str) -> Setting {
    Setting { key, kind, meaning, example, required: false }
}

/// All settings, in the order of the example file: what stands in tables comes last.
pub const SETTINGS: &[Setting] = &[
    required("node", Kind::Id, "1", "The id of this node, unique in its cluster; at least 1"),
    required(
        "cluster",
        Kind::Text,
        "\"example\"",
        "The name of the cluster: nodes of different clusters do not meet",
    ),
    required("data", Kind::Path, "\"/var/lib/onecopy\"", "The directory in which the node keeps everything"),
    required("redis", Kind::Address, "\"10.0.0.1:6379\"", "The address on which it takes Redis clients"),
    required(
        "http",
        Kind::Address,
        "\"10.0.0.1:8080\"",
        "The address on which it answers HTTP: /status, /metrics, /healthz, /readyz",
    ),
    required("peer", Kind::Address, "\"10.0.0.1:7379\"", "The address on which it takes other nodes"),
    optional(
        "redis_mode",
        Kind::Choice(&["standalone", "cluster"]),
        "\"standalone\"",
        "What the clients at redis take the node for: standalone (one server) or cluster (a node of a Redis Cluster)",
    ),
    optional(
        "redirect",
        Kind::Flag,
        "false",
        "Whether clients of Redis Cluster are sent to the primary (-MOVED); if not, every node takes every command",
    ),
    optional(
        "cross_slot",
        Kind::Flag,
        "false",
        "Whether clients of Redis Cluster may name keys of several slots in one command",
    ),
    optional(
        "listeners",
        Kind::Listeners,
        "[]",
        "Where else it takes Redis clients, as DATABASE[:cluster]@IP:PORT[=HOST:PORT]: the database is number 0 there, and =HOST:PORT is where clients reach it",
    ),
    optional(
        "sentinel",
        Kind::OptionalAddress,
        "\"\"",
        "The address on which it speaks the protocol of Redis Sentinel; nowhere if empty",
    ),
    optional(
        "sentinel_alias",
        Kind::Text,
        "\"\"",
        "Another name by which clients of Sentinel find the database main, such as mymaster",
    ),
    optional(
        "roles",
        Kind::Roles,
        "[\"view\", \"data\", \"coordinator\"]",
        "What the node is for: view (part of the view service), data (holds copies), coordinator (takes clients)",
    ),
    optional(
        "zone",
        Kind::Text,
        "\"\"",
        "What the node fails together with (a rack, a data centre); empty if it does not matter. Copies are spread over zones",
    ),
    required(
        "view_nodes",
        Kind::Ids,
        "[1, 2, 3]",
        "The ids of the nodes that form the view service: one, three or five, the same on all nodes",
    ),
    optional(
        "databases",
        Kind::Databases,
        "[]",
        "The databases beside main (numbers 0-15), as name:numbers[:kind[:copies]], such as carts:16 or locks:17-20:raft:3; count when the cluster is new",
    ),
    optional(
        "copies",
        Kind::Number,
        "2",
        "How many copies of the data there are; counts when the cluster is new",
    ),
    optional(
        "min_copies",
        Kind::Number,
        "1",
        "Writes are refused while the data has fewer copies, the same on all nodes",
    ),
    optional(
        "durability",
        Kind::Choice(&["disk", "memory"]),
        "\"disk\"",
        "When a write counts as durable on a node: disk (synced) or memory (handed to the operating system, synced every second)",
    ),
    optional(
        "reads",
        Kind::Choice(&["lease", "confirm"]),
        "\"lease\"",
        "How reads are kept from being stale: lease (every member answers from its own state; clocks are trusted within clock_drift_ppm) or confirm (the primary asks the members of its view; no clock is trusted)",
    ),
    optional(
        "clock_drift_ppm",
        Kind::Number,
        "10000",
        "What leases rely on: no clock of any node gains or loses more than this, in parts per million",
    ),
    optional(
        "threads",
        Kind::Number,
        "1",
        "How many threads serve the data, each some of the databases, 1 to 64",
    ),
    optional(
        "maxmemory",
        Kind::Bytes,
        "0",
        "Bytes of data beyond which commands that need more are refused; 0 for no limit",
    ),
    optional("requirepass", Kind::Secret, "\"\"", "The password that clients must give; none if empty"),
    optional(
        "protected_mode",
        Kind::Flag,
        "true",
        "Without a password, clients of Redis and HTTP from other machines are turned away",
    ),
    optional(
        "log_bytes",
        Kind::Bytes,
        "134217728",
        "How long the log gets before a snapshot is taken, or as long as the last one",
    ),
    required(
        "nodes",
        Kind::Nodes,
        "{ 1 = \"10.0.0.1:7379\", 2 = \"10.0.0.2:7379\", 3 = \"10.0.0.3:7379\" }",
        "Where this node reaches the others: their ids and peer addresses",
    ),
    optional(
        "advertise.redis",
        Kind::Reached,
        "\"\"",
        "Where Redis clients reach this node, if not at redis: HOST:PORT, for containers and NAT",
    ),
    optional(
        "advertise.peer",
        Kind::Reached,
        "\"\"",
        "Where other nodes reach this node, if not at peer: HOST:PORT",
    ),
    optional(
        "advertise.sentinel",
        Kind::Reached,
        "\"\"",
        "Where clients of Sentinel reach this node, if not at sentinel: HOST:PORT",
    ),
    optional(
        "timeouts.ping_ms",
        Kind::Number,
        "50",
        "How often a node tells the view service that it is alive, in milliseconds",
    ),
    optional(
        "timeouts.heartbeat_ms",
        Kind::Number,
        "50",
        "How often a primary tells its backups that it is alive, in milliseconds",
    ),
    optional(
        "timeouts.failure_ms",
        Kind::Number,
        "400",
        "After how many milliseconds of silence a node counts as failed",
    ),
    optional(
        "timeouts.refused_ms",
        Kind::Number,
        "100",
        "The same for a node that refuses connections: nobody listens there",
    ),
    optional(
        "timeouts.lease_ms",
        Kind::Number,
        "120",
        "How many milliseconds a lease lasts, with reads = lease; a new primary waits until what it promised has run out",
    ),
    optional(
        "timeouts.request_ms",
        Kind::Number,
        "5000",
        "How many milliseconds a request waits for a primary before it is answered with an error",
    ),
    optional(
        "timeouts.election_ms",
        Kind::Number,
        "120",
        "The least milliseconds without a leader after which the view service elects another; the most is twice as much",
    ),
    optional("limits.clients", Kind::Number, "10000", "How many clients may be connected at once"),
    optional(
        "limits.command_bytes",
        Kind::Bytes,
        "67108864",
        "How many bytes one command may have, with all its arguments",
    ),
    optional(
        "limits.pipeline_bytes",
        Kind::Bytes,
        "536870912",
        "How many bytes of unanswered commands, of all clients together, are taken; clients that send more wait",
    ),
    optional(
        "limits.output_stall_seconds",
        Kind::Number,
        "60",
        "How many seconds a client may leave its replies unread before it is disconnected",
    ),
];

impl Setting {
    /// Its flag, without the dashes in front.
    #[must_use]
    pub fn flag(&self) -> String {
        self.key.replace(['.', '_'], "-")
    }

    /// Its environment variable.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("ONECOPY_{}", self.key.replace('.', "_").to_uppercase())
    }

    /// Whether each node has its own, or the cluster is made of it: whoever starts a whole cluster decides
    /// it.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.required
            || matches!(
                self.key,
                "roles"
                    | "zone"
                    | "databases"
                    | "copies"
                    | "listeners"
                    | "sentinel"
                    | "advertise.redis"
                    | "advertise.peer"
                    | "advertise.sentinel"
            )
    }

    /// The setting with this name in the configuration file.
    #[must_use]
    pub fn named(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// The table that it stands in, and its name there.
    #[must_use]
    pub fn place(&self) -> (Option<&'static str>, &'static str) {
        match self.key.split_once('.') {
            Some((table, name)) => (Some(table), name),
            None => (None, self.key),
        }
    }
}
