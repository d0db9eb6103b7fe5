//! What `HELP` says of commands with subcommands.

use onecopy_resp::Writer;

/// Writes the lines of a help text, and that there is one.
pub(super) fn reply(lines: &[&str], reply: &mut Writer<'_>) {
    reply.array(lines.len() + 2);
    lines.iter().for_each(|line| reply.simple(line));
    reply.simple("HELP");
    reply.simple("    Print this help.");
}

pub(super) const DATABASE: &[&str] = &[
    "DATABASE <subcommand> [<arg> ...]. Subcommands are:",
    "CREATE <name> <number>[-<number>] [REPLICATION <kind>] [COPIES <count>]",
    "    Create a database, on all nodes. Kinds: primary-backup, raft, optimistic.",
    "DROP <name> <name>",
    "    Drop a database with all its data, on all nodes and for good.",
    "LIST",
    "    Tell which databases there are, and who holds them.",
    "MOVE <name> <node> [<node> ...]",
    "    Have the copies of a database on these nodes alone; with ANY, wherever there is room.",
    "SET <name> [COPIES <count>] [MIN-COPIES <count>] [READS lease|confirm]",
    "    Change how many copies a database has, on fewer than how many it takes no writes, and how it reads.",
    "SET <name> REPLICATION <kind>",
    "    Replicate a database in another way while it serves. Kinds: primary-backup, raft.",
    "SHOW <name>",
    "    Tell of one database what LIST tells of all.",
];

pub(super) const ACL: &[&str] = &[
    "ACL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CAT [<category>]",
    "    List the categories of commands, or the commands of one.",
    "DELUSER <username> [<username> ...]",
    "    Remove users, on all nodes, and end their connections.",
    "DRYRUN <username> <command> [<arg> ...]",
    "    Tell whether a user could execute a command, without executing it.",
    "GENPASS [<bits>]",
    "    Make a password of 256 random bits, or of so many.",
    "GETUSER <username>",
    "    Tell what a user may do.",
    "LIST",
    "    Tell what all users may do, as rules.",
    "LOAD",
    "    Nothing to do: users are kept by the view service.",
    "LOG [<count>|RESET]",
    "    Tell what was denied on this node, or forget it.",
    "SAVE",
    "    Nothing to do: users are kept by the view service.",
    "SETUSER <username> [<rule> ...]",
    "    Make a user, or change what it may do, on all nodes.",
    "USERS",
    "    List the names of all users.",
    "WHOAMI",
    "    Tell who this connection is.",
];

pub(super) const CLIENT: &[&str] = &[
    "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CACHING (YES|NO)",
    "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
    "GETNAME",
    "    Return the name of the current connection.",
    "GETREDIR",
    "    Return the client ID we are redirecting to when tracking is enabled.",
    "ID",
    "    Return the ID of the current connection.",
    "INFO",
    "    Return information about the current client connection.",
    "KILL <ip:port>|<option> <value> [<option> <value> ...]",
    "    End connections to this node. Options are:",
    "    * ADDR <ip:port>, LADDR <ip:port>, ID <id>, USER <username>,",
    "      TYPE (NORMAL|MASTER|REPLICA|PUBSUB), SKIPME (YES|NO).",
    "LIST [TYPE <type>|ID <id> [<id> ...]]",
    "    Return information about connections to this node.",
    "NO-EVICT|NO-TOUCH (ON|OFF)",
    "    Shown in CLIENT LIST, without other effect.",
    "PAUSE <timeout> [WRITE|ALL]",
    "    Keep the clients of this node waiting for <timeout> milliseconds.",
    "REPLY (ON|OFF|SKIP)",
    "    Say which replies this connection wants.",
    "SETINFO (LIB-NAME|LIB-VER) <value>",
    "    Say which library the client uses.",
    "SETNAME <name>",
    "    Assign the name <name> to the current connection.",
    "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
    "         [OPTIN] [OPTOUT] [NOLOOP]",
    "    Control server assisted client side caching.",
    "TRACKINGINFO",
    "    Report tracking status for the current connection.",
    "UNBLOCK <clientid> [TIMEOUT|ERROR]",
    "    Unblock the specified blocked client.",
    "UNPAUSE",
    "    End a pause.",
];

pub(super) const COMMAND: &[&str] = &[
    "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "(no subcommand)",
    "    Describe all commands.",
    "COUNT",
    "    Return how many commands there are.",
    "DOCS [<command-name> ...]",
    "    Return the documentation of commands.",
    "GETKEYS <full-command>",
    "    Return the keys of a command.",
    "GETKEYSANDFLAGS <full-command>",
    "    Return the keys of a command, and what happens to them.",
    "INFO [<command-name> ...]",
    "    Describe commands.",
    "LIST [FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]",
    "    Return the names of commands.",
];

pub(super) const CONFIG: &[&str] = &[
    "CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "GET <pattern> [<pattern> ...]",
    "    Return parameters and their values.",
    "RESETSTAT",
    "    Count anew what INFO tells of this node.",
    "REWRITE",
    "    Nothing to do: what is set is kept.",
    "SET <parameter> <value> [<parameter> <value> ...]",
    "    Set parameters, on all nodes and for good.",
];

pub(super) const DEBUG: &[&str] = &[
    "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "DIGEST",
    "    Tell a digest of all data: equal data has an equal one.",
    "DIGEST-VALUE <key> [<key> ...]",
    "    Tell a digest of each of these values.",
    "ERROR <text>",
    "    Answer with this error.",
    "LOG <text>",
    "    Write a text to the log of this node.",
    "OBJECT <key>",
    "    Tell the encoding of a value, and how long it is when it is serialized.",
    "PROTOCOL <kind>",
    "    Answer with a reply of this kind.",
    "RELOAD, LOADAOF",
    "    Write each value in the format of Redis' files, read it back, and compare. Nothing changes.",
    "SET-ACTIVE-EXPIRE, QUICKLIST-PACKED-THRESHOLD, REPLYBUFFER, CHANGE-REPL-ID, DICT-RESIZING",
    "    Accepted, without effect.",
    "SLEEP <seconds>",
    "    Keep this connection waiting, and no other.",
];

pub(super) const LATENCY: &[&str] = &[
    "LATENCY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "DOCTOR",
    "    Tell in words what took long.",
    "GRAPH <event>",
    "    Draw what took how long.",
    "HISTOGRAM [<command> ...]",
    "    Tell how often commands took how long.",
    "HISTORY <event>",
    "    Tell when something took how long.",
    "LATEST",
    "    Tell of each event when it last took long.",
    "RESET [<event> ...]",
    "    Forget events, or all.",
];

pub(super) const MEMORY: &[&str] = &[
    "MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "DOCTOR",
    "    Tell in words how the memory is used.",
    "MALLOC-STATS",
    "    The allocator tells nothing.",
    "PURGE",
    "    Nothing to do: the allocator gives memory back by itself.",
    "STATS",
    "    Tell how the memory is used.",
    "USAGE <key> [SAMPLES <count>]",
    "    Return what <key> and its value count against the memory limit. SAMPLES changes nothing.",
];

pub(super) const MODULE: &[&str] = &[
    "MODULE <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "LIST",
    "    Return an empty list: there are no modules.",
];

pub(super) const SLOWLOG: &[&str] = &[
    "SLOWLOG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "GET [<count>]",
    "    Return the last 10 commands that took long, or <count> of them, or all (-1).",
    "LEN",
    "    Return how many are remembered.",
    "RESET",
    "    Forget them.",
];
