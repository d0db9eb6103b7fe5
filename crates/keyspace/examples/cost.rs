//! What commands cost in the state machine, and requests in the parser: nanoseconds per command, for
//! orientation.
//!
//! ```text
//! cargo run --release -p onecopy-keyspace --example cost -- [keys]
//! ```

use std::cell::Cell;
use std::time::Instant;

use bytes::BytesMut;
use onecopy_core::{ApplyContext, Index, StateMachine, Timestamp};
use onecopy_keyspace::Keyspace;
use onecopy_keyspace::request::{BodyBuilder, SegmentBuilder};
use onecopy_resp::{Limits, Parser, Version};

const BATCHES: u64 = 2_000;
const PER_BATCH: u64 = 500;

/// Scatters numbers, so that keys do not come in order.
fn scatter(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}

/// Executes batches of what `command` makes of random numbers, and prints the mean.
fn measure(keyspace: &mut Keyspace, name: &str, command: impl Fn(u64) -> Vec<String>) {
    let keys = std::env::args().nth(1).map_or(100_000, |keys| keys.parse().expect("how many keys"));
    let mut bodies = Vec::new();
    for batch in 0..BATCHES {
        let mut segment = SegmentBuilder::new(0, Version::Two);
        for at in 0..PER_BATCH {
            let args = command(scatter(batch * PER_BATCH + at) % keys);
            segment.push(args.iter().map(String::as_bytes));
        }
        let mut body = BodyBuilder::new();
        body.push(&segment.finish());
        bodies.push(body.finish());
    }
    let mut response = Vec::new();
    let start = Instant::now();
    for (body, index) in bodies.iter().zip(1..) {
        let context = ApplyContext::new(Index(index), Timestamp(index), index);
        keyspace.advance(&context);
        response.clear();
        keyspace.apply(&context, body, &mut response);
    }
    report(name, start, BATCHES * PER_BATCH);
}

fn report(name: &str, start: Instant, count: u64) {
    let nanoseconds = start.elapsed().as_nanos() / u128::from(count);
    println!("{name:<28} {nanoseconds:>6} ns");
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_string).collect()
}

fn parse() {
    let request = b"*3\r\n$3\r\nSET\r\n$16\r\nkey:000000012345\r\n$3\r\nxxx\r\n";
    let mut parser = Parser::new(Limits::default());
    let mut bytes = 0;
    let start = Instant::now();
    for _ in 0..BATCHES {
        let mut input = BytesMut::from(request.repeat(PER_BATCH as usize).as_slice());
        while let Some(request) = parser.next(&mut input).expect("well-formed") {
            bytes += request.iter().map(<[u8]>::len).sum::<usize>();
        }
    }
    assert_eq!(bytes as u64, BATCHES * PER_BATCH * 22);
    report("parse SET", start, BATCHES * PER_BATCH);
}

fn main() {
    let (mut one, mut five) = (Keyspace::new([1, 2]), Keyspace::new([1, 2]));
    occupy("entries of 1 field", &mut one, |n| match n {
        1 => "XGROUP CREATE stream group 0 MKSTREAM".into(),
        _ => format!("XADD stream {n}-0 field {:012}", scatter(n)),
    });
    occupy("all of them pending", &mut one, |_| "XREADGROUP GROUP group one COUNT 1 STREAMS stream >".into());
    let pairs = |n: u64| (0..5).map(|field| format!(" field-{field} {:012}", scatter(n))).collect::<String>();
    occupy("entries of 5 fields", &mut five, |n| format!("XADD stream {n}-0{}", pairs(n)));
    drop((one, five));
    parse();
    let mut keyspace = Keyspace::new([1, 2]);
    let machine = &mut keyspace;
    let value = "x".repeat(64);
    measure(machine, "SET new and old, 3 bytes", |n| words(&format!("SET key:{n:012} xxx")));
    measure(machine, "SET old, 3 bytes", |n| words(&format!("SET key:{n:012} xxx")));
    measure(machine, "SET old, 64 bytes", |n| words(&format!("SET key:{n:012} {value}")));
    measure(machine, "GET, 64 bytes", |n| words(&format!("GET key:{n:012}")));
    measure(machine, "SET EX", |n| words(&format!("SET key:{n:012} xxx EX 1000")));
    measure(machine, "INCR", |n| words(&format!("INCR counter:{n:012}")));
    measure(machine, "LPUSH", |_| words("LPUSH list xxx"));
    measure(machine, "LPOP", |_| words("LPOP list"));
    measure(machine, "SADD", |n| words(&format!("SADD set element:{n:012}")));
    measure(machine, "HSET", |n| words(&format!("HSET hash element:{n:012} xxx")));
    measure(machine, "ZADD", |n| words(&format!("ZADD zset {n} element:{n:012}")));
    measure(machine, "ZRANK", |n| words(&format!("ZRANK zset element:{n:012}")));
    measure(machine, "ZRANGEBYSCORE, 10", |n| words(&format!("ZRANGEBYSCORE zset {n} +inf LIMIT 0 10")));
    measure(machine, "SPOP", |_| words("SPOP set"));
    measure(machine, "DEL", |n| words(&format!("DEL key:{n:012}")));

    image("image, collections", &mut keyspace);
    let mut strings = Keyspace::new([1, 2]);
    measure(&mut strings, "SET new and old, 64 bytes", |n| words(&format!("SET key:{n:012} {value}")));
    image("image, strings of 64 bytes", &mut strings);
    let mut tokens = Keyspace::new([1, 2]);
    let next = Cell::new(0u64);
    measure(&mut tokens, "ONCE INCR", |_| {
        next.set(next.get() + 1);
        words(&format!("ONCE 6ba7b810-9dad-11d1-80b4-{:012} INCR n", next.get()))
    });
    image("image, tokens", &mut tokens);
    streams();
}

