//! Clients of Redis Sentinel: what they are told has the shape that a Sentinel gives it, they find the
//! primary through failovers, and hear of them.

mod shapes;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use onecopy_harness::{Cluster, Options, PATIENCE, RedisServer, free_port, run, try_run, wait};
use redis::{Connection, ProtocolVersion, Value};
use shapes::{connect, shape};

const MASTER: &str = "mymaster";

fn options() -> Options {
    let settings = vec![("sentinel-alias", MASTER.to_owned())];
    Options { sentinel: true, settings, ..Options::default() }
}

fn sentinel(cluster: &Cluster, id: u32) -> Connection {
    connect(cluster.sentinel_address(id), ProtocolVersion::RESP2)
}

fn master(client: &mut Connection, name: &str) -> Option<SocketAddr> {
    let answer: Option<(String, u16)> = run(client, &format!("SENTINEL GET-MASTER-ADDR-BY-NAME {name}"));
    answer.map(|(host, port)| format!("{host}:{port}").parse().expect("an address"))
}

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A Redis with a replica, and two Sentinels that watch it.
struct Watched {
    _servers: [RedisServer; 2],
    sentinels: [(Process, SocketAddr); 2],
    _directory: tempfile::TempDir,
}

impl Watched {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let home = directory.path().to_string_lossy().into_owned();
        let first = RedisServer::start(free_port(), &["--dir", &home]).expect("redis-server");
        let port = first.address().port();
        let of_first = port.to_string();
        let second =
            RedisServer::start(free_port(), &["--dir", &home, "--replicaof", "127.0.0.1", &of_first]);
        let sentinels = [1, 2].map(|number| {
            let own = free_port();
            let file = directory.path().join(format!("sentinel-{number}.conf"));
            let mut text = std::fs::File::create(&file).expect("a file");
            writeln!(text, "port {own}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {port} 2")
                .expect("room");
            let mut command = Command::new("redis-server");
            command.arg(&file).arg("--sentinel").stdout(Stdio::null());
            let process = Process(command.spawn().expect("redis-server is installed"));
            (process, SocketAddr::from(([127, 0, 0, 1], own)))
        });
        let watched =
            Self { _servers: [first, second.expect("redis-server")], sentinels, _directory: directory };
        let mut client = connect(watched.address(), ProtocolVersion::RESP2);
        wait("the Sentinels to know everybody", PATIENCE * 2, || {
            let known = |what: &str| -> Option<usize> {
                let all: Vec<Value> =
                    try_run(&mut connect(watched.address(), ProtocolVersion::RESP2), what).ok()?;
                Some(all.len())
            };
            let both =
                known("SENTINEL REPLICAS main") == Some(1) && known("SENTINEL SENTINELS main") == Some(1);
            let replicas: Vec<Vec<String>> = run(&mut client, "SENTINEL REPLICAS main");
            let is_followed = replicas.iter().flatten().any(|word| word == "ok");
            (both && is_followed).then_some(())
        });
        watched
    }

    fn address(&self) -> SocketAddr {
        self.sentinels[0].1
    }
}

/// What both are asked.
const LINES: &[&str] = &[
    "PING",
    "SENTINEL MASTERS",
    "SENTINEL MASTER main",
    "SENTINEL REPLICAS main",
    "SENTINEL SLAVES main",
    "SENTINEL SENTINELS main",
    "SENTINEL GET-MASTER-ADDR-BY-NAME main",
    "SENTINEL GET-MASTER-ADDR-BY-NAME nobody",
    "SENTINEL CKQUORUM main",
    "SENTINEL MYID",
    "SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 1 0 *",
    "SENTINEL PENDING-SCRIPTS",
    "SENTINEL RESET nothing",
    "ROLE",
    // What is wrong.
    "SENTINEL MASTER nobody",
    "SENTINEL REPLICAS nobody",
    "SENTINEL CKQUORUM nobody",
    "SENTINEL FAILOVER nobody",
    "SENTINEL MASTER",
    "SENTINEL FOO",
    "SENTINEL",
    "GET key",
];

#[test]
fn answers_have_the_shape_that_sentinel_gives_them() {
    if !RedisServer::is_installed() {
        return;
    }
    let redis = Watched::start();
    let cluster = Cluster::start(Options { nodes: 2, view_nodes: 1, sentinel: true, ..Options::default() });
    let ours = cluster.sentinel_address(1);
    for protocol in [ProtocolVersion::RESP2, ProtocolVersion::RESP3] {
        let (mut theirs, mut ours) = (connect(redis.address(), protocol), connect(ours, protocol));
        for line in LINES {
            // How many Sentinels there are differs.
            let shape = |client: &mut Connection| shape(client, line).replace("OK 1 usable", "OK 2 usable");
            assert_eq!(shape(&mut ours), shape(&mut theirs), "{line} in {protocol:?}");
        }
        let fields = |client: &mut Connection| -> BTreeSet<String> {
            let text: String = run(client, "INFO sentinel");
            text.lines().filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect()
        };
        let (theirs, ours) = (fields(&mut theirs), fields(&mut ours));
        assert!(ours.is_superset(&theirs), "{ours:?} instead of {theirs:?}");
    }
}

/// The next message on a connection that has subscribed.
fn next_message(client: &mut Connection) -> (String, String) {
    let words: Vec<String> =
        redis::from_redis_value(client.recv_response().expect("a message")).expect("texts");
    (words[words.len() - 2].clone(), words[words.len() - 1].clone())
}

