//! Session tokens of optimistic databases, while nodes are cut from each other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use onecopy_harness::{Cluster, Options, PATIENCE, wait};

/// Writes at one node and reads at another one, with a session token, while nodes are cut from each other.
///
/// Three nodes have an optimistic database with three copies. Each client counts up a key of its own at one
/// node, takes a token there, hands it to another node, and reads: it must find its own write. Now and then
/// one node is cut from the others for a while. Then the other node says that it is behind, and the client
/// asks again. Some reads are made without a token before, to show that something could be missed.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Writes that are read elsewhere.
    #[arg(long, default_value_t = 1_000_000)]
    operations: u64,
    /// Clients.
    #[arg(long, default_value_t = 24)]
    clients: u32,
    /// Milliseconds for which a node is cut from the others, and for which it is not.
    #[arg(long, default_value_t = 1_500)]
    cut_ms: u64,
}

const NUMBER: u16 = 16;
const NODES: u32 = 3;
/// How long a token is waited for before the client asks again.
const TOKEN_MS: u64 = 2_000;

/// What clients have counted.
#[derive(Debug, Default)]
struct Counts {
    /// Writes that were read.
    operations: AtomicU64,
    /// Reads without a token that missed the write.
    missed: AtomicU64,
    /// How often a node said that it was behind.
    behind: AtomicU64,
    /// Writes that were not acknowledged.
    refused: AtomicU64,
    /// Reads with a token that missed the write.
    stale: AtomicU64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let databases = vec![format!("carts:{NUMBER}:optimistic:{NODES}")];
    let cluster = Cluster::start(Options { nodes: NODES, databases, proxied: true, ..Options::default() });
    wait("an optimistic database", PATIENCE, || {
        let takes = |id: u32| redis::cmd("PING").query::<String>(&mut cluster.client_in(id, NUMBER)).is_ok();
        let writes = |id: u32| {
            redis::cmd("SET").arg("x").arg(1).query::<()>(&mut cluster.client_in(id, NUMBER)).is_ok()
        };
        cluster.data_ids().into_iter().all(|id| takes(id) && writes(id)).then_some(())
    });
    let (counts, stop, begin) = (Counts::default(), AtomicBool::new(false), Instant::now());
    let mut cuts = 0;
    std::thread::scope(|scope| {
        for client in 0..arguments.clients {
            let (cluster, counts, stop) = (&cluster, &counts, &stop);
            scope.spawn(move || converse(cluster, client, counts, stop));
        }
        let pause = Duration::from_millis(arguments.cut_ms);
        while counts.operations.load(Ordering::Relaxed) < arguments.operations {
            std::thread::sleep(pause);
            cluster.isolate(1 + cuts % NODES);
            std::thread::sleep(pause);
            cluster.heal_all();
            cuts += 1;
        }
        stop.store(true, Ordering::Relaxed);
    });
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    println!(
        "| writes read elsewhere | partitions | seconds | missed with a token | missed without one | `-BEHIND` | writes refused |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    println!(
        "| {} | {cuts} | {:.0} | {} | {} | {} | {} |",
        of(&counts.operations),
        begin.elapsed().as_secs_f64(),
        of(&counts.stale),
        of(&counts.missed),
        of(&counts.behind),
        of(&counts.refused)
    );
    ensure!(of(&counts.stale) == 0, "a read with a token has missed a write");
    ensure!(of(&counts.refused) == 0, "a write was refused");
    Ok(())
}

/// One client writes at one node, and reads at another one.
fn converse(cluster: &Cluster, client: u32, counts: &Counts, stop: &AtomicBool) {
    let (from, to) = (1 + client % NODES, 1 + (client + 1 + client / NODES % (NODES - 1)) % NODES);
    let key = format!("key:{client}");
    let (mut writer, mut reader) = (cluster.client_in(from, NUMBER), cluster.client_in(to, NUMBER));
    let count = |counter: &AtomicU64| {
        counter.fetch_add(1, Ordering::Relaxed);
    };
    while !stop.load(Ordering::Relaxed) {
        let written: redis::RedisResult<(u64, String)> =
            redis::pipe().cmd("INCR").arg(&key).cmd("CAUSAL").query(&mut writer);
        let Ok((value, token)) = written else {
            count(&counts.refused);
            continue;
        };
        let read = |reader: &mut redis::Connection| redis::cmd("GET").arg(&key).query::<Option<u64>>(reader);
        // A sample is enough.
        if value % 64 == 0 && read(&mut reader).is_ok_and(|read| read.is_none_or(|read| read < value)) {
            count(&counts.missed);
        }
        while !stop.load(Ordering::Relaxed) {
            match redis::cmd("CAUSAL").arg(&token).arg(TOKEN_MS).query::<()>(&mut reader) {
                Ok(()) => {
                    let is_read = read(&mut reader).is_ok_and(|read| read.is_some_and(|read| read >= value));
                    count(if is_read { &counts.operations } else { &counts.stale });
                    break;
                }
                Err(_) => count(&counts.behind),
            }
        }
    }
}
