//! What a node says to wrong and odd requests is what a Redis says, to the letter: every command with too few
//! and too many arguments, with keys of other types, with numbers that are none; and the lines of
//! `errors/lines.txt`, about options that are repeated or contradict each other, and about connections and
//! servers.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use onecopy_harness::{Cluster, Options, PATIENCE, RedisServer, free_port};
use onecopy_keyspace::command;
use onecopy_resp::replies_length;

const LINES: &str = include_str!("errors/lines.txt");

/// Chance, time, and the order of what has none; and what Redis 7.0 says otherwise than 7.2.
const NOT_COMPARED: &[&str] = &[
    "dump",
    "fcall",
    "fcall_ro",
    "hrandfield",
    "hscan",
    "once",
    "randomkey",
    "scan",
    "spop",
    "srandmember",
    "sscan",
    "time",
    "zrandmember",
    "zrank",
    "zrevrank",
    "zscan",
    // These have a reply for each of their arguments, and change what the connection may say.
    "psubscribe",
    "punsubscribe",
    "ssubscribe",
    "subscribe",
    "sunsubscribe",
    "unsubscribe",
    // A timeout that is too large is negative to Redis 7.0.
    "blpop",
    "brpop",
    "bzpopmax",
    "bzpopmin",
];

/// What both servers have before a request.
const DATA: &[&str] = &[
    "FLUSHALL",
    "SET s hello",
    "SET n 5",
    "RPUSH l a b c",
    "SADD t 1 2 3",
    "ZADD z 1 a 2 b 3 c",
    "HSET h f v g 5",
    "XADD x 1-1 f v",
    "SETEX e 1000 v",
];

/// Arguments that make sense to nobody, each repeated as often as there is room.
const FILLINGS: &[&[&str]] = &[
    &["s"],
    &["l"],
    &["nokey"],
    &["-1"],
    &["x", "1.5"],
    &["z", "abc", "nan"],
    &["h", "9223372036854775808"],
    &["n", "0", "0"],
    &["t", "(", "["],
    &["s", "1", "2", "3", "x", "y"],
];

struct Line(TcpStream);

impl Line {
    fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self(stream)
    }

    /// The replies to so many lines, or what came before the server hung up.
    fn say(&mut self, lines: &[&str]) -> Vec<u8> {
        let said: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        self.0.write_all(said.as_bytes()).expect("said");
        let (mut heard, mut chunk) = (Vec::new(), [0; 65_536]);
        while replies_length(&heard, lines.len()) != Some(heard.len()) {
            match self.0.read(&mut chunk).expect("an answer") {
                0 => break,
                count => heard.extend_from_slice(&chunk[..count]),
            }
        }
        heard
    }
}

/// Says a line to both, on connections of its own, and compares.
struct Comparison {
    redis: SocketAddr,
    node: SocketAddr,
    lines: [Line; 2],
    differences: Vec<String>,
    count: usize,
}

impl Comparison {
    fn begin(redis: SocketAddr, node: SocketAddr) -> Self {
        let lines = [Line::to(redis), Line::to(node)];
        Self { redis, node, lines, differences: Vec::new(), count: 0 }
    }

    fn renew(&mut self) {
        self.lines = [Line::to(self.redis), Line::to(self.node)];
        self.lines.iter_mut().for_each(|line| drop(line.say(DATA)));
    }

    fn compare(&mut self, line: &str) {
        self.count += 1;
        let [expected, got] =
            self.lines.each_mut().map(|server| String::from_utf8_lossy(&server.say(&[line])).into_owned());
        if expected != got {
            self.differences.push(format!("{line}\n  redis: {expected:?}\n  node:  {got:?}"));
        }
    }

    fn end(self) {
        println!("{} requests compared", self.count);
        let Self { differences, .. } = self;
        assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
    }
}

fn servers() -> Option<(RedisServer, Cluster)> {
    if !RedisServer::is_installed() {
        return None;
    }
    let redis = RedisServer::start(free_port(), &["--enable-debug-command", "yes"]).expect("it starts");
    let options = Options { nodes: 1, copies: 1, view_nodes: 1, durability: "memory", ..Options::default() };
    Some((redis, Cluster::start(options)))
}

#[test]
fn every_command_complains_as_redis_does() {
    let Some((redis, cluster)) = servers() else { return };
    let mut comparison = Comparison::begin(redis.address(), cluster.redis_address(1));
    let mut said = BTreeSet::new();
    for spec in command::all().filter(|spec| !NOT_COMPARED.contains(&spec.name)) {
        comparison.renew();
        for count in 0..5 {
            for filling in FILLINGS {
                let words = std::iter::once(spec.name).chain(filling.iter().copied().cycle().take(count));
                let line = words.collect::<Vec<_>>().join(" ");
                if said.insert(line.clone()) {
                    comparison.compare(&line);
                }
            }
        }
    }
    assert!(comparison.count > 5_000, "{} are too few", comparison.count);
    comparison.end();
}

#[test]
fn odd_requests_are_answered_as_redis_does() {
    let Some((redis, cluster)) = servers() else { return };
    let mut comparison = Comparison::begin(redis.address(), cluster.redis_address(1));
    for line in LINES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        comparison.renew();
        comparison.compare(line);
    }
    comparison.end();
}
