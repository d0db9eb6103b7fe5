//! Transactions, with real processes: what a node answers is what Redis does, and whatever dies, nobody sees
//! half of one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use onecopy_harness::{Cluster, Options, RedisServer, free_port, run, try_run};
use onecopy_resp::replies_length;

/// A connection that says lines and hears replies, byte for byte.
struct Line(TcpStream);

impl Line {
    fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        Self(stream)
    }

    /// Says lines at once; so many replies.
    fn say(&mut self, lines: &[&str]) -> String {
        let said: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        self.0.write_all(said.as_bytes()).expect("said");
        let (mut heard, mut chunk) = (Vec::new(), [0; 4096]);
        while replies_length(&heard, lines.len()) != Some(heard.len()) {
            let count = self.0.read(&mut chunk).expect("an answer");
            assert!(count > 0, "{said:?}: hung up after {:?}", String::from_utf8_lossy(&heard));
            heard.extend_from_slice(&chunk[..count]);
        }
        String::from_utf8(heard).expect("text")
    }
}

/// What is said on one of two connections, in order. Lines that belong together are sent together.
const SCRIPT: &[(usize, &[&str])] = &[
    (0, &["EXEC"]),
    (0, &["DISCARD"]),
    (0, &["MULTI x"]),
    (0, &["WATCH"]),
    (0, &["MULTI", "EXEC"]),
    (0, &["MULTI", "SET a 1", "INCR a", "LPUSH a x", "GET a", "EXEC"]),
    (0, &["MULTI", "SET a 7", "DISCARD", "GET a"]),
    (0, &["MULTI", "MULTI", "WATCH a", "SET a 3", "EXEC"]),
    (0, &["MULTI", "SET a", "SET a 4", "EXEC", "EXEC", "GET a"]),
    (0, &["MULTI", "NONSENSE x", "EXEC", "GET a"]),
    (0, &["MULTI", "WATCH", "EXEC"]),
    (0, &["MULTI", "EXEC now", "DISCARD"]),
    (0, &["MULTI", "DISCARD now", "EXEC"]),
    (0, &["MULTI", "PING", "ECHO hello", "PING hello", "SET b 1", "ECHO end", "EXEC"]),
    (0, &["MULTI", "PING a b c", "EXEC"]),
    (0, &["MULTI", "SELECT 3", "SET c 3", "SELECT 99", "SELECT x", "SELECT", "DISCARD", "GET c"]),
    (0, &["MULTI", "SELECT 3", "SET c 3", "SELECT 99", "SELECT x", "EXEC", "GET c", "SELECT 0", "GET c"]),
    (0, &["MULTI", "MOVE a 99", "COPY a a", "SWAPDB 0 77", "EXEC"]),
    (0, &["MULTI", "UNWATCH", "EXEC", "UNWATCH"]),
    (0, &["MULTI", "SET a 1", "RESET", "EXEC"]),
    (0, &["HELLO PROTOCOL"]),
    (0, &["SET a 1", "WATCH a b", "WATCH a", "GET a", "MULTI", "INCR a", "EXEC"]),
    (0, &["WATCH a"]),
    (1, &["SET a 5"]),
    (0, &["MULTI", "INCR a", "PING", "EXEC", "GET a"]),
    (0, &["MULTI", "INCR a", "EXEC"]),
    (0, &["WATCH a", "UNWATCH"]),
    (1, &["SET a 6"]),
    (0, &["MULTI", "INCR a", "EXEC"]),
    (0, &["WATCH a", "MULTI", "DISCARD"]),
    (1, &["SET a 7"]),
    (0, &["MULTI", "INCR a", "EXEC"]),
    (0, &["WATCH a"]),
    (1, &["SET a 8"]),
    (0, &["RESET"]),
    (0, &["HELLO PROTOCOL"]),
    (0, &["MULTI", "INCR a", "EXEC"]),
    (0, &["WATCH a nothing"]),
    (1, &["MULTI", "SET nothing x", "DEL nothing", "EXEC"]),
    (0, &["MULTI", "INCR a", "EXEC"]),
    (0, &["WATCH a"]),
    (1, &["SELECT 1", "SET a other", "SELECT 0"]),
    (0, &["MULTI", "HSET h f v", "HGETALL h", "SMEMBERS nothing", "ZADD z 1.5 m", "ZSCORE z m", "EXEC"]),
    (0, &["WATCH h", "WATCH z"]),
    (1, &["FLUSHALL"]),
    (0, &["MULTI", "EXEC"]),
    (0, &["WATCH h"]),
    (1, &["FLUSHALL"]),
    (0, &["MULTI", "EXEC"]),
    (0, &["MULTI", "QUIT"]),
];

