//! Clients that send at a steady rate, whatever the server does, and remember how long each answer took.
//!
//! A client that waits for an answer before it sends again measures a server that has stopped for a second
//! once, however many requests would have come meanwhile. Here the request that is late because of that
//! counts from when it was due.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// How long a client waits for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// What one client does, again and again: sends one command and takes the answer.
pub(crate) type Ask = Box<dyn FnMut(&mut redis::Connection) -> redis::RedisResult<()> + Send>;

/// Clients of one kind.
pub(crate) struct Steady {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Window>>,
    clients: Vec<JoinHandle<()>>,
}

/// What they saw in some time.
#[derive(Debug)]
pub(crate) struct Window {
    since: Instant,
    latency: Histogram<u64>,
    pub(crate) errors: u64,
}

impl Steady {
    /// Starts a client for each of `asks` at the node with this address; together they send `per_second`
    /// commands, or as many as they can.
    pub(crate) fn start(
        address: SocketAddr,
        per_second: Option<f64>,
        asks: Vec<Ask>,
    ) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(Mutex::new(Window::new()));
        let interval = per_second.map(|rate| Duration::from_secs_f64(asks.len() as f64 / rate));
        let mut clients = Vec::new();
        let count = asks.len() as u32;
        for (number, ask) in (0..).zip(asks) {
            let connection = redis::Client::open(format!("redis://{address}/"))?.get_connection()?;
            connection.set_read_timeout(Some(ANSWER_TIMEOUT))?;
            let (stop, seen) = (stop.clone(), seen.clone());
            // They do not all send at the same moment.
            let first = Instant::now() + interval.unwrap_or_default() * number / count;
            let client = Client { connection, ask, due: first, interval };
            clients.push(std::thread::spawn(move || client.run(&stop, &seen)));
        }
        Ok(Self { stop, seen, clients })
    }

    /// What they have seen since the last call.
    pub(crate) fn take(&self) -> Window {
        std::mem::replace(&mut *self.seen.lock().expect("nobody panics with this lock"), Window::new())
    }

    /// Stops them; what they have seen since the last call of [`Self::take`].
    pub(crate) fn stop(self) -> Window {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().for_each(|client| client.join().expect("a client does not panic"));
        Arc::into_inner(self.seen)
            .expect("all have ended")
            .into_inner()
            .expect("nobody panics with this lock")
    }
}

impl Window {
    fn new() -> Self {
        let latency = Histogram::new(3).expect("three digits are possible");
        Self { since: Instant::now(), latency, errors: 0 }
    }

    /// Answers.
    pub(crate) fn count(&self) -> u64 {
        self.latency.len()
    }

    /// Answers per second, up to now.
    pub(crate) fn per_second(&self) -> f64 {
        self.count() as f64 / self.since.elapsed().as_secs_f64()
    }

    /// Milliseconds that a share of the answers took at most.
    pub(crate) fn milliseconds(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1_000.0
    }
}

struct Client {
    connection: redis::Connection,
    ask: Ask,
    due: Instant,
    interval: Option<Duration>,
}

impl Client {
    fn run(mut self, stop: &AtomicBool, seen: &Mutex<Window>) {
        while !stop.load(Ordering::Relaxed) {
            let sent = self.wait();
            let answer = (self.ask)(&mut self.connection);
            let micros = u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX);
            let mut seen = seen.lock().expect("nobody panics with this lock");
            seen.latency.record(micros.max(1)).expect("histograms grow");
            seen.errors += u64::from(answer.is_err());
        }
    }

    /// Waits until the next command is due; from when on its answer is waited for.
    fn wait(&mut self) -> Instant {
        let now = Instant::now();
        let Some(interval) = self.interval else { return now };
        let due = self.due;
        self.due += interval;
        if now >= due {
            return due;
        }
        std::thread::sleep(due - now);
        // That a thread wakes up late is not the server's doing.
        Instant::now()
    }
}
