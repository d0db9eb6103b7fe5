//! Where a node takes clients, what they find there, and which addresses it tells them.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use onecopy_views::{Addresses, Endpoint, MAIN_NAME};
use serde::{Deserialize, Serialize};

use super::{Config, NodeRole};

/// What the clients of a listener take the node for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A server by itself.
    #[default]
    Standalone,
    /// A node of a Redis Cluster.
    Cluster,
}

/// The addresses that others are told, where they are not those that are listened on: in containers, and
/// behind NAT. Empty for those that are listened on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Advertise {
    /// Where Redis clients reach the node.
    pub redis: String,
    /// Where other nodes reach it.
    pub peer: String,
    /// Where clients that speak Sentinel's protocol reach it.
    pub sentinel: String,
}

/// One more place where a node takes Redis clients. As text: `carts@10.0.0.1:6380`,
/// `carts:cluster@10.0.0.1:6380`, and with what clients are told:
/// `carts:cluster@0.0.0.0:6380=cache.example.com:6380`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The database that clients find there, at number 0.
    pub database: String,
    /// What they take the node for.
    pub mode: Mode,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where clients reach it, if that is another address.
    pub advertised: Option<String>,
}

impl Listener {
    /// Where clients reach it.
    #[must_use]
    pub fn reached_at(&self) -> String {
        self.advertised.clone().unwrap_or_else(|| self.address.to_string())
    }

    fn endpoint(&self) -> Endpoint {
        let is_cluster = self.mode == Mode::Cluster;
        Endpoint { database: self.database.clone(), is_cluster, address: self.reached_at() }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address.to_string();
        write!(f, "{}", Endpoint { address, ..self.endpoint() })?;
        self.advertised.as_ref().map_or(Ok(()), |advertised| write!(f, "={advertised}"))
    }
}

/// A text describes no listener.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no listener: write DATABASE@IP:PORT or DATABASE:cluster@IP:PORT, and =HOST:PORT behind it if \
     clients reach it elsewhere"
)]
pub struct NoListener(String);

impl FromStr for Listener {
    type Err = NoListener;

    fn from_str(text: &str) -> Result<Self, NoListener> {
        let wrong = || NoListener(text.to_owned());
        let (place, advertised) = match text.trim().split_once('=') {
            Some((place, advertised)) => (place, Some(advertised.to_owned())),
            None => (text.trim(), None),
        };
        let Endpoint { database, is_cluster, address } = place.parse().map_err(|_| wrong())?;
        let mode = if is_cluster { Mode::Cluster } else { Mode::Standalone };
        Ok(Self { database, mode, address: address.parse().map_err(|_| wrong())?, advertised })
    }
}

impl Config {
    /// All places where the node takes Redis clients: that of the setting `redis` first.
    #[must_use]
    pub fn all_listeners(&self) -> Vec<Listener> {
        let advertised = Some(self.advertise.redis.clone()).filter(|address| !address.is_empty());
        let first = Listener {
            database: MAIN_NAME.to_owned(),
            mode: self.redis_mode,
            address: self.redis,
            advertised,
        };
        std::iter::once(first).chain(self.listeners.iter().cloned()).collect()
    }

    /// Where other nodes reach this one.
    #[must_use]
    pub fn peer_address(&self) -> String {
        told(&self.advertise.peer, self.peer)
    }

    /// What the others and clients are told of where the node is.
    pub(crate) fn addresses(&self) -> Addresses {
        let (http, peer) = (self.http.to_string(), self.peer_address());
        if !self.has(NodeRole::Coordinator) {
            return Addresses::new(String::new(), http, peer);
        }
        let listeners = self.all_listeners();
        let redis = listeners.first().map(Listener::reached_at).unwrap_or_default();
        let sentinel = self.sentinel.map(|address| told(&self.advertise.sentinel, address));
        Addresses {
            sentinel: sentinel.unwrap_or_default(),
            endpoints: listeners.iter().map(Listener::endpoint).collect(),
            ..Addresses::new(redis, http, peer)
        }
    }
}

/// What is told, or where it is listened.
fn told(advertised: &str, address: SocketAddr) -> String {
    if advertised.is_empty() { address.to_string() } else { advertised.to_owned() }
}

/// Listeners are written as text.
pub(super) mod texts {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Listener;

    pub(in super::super) fn serialize<S: Serializer>(
        listeners: &[Listener],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let texts: Vec<String> = listeners.iter().map(ToString::to_string).collect();
        texts.serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Listener>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
    }
}

/// An address that may be missing is written as text, which may be empty: TOML has no other nothing.
pub(super) mod perhaps {
    use std::net::SocketAddr;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        address: &Option<SocketAddr>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        address.map(|address| address.to_string()).unwrap_or_default().serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SocketAddr>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let address = (!text.is_empty()).then(|| text.parse().map_err(D::Error::custom));
        address.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::config;

    #[test]
    fn listeners_are_written_as_they_are_read() {
        for text in [
            "carts@10.0.0.1:6380",
            "main:cluster@[::1]:6380",
            "carts:cluster@0.0.0.0:6380=cache.example.com:6380",
        ] {
            assert_eq!(text.parse::<Listener>().map(|listener| listener.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "carts", "carts@6380", "carts:raft@10.0.0.1:6380", "10.0.0.1:6380"] {
            assert!(text.parse::<Listener>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_advertised_is_what_others_are_told() {
        let mut config = config();
        let plain =
            Addresses::new("127.0.0.1:11".to_owned(), "127.0.0.1:10".to_owned(), "127.0.0.1:13".to_owned());
        assert_eq!(config.addresses(), plain);
        config.advertise =
            Advertise { redis: "r:1".to_owned(), peer: "p:2".to_owned(), sentinel: "s:3".to_owned() };
        config.redis_mode = Mode::Cluster;
        config.listeners = vec!["carts@127.0.0.1:15".parse().expect("a listener")];
        let told = config.addresses();
        assert_eq!((told.redis.as_str(), told.peer.as_str(), told.sentinel.as_str()), ("r:1", "p:2", ""));
        let endpoints: Vec<String> = told.endpoints.iter().map(ToString::to_string).collect();
        assert_eq!(endpoints, ["main:cluster@r:1", "carts@127.0.0.1:15"]);
        config.sentinel = Some("127.0.0.1:16".parse().expect("an address"));
        assert_eq!(config.addresses().sentinel, "s:3");
        config.roles = vec![NodeRole::Data];
        assert_eq!(config.addresses().endpoints, []);
    }
}
