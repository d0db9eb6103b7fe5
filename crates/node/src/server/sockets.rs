//! What a node listens on.

use std::sync::Arc;

use super::StartError;
use crate::client::front::Front;
use crate::config::{Config, NodeRole};

/// Everything that the node listens on.
pub(super) struct Sockets {
    /// For clients, each with what they find there.
    pub(super) clients: Vec<(Arc<Front>, std::net::TcpListener)>,
    pub(super) http: std::net::TcpListener,
    pub(super) peer: std::net::TcpListener,
}

impl Sockets {
    pub(super) fn bind(config: &Config) -> Result<Self, StartError> {
        let bind = |what: &'static str, address: std::net::SocketAddr| {
            listen(address).map_err(|source| StartError::Listen { what, address, source })
        };
        let fronts = if config.has(NodeRole::Coordinator) { Front::all(config) } else { Vec::new() };
        let called = |front: Arc<Front>| Ok((front.clone(), bind(front.purpose(), front.address)?));
        let clients = fronts.into_iter().map(called).collect::<Result<_, StartError>>()?;
        Ok(Self { clients, http: bind("HTTP", config.http)?, peer: bind("other nodes", config.peer)? })
    }
}

/// Listens with room for a crowd: whoever finds the queue of calls full tries again only after a second.
fn listen(address: std::net::SocketAddr) -> std::io::Result<std::net::TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    const QUEUE: i32 = 4096;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted node must not wait for the connections of the one before.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(QUEUE)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
