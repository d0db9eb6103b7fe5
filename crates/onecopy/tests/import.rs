//! Data from a Redis, and back: files of every type and encoding; a running server under load, with nodes of
//! the cluster and the import itself dying meanwhile.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use onecopy_harness::{Cluster, Options, RedisServer, executable, free_port, wait};
use redis::{Client, Connection, FromRedisValue, Value, cmd};

const PATIENCE: Duration = Duration::from_secs(60);

/// The databases that are filled and compared.
const DATABASES: [i64; 2] = [0, 3];

fn cluster() -> Cluster {
    Cluster::start(Options { durability: "memory", ..Options::default() })
}

/// A Redis that saves into this directory, and loads what is there.
fn redis_in(directory: &Path) -> RedisServer {
    let directory = directory.to_str().expect("a name");
    RedisServer::start(free_port(), &["--dir", directory, "--databases", "20"]).expect("a Redis")
}

fn client(address: std::net::SocketAddr, database: i64) -> Connection {
    let client = Client::open(format!("redis://{address}/{database}")).expect("an address");
    wait("a Redis that has loaded", PATIENCE, || {
        let mut connection = client.get_connection().ok()?;
        cmd("PING").exec(&mut connection).ok()?;
        Some(connection)
    })
}

/// A command with its words in one line.
fn say(connection: &mut Connection, line: &str) -> Value {
    let mut command = redis::Cmd::new();
    line.split(' ').for_each(|word| {
        command.arg(word);
    });
    command.query(connection).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// Fills a database with every type, in every encoding.
fn fill(connection: &mut Connection, seed: u64) {
    let long = "x".repeat(100);
    for line in [
        "SET int 12345",
        "SET text hello",
        "SET short -7",
        "SET expires soon PX 100000000",
        "PFADD hll a b c",
    ] {
        say(connection, line);
    }
    say(connection, &format!("SET compressed {}", "ab".repeat(5000)));
    say(connection, &format!("SETRANGE binary {} \u{1}", 70_000 + seed));
    for number in 0..1000 {
        let text = format!("member-{number}-{seed}");
        say(connection, &format!("RPUSH list:long {text}"));
        say(connection, &format!("SADD set:long {text}"));
        say(connection, &format!("HSET hash:long {text} {number}"));
        say(connection, &format!("ZADD zset:long {}.5 {text}", number * 7));
        say(connection, &format!("SADD set:ints:long {}", number * 1_000_003));
        if number < 10 {
            say(connection, &format!("RPUSH list {text} {number}"));
            say(connection, &format!("SADD set:ints {number}"));
            say(connection, &format!("SADD set {text}"));
            say(connection, &format!("HSET hash {text} {number}"));
            say(connection, &format!("ZADD zset {number} {text}"));
            say(connection, &format!("RPUSH list:wide {}", long.repeat(200)));
        }
        say(connection, &format!("XADD stream {}-{number} field {text} other {number}", number + 1));
        say(connection, &format!("SET key:{number} {text}"));
    }
    say(connection, "ZADD zset:edges -inf low inf high 0 zero");
    say(connection, "EXPIRE hash 100000");
    for line in [
        "XDEL stream 5-4 6-5",
        "XGROUP CREATE stream workers 0",
        "XREADGROUP GROUP workers one COUNT 20 STREAMS stream >",
        "XREADGROUP GROUP workers two COUNT 5 STREAMS stream >",
        "XACK stream workers 1-0 2-1",
        "XGROUP CREATE stream idle $",
        "XADD emptied 1-1 a b",
        "XDEL emptied 1-1",
    ] {
        say(connection, line);
    }
}

/// What a database holds, in a form that can be compared.
fn contents(connection: &mut Connection) -> BTreeMap<String, String> {
    let mut keys = Vec::<Vec<u8>>::from_redis_value(say(connection, "KEYS *")).expect("keys");
    keys.sort();
    let mut contents = BTreeMap::new();
    for key in keys {
        let mut ask = |words: &[&str]| -> Value {
            let mut command = cmd(words[0]);
            command.arg(&key);
            words[1..].iter().for_each(|word| {
                command.arg(word);
            });
            command.query(connection).expect("an answer")
        };
        let kind = String::from_redis_value(ask(&["TYPE"])).expect("a type");
        let expires = ask(&["PEXPIRETIME"]);
        let sorted = |value: Value, size: usize| {
            let words = Vec::<Vec<u8>>::from_redis_value(value).expect("words");
            let mut rows: Vec<String> = words.chunks(size).map(|row| format!("{row:?}")).collect();
            rows.sort();
            rows.concat()
        };
        let value = match kind.as_str() {
            "string" => format!("{:?}", ask(&["GET"])),
            "list" => format!("{:?}", ask(&["LRANGE", "0", "-1"])),
            "set" => sorted(ask(&["SMEMBERS"]), 1),
            "hash" => sorted(ask(&["HGETALL"]), 2),
            "zset" => format!("{:?}", ask(&["ZRANGE", "0", "-1", "WITHSCORES"])),
            "stream" => {
                let groups = redis::cmd("XINFO").arg("GROUPS").arg(&key).query::<Value>(connection);
                let mut ask = |words: &[&str]| {
                    let mut command = cmd(words[0]);
                    command.arg(&key);
                    words[1..].iter().for_each(|word| {
                        command.arg(word);
                    });
                    command.query::<Value>(connection)
                };
                let entries = ask(&["XRANGE", "-", "+"]);
                let pending = ask(&["XPENDING", "workers", "-", "+", "1000"]).map(without_idle_times);
                format!("{groups:?} {entries:?} {pending:?}")
            }
            other => panic!("{other}"),
        };
        contents.insert(String::from_utf8_lossy(&key).into_owned(), format!("{kind} {expires:?} {value}"));
    }
    contents
}

/// For how long an entry has been pending differs from question to question.
fn without_idle_times(pending: Value) -> Value {
    let Value::Array(rows) = pending else { return pending };
    let without = |row| match row {
        Value::Array(mut row) if row.len() == 4 => {
            row.remove(2);
            Value::Array(row)
        }
        other => other,
    };
    Value::Array(rows.into_iter().map(without).collect())
}

/// `onecopy` with these words, in this directory.
fn onecopy(directory: &Path, words: &[String]) -> Command {
    let mut command = Command::new(executable());
    command.args(words).current_dir(directory).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// `onecopy import` of this into a cluster.
fn import(directory: &Path, from: &str, cluster: &Cluster, further: &[&str]) -> Command {
    let mut words = vec!["import".to_owned(), from.to_owned()];
    words.extend(further.iter().map(|word| (*word).to_owned()));
    for node in cluster.data_ids() {
        words.extend(["--to".to_owned(), cluster.redis_address(node).to_string()]);
    }
    onecopy(directory, &words)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_file_of_redis_is_taken_as_it_is_and_given_back() {
    if !RedisServer::is_installed() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let redis = redis_in(directory.path());
    for (seed, database) in DATABASES.into_iter().enumerate() {
        fill(&mut client(redis.address(), database), seed as u64);
    }
    let mut connection = client(redis.address(), 0);
    let library = "#!lua name=lib\nredis.register_function('f', function() return 7 end)";
    cmd("FUNCTION").arg("LOAD").arg(library).exec(&mut connection).expect("a library");
    say(&mut connection, "SAVE");
    let cluster = cluster();
    let imported = import(directory.path(), "dump.rdb", &cluster, &[]).output().expect("an import");
    assert!(imported.status.success(), "{}", said(&imported));
    assert!(!directory.path().join("onecopy-import").exists(), "nothing is left of the work");
    for database in DATABASES {
        let there = contents(&mut client(redis.address(), database));
        let here = contents(&mut client(cluster.redis_address(1), database));
        assert!(there.len() > 1000, "{} keys", there.len());
        assert_eq!(there, here, "database {database}");
    }
    let called = cmd("FCALL").arg("f").arg(0).query::<i64>(&mut client(cluster.redis_address(2), 0));
    assert_eq!(called, Ok(7));

    // And back, into another Redis, which may be of 7.0.
    let other = tempfile::tempdir().expect("a directory");
    let words = ["export", "dump.rdb", "--redis", "7.0", "--from", &cluster.redis_address(3).to_string()]
        .map(str::to_owned);
    let exported = onecopy(other.path(), &words).output().expect("an export");
    assert!(exported.status.success(), "{}", said(&exported));
    let loaded = redis_in(other.path());
    for database in DATABASES {
        let there = contents(&mut client(redis.address(), database));
        let back = contents(&mut client(loaded.address(), database));
        assert_eq!(there, back, "database {database}");
    }
    let called = cmd("FCALL").arg("f").arg(0).query::<i64>(&mut client(loaded.address(), 0));
    assert_eq!(called, Ok(7));
}

#[test]
fn what_cannot_be_taken_is_listed_and_what_is_there_stays() {
    if !RedisServer::is_installed() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let redis = redis_in(directory.path());
    let mut source = client(redis.address(), 0);
    say(&mut source, "MSET a there b there");
    say(&mut source, "SAVE");
    let cluster = cluster();
    let mut here = client(cluster.redis_address(1), 0);
    say(&mut here, "SET a here");
    let imported = import(directory.path(), "dump.rdb", &cluster, &[]).output().expect("an import");
    assert_eq!(imported.status.code(), Some(1), "{}", said(&imported));
    let list =
        std::fs::read_to_string(directory.path().join("onecopy-import/not-taken.txt")).expect("a list");
    assert!(list.contains("key \"a\" of database 0: BUSYKEY"), "{list}");
    assert_eq!(say(&mut here, "MGET a b"), say(&mut here, "MGET a b"));
    let values = Vec::<String>::from_redis_value(say(&mut here, "MGET a b")).expect("values");
    assert_eq!(values, ["here", "there"]);
    let imported =
        import(directory.path(), "dump.rdb", &cluster, &["--replace"]).output().expect("an import");
    assert!(imported.status.success(), "{}", said(&imported));
    assert_eq!(String::from_redis_value(say(&mut here, "GET a")), Ok("there".to_owned()));

    // A database that the cluster lacks, and a file that was damaged.
    let mut elsewhere = client(redis.address(), 19);
    say(&mut elsewhere, "SET c there");
    say(&mut elsewhere, "SAVE");
    let further = &["--replace"];
    let imported = import(directory.path(), "dump.rdb", &cluster, further).output().expect("an import");
    assert!(
        !imported.status.success() && said(&imported).contains("onecopy database"),
        "{}",
        said(&imported)
    );
    let further = &["--replace", "--database", "19:3"];
    let imported = import(directory.path(), "dump.rdb", &cluster, further).output().expect("an import");
    assert!(imported.status.success(), "{}", said(&imported));
    let taken = String::from_redis_value(say(&mut client(cluster.redis_address(1), 3), "GET c"));
    assert_eq!(taken, Ok("there".to_owned()));
    let mut bytes = std::fs::read(directory.path().join("dump.rdb")).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(directory.path().join("damaged.rdb"), bytes).expect("written");
    let further = &["--replace", "--work", "damaged"];
    let imported = import(directory.path(), "damaged.rdb", &cluster, further).output().expect("an import");
    assert!(!imported.status.success() && said(&imported).contains("byte"), "{}", said(&imported));
}

#[test]
fn a_cluster_with_users_is_told_who_imports() {
    if !RedisServer::is_installed() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let redis = redis_in(directory.path());
    let mut source = client(redis.address(), 0);
    say(&mut source, "SET a there");
    say(&mut source, "SAVE");
    let cluster = cluster();
    let mut here = client(cluster.redis_address(1), 0);
    say(&mut here, "ACL SETUSER carrier on >secret ~* +@all");
    say(&mut here, "ACL SETUSER default resetpass");
    let further = &["--user", "carrier", "--password", "wrong"];
    let imported = import(directory.path(), "dump.rdb", &cluster, further).output().expect("an import");
    assert!(!imported.status.success() && said(&imported).contains("WRONGPASS"), "{}", said(&imported));
    let further = &["--user", "carrier", "--password", "secret"];
    let imported = import(directory.path(), "dump.rdb", &cluster, further).output().expect("an import");
    assert!(imported.status.success(), "{}", said(&imported));
    assert_eq!(String::from_redis_value(say(&mut here, "GET a")), Ok("there".to_owned()));
}

/// Clients that count at a source until they are told to stop: how often each was told that it had.
struct Counting {
    stop: Arc<AtomicBool>,
    counters: Vec<std::thread::JoinHandle<u64>>,
}

impl Counting {
    fn start(redis: &RedisServer, clients: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let counters = (0..clients).map(|number| {
            let (stop, address) = (Arc::clone(&stop), redis.address());
            std::thread::spawn(move || {
                let mut connection = client(address, 0);
                let mut counted = 0;
                while !stop.load(Ordering::Relaxed) {
                    let step = redis::pipe()
                        .atomic()
                        .cmd("INCR")
                        .arg(format!("counter:{number}"))
                        .cmd("RPUSH")
                        .arg(format!("log:{number}"))
                        .arg(counted)
                        .cmd("HINCRBY")
                        .arg("sums")
                        .arg(number)
                        .arg(counted)
                        .exec(&mut connection);
                    match step {
                        Ok(()) => counted += 1,
                        // The source has ended, with what it had.
                        Err(_) => break,
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
                counted
            })
        });
        let counters = counters.collect();
        Self { stop, counters }
    }
}

/// Waits for the end of an import.
fn finished(child: Child) -> String {
    let output = child.wait_with_output().expect("an end");
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn a_running_redis_is_taken_over_while_it_is_written_to_and_whatever_dies() {
    if !RedisServer::is_installed() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let redis = redis_in(directory.path());
    for (seed, database) in DATABASES.into_iter().enumerate() {
        fill(&mut client(redis.address(), database), seed as u64);
    }
    let mut cluster = cluster();
    let counting = Counting::start(&redis, 4);
    let url = format!("redis://{}", redis.address());
    let work = tempfile::tempdir().expect("a directory");
    let behind = |cluster: &Cluster, at_least: u64| {
        wait("an import that follows", PATIENCE, || {
            let mut connection = client(cluster.redis_address(1), 0);
            let counted = cmd("GET").arg("counter:0").query::<Option<u64>>(&mut connection).ok()??;
            (counted >= at_least).then_some(counted)
        })
    };
    // The import itself is killed, twice.
    for at_least in [50, 100] {
        let mut child = import(work.path(), &url, &cluster, &[]).spawn().expect("an import");
        behind(&cluster, at_least);
        child.kill().expect("killed");
        child.wait().expect("an end");
    }
    // Then the primary, while it catches up.
    let child =
        import(work.path(), &url, &cluster, &["--cut-over", "--pause", "30"]).spawn().expect("an import");
    let primary = cluster.primary();
    cluster.kill(primary);
    cluster.wait_for_other_primary(primary);
    let said = finished(child);
    assert!(said.contains("ms after the source began to refuse writes"), "{said}");
    counting.stop.store(true, Ordering::Relaxed);
    cluster.start_node(primary);
    let mut here = client(cluster.redis_address(primary), 0);
    let taken = contents(&mut here);
    // Who still waits for the source is not answered any more: what it was told has been taken.
    let there: Vec<BTreeMap<String, String>> =
        DATABASES.iter().map(|database| contents(&mut client(redis.address(), *database))).collect();
    drop(redis);
    for (number, counter) in counting.counters.into_iter().enumerate() {
        let counted = counter.join().expect("a counter");
        assert!(counted > 100, "client {number} has counted to {counted}");
        let value = cmd("GET").arg(format!("counter:{number}")).query::<u64>(&mut here).expect("a value");
        assert_eq!(value, counted, "client {number}");
    }
    assert_eq!(taken, there[0]);
    assert_eq!(contents(&mut client(cluster.redis_address(primary), 3)), there[1]);
}
