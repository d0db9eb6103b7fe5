//! What publishing costs: how many messages get to many subscribers, and how long each is on its way.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::BytesMut;
use hdrhistogram::Histogram;
use onecopy_harness::{Cluster, Options, RedisServer, free_port};
use onecopy_resp::replies_length;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::open_files;

/// How long nobody may hear anything before what is missing counts as lost.
const SILENCE: Duration = Duration::from_secs(5);

/// Measures publishing to many subscribers, on all nodes of a cluster with two copies, and beside it on a
/// redis-server. First as fast as the publishers can, then at a steady rate: how long a message is on its
/// way, from the client that publishes it to each that hears it.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Subscribers, on all nodes together.
    #[arg(long, default_value_t = 1_000)]
    subscribers: usize,
    /// Channels: each subscriber listens to one.
    #[arg(long, default_value_t = 100)]
    channels: usize,
    /// Nodes.
    #[arg(long, default_value_t = 3)]
    nodes: u32,
    /// Messages that are published as fast as possible.
    #[arg(long, default_value_t = 50_000)]
    messages: u64,
    /// Bytes of a message.
    #[arg(long, default_value_t = 64)]
    bytes: usize,
    /// Publishers, on all nodes together.
    #[arg(long, default_value_t = 6)]
    publishers: usize,
    /// Commands in a pipeline.
    #[arg(long, default_value_t = 16)]
    pipeline: u64,
    /// Messages per second, when it is measured how long they are on their way.
    #[arg(long, default_value_t = 200.0)]
    per_second: f64,
    /// For how long, in seconds.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

/// What all subscribers have heard.
struct Heard {
    began: Instant,
    count: AtomicU64,
    latency: std::cell::RefCell<Histogram<u64>>,
}

/// What came of a system.
struct Outcome {
    published: f64,
    delivered: f64,
    lost: u64,
    p50: f64,
    p99: f64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    open_files::allow((arguments.subscribers + arguments.publishers) as u64)?;
    let per_channel = arguments.subscribers / arguments.channels.max(1);
    println!(
        "{} subscribers, about {per_channel} for each channel; {} publishers, pipelines of {}, {} bytes. Latency at {} messages \
         per second.\n",
        arguments.subscribers,
        arguments.publishers,
        arguments.pipeline,
        arguments.bytes,
        arguments.per_second
    );
    println!("| system | published per second | heard per second | lost | p50, ms | p99, ms |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let ours = {
        let options = Options { nodes: arguments.nodes, durability: "memory", ..Options::default() };
        let copies = options.copies.min(arguments.nodes);
        let cluster = Cluster::start(Options { copies, ..options });
        let addresses: Vec<SocketAddr> = (1..=arguments.nodes).map(|id| cluster.redis_address(id)).collect();
        (1..=arguments.nodes).for_each(|id| cluster.wait_until_serving(id));
        measure("Onecopy", &addresses, arguments)?
    };
    if RedisServer::is_installed() {
        let redis = RedisServer::start(free_port(), &["--save", ""])?;
        let theirs = measure("Redis", &[redis.address()], arguments)?;
        println!(
            "\nRatio to Redis: {:.2} published, {:.2} heard, {:.1} times as long at the median.",
            ours.published / theirs.published,
            ours.delivered / theirs.delivered,
            ours.p50 / theirs.p50,
        );
    }
    Ok(())
}

fn measure(name: &str, addresses: &[SocketAddr], arguments: &Arguments) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = LocalSet::new().block_on(&runtime, both(addresses, arguments))?;
    println!(
        "| {name} | {:.0} | {:.0} | {} | {:.2} | {:.2} |",
        outcome.published, outcome.delivered, outcome.lost, outcome.p50, outcome.p99
    );
    Ok(outcome)
}

/// As fast as possible, and then at a steady rate.
async fn both(addresses: &[SocketAddr], arguments: &Arguments) -> anyhow::Result<Outcome> {
    let latency = Histogram::new(3).context("three digits are possible")?.into();
    let heard = Rc::new(Heard { began: Instant::now(), count: AtomicU64::new(0), latency });
    let mut listeners = Vec::new();
    for (number, address) in (0..arguments.subscribers).zip(addresses.iter().cycle()) {
        let channel = number % arguments.channels.max(1);
        let stream = subscribe(*address, channel).await?;
        listeners.push(tokio::task::spawn_local(listen(stream, heard.clone())));
    }
    let began = Instant::now();
    let mut publishers = Vec::new();
    for (number, address) in (0..arguments.publishers).zip(addresses.iter().cycle()) {
        let messages = arguments.messages / arguments.publishers as u64;
        let work = publish(*address, (number, messages), arguments, heard.began, None);
        publishers.push(work);
    }
    let expected = all(publishers).await?;
    let published = (arguments.messages as f64) / began.elapsed().as_secs_f64();
    let (came, took) = settle(&heard, expected, began).await;
    let delivered = came as f64 / took.as_secs_f64();

    heard.count.store(0, Ordering::Relaxed);
    heard.latency.borrow_mut().reset();
    let interval = Duration::from_secs_f64(1.0 / arguments.per_second);
    let messages = (arguments.per_second * arguments.seconds) as u64;
    let work = publish(addresses[0], (0, messages), arguments, heard.began, Some(interval));
    let steady = all(vec![work]).await?;
    let (heard_steady, _) = settle(&heard, steady, Instant::now()).await;
    let latency = heard.latency.borrow();
    let ms = |quantile| latency.value_at_quantile(quantile) as f64 / 1e6;
    let lost = (expected + steady).saturating_sub(came + heard_steady);
    listeners.iter().for_each(|listener| listener.abort());
    Ok(Outcome { published, delivered, lost, p50: ms(0.5), p99: ms(0.99) })
}

