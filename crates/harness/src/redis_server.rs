//! A redis-server to compare with.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::wait;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that ends when it is dropped.
#[derive(Debug)]
pub struct RedisServer {
    process: Child,
    port: u16,
}

impl RedisServer {
    /// Whether there is one to start. If not, people are told.
    #[must_use]
    pub fn is_installed() -> bool {
        let is_installed =
            Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok();
        if !is_installed {
            println!("redis-server is not installed: nothing to compare with.\n");
        }
        is_installed
    }

    /// Starts one on this port of the loopback interface, without snapshots, and waits until it listens.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn start(port: u16, arguments: &[&str]) -> io::Result<Self> {
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("redis-server cannot be run: {error}")))?;
        let server = Self { process, port };
        wait("redis-server", PATIENCE, || TcpStream::connect(server.address()).ok());
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // Whether it has ended already makes no difference.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
