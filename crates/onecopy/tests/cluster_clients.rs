//! Clients of Redis Cluster: what they are told has the shape that a Redis gives it, and follows the view
//! table through handovers and failovers.

mod shapes;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use onecopy_harness::{Cluster, Options, PATIENCE, RedisServer, free_port, run, try_run, wait};
use redis::{Connection, ProtocolVersion, Value};
use shapes::{connect, shape};

/// Further settings of a cluster whose nodes show a Redis Cluster.
fn in_cluster_mode(settings: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
    [vec![("redis-mode", "cluster".to_owned())], settings].concat()
}

/// A Redis Cluster of a master and its replica.
struct RedisCluster {
    master: RedisServer,
    _replica: RedisServer,
    _directories: [tempfile::TempDir; 2],
}

impl RedisCluster {
    fn start() -> Self {
        let directories = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
        let [master, replica] = [0, 1].map(|at| {
            let (directory, bus) = (directories[at].path().to_string_lossy().into_owned(), free_port());
            let arguments =
                ["--cluster-enabled", "yes", "--cluster-port", &bus.to_string(), "--dir", &directory];
            (RedisServer::start(free_port(), &arguments).expect("redis-server"), bus)
        });
        let (mut first, mut second) = (
            connect(master.0.address(), ProtocolVersion::RESP2),
            connect(replica.0.address(), ProtocolVersion::RESP2),
        );
        run::<()>(&mut first, "CLUSTER ADDSLOTSRANGE 0 16383");
        let id: String = run(&mut first, "CLUSTER MYID");
        run::<()>(&mut second, &format!("CLUSTER MEET 127.0.0.1 {} {}", master.0.address().port(), master.1));
        wait("a replica", PATIENCE, || try_run::<()>(&mut second, &format!("CLUSTER REPLICATE {id}")).ok());
        wait("the cluster of Redis", PATIENCE, || {
            let slots: Vec<Vec<Value>> = run(&mut first, "CLUSTER SLOTS");
            let info: String = run(&mut first, "CLUSTER INFO");
            (slots[0].len() == 4 && info.contains("cluster_state:ok")).then_some(())
        });
        Self { master: master.0, _replica: replica.0, _directories: directories }
    }
}

/// What both are asked, in this order.
const LINES: &[&str] = &[
    "CLUSTER SLOTS",
    "CLUSTER SHARDS",
    "CLUSTER KEYSLOT foo",
    "CLUSTER COUNTKEYSINSLOT 12182",
    "SET foo bar",
    "CLUSTER COUNTKEYSINSLOT 12182",
    "CLUSTER GETKEYSINSLOT 12182 10",
    "CLUSTER GETKEYSINSLOT 12182 0",
    "CLUSTER GETKEYSINSLOT 1 10",
    "CLUSTER MYID",
    "CLUSTER NODES",
    "ASKING",
    "READONLY",
    "READWRITE",
    "SELECT 0",
    // What is wrong.
    "CLUSTER",
    "CLUSTER FOO",
    "CLUSTER SLOTS 1",
    "CLUSTER KEYSLOT",
    "CLUSTER COUNTKEYSINSLOT 16384",
    "CLUSTER COUNTKEYSINSLOT x",
    "CLUSTER COUNTKEYSINSLOT",
    "CLUSTER GETKEYSINSLOT 16384 1",
    "CLUSTER GETKEYSINSLOT 1 -1",
    "CLUSTER GETKEYSINSLOT 1 x",
    "CLUSTER REPLICAS nobody",
    "CLUSTER COUNT-FAILURE-REPORTS nobody",
    "CLUSTER FAILOVER",
    "MGET foo bar",
    "EVAL return(1) 2 foo bar",
    "SELECT 1",
    "MOVE foo 1",
    "SWAPDB 0 1",
    "COPY foo {foo}2 DB 1",
    // Transactions.
    "MULTI",
    "GET foo",
    "GET bar",
    "EXEC",
    "MULTI",
    "MGET foo bar",
    "EXEC",
    "MULTI",
    "GET foo",
    "CLUSTER KEYSLOT bar",
    "EXEC",
];

