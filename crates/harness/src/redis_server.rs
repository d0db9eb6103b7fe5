//! A redis-server to compare with.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use onecopy_harness::wait;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that ends when it is dropped.
#[derive(Debug)]
pub(crate) struct RedisServer(Child);

impl RedisServer {
    /// Whether there is one to start. If not, people are told.
    pub(crate) fn is_installed() -> bool {
        let is_installed =
            Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok();
        if !is_installed {
            println!("redis-server is not installed: nothing to compare with.\n");
        }
        is_installed
    }

    /// Starts one on this port of the loopback interface, without snapshots, and waits until it listens.
    pub(crate) fn start(port: u16, arguments: &[&str]) -> anyhow::Result<Self> {
        let server = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()
            .context("redis-server cannot be run")?;
        let server = Self(server);
        wait("redis-server", PATIENCE, || TcpStream::connect(("127.0.0.1", port)).ok());
        Ok(server)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // Whether it has ended already makes no difference.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
