//! Asking nodes over HTTP what they say about themselves.

use std::net::SocketAddr;
use std::time::Duration;

use onecopy_node::NodeStatus;

use crate::addressees::get;

/// How long a node may take to answer. A node that is stopped or cut off must not hold up the others.
const TIMEOUT: Duration = Duration::from_secs(1);

/// What came of asking one node.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP address that was asked.
    pub http: String,
    /// Which node should be there, if somebody named it.
    pub expected: Option<u32>,
    /// What it said, or why it said nothing.
    pub status: Result<NodeStatus, String>,
}

/// Asks one node; `authorization` is what it is told of who asks.
///
/// # Errors
/// Why there was no answer, or none that can be understood.
pub fn node(http: &str, authorization: Option<&str>) -> Result<NodeStatus, String> {
    get(&format!("http://{http}/status"), authorization, TIMEOUT)
}

/// Asks these nodes and all that they name. If they are of several clusters, only those of the first count.
#[must_use]
pub fn cluster(addresses: &[String], authorization: Option<&str>) -> Vec<Answer> {
    let first: Vec<(String, Option<u32>)> = addresses.iter().map(|address| (address.clone(), None)).collect();
    let mut answers = all(&first, authorization);
    let Some(known) = answers.iter().find_map(|answer| answer.status.as_ref().ok().cloned()) else {
        return answers;
    };
    answers.retain(|answer| match &answer.status {
        Ok(status) => status.cluster == known.cluster,
        Err(_) => true,
    });
    let mut named: Vec<(String, Option<u32>)> = Vec::new();
    for answer in &mut answers {
        let Ok(status) = &answer.status else { continue };
        for node in &status.nodes {
            let http = reachable(&node.http, &answer.http);
            if !named.iter().any(|(_, id)| *id == Some(node.node)) {
                named.push((http, Some(node.node)));
            }
        }
    }
    // An address where nobody answers counts only if a node is known to be there.
    answers.retain(|answer| answer.status.is_ok());
    named.retain(|(_, id)| !answers.iter().any(|answer| answer.node() == *id));
    answers.extend(all(&named, authorization));
    answers
}

impl Answer {
    /// Which node this is about, if it is known.
    #[must_use]
    pub fn node(&self) -> Option<u32> {
        self.status.as_ref().ok().map(|status| status.node).or(self.expected)
    }
}

/// Asks all at once.
fn all(addresses: &[(String, Option<u32>)], authorization: Option<&str>) -> Vec<Answer> {
    std::thread::scope(|scope| {
        let ask = |(http, expected): &(String, Option<u32>)| {
            let (http, expected) = (http.clone(), *expected);
            scope.spawn(move || Answer { status: node(&http, authorization), http, expected })
        };
        let asked: Vec<_> = addresses.iter().map(ask).collect();
        asked.into_iter().map(|asked| asked.join().expect("asking does not panic")).collect()
    })
}

/// A node that listens on all addresses of its machine says so, which nobody can connect to: its neighbour's
/// host is the best guess.
fn reachable(address: &str, neighbour: &str) -> String {
    match (address.parse::<SocketAddr>(), neighbour.rsplit_once(':')) {
        (Ok(socket), Some((host, _))) if socket.ip().is_unspecified() => format!("{host}:{}", socket.port()),
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unspecified_addresses_are_replaced() {
        assert_eq!(reachable("0.0.0.0:8002", "10.0.0.1:8001"), "10.0.0.1:8002");
        assert_eq!(reachable("10.0.0.2:8002", "10.0.0.1:8001"), "10.0.0.2:8002");
    }
}
