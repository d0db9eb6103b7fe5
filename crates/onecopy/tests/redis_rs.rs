//! The stock Rust client, in RESP2 and RESP3, on every node: a mixed run of commands.

use std::collections::{HashMap, HashSet};

use onecopy_harness::{Cluster, Options};
use redis::{Commands, Connection, ProtocolVersion, RedisConnectionInfo, Value};

fn connect(cluster: &Cluster, id: u32, protocol: ProtocolVersion) -> Connection {
    let address = cluster.redis_address(id);
    let info: redis::ConnectionInfo = format!("redis://{address}/").parse().expect("an address");
    let settings = RedisConnectionInfo::default().set_protocol(protocol);
    redis::Client::open(info.set_redis_settings(settings))
        .expect("a client")
        .get_connection()
        .expect("a connection")
}

fn mixed_run(c: &mut Connection) {
    let pong: String = redis::cmd("PING").query(c).unwrap();
    assert_eq!(pong, "PONG");
    let _: () = c.flushall().unwrap();
    // Strings, counters, keys
    let set: bool = c.set_nx("s", "one").unwrap();
    assert!(set);
    assert_eq!(c.append::<_, _, usize>("s", "!").unwrap(), 4);
    assert_eq!(c.getrange::<_, String>("s", 0, 1).unwrap(), "on");
    assert_eq!(c.incr::<_, _, i64>("n", 41).unwrap(), 41);
    assert_eq!(c.incr::<_, _, i64>("n", 1).unwrap(), 42);
    let _: () = c.mset(&[("a", "1"), ("b", "2")]).unwrap();
    assert_eq!(c.mget::<_, Vec<Option<String>>>(&["a", "missing"]).unwrap(), [Some("1".to_owned()), None]);
    assert_eq!(c.exists::<_, i64>(&["a", "b", "missing"]).unwrap(), 2);
    assert!(c.expire::<_, bool>("a", 100).unwrap());
    assert!((99..=100).contains(&c.ttl::<_, i64>("a").unwrap()));
    assert!(c.persist::<_, bool>("a").unwrap());
    assert_eq!(c.key_type::<_, String>("a").unwrap(), "string");
    let keys: HashSet<String> = c.keys("*").unwrap();
    let scanned: HashSet<String> = c.scan().unwrap().map(Result::unwrap).collect();
    assert_eq!(keys, scanned);
    assert_eq!(keys.len(), 4);
    assert_eq!(c.del::<_, i64>(&["a", "b"]).unwrap(), 2);
    // Hashes, lists, sets, sorted sets
    assert_eq!(c.hset::<_, _, _, i64>("h", "f", "1").unwrap(), 1);
    assert_eq!(c.hincr::<_, _, _, i64>("h", "f", 4).unwrap(), 5);
    assert_eq!(c.hgetall::<_, HashMap<String, i64>>("h").unwrap(), HashMap::from([("f".to_owned(), 5)]));
    assert_eq!(c.rpush::<_, _, i64>("l", &["a", "b", "c"]).unwrap(), 3);
    assert_eq!(c.lpop::<_, String>("l", None).unwrap(), "a");
    assert_eq!(c.lrange::<_, Vec<String>>("l", 0, -1).unwrap(), ["b", "c"]);
    assert_eq!(c.sadd::<_, _, i64>("t", &["x", "y"]).unwrap(), 2);
    let members: HashSet<String> = c.smembers("t").unwrap();
    assert!(members.contains(&c.srandmember::<_, String>("t").unwrap()));
    let popped: String = c.spop("t").unwrap();
    assert!(!c.sismember::<_, _, bool>("t", popped).unwrap());
    assert_eq!(c.zadd_multiple::<_, _, _, i64>("z", &[(1.0, "one"), (2.5, "two")]).unwrap(), 2);
    let ranked: Vec<(String, f64)> = c.zrange_withscores("z", 0, -1).unwrap();
    assert_eq!(ranked, [("one".to_owned(), 1.0), ("two".to_owned(), 2.5)]);
    assert_eq!(c.zscore::<_, _, f64>("z", "two").unwrap(), 2.5);
    // Settled by the primary
    let time: Vec<u64> = redis::cmd("TIME").query(c).unwrap();
    assert_eq!(time.len(), 2);
    let random: String = redis::cmd("RANDOMKEY").query(c).unwrap();
    assert!(c.exists::<_, bool>(random).unwrap());
    // Errors and pipelines
    let error = c.lpush::<_, _, i64>("s", "x").unwrap_err();
    assert_eq!(error.code(), Some("WRONGTYPE"));
    let mut pipe = redis::pipe();
    for number in 0..500 {
        pipe.set(format!("p{number}"), number).ignore().get(format!("p{number}"));
    }
    let values: Vec<i64> = pipe.query(c).unwrap();
    assert_eq!(values, (0..500).collect::<Vec<i64>>());
    let _: () = redis::cmd("FLUSHDB").query(c).unwrap();
    assert_eq!(redis::cmd("DBSIZE").query::<i64>(c).unwrap(), 0);
}

#[test]
fn redis_rs_does_a_mixed_run_on_every_node_in_both_protocols() {
    let cluster = Cluster::start(Options::default());
    for id in cluster.ids() {
        for protocol in [ProtocolVersion::RESP2, ProtocolVersion::RESP3] {
            let mut connection = connect(&cluster, id, protocol);
            mixed_run(&mut connection);
            let hash: Value = redis::cmd("HGETALL").arg("none").query(&mut connection).unwrap();
            match protocol {
                ProtocolVersion::RESP2 => assert_eq!(hash, Value::Array(Vec::new())),
                _ => assert_eq!(hash, Value::Map(Vec::new())),
            }
        }
    }
}
