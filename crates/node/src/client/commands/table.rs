//! The descriptions of the commands that a node answers by itself.

use onecopy_keyspace::command::catalogue::{self, Listing};
use onecopy_keyspace::command::{self, Kind, Spec};

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

static SPECS: &[Spec] = &[
    spec("acl", -2, "server", "6.0.0", "Makes, shows and removes users and what they may do."),
    spec("asking", 1, "cluster", "3.0.0", "Accepted: slots do not move while a client asks."),
    spec("auth", -2, "connection", "1.0.0", "Authenticates the connection."),
    spec("bgrewriteaof", 1, "server", "1.0.0", "Accepted, without effect: the log is kept short by itself."),
    spec("bgsave", -1, "server", "1.0.0", "Accepted, without effect: what is acknowledged is saved."),
    spec(
        "causal",
        -1,
        "connection",
        "7.2.0",
        "In an optimistic database: what this copy has seen, or wait for it.",
    ),
    spec("client", -2, "connection", "2.4.0", "A container for client connection commands."),
    spec("cluster", -2, "cluster", "3.0.0", "Tells clients of Redis Cluster who serves which slots."),
    spec("command", -1, "server", "2.8.13", "Returns detailed information about all commands."),
    spec("config", -2, "server", "2.0.0", "A container for server configuration commands."),
    spec("database", -2, "server", "", "Creates databases, and shows and changes them."),
    spec("debug", -2, "server", "1.0.0", "The harmless parts of what Redis is debugged with."),
    spec("discard", 1, "transactions", "2.0.0", "Discards a transaction."),
    spec("echo", 2, "connection", "1.0.0", "Returns the given string."),
    spec("exec", 1, "transactions", "1.2.0", "Executes all commands in a transaction."),
    spec("failover", -1, "server", "6.2.0", "Hands over to another node; answers when it has happened."),
    spec("hello", -1, "connection", "6.0.0", "Handshakes with the server."),
    spec("info", -1, "server", "1.0.0", "Returns information and statistics about the server."),
    spec("lastsave", 1, "server", "1.0.0", "Returns the time: what is acknowledged is saved."),
    spec("latency", -2, "server", "2.8.13", "Tells what took long, and when."),
    spec("lolwut", -1, "server", "5.0.0", "Shows the version, and how many copies there are."),
    spec("migrate", -6, "generic", "2.6.0", "Moves keys to another server."),
    spec("module", -2, "server", "4.0.0", "Tells that there are no modules."),
    spec("monitor", 1, "server", "1.0.0", "Shows what the clients of this node send."),
    spec("multi", 1, "transactions", "1.2.0", "Starts a transaction."),
    spec("ping", -1, "connection", "1.0.0", "Returns the server's liveliness response."),
    spec("quit", -1, "connection", "1.0.0", "Closes the connection."),
    spec("readonly", 1, "cluster", "3.0.0", "Has reads served here although another node is the primary."),
    spec("readwrite", 1, "cluster", "3.0.0", "Ends what READONLY began."),
    spec("reset", 1, "connection", "6.2.0", "Resets the connection."),
    spec("role", 1, "server", "2.8.12", "Returns the replication role."),
    spec("save", 1, "server", "1.0.0", "Accepted, without effect: what is acknowledged is saved."),
    spec("select", 2, "connection", "1.0.0", "Changes the selected database."),
    spec("shutdown", -1, "server", "1.0.0", "Stops the node: others take over what it leads."),
    spec("slowlog", -2, "server", "2.2.12", "Tells which commands took long."),
    spec(
        "wait",
        3,
        "generic",
        "3.0.0",
        "Returns how many other copies have all writes; waits for them in an optimistic database.",
    ),
    spec("waitaof", 4, "generic", "7.2.0", "Returns at once: an acknowledged write is in every log."),
];

