//! The same commands to a real Redis and to a keyspace: the replies must be equal.
//!
//! Needs a `redis-server` of version 7 on the path; without one the test says so and passes. How many commands, and from which
//! seed, can be set by `ONECOPY_REDIS_COMMANDS` and `ONECOPY_REDIS_SEED`.
//!
//! What is compared with care: orders that Redis does not promise (sets, hashes, keys) are sorted, doubles are compared as
//! numbers (Redis 7.0 writes them with 17 digits), and remaining times are rounded, because the two clocks differ.

mod support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use onecopy_resp::Version;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use support::{Machine, Reply, words};

struct Redis {
    process: Child,
    stream: TcpStream,
    input: Vec<u8>,
    directory: std::path::PathBuf,
}

impl Redis {
    fn start() -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let directory = std::env::temp_dir().join(format!("onecopy-redis-{port}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"])
            .current_dir(&directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        for _ in 0..200 {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
                stream.set_nodelay(true).expect("no delay");
                return Some(Self { process, stream, input: Vec::new(), directory });
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("redis-server does not accept connections");
    }

    fn run(&mut self, args: &[Vec<u8>]) -> Reply {
        let mut request = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            request.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            request.extend_from_slice(arg);
            request.extend_from_slice(b"\r\n");
        }
        self.stream.write_all(&request).expect("written");
        loop {
            let mut rest = self.input.as_slice();
            if let Some(reply) = Reply::parse(&mut rest) {
                let used = self.input.len() - rest.len();
                self.input.drain(..used);
                return reply;
            }
            let mut chunk = [0; 1 << 16];
            let count = self.stream.read(&mut chunk).expect("read");
            assert!(count > 0, "redis-server hung up");
            self.input.extend_from_slice(&chunk[..count]);
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// How a reply is brought into a form that can be compared.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Compare {
    Exact,
    /// The elements come in any order.
    Sorted,
    /// The elements come in pairs, the pairs in any order.
    SortedPairs,
    /// The second element is what `SortedPairs` or `Sorted` says: a scan's.
    Scan(usize),
    /// A remaining time in milliseconds.
    Remaining,
}

/// Numbers of any spelling, in RESP2 and in RESP3.
fn normal(reply: Reply) -> Reply {
    let number = |text: &str| text.parse::<f64>().ok().map(|value| Reply::Double(format!("{value:?}")));
    match reply {
        Reply::Double(text) => number(&text).unwrap_or(Reply::Double(text)),
        Reply::Bulk(bytes) => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            // Only what has a fraction may differ in spelling.
            let spelled =
                text.contains(['.', 'e']) && text.bytes().all(|byte| b"0123456789.e+-".contains(&byte));
            spelled.then(|| number(&text)).flatten().unwrap_or(Reply::Bulk(bytes))
        }
        Reply::Array(items) => Reply::Array(items.into_iter().map(normal).collect()),
        Reply::Map(items) => Reply::Map(items.into_iter().map(normal).collect()),
        Reply::Set(items) => Reply::Set(items.into_iter().map(normal).collect()),
        other => other,
    }
}

fn sort(items: Vec<Reply>, width: usize) -> Vec<Reply> {
    let mut groups: Vec<Vec<Reply>> = items.chunks(width).map(<[Reply]>::to_vec).collect();
    groups.sort_by_key(|group| group.iter().map(Reply::text).collect::<Vec<_>>());
    groups.concat()
}

fn comparable(reply: Reply, compare: Compare) -> Reply {
    match (normal(reply), compare) {
        (Reply::Array(items), Compare::Sorted) => Reply::Array(sort(items, 1)),
        (Reply::Array(items), Compare::SortedPairs) => Reply::Array(sort(items, 2)),
        (Reply::Set(items), _) => Reply::Set(sort(items, 1)),
        (Reply::Map(items), _) => Reply::Map(sort(items, 2)),
        (Reply::Array(mut items), Compare::Scan(width)) if items.len() == 2 => {
            let Some(Reply::Array(found)) = items.pop() else { panic!("a scan's second part") };
            items.push(Reply::Array(sort(found, width)));
            Reply::Array(items)
        }
        (Reply::Integer(time), Compare::Remaining) if time > 0 => Reply::Integer((time + 30_000) / 60_000),
        (other, _) => other,
    }
}

/// Makes commands from templates: each word that names a choice is replaced.
struct Maker {
    rng: ChaCha8Rng,
    choices: BTreeMap<&'static str, Vec<&'static str>>,
}

impl Maker {
    fn new(seed: u64) -> Self {
        let choices = [
            ("K", "s1 s2 n1 h1 h2 l1 l2 t1 t2 t3 z1 z2 z3 x"),
            ("KS", "s1 s2 s1 s2 n1 x l1"),
            ("KN", "n1 n1 n2 n3 s1 x h1"),
            ("KH", "h1 h1 h2 h2 h3 x s1"),
            ("KL", "l1 l1 l2 l2 l3 x h1"),
            ("KT", "t1 t1 t2 t2 t3 x s1"),
            ("KZ", "z1 z1 z2 z2 z3 x t1 s1"),
            ("V", "a b c foo 12 -7 3.5 '' hello-world 0 10"),
            ("F", "f1 f2 f3 f4 12 ''"),
            ("M", "a b c d e f g 1 2 3 '' aa ab"),
            ("I", "0 1 2 3 -1 -2 -3 5 100 -100"),
            ("IX", "0 1 -1 2 x 1.5 9223372036854775807 -9223372036854775808 '' 007"),
            ("C", "0 1 2 3 5 -1 x"),
            ("D", "0.5 1.25 -2.5 3 1e2 x inf"),
            ("W", "0 1 -1 1.5 2.25 -0.5 3 3 10 inf -inf x"),
            ("SB", "0 1 (1 -1 1.5 (1.5 3 (3 10 -inf +inf inf (inf x"),
            ("LB", "- + [a (a [b (c [ab (ab [ x"),
            ("T", "100 1000 3600 600"),
            ("TX", "0 -1 x 9223372036854775807 -9223372036854775808 100"),
            ("G", "* s* ?1 [hl]1 *2 x nothing*"),
        ];
        let split = |(name, list): (&'static str, &'static str)| (name, list.split(' ').collect());
        Self { rng: ChaCha8Rng::seed_from_u64(seed), choices: choices.into_iter().map(split).collect() }
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.rng.next_u64() % bound as u64) as usize
    }

