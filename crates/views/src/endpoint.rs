//! Where a node can be reached, as the others and clients are told.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::database::MAIN_NAME;

/// Where a node can be reached.
///
/// On the wire, and in images, these are three texts. The first one is where Redis clients call, and behind
/// it, if there is more to say, the other places, with a space before each: so that what was written before
/// there were any can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Addresses {
    /// Redis clients.
    pub redis: String,
    /// Metrics and health.
    pub http: String,
    /// Other nodes.
    pub peer: String,
    /// Clients that speak Sentinel's protocol; empty if the node does not.
    pub sentinel: String,
    /// All places for Redis clients, each with what they find there.
    pub endpoints: Vec<Endpoint>,
}

/// A place for Redis clients.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The name of the database that a client finds there at number 0.
    pub database: String,
    /// Whether a client finds a node of a Redis Cluster there, and not a server by itself.
    pub is_cluster: bool,
    /// The host and the port.
    pub address: String,
}

/// As what [`Addresses`] are written.
#[derive(Serialize, Deserialize)]
struct Written {
    clients: String,
    http: String,
    peer: String,
}

/// What stands before the address of a Sentinel.
const SENTINEL: &str = "sentinel=";
/// What stands behind the name of a database of which a place shows a cluster.
const CLUSTER: &str = ":cluster";

impl Addresses {
    /// Those of a node that takes Redis clients in one place, as a server by itself.
    #[must_use]
    pub fn new(redis: String, http: String, peer: String) -> Self {
        let address = redis.clone();
        let main = Endpoint { database: MAIN_NAME.to_owned(), is_cluster: false, address };
        let endpoints = if redis.is_empty() { Vec::new() } else { vec![main] };
        Self { redis, http, peer, sentinel: String::new(), endpoints }
    }

    /// Where clients of this database reach the node: where they find what they expect (`is_cluster`), or
    /// else wherever the database is.
    #[must_use]
    pub fn endpoint(&self, database: &str, is_cluster: bool) -> Option<&Endpoint> {
        let of_database = || self.endpoints.iter().filter(|endpoint| endpoint.database == database);
        of_database().find(|endpoint| endpoint.is_cluster == is_cluster).or_else(|| of_database().next())
    }
}

impl From<Written> for Addresses {
    fn from(written: Written) -> Self {
        let mut words = written.clients.split(' ');
        let redis = words.next().unwrap_or_default().to_owned();
        let mut addresses = Self::new(redis, written.http, written.peer);
        let mut endpoints = Vec::new();
        for word in words {
            match word.strip_prefix(SENTINEL) {
                Some(address) => addresses.sentinel = address.to_owned(),
                None => endpoints.extend(word.parse::<Endpoint>()),
            }
        }
        if !endpoints.is_empty() {
            addresses.endpoints = endpoints;
        }
        addresses
    }
}

impl From<Addresses> for Written {
    fn from(addresses: Addresses) -> Self {
        let Addresses { redis, http, peer, sentinel, endpoints } = addresses;
        let plain = Addresses::new(redis.clone(), String::new(), String::new()).endpoints;
        let mut words = vec![redis];
        if endpoints != plain {
            words.extend(endpoints.iter().map(Endpoint::to_string));
        }
        if !sentinel.is_empty() {
            words.push(format!("{SENTINEL}{sentinel}"));
        }
        Self { clients: words.join(" "), http, peer }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = if self.is_cluster { CLUSTER } else { "" };
        write!(f, "{}{mode}@{}", self.database, self.address)
    }
}

/// A text names no place for clients.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no database and place: write carts@10.0.0.1:6380, or carts:cluster@10.0.0.1:6380")]
pub struct NoEndpoint(String);

impl FromStr for Endpoint {
    type Err = NoEndpoint;

    fn from_str(text: &str) -> Result<Self, NoEndpoint> {
        let (name, address) = text.split_once('@').ok_or_else(|| NoEndpoint(text.to_owned()))?;
        let (database, is_cluster) =
            name.strip_suffix(CLUSTER).map_or((name, false), |database| (database, true));
        if database.is_empty() || address.is_empty() || database.contains(':') {
            return Err(NoEndpoint(text.to_owned()));
        }
        Ok(Self { database: database.to_owned(), is_cluster, address: address.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(endpoints: &[&str]) -> Addresses {
        let endpoints = endpoints.iter().map(|text| text.parse().expect("it is one")).collect();
        Addresses { endpoints, ..Addresses::new("a:1".to_owned(), "a:2".to_owned(), "a:3".to_owned()) }
    }

    #[test]
    fn clients_are_sent_where_they_find_what_they_expect() {
        let addresses = addresses(&["main@a:1", "carts:cluster@a:2", "main:cluster@a:3"]);
        let found = |database, is_cluster| {
            addresses.endpoint(database, is_cluster).map(|endpoint| endpoint.address.as_str())
        };
        assert_eq!(found("main", false), Some("a:1"));
        assert_eq!(found("main", true), Some("a:3"));
        assert_eq!(found("carts", false), Some("a:2"), "better than nowhere");
        assert_eq!(found("stock", false), None);
    }

    #[test]
    fn what_is_written_is_read_back_and_what_was_written_before() {
        let plain = addresses(&["main@a:1"]);
        let before = postcard::to_stdvec(&("a:1", "a:2", "a:3")).expect("an encoding");
        assert_eq!(postcard::to_stdvec(&plain), Ok(before.clone()), "nothing is added without need");
        assert_eq!(postcard::from_bytes(&before), Ok(plain.clone()));
        let sentinel = "a:4".to_owned();
        let all = [
            addresses(&["main:cluster@a:1"]),
            Addresses { sentinel: sentinel.clone(), ..plain },
            Addresses { sentinel, ..addresses(&["main@a:1", "carts:cluster@[::1]:5"]) },
            Addresses::default(),
        ];
        for addresses in all {
            let bytes = postcard::to_stdvec(&addresses).expect("an encoding");
            assert_eq!(postcard::from_bytes(&bytes), Ok(addresses));
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in ["", "carts", "@a:1", "carts@", "carts:raft@a:1"] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