#[test]
fn a_client_finds_the_primary_through_a_failover_and_hears_of_it() {
    let mut cluster = Cluster::start(options());
    let first = cluster.primary();
    let survivors: Vec<u32> = cluster.ids().into_iter().filter(|id| *id != first).collect();
    for id in cluster.ids() {
        let mut client = sentinel(&cluster, id);
        for name in ["main", MASTER] {
            assert_eq!(master(&mut client, name), Some(cluster.redis_address(first)));
        }
        assert_eq!(run::<Vec<Value>>(&mut client, "SENTINEL SENTINELS main").len(), 2);
        run::<()>(&mut client, "SENTINEL CKQUORUM main");
    }
    let ids: BTreeSet<String> =
        cluster.ids().into_iter().map(|id| run(&mut sentinel(&cluster, id), "SENTINEL MYID")).collect();
    assert_eq!(ids.len(), 3);
    // The node that it is sent to says that it is the master, and the others that they are not.
    for id in cluster.ids() {
        let role: Vec<Value> = run(&mut cluster.client(id), "ROLE");
        let role: String = redis::from_redis_value(role[0].clone()).expect("a word");
        assert_eq!(role, if id == first { "master" } else { "slave" });
    }
    run::<()>(&mut cluster.client(first), "SET key before");
    let mut listener = sentinel(&cluster, survivors[0]);
    listener.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    run::<()>(&mut listener, "PSUBSCRIBE *");
    cluster.kill(first);
    let next = cluster.wait_for_other_primary(first);
    let (old, new) = (cluster.redis_address(first), cluster.redis_address(next));
    let mut heard = Vec::new();
    loop {
        let (channel, payload) = next_message(&mut listener);
        let is_switch = channel == "+switch-master" && payload.starts_with(MASTER);
        heard.push(format!("{channel} {payload}"));
        if is_switch {
            break;
        }
    }
    let position = |line: String| {
        heard
            .iter()
            .position(|heard| *heard == line)
            .unwrap_or_else(|| panic!("{line} is not among {heard:#?}"))
    };
    let down = position(format!("+sdown master {MASTER} 127.0.0.1 {}", old.port()));
    let switched =
        position(format!("+switch-master {MASTER} 127.0.0.1 {} 127.0.0.1 {}", old.port(), new.port()));
    assert!(down < switched, "{heard:#?}");
    for id in &survivors {
        wait("the new primary at every node", PATIENCE, || {
            (master(&mut sentinel(&cluster, *id), "main") == Some(new)).then_some(())
        });
    }
    assert_eq!(run::<String>(&mut cluster.client(next), "GET key"), "before");
    // Whoever comes back is a replica.
    cluster.start_node(first);
    cluster.wait_until_complete();
    wait("all copies", PATIENCE, || {
        let replicas: Vec<Value> = run(&mut sentinel(&cluster, next), "SENTINEL REPLICAS main");
        (replicas.len() == 1).then_some(())
    });
    let heir: Option<SocketAddr> = {
        // A planned handover, asked for as of a Sentinel.
        run::<()>(&mut sentinel(&cluster, survivors[0]), &format!("SENTINEL FAILOVER {MASTER}"));
        master(&mut sentinel(&cluster, survivors[0]), MASTER)
    };
    assert_ne!(heir, Some(new));
    assert_eq!(heir, Some(cluster.redis_address(cluster.primary())));
}

#[test]
fn the_port_of_sentinel_asks_for_the_password_and_counts_its_clients() {
    let settings = vec![("requirepass", "secret".to_owned()), ("limits-clients", "3".to_owned())];
    let mut cluster = Cluster::prepare(Options { nodes: 1, copies: 1, view_nodes: 1, settings, ..options() });
    cluster.start_all();
    let mut client = sentinel(&cluster, 1);
    let refused = wait("a node that knows its cluster", PATIENCE, || {
        match try_run::<()>(&mut client, "SENTINEL MASTERS") {
            Err(error) if error.code() == Some("TRYAGAIN") => None,
            Err(error) => Some(error),
            Ok(()) => panic!("nobody knows who it is"),
        }
    });
    assert_eq!(refused.code(), Some("NOAUTH"));
    assert_eq!(try_run::<()>(&mut client, "SUBSCRIBE +sdown").expect_err("refused").code(), Some("NOAUTH"));
    assert_eq!(try_run::<()>(&mut client, "AUTH wrong").expect_err("refused").code(), Some("WRONGPASS"));
    run::<()>(&mut client, "AUTH secret");
    run::<Vec<Value>>(&mut client, "SENTINEL MASTERS");
    // Who may not hand over at the port of Redis may not do it here.
    run::<()>(&mut client, "ACL SETUSER reader on nopass +@read");
    run::<()>(&mut client, "AUTH reader x");
    let denied = try_run::<()>(&mut client, "SENTINEL FAILOVER main").expect_err("refused");
    assert_eq!(denied.code(), Some("NOPERM"), "{denied}");
    // Both ports share one limit.
    let mut others = vec![sentinel(&cluster, 1), cluster.client(1)];
    let refused = wait("a client too many", PATIENCE, || {
        let url = format!("redis://{}/", cluster.sentinel_address(1));
        match redis::Client::open(url).expect("a client").get_connection() {
            Ok(one) => {
                others.push(one);
                None
            }
            Err(refusal) => Some(refusal),
        }
    });
    assert!(refused.to_string().contains("max number of clients") || refused.is_io_error(), "{refused}");
}