    fn fill(&mut self, template: &str) -> String {
        let words = template.split(' ').map(|word| match self.choices.get(word).cloned() {
            Some(list) => list[self.below(list.len())].to_string(),
            None => match word.strip_prefix('?') {
                // An option that may be left out.
                Some(_) if self.below(3) > 0 => String::new(),
                Some(option) => option.replace('_', " "),
                None => word.to_string(),
            },
        });
        let line = words.collect::<Vec<_>>().join(" ");
        // What an option brought in may be a choice again.
        match line.split(' ').any(|word| self.choices.contains_key(word)) {
            true => self.fill(&line),
            false => line,
        }
    }
}

use Compare::{Exact, Remaining, Scan, Sorted, SortedPairs};

const TEMPLATES: &[(&str, Compare)] = &[
    // Strings.
    ("SET KS V ?NX ?XX ?GET ?KEEPTTL", Exact),
    ("SET KS V ?EX_T ?PX_TX", Exact),
    ("SET KN I", Exact),
    ("GET KS", Exact),
    ("GETSET KS V", Exact),
    ("GETDEL KS", Exact),
    ("GETEX KS ?EX_T ?PERSIST", Exact),
    ("GETEX KS PX TX", Exact),
    ("MGET KS KN KH", Exact),
    ("MSET KS V KN I", Exact),
    ("MSETNX KS V KN I", Exact),
    ("SETNX KS V", Exact),
    ("SETEX KS T V", Exact),
    ("SETEX KS TX V", Exact),
    ("PSETEX KS TX V", Exact),
    ("APPEND KS V", Exact),
    ("STRLEN KS", Exact),
    ("GETRANGE KS I I", Exact),
    ("GETRANGE KS IX I", Exact),
    ("SUBSTR KS I I", Exact),
    ("SETRANGE KS C V", Exact),
    ("SETRANGE KS IX V", Exact),
    ("INCR KN", Exact),
    ("DECR KN", Exact),
    ("INCRBY KN I", Exact),
    ("INCRBY KN IX", Exact),
    ("DECRBY KN IX", Exact),
    ("INCRBYFLOAT KN D", Exact),
    // Keys.
    ("DEL K K", Exact),
    ("DEL K", Exact),
    ("UNLINK K", Exact),
    ("EXISTS K K", Exact),
    ("TOUCH K K", Exact),
    ("TYPE K", Exact),
    ("KEYS G", Sorted),
    ("SCAN 0 COUNT 1000 ?MATCH_G ?TYPE_hash", Scan(1)),
    ("SCAN x", Exact),
    ("SCAN 0 COUNT C ?MATCH", Exact),
    ("RENAME K K", Exact),
    ("RENAMENX K K", Exact),
    ("COPY K K ?REPLACE ?DB_1", Exact),
    ("COPY K K DB IX", Exact),
    ("MOVE K 1", Exact),
    ("MOVE K IX", Exact),
    ("DBSIZE", Exact),
    ("EXPIRE K T ?NX ?XX ?GT ?LT", Exact),
    ("EXPIRE K TX ?NX ?XX ?GT ?LT ?YY", Exact),
    ("PEXPIRE K TX", Exact),
    ("EXPIREAT K 99999999999 ?NX ?XX ?GT ?LT", Exact),
    ("PEXPIREAT K TX", Exact),
    ("PTTL K", Remaining),
    ("EXPIRETIME x", Exact),
    ("PERSIST K", Exact),
    ("SWAPDB 0 1", Exact),
    ("SWAPDB IX IX", Exact),
    ("FLUSHDB ?ASYNC ?x", Exact),
    ("OBJECT ENCODING KN", Exact),
    ("OBJECT x K", Exact),
    ("MEMORY USAGE", Exact),
    // Hashes.
    ("HSET KH F V F V", Exact),
    ("HSET KH F V F", Exact),
    ("HMSET KH F V F I", Exact),
    ("HMSET KH F", Exact),
    ("HSETNX KH F V", Exact),
    ("HGET KH F", Exact),
    ("HMGET KH F F F", Exact),
    ("HGETALL KH", SortedPairs),
    ("HDEL KH F F", Exact),
    ("HLEN KH", Exact),
    ("HEXISTS KH F", Exact),
    ("HKEYS KH", Sorted),
    ("HVALS KH", Sorted),
    ("HINCRBY KH F IX", Exact),
    ("HINCRBY KH F I", Exact),
    ("HINCRBYFLOAT KH F D", Exact),
    ("HSTRLEN KH F", Exact),
    ("HSCAN KH 0 ?MATCH_f* ?COUNT_C", Scan(2)),
    ("HRANDFIELD KH 100", Sorted),
    ("HRANDFIELD KH 100 WITHVALUES", SortedPairs),
    ("HRANDFIELD x IX ?WITHVALUES ?y", Exact),
    // Lists.
    ("LPUSH KL M M", Exact),
    ("RPUSH KL M M M", Exact),
    ("LPUSHX KL M", Exact),
    ("RPUSHX KL M M", Exact),
    ("LPOP KL", Exact),
    ("RPOP KL", Exact),
    ("LPOP KL C", Exact),
    ("RPOP KL C", Exact),
    ("LPOP KL C C", Exact),
    ("LLEN KL", Exact),
    ("LRANGE KL I I", Exact),
    ("LRANGE KL 0 -1", Exact),
    ("LRANGE KL IX I", Exact),
    ("LINDEX KL I", Exact),
    ("LINDEX KL IX", Exact),
    ("LSET KL I M", Exact),
    ("LSET KL IX M", Exact),
    ("LINSERT KL BEFORE M M", Exact),
    ("LINSERT KL AFTER M M", Exact),
    ("LINSERT KL x M M", Exact),
    ("LREM KL I M", Exact),
    ("LREM KL IX M", Exact),
    ("LTRIM KL I I", Exact),
    ("LPOS KL M ?RANK_I ?COUNT_C ?MAXLEN_C", Exact),
    ("LPOS KL M RANK IX", Exact),
    ("LMOVE KL KL LEFT RIGHT", Exact),
    ("LMOVE KL KL RIGHT LEFT", Exact),
    ("LMOVE KL KL RIGHT x", Exact),
    ("RPOPLPUSH KL KL", Exact),
    ("LMPOP C KL KL LEFT ?COUNT_C", Exact),
    ("LMPOP 2 KL KL RIGHT ?COUNT_C", Exact),
    // Sets.
    ("SADD KT M M", Exact),
    ("SADD KT I I I", Exact),
    ("SREM KT M M", Exact),
    ("SMEMBERS KT", Sorted),
    ("SISMEMBER KT M", Exact),
    ("SMISMEMBER KT M M", Exact),
    ("SCARD KT", Exact),
    ("SPOP KT 100", Sorted),
    ("SPOP x C", Exact),
    ("SRANDMEMBER KT 100", Sorted),
    ("SRANDMEMBER x IX", Exact),
    ("SMOVE KT KT M", Exact),
    ("SINTER KT KT", Sorted),
    ("SUNION KT KT KT", Sorted),
    ("SDIFF KT KT", Sorted),
    ("SINTERSTORE KT KT KT", Exact),
    ("SUNIONSTORE KT KT KT", Exact),
    ("SDIFFSTORE KT KT KT", Exact),
    ("SINTERCARD 2 KT KT ?LIMIT_C", Exact),
    ("SINTERCARD C KT KT", Exact),
    ("SSCAN KT 0 ?MATCH_a*", Scan(1)),
    // Sorted sets.
    ("ZADD KZ W M W M W M", Exact),
    ("ZADD KZ ?NX ?XX ?GT ?LT ?CH ?INCR W M", Exact),
    ("ZADD KZ ?GT ?CH W M W M", Exact),
    ("ZADD KZ W M W", Exact),
    ("ZREM KZ M M", Exact),
    ("ZSCORE KZ M", Exact),
    ("ZMSCORE KZ M M", Exact),
    ("ZINCRBY KZ W M", Exact),
    ("ZCARD KZ", Exact),
    ("ZCOUNT KZ SB SB", Exact),
    ("ZRANGE KZ I I ?WITHSCORES ?REV", Exact),
    ("ZRANGE KZ 0 -1 WITHSCORES", Exact),
    ("ZRANGE KZ IX I ?LIMIT_I_I", Exact),
    ("ZRANGE KZ SB SB BYSCORE ?REV ?LIMIT_I_I ?WITHSCORES", Exact),
    ("ZRANGE ZL LB LB BYLEX ?REV ?LIMIT_I_I", Exact),
    ("ZRANGE ZL LB LB BYLEX WITHSCORES", Exact),
    ("ZADD ZL 0 M 0 M 0 M", Exact),
    ("ZREM ZL M M", Exact),
    ("ZRANGEBYSCORE KZ SB SB ?WITHSCORES ?LIMIT_I_I", Exact),
    ("ZREVRANGEBYSCORE KZ SB SB ?WITHSCORES ?LIMIT_I_I ?REV", Exact),
    ("ZREVRANGE KZ I I ?WITHSCORES", Exact),
    ("ZRANGEBYLEX ZL LB LB ?LIMIT_I_I", Exact),
    ("ZREVRANGEBYLEX ZL LB LB ?LIMIT_I_I", Exact),
    ("ZLEXCOUNT ZL LB LB", Exact),
    ("ZRANK KZ M", Exact),
    ("ZREVRANK KZ M", Exact),
    ("ZPOPMIN KZ ?C", Exact),
    ("ZPOPMAX KZ ?C", Exact),
    ("ZMPOP 2 KZ KZ MIN ?COUNT_C", Exact),
    ("ZMPOP C KZ KZ MAX", Exact),
    ("ZREMRANGEBYRANK KZ I I", Exact),
    ("ZREMRANGEBYSCORE KZ SB SB", Exact),
    ("ZREMRANGEBYLEX ZL LB LB", Exact),
    ("ZRANGESTORE KZ KZ I I ?REV", Exact),
    ("ZRANGESTORE KZ KZ SB SB BYSCORE ?REV ?LIMIT_I_I ?WITHSCORES", Exact),
    ("ZUNION 2 KZ KZ ?WEIGHTS_D_D ?AGGREGATE_MIN ?WITHSCORES", Exact),
    ("ZUNION 2 KZ KT ?AGGREGATE_MAX ?WITHSCORES", Exact),
    ("ZINTER 2 KZ KZ ?WEIGHTS_D_D ?AGGREGATE_MAX ?WITHSCORES", Exact),
    ("ZINTER 3 KZ KZ KZ WITHSCORES", Exact),
    ("ZDIFF 2 KZ KZ ?WITHSCORES ?AGGREGATE_MAX", Exact),
    ("ZUNIONSTORE KZ C KZ KZ ?AGGREGATE_x", Exact),
    ("ZUNIONSTORE KZ 2 KZ KT ?WEIGHTS_D_D", Exact),
    ("ZINTERSTORE KZ 2 KZ KZ ?WITHSCORES", Exact),
    ("ZDIFFSTORE KZ 2 KZ KZ", Exact),
    ("ZINTERCARD 2 KZ KZ ?LIMIT_C", Exact),
    ("ZRANDMEMBER KZ 100", Sorted),
    ("ZRANDMEMBER x IX ?WITHSCORES ?y", Exact),
    ("ZSCAN KZ 0 ?MATCH_a*", Scan(2)),
    // Wrong numbers of arguments, and names that do not exist.
    ("GET", Exact),
    ("ZADD KZ", Exact),
    ("HSET KH", Exact),
    ("NONSENSE V V", Exact),
];

