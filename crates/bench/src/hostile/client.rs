//! Hostile clients, before and after they have given the password.

use super::input::{Input, Target, nothing};
use super::stranger::{Held, Stranger, command, repeated};

/// One mebibyte.
const MIB: usize = 1 << 20;

const BEFORE: &str = "client, before AUTH";
const AFTER: &str = "client, after AUTH";

/// Without the password.
pub(crate) const BEFORE_AUTH: &[Input] = &[
    before("200 connections that say nothing", |target| Held::many(200, |_| Stranger::new(target.redis))),
    before("nine that send 59 of 60 MB, and stop", |target| {
        let half = [b"*2\r\n$4\r\nAUTH\r\n$60000000\r\n".as_slice(), &vec![b'x'; 59_000_000]].concat();
        Held::at_once(9, |_| pouring(target, &half))
    }),
    before("a million empty arguments", |target| {
        let bytes = [b"*1048576\r\n".as_slice(), &b"$0\r\n\r\n".repeat(1 << 20)].concat();
        Held::one(pouring(target, &bytes))
    }),
    before("100,000 guesses of the password in one pipeline", |target| {
        Held::one(pouring(target, &repeated(100_000, &[b"AUTH", b"guess"])))
    }),
    before("50 connections that guess", |target| {
        Held::at_once(50, |_| pouring(target, &repeated(1_000, &[b"AUTH", b"guess"])))
    }),
    before("a web page's request, with a command behind it", |target| {
        Held::one(pouring(target, b"POST / HTTP/1.1\r\nHost: a\r\n\r\nSET hacked 1\r\n"))
    }),
    before("two thousand million arguments", |target| Held::one(pouring(target, b"*2147483647\r\n"))),
    before("an argument of 99,999,999,999 bytes", |target| {
        Held::one(pouring(target, b"*2\r\n$3\r\nGET\r\n$99999999999\r\n"))
    }),
    before("a million arrays within each other", |target| {
        Held::one(pouring(target, &b"*1\r\n".repeat(1_000_000)))
    }),
    before("8 MiB of random bytes", |target| Held::one(pouring(target, &noise(8 * MIB)))),
    before("a line of 10 MB that never ends", |target| Held::one(pouring(target, &vec![b'a'; 10_000_000]))),
    before("200 that send a request byte by byte", |target| {
        Held::many(200, |number| pouring(target, &b"*2\r\n$4\r\nAUTH\r\n"[..1 + number % 12]))
    }),
    before("HELLO with a password of 1 MB", |target| {
        let password = vec![b'p'; 1_000_000];
        Held::one(pouring(target, &command(&[b"HELLO", b"3", b"AUTH", b"default", &password])))
    }),
    before("500,000 PINGs, and no answer is read", |target| {
        Held::one(pouring(target, &repeated(500_000, &[b"PING"])))
    }),
];

