//! What a client of Redis Cluster cannot do: change the cluster by `CLUSTER`, and what Redis refuses in
//! cluster mode.

use onecopy_keyspace::command::{Spec, key_positions, lookup};
use onecopy_keyspace::slots::slot_of;

/// What is said of keys in several slots.
pub(crate) const CROSS_SLOT: &str = "CROSSSLOT Keys in request don't hash to the same slot";

/// Why a `CLUSTER` that would change the cluster is refused, and what to do here instead.
pub(super) fn refusal(subcommand: &str) -> String {
    let instead = match subcommand {
        "meet" => "a node joins by its settings (onecopy node add)",
        "forget" => "a node that is stopped and holds nothing is forgotten with onecopy node remove",
        "reset" => "a node is emptied with onecopy node drain",
        "replicate" => {
            "copies are placed by the view service: onecopy group copies says how many there are, onecopy database move where"
        }
        "addslots" | "addslotsrange" | "delslots" | "delslotsrange" | "flushslots" | "setslot" => {
            "slots belong to the groups of the database, and are never without one"
        }
        "bumpepoch" | "set-config-epoch" => "epochs are the numbers of views, which the view service counts",
        "failover" => "it cannot be in a transaction",
        _ => "there is no such subcommand",
    };
    format!("ERR CLUSTER {} is not supported: {instead}", subcommand.to_uppercase())
}

/// What of a command Redis refuses in cluster mode, if it does.
pub(crate) fn refused_in_cluster(spec: &Spec, args: &[&[u8]]) -> Option<String> {
    let names_another = |number: Option<&&[u8]>| number.is_some_and(|number| **number != *b"0");
    let is_refused = match spec.name {
        "select" => names_another(args.get(1)),
        "move" | "swapdb" => true,
        "copy" => {
            let mut pairs = args.windows(2).skip(3);
            if pairs.any(|pair| pair[0].eq_ignore_ascii_case(b"db") && *pair[1] != *b"0") {
                return Some("ERR Copying to another database is not allowed in cluster mode".to_owned());
            }
            false
        }
        _ => false,
    };
    is_refused.then(|| format!("ERR {} is not allowed in cluster mode", spec.name.to_uppercase()))
}

/// The slot of the keys of a command; `None` if it has none.
///
/// # Errors
/// They are in several, and that is not `allowed`.
pub(crate) fn slot_of_keys(spec: &Spec, args: &[&[u8]], allowed: bool) -> Result<Option<u16>, &'static str> {
    // ONCE has the keys of the command behind its token.
    if let ("once", Some(inner)) = (spec.name, args.get(2..)) {
        let spec = inner.first().and_then(|name| lookup(name)).filter(|inner| inner.name != "once");
        return spec.map_or(Ok(None), |spec| slot_of_keys(spec, inner, allowed));
    }
    let mut slots =
        key_positions(spec, args).into_iter().filter_map(|at| args.get(at)).map(|key| slot_of(key));
    let Some(first) = slots.next() else { return Ok(None) };
    if !allowed && slots.any(|slot| slot != first) {
        return Err(CROSS_SLOT);
    }
    Ok(Some(first as u16))
}

#[cfg(test)]
mod tests {
    use onecopy_keyspace::command;

    use super::*;

    fn words(line: &str) -> Vec<&[u8]> {
        line.split(' ').map(str::as_bytes).collect()
    }

    #[test]
    fn keys_are_in_one_slot() {
        let slot = |line: &str, allowed| {
            let args = words(line);
            slot_of_keys(command::lookup(args[0]).expect("it is one"), &args, allowed)
        };
        assert_eq!(slot("GET foo", false), Ok(Some(12_182)));
        assert_eq!(slot("MGET {a}1 {a}2", false), Ok(Some(15_495)));
        assert_eq!(slot("MGET foo bar", false), Err(CROSS_SLOT));
        assert_eq!(slot("MGET foo bar", true), Ok(Some(12_182)));
        assert_eq!(slot("ONCE token MGET foo bar", false), Err(CROSS_SLOT));
        assert_eq!(slot("DBSIZE", false), Ok(None));
        assert_eq!(slot("EVAL x 2 foo bar", false), Err(CROSS_SLOT));
        assert_eq!(slot("XREAD STREAMS foo bar 0 0", false), Err(CROSS_SLOT));
    }

    #[test]
    fn other_databases_are_out_of_reach() {
        let refused = |line: &str| {
            let args = words(line);
            let spec = command::lookup(args[0]).or_else(|| crate::client::commands::lookup(args[0]));
            refused_in_cluster(spec.expect("it is one"), &args)
        };
        assert_eq!(refused("SELECT 0"), None);
        assert_eq!(refused("select 1").as_deref(), Some("ERR SELECT is not allowed in cluster mode"));
        assert_eq!(refused("MOVE a 1").as_deref(), Some("ERR MOVE is not allowed in cluster mode"));
        assert_eq!(refused("COPY db b"), None);
        assert!(refused("COPY a b DB 1").is_some_and(|error| error.contains("Copying")));
    }
}
