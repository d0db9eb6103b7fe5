//! A load generator for Redis-compatible servers: the same load for every server that is compared.
//!
//! It differs from `redis-benchmark` in one thing that matters here: it can follow every write by `WAIT 1`, in the same
//! pipeline, which is the most that Redis offers for not losing it. Each connection sends a pipeline, waits for
//! all replies, and sends the next one.

mod load;
mod reply;

use clap::Parser;

/// Loads a Redis-compatible server and prints one line of JSON with what it did.
#[derive(Debug, Parser)]
#[command(name = "onecopy-bench", version)]
struct Arguments {
    /// Where the server listens.
    #[arg(long, default_value = "127.0.0.1:7001")]
    address: String,
    /// What to send: set, get, or set-wait (every SET followed by WAIT 1 0).
    #[arg(long, value_enum, default_value = "set")]
    test: load::Test,
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

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let plan = load::Plan {
        address: arguments.address,
        test: arguments.test,
        clients: arguments.clients.max(1),
        pipeline: arguments.pipeline.max(1),
        requests: arguments.requests,
        bytes: arguments.bytes,
        keys: arguments.keys.max(1),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(load::run(&plan))?;
    println!("{}", outcome.json());
    Ok(())
}