/// With the password: whoever may do everything, but should not stop the others.
pub(crate) const AFTER_AUTH: &[Input] = &[
    Input {
        prepare: |operator| redis::cmd("SET").arg(vec![b'a'; 150_000]).arg(1).query(operator),
        ..after("KEYS with 60 stars over a key of 150 KB", |target| {
            let pattern = [b"*a".repeat(60), b"*b".to_vec()].concat();
            Held::one(asking(target, &command(&[b"KEYS", &pattern])))
        })
    },
    Input {
        prepare: set_of_30_000,
        ..after("SINTERSTORE of one set 30,000 times", |target| {
            let mut args: Vec<&[u8]> = vec![b"SINTERSTORE", b"d"];
            args.resize(30_002, b"s");
            Held::one(asking(target, &command(&args)))
        })
    },
    Input {
        prepare: set_of_30_000,
        ..after("SUNIONSTORE of it, 200 times in a pipeline", |target| {
            Held::one(asking(target, &repeated(200, &[b"SUNIONSTORE", b"d", b"s", b"s"])))
        })
    },
    Input {
        prepare: |operator| redis::cmd("SADD").arg("one").arg(vec![b'm'; 60]).query(operator),
        ..after("nine million random members of a set of one", |target| {
            Held::one(asking(target, &command(&[b"SRANDMEMBER", b"one", b"-9000000"])))
        })
    },
    after("ECHO of 30 MB, and 200 times COMMAND DOCS, unread", |target| {
        let echo = command(&[b"ECHO", &vec![b'e'; 30_000_000]]);
        Held::one(asking(target, &[echo, repeated(200, &[b"COMMAND", b"DOCS"])].concat()))
    }),
    Input {
        prepare: value_of_60_mb,
        ..after("GET of 60 MB, 50 times, unread", |target| {
            Held::one(asking(target, &repeated(50, &[b"GET", b"large"])))
        })
    },
    Input {
        prepare: value_of_60_mb,
        ..after("GET of 60 MB over ten connections, unread", |target| {
            Held::at_once(10, |_| asking(target, &command(&[b"GET", b"large"])))
        })
    },
    after("a pipeline of 500,000 INCRs, unread", |target| {
        Held::one(asking(target, &repeated(500_000, &[b"INCR", b"counter"])))
    }),
    after("SETRANGE at the last byte of 512 MB", |target| {
        Held::one(asking(target, &command(&[b"SETRANGE", b"k", b"536870911", b"x"])))
    }),
    after("14 times SETRANGE of 100 MiB, beyond maxmemory", |target| {
        let keys: Vec<String> = (0..14).map(|number| format!("range {number}")).collect();
        let pipeline = keys.iter().map(|key| command(&[b"SETRANGE", key.as_bytes(), b"104857599", b"x"]));
        Held::one(asking(target, &pipeline.collect::<Vec<_>>().concat()))
    }),
    after("three SETs of 60 MB at once", |target| Held::at_once(3, |number| setting(target, number, 60))),
    after("eight SETs of 20 MB at once", |target| Held::at_once(8, |number| setting(target, number, 20))),
    after("eight SETs of 60 MB at once", |target| Held::at_once(8, |number| setting(target, number, 60))),
    after("MSET of 300,000 keys", |target| {
        let keys: Vec<String> = (0..300_000).map(|number| format!("m{number}")).collect();
        let pairs = keys.iter().flat_map(|key| [key.as_bytes(), b"v"]);
        let args: Vec<&[u8]> = std::iter::once(b"MSET".as_slice()).chain(pairs).collect();
        Held::one(asking(target, &command(&args)))
    }),
    after("a million empty arguments", |target| {
        let bytes = [b"*1048576\r\n".as_slice(), &b"$0\r\n\r\n".repeat(1 << 20)].concat();
        Held::one(asking(target, &bytes))
    }),
    after("150 that send half of 1 MB, and stop", |target| {
        let half = [b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n".as_slice(), &vec![b'x'; 500_000]].concat();
        Held::at_once(150, |_| asking(target, &half))
    }),
    after("CONFIG GET with 40 stars", |target| {
        Held::one(asking(
            target,
            &command(&[b"CONFIG", b"GET", &[b"*a".repeat(40), b"*zz".to_vec()].concat()]),
        ))
    }),
    Input {
        prepare: |operator| {
            let members: Vec<(f64, u64)> = (0..300_000).map(|number| (1.0, number)).collect();
            members
                .chunks(50_000)
                .try_for_each(|chunk| redis::cmd("ZADD").arg("z").arg(chunk).query(operator))
        },
        ..after("ZUNIONSTORE of a sorted set of 300,000, five times", |target| {
            Held::one(asking(target, &repeated(5, &[b"ZUNIONSTORE", b"y", b"2", b"z", b"z"])))
        })
    },
    after("300,000 keys that expire in the same second", |target| {
        let keys: Vec<String> = (0..300_000).map(|number| format!("e{number}")).collect();
        let sets = keys.iter().map(|key| command(&[b"SET", key.as_bytes(), b"v", b"PX", b"1500"]));
        Held::one(asking(target, &sets.collect::<Vec<_>>().concat()))
    }),
    after("a pushed list of 300,000, and a thousand LINSERTs in its middle", |target| {
        let elements: Vec<String> = (0..300_000).map(|number| number.to_string()).collect();
        let pushed = elements.iter().map(|element| element.as_bytes());
        let push: Vec<&[u8]> = [b"RPUSH".as_slice(), b"l"].into_iter().chain(pushed).collect();
        let inserts = repeated(1_000, &[b"LINSERT", b"l", b"BEFORE", b"150000", b"x"]);
        Held::one(asking(target, &[command(&push), inserts].concat()))
    }),
    after("unknown commands with 10,000 arguments and bytes of all kinds", |target| {
        let all: Vec<u8> = (0..=255).collect();
        let args: Vec<&[u8]> = vec![&all; 10_000];
        Held::one(asking(target, &command(&args).repeat(5)))
    }),
    after("commands that would stop a Redis", |target| {
        let orders: [&[&[u8]]; 5] = [
            &[b"DEBUG", b"SEGFAULT"],
            &[b"SHUTDOWN", b"NOSAVE"],
            &[b"SLAVEOF", b"127.0.0.1", b"1"],
            &[b"CLIENT", b"PAUSE", b"100000"],
            &[b"CONFIG", b"SET", b"dir", b"/"],
        ];
        Held::one(asking(target, &orders.map(command).concat()))
    }),
];

const fn before(name: &'static str, send: fn(&Target) -> Held) -> Input {
    Input { port: BEFORE, name, prepare: nothing, send }
}

const fn after(name: &'static str, send: fn(&Target) -> Held) -> Input {
    Input { port: AFTER, name, prepare: nothing, send }
}

fn pouring(target: &Target, bytes: &[u8]) -> Stranger {
    Stranger::pouring(target.redis, bytes)
}

fn asking(target: &Target, bytes: &[u8]) -> Stranger {
    let mut stranger = Stranger::authenticated(target.redis);
    stranger.pour(bytes);
    stranger
}

fn setting(target: &Target, number: usize, megabytes: usize) -> Stranger {
    let value = vec![b'v'; megabytes * 1_000_000];
    asking(target, &command(&[b"SET", format!("large {number}").as_bytes(), &value]))
}

fn set_of_30_000(operator: &mut redis::Connection) -> redis::RedisResult<()> {
    redis::cmd("SADD").arg("s").arg((0..30_000).collect::<Vec<u64>>()).query(operator)
}

fn value_of_60_mb(operator: &mut redis::Connection) -> redis::RedisResult<()> {
    redis::cmd("SET").arg("large").arg(vec![b'v'; 60_000_000]).query(operator)
}

/// Bytes that follow no protocol, the same every time.
pub(super) fn noise(count: usize) -> Vec<u8> {
    use rand::{Rng, SeedableRng, rngs::StdRng};
    let mut bytes = vec![0; count];
    StdRng::seed_from_u64(7).fill_bytes(&mut bytes);
    bytes
}
