//! `CLUSTER`: what a client of Redis Cluster is told. Each answer is made of the [topology](crate::topology)
//! as it is now, in the shape that Redis 7.2 gives it.

mod lines;
mod refused;
mod shapes;

use onecopy_core::NodeId;
use onecopy_keyspace::slots::slot_of;
use onecopy_resp::Writer;

use super::Clients;
use super::commands::{CLUSTER_HELP, help_reply};
use super::failover;
use super::session::Session;
use crate::operation::Operation;
use crate::topology::{Part, Topology, node_name, shard_name};
pub(crate) use refused::{CROSS_SLOT, refused_in_cluster, slot_of_keys};

/// What is said where clients find a server by itself.
pub(crate) const DISABLED: &str = "ERR This instance has cluster support disabled";

/// `CLUSTER`, where nothing has to be waited for. There is such a subcommand, with so many arguments.
pub(super) fn cluster(
    clients: &Clients,
    session: &Session,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Result<(), String> {
    let subcommand = String::from_utf8_lossy(args.first().copied().unwrap_or_default()).to_lowercase();
    if subcommand == "help" {
        help_reply(CLUSTER_HELP, reply);
        return Ok(());
    }
    let front = &session.front;
    if !front.is_cluster() {
        return Err(DISABLED.to_owned());
    }
    let (config, me) = (&clients.config, NodeId(clients.config.node));
    let topology = || clients.knowledge.topology(&front.database, true);
    let offset =
        || clients.knowledge.data.replica(session.selected.group).map_or(0, |replica| replica.commit);
    match subcommand.as_str() {
        "slots" => shapes::slots(&topology(), reply),
        "shards" => shapes::shards(&topology(), offset(), reply),
        "links" => shapes::links(&topology(), reply),
        "nodes" => reply.verbatim(lines::nodes(&topology()).as_bytes()),
        "info" => reply.verbatim(lines::info(&topology()).as_bytes()),
        "replicas" | "slaves" => {
            let lines = lines::replicas(&topology(), args[1])?;
            reply.array(lines.len());
            lines.iter().for_each(|line| reply.bulk(line.as_bytes()));
        }
        "keyslot" => reply.length(slot_of(args[1])),
        "myid" => reply.bulk(node_name(&config.cluster, me).as_bytes()),
        "myshardid" => {
            let topology = topology();
            let own = topology.own_part().map(|(shard, _)| shard.name.clone());
            let own = own.unwrap_or_else(|| shard_name(&config.cluster, session.selected.group));
            reply.bulk(own.as_bytes());
        }
        // The view service judges who has failed: nobody reports to anybody here.
        "count-failure-reports" => {
            lines::find(&topology(), args[1])?;
            reply.integer(0);
        }
        // There is nothing that has not been saved.
        "saveconfig" => reply.ok(),
        other => return Err(refused::refusal(other)),
    }
    Ok(())
}

/// `CLUSTER FAILOVER`: the primary of the shard of this node hands over to this node.
pub(crate) async fn fail_over(clients: &Clients, session: &Session, args: &[&[u8]]) -> Result<(), String> {
    if !session.front.is_cluster() {
        return Err(DISABLED.to_owned());
    }
    let operation = handover(&clients.knowledge.topology(&session.front.database, true), args)?;
    failover::outcome(clients.operators.ask(operation).await)
}

fn handover(topology: &Topology, args: &[&[u8]]) -> Result<Operation, String> {
    match args {
        [] => {}
        [word] if word.eq_ignore_ascii_case(b"force") || word.eq_ignore_ascii_case(b"takeover") => {
            return Err("ERR CLUSTER FAILOVER FORCE and TAKEOVER are not supported: they could lose acknowledged writes. A \
                        primary that does not answer is replaced by itself"
                .to_owned());
        }
        _ => return Err(super::commands::SYNTAX.to_owned()),
    }
    match topology.own_part() {
        Some((shard, Part::Replica)) => {
            Ok(Operation::Handover { group: shard.group.0, to: Some(topology.me.0) })
        }
        _ => Err("ERR You should send CLUSTER FAILOVER to a replica".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::tests::{table, topology};

    #[test]
    fn a_replica_asks_for_a_handover_to_itself() {
        let topology = topology(&table(), true, 0);
        assert_eq!(handover(&topology, &[]), Ok(Operation::Handover { group: 1, to: Some(2) }));
        assert!(handover(&topology, &[b"FORCE"]).is_err_and(|error| error.contains("lose")));
        assert!(handover(&topology, &[b"now"]).is_err_and(|error| error.contains("syntax")));
        let primary = Topology { me: NodeId(1), ..topology };
        assert!(handover(&primary, &[]).is_err_and(|error| error.contains("to a replica")));
    }
}
