//! What others notice of commands that take long: `KEYS *` over millions of keys, at the primary, and at a
//! backup; and writes, which every copy executes, a learner too.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use onecopy_harness::{Cluster, Options, RedisServer, free_port};

use crate::filling::request;
use crate::steady::{Ask, Steady, Window};

/// How many keys one `MSET` makes.
const TOGETHER: usize = 10_000;
/// How many members the sorted sets have whose union is made.
const UNION_MEMBERS: usize = 300_000;
/// How often somebody else writes meanwhile. All nodes are busy then: on few processors a write takes tens of
/// milliseconds, and more of them would queue.
const OTHERS_PER_SECOND: f64 = 40.0;
/// How long clients are watched without the command, and how long after it.
const QUIET: Duration = Duration::from_secs(5);
const AFTERWARDS: Duration = Duration::from_secs(1);
/// How much of a long reply is read at once.
const READ_BYTES: usize = 1 << 20;
/// The first number of the database that belongs to another group.
const OTHER_DATABASE: u8 = 16;

/// Measures what others wait for while `KEYS *` is executed, and whether anybody is taken for dead meanwhile.
///
/// Two copies on three nodes, and a database of another group. Clients write at a steady rate, at the
/// primary; others read at the node that is busy, or write there to the other database. Each sees first how
/// it is without the command. Beside it a redis-server that does the same.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Keys.
    #[arg(long, default_value_t = 4_000_000)]
    keys: usize,
    /// How often the command is executed, one after the other.
    #[arg(long, default_value_t = 3)]
    times: usize,
    /// Writes per second, of four clients.
    #[arg(long, default_value_t = 1_000.0)]
    per_second: f64,
    /// How many long writes follow each other, each the union of two large sorted sets.
    #[arg(long, default_value_t = 12)]
    unions: u64,
}

/// Where something is asked.
struct Place<'a> {
    name: &'static str,
    /// Where the data is written.
    write_at: SocketAddr,
    /// Where the long command is asked for.
    busy_at: SocketAddr,
    /// Whose views and copies are looked at meanwhile.
    cluster: Option<&'a Cluster>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    println!(
        "`KEYS *` over {} keys, {} times. Milliseconds without it, and with it: p99, and the longest.\n",
        arguments.keys, arguments.times
    );
    println!(
        "| where | one `KEYS *` takes | SET | GET there | SET there, another database | views | \
         copies at the worst | errors |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let databases = vec![format!("other:{OTHER_DATABASE}")];
    let cluster = Cluster::start(Options { durability: "memory", databases, ..Options::default() });
    let primary = cluster.primary();
    let backup = *cluster.report().groups[0].backups.first().context("there is no backup")?;
    let write_at = cluster.redis_address(primary);
    fill(write_at, arguments.keys)?;
    for (name, node) in [("Onecopy, at the backup", backup), ("Onecopy, at the primary", primary)] {
        let busy_at = cluster.redis_address(node);
        measure(arguments, &Place { name, write_at, busy_at, cluster: Some(&cluster) })?;
    }
    drop(cluster);
    redis(arguments)?;
    unions(arguments)
}

fn redis(arguments: &Arguments) -> anyhow::Result<()> {
    if !RedisServer::is_installed() {
        return Ok(());
    }
    let port = free_port();
    let _server = RedisServer::start(port, &["--appendonly", "no", "--databases", "32"])?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    fill(address, arguments.keys)?;
    measure(arguments, &Place { name: "Redis", write_at: address, busy_at: address, cluster: None })
}

