//! `MIGRATE` with real processes: to a Redis, if there is one, and to another Onecopy; with writers beside
//! it, and with targets that are not there or refuse.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use onecopy_harness::{Cluster, Options, RedisServer, free_port};
use redis::{Connection, RedisResult, Value};

fn call<T: redis::FromRedisValue>(client: &mut Connection, words: &[&str]) -> RedisResult<T> {
    let mut command = redis::cmd(words[0]);
    for word in &words[1..] {
        command.arg(*word);
    }
    command.query(client)
}

fn connect(address: SocketAddr) -> Connection {
    let client = redis::Client::open(format!("redis://{address}/")).expect("an address");
    client.get_connection().expect("it listens")
}

/// Everything there is to migrate, and back again.
fn there_and_back(client: &mut Connection, target: SocketAddr) {
    let (host, port) = (target.ip().to_string(), target.port().to_string());
    let mut other = connect(target);
    for line in
        ["SET s text", "RPUSH l a b c", "HSET h f v", "SADD t x y", "ZADD z 1 a 2 b", "XADD x 1-1 f v"]
    {
        call::<Value>(client, &line.split(' ').collect::<Vec<_>>()).expect("it is written");
    }
    call::<Value>(client, &["EXPIRE", "s", "1000"]).expect("it expires");
    let all = ["s", "l", "h", "t", "z", "x", "absent"];
    let mut words = vec!["MIGRATE", &host, &port, "", "0", "5000", "KEYS"];
    words.extend(all);
    assert_eq!(call::<String>(client, &words).expect("they are moved"), "OK");
    assert_eq!(call::<u64>(client, &["EXISTS", "s", "l", "h", "t", "z", "x"]).expect("it answers"), 0);
    assert_eq!(
        call::<Vec<String>>(&mut other, &["LRANGE", "l", "0", "-1"]).expect("it is there"),
        ["a", "b", "c"]
    );
    let lives: u64 = call(&mut other, &["TTL", "s"]).expect("it is there");
    assert!((900..=1000).contains(&lives), "{lives}");
    assert_eq!(call::<u64>(&mut other, &["XLEN", "x"]).expect("it is there"), 1);
    assert_eq!(call::<String>(client, &words).expect("there are none"), "NOKEY");

    // What the target has against a key is told, and the others are moved.
    call::<Value>(client, &["MSET", "l", "mine", "new", "1"]).expect("they are written");
    let error =
        call::<Value>(client, &["MIGRATE", &host, &port, "", "0", "5000", "KEYS", "l", "new"]).unwrap_err();
    assert!(error.to_string().contains("BUSYKEY"), "{error}");
    assert_eq!(
        call::<Vec<Option<String>>>(client, &["MGET", "l", "new"]).expect("it answers"),
        [Some("mine".to_owned()), None]
    );
    call::<Value>(client, &["MIGRATE", &host, &port, "l", "0", "5000", "COPY", "REPLACE"])
        .expect("it is copied");
    assert_eq!(call::<String>(&mut other, &["GET", "l"]).expect("it is there"), "mine");
    assert_eq!(call::<String>(client, &["GET", "l"]).expect("it is here, too"), "mine");
}