#[test]
fn answers_have_the_shape_that_redis_gives_them() {
    if !RedisServer::is_installed() {
        return;
    }
    let redis = RedisCluster::start();
    let settings = in_cluster_mode(Vec::new());
    let cluster = Cluster::start(Options { nodes: 2, view_nodes: 1, settings, ..Options::default() });
    let primary = cluster.redis_address(cluster.primary());
    wait("both to know each other", PATIENCE, || {
        let slots: Vec<Vec<Value>> = run(&mut connect(primary, ProtocolVersion::RESP2), "CLUSTER SLOTS");
        (slots[0].len() == 4).then_some(())
    });
    for protocol in [ProtocolVersion::RESP2, ProtocolVersion::RESP3] {
        let (mut theirs, mut ours) = (connect(redis.master.address(), protocol), connect(primary, protocol));
        for line in LINES {
            // How far both are is a matter of chance.
            let shape = |client: &mut Connection| {
                let shape =
                    shape(client, line).replace("replication-offset int 0", "replication-offset int 2");
                shape.replace("replication-offset: int 0", "replication-offset: int 2")
            };
            let (theirs, ours) = (shape(&mut theirs), shape(&mut ours));
            assert_eq!(ours, theirs, "{line} in {protocol:?}");
        }
        run::<()>(&mut theirs, "DEL foo");
        run::<()>(&mut ours, "DEL foo");
        // Redis counts messages by their kinds.
        let fields = |client: &mut Connection, line: &str| -> BTreeSet<String> {
            let text: String = run(client, line);
            let names = text.lines().filter_map(|line| Some(line.split_once(':')?.0.to_owned()));
            names.filter(|name| !name.starts_with("cluster_stats_messages_")).collect()
        };
        assert_eq!(fields(&mut ours, "CLUSTER INFO"), fields(&mut theirs, "CLUSTER INFO"));
        // Of a replica: the roles, and where the master is said to be.
        let id: String = run(&mut ours, "CLUSTER MYID");
        let replicas: Vec<String> = run(&mut ours, &format!("CLUSTER REPLICAS {id}"));
        assert!(replicas.len() == 1 && replicas[0].contains(&format!(" slave {id} ")), "{replicas:?}");
    }
}

/// Who serves the slots, as a node says it: the primary, and the replicas.
fn serving(address: SocketAddr) -> Option<(u16, BTreeSet<u16>)> {
    let mut client = redis::Client::open(format!("redis://{address}/")).ok()?.get_connection().ok()?;
    let slots: Vec<(u16, u16, Vec<Value>)> =
        match redis::cmd("CLUSTER").arg("SLOTS").query::<Value>(&mut client).ok()? {
            Value::Array(ranges) => {
                let range = |range: Value| match range {
                    Value::Array(mut parts) => {
                        let nodes = parts.split_off(2);
                        (
                            redis::from_redis_value(parts.remove(0)).ok(),
                            redis::from_redis_value(parts.remove(0)).ok(),
                            nodes,
                        )
                    }
                    other => panic!("{other:?}"),
                };
                let ranges = ranges.into_iter().map(range);
                ranges
                    .map(|(first, last, nodes)| (first.expect("a slot"), last.expect("a slot"), nodes))
                    .collect()
            }
            other => panic!("{other:?}"),
        };
    let [(0, 16_383, nodes)] = &slots[..] else { return None };
    let ports: Vec<u16> = nodes
        .iter()
        .map(|node| match node {
            Value::Array(parts) => redis::from_redis_value(parts[1].clone()).expect("a port"),
            other => panic!("{other:?}"),
        })
        .collect();
    Some((ports[0], ports[1..].iter().copied().collect()))
}

