//! A million increments, while one node after the other is killed.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use onecopy_harness::{Cluster, Options};

use crate::failover::Roles;

/// Counts to a million while nodes are killed, and says whether the counter is exact.
///
/// Three nodes, two copies. Pipelining clients increment one counter; a node is killed (kill -9) again and
/// again: the primary, the backup, the primary, the spare, and so on, and started again. Before each kill the
/// clients of that node move to the others, so that all are clients of surviving nodes; they are not told
/// anything else.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Increments.
    #[arg(long, default_value_t = 1_000_000)]
    total: u64,
    /// Clients.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Increments in a pipeline.
    #[arg(long, default_value_t = 16)]
    pipeline: u64,
    /// Increments per second at most, so that there is time for many kills.
    #[arg(long, default_value_t = 20_000.0)]
    per_second: f64,
    /// Milliseconds from kill to kill, at least: the group is complete before the next one.
    #[arg(long, default_value_t = 1_500)]
    every_ms: u64,
}

const KEY: &str = "count";
/// No node has this number.
const NOBODY: u32 = 0;

/// What the clients and the killer share.
struct Shared {
    nodes: Vec<(u32, SocketAddr)>,
    pipeline: u64,
    interval: Duration,
    /// Increments that nobody has taken yet.
    left: AtomicU64,
    /// The node that is about to be killed, or dead.
    victim: AtomicU32,
    /// By client: the node that it waits for an answer of.
    at: Vec<AtomicU32>,
    /// By value: how often it was answered.
    answers: Mutex<Vec<u8>>,
    errors: Mutex<Vec<String>>,
    gap: Mutex<(Instant, Duration)>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut cluster = Cluster::start(Options::default());
    let clients = arguments.clients.max(1);
    let pipeline = arguments.pipeline.max(1);
    let shared = Shared {
        nodes: cluster.data_ids().into_iter().map(|id| (id, cluster.redis_address(id))).collect(),
        pipeline,
        interval: Duration::from_secs_f64((pipeline * clients as u64) as f64 / arguments.per_second),
        left: AtomicU64::new(arguments.total),
        victim: AtomicU32::new(NOBODY),
        at: (0..clients).map(|_| AtomicU32::new(NOBODY)).collect(),
        answers: Mutex::new(vec![0; arguments.total as usize + 1]),
        errors: Mutex::default(),
        gap: Mutex::new((Instant::now(), Duration::ZERO)),
    };
    let (view, begin) = (cluster.view(), Instant::now());
    let kills = std::thread::scope(|scope| {
        let counting: Vec<_> = (0..clients)
            .map(|client| {
                scope.spawn({
                    let shared = &shared;
                    move || shared.count(client)
                })
            })
            .collect();
        let is_over = || counting.iter().all(|client| client.is_finished());
        kill_again_and_again(&mut cluster, &shared, Duration::from_millis(arguments.every_ms), is_over)
    });
    let took = begin.elapsed();
    cluster.wait_until_complete();
    let views = cluster.view() - view;
    shared.conclude(&cluster, arguments.total, kills, views, took)
}

