//! Other clients, who want nothing but to write and to read.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::authenticated;

/// A witness waits so long after each answer.
const PAUSE: Duration = Duration::from_millis(1);

/// One client at the node of the input, and one at another.
#[derive(Debug)]
pub(crate) struct Witnesses {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// The longest wait of each, in microseconds. Also of the command that is under way.
    longest: [AtomicU64; 2],
    errors: AtomicU64,
}

impl Witnesses {
    /// Connects, and begins.
    pub(crate) fn start(addresses: [SocketAddr; 2]) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut threads = Vec::new();
        for (number, address) in addresses.into_iter().enumerate() {
            let (connection, shared) = (authenticated(address)?, shared.clone());
            threads.push(std::thread::spawn(move || watch(address, connection, number, &shared)));
        }
        Ok(Self { shared, threads })
    }

    /// What was seen until now does not count.
    pub(crate) fn begin(&self) {
        self.shared.longest.iter().for_each(|longest| longest.store(0, Ordering::Relaxed));
    }

    /// How long each of them has waited at most, since the beginning.
    pub(crate) fn end(&self) -> [Duration; 2] {
        std::array::from_fn(|number| {
            Duration::from_micros(self.shared.longest[number].load(Ordering::Relaxed))
        })
    }

    /// They stop. How many of their commands were answered with an error.
    pub(crate) fn stop(self) -> u64 {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| drop(thread.join()));
        self.shared.errors.load(Ordering::Relaxed)
    }
}

fn watch(address: SocketAddr, mut connection: redis::Connection, number: usize, shared: &Shared) {
    let key = format!("witness {number}");
    for turn in 0_u64.. {
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let command = match turn % 2 {
            0 => redis::cmd("SET").arg(&key).arg(turn).to_owned(),
            _ => redis::cmd("GET").arg(&key).to_owned(),
        };
        let asked = Instant::now();
        let answer: redis::RedisResult<redis::Value> = command.query(&mut connection);
        let waited = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
        shared.longest[number].fetch_max(waited, Ordering::Relaxed);
        match answer {
            // Memory is full, as the input wanted: that is no error of the cluster.
            Err(error) if error.code() == Some("OOM") => {}
            Err(error) => {
                shared.errors.fetch_add(1, Ordering::Relaxed);
                if error.is_unrecoverable_error()
                    && let Ok(again) = authenticated(address)
                {
                    connection = again;
                }
            }
            Ok(_) => {}
        }
        std::thread::sleep(PAUSE);
    }
}
