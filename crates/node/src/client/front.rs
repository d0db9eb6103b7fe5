//! What clients find where they call: which database, and what they take the node for.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::{Config, Mode};
use onecopy_views::MAIN_NAME;

/// What clients take the node for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serves {
    /// A server by itself.
    Server,
    /// A node of a Redis Cluster.
    ClusterNode,
    /// A Redis Sentinel.
    Sentinel,
}

/// What is behind an address at which clients call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Front {
    pub(crate) serves: Serves,
    /// The database that is number 0 there.
    pub(crate) database: String,
    /// Where it is listened.
    pub(crate) address: SocketAddr,
    /// Whether clients can be told who is the primary: if so, a node says of itself what it is.
    pub(crate) tells_roles: bool,
}

impl Front {
    /// Everything that a node has for clients.
    pub(crate) fn all(config: &Config) -> Vec<Arc<Self>> {
        let tells_roles = config.sentinel.is_some();
        let listeners = config.all_listeners().into_iter().map(|listener| {
            let serves = if listener.mode == Mode::Cluster { Serves::ClusterNode } else { Serves::Server };
            let tells_roles = tells_roles || serves == Serves::ClusterNode;
            Self { serves, database: listener.database, address: listener.address, tells_roles }
        });
        let sentinel = config.sentinel.map(|address| {
            let database = MAIN_NAME.to_owned();
            Self { serves: Serves::Sentinel, database, address, tells_roles }
        });
        listeners.chain(sentinel).map(Arc::new).collect()
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.serves == Serves::ClusterNode
    }

    pub(crate) fn is_sentinel(&self) -> bool {
        self.serves == Serves::Sentinel
    }

    /// Whether clients see the numbers of one database alone, counted from 0. A server by itself that begins
    /// with `main` shows all databases.
    pub(crate) fn shows_one_database(&self) -> bool {
        self.is_cluster() || self.database != MAIN_NAME
    }

    /// What it is called in `HELLO` and `INFO`.
    pub(crate) fn mode(&self) -> &'static str {
        match self.serves {
            Serves::Server => "standalone",
            Serves::ClusterNode => "cluster",
            Serves::Sentinel => "sentinel",
        }
    }

    /// What it takes calls for, for people.
    pub(crate) fn purpose(&self) -> &'static str {
        if self.is_sentinel() { "clients of Sentinel" } else { "Redis clients" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::config;

    #[test]
    fn roles_are_told_where_clients_ask_for_them() {
        let mut config = config();
        config.listeners = vec!["carts:cluster@127.0.0.1:15".parse().expect("a listener")];
        let told = |config: &Config| Front::all(config).iter().map(|it| it.tells_roles).collect::<Vec<_>>();
        assert_eq!(told(&config), [false, true]);
        config.sentinel = Some("127.0.0.1:16".parse().expect("an address"));
        assert_eq!(told(&config), [true, true, true]);
        let shown: Vec<bool> = Front::all(&config).iter().map(|it| it.shows_one_database()).collect();
        assert_eq!(shown, [false, true, false]);
    }
}