/// Runs publishers beside each other; how many are to hear of all that they have published.
async fn all(work: Vec<impl Future<Output = anyhow::Result<u64>>>) -> anyhow::Result<u64> {
    let mut sum = 0;
    let mut work: Vec<_> = work.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|context| {
        let mut failure = None;
        work.retain_mut(|one| match one.as_mut().poll(context) {
            std::task::Poll::Ready(Ok(count)) => {
                sum += count;
                false
            }
            std::task::Poll::Ready(Err(error)) => {
                failure = Some(error);
                false
            }
            std::task::Poll::Pending => true,
        });
        match failure {
            Some(error) => std::task::Poll::Ready(Err(error)),
            None if work.is_empty() => std::task::Poll::Ready(Ok(())),
            None => std::task::Poll::Pending,
        }
    })
    .await?;
    Ok(sum)
}

/// Waits until so many have heard something, or nobody does any more; how many have, and how long that took.
async fn settle(heard: &Heard, expected: u64, began: Instant) -> (u64, Duration) {
    let (mut count, mut since) = (0, Instant::now());
    loop {
        let now = heard.count.load(Ordering::Relaxed);
        if now > count {
            (count, since) = (now, Instant::now());
        }
        if count >= expected || since.elapsed() > SILENCE {
            return (count, since - began);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn subscribe(address: SocketAddr, channel: usize) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(format!("SUBSCRIBE channel{channel}\r\n").as_bytes()).await?;
    let mut reply = BytesMut::new();
    while replies_length(&reply, 1).is_none() {
        ensure!(stream.read_buf(&mut reply).await? > 0, "the server hung up");
    }
    ensure!(reply.starts_with(b"*3\r\n"), "nobody may subscribe: {}", reply.escape_ascii());
    Ok(stream)
}

/// Hears messages, each of which begins with the time at which it was sent.
async fn listen(mut stream: TcpStream, heard: Rc<Heard>) {
    let mut input = BytesMut::new();
    while stream.read_buf(&mut input).await.is_ok_and(|count| count > 0) {
        let now = nanoseconds(heard.began);
        while let Some(length) = replies_length(&input, 1) {
            let message = input.split_to(length);
            let payload = message[..].split(|byte| *byte == b'\n').nth(6).unwrap_or_default();
            let text = payload.split(|byte| *byte == b' ').next().unwrap_or_default();
            let sent = std::str::from_utf8(text).ok().and_then(|text| text.parse::<u64>().ok());
            if let Some(sent) = sent {
                let mut latency = heard.latency.borrow_mut();
                latency.record(now.saturating_sub(sent)).expect("histograms grow");
            }
            heard.count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Publishes messages, with an `interval` or as fast as it can; how many are to hear of them.
async fn publish(
    address: SocketAddr,
    (number, messages): (usize, u64),
    arguments: &Arguments,
    began: Instant,
    interval: Option<Duration>,
) -> anyhow::Result<u64> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut receivers, mut done, mut input) = (0, 0, BytesMut::new());
    let channels = arguments.channels.max(1) as u64;
    let pipeline = if interval.is_some() { 1 } else { arguments.pipeline.max(1) };
    let mut due = tokio::time::Instant::now();
    while done < messages {
        if let Some(interval) = interval {
            tokio::time::sleep_until(due).await;
            due += interval;
        }
        let count = pipeline.min(messages - done);
        let mut commands = Vec::new();
        for at in done..done + count {
            let channel = format!("channel{}", (at + number as u64) % channels);
            let mut payload = format!("{} ", nanoseconds(began)).into_bytes();
            payload.resize(arguments.bytes.max(payload.len()), b'x');
            let header =
                format!("*3\r\n$7\r\nPUBLISH\r\n${}\r\n{channel}\r\n${}\r\n", channel.len(), payload.len());
            commands.extend_from_slice(header.as_bytes());
            commands.extend_from_slice(&payload);
            commands.extend_from_slice(b"\r\n");
        }
        stream.write_all(&commands).await?;
        for _ in 0..count {
            let length = loop {
                if let Some(length) = replies_length(&input, 1) {
                    break length;
                }
                ensure!(stream.read_buf(&mut input).await? > 0, "the server hung up");
            };
            let reply = input.split_to(length);
            let heard = reply.strip_prefix(b":").and_then(|reply| reply.strip_suffix(b"\r\n"));
            let heard = heard.and_then(|text| std::str::from_utf8(text).ok()?.parse::<u64>().ok());
            receivers += heard.with_context(|| format!("PUBLISH is answered {}", reply.escape_ascii()))?;
        }
        done += count;
    }
    Ok(receivers)
}