#[test]
fn answers_follow_the_view_through_handovers_and_failovers() {
    let settings = in_cluster_mode(Vec::new());
    let mut cluster = Cluster::start(Options { copies: 3, settings, ..Options::default() });
    let port = |cluster: &Cluster, id: u32| cluster.redis_address(id).port();
    let all: BTreeSet<u16> = cluster.ids().into_iter().map(|id| port(&cluster, id)).collect();
    let agree = |cluster: &Cluster, asked: &[u32], primary: u32, count: usize| {
        wait("all nodes to say the same", PATIENCE, || {
            let is_right = |id: &u32| {
                let said = serving(cluster.redis_address(*id));
                said.is_some_and(|(first, others)| {
                    first == port(cluster, primary) && others.len() == count - 1
                })
            };
            asked.iter().all(is_right).then_some(())
        });
    };
    let first = cluster.primary();
    agree(&cluster, &cluster.ids(), first, 3);
    // CLUSTER FAILOVER at a replica hands over to it, and answers when that has happened.
    let heir = cluster.ids().into_iter().find(|id| *id != first).expect("another");
    run::<()>(&mut cluster.client(heir), "CLUSTER FAILOVER");
    assert_eq!(serving(cluster.redis_address(heir)).map(|said| said.0), Some(port(&cluster, heir)));
    agree(&cluster, &cluster.ids(), heir, 3);
    // Roles are told as they are.
    let (role, ..): (String, i64, Value) = run(&mut cluster.client(heir), "ROLE");
    assert_eq!(role, "master");
    let (role, host, master, state, _): (String, String, u16, String, i64) =
        run(&mut cluster.client(first), "ROLE");
    assert_eq!(
        (role.as_str(), host.as_str(), master, state.as_str()),
        ("slave", "127.0.0.1", port(&cluster, heir), "connected")
    );
    let info: String = run(&mut cluster.client(first), "INFO replication");
    assert!(info.contains("role:slave\r\n") && info.contains(&format!("master_port:{master}\r\n")), "{info}");
    run::<()>(&mut cluster.client(first), "SET key before");
    cluster.kill(heir);
    let next = cluster.wait_for_other_primary(heir);
    let left: Vec<u32> = cluster.ids().into_iter().filter(|id| *id != heir).collect();
    agree(&cluster, &left, next, 2);
    assert_eq!(run::<String>(&mut cluster.client(left[0]), "GET key"), "before");
    // A dead node is told of as one that has failed.
    let dead = format!("127.0.0.1:{}@", port(&cluster, heir));
    let nodes: String = run(&mut cluster.client(next), "CLUSTER NODES");
    let line = nodes.lines().find(|line| line.contains(&dead)).expect("it is registered");
    assert!(line.contains("fail") && line.contains(" disconnected"), "{line}");
    cluster.start_node(heir);
    cluster.wait_until_complete();
    agree(&cluster, &cluster.ids(), next, 3);
    assert_eq!(all.len(), 3);
}