/// Writes that all copies execute for seconds, and a third copy that is made meanwhile: it executes them too,
/// and is a member only after that. Clients write to another database, at the primary of the busy one.
fn unions(arguments: &Arguments) -> anyhow::Result<()> {
    let databases = vec![format!("other:{OTHER_DATABASE}")];
    let mut cluster = Cluster::start(Options { durability: "memory", databases, ..Options::default() });
    let primary = cluster.redis_address(cluster.primary());
    for set in ["one", "two"] {
        for first in (0..UNION_MEMBERS).step_by(TOGETHER) {
            let mut command = redis::cmd("ZADD");
            command.arg(set);
            for number in first..first + TOGETHER {
                command.arg(number).arg(format!("{set}:{number:09}"));
            }
            let () = command.query(&mut connect(primary)?)?;
        }
    }
    let ask_others = (0..2).map(|number| ask(OTHER_DATABASE, &["SET", "value"], number)).collect();
    let others = Steady::start(primary, Some(OTHERS_PER_SECOND), ask_others)?;
    std::thread::sleep(AFTERWARDS);
    others.take();
    std::thread::sleep(QUIET);
    let (without, view) = (others.take(), cluster.view());
    let began = Instant::now();
    let stream = TcpStream::connect(primary)?;
    let request = request(&["ZUNIONSTORE", "all", "2", "one", "two"]);
    (&stream).write_all(&request.repeat(usize::try_from(arguments.unions)?))?;
    cluster.must_operate(&["group", "copies", "3"]);
    let is_over = Arc::new(AtomicBool::new(false));
    let (took, copies) = std::thread::scope(|scope| {
        let looking = scope.spawn(|| fewest_copies(Some(&cluster), &is_over));
        let answered = answers(&stream, arguments.unions);
        let took = began.elapsed();
        is_over.store(true, Ordering::Relaxed);
        let copies = looking.join().expect("looking does not panic");
        answered.map(|()| (took, copies))
    })?;
    cluster.wait_until_complete();
    let (with, all) = (others.stop(), began.elapsed());
    println!(
        "\n{} unions of two sorted sets of {UNION_MEMBERS}, and a copy that is made meanwhile:\n",
        arguments.unions
    );
    println!(
        "| answered after | three copies after | SET to another database | views | copies at the worst | errors |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    println!(
        "| {:.1} s | {:.1} s | {}, {} | {view} to {} | {} | {} |",
        took.as_secs_f64(),
        all.as_secs_f64(),
        waits(&without),
        waits(&with),
        cluster.view(),
        copies.unwrap_or_default(),
        with.errors
    );
    // A view with a learner, and one in which it is a member: more would be another attempt, or a member that
    // was taken for dead.
    ensure!(cluster.view() == view + 2, "somebody who was busy was taken for dead");
    Ok(())
}

/// Waits until so many unions are answered.
fn answers(stream: &TcpStream, count: u64) -> anyhow::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    for _ in 0..count {
        let answer = lines.next().context("the connection is closed")??;
        ensure!(answer == format!(":{}", 2 * UNION_MEMBERS), "a union is answered {answer}");
    }
    Ok(())
}

/// The p99, and the longest.
fn waits(window: &Window) -> String {
    format!("{:.1} ({:.0})", window.milliseconds(0.99), window.milliseconds(1.0))
}

fn fill(address: SocketAddr, keys: usize) -> anyhow::Result<()> {
    let mut client = connect(address)?;
    for first in (0..keys).step_by(TOGETHER) {
        let mut command = redis::cmd("MSET");
        for number in first..keys.min(first + TOGETHER) {
            command.arg(format!("key:{number:012}")).arg("value");
        }
        let () = command.query(&mut client)?;
    }
    Ok(())
}

fn connect(address: SocketAddr) -> anyhow::Result<redis::Connection> {
    Ok(redis::Client::open(format!("redis://{address}/"))?.get_connection()?)
}

/// Asks again and again, in a database that it selects once.
fn ask(database: u8, words: &'static [&'static str], number: usize) -> Ask {
    let mut has_selected = false;
    Box::new(move |client| {
        if !std::mem::replace(&mut has_selected, true) {
            redis::cmd("SELECT").arg(database).query::<()>(client)?;
        }
        let mut command = redis::cmd(words[0]);
        command.arg(format!("beside:{number}")).arg(&words[1..]);
        command.query::<redis::Value>(client).map(drop)
    })
}

/// Everybody beside the long command.
struct Others {
    writers: Steady,
    readers: Steady,
    strangers: Steady,
}