fn compare_replies(version: Version) {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    let seed = number("ONECOPY_REDIS_SEED", 1);
    let count = number("ONECOPY_REDIS_COMMANDS", 30_000);
    let Some(mut redis) = Redis::start() else {
        println!("there is no redis-server on the path: nothing to compare with, the test is skipped");
        return;
    };
    if version == Version::Three {
        redis.run(&words("HELLO 3"));
    }
    let mut machine = Machine { version, ..Machine::default() };
    let mut maker = Maker::new(seed);
    let mut different: BTreeMap<&str, (u64, String)> = BTreeMap::new();
    for step in 0..count {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        machine.context.time.0 = u64::try_from(now.as_millis()).expect("a time");
        let at = maker.below(TEMPLATES.len());
        let (template, compare) = TEMPLATES[at];
        // Whole databases are emptied or swapped rarely, or there would never be much in them.
        if (template.starts_with("FLUSH") || template.starts_with("SWAP")) && maker.below(8) > 0 {
            continue;
        }
        let line = maker.fill(template);
        let args = words(&line);
        let raw = machine.apply(&args);
        let ours = comparable(Reply::parse(&mut raw.as_slice()).expect("a reply"), compare);
        let theirs = comparable(redis.run(&args), compare);
        if ours.text().trim_end() != theirs.text().trim_end() {
            let report =
                format!("step {step}: {line}\n  redis:   {}\n  onecopy: {}", theirs.text(), ours.text());
            different.entry(template).or_insert((0, report)).0 += 1;
        }
    }
    let reports: Vec<String> =
        different.values().map(|(times, report)| format!("({times} times) {report}")).collect();
    assert!(reports.is_empty(), "{version:?}, seed {seed}:\n{}", reports.join("\n"));
}

#[test]
fn replies_are_those_of_redis_in_resp2() {
    compare_replies(Version::Two);
}

#[test]
fn replies_are_those_of_redis_in_resp3() {
    compare_replies(Version::Three);
}
