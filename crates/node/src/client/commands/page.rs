//! The page of commands in the documentation, which is made of the tables: what is there is what is found.

use std::fmt::Write as _;

use onecopy_keyspace::command::catalogue::{self, Listing};

use super::elsewhere::instead;
use super::table::is_there;

const PAGE: &str = include_str!("../../../../../docs/commands.md");
/// What stands above the tables, by hand, ends with this line.
const MARK: &str =
    "<!-- made from the tables of commands: UPDATE_PAGES=1 cargo test -p onecopy-node page -->\n";

/// What is said of what changes a Redis cluster.
const REFUSED: &str = "refused, with what to do here instead";

/// What is there and differs, and how.
const DIFFERENCES: &[(&str, &str)] = &[
    ("acl|load", "nothing to do: users are kept by the view service"),
    ("acl|log", "of the node that is asked"),
    ("acl|save", "nothing to do: users are kept by the view service"),
    ("asking", "accepted in cluster mode: slots do not move while a client asks"),
    ("bgrewriteaof", "nothing to do: the log is kept short by itself"),
    ("bgsave", "nothing to do: what is acknowledged is saved"),
    ("client|kill", "of the node that is asked"),
    ("client|list", "of the node that is asked; memory that nobody counts is 0"),
    ("client|no-evict", "shown, without effect"),
    ("client|pause", "of the node that is asked"),
    (
        "client|tracking",
        "REDIRECT to a client of the same node; keys of the databases that were selected since; never in an optimistic database",
    ),
    ("client|unblock", "of the node that is asked"),
    (
        "cluster",
        "where clients find a [Redis Cluster](clients.md); elsewhere answered as by a Redis without cluster support",
    ),
    ("cluster|addslots", REFUSED),
    ("cluster|addslotsrange", REFUSED),
    ("cluster|bumpepoch", REFUSED),
    ("cluster|count-failure-reports", "always 0: the view service judges who has failed"),
    ("cluster|delslots", REFUSED),
    ("cluster|delslotsrange", REFUSED),
    (
        "cluster|failover",
        "a handover to this node; answers when it has happened; FORCE and TAKEOVER are refused",
    ),
    ("cluster|flushslots", REFUSED),
    ("cluster|forget", REFUSED),
    ("cluster|links", "nobody counts their bytes"),
    ("cluster|meet", REFUSED),
    ("cluster|replicate", REFUSED),
    ("cluster|reset", REFUSED),
    ("cluster|saveconfig", "nothing to do"),
    ("cluster|set-config-epoch", REFUSED),
    ("cluster|setslot", REFUSED),
    ("config|get", "see [parameters](parameters.md)"),
    ("config|rewrite", "nothing to do: what is set is kept"),
    ("config|set", "for all nodes, and kept; see [parameters](parameters.md)"),
    (
        "debug",
        "DIGEST, DIGEST-VALUE (digests of our own), RELOAD, LOADAOF (a round trip of all values), OBJECT, PROTOCOL, LOG, \
         ERROR, SLEEP (this connection alone); SET-ACTIVE-EXPIRE and others without effect",
    ),
    ("failover", "answers when it has happened; `TO host port` alone"),
    ("function|kill", "stops what only reads; of all else `-UNKILLABLE`, as `SCRIPT KILL`"),
    ("function|stats", "of a function that runs for long, neither its name nor its arguments are told"),
    ("info", "of the node that is asked; what nobody counts is 0"),
    ("lastsave", "the time of the question: what is acknowledged is saved"),
    ("latency|histogram", "from being handed in to being answered"),
    ("lolwut", "boats"),
    (
        "migrate",
        "others go on to write meanwhile, and what they change is sent again; not in optimistic databases",
    ),
    ("memory|malloc-stats", "the allocator tells nothing"),
    ("memory|purge", "nothing to do"),
    ("memory|stats", "fewer fields"),
    ("memory|usage", "what counts against the memory limit; SAMPLES changes nothing"),
    ("module", "LIST alone, which is empty"),
    ("object|freq", "as the copy that answers has counted it"),
    ("object|idletime", "as the copy that answers has seen it; an error under `noeviction`"),
    ("object|refcount", "always 1"),
    ("pfcount", "a read: it caches nothing in the string"),
    ("readonly", "every node serves reads, also without it, unless `redirect` is set"),
    ("readwrite", "accepted: every node takes writes"),
    (
        "role",
        "`master` at every node, with the other copies as its replicas; with `redis_mode = \"cluster\"` or `sentinel`, what the node is",
    ),
    ("save", "nothing to do: what is acknowledged is saved"),
    ("script|debug", "accepted: there is no debugger"),
    (
        "script|kill",
        "stops what only reads; of all else `-UNKILLABLE`: what runs too long is stopped by itself, at every copy at the same \
         instruction, and undone",
    ),
    (
        "shutdown",
        "the node that is asked, as at SIGTERM: others take over what it leads. Nothing is lost by `NOSAVE`, `NOW` and `FORCE` \
         change nothing, and once it has begun it cannot be aborted",
    ),
    ("slowlog|get", "of the node that is asked; from being handed in to being answered"),
    ("touch", "a use at the copy that answers"),
    ("wait", "returns at once: an acknowledged write is on every copy"),
    ("waitaof", "returns at once: an acknowledged write is in every log"),
];

