//! Hostile input on the client port and on the peer port: clear errors or closed connections, bounded memory,
//! and other clients are served all the time.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use onecopy_harness::{Cluster, Options, wait};
use rand::RngExt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const MIB: u64 = 1024 * 1024;

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    stream.set_write_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    stream
}

/// Sends bytes and returns everything that comes back until the server hangs up, or says nothing for a while.
fn send(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(address);
    stream.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    // The server may hang up in the middle: that is its right.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count) = stream.read(&mut buffer) {
        if count == 0 {
            break;
        }
        answer.extend_from_slice(&buffer[..count]);
    }
    answer
}

fn text(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer).into_owned()
}

fn random_bytes(count: usize) -> Vec<u8> {
    let mut rng = rand::rng();
    (0..count).map(|_| rng.random()).collect()
}

/// Another client is served.
fn assert_served(cluster: &Cluster, id: u32) {
    let mut client = cluster.client(id);
    let started = Instant::now();
    let _: () = redis::cmd("SET").arg("served").arg(1).query(&mut client).expect("SET");
    let value: u64 = redis::cmd("GET").arg("served").query(&mut client).expect("GET");
    assert_eq!(value, 1);
    assert!(started.elapsed() < Duration::from_secs(5), "served, but only after {:?}", started.elapsed());
}

#[test]
fn nonsense_on_the_client_port_gets_an_error_and_hurts_nobody() {
    let cluster = Cluster::start(Options::default());
    let primary = cluster.primary();
    let address = cluster.redis_address(primary);
    let before = cluster.resident(primary);
    let nested = "*1\r\n".repeat(200_000);
    let cases: [(&str, &[u8], &str); 8] = [
        ("a huge number of arguments", b"*2147483648\r\n", "-ERR Protocol error: invalid multibulk length"),
        ("a negative length", b"*1\r\n$-5\r\n", "-ERR Protocol error: invalid bulk length"),
        (
            "a huge argument",
            b"*2\r\n$3\r\nGET\r\n$99999999999\r\n",
            "-ERR Protocol error: invalid bulk length",
        ),
        ("no length", b"*x\r\n", "-ERR Protocol error: invalid multibulk length"),
        ("no bulk string", b"*1\r\n:1\r\n", "-ERR Protocol error: expected '$', got ':'"),
        ("deep nesting", nested.as_bytes(), "-ERR Protocol error: expected '$', got '*'"),
        ("unbalanced quotes", b"SET \"a\r\n", "-ERR Protocol error: unbalanced quotes in request"),
        ("an unknown command", b"*1\r\n$4\r\nNOPE\r\n", "-ERR unknown command 'NOPE'"),
    ];
    for (what, bytes, expected) in cases {
        let answer = text(&send(address, bytes));
        assert!(answer.starts_with(expected), "{what}: {answer:?}");
    }
    let endless = vec![b'x'; 10 * MIB as usize];
    assert!(text(&send(address, &endless)).contains("too big inline request"));
    for size in [1, 10, 100, 1_000, 100_000] {
        for _ in 0..20 {
            send_and_forget(address, &random_bytes(size));
        }
    }
    assert_served(&cluster, primary);
    // Lengths that are announced but not sent cost nothing.
    let announcing: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = connect(address);
            stream
                .write_all(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$60000000\r\nbeginning")
                .expect("a half command");
            stream
        })
        .collect();
    assert_served(&cluster, primary);
    let grown = cluster.resident(primary).saturating_sub(before);
    println!("{} MiB more after nonsense, with {} half commands open", grown / MIB, announcing.len());
    assert!(grown < 200 * MIB, "memory grew by {} MiB", grown / MIB);
    drop(announcing);
    wait("half commands are forgotten", Duration::from_secs(5), || {
        clients(&cluster, primary).le(&5).then_some(())
    });
}

/// Sends without waiting for anything.
fn send_and_forget(address: SocketAddr, bytes: &[u8]) {
    let mut stream = connect(address);
    let _ = stream.write_all(bytes);
}

fn clients(cluster: &Cluster, id: u32) -> u64 {
    let info: String = redis::cmd("INFO").arg("clients").query(&mut cluster.client(id)).expect("INFO");
    let line =
        info.lines().find_map(|line| line.strip_prefix("connected_clients:")).expect("connected_clients");
    line.trim().parse().expect("a number")
}

#[test]
fn slow_senders_and_slow_readers_hold_up_nobody_else() {
    let settings = vec![("limits-output-stall-seconds", "2".to_owned())];
    let cluster = Cluster::start(Options { settings, ..Options::default() });
    let primary = cluster.primary();
    let address = cluster.redis_address(primary);
    // One byte at a time, over many connections.
    let command = b"*3\r\n$3\r\nSET\r\n$4\r\nslow\r\n$2\r\nok\r\n";
    let mut slow: Vec<TcpStream> = (0..100).map(|_| connect(address)).collect();
    for byte in command {
        for stream in &mut slow {
            stream.write_all(&[*byte]).expect("one byte");
        }
        assert_served(&cluster, primary);
    }
    for stream in &mut slow {
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"+OK\r\n");
    }
    // Readers that do not read: 100 replies of 1 MiB each, for each of 20 connections.
    let mut client = cluster.client(primary);
    let _: () = redis::cmd("SET").arg("big").arg(vec![b'x'; MIB as usize]).query(&mut client).expect("SET");
    let before = cluster.resident(primary);
    let deaf: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = connect(address);
            stream.write_all(&b"*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n".repeat(100)).expect("requests");
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_secs(1));
    assert_served(&cluster, primary);
    let grown = cluster.resident(primary).saturating_sub(before);
    println!("{} MiB more with {} clients that do not read 100 MiB each", grown / MIB, deaf.len());
    wait("deaf clients are given up", Duration::from_secs(15), || {
        clients(&cluster, primary).le(&110).then_some(())
    });
    assert_served(&cluster, primary);
}

