//! What an input is.

use std::net::SocketAddr;

use super::stranger::Held;

/// Where an input can go.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) redis: SocketAddr,
    pub(crate) peer: SocketAddr,
    pub(crate) http: SocketAddr,
    /// The name of the cluster, which is no secret.
    pub(crate) cluster: String,
}

/// One hostile input.
#[derive(Clone, Copy)]
pub(crate) struct Input {
    /// Which port, and whether the password was given.
    pub(crate) port: &'static str,
    pub(crate) name: &'static str,
    /// Puts keys there first, with the password.
    pub(crate) prepare: fn(&mut redis::Connection) -> redis::RedisResult<()>,
    /// Sends it. What it returns stays open for a while.
    pub(crate) send: fn(&Target) -> Held,
}

/// Nothing has to be there.
pub(crate) fn nothing(_: &mut redis::Connection) -> redis::RedisResult<()> {
    Ok(())
}
