//! Clients that write and read all the time, and remember what they were told.
//!
//! Every operation is one command that sets a key of its own and the client's register: what was acknowledged must be
//! there at the end, what was refused must not be, and nothing else may be. Readers on all nodes compare each
//! register with what was acknowledged before they asked: anything lower is a stale read.

// Each test program uses a part of this.
#![allow(dead_code, unused_imports)]

mod counting;

pub use counting::Counting;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use redis::{Connection, RedisError, RedisResult};

/// How long a client waits for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// A running load.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<Vec<Fate>>>,
    readers: Vec<JoinHandle<u64>>,
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    registers: Vec<Register>,
    /// What clients were told that is no answer to their question.
    errors: Mutex<Vec<String>>,
    gap: Mutex<Gap>,
}

/// The register of one writer: the highest value that was acknowledged, and the highest that was tried.
#[derive(Debug, Default)]
struct Register {
    acknowledged: AtomicU64,
    tried: AtomicU64,
}

#[derive(Debug)]
struct Gap {
    last_success: Instant,
    longest: Duration,
}

/// What a writer was told of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was acknowledged: it must be there.
    Acknowledged,
    /// The answer said that it was not executed: it must not be there.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// All that the clients of a load were told.
#[derive(Debug)]
pub struct History {
    /// By writer, by operation.
    fates: Vec<Vec<Fate>>,
    /// How many reads were answered, none of them stale.
    pub reads: u64,
    /// What clients were told that is no answer to their question.
    pub errors: Vec<String>,
}

