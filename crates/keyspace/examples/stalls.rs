//! The longest time for which one command, or one entry, holds up all others: while a collection grows, while
//! much expires at once, and while something large is removed. For orientation.
//!
//! ```text
//! cargo run --release -p onecopy-keyspace --example stalls
//! ```

use std::time::{Duration, Instant};

use bytes::Bytes;
use onecopy_core::{ApplyContext, Index, StateMachine, Timestamp};
use onecopy_keyspace::Keyspace;
use onecopy_keyspace::request::{BodyBuilder, SegmentBuilder};
use onecopy_resp::Version;

const MANY: u64 = 4_000_000;

struct Machine {
    keyspace: Keyspace,
    context: ApplyContext<'static>,
}

impl Machine {
    fn new() -> Self {
        let context = ApplyContext::new(Index(0), Timestamp(1_000), 7);
        Self { keyspace: Keyspace::new([1, 2]), context }
    }

    /// How long it takes to execute an entry with these commands.
    fn run(&mut self, commands: &[String]) -> Duration {
        let mut segment = SegmentBuilder::new(0, Version::Two);
        commands.iter().for_each(|command| segment.push(command.split(' ').map(str::as_bytes)));
        let mut body = BodyBuilder::new();
        body.push(&segment.finish());
        let body: Bytes = body.finish();
        self.context.index = self.context.index.next();
        self.context.seed = self.context.index.0;
        let begin = Instant::now();
        self.keyspace.advance(&self.context);
        self.keyspace.apply(&self.context, &body, &mut Vec::new());
        begin.elapsed()
    }
}

fn report(name: &str, longest: Duration, total: Duration) {
    println!(
        "{name:<40} longest {:>8.2} ms, all {:>8.0} ms",
        longest.as_secs_f64() * 1e3,
        total.as_secs_f64() * 1e3
    );
}

/// Executes a command for each number, one entry each, and prints the longest and the sum.
fn grow(name: &str, machine: &mut Machine, count: u64, command: impl Fn(u64) -> String) {
    let (mut longest, mut total) = (Duration::ZERO, Duration::ZERO);
    for number in 0..count {
        let took = machine.run(&[command(number)]);
        (longest, total) = (longest.max(took), total + took);
    }
    report(name, longest, total);
}

fn main() {
    let mut machine = Machine::new();
    grow("SADD, to four million", &mut machine, MANY, |number| format!("SADD s {number}"));
    grow("HSET, to four million", &mut machine, MANY, |number| format!("HSET h {number} value"));
    grow("ZADD, to four million", &mut machine, MANY, |number| format!("ZADD z {number} {number}"));
    grow("RPUSH, to four million", &mut machine, MANY, |number| format!("RPUSH l {number}"));
    grow("SET, to four million", &mut machine, MANY, |number| format!("SET k{number} value"));
    grow("RANDOMKEY", &mut machine, 1_000, |_| "RANDOMKEY".to_owned());
    grow("DEL of four million elements each", &mut machine, 1, |_| "DEL s h z l".to_owned());
    let (mut longest, mut total) = (Duration::ZERO, Duration::ZERO);
    loop {
        let begin = Instant::now();
        let more = machine.keyspace.tidy();
        (longest, total) = (longest.max(begin.elapsed()), total + begin.elapsed());
        if !more {
            break;
        }
    }
    report("giving their memory back", longest, total);
    let mut machine = Machine::new();
    grow("SET PX, two million", &mut machine, MANY / 2, |number| format!("SET k{number} value PX 100"));
    machine.context.time.0 += 100;
    let (mut longest, mut total, mut entries) = (Duration::ZERO, Duration::ZERO, 0);
    loop {
        machine.context.time.0 += 1;
        entries += 1;
        let took = machine.run(&["INCR n".to_owned(), "DBSIZE".to_owned()]);
        (longest, total) = (longest.max(took), total + took);
        if !machine.keyspace.has_leftovers() {
            break;
        }
    }
    report(&format!("all expired, in {entries} entries of 1 ms"), longest, total);
}
