//! Real clusters for tests and measurements: real processes, sockets and disks, with faults on demand.
//!
//! - [`Cluster`] runs nodes as `onecopy server` does, kills, pauses and restarts them, and cuts the links
//!   between them.
//! - [`Dev`] runs `onecopy dev` and talks to it as a person would.
//! - [`Proxy`] is one cuttable link, [`Stall`] a disk that hangs, [`Memory`] that of a process, to flip bits
//!   in.
//! - [`RedisServer`] is a Redis to compare with, and [`Line`] a connection to either that is spoken to in lines.
//! - [`load`] has clients that remember what they were told, and find what is lost, doubled or stale.
//!
//! Everything uses free ports and temporary directories, and ends with the test, also when the test panics:
//! then the ends of the nodes' logs are printed. Even if the test process is killed, its nodes end, because
//! their stdin closes. What should happen and does not is a panic: a test fails with it, and a measurement is
//! worth nothing after it.
//!
//! ```no_run
//! use onecopy_harness::{Cluster, Options};
//! use redis::Commands;
//!
//! let cluster = Cluster::start(Options { proxied: true, ..Options::default() });
//! let mut client = cluster.client(2);
//! let _: () = client.set("key", "value").unwrap();
//! let primary = cluster.primary();
//! cluster.isolate(primary);           // or cluster.kill(primary), cluster.pause(primary), …
//! cluster.wait_for_other_primary(primary);
//! cluster.heal_all();
//! cluster.wait_until_complete();
//! ```

mod cluster;
mod dev;
mod line;
pub mod load;
mod memory;
mod ports;
mod proxy;
mod redis_server;
mod stall;
mod words;

use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use cluster::{Cluster, Options, timed};
pub use dev::{Dev, is_running};
pub use line::Line;
pub use memory::Memory;
pub use ports::{free_port, free_ports_in_a_row};
pub use proxy::Proxy;
pub use redis_server::RedisServer;
pub use stall::Stall;
pub use words::{run, try_run};

/// How long things may take that should take a moment. Machines that run tests are busy.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// The program under test: Cargo puts it beside the programs that test it, or one directory above.
///
/// # Panics
/// If it has not been built.
#[must_use]
pub fn executable() -> PathBuf {
    let own = std::env::current_exe().expect("a program knows where it is");
    let mut candidates = own.ancestors().skip(1).take(2).map(|directory| directory.join("onecopy"));
    let found = candidates.find(|candidate| candidate.is_file());
    found.unwrap_or_else(|| panic!("no onecopy beside {}: cargo build --release", own.display()))
}

/// Waits until `condition` gives a value.
///
/// # Panics
/// If it does not within `timeout`; the message names `what`.
pub fn wait<T>(what: &str, timeout: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {timeout:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