fn play(addresses: [SocketAddr; 2], protocol: &str) -> Vec<String> {
    let mut lines = addresses.map(Line::to);
    let mut heard = Vec::new();
    for (who, said) in SCRIPT {
        if said.iter().any(|line| line.starts_with("HELLO")) {
            // What it says of the server differs.
            let hello = format!("HELLO {protocol}");
            assert!(lines[*who].say(&[hello.as_str()]).contains("proto"));
            continue;
        }
        heard.push(lines[*who].say(said));
    }
    heard
}

#[test]
fn nodes_answer_transactions_as_redis_does() {
    let Ok(redis) = RedisServer::start(free_port(), &[]) else {
        println!("there is no redis-server on the path: nothing to compare with, the test is skipped");
        return;
    };
    let cluster = Cluster::start(Options::default());
    for protocol in ["2", "3"] {
        let expected = play([redis.address(); 2], protocol);
        for (one, other) in [(1, 2), (3, 1), (2, 2)] {
            let got = play([one, other].map(|id| cluster.redis_address(id)), protocol);
            let said = SCRIPT.iter().filter(|(_, said)| !said.iter().any(|line| line.starts_with("HELLO")));
            for (((_, said), expected), got) in said.zip(&expected).zip(&got) {
                assert_eq!(expected, got, "{said:?} in RESP{protocol} at nodes {one} and {other}");
            }
        }
    }
}

#[test]
fn what_cannot_be_in_a_transaction_is_refused() {
    let databases = ["carts:16", "stock:17-20"].map(str::to_owned).to_vec();
    let cluster = Cluster::start(Options { databases, ..Options::default() });
    let mut line = Line::to(cluster.redis_address(1));
    let mut refused = |lines: &[&str], reason: &str| {
        let heard = line.say(lines);
        assert!(heard.contains(reason), "{lines:?}: {heard}");
        assert!(
            heard.ends_with("-EXECABORT Transaction discarded because of previous errors.\r\n"),
            "{heard}"
        );
    };
    for command in ["HELLO 3", "AUTH x", "FAILOVER"] {
        refused(&["MULTI", command, "EXEC"], "-ERR Command not allowed inside a transaction");
    }
    refused(&["MULTI", "SET a 1", "ONCE t EXEC", "EXEC"], "-ERR ONCE is put in front of each command");
    refused(&["MULTI", "SET a 1", "SELECT 17", "SET a 1", "EXEC"], "EXEC cannot span databases");
    refused(&["MULTI", "FLUSHALL", "EXEC"], "FLUSHALL cannot span databases");
    refused(&["MULTI", "MOVE a 17", "EXEC"], "MOVE cannot span databases");
    refused(&["WATCH a", "SELECT 16", "MULTI", "GET a", "EXEC"], "EXEC cannot span databases");
    let heard = line.say(&["SELECT 0", "WATCH a", "SELECT 17", "WATCH a", "UNWATCH", "WATCH a", "UNWATCH"]);
    assert!(
        heard.contains("-ERR WATCH cannot span databases") && heard.matches("+OK").count() == 6,
        "{heard}"
    );
    // Whatever has no data of another group in it may go to where it is.
    let heard =
        line.say(&["SELECT 0", "MULTI", "SELECT 18", "SET a 1", "SELECT 20", "GET a", "EXEC", "GET a"]);
    assert!(heard.ends_with("*4\r\n+OK\r\n+OK\r\n+OK\r\n$-1\r\n$-1\r\n"), "{heard}");
    assert_eq!(run::<Option<u8>>(&mut cluster.client_in(2, 18), "GET a"), Some(1));
    // What is queued is bounded, and shown.
    let mut other = cluster.client(1);
    line.say(&["MULTI", "PING", "PING"]);
    let list: String = run(&mut other, "CLIENT LIST");
    assert!(list.contains(" multi=2 ") && list.contains(" multi=-1 "), "{list}");
    line.say(&["EXEC"]);
    let list: String = run(&mut other, "CLIENT LIST");
    assert!(!list.contains(" multi=2 "), "{list}");
}

/// A client that moves one from an account to another, and counts it, until it is told to stop; how often it
/// did.
fn transfer(address: SocketAddr, stop: &AtomicBool) -> i64 {
    let mut line = Line::to(address);
    let mut count = 0;
    while !stop.load(Ordering::SeqCst) {
        let heard = line.say(&["MULTI", "DECRBY from 1", "INCRBY to 1", "INCR transfers", "EXEC"]);
        assert!(heard.contains("*3\r\n:-"), "{heard}");
        count += 1;
    }
    count
}

