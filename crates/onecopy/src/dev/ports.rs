//! Ports on loopback.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, bail};
use rand::RngExt;

/// Where ports for peers are looked for: below those that the kernel gives to outgoing connections. One of
/// these could take the port of a node that is dead for a while, and keep it from coming back.
const PEER_PORTS: std::ops::Range<u16> = 20_000..32_000;
const ATTEMPTS: usize = 200;

/// A port on loopback.
pub(super) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Whether somebody could listen there now.
pub(super) fn is_free(port: u16) -> bool {
    TcpListener::bind(loopback(port)).is_ok()
}

/// Fails if a port that the user can choose is taken.
pub(super) fn require_free(port: u16, what: &str, flag: &str) -> anyhow::Result<()> {
    match TcpListener::bind(loopback(port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => bail!(
            "port {port} ({what}) is taken by another program: stop that one, or give another first port with {flag}"
        ),
        Err(error) => Err(error).with_context(|| {
            format!("cannot listen on port {port} ({what}); give another first port with {flag}")
        }),
    }
}

/// The `offset`th port after the first.
pub(super) fn following(first: u16, offset: u32, flag: &str) -> anyhow::Result<u16> {
    let port = u32::from(first) + offset;
    u16::try_from(port)
        .with_context(|| format!("{flag} {first} leaves no room for all nodes: ports end at 65535"))
}

/// A free port for peers that is not among those already chosen.
pub(super) fn free_for_peers(chosen: &[u16]) -> anyhow::Result<u16> {
    let mut random = rand::rng();
    for _ in 0..ATTEMPTS {
        let port = random.random_range(PEER_PORTS);
        if !chosen.contains(&port) && is_free(port) {
            return Ok(port);
        }
    }
    bail!(
        "found no free port between {} and {} for the nodes to talk to each other",
        PEER_PORTS.start,
        PEER_PORTS.end
    )
}