impl Others {
    fn start(arguments: &Arguments, place: &Place<'_>) -> anyhow::Result<Self> {
        let set: &[&str] = &["SET", "value"];
        let writers = (0..4).map(|number| ask(0, set, number)).collect();
        let readers = (0..2).map(|number| ask(0, &["GET"], number)).collect();
        let strangers = (0..2).map(|number| ask(OTHER_DATABASE, set, number)).collect();
        Ok(Self {
            writers: Steady::start(place.write_at, Some(arguments.per_second), writers)?,
            readers: Steady::start(place.busy_at, Some(200.0), readers)?,
            strangers: Steady::start(place.busy_at, Some(200.0), strangers)?,
        })
    }

    fn take(&self) -> [Window; 3] {
        [self.writers.take(), self.readers.take(), self.strangers.take()]
    }

    fn stop(self) -> [Window; 3] {
        [self.writers.stop(), self.readers.stop(), self.strangers.stop()]
    }
}

fn measure(arguments: &Arguments, place: &Place<'_>) -> anyhow::Result<()> {
    // The first time is that of the machine: a page of memory that a virtual machine has never used takes
    // milliseconds.
    keys(place.busy_at, arguments.keys)?;
    let others = Others::start(arguments, place)?;
    std::thread::sleep(AFTERWARDS);
    others.take();
    std::thread::sleep(QUIET);
    let without = others.take();
    let view = place.cluster.map(Cluster::view);
    let is_over = Arc::new(AtomicBool::new(false));
    let (takes, copies) = std::thread::scope(|scope| {
        let looking = scope.spawn(|| fewest_copies(place.cluster, &is_over));
        let takes: anyhow::Result<Vec<f64>> =
            (0..arguments.times).map(|_| keys(place.busy_at, arguments.keys)).collect();
        std::thread::sleep(AFTERWARDS);
        is_over.store(true, Ordering::Relaxed);
        (takes, looking.join().expect("looking does not panic"))
    });
    let (with, takes) = (others.stop(), takes?);
    let column = |kind: usize| [&without[kind], &with[kind]].map(waits).join(", ");
    let views = place.cluster.zip(view).map(|(cluster, before)| format!("{before} to {}", cluster.view()));
    println!(
        "| {} | {:.0} | {} | {} | {} | {} | {} | {} |",
        place.name,
        crate::median::median(takes),
        column(0),
        column(1),
        column(2),
        views.unwrap_or_default(),
        copies.map(|copies| copies.to_string()).unwrap_or_default(),
        with.iter().map(|window| window.errors).sum::<u64>(),
    );
    Ok(())
}

/// One long command; how many milliseconds it takes. Names are counted and not kept: to make values of
/// millions of them would take longer than the command, on the processors that all share.
fn keys(address: SocketAddr, at_least: usize) -> anyhow::Result<f64> {
    let client = TcpStream::connect(address)?;
    let began = Instant::now();
    (&client).write_all(&request(&["KEYS", "*"]))?;
    let mut reply = BufReader::with_capacity(READ_BYTES, client);
    let mut header = String::new();
    reply.read_line(&mut header)?;
    let count = header.strip_prefix('*').and_then(|rest| rest.trim_end().parse().ok());
    let count: usize = count.with_context(|| format!("KEYS is answered {header}"))?;
    ensure!(count >= at_least, "{count} keys");
    // A length and a name, each in a line.
    let mut lines = 2 * count;
    while lines > 0 {
        let bytes = reply.fill_buf()?;
        ensure!(!bytes.is_empty(), "the reply ends too early");
        let (length, ends) = (bytes.len(), bytes.iter().filter(|byte| **byte == b'\n').count());
        lines = lines.saturating_sub(ends);
        reply.consume(length);
    }
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

/// How many copies there were at the worst, until it is over.
fn fewest_copies(cluster: Option<&Cluster>, is_over: &AtomicBool) -> Option<usize> {
    let cluster = cluster?;
    let mut fewest = usize::MAX;
    while !is_over.load(Ordering::Relaxed) {
        let groups = cluster.report().groups;
        fewest = fewest.min(groups.first().map_or(0, |group| 1 + group.backups.len()));
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(fewest)
}
