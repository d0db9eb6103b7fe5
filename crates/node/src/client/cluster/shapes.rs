//! `CLUSTER SLOTS`, `SHARDS` and `LINKS`.

use onecopy_resp::Writer;

use crate::topology::{Part, Place, Shard, Topology};

/// `CLUSTER SLOTS`: the slots of each shard, the primary, and the replicas that can be reached.
pub(super) fn slots(topology: &Topology, reply: &mut Writer<'_>) {
    let served: Vec<(&Shard, &Place)> =
        topology.shards.iter().filter_map(|shard| Some((shard, shard.primary.as_ref()?))).collect();
    reply.array(served.len());
    for (shard, primary) in served {
        let replicas: Vec<&Place> = shard.replicas.iter().filter(|replica| replica.is_reached).collect();
        reply.array(3 + replicas.len());
        reply.integer((*shard.slots.start()).into());
        reply.integer((*shard.slots.end()).into());
        for place in std::iter::once(primary).chain(replicas) {
            reply.array(4);
            reply.bulk(place.host.as_bytes());
            reply.integer(place.port.into());
            reply.bulk(place.name.as_bytes());
            // What else the node is called: nothing.
            reply.map(0);
        }
    }
}

/// `CLUSTER SHARDS`: all nodes, by what they hold. A node that holds nothing is a shard without slots.
pub(super) fn shards(topology: &Topology, offset: u64, reply: &mut Writer<'_>) {
    reply.array(topology.shards.len() + topology.others.len());
    for shard in &topology.shards {
        reply.map(2);
        reply.bulk(b"slots");
        reply.array(2);
        reply.integer((*shard.slots.start()).into());
        reply.integer((*shard.slots.end()).into());
        reply.bulk(b"nodes");
        reply.array(shard.places().count());
        shard.places().for_each(|(place, part)| node(place, part, offset, reply));
    }
    for place in &topology.others {
        reply.map(2);
        reply.bulk(b"slots");
        reply.array(0);
        reply.bulk(b"nodes");
        reply.array(1);
        node(place, Part::Primary, 0, reply);
    }
}

fn node(place: &Place, part: Part, offset: u64, reply: &mut Writer<'_>) {
    let health = match part {
        _ if !place.is_reached => "fail",
        Part::Learner => "loading",
        Part::Primary | Part::Replica => "online",
    };
    let role = if part == Part::Primary { "master" } else { "replica" };
    let hostname = place.hostname();
    reply.map(7 + usize::from(hostname.is_some()));
    reply.bulk(b"id");
    reply.bulk(place.name.as_bytes());
    reply.bulk(b"port");
    reply.integer(place.port.into());
    reply.bulk(b"ip");
    reply.bulk(place.host.as_bytes());
    reply.bulk(b"endpoint");
    reply.bulk(place.host.as_bytes());
    if let Some(hostname) = hostname {
        reply.bulk(b"hostname");
        reply.bulk(hostname.as_bytes());
    }
    reply.bulk(b"role");
    reply.bulk(role.as_bytes());
    reply.bulk(b"replication-offset");
    reply.integer(i64::try_from(offset).unwrap_or(i64::MAX));
    reply.bulk(b"health");
    reply.bulk(health.as_bytes());
}

/// `CLUSTER LINKS`: the connections to the other nodes. What nobody counts is 0.
pub(super) fn links(topology: &Topology, reply: &mut Writer<'_>) {
    let places = topology.shards.iter().flat_map(Shard::places).map(|(place, _)| place);
    let others = places.chain(&topology.others).filter(|place| place.node != topology.me);
    let reached: Vec<&Place> = others.filter(|place| place.is_reached).collect();
    reply.array(reached.len());
    for place in reached {
        reply.map(6);
        for (field, text) in [("direction", "to"), ("node", place.name.as_str())] {
            reply.bulk(field.as_bytes());
            reply.bulk(text.as_bytes());
        }
        reply.bulk(b"create-time");
        reply.integer(0);
        reply.bulk(b"events");
        reply.bulk(b"rw");
        for field in ["send-buffer-allocated", "send-buffer-used"] {
            reply.bulk(field.as_bytes());
            reply.integer(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use onecopy_resp::Version;

    use super::*;
    use crate::topology::tests::{table, topology};

    fn written(version: Version, write: impl Fn(&mut Writer<'_>)) -> String {
        let mut bytes = Vec::new();
        write(&mut Writer::new(&mut bytes, version));
        String::from_utf8(bytes).expect("text").replace("\r\n", " ")
    }

    #[test]
    fn slots_are_told_with_those_who_serve_them() {
        let topology = topology(&table(), true, 3);
        let name = |node: usize| match node {
            1 => topology.shards[0].primary.as_ref().expect("it is there").name.clone(),
            _ => topology.shards[0].replicas[node - 2].name.clone(),
        };
        let node =
            |number: usize, map: char| format!("*4 $8 10.0.0.{number} :6380 $40 {} {map}0 ", name(number));
        for (version, map) in [(Version::Two, '*'), (Version::Three, '%')] {
            let slots = written(version, |reply| slots(&topology, reply));
            let expected = format!("*1 *4 :0 :16383 {}{}", node(1, map), node(2, map));
            assert_eq!(slots, expected, "node 3 cannot be reached");
        }
    }

    #[test]
    fn shards_tell_how_everybody_is() {
        let mut topology = topology(&table(), true, 3);
        topology.shards[0].replicas[0].host = "db2.example.com".to_owned();
        let text = written(Version::Three, |reply| shards(&topology, 7, reply));
        assert!(text.starts_with("*1 %2 $5 slots *2 :0 :16383 $5 nodes *3 %7 $2 id $40 "), "{text}");
        assert!(text.contains("$4 role $6 master $18 replication-offset :7 $6 health $6 online "), "{text}");
        assert!(text.contains("%8 $2 id") && text.contains("$8 hostname $15 db2.example.com "), "{text}");
        assert!(text.ends_with("$4 role $7 replica $18 replication-offset :7 $6 health $4 fail "), "{text}");
        let links = written(Version::Two, |reply| links(&topology, reply));
        assert!(links.starts_with("*1 *12 $9 direction $2 to $4 node $40 "), "{links}");
    }
}
