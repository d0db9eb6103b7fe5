//! Clients that count: every INCR that was answered must have counted once, and no other one.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Gap, connect_to};

/// The counter.
const KEY: &str = "count";

/// Clients that increment one counter all the time.
#[derive(Debug)]
pub struct Counting {
    database: u16,
    stop: Arc<AtomicBool>,
    gap: Arc<Mutex<Gap>>,
    clients: Vec<JoinHandle<u64>>,
}

impl Counting {
    /// Starts `clients` clients, spread over the nodes at `addresses`.
    pub fn start(clients: usize, addresses: &[SocketAddr]) -> Self {
        Self::start_in(0, clients, addresses)
    }

    /// The same, in the database with this number.
    pub fn start_in(database: u16, clients: usize, addresses: &[SocketAddr]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let gap = Arc::new(Mutex::new(Gap::new()));
        let client = |number: usize| {
            let (stop, gap, address) = (stop.clone(), gap.clone(), addresses[number % addresses.len()]);
            std::thread::spawn(move || count(database, address, &stop, &gap))
        };
        let clients = (0..clients).map(client).collect();
        Self { database, stop, gap, clients }
    }

    /// So many clients in each of these databases.
    pub fn start_in_each(databases: &[u16], clients: usize, addresses: &[SocketAddr]) -> Vec<Self> {
        databases.iter().map(|database| Self::start_in(*database, clients, addresses)).collect()
    }

    /// Stops all clients; every increment that was answered counted once.
    ///
    /// # Panics
    /// If one did not, or none was answered.
    pub fn stop_exact(self, address: SocketAddr) {
        let database = self.database;
        let (answered, counted) = self.stop(address);
        assert!(answered > 0, "nothing was counted in {database}");
        assert_eq!(answered, counted, "in {database} an increment was lost, or counted twice");
    }

    /// The longest time without an answer since the last call.
    pub fn take_longest_gap(&self) -> Duration {
        self.gap.lock().expect("nobody panics with this lock").take_longest()
    }

    /// Stops all clients; how many increments were answered, and what the counter says, asked at `address`.
    ///
    /// # Panics
    /// If a client was answered with an error.
    pub fn stop(self, address: SocketAddr) -> (u64, u64) {
        self.stop.store(true, Ordering::SeqCst);
        let answered =
            self.clients.into_iter().map(|client| client.join().expect("no client sees an error")).sum();
        let mut connection = connect_to(address, self.database).expect("a connection");
        (answered, redis::cmd("GET").arg(KEY).query(&mut connection).expect("GET"))
    }
}

fn count(database: u16, address: SocketAddr, stop: &AtomicBool, gap: &Mutex<Gap>) -> u64 {
    let mut connection = connect_to(address, database).expect("a connection");
    let mut answered = 0;
    while !stop.load(Ordering::SeqCst) {
        let value: u64 = redis::cmd("INCR").arg(KEY).query(&mut connection).expect("INCR");
        answered += 1;
        assert!(value >= answered, "the counter went back");
        gap.lock().expect("nobody panics with this lock").success();
    }
    answered
}
