//! Clients that write and read all the time, and remember what they were told.
//!
//! Every other operation of a writer is one command that sets a key of its own and the writer's register;
//! those between increment the writer's counter. What was acknowledged must be there at the end and have
//! counted once, what was refused must not be, and nothing else may be. Readers on all nodes compare each
//! register with what was known before they asked: anything lower is a stale read.

mod counter;
mod counting;
mod history;
mod register;

pub use counting::Counting;
pub use history::{Fate, Findings, History};
pub use register::Register;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use redis::{Connection, RedisError, RedisResult};

use crate::{PATIENCE, wait};
use history::Told;

/// How long a client waits for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// A running load.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<Told>>,
    readers: Vec<JoinHandle<u64>>,
}

#[derive(Debug)]
struct Shared {
    database: u16,
    stop: AtomicBool,
    /// How long a client waits between an answer and its next request.
    pause: Duration,
    registers: Vec<Register>,
    successes: AtomicU64,
    /// What clients were told that is no answer to their question.
    errors: Mutex<Vec<String>>,
    wrong_reads: Mutex<Vec<String>>,
    gap: Mutex<Gap>,
}

#[derive(Debug)]
struct Gap {
    last_success: Instant,
    longest: Duration,
}

impl Load {
    /// Starts `writers` writers, spread over the nodes at `write_to`, and one reader at each of `read_from`.
    pub fn start(writers: usize, write_to: &[SocketAddr], read_from: &[SocketAddr]) -> Self {
        Self::start_with_pauses((0, Duration::ZERO), writers, write_to, read_from)
    }

    /// The same, in the database with this number.
    pub fn start_in(
        database: u16,
        writers: usize,
        write_to: &[SocketAddr],
        read_from: &[SocketAddr],
    ) -> Self {
        Self::start_with_pauses((database, Duration::ZERO), writers, write_to, read_from)
    }

    /// The same, with clients that wait so long after each answer: what is measured should not be how busy
    /// they keep the machine.
    pub fn start_with_pauses(
        (database, pause): (u16, Duration),
        writers: usize,
        write_to: &[SocketAddr],
        read_from: &[SocketAddr],
    ) -> Self {
        let shared = Arc::new(Shared {
            database,
            stop: AtomicBool::new(false),
            pause,
            registers: (0..writers).map(|_| Register::default()).collect(),
            successes: AtomicU64::new(0),
            errors: Mutex::default(),
            wrong_reads: Mutex::default(),
            gap: Mutex::new(Gap::new()),
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
        self.shared.gap.lock().expect("nobody panics with this lock").take_longest()
    }

    /// How many writes were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.shared.successes.load(Ordering::SeqCst)
    }

    /// Stops the load, once so much has been written that a check of it says something: on a busy machine that
    /// takes a while.
    pub fn conclude(self) -> History {
        wait("a hundred writes", PATIENCE, || (self.acknowledged() > 100).then_some(()));
        self.stop()
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
    pub fn stop(self) -> History {
        self.shared.stop.store(true, Ordering::SeqCst);
        let writers = self.writers.into_iter().map(|writer| writer.join().expect("a writer")).collect();
        let reads = self.readers.into_iter().map(|reader| reader.join().expect("a reader")).sum();
        let take = |list: &Mutex<Vec<String>>| {
            std::mem::take(&mut *list.lock().expect("nobody panics with this lock"))
        };
        let (errors, wrong_reads) = (take(&self.shared.errors), take(&self.shared.wrong_reads));
        History { writers, reads, errors, wrong_reads }
    }
}

impl Shared {
    fn failed(&self, what: &str, address: SocketAddr, error: &RedisError) {
        let mut errors = self.errors.lock().expect("nobody panics with this lock");
        errors.push(format!("{what} at {address}: {error}"));
    }

    fn pause(&self) {
        if !self.pause.is_zero() {
            std::thread::sleep(self.pause);
        }
    }
}

/// Whether the writer's operation with this number sets a key, rather than increment its counter.
fn sets_a_key(number: u64) -> bool {
    number % 2 == 1
}

fn key(writer: usize, value: u64) -> String {
    format!("w:{writer}:{value}")
}

fn register(writer: usize) -> String {
    format!("r:{writer}")
}

fn tally(writer: usize) -> String {
    format!("c:{writer}")
}

fn connect_to(address: SocketAddr, database: u16) -> RedisResult<Connection> {
    let client = redis::Client::open(format!("redis://{address}/{database}"))?;
    let connection = client.get_connection_with_timeout(Duration::from_secs(2))?;
    connection.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    Ok(connection)
}

/// Keeps a connection open, with patience while the node is away.
fn connected(
    connection: &mut Option<Connection>,
    (address, database): (SocketAddr, u16),
) -> Option<&mut Connection> {
    if connection.is_none() {
        *connection = connect_to(address, database).ok();
        if connection.is_none() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    connection.as_mut()
}

fn write(id: usize, address: SocketAddr, shared: &Shared) -> Told {
    let mut connection = None;
    let mut told = Told::default();
    while !shared.stop.load(Ordering::SeqCst) {
        let Some(open) = connected(&mut connection, (address, shared.database)) else { continue };
        let number = told.fates.len() as u64 + 1;
        let outcome = match sets_a_key(number) {
            true => set(id, number, open, &shared.registers[id]),
            false => redis::cmd("INCR").arg(tally(id)).query(open).map(|count| told.counter.answered(count)),
        };
        let fate = match outcome {
            Ok(()) => {
                shared.successes.fetch_add(1, Ordering::SeqCst);
                shared.gap.lock().expect("nobody panics with this lock").success();
                Fate::Acknowledged
            }
            Err(error) => {
                shared.failed("write", address, &error);
                fate_of(&error)
            }
        };
        if fate == Fate::Unknown {
            connection = None;
            if !sets_a_key(number) {
                told.counter.nobody_knows();
            }
        }
        told.fates.push(fate);
        shared.pause();
    }
    told
}

fn set(id: usize, value: u64, connection: &mut Connection, known: &Register) -> RedisResult<()> {
    known.trying(value);
    let mut command = redis::cmd("MSET");
    command.arg(key(id, value)).arg(value).arg(register(id)).arg(value).query::<()>(connection)?;
    known.acknowledged(value);
    Ok(())
}

fn fate_of(error: &RedisError) -> Fate {
    match error.code() {
        Some("TRYAGAIN") => Fate::Refused,
        _ => Fate::Unknown,
    }
}

impl Gap {
    fn new() -> Self {
        Self { last_success: Instant::now(), longest: Duration::ZERO }
    }

    /// The longest since the last call; what goes on now counts.
    fn take_longest(&mut self) -> Duration {
        std::mem::take(&mut self.longest).max(self.last_success.elapsed())
    }

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
        let Some(open) = connected(&mut connection, (address, shared.database)) else { continue };
        id = (id + 1) % shared.registers.len();
        let known = &shared.registers[id];
        let floor = known.floor();
        match redis::cmd("GET").arg(register(id)).query::<Option<u64>>(open) {
            Ok(value) => {
                if let Err(wrong) = known.judge(value.unwrap_or(0), floor) {
                    let mut list = shared.wrong_reads.lock().expect("nobody panics with this lock");
                    list.push(format!("at {address}: {wrong}"));
                }
                count += 1;
            }
            Err(error) => {
                shared.failed("read", address, &error);
                connection = None;
            }
        }
        shared.pause();
    }
    count
}