impl Load {
    /// Starts `writers` writers, spread over the nodes at `write_to`, and one reader at each of `read_from`.
    pub fn start(writers: usize, write_to: &[SocketAddr], read_from: &[SocketAddr]) -> Self {
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            registers: (0..writers).map(|_| Register::default()).collect(),
            errors: Mutex::default(),
            gap: Mutex::new(Gap { last_success: Instant::now(), longest: Duration::ZERO }),
        });
        let writer = |id: usize| {
            let (shared, address) = (shared.clone(), write_to[id % write_to.len()]);
            std::thread::spawn(move || write(id, address, &shared))
        };
        let reader = |address: &SocketAddr| {
            let (shared, address) = (shared.clone(), *address);
            std::thread::spawn(move || read(address, &shared))
        };
        let writers = (0..writers).map(writer).collect();
        let readers = read_from.iter().map(reader).collect();
        Self { shared, writers, readers }
    }

    /// The longest time without an acknowledged write since the last call.
    pub fn take_longest_gap(&self) -> Duration {
        let mut gap = self.shared.gap.lock().expect("nobody panics with this lock");
        let longest = gap.longest.max(gap.last_success.elapsed());
        gap.longest = Duration::ZERO;
        longest
    }

    /// How many writes were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        // Each write raises its register by one; some are refused or unknown, so this is an upper bound only in
        // the sense of progress, which is all that it is for.
        self.shared.registers.iter().map(|register| register.acknowledged.load(Ordering::SeqCst)).sum()
    }

    /// Waits until a further write has been acknowledged to some client.
    pub fn wait_for_success(&self, timeout: Duration) {
        let (before, deadline) = (self.acknowledged(), Instant::now() + timeout);
        while self.acknowledged() == before {
            assert!(Instant::now() < deadline, "no write succeeded for {timeout:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops all clients.
    ///
    /// # Panics
    /// If a reader saw a stale value, or one that nobody wrote.
    pub fn stop(self) -> History {
        self.shared.stop.store(true, Ordering::SeqCst);
        let fates = self.writers.into_iter().map(|writer| writer.join().expect("a writer")).collect();
        let reads =
            self.readers.into_iter().map(|reader| reader.join().expect("a reader saw something wrong")).sum();
        let errors = std::mem::take(&mut *self.shared.errors.lock().expect("nobody panics with this lock"));
        History { fates, reads, errors }
    }
}

impl Shared {
    fn failed(&self, what: &str, address: SocketAddr, error: &RedisError) {
        let mut errors = self.errors.lock().expect("nobody panics with this lock");
        errors.push(format!("{what} at {address}: {error}"));
    }
}

impl History {
    /// # Panics
    /// If a client was told anything else than what became of its request.
    pub fn assert_no_errors(&self) {
        assert!(
            self.errors.is_empty(),
            "{} errors, the first: {:?}",
            self.errors.len(),
            &self.errors[..self.errors.len().min(5)]
        );
    }

    /// How many writes had this fate.
    pub fn count(&self, fate: Fate) -> usize {
        self.fates.iter().flatten().filter(|other| **other == fate).count()
    }

    /// Compares the data with what the clients were told.
    ///
    /// # Panics
    /// If an acknowledged write is missing, a refused one is there, or there is something that nobody wrote.
    pub fn verify(&self, connection: &mut Connection) {
        let mut present = 0;
        for (writer, fates) in self.fates.iter().enumerate() {
            let keys: Vec<String> = (1..=fates.len() as u64).map(|value| key(writer, value)).collect();
            let mut last_present = 0;
            for (chunk, keys) in keys.chunks(1000).enumerate() {
                let values: Vec<Option<u64>> = redis::cmd("MGET").arg(keys).query(connection).expect("MGET");
                for (position, value) in values.into_iter().enumerate() {
                    let expected = (chunk * 1000 + position + 1) as u64;
                    let fate = fates[expected as usize - 1];
                    assert!(value.is_none_or(|value| value == expected), "{value:?} was never written there");
                    match fate {
                        Fate::Acknowledged => {
                            assert!(value.is_some(), "acknowledged write {writer}:{expected} is lost")
                        }
                        Fate::Refused => {
                            assert!(value.is_none(), "refused write {writer}:{expected} is there")
                        }
                        Fate::Unknown => {}
                    }
                    if value.is_some() {
                        present += 1;
                        last_present = expected;
                    }
                }
            }
            let register: Option<u64> =
                redis::cmd("GET").arg(register(writer)).query(connection).expect("GET");
            assert_eq!(register.unwrap_or(0), last_present, "the register of writer {writer}");
            present += u64::from(register.is_some());
        }
        let size: u64 = redis::cmd("DBSIZE").query(connection).expect("DBSIZE");
        assert_eq!(size, present, "there are keys that nobody wrote");
    }
}

fn key(writer: usize, value: u64) -> String {
    format!("w:{writer}:{value}")
}

fn register(writer: usize) -> String {
    format!("r:{writer}")
}

fn connect(address: SocketAddr) -> RedisResult<Connection> {
    let client = redis::Client::open(format!("redis://{address}/"))?;
    let connection = client.get_connection_with_timeout(Duration::from_secs(2))?;
    connection.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    Ok(connection)
}

/// Keeps a connection open, with patience while the node is away.
fn connected(connection: &mut Option<Connection>, address: SocketAddr) -> Option<&mut Connection> {
    if connection.is_none() {
        *connection = connect(address).ok();
        if connection.is_none() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    connection.as_mut()
}

fn write(id: usize, address: SocketAddr, shared: &Shared) -> Vec<Fate> {
    let mut connection = None;
    let mut fates = Vec::new();
    while !shared.stop.load(Ordering::SeqCst) {
        let Some(open) = connected(&mut connection, address) else { continue };
        let value = fates.len() as u64 + 1;
        shared.registers[id].tried.store(value, Ordering::SeqCst);
        let mut command = redis::cmd("MSET");
        command.arg(key(id, value)).arg(value).arg(register(id)).arg(value);
        let fate = match command.query::<()>(open) {
            Ok(()) => Fate::Acknowledged,
            Err(error) => {
                shared.failed("write", address, &error);
                fate_of(&error)
            }
        };
        match fate {
            Fate::Acknowledged => {
                shared.registers[id].acknowledged.store(value, Ordering::SeqCst);
                shared.gap.lock().expect("nobody panics with this lock").success();
            }
            Fate::Refused => {}
            Fate::Unknown => connection = None,
        }
        fates.push(fate);
    }
    fates
}

fn fate_of(error: &RedisError) -> Fate {
    match error.code() {
        Some("TRYAGAIN") => Fate::Refused,
        _ => Fate::Unknown,
    }
}

impl Gap {
    fn success(&mut self) {
        let now = Instant::now();
        self.longest = self.longest.max(now - self.last_success);
        self.last_success = now;
    }
}

fn read(address: SocketAddr, shared: &Shared) -> u64 {
    let mut connection = None;
    let mut count = 0;
    let mut id = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        let Some(open) = connected(&mut connection, address) else { continue };
        id = (id + 1) % shared.registers.len();
        let acknowledged = shared.registers[id].acknowledged.load(Ordering::SeqCst);
        match redis::cmd("GET").arg(register(id)).query::<Option<u64>>(open) {
            Ok(value) => {
                let value = value.unwrap_or(0);
                let tried = shared.registers[id].tried.load(Ordering::SeqCst);
                assert!(
                    value >= acknowledged,
                    "stale read at {address}: {value}, acknowledged was {acknowledged}"
                );
                assert!(value <= tried, "{value} was never written, {tried} was the last");
                count += 1;
            }
            Err(error) => {
                shared.failed("read", address, &error);
                connection = None;
            }
        }
    }
    count
}
