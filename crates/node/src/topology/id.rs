//! The names that nodes and shards have for clients of Redis Cluster and Sentinel: 40 hexadecimal digits, as
//! in Redis. They follow from what they name, so that every node says the same, and they stay.

use onecopy_core::{GroupId, NodeId};
use sha1::{Digest, Sha1};

/// A node as clients of Redis Cluster know it.
pub(crate) fn node_name(cluster: &str, node: NodeId) -> String {
    name("node", cluster, node.0)
}

/// A shard as clients of Redis Cluster know it.
pub(crate) fn shard_name(cluster: &str, group: GroupId) -> String {
    name("shard", cluster, group.0)
}

/// A node as clients of Sentinel know it.
pub(crate) fn sentinel_name(cluster: &str, node: NodeId) -> String {
    name("sentinel", cluster, node.0)
}

fn name(what: &str, cluster: &str, number: u32) -> String {
    let digest = Sha1::digest(format!("onecopy {what} {number} of {cluster}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_stay() {
        let names = [
            node_name("a", NodeId(1)),
            node_name("a", NodeId(2)),
            node_name("b", NodeId(1)),
            shard_name("a", GroupId(1)),
            sentinel_name("a", NodeId(1)),
        ];
        for (at, name) in names.iter().enumerate() {
            assert!(name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
            assert!(!names[..at].contains(name), "{name} twice");
        }
        assert_eq!(names[0], "1c8d8ca2b4efbdc7678435ea2699656ac96f2002", "clients remember it");
    }
}
