//! `CLUSTER NODES`, `REPLICAS` and `INFO`: answers that are lines of text.

use std::fmt::Write;

use onecopy_keyspace::slots::SLOTS;

use crate::topology::{Part, Place, Shard, Topology};

/// `CLUSTER NODES`
pub(super) fn nodes(topology: &Topology) -> String {
    let mut text = String::new();
    for (place, holder) in all(topology) {
        text.push_str(&line(topology, place, holder));
        text.push('\n');
    }
    text
}

/// A node, with its shard and what it is there, unless it holds nothing.
type Node<'a> = (&'a Place, Option<(&'a Shard, Part)>);

fn all(topology: &Topology) -> impl Iterator<Item = Node<'_>> {
    let holders = topology
        .shards
        .iter()
        .flat_map(|shard| shard.places().map(move |(place, part)| (place, Some((shard, part)))));
    holders.chain(topology.others.iter().map(|place| (place, None)))
}

/// The line of a node. One that holds nothing is a master without slots.
fn line(topology: &Topology, place: &Place, holder: Option<(&Shard, Part)>) -> String {
    let Place { name, host, port, bus, .. } = place;
    let hostname = place.hostname().map(|hostname| format!(",{hostname}")).unwrap_or_default();
    let is_primary = holder.is_none_or(|(_, part)| part == Part::Primary);
    let mut flags = vec![if is_primary { "master" } else { "slave" }];
    if place.node == topology.me {
        flags.insert(0, "myself");
    }
    if !place.is_reached {
        flags.push("fail");
    }
    let primary = holder.filter(|_| !is_primary).and_then(|(shard, _)| shard.primary.as_ref());
    let primary = primary.map_or("-", |primary| primary.name.as_str());
    let epoch = holder.map_or(0, |(shard, _)| shard.epoch);
    let link = if place.is_reached { "connected" } else { "disconnected" };
    let mut text =
        format!("{name} {host}:{port}@{bus}{hostname} {} {primary} 0 0 {epoch} {link}", flags.join(","));
    if let Some((shard, Part::Primary)) = holder {
        write!(text, " {}-{}", shard.slots.start(), shard.slots.end()).expect("a string takes everything");
    }
    text
}

/// The node with this name.
///
/// # Errors
/// There is none.
pub(super) fn find<'a>(topology: &'a Topology, name: &[u8]) -> Result<Node<'a>, String> {
    let found = all(topology).find(|(place, _)| place.name.as_bytes().eq_ignore_ascii_case(name));
    found.ok_or_else(|| format!("ERR Unknown node {}", String::from_utf8_lossy(&name[..name.len().min(64)])))
}

/// `CLUSTER REPLICAS`: the lines of the replicas of a node.
///
/// # Errors
/// There is no such node, or it is a replica itself.
pub(super) fn replicas(topology: &Topology, name: &[u8]) -> Result<Vec<String>, String> {
    let (_, holder) = find(topology, name)?;
    let Some((shard, part)) = holder else { return Ok(Vec::new()) };
    if part != Part::Primary {
        return Err("ERR The specified node is not a master".to_owned());
    }
    let others = shard.places().filter(|(_, part)| *part != Part::Primary);
    Ok(others.map(|(place, part)| line(topology, place, Some((shard, part)))).collect())
}

/// `CLUSTER INFO`
pub(super) fn info(topology: &Topology) -> String {
    let served: Vec<&Shard> = topology.shards.iter().filter(|shard| shard.primary.is_some()).collect();
    let slots: usize = served.iter().map(|shard| shard.slots.clone().count()).sum();
    let state = if slots == SLOTS { "ok" } else { "fail" };
    let epoch = topology.shards.iter().map(|shard| shard.epoch).max().unwrap_or(0);
    let own = topology.own_part().map_or(0, |(shard, _)| shard.epoch);
    let (known, size) = (all(topology).count(), served.len());
    format!(
        "cluster_state:{state}\r\ncluster_slots_assigned:{slots}\r\ncluster_slots_ok:{slots}\r\n\
         cluster_slots_pfail:0\r\ncluster_slots_fail:0\r\ncluster_known_nodes:{known}\r\ncluster_size:{size}\r\n\
         cluster_current_epoch:{epoch}\r\ncluster_my_epoch:{own}\r\ncluster_stats_messages_sent:0\r\n\
         cluster_stats_messages_received:0\r\ntotal_cluster_links_buffer_limit_exceeded:0\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::tests::{table, topology};

    #[test]
    fn every_node_has_a_line() {
        let topology = topology(&table(), true, 3);
        let text = nodes(&topology);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
        let primary = lines[0][0];
        assert_eq!(
            lines[0][1..],
            ["10.0.0.1:6380@7379", "master", "-", "0", "0", "1", "connected", "0-16383"]
        );
        assert_eq!(
            lines[1][1..],
            ["10.0.0.2:6380@7379", "myself,slave", primary, "0", "0", "1", "connected"]
        );
        assert_eq!(
            lines[2][1..],
            ["10.0.0.3:6380@7379", "slave,fail", primary, "0", "0", "1", "disconnected"]
        );
        assert_eq!(lines.len(), 3, "node 4 takes no clients");
    }

    #[test]
    fn replicas_are_those_of_a_master() {
        let topology = topology(&table(), true, 0);
        let primary = topology.shards[0].primary.as_ref().expect("it is there").name.clone();
        let lines = replicas(&topology, primary.to_uppercase().as_bytes()).expect("it is a master");
        assert!(lines.len() == 2 && lines[0].contains(" myself,slave "), "{lines:?}");
        let replica = lines[0].split(' ').next().expect("a name");
        assert_eq!(
            replicas(&topology, replica.as_bytes()),
            Err("ERR The specified node is not a master".to_owned())
        );
        assert_eq!(replicas(&topology, b"x"), Err("ERR Unknown node x".to_owned()));
    }

    #[test]
    fn without_a_primary_the_cluster_has_failed() {
        let mut topology = topology(&table(), true, 0);
        let is = |topology: &Topology, line: &str| info(topology).lines().any(|one| one == line);
        assert!(is(&topology, "cluster_state:ok") && is(&topology, "cluster_known_nodes:3"));
        topology.shards[0].primary = None;
        assert!(is(&topology, "cluster_state:fail") && is(&topology, "cluster_size:0"));
    }
}