#[test]
fn keys_go_to_a_redis() {
    if !RedisServer::is_installed() {
        eprintln!("skipped: there is no redis-server");
        return;
    }
    let cluster = Cluster::start(Options::default());
    let redis = RedisServer::start(free_port(), &[]).expect("a Redis");
    let mut client = cluster.client(cluster.primary());
    // Older ones do not take what a Redis 7.2 dumps, and say so: then nothing goes.
    let info: String = call(&mut connect(redis.address()), &["INFO", "server"]).expect("it answers");
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or_default();
    let numbers: Vec<u32> = version.split('.').filter_map(|number| number.parse().ok()).collect();
    let takes_all = numbers.as_slice() >= [7, 2].as_slice();
    if takes_all {
        there_and_back(&mut client, redis.address());
    } else {
        eprintln!("in part: a Redis {version} does not take what 7.2 dumps");
    }
    call::<Value>(&mut connect(redis.address()), &["CONFIG", "SET", "requirepass", "secret"])
        .expect("it is set");
    call::<Value>(&mut client, &["SET", "a", "1"]).expect("it is written");
    let (host, port) = (redis.address().ip().to_string(), redis.address().port().to_string());
    let denied = call::<Value>(&mut client, &["MIGRATE", &host, &port, "a", "0", "5000"]).unwrap_err();
    assert!(denied.to_string().contains("NOAUTH"), "{denied}");
    let wrong =
        call::<Value>(&mut client, &["MIGRATE", &host, &port, "a", "0", "5000", "AUTH", "x"]).unwrap_err();
    assert!(wrong.to_string().contains("Target instance replied with error"), "{wrong}");
    assert_eq!(call::<String>(&mut client, &["GET", "a"]).expect("it is here"), "1");
    let right = ["MIGRATE", &host, &port, "a", "3", "5000", "AUTH2", "default", "secret"];
    if takes_all {
        assert_eq!(call::<String>(&mut client, &right).expect("it is moved"), "OK");
        assert_eq!(call::<u64>(&mut client, &["EXISTS", "a"]).expect("it answers"), 0);
    } else {
        let refused = call::<Value>(&mut client, &right).unwrap_err();
        assert!(refused.to_string().contains("DUMP payload version"), "{refused}");
        assert_eq!(call::<String>(&mut client, &["GET", "a"]).expect("it is here"), "1");
    }
}

#[test]
fn no_write_is_lost_beside_it_and_none_comes_back() {
    let (from, to) = (Cluster::start(Options::default()), Cluster::start(Options::default()));
    let target = to.redis_address(to.primary());
    let mut client = from.client(from.primary());
    there_and_back(&mut client, target);
    let (host, port) = (target.ip().to_string(), target.port().to_string());
    let nowhere = free_port().to_string();
    call::<Value>(&mut client, &["SET", "stays", "1"]).expect("it is written");
    let error = call::<Value>(&mut client, &["MIGRATE", &host, &nowhere, "stays", "0", "500"]).unwrap_err();
    assert!(error.to_string().contains("IOERR"), "{error}");
    assert_eq!(call::<String>(&mut client, &["GET", "stays"]).expect("it is here"), "1");

    // Counters are counted up by others, and migrated again and again: no count is lost.
    let is_over = AtomicBool::new(false);
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut client = from.client(from.data_ids()[1]);
            let mut counted: BTreeMap<String, u64> = BTreeMap::new();
            for number in 0.. {
                if is_over.load(Ordering::SeqCst) {
                    break;
                }
                let key = format!("count{}", number % 3);
                call::<u64>(&mut client, &["INCR", &key]).expect("it counts");
                *counted.entry(key).or_default() += 1;
            }
            counted
        });
        let mut other = connect(target);
        let mut moved: BTreeMap<String, u64> = BTreeMap::new();
        for round in 0..60 {
            let key = format!("count{}", round % 3);
            match call::<String>(&mut client, &["MIGRATE", &host, &port, &key, "0", "5000"]) {
                Ok(answer) if answer == "OK" => {
                    let count: u64 = call(&mut other, &["GETDEL", &key]).expect("it is there");
                    *moved.entry(key).or_default() += count;
                }
                Ok(_) => {}
                Err(error) if error.code() == Some("TRYAGAIN") => {
                    call::<Value>(&mut other, &["DEL", &key]).expect("an older state goes");
                }
                Err(error) => panic!("{error}"),
            }
        }
        is_over.store(true, Ordering::SeqCst);
        counted = writer.join().expect("the writer ends");
        for (key, count) in &counted {
            let left: Option<u64> = call(&mut client, &["GET", key]).expect("it answers");
            let all = left.unwrap_or(0) + moved.get(key).copied().unwrap_or(0);
            assert_eq!(all, *count, "{key}");
        }
        assert!(!moved.is_empty(), "nothing was moved: the test proves nothing");
    });
}
