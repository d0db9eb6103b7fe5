//! Commands of Redis that are not there because what they are for is done in another way.

use onecopy_keyspace::command;

const REPLICATES: &str = "nobody replicates from a node but other nodes; `onecopy export` writes an RDB file";
const COPIES: &str = "copies are made by Onecopy itself; `onecopy import` takes over the data of a Redis";

/// What is not there, and what to do instead.
const ELSEWHERE: &[(&str, &str)] = &[
    ("psync", REPLICATES),
    ("replconf", REPLICATES),
    ("replicaof", COPIES),
    ("slaveof", COPIES),
    ("sync", REPLICATES),
];

/// What a command is answered that is not there, without the leading `-`.
pub(in crate::client) fn unknown(args: &[&[u8]]) -> String {
    let name = String::from_utf8_lossy(args.first().copied().unwrap_or_default()).to_lowercase();
    match instead(&name) {
        Some(instead) => format!("ERR unknown command '{name}': {instead}"),
        None => command::unknown_command(args),
    }
}

/// What to do instead of a command, if there is anything.
pub(super) fn instead(name: &str) -> Option<&'static str> {
    ELSEWHERE.iter().find(|(known, _)| *known == name).map(|(_, instead)| *instead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_in_another_way_says_in_which() {
        assert!(unknown(&[b"SYNC"]).starts_with("ERR unknown command 'sync': nobody replicates"));
        assert!(unknown(&[b"ReplicaOf", b"host", b"1"]).contains("onecopy import"));
        assert_eq!(unknown(&[b"foo", b"a"]), "ERR unknown command 'foo', with args beginning with: 'a' ");
    }
}