#[test]
fn clients_are_sent_to_the_primary_where_that_is_set() {
    let settings = in_cluster_mode(vec![("redirect", "true".to_owned())]);
    let cluster = Cluster::start(Options { settings, ..Options::default() });
    let primary = cluster.primary();
    let moved = |slot: u16| format!("{slot} {}", cluster.redis_address(primary));
    for id in cluster.ids().into_iter().filter(|id| *id != primary) {
        let mut client = cluster.client(id);
        for line in ["SET foo x", "GET foo", "EVAL return(1) 1 foo", "BLPOP foo 0"] {
            let error = try_run::<()>(&mut client, line).expect_err(line).to_string();
            assert!(error.contains(&moved(12_182)), "{line} at node {id}: {error}");
        }
        // In a transaction too, and it is given up.
        run::<()>(&mut client, "MULTI");
        assert!(
            try_run::<()>(&mut client, "SET foo x").expect_err("moved").to_string().contains(&moved(12_182))
        );
        assert_eq!(try_run::<()>(&mut client, "EXEC").expect_err("given up").code(), Some("EXECABORT"));
        // What has no key is answered, and so are reads of a replica, to those who want that.
        run::<u64>(&mut client, "DBSIZE");
        run::<()>(&mut cluster.client(primary), "SET foo here");
        run::<()>(&mut client, "READONLY");
        let has_copy = cluster.role(id).is_some_and(|role| role == "backup");
        match try_run::<String>(&mut client, "GET foo") {
            Ok(value) => assert!(has_copy && value == "here"),
            Err(error) => assert!(!has_copy && error.to_string().contains(&moved(12_182)), "{error}"),
        }
        assert!(try_run::<()>(&mut client, "SET foo x").is_err(), "a write is still sent away");
        run::<()>(&mut client, "READWRITE");
        assert!(try_run::<String>(&mut client, "GET foo").is_err());
    }
}

#[test]
fn a_listener_shows_one_database_from_0_on() {
    let settings = vec![("cross-slot", "true".to_owned())];
    let databases = vec!["carts:16-17".to_owned()];
    let listeners = vec!["carts", "carts:cluster", "main:cluster"];
    let cluster = Cluster::start(Options { databases, listeners, settings, ..Options::default() });
    let at =
        |id: u32, listener: usize| connect(cluster.listener_address(id, listener), ProtocolVersion::RESP2);
    let [mut plain, mut clustered, mut main] = [at(1, 0), at(2, 1), at(3, 2)];
    run::<()>(&mut plain, "SET key carts");
    assert_eq!(run::<String>(&mut clustered, "GET key"), "carts");
    assert_eq!(run::<Option<String>>(&mut main, "GET key"), None);
    assert_eq!(run::<String>(&mut cluster.client_in(1, 16), "GET key"), "carts");
    // The numbers are those of the database.
    run::<()>(&mut plain, "SELECT 1");
    run::<()>(&mut plain, "SET key second");
    assert_eq!(run::<String>(&mut cluster.client_in(1, 17), "GET key"), "second");
    assert!(try_run::<()>(&mut plain, "SELECT 2").is_err(), "there is no third one");
    assert!(run::<bool>(&mut plain, "COPY key other DB 0"));
    assert_eq!(run::<String>(&mut clustered, "GET other"), "second");
    let info: String = run(&mut clustered, "INFO");
    assert!(info.contains("cluster_enabled:1\r\n") && info.contains("redis_mode:cluster\r\n"), "{info}");
    let info: String = run(&mut plain, "INFO");
    assert!(info.contains("cluster_enabled:0\r\n") && info.contains("redis_mode:standalone\r\n"), "{info}");
    let port = cluster.listener_address(1, 0).port();
    assert!(info.contains(&format!("tcp_port:{port}\r\n")), "{info}");
    wait("the keys of the database alone", PATIENCE, || {
        let info: String = run(&mut at(1, 0), "INFO keyspace");
        (info.contains("db0:keys=2,") && info.contains("db1:keys=1,") && !info.contains("db16")).then_some(())
    });
    // Several slots, where that is set; and clients are told of each other's listeners.
    run::<()>(&mut clustered, "MSET a 1 b 2");
    let (first, others) = serving(cluster.listener_address(2, 1)).expect("one range");
    let ports: BTreeSet<u16> =
        cluster.ids().into_iter().map(|id| cluster.listener_address(id, 1).port()).collect();
    assert!(ports.contains(&first) && others.is_subset(&ports));
    // FLUSHALL is for what is seen.
    run::<()>(&mut main, "SET key main");
    run::<()>(&mut clustered, "FLUSHALL");
    assert_eq!(run::<u64>(&mut cluster.client_in(1, 17), "DBSIZE"), 0);
    assert_eq!(run::<String>(&mut cluster.client(1), "GET key"), "main");
    let error = try_run::<()>(&mut cluster.client(1), "CLUSTER SLOTS").expect_err("it is a server by itself");
    assert!(error.to_string().contains("cluster support disabled"), "{error}");
}