/// A client that reads a number and writes the next one, if nobody has meanwhile; how often it did.
fn count_up(address: SocketAddr, stop: &AtomicBool) -> i64 {
    let mut line = Line::to(address);
    let mut count = 0;
    while !stop.load(Ordering::SeqCst) {
        let heard = line.say(&["WATCH counter", "GET counter"]);
        let number: i64 = heard.lines().last().and_then(|text| text.parse().ok()).unwrap_or(0);
        let next = format!("SET counter {}", number + 1);
        let heard = line.say(&["MULTI", &next, "EXEC"]);
        match heard.strip_prefix("+OK\r\n+QUEUED\r\n") {
            Some("*1\r\n+OK\r\n") => count += 1,
            Some("*-1\r\n") => {}
            _ => panic!("{heard}"),
        }
    }
    count
}

/// A client that looks at the accounts in a transaction of reads: the sum never changes.
fn audit(address: SocketAddr, stop: &AtomicBool) -> i64 {
    let mut line = Line::to(address);
    let mut count = 0;
    while !stop.load(Ordering::SeqCst) {
        let heard = line.say(&["MULTI", "GET from", "GET to", "GET transfers", "EXEC"]);
        let numbers: Vec<i64> = heard.lines().skip(5).filter_map(|text| text.parse().ok()).collect();
        let [from, to, transfers] = numbers[..] else { panic!("{heard}") };
        assert_eq!((from, to), (-transfers, transfers), "half of a transfer");
        count += 1;
    }
    count
}

#[test]
fn nobody_sees_half_of_a_transaction_whoever_dies() {
    let mut cluster = Cluster::start(Options::default());
    for round in 0..2 {
        let victim = cluster.primary();
        let survivors: Vec<SocketAddr> = cluster
            .data_ids()
            .into_iter()
            .filter(|id| *id != victim)
            .map(|id| cluster.redis_address(id))
            .collect();
        let _: () = run(&mut cluster.client(victim), "FLUSHALL");
        let _: () = run(&mut cluster.client(victim), "MSET from 0 to 0 transfers 0 counter 0");
        let stop = AtomicBool::new(false);
        let clients: [fn(SocketAddr, &AtomicBool) -> i64; 3] = [transfer, count_up, audit];
        let counts: Vec<i64> = std::thread::scope(|scope| {
            let running: Vec<_> = clients
                .iter()
                .flat_map(|client| survivors.iter().map(move |survivor| (client, *survivor)))
                .map(|(client, survivor)| {
                    let stop = &stop;
                    scope.spawn(move || client(survivor, stop))
                })
                .collect();
            std::thread::sleep(Duration::from_millis(500));
            cluster.kill(victim);
            cluster.wait_for_other_primary(victim);
            std::thread::sleep(Duration::from_millis(500));
            stop.store(true, Ordering::SeqCst);
            running.into_iter().map(|client| client.join().expect("a client")).collect()
        });
        let mut client =
            cluster.client(cluster.data_ids().into_iter().find(|id| *id != victim).expect("one"));
        let (transfers, counted) = (counts[0] + counts[1], counts[2] + counts[3]);
        let found: Vec<i64> = run(&mut client, "MGET from to transfers counter");
        assert_eq!(found, [-transfers, transfers, transfers, counted], "each once, and as a whole");
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        println!("round {round}: {transfers} transfers, {counted} counted, {counts:?}");
        cluster.start_node(victim);
        cluster.wait_until_serving(victim);
        cluster.wait_until_complete();
    }
}

#[test]
fn libraries_have_their_transactions() {
    let cluster = Cluster::start(Options::default());
    let mut client = cluster.client(2);
    let replies: (String, i64, Vec<String>) = redis::pipe()
        .atomic()
        .cmd("SET")
        .arg("key")
        .arg(1)
        .cmd("INCR")
        .arg("key")
        .cmd("MGET")
        .arg("key")
        .arg("key")
        .query(&mut client)
        .expect("a transaction");
    assert_eq!(replies, ("OK".to_owned(), 2, vec!["2".to_owned(), "2".to_owned()]));
    let mut other = cluster.client(3);
    let mut attempts = 0;
    let (last,): (i64,) = redis::transaction(&mut client, &["key"], |client, pipe| {
        let value: i64 = redis::cmd("GET").arg("key").query(client)?;
        attempts += 1;
        if attempts == 1 {
            run::<i64>(&mut other, "INCRBY key 10");
        }
        pipe.cmd("INCRBY").arg("key").arg(value).query(client)
    })
    .expect("a transaction that is tried again");
    assert_eq!((last, attempts), (24, 2));
    assert!(try_run::<i64>(&mut client, "EXEC").is_err(), "none is left");
}