/// What commands on streams cost.
fn streams() {
    let next = Cell::new(0u64);
    let id = || {
        next.set(next.get() + 1);
        next.get()
    };
    let mut keyspace = Keyspace::new([1, 2]);
    let machine = &mut keyspace;
    measure(machine, "XADD", |n| words(&format!("XADD stream {}-0 field {n:012}", id())));
    measure(machine, "XRANGE, 10", |n| words(&format!("XRANGE stream {n} + COUNT 10")));
    measure(machine, "XREVRANGE, 10", |n| words(&format!("XREVRANGE stream {n} - COUNT 10")));
    measure(machine, "XGROUP CREATE", |_| words("XGROUP CREATE stream group 0"));
    measure(machine, "XREADGROUP, 1", |_| words("XREADGROUP GROUP group one COUNT 1 STREAMS stream >"));
    measure(machine, "XCLAIM JUSTID", |n| words(&format!("XCLAIM stream group other 0 {n} JUSTID")));
    let acknowledged = Cell::new(0u64);
    measure(machine, "XACK", |_| {
        acknowledged.set(acknowledged.get() + 1);
        words(&format!("XACK stream group {}", acknowledged.get()))
    });
    for how in ["~", "="] {
        measure(machine, &format!("XADD MAXLEN {how}"), |n| {
            words(&format!("XADD stream MAXLEN {how} 500000 {}-0 field {n:012}", id()))
        });
    }
    let first = next.get() - 500_000;
    measure(machine, "XDEL", |n| words(&format!("XDEL stream {}", first + n)));
    image("image, a stream", machine);
}

/// How many bytes of memory this process has, where the system says so.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

/// What a million commands occupy, each.
fn occupy(name: &str, keyspace: &mut Keyspace, command: impl Fn(u64) -> String) {
    let before = (keyspace.memory(), resident());
    for batch in 0..BATCHES {
        let mut segment = SegmentBuilder::new(0, Version::Two);
        for at in 0..PER_BATCH {
            let args = words(&command(batch * PER_BATCH + at + 1));
            segment.push(args.iter().map(String::as_bytes));
        }
        let mut body = BodyBuilder::new();
        body.push(&segment.finish());
        let context = ApplyContext::new(Index(batch), Timestamp(1), batch);
        keyspace.apply(&context, &body.finish(), &mut Vec::new());
    }
    let each = |before: u64, after: u64| after.saturating_sub(before) as f64 / (BATCHES * PER_BATCH) as f64;
    let (counted, grown) = (each(before.0, keyspace.memory()), each(before.1, resident()));
    println!("{name:<28} {counted:>6.1} bytes counted, {grown:.1} resident, each");
}

/// Makes an image, and restores it.
fn image(name: &str, keyspace: &mut Keyspace) {
    let rate = |bytes: usize, start: Instant| bytes as f64 / 1e6 / start.elapsed().as_secs_f64();
    let start = Instant::now();
    keyspace.snapshot_begin();
    let mut image = Vec::new();
    while keyspace.snapshot_read(1 << 16, &mut image) {}
    let made = rate(image.len(), start);
    let start = Instant::now();
    let mut restored = Keyspace::new([3, 4]);
    image.chunks(1 << 16).for_each(|chunk| restored.restore(chunk).expect("a piece of an image"));
    restored.restore_finish().expect("a complete image");
    let restored = rate(image.len(), start);
    println!(
        "{name:<28} {:>6.1} MB, made at {made:>4.0} MB/s, restored at {restored:>4.0} MB/s",
        image.len() as f64 / 1e6
    );
}
