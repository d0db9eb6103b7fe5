//! `SENTINEL`, and what `INFO` and `ROLE` say at the port of Sentinel.

use std::fmt::Write as _;

use onecopy_core::NodeId;
use onecopy_resp::Writer;

use super::instance::{self, Surroundings};
use super::{Master, find, masters};
use crate::client::Clients;
use crate::client::commands::{SENTINEL_HELP, help_reply, parse};
use crate::client::info::{info, tells_of};
use crate::client::session::Session;
use crate::operation::Operation;
use crate::text::glob;
use crate::topology::{Place, sentinel_name, split};

const NO_MASTER: &str = "ERR No such master with that name";
/// The sections of `INFO` that a Sentinel has, before its own.
const SECTIONS: [&str; 4] = ["server", "clients", "stats", "cpu"];

/// What becomes of a `SENTINEL`.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::client) enum Answer {
    /// It is answered.
    Written,
    /// This is to be done first.
    After(Operation),
}

/// `SENTINEL <subcommand> …`
///
/// # Errors
/// What the client is told instead.
pub(in crate::client) fn answer(
    clients: &Clients,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Result<Answer, String> {
    let (knowledge, config) = (&clients.knowledge, &clients.config);
    let said = String::from_utf8_lossy(args.first().copied().unwrap_or_default());
    let word = said.to_lowercase();
    let named = |name: &[u8]| find(knowledge, config, name).ok_or_else(|| NO_MASTER.to_owned());
    match (word.as_str(), args.get(1..).unwrap_or_default()) {
        ("masters", []) => {
            let masters = masters(knowledge, &config.sentinel_alias);
            reply.array(masters.len());
            masters.iter().for_each(|master| write_master(clients, master, reply));
        }
        ("master", [name]) => write_master(clients, &named(name)?, reply),
        ("replicas" | "slaves", [name]) => {
            let master = named(name)?;
            let around = surroundings(clients, &master);
            reply.array(master.shard.replicas.len());
            for replica in &master.shard.replicas {
                instance::write(&instance::replica(replica, primary(&master), &around), reply);
            }
        }
        ("sentinels", [name]) => {
            let around = surroundings(clients, &named(name)?);
            let others = others(clients);
            reply.array(others.len());
            for (name, (host, port), is_reached) in &others {
                instance::write(&instance::sentinel(name, (host, *port), !is_reached, &around), reply);
            }
        }
        ("get-master-addr-by-name", [name]) => match find(knowledge, config, name) {
            Some(master) => {
                let Place { host, port, .. } = primary(&master);
                reply.array(2);
                reply.bulk(host.as_bytes());
                reply.bulk(port.to_string().as_bytes());
            }
            None => reply.null_array(),
        },
        ("ckquorum", [name]) => {
            named(name)?;
            let (usable, quorum) = knowledge.quorum();
            if usable < quorum {
                return Err(format!(
                    "NOQUORUM {usable} usable Sentinels. Not enough available Sentinels to reach the specified quorum \
                     for this master. The view service needs {quorum} of its nodes"
                ));
            }
            reply.simple(&format!(
                "OK {usable} usable Sentinels. Quorum and failover authorization can be reached"
            ));
        }
        ("myid", []) => reply.bulk(sentinel_name(&config.cluster, NodeId(config.node)).as_bytes()),
        ("is-master-down-by-addr", [host, port, epoch, _run]) => {
            let number = |word: &[u8]| {
                parse::<i64>(word).ok_or_else(|| "ERR value is not an integer or out of range".to_owned())
            };
            let (port, _) = (number(port)?, number(epoch)?);
            let is_there = |place: &Place| place.host.as_bytes() == *host && i64::from(place.port) == port;
            let all = masters(knowledge, "");
            let mut there = all.iter().map(primary).filter(|place| is_there(place));
            reply.array(3);
            reply.integer(there.any(|place| !place.is_reached).into());
            // Nobody is voted for here: the view service decides.
            reply.bulk(b"*");
            reply.integer(0);
        }
        ("failover", [name]) => {
            let group = named(name)?.shard.group.0;
            return Ok(Answer::After(Operation::Handover { group, to: None }));
        }
        ("pending-scripts", []) => reply.array(0),
        // What is there is kept by the view service.
        ("flushconfig", []) => reply.ok(),
        ("reset", [pattern]) => {
            // What is told follows from the cluster as it is: there is nothing to forget.
            let all = masters(knowledge, &config.sentinel_alias);
            reply.length(all.iter().filter(|master| glob(pattern, master.name.as_bytes())).count());
        }
        ("help", []) => help_reply(SENTINEL_HELP, reply),
        _ => return Err(refusal(&word, &said)),
    }
    Ok(Answer::Written)
}

/// Why it cannot be done, and what to do instead. `said`: the word as the client said it.
fn refusal(word: &str, said: &str) -> String {
    let why = match word {
        "monitor" => "masters are the databases: onecopy database create makes one",
        "remove" => "masters are the databases: onecopy database drop drops one",
        "set" => "onecopy database set changes a database, and timeouts are settings of the nodes",
        "config" => "settings are those of the nodes: onecopy config check shows them",
        "debug" | "simulate-failure" => "failures are real here: onecopy dev has nodes to kill",
        "info-cache" => "nothing is cached: ask the nodes for INFO",
        "masters"
        | "master"
        | "replicas"
        | "slaves"
        | "sentinels"
        | "get-master-addr-by-name"
        | "ckquorum"
        | "myid"
        | "is-master-down-by-addr"
        | "failover"
        | "pending-scripts"
        | "flushconfig"
        | "reset"
        | "help" => {
            return format!("ERR wrong number of arguments for 'sentinel|{word}' command");
        }
        _ => {
            let shown: String = said.chars().take(128).collect();
            return format!("ERR unknown subcommand '{shown}'. Try SENTINEL HELP.");
        }
    };
    format!("ERR SENTINEL {} is not supported: {why}", word.to_uppercase())
}

/// Who orders the writes of a master that was found: those without are left out.
fn primary(master: &Master) -> &Place {
    master.shard.primary.as_ref().expect("a master that is told of has a primary")
}

fn write_master(clients: &Clients, master: &Master, reply: &mut Writer<'_>) {
    let around = surroundings(clients, master);
    instance::write(&instance::master(master, primary(master), &around), reply);
}

fn surroundings(clients: &Clients, master: &Master) -> Surroundings {
    let knowledge = &clients.knowledge;
    Surroundings {
        failure_ms: clients.config.timeouts.failure_ms,
        request_ms: clients.config.timeouts.request_ms,
        quorum: knowledge.quorum().1,
        others: others(clients).len(),
        offset: knowledge.data.replica(master.shard.group).map_or(0, |replica| replica.commit),
    }
}

/// The other nodes that speak Sentinel's protocol: their names, where they are, and whether there is a
/// connection to them.
fn others(clients: &Clients) -> Vec<(String, (String, u16), bool)> {
    let (knowledge, config) = (&clients.knowledge, &clients.config);
    let table = knowledge.table();
    let others = table.nodes().iter().filter(|(node, _)| node.0 != config.node);
    let other = |node: NodeId, address: &str| {
        Some((sentinel_name(&config.cluster, node), split(address)?, knowledge.is_reached(node)))
    };
    others.filter_map(|(node, known)| other(*node, &known.addresses.sentinel)).collect()
}

/// `INFO [section …]` of a Sentinel.
pub(in crate::client) fn inform(clients: &Clients, session: &Session, sections: &[&[u8]]) -> String {
    let wanted: Vec<&[u8]> =
        SECTIONS.into_iter().filter(|name| tells_of(name, sections)).map(str::as_bytes).collect();
    let mut text = if wanted.is_empty() { String::new() } else { info(clients, session, &wanted, &[]) };
    if !tells_of("sentinel", sections) {
        return text;
    }
    let masters = masters(&clients.knowledge, &clients.config.sentinel_alias);
    let separator = if text.is_empty() { "" } else { "\r\n" };
    let sentinels = others(clients).len() + 1;
    write!(
        text,
        "{separator}# Sentinel\r\nsentinel_masters:{}\r\nsentinel_tilt:0\r\nsentinel_tilt_since_seconds:-1\r\n\
         sentinel_running_scripts:0\r\nsentinel_scripts_queue_length:0\r\nsentinel_simulate_failure_flags:0\r\n",
        masters.len()
    )
    .expect("a string takes everything");
    for (number, master) in masters.iter().enumerate() {
        let Place { host, port, is_reached, .. } = primary(master);
        let status = if *is_reached { "ok" } else { "odown" };
        write!(
            text,
            "master{number}:name={},status={status},address={host}:{port},slaves={},sentinels={sentinels}\r\n",
            master.name,
            master.shard.replicas.len()
        )
        .expect("a string takes everything");
    }
    text
}

/// `ROLE` of a Sentinel: the names of the masters.
pub(in crate::client) fn role(clients: &Clients, reply: &mut Writer<'_>) {
    let masters = masters(&clients.knowledge, &clients.config.sentinel_alias);
    reply.array(2);
    reply.bulk(b"sentinel");
    reply.array(masters.len());
    masters.iter().for_each(|master| reply.bulk(master.name.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_done_is_refused_with_a_reason() {
        assert!(refusal("monitor", "MONITOR").contains("onecopy database create"));
        assert!(refusal("set", "set").contains("onecopy database set"));
        assert_eq!(
            refusal("master", "master"),
            "ERR wrong number of arguments for 'sentinel|master' command"
        );
        assert_eq!(refusal("foo", "FOO"), "ERR unknown subcommand 'FOO'. Try SENTINEL HELP.");
    }
}