#[test]
fn ten_thousand_connections_are_served_and_one_more_is_told_so() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .expect("more files");
    let wanted = 10_000.min(limit.maximum.map_or(10_000, |maximum| maximum.saturating_sub(500)) as usize);
    let settings = vec![("limits-clients", wanted.to_string())];
    let cluster = Cluster::start(Options { settings, ..Options::default() });
    let id = cluster.primary();
    let before = cluster.resident(id);
    let mut streams: Vec<TcpStream> = (0..wanted).map(|_| connect(cluster.redis_address(id))).collect();
    for stream in &mut streams {
        stream.write_all(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n").expect("a request");
    }
    for stream in &mut streams {
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"$-1\r\n");
    }
    let grown = cluster.resident(id).saturating_sub(before);
    println!("{} KiB for each of {wanted} idle connections", grown / 1024 / wanted as u64);
    assert!(grown < 300 * MIB, "memory grew by {} MiB", grown / MIB);
    let answer = text(&send(cluster.redis_address(id), b"PING\r\n"));
    assert_eq!(answer, "-ERR max number of clients reached\r\n");
    // Clients of other nodes are served meanwhile.
    let other = cluster.ids().into_iter().find(|other| *other != id).expect("another node");
    assert_served(&cluster, other);
    drop(streams);
    wait("the connections are gone", Duration::from_secs(10), || cluster.try_client(id).ok());
    assert_served(&cluster, id);
}

#[test]
fn nonsense_on_the_peer_port_is_turned_away() {
    let cluster = Cluster::start(Options::default());
    let view = cluster.view();
    let primary = cluster.primary();
    let address = cluster.peer_address(primary);
    let before = cluster.resident(primary);
    let huge = [b"1cpy".as_slice(), &u32::MAX.to_le_bytes(), &[0; 4]].concat();
    let cases: [(&str, Vec<u8>); 5] = [
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("RESP", b"*1\r\n$4\r\nPING\r\n".to_vec()),
        ("random bytes", random_bytes(1_000_000)),
        ("a huge length", huge),
        ("a wrong checksum", [b"1cpy".as_slice(), &8u32.to_le_bytes(), &[0; 12]].concat()),
    ];
    for (what, bytes) in cases {
        let started = Instant::now();
        let mut stream = connect(address);
        let _ = stream.write_all(&bytes);
        let mut answer = [0; 16];
        match stream.read(&mut answer) {
            Ok(0) => {}
            Ok(count) => panic!("{what}: answered {:?}", &answer[..count]),
            Err(error) => {
                let closed = matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
                assert!(closed, "{what}: {error}");
            }
        }
        assert!(
            started.elapsed() < Duration::from_secs(3),
            "{what}: hung up only after {:?}",
            started.elapsed()
        );
    }
    // Many that begin and do not go on: they are given two seconds, and the cluster does not notice.
    let silent: Vec<TcpStream> = (0..500)
        .map(|_| {
            let mut stream = connect(address);
            stream.write_all(b"1cpy").expect("a beginning");
            stream
        })
        .collect();
    for _ in 0..50 {
        send_and_forget(address, &random_bytes(10_000));
    }
    assert_served(&cluster, primary);
    std::thread::sleep(Duration::from_secs(3));
    drop(silent);
    let grown = cluster.resident(primary).saturating_sub(before);
    println!("{} MiB more after nonsense from peers", grown / MIB);
    assert!(grown < 100 * MIB, "memory grew by {} MiB", grown / MIB);
    assert_eq!(cluster.view(), view, "nonsense changed a view");
    assert_served(&cluster, primary);
}

#[test]
fn a_full_memory_refuses_what_needs_more_and_says_so() {
    let settings = vec![("maxmemory", "2000000".to_owned())];
    let cluster = Cluster::start(Options { settings, ..Options::default() });
    let mut client = cluster.client(cluster.primary());
    let refused = (0..100).find_map(|number| {
        let value = vec![b'x'; 100_000];
        redis::cmd("SET").arg(format!("k{number}")).arg(value).query::<()>(&mut client).err()
    });
    let error = refused.expect("the limit is reached");
    assert_eq!(error.code(), Some("OOM"), "{error}");
    let deleted: u64 = redis::cmd("DEL").arg("k0").arg("k1").arg("k2").query(&mut client).expect("DEL");
    assert_eq!(deleted, 3);
    let _: () = redis::cmd("SET").arg("k0").arg("fits").query(&mut client).expect("there is room again");
}