/// The subcommands of these that are there.
static SUBCOMMANDS: &[&str] = &[
    "acl|cat",
    "acl|deluser",
    "acl|dryrun",
    "acl|genpass",
    "acl|getuser",
    "acl|help",
    "acl|list",
    "acl|load",
    "acl|log",
    "acl|save",
    "acl|setuser",
    "acl|users",
    "acl|whoami",
    "client|caching",
    "client|getname",
    "client|getredir",
    "client|help",
    "client|id",
    "client|info",
    "client|kill",
    "client|list",
    "client|no-evict",
    "client|no-touch",
    "client|pause",
    "client|reply",
    "client|setinfo",
    "client|setname",
    "client|tracking",
    "client|trackinginfo",
    "client|unblock",
    "client|unpause",
    "cluster|addslots",
    "cluster|addslotsrange",
    "cluster|bumpepoch",
    "cluster|count-failure-reports",
    "cluster|countkeysinslot",
    "cluster|delslots",
    "cluster|delslotsrange",
    "cluster|failover",
    "cluster|flushslots",
    "cluster|forget",
    "cluster|getkeysinslot",
    "cluster|help",
    "cluster|info",
    "cluster|keyslot",
    "cluster|links",
    "cluster|meet",
    "cluster|myid",
    "cluster|myshardid",
    "cluster|nodes",
    "cluster|replicas",
    "cluster|replicate",
    "cluster|reset",
    "cluster|saveconfig",
    "cluster|set-config-epoch",
    "cluster|setslot",
    "cluster|shards",
    "cluster|slaves",
    "cluster|slots",
    "command|count",
    "command|docs",
    "command|getkeys",
    "command|getkeysandflags",
    "command|help",
    "command|info",
    "command|list",
    "config|get",
    "config|help",
    "config|resetstat",
    "config|rewrite",
    "config|set",
    "database|create",
    "database|drop",
    "database|help",
    "database|list",
    "database|move",
    "database|set",
    "database|show",
    "latency|doctor",
    "latency|graph",
    "latency|help",
    "latency|histogram",
    "latency|history",
    "latency|latest",
    "latency|reset",
    "memory|doctor",
    "memory|help",
    "memory|malloc-stats",
    "memory|purge",
    "memory|stats",
    "memory|usage",
    "module|help",
    "module|list",
    "slowlog|get",
    "slowlog|help",
    "slowlog|len",
    "slowlog|reset",
];

/// The one with this name, in letters of any case.
pub(in crate::client) fn lookup(name: &[u8]) -> Option<&'static Spec> {
    SPECS.iter().find(|spec| spec.name.as_bytes().eq_ignore_ascii_case(name))
}

/// The one with this name, of the node or of the state machine.
pub(in crate::client) fn find(name: &[u8]) -> Option<&'static Spec> {
    lookup(name).or_else(|| command::lookup(name))
}

/// Whether a command or subcommand of the catalogue is there.
pub(in crate::client) fn is_there(listing: &'static Listing) -> bool {
    match listing.name.split_once('|') {
        None => find(listing.name.as_bytes()).is_some(),
        // Those of the state machine are all there, if their command is and is not the node's in part.
        Some((command @ ("memory" | "cluster"), _)) => {
            SUBCOMMANDS.contains(&listing.name) && find(command.as_bytes()).is_some()
        }
        Some((command, _)) if lookup(command.as_bytes()).is_some() => SUBCOMMANDS.contains(&listing.name),
        Some((command, _)) => command::lookup(command.as_bytes()).is_some(),
    }
}

/// Checks what stands behind the name of a command with subcommands.
///
/// # Errors
/// There is no such subcommand, or it takes another number of arguments.
pub(in crate::client) fn check_subcommand(spec: &Spec, args: &[&[u8]]) -> Result<(), String> {
    check_subcommand_of(spec, args, args.len())
}

/// The same, of a request with so many arguments, of which the first two are `args`.
pub(in crate::client) fn check_subcommand_of(spec: &Spec, args: &[&[u8]], argc: usize) -> Result<(), String> {
    let [_, word, ..] = args else { return Ok(()) };
    if catalogue::subcommands(spec.name).is_empty() {
        return Ok(());
    }
    let known = catalogue::asked(args).and_then(|(_, subcommand)| Some(catalogue::all()[subcommand?]));
    match known.filter(|known| is_there(known)) {
        None => {
            let word = String::from_utf8_lossy(&word[..word.len().min(128)]).into_owned();
            Err(format!("ERR unknown subcommand '{word}'. Try {} HELP.", spec.name.to_uppercase()))
        }
        Some(known) if !known.takes(argc) => {
            Err(format!("ERR wrong number of arguments for '{}' command", known.name))
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_node_answers_is_listed_as_it_is() {
        assert!(SPECS.is_sorted_by(|a, b| a.name < b.name));
        for spec in SPECS {
            let listing = catalogue::find(spec.name).unwrap_or_else(|| panic!("{} is not listed", spec.name));
            assert_eq!((listing.arity, listing.group), (spec.arity, spec.group), "{}", spec.name);
        }
        for name in SUBCOMMANDS {
            assert!(catalogue::find(name).is_some_and(is_there), "{name}");
        }
    }

    #[test]
    fn subcommands_are_checked_before_they_are_answered() {
        let check = |line: &str| {
            let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            check_subcommand(find(args[0]).expect("it is one"), &args)
        };
        assert_eq!(check("CONFIG GET x"), Ok(()));
        assert_eq!(check("COMMAND"), Ok(()));
        assert_eq!(
            check("CONFIG GET"),
            Err("ERR wrong number of arguments for 'config|get' command".to_owned())
        );
        assert_eq!(check("CLIENT foo"), Err("ERR unknown subcommand 'foo'. Try CLIENT HELP.".to_owned()));
    }
}