/// Kills nodes until the counting is over. Returns how many.
fn kill_again_and_again(
    cluster: &mut Cluster,
    shared: &Shared,
    every: Duration,
    is_over: impl Fn() -> bool,
) -> u64 {
    let whom: [fn(Roles) -> u32; 4] = [|r| r.primary, |r| r.backup, |r| r.primary, |r| r.spare];
    for (kills, whom) in (0..).zip(whom.into_iter().cycle()) {
        let begin = Instant::now();
        let victim = whom(Roles::of(cluster));
        while begin.elapsed() < every / 3 {
            if is_over() {
                return kills;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        shared.leave(victim);
        cluster.kill(victim);
        // The spare takes over while the node is away.
        std::thread::sleep(every / 3);
        cluster.start_node(victim);
        cluster.wait_until_serving(victim);
        shared.victim.store(NOBODY, SeqCst);
        cluster.wait_until_complete();
        std::thread::sleep(every.saturating_sub(begin.elapsed()));
    }
    unreachable!("the cycle of victims has no end")
}

impl Shared {
    /// Moves all clients away from a node, and lets none return.
    fn leave(&self, victim: u32) {
        self.victim.store(victim, SeqCst);
        while self.at.iter().any(|at| at.load(SeqCst) == victim) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// What one client does.
    fn count(&self, client: usize) {
        let mut connection: Option<(u32, redis::Connection)> = None;
        let mut due = Instant::now();
        while let Some(count) = self.take() {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            due = (due + self.interval).max(Instant::now());
            let (_, open) = self.connected(client, &mut connection);
            let mut pipeline = redis::pipe();
            for _ in 0..count {
                pipeline.cmd("INCR").arg(KEY);
            }
            match pipeline.query::<Vec<u64>>(open) {
                Ok(values) => self.answered(&values),
                Err(error) => {
                    self.errors.lock().expect("nobody panics with this lock").push(error.to_string());
                    connection = None;
                }
            }
            self.at[client].store(NOBODY, SeqCst);
        }
    }

    /// Takes some increments to do.
    fn take(&self) -> Option<u64> {
        let taken = |left: u64| (left > 0).then(|| left.saturating_sub(self.pipeline));
        let before = self.left.fetch_update(SeqCst, SeqCst, taken).ok()?;
        Some(before.min(self.pipeline))
    }

    /// A connection to a node that is not about to be killed, which stays so until the client is nowhere.
    fn connected<'a>(
        &self,
        client: usize,
        connection: &'a mut Option<(u32, redis::Connection)>,
    ) -> &'a mut (u32, redis::Connection) {
        loop {
            let node = match connection {
                Some((node, _)) => *node,
                None => self.choose(client),
            };
            // First said, then looked: the killer does it the other way round, so one of both notices.
            self.at[client].store(node, SeqCst);
            if self.victim.load(SeqCst) == node {
                self.at[client].store(NOBODY, SeqCst);
                *connection = None;
                continue;
            }
            if connection.is_none() {
                let (_, address) = self.nodes.iter().find(|(id, _)| *id == node).expect("it was chosen");
                let open = redis::Client::open(format!("redis://{address}/"))
                    .and_then(|client| client.get_connection());
                *connection = open.ok().map(|open| (node, open));
            }
            if connection.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        connection.as_mut().expect("there is one now")
    }

    fn choose(&self, client: usize) -> u32 {
        let victim = self.victim.load(SeqCst);
        let others: Vec<u32> = self.nodes.iter().map(|(id, _)| *id).filter(|id| *id != victim).collect();
        others[client % others.len()]
    }

    fn answered(&self, values: &[u64]) {
        let now = Instant::now();
        let mut gap = self.gap.lock().expect("nobody panics with this lock");
        *gap = (now, gap.1.max(now - gap.0));
        let mut answers = self.answers.lock().expect("nobody panics with this lock");
        for value in values {
            match answers.get_mut(*value as usize) {
                Some(times) => *times = times.saturating_add(1),
                None => self
                    .errors
                    .lock()
                    .expect("nobody panics with this lock")
                    .push(format!("counted to {value}")),
            }
        }
    }

    fn conclude(
        self,
        cluster: &Cluster,
        total: u64,
        kills: u64,
        views: u64,
        took: Duration,
    ) -> anyhow::Result<()> {
        let read = |id| redis::cmd("GET").arg(KEY).query::<u64>(&mut cluster.client(id));
        let finals = cluster.data_ids().into_iter().map(read).collect::<Result<Vec<u64>, _>>()?;
        let answers = self.answers.into_inner().expect("nobody panics with this lock");
        let once = answers[1..].iter().filter(|times| **times == 1).count();
        let errors = self.errors.into_inner().expect("nobody panics with this lock");
        let gap = self.gap.into_inner().expect("nobody panics with this lock").1;
        println!(
            "| increments | final value at each node | values answered exactly once | errors | kills | views | seconds | longest pause |"
        );
        println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
        println!(
            "| {total} | {finals:?} | {once} | {} | {kills} | {views} | {:.1} | {} ms |",
            errors.len(),
            took.as_secs_f64(),
            gap.as_millis()
        );
        anyhow::ensure!(errors.is_empty(), "{:?}", &errors[..errors.len().min(3)]);
        anyhow::ensure!(
            finals.iter().all(|value| *value == total) && once as u64 == total,
            "the counter is not exact"
        );
        Ok(())
    }
}
