//! The descriptions of the commands that a node answers by itself.

use onecopy_keyspace::command::{Kind, Spec};

const fn spec(
    name: &'static str,
    arity: i32,
    group: &'static str,
    since: &'static str,
    summary: &'static str,
) -> Spec {
    Spec {
        name,
        arity,
        kind: Kind::Read,
        grows: false,
        fast: true,
        first_key: 0,
        last_key: 0,
        key_step: 0,
        key_count_at: 0,
        group,
        since,
        complexity: "O(1)",
        summary,
    }
}

static SPECS: [Spec; 20] = [
    spec("auth", -2, "connection", "1.0.0", "Authenticates the connection."),
    spec("client", -2, "connection", "2.4.0", "A container for client connection commands."),
    spec("command", -1, "server", "2.8.13", "Returns detailed information about all commands."),
    spec("config", -2, "server", "2.0.0", "A container for server configuration commands."),
    spec("discard", 1, "transactions", "2.0.0", "Discards a transaction."),
    spec("echo", 2, "connection", "1.0.0", "Returns the given string."),
    spec("exec", 1, "transactions", "1.2.0", "Executes all commands in a transaction."),
    spec("failover", -1, "server", "6.2.0", "Hands over to another node; answers when it has happened."),
    spec("hello", -1, "connection", "6.0.0", "Handshakes with the server."),
    spec("info", -1, "server", "1.0.0", "Returns information and statistics about the server."),
    spec("monitor", 1, "server", "1.0.0", "Shows what the clients of this node send."),
    spec("multi", 1, "transactions", "1.2.0", "Starts a transaction."),
    spec("ping", -1, "connection", "1.0.0", "Returns the server's liveliness response."),
    spec("quit", -1, "connection", "1.0.0", "Closes the connection."),
    spec("readonly", 1, "cluster", "3.0.0", "Accepted, without effect: every node serves reads."),
    spec("readwrite", 1, "cluster", "3.0.0", "Accepted, without effect: every node takes writes."),
    spec("reset", 1, "connection", "6.2.0", "Resets the connection."),
    spec("role", 1, "server", "2.8.12", "Returns the replication role."),
    spec("select", 2, "connection", "1.0.0", "Changes the selected database."),
    spec("wait", 3, "generic", "3.0.0", "Returns at once: an acknowledged write is on every member."),
];

/// All of them, sorted by name.
pub(crate) fn specs() -> impl ExactSizeIterator<Item = &'static Spec> + Clone {
    SPECS.iter()
}

/// The one with this name, in letters of any case.
pub(in crate::client) fn lookup(name: &[u8]) -> Option<&'static Spec> {
    SPECS.iter().find(|spec| spec.name.as_bytes().eq_ignore_ascii_case(name))
}
