//! What can be wrong with addresses: who listens where, and what the others are told.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::{Advertise, Config, Mode};

impl Config {
    /// Everything that is wrong with the addresses, each with what to do about it.
    pub(super) fn problems_of_addresses(&self) -> Vec<String> {
        let mut problems = self.problems_of_own_ports();
        problems.extend(self.problems_of_advertised());
        let mut ids_by_address: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for (id, address) in &self.nodes {
            ids_by_address.entry(address).or_default().push(*id);
            problems.extend(
                unreachable(address).map(|why| format!("[nodes]: node {id} is at {address:?}: {why}")),
            );
            problems.extend(self.unlike_own(*id, address));
        }
        let shared = ids_by_address.into_iter().filter(|(_, ids)| ids.len() > 1);
        problems.extend(shared.map(|(address, ids)| {
            format!("[nodes] gives {ids:?} the same address, {address}: every node needs one of its own")
        }));
        // Whoever is told a loopback address by a node elsewhere calls itself.
        let others =
            self.nodes.iter().filter(|(id, _)| **id != self.node).filter_map(|(_, address)| socket(address));
        let elsewhere =
            others.clone().find(|address| !address.ip().is_loopback() && !address.ip().is_unspecified());
        let is_local = self.peer.ip().is_loopback() && self.advertise.peer.is_empty();
        if let (true, Some(elsewhere)) = (is_local, elsewhere) {
            problems.push(format!(
                "peer = {}: only nodes on this machine reach a loopback address, and [nodes] names one at {elsewhere}",
                self.peer
            ));
        }
        problems
    }

    /// One process cannot listen twice in one place.
    fn problems_of_own_ports(&self) -> Vec<String> {
        let mut own = vec![("redis", self.redis), ("http", self.http), ("peer", self.peer)];
        own.extend(self.sentinel.map(|address| ("sentinel", address)));
        own.extend(self.listeners.iter().map(|listener| ("listeners", listener.address)));
        let clash = |a: SocketAddr, b: SocketAddr| {
            let overlap = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
            overlap && a.port() == b.port() && a.port() != 0
        };
        let pairs = (0..own.len()).flat_map(|a| (a + 1..own.len()).map(move |b| (a, b)));
        let clashes = pairs.filter(|(a, b)| clash(own[*a].1, own[*b].1));
        let clashes = clashes.map(|(a, b)| {
            format!("{} and {} are both {}: each needs a port of its own", own[a].0, own[b].0, own[a].1)
        });
        let unset = own.iter().filter(|(_, address)| address.port() == 0);
        let unset = unset.map(|(name, address)| format!("{name} = {address}: choose a port"));
        clashes.chain(unset).collect()
    }

    /// What others are told must lead somewhere.
    fn problems_of_advertised(&self) -> Vec<String> {
        let Advertise { redis, peer, sentinel } = &self.advertise;
        let mut told = vec![
            ("advertise.redis".to_owned(), redis.as_str()),
            ("advertise.peer".to_owned(), peer),
            ("advertise.sentinel".to_owned(), sentinel),
        ];
        told.retain(|(_, address)| !address.is_empty());
        for listener in &self.listeners {
            told.extend(listener.advertised.as_deref().map(|it| (format!("listeners: {listener}"), it)));
        }
        let wrong = told.iter().filter_map(|(name, address)| {
            unreachable(address).map(|why| format!("{name} = {address:?}: {why}"))
        });
        let mut problems: Vec<String> = wrong.collect();
        if self.sentinel.is_none() && !sentinel.is_empty() {
            problems.push("advertise.sentinel is set, but sentinel is not: nobody listens there".to_owned());
        }
        // Clients are sent to what others say of this node.
        let sends = |mode: Mode| mode == Mode::Cluster || self.sentinel.is_some();
        for listener in self.all_listeners() {
            if sends(listener.mode) && unreachable(&listener.reached_at()).is_some() {
                problems.push(format!(
                    "clients are sent to {}, where nobody can connect: say in {} where they reach this node",
                    listener.reached_at(),
                    if listener.address == self.redis { "advertise.redis" } else { "listeners, behind a =," }
                ));
            }
        }
        if let Some(address) = self.sentinel.filter(|_| sentinel.is_empty())
            && unreachable(&address.to_string()).is_some()
        {
            problems.push(format!(
                "clients are told of {address}, where nobody can connect: say in advertise.sentinel where they reach it"
            ));
        }
        problems
    }

    /// The others go to where [nodes] says that this node is: it must be there.
    fn unlike_own(&self, id: u32, address: &str) -> Option<String> {
        if id != self.node {
            return None;
        }
        if !self.advertise.peer.is_empty() {
            return (address != self.advertise.peer).then(|| {
                format!(
                    "[nodes] says that this node, {id}, is at {address}, but advertise.peer = {}: it is the same place",
                    self.advertise.peer
                )
            });
        }
        let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok())?;
        let elsewhere = socket(address)
            .is_some_and(|told| !self.peer.ip().is_unspecified() && told.ip() != self.peer.ip());
        (port != self.peer.port() || elsewhere).then(|| {
            format!(
                "[nodes] says that this node, {id}, is at {address}, but peer = {}: the others would not find it",
                self.peer
            )
        })
    }
}

