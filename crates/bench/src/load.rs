//! The load itself.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use rand::RngExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use crate::reply::Replies;

/// Loads a Redis-compatible server and prints one line of JSON with what it did.
///
/// It differs from `redis-benchmark` in one thing that matters here: it can follow every write by `WAIT 1`,
/// in the same pipeline, which is the most that Redis offers for not losing it. Each connection sends a
/// pipeline, waits for all replies, and sends the next one.
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
    pub(crate) targets: Vec<Target>,
    pub(crate) test: Test,
    pub(crate) clients: usize,
    pub(crate) pipeline: usize,
    pub(crate) end: End,
    pub(crate) bytes: usize,
    pub(crate) keys: u64,
    pub(crate) order: Order,
}

/// Where a connection sends its commands.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: String,
    /// The number that it selects.
    pub(crate) database: u32,
}

impl Target {
    /// The first database of a server.
    pub(crate) fn first(address: String) -> Self {
        Self { address, database: 0 }
    }
}

/// When a run is over. What has been sent by then is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// After so many commands.
    Requests(u64),
    After(Duration),
}

/// Which key is next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Random,
    /// One after the other, so that each is there when all have been written.
    Ascending,
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

    /// Commands.
    pub(crate) fn requests(&self) -> u64 {
        self.requests
    }

    /// Commands per second that were no errors.
    pub(crate) fn succeeded_per_second(&self) -> f64 {
        (self.requests - self.errors) as f64 / self.elapsed.as_secs_f64()
    }

    /// Milliseconds that a share of the pipelines took at most.
    pub(crate) fn milliseconds(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1_000.0
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
    started: Instant,
    /// Commands that have been taken by a connection.
    taken: Cell<u64>,
    errors: Cell<u64>,
    latency: RefCell<Histogram<u64>>,
}

/// Does what the arguments say.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let plan = Plan {
        targets: arguments.address.iter().cloned().map(Target::first).collect(),
        test: arguments.test,
        clients: arguments.clients.max(1),
        pipeline: arguments.pipeline.max(1),
        end: End::Requests(arguments.requests),
        bytes: arguments.bytes,
        keys: arguments.keys.max(1),
        order: Order::Random,
    };
    println!("{}", execute(&plan)?.json());
    Ok(())
}

/// Executes a plan on the current thread.
pub(crate) fn execute(plan: &Plan) -> anyhow::Result<Outcome> {
    Clients::connect(plan)?.run()
}

/// All connections of a run, which have sent nothing yet: what it costs to connect is not part of the run.
pub(crate) struct Clients {
    runtime: Runtime,
    streams: Vec<TcpStream>,
    plan: Plan,
}

impl Clients {
    pub(crate) fn connect(plan: &Plan) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let targets = plan.targets.iter().cycle().take(plan.clients);
        let streams = targets.map(|target| runtime.block_on(connect(target))).collect::<Result<_, _>>()?;
        Ok(Self { runtime, streams, plan: plan.clone() })
    }

    /// Executes the plan on the current thread.
    pub(crate) fn run(self) -> anyhow::Result<Outcome> {
        self.runtime.block_on(run_all(self.streams, self.plan))
    }
}

async fn connect(target: &Target) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(&target.address).await;
    let mut stream = stream.with_context(|| format!("cannot connect to {}", target.address))?;
    stream.set_nodelay(true)?;
    if target.database > 0 {
        let mut select = Vec::new();
        write_command(&mut select, &[b"SELECT", target.database.to_string().as_bytes()]);
        stream.write_all(&select).await?;
        let mut reply = [0; 5];
        stream.read_exact(&mut reply).await?;
        ensure!(reply == *b"+OK\r\n", "there is no database {}", target.database);
    }
    Ok(stream)
}

async fn run_all(streams: Vec<TcpStream>, plan: Plan) -> anyhow::Result<Outcome> {
    let shared = Rc::new(Shared {
        value: vec![b'x'; plan.bytes],
        plan,
        started: Instant::now(),
        taken: Cell::new(0),
        errors: Cell::new(0),
        latency: RefCell::new(Histogram::new(3)?),
    });
    let tasks = LocalSet::new();
    let connections: Vec<_> =
        streams.into_iter().map(|stream| tasks.spawn_local(connection(stream, shared.clone()))).collect();
    tasks.await;
    let elapsed = shared.started.elapsed();
    for connection in connections {
        connection.await??;
    }
    let latency = shared.latency.borrow().clone();
    Ok(Outcome { requests: shared.taken.get(), errors: shared.errors.get(), elapsed, latency })
}

async fn connection(mut stream: TcpStream, shared: Rc<Shared>) -> anyhow::Result<()> {
    let mut request = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let commands = shared.take();
        if commands.is_empty() {
            return Ok(());
        }
        request.clear();
        let expected = shared.write_requests(&mut request, commands);
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
    /// The numbers of the commands in the next pipeline; none when the run is over.
    fn take(&self) -> Range<u64> {
        let (first, pipeline) = (self.taken.get(), self.plan.pipeline as u64);
        let count = match self.plan.end {
            End::Requests(requests) => pipeline.min(requests - first),
            End::After(time) if self.started.elapsed() < time => pipeline,
            End::After(_) => 0,
        };
        self.taken.set(first + count);
        first..first + count
    }

    /// Appends a pipeline of these commands, and returns how many replies it will get.
    fn write_requests(&self, request: &mut Vec<u8>, commands: Range<u64>) -> u64 {
        let mut rng = rand::rng();
        let count = commands.end - commands.start;
        for command in commands {
            let key = match self.plan.order {
                Order::Random => rng.random_range(0..self.plan.keys),
                Order::Ascending => command % self.plan.keys,
            };
            let key = format!("key:{key:012}");
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