/// What is not there, and why; a command stands for its subcommands.
const ABSENT: &[(&str, &str)] = &[
    ("module", "no modules are loaded"),
    ("pfselftest", "for the developers of Redis"),
    ("restore-asking", "of Redis Cluster's own"),
];

fn said(table: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == name).map(|(_, said)| *said)
}

/// The column that says whether a command is there, and what there is to say about that.
fn standing(listing: &'static Listing) -> (&'static str, &'static str) {
    if is_there(listing) {
        return said(DIFFERENCES, listing.name).map_or(("yes", ""), |difference| ("yes", difference));
    }
    let command = listing.name.split('|').next().unwrap_or_default();
    let why = said(ABSENT, listing.name).or_else(|| said(ABSENT, command)).or_else(|| instead(command));
    ("no", why.unwrap_or_else(|| panic!("{} is not there, and nobody says why", listing.name)))
}

fn page() -> String {
    let (above, _) = PAGE.split_once(MARK).expect("the page has its mark");
    let mut page = format!("{above}{MARK}");
    let mut groups: Vec<&str> = catalogue::all().iter().map(|listing| listing.group).collect();
    groups.sort_unstable();
    groups.dedup();
    for group in groups {
        let members = || catalogue::all().iter().copied().filter(|listing| listing.group == group);
        let there = members().filter(|listing| is_there(listing)).count();
        write!(
            page,
            "\n## {group}\n\n{there} of {} are there.\n\n| command | since | there | difference, or why not |\n| --- | --- | --- | --- |\n",
            members().count()
        )
        .expect("a string takes everything");
        for listing in members() {
            let (there, said) = standing(listing);
            let name = listing.name.replace('|', " ").to_uppercase();
            let since = if listing.since.is_empty() { "Onecopy" } else { listing.since };
            writeln!(page, "| `{name}` | {since} | {there} | {said} |").expect("a string takes everything");
        }
    }
    page
}

#[test]
fn the_page_of_commands_is_current() {
    let page = page();
    if std::env::var_os("UPDATE_PAGES").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/commands.md");
        std::fs::write(path, &page).expect("the page can be written");
    } else {
        assert_eq!(PAGE, page, "docs/commands.md is old: UPDATE_PAGES=1 cargo test -p onecopy-node page");
    }
}

#[test]
fn nothing_is_said_of_commands_that_there_are_not() {
    for (name, _) in DIFFERENCES.iter().chain(ABSENT) {
        assert!(catalogue::find(name).is_some(), "{name}");
    }
    for (name, _) in DIFFERENCES {
        assert!(catalogue::find(name).is_some_and(is_there), "{name} is not there");
    }
}