#[test]
fn a_raft_group_has_the_leader_as_its_master() {
    let databases = vec!["carts:16:raft:3".to_owned()];
    let listeners = vec!["carts:cluster"];
    let mut cluster = Cluster::start(Options { databases, listeners, ..Options::default() });
    let agree = |cluster: &Cluster, asked: &[u32], others: usize| {
        wait("one leader at all nodes", PATIENCE, || {
            let said = asked.iter().map(|id| serving(cluster.listener_address(*id, 0)));
            let said: Option<BTreeSet<_>> = said.collect();
            let said = said.filter(|said| said.len() == 1)?.pop_first()?;
            (said.1.len() == others).then_some(said.0)
        })
    };
    let leader = agree(&cluster, &cluster.ids(), 2);
    let at = |cluster: &Cluster, id: u32| connect(cluster.listener_address(id, 0), ProtocolVersion::RESP2);
    run::<()>(&mut at(&cluster, 1), "SET key before");
    let ids = cluster.ids();
    let dead =
        ids.iter().copied().find(|id| cluster.listener_address(*id, 0).port() == leader).expect("a node");
    cluster.kill(dead);
    let left: Vec<u32> = ids.into_iter().filter(|id| *id != dead).collect();
    wait("another leader", PATIENCE, || (agree(&cluster, &left, 1) != leader).then_some(()));
    assert_eq!(run::<String>(&mut at(&cluster, left[0]), "GET key"), "before");
}

#[test]
fn what_is_advertised_is_what_clients_are_told() {
    let port = free_port();
    let settings = in_cluster_mode(vec![("advertise-redis", format!("cache.example.com:{port}"))]);
    let cluster =
        Cluster::start(Options { nodes: 1, copies: 1, view_nodes: 1, settings, ..Options::default() });
    let mut client = cluster.client(1);
    assert_eq!(serving(cluster.redis_address(1)), Some((port, BTreeSet::new())));
    let nodes: String = run(&mut client, "CLUSTER NODES");
    assert!(nodes.contains(&format!(" cache.example.com:{port}@")), "{nodes}");
    assert!(nodes.contains(",cache.example.com myself,master - "), "{nodes}");
}

/// Stock tools of Redis find their way.
#[test]
fn the_tools_of_redis_work() {
    if !RedisServer::is_installed() {
        return;
    }
    let settings = in_cluster_mode(vec![("redirect", "true".to_owned())]);
    let cluster = Cluster::start(Options { settings, ..Options::default() });
    let primary = cluster.primary();
    let elsewhere = cluster.ids().into_iter().find(|id| *id != primary).expect("another");
    let port = cluster.redis_address(elsewhere).port().to_string();
    let tool = |name: &str, arguments: &[&str]| {
        let output = std::process::Command::new(name).args(arguments).output().expect("it is installed");
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} {arguments:?}: {text}");
        text
    };
    assert_eq!(tool("redis-cli", &["-c", "-p", &port, "SET", "foo", "bar"]).trim(), "OK");
    assert_eq!(tool("redis-cli", &["-c", "-p", &port, "GET", "foo"]).trim(), "bar");
    let checked = tool("redis-cli", &["--cluster", "check", &format!("127.0.0.1:{port}")]);
    assert!(checked.contains("[OK] All 16384 slots covered."), "{checked}");
    // With `--cluster` it refuses to measure fewer than two masters, also those of Redis.
    let port = cluster.redis_address(primary).port().to_string();
    let said = tool("redis-benchmark", &["-p", &port, "-n", "1000", "-q", "-t", "set,get"]);
    assert!(said.contains("SET:") && said.contains("GET:") && !said.contains("MOVED"), "{said}");
}