fn socket(address: &str) -> Option<SocketAddr> {
    address.parse().ok()
}

/// Why nobody can connect to such an address, if nobody can.
fn unreachable(address: &str) -> Option<&'static str> {
    if let Some(address) = socket(address) {
        let nowhere = address.ip().is_unspecified() || address.ip().is_multicast() || address.port() == 0;
        return nowhere.then_some("nobody can connect to that");
    }
    match address.rsplit_once(':') {
        Some((host, port)) if is_host(host) && port.parse::<u16>().is_ok_and(|port| port != 0) => None,
        _ => Some("give it as host:port"),
    }
}

fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::config;

    fn problem(change: impl FnOnce(&mut Config)) -> String {
        let mut config = config();
        assert_eq!(config.problems(), Vec::<String>::new());
        change(&mut config);
        config.problems().join("; ")
    }

    fn with_node(id: u32, address: &str) -> String {
        problem(|config| drop(config.nodes.insert(id, address.to_owned())))
    }

    #[test]
    fn addresses_that_nobody_can_reach_are_named() {
        for address in ["0.0.0.0:7", "[::]:7", "127.0.0.1:0", "224.0.0.1:7", "db1:0"] {
            assert!(with_node(3, address).contains("node 3 is at"), "{address}");
        }
        for address in ["db1", "", ":7", "db 1:7", "db1:70000", "http://db1:7", "db..x:7"] {
            assert!(with_node(3, address).contains("host:port"), "{address:?}");
        }
        assert_eq!(with_node(3, "db1.internal:7"), "");
        assert_eq!(with_node(3, "[::1]:7"), "");
    }

    #[test]
    fn two_nodes_are_not_in_one_place() {
        assert!(with_node(3, "127.0.0.1:12").contains("gives [2, 3] the same address"));
    }

    #[test]
    fn the_others_find_this_node_where_it_listens() {
        assert!(with_node(1, "127.0.0.1:9").contains("would not find it"));
        assert!(with_node(1, "127.0.0.2:13").contains("would not find it"));
        assert!(with_node(1, "db1:9").contains("would not find it"));
        assert_eq!(with_node(1, "127.0.0.1:13"), "");
        assert_eq!(with_node(1, "db1:13"), "");
        let everywhere = problem(|config| {
            config.peer = "0.0.0.0:13".parse().unwrap();
            config.nodes.insert(1, "10.0.0.1:13".to_owned());
        });
        assert_eq!(everywhere, "");
    }

    #[test]
    fn a_node_that_only_this_machine_reaches_has_no_nodes_elsewhere() {
        assert!(with_node(3, "10.0.0.3:13").contains("only nodes on this machine"));
    }

    #[test]
    fn the_ports_of_a_node_differ() {
        assert!(problem(|config| config.http = config.redis).contains("redis and http are both"));
        assert!(
            problem(|config| config.http = "0.0.0.0:13".parse().unwrap()).contains("http and peer are both")
        );
        assert!(problem(|config| config.redis.set_port(0)).contains("choose a port"));
    }

    #[test]
    fn what_is_advertised_leads_somewhere() {
        let advertised = |change: fn(&mut Advertise)| problem(|config| change(&mut config.advertise));
        assert_eq!(advertised(|it| it.redis = "db1.example.com:6379".to_owned()), "");
        assert_eq!(advertised(|it| it.peer = "10.1.0.1:7379".to_owned()), "");
        assert!(advertised(|it| it.redis = "db1".to_owned()).contains("advertise.redis = \"db1\""));
        assert!(advertised(|it| it.peer = "0.0.0.0:1".to_owned()).contains("nobody can connect"));
        assert!(advertised(|it| it.sentinel = "db1:1".to_owned()).contains("nobody listens there"));
        let everywhere = |config: &mut Config| {
            config.redis_mode = Mode::Cluster;
            config.redis = "0.0.0.0:11".parse().unwrap();
        };
        assert!(problem(everywhere).contains("say in advertise.redis"));
        let told = |config: &mut Config| {
            everywhere(config);
            config.advertise.redis = "db1:11".to_owned();
        };
        assert_eq!(problem(told), "");
        let behind_nat = problem(|config| {
            config.advertise.peer = "10.0.0.1:7".to_owned();
            config.nodes.insert(1, "10.0.0.2:7".to_owned());
        });
        assert!(behind_nat.contains("it is the same place"), "{behind_nat}");
    }

    #[test]
    fn more_listeners_have_ports_of_their_own() {
        let twice = |config: &mut Config| {
            config.listeners = vec!["carts@127.0.0.1:13".parse().unwrap()];
        };
        assert!(problem(twice).contains("peer and listeners are both"));
        assert!(
            problem(|config| config.sentinel = Some(config.redis)).contains("redis and sentinel are both")
        );
    }
}
