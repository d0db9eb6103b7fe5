//! The load itself.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use rand::RngExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::reply::Replies;

/// Loads a Redis-compatible server and prints one line of JSON with what it did.
///
/// It differs from `redis-benchmark` in one thing that matters here: it can follow every write by `WAIT 1`, in the same
/// pipeline, which is the most that Redis offers for not losing it. Each connection sends a pipeline, waits for
/// all replies, and sends the next one.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where the server listens; several share the connections.
    #[arg(long, default_value = "127.0.0.1:7001")]
    address: Vec<String>,
    /// What to send: set, get, or set-wait (every SET followed by WAIT 1 0).
    #[arg(long, value_enum, default_value = "set")]
    test: Test,
    /// Connections.
    #[arg(long, default_value_t = 50)]
    clients: usize,
    /// Commands in a pipeline; the WAITs are not counted.
    #[arg(long, default_value_t = 1)]
    pipeline: usize,
    /// Commands altogether; the WAITs are not counted.
    #[arg(long, default_value_t = 100_000)]
    requests: u64,
    /// Bytes of a value.
    #[arg(long, default_value_t = 64)]
    bytes: usize,
    /// Different keys, chosen at random.
    #[arg(long, default_value_t = 100_000)]
    keys: u64,
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Test {
    Set,
    Get,
    SetWait,
}

/// Everything about a run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The connections are spread over these.
    pub(crate) addresses: Vec<String>,
    pub(crate) test: Test,
    pub(crate) clients: usize,
    pub(crate) pipeline: usize,
    pub(crate) requests: u64,
    pub(crate) bytes: usize,
    pub(crate) keys: u64,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    requests: u64,
    errors: u64,
    elapsed: Duration,
    /// Microseconds from the sending of a pipeline to its last reply.
    latency: Histogram<u64>,
}

impl Outcome {
    /// Answers that were errors.
    pub(crate) fn errors(&self) -> u64 {
        self.errors
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "requests": self.requests,
            "errors": self.errors,
            "seconds": self.elapsed.as_secs_f64(),
            "per_second": self.requests as f64 / self.elapsed.as_secs_f64(),
            "p50_us": self.latency.value_at_quantile(0.5),
            "p99_us": self.latency.value_at_quantile(0.99),
            "max_us": self.latency.max(),
        })
    }
}

/// What all connections of a run share.
struct Shared {
    plan: Plan,
    value: Vec<u8>,
    /// Commands that nobody has taken yet.
    left: Cell<u64>,
    errors: Cell<u64>,
    latency: RefCell<Histogram<u64>>,
}

/// Does what the arguments say.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let plan = Plan {
        addresses: arguments.address.clone(),
        test: arguments.test,
        clients: arguments.clients.max(1),
        pipeline: arguments.pipeline.max(1),
        requests: arguments.requests,
        bytes: arguments.bytes,
        keys: arguments.keys.max(1),
    };
    println!("{}", execute(&plan)?.json());
    Ok(())
}

/// Executes a plan on the current thread.
pub(crate) fn execute(plan: &Plan) -> anyhow::Result<Outcome> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(connections(plan))
}

async fn connections(plan: &Plan) -> anyhow::Result<Outcome> {
    let shared = Rc::new(Shared {
        plan: plan.clone(),
        value: vec![b'x'; plan.bytes],
        left: Cell::new(plan.requests),
        errors: Cell::new(0),
        latency: RefCell::new(Histogram::new(3)?),
    });
    let mut streams = Vec::new();
    for address in plan.addresses.iter().cycle().take(plan.clients) {
        let stream = TcpStream::connect(address).await;
        let stream = stream.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let tasks = LocalSet::new();
    let started = Instant::now();
    let connections: Vec<_> =
        streams.into_iter().map(|stream| tasks.spawn_local(connection(stream, shared.clone()))).collect();
    tasks.await;
    let elapsed = started.elapsed();
    for connection in connections {
        connection.await??;
    }
    let latency = shared.latency.borrow().clone();
    Ok(Outcome { requests: plan.requests, errors: shared.errors.get(), elapsed, latency })
}

async fn connection(mut stream: TcpStream, shared: Rc<Shared>) -> anyhow::Result<()> {
    let mut request = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = shared.left.get().min(shared.plan.pipeline as u64);
        if count == 0 {
            return Ok(());
        }
        shared.left.set(shared.left.get() - count);
        request.clear();
        let expected = shared.write_requests(&mut request, count);
        let sent = Instant::now();
        stream.write_all(&request).await?;
        let mut replies = Replies::default();
        while replies.complete() < expected {
            let read = stream.read(&mut buffer).await?;
            ensure!(read > 0, "the server hung up");
            replies.take(&buffer[..read])?;
        }
        let micros = u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX);
        shared.latency.borrow_mut().record(micros.max(1))?;
        shared.errors.set(shared.errors.get() + replies.errors());
    }
}

impl Shared {
    /// Appends a pipeline of `count` commands, and returns how many replies it will get.
    fn write_requests(&self, request: &mut Vec<u8>, count: u64) -> u64 {
        let mut rng = rand::rng();
        for _ in 0..count {
            let key = format!("key:{:012}", rng.random_range(0..self.plan.keys));
            match self.plan.test {
                Test::Get => write_command(request, &[b"GET", key.as_bytes()]),
                Test::Set => write_command(request, &[b"SET", key.as_bytes(), &self.value]),
                Test::SetWait => {
                    write_command(request, &[b"SET", key.as_bytes(), &self.value]);
                    write_command(request, &[b"WAIT", b"1", b"0"]);
                }
            }
        }
        if self.plan.test == Test::SetWait { 2 * count } else { count }
    }
}

fn write_command(request: &mut Vec<u8>, args: &[&[u8]]) {
    request.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        request.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        request.extend_from_slice(arg);
        request.extend_from_slice(b"\r\n");
    }
}
