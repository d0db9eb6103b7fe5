//! What users may do is what they may do in a Redis: users with random rules, and random commands, are asked
//! about on both with `ACL DRYRUN`.

use onecopy_harness::{Cluster, Options, RedisServer, free_port};
use redis::{Connection, RedisResult, Value};

/// Rules, some of which a user gets, in any order. Patterns do not overlap with `~*`, which would be refused.
const RULES: &[&str] = &[
    "+@all",
    "-@all",
    "+@read",
    "-@read",
    "+@write",
    "+@string",
    "-@string",
    "+@hash",
    "+@keyspace",
    "-@dangerous",
    "+@connection",
    "-@connection",
    "+@scripting",
    "+@stream",
    "+@admin",
    "-@admin",
    "+@fast",
    "-@slow",
    "+get",
    "-get",
    "+set",
    "-set",
    "+config",
    "-config|set",
    "+config|get",
    "+client",
    "-client|kill",
    "+client|id",
    "+select|0",
    "+select|1",
    "-select",
    "+xinfo|stream",
    "+object",
    "-object|freq",
    "~a*",
    "~b*",
    "%R~c*",
    "%W~c*",
    "%R~d*",
    "%W~d*",
    "%RW~e*",
    "resetkeys",
    "(+get ~x*)",
    "(+@write %W~y*)",
    "(+@all ~z*)",
    "(+copy %R~x* %W~y*)",
    "clearselectors",
];

const KEYS: &[&str] = &["a1", "b1", "c1", "d1", "e1", "x1", "y1", "z1"];

/// Commands; `K` is a key.
const COMMANDS: &[&str] = &[
    "GET K",
    "SET K v",
    "SET K v GET",
    "SETEX K 1 v",
    "DEL K K",
    "COPY K K",
    "MGET K K K",
    "MSET K 1 K 2",
    "EXISTS K",
    "TYPE K",
    "OBJECT ENCODING K",
    "OBJECT FREQ K",
    "XINFO STREAM K",
    "XADD K * f v",
    "XREAD STREAMS K K 0 0",
    "HSET K f v",
    "HGETALL K",
    "LMOVE K K LEFT RIGHT",
    "SORT K STORE K",
    "SORT K",
    "SORT_RO K",
    "ZUNIONSTORE K 2 K K",
    "ZRANGESTORE K K 0 -1",
    "SINTERSTORE K K K",
    "EVAL x 2 K K",
    "EVAL x 0",
    "FCALL f 1 K",
    "BITFIELD K GET u8 0",
    "BITFIELD K SET u8 0 1",
    "BITOP AND K K K",
    "GEORADIUS K 1 1 1 km STORE K",
    "GETEX K",
    "GETDEL K",
    "RENAME K K",
    "KEYS *",
    "SCAN 0",
    "DBSIZE",
    "FLUSHALL",
    "CONFIG GET x",
    "CONFIG SET x y",
    "CLIENT ID",
    "CLIENT KILL 1:1",
    "SELECT 0",
    "SELECT 1",
    "SELECT 2",
    "PING",
    "ECHO x",
    "INFO",
    "MULTI",
    "AUTH x",
    "HELLO",
    "QUIT",
    "RESET",
    "SCRIPT LOAD x",
    "FUNCTION LIST",
    "ACL WHOAMI",
    "ACL LIST",
    "MEMORY USAGE K",
    "BLPOP K K 0",
    "LPOP K",
    "STRLEN K",
];

struct Dice(u64);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % count
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

fn ask(client: &mut Connection, words: &[&str]) -> RedisResult<Value> {
    let mut command = redis::cmd(words[0]);
    words[1..].iter().for_each(|word| {
        command.arg(word);
    });
    command.query(client)
}

/// Redis 7.0 calls a user by no name.
fn normal(outcome: RedisResult<Value>) -> String {
    match outcome {
        Ok(Value::Okay) => "OK".to_owned(),
        Ok(Value::BulkString(text)) => {
            String::from_utf8_lossy(&text).replace("User fuzz has", "This user has")
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn random_users_may_do_what_they_may_in_redis() {
    if !RedisServer::is_installed() {
        return;
    }
    let server = RedisServer::start(free_port(), &[]).expect("it starts");
    let options = Options { nodes: 1, copies: 1, view_nodes: 1, durability: "memory", ..Options::default() };
    let cluster = Cluster::start(options);
    let address = format!("redis://{}", server.address());
    let mut theirs = redis::Client::open(address).unwrap().get_connection().expect("a connection");
    let mut ours = cluster.client(1);
    let (mut dice, mut differences, mut allowed, mut denied) = (Dice(1), Vec::new(), 0, 0);
    for _ in 0..60 {
        let mut rules = vec!["reset"];
        (0..2 + dice.below(8)).for_each(|_| rules.push(dice.pick(RULES)));
        let line: Vec<&str> = ["ACL", "SETUSER", "fuzz"].into_iter().chain(rules.iter().copied()).collect();
        let (expected, got) = (ask(&mut theirs, &line), ask(&mut ours, &line));
        assert_eq!(expected.is_ok(), got.is_ok(), "{rules:?}: {expected:?} and {got:?}");
        for _ in 0..60 {
            let command: Vec<&str> = dice
                .pick(COMMANDS)
                .split(' ')
                .map(|word| if word == "K" { dice.pick(KEYS) } else { word })
                .collect();
            let line: Vec<&str> =
                ["ACL", "DRYRUN", "fuzz"].into_iter().chain(command.iter().copied()).collect();
            let (expected, got) = (normal(ask(&mut theirs, &line)), normal(ask(&mut ours, &line)));
            if expected == "OK" {
                allowed += 1
            } else {
                denied += 1
            }
            if expected != got {
                differences.push(format!("{rules:?}: {command:?}\n  redis: {expected}\n  node:  {got}"));
            }
        }
    }
    println!("{allowed} were allowed, {denied} denied");
    assert!(allowed > 500 && denied > 500, "{allowed} and {denied} are too few");
    assert!(
        differences.is_empty(),
        "{} differ:\n{}",
        differences.len(),
        differences[..differences.len().min(20)].join("\n")
    );
}

#[test]
fn categories_have_the_commands_that_they_have_in_redis() {
    if !RedisServer::is_installed() {
        return;
    }
    let server = RedisServer::start(free_port(), &[]).expect("it starts");
    let options = Options { nodes: 1, copies: 1, view_nodes: 1, durability: "memory", ..Options::default() };
    let cluster = Cluster::start(options);
    let address = format!("redis://{}", server.address());
    let mut theirs = redis::Client::open(address).unwrap().get_connection().expect("a connection");
    let mut ours = cluster.client(1);
    let list = |client: &mut Connection, words: &[&str]| -> Vec<String> {
        let mut names: Vec<String> =
            redis::from_redis_value(ask(client, words).expect("a list")).expect("names");
        names.sort();
        names
    };
    let all = list(&mut ours, &["COMMAND", "LIST", "FILTERBY", "PATTERN", "*"]);
    let known = list(&mut theirs, &["COMMAND", "LIST", "FILTERBY", "PATTERN", "*"]);
    let categories = list(&mut theirs, &["ACL", "CAT"]);
    assert_eq!(list(&mut ours, &["ACL", "CAT"]), categories);
    for category in &categories {
        let mut expected = list(&mut theirs, &["ACL", "CAT", category]);
        expected.retain(|name| all.contains(name));
        let mut got = list(&mut ours, &["ACL", "CAT", category]);
        got.retain(|name| known.contains(name));
        assert_eq!(got, expected, "{category}");
    }
}
