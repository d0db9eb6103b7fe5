//! The same commands to a real Redis and to a keyspace: what is published about keys must be equal.
//!
//! Needs a `redis-server` of version 7 on the path; without one the test says so and passes. Keys do not
//! expire by themselves here, for the clocks differ; what an expiry says is tested by itself.

mod support;

use std::collections::BTreeMap;

use onecopy_core::{BatchId, Incarnation, StateMachine};
use onecopy_keyspace::channels::Message;
use onecopy_keyspace::feeds::Following;
use onecopy_keyspace::request::{SegmentBuilder, WaiterId};
use onecopy_resp::Version;
use support::maker::Maker;
use support::redis::{Redis, seed_and_count};
use support::templates::TEMPLATES;
use support::{Machine, Reply, words};

const EAR: Incarnation = Incarnation(77);

/// A machine of which somebody hears everything.
struct Heard {
    machine: Machine,
    following: Following,
    sequence: u64,
}

impl Heard {
    fn new(classes: &str) -> Self {
        let mut heard = Self { machine: Machine::default(), following: Following::default(), sequence: 0 };
        heard.machine.apply_segment(framed(&SegmentBuilder::notify(Some(classes.as_bytes()))));
        heard.sequence += 1;
        heard.machine.context.batch = Some(BatchId { coordinator: EAR, sequence: heard.sequence });
        let mut segment = SegmentBuilder::new(0, Version::Two).listening(1);
        segment.push([b"PSUBSCRIBE".as_slice(), b"__key*@*__:*"]);
        heard.machine.apply_segment(segment);
        assert_eq!(heard.take(), Vec::<String>::new());
        heard
    }

    /// What was published since this was asked last.
    fn take(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            self.sequence += 1;
            self.machine.context.batch = Some(BatchId { coordinator: EAR, sequence: self.sequence });
            let waiter = WaiterId { process: EAR, number: self.sequence };
            let body = SegmentBuilder::listen(waiter, self.following);
            let mut response = Vec::new();
            self.machine.keyspace.apply(&self.machine.context, &body, &mut response);
            let outputs = self.machine.keyspace.outputs();
            let own = outputs.into_iter().find(|output| output.to.sequence == self.sequence);
            let Some(own) = own else { return all };
            let followed = self.following.take(own.response.slice(4..)).expect("nothing is missing");
            all.extend(followed.items.iter().map(|message: &Message| {
                format!("{} {}", message.channel.escape_ascii(), message.payload.escape_ascii())
            }));
        }
    }
}

/// A segment that was finished already, as one to be applied.
fn framed(finished: &[u8]) -> SegmentBuilder {
    let segment = onecopy_keyspace::request::segments(finished).next().expect("one").expect("a right one");
    let (mut commands, mut args) = (segment.commands(), onecopy_keyspace::request::Args::new());
    let mut builder = SegmentBuilder::new(0, Version::Two);
    while let Ok(true) = commands.next_into(&mut args) {
        builder.push(args.iter().copied());
    }
    builder
}

/// Everything that redis-server has published, to a connection that hears of it.
fn published(ear: &mut support::redis::Connection) -> Vec<String> {
    let mut all = Vec::new();
    let mut reply = ear.run(&words("PING end"));
    loop {
        let Reply::Array(items) = &reply else { panic!("{reply:?}") };
        let text = |at: usize| match &items[at] {
            Reply::Bulk(bytes) => bytes.escape_ascii().to_string(),
            other => other.text(),
        };
        match text(0).as_str() {
            "pong" => return all,
            "pmessage" => all.push(format!("{} {}", text(2), text(3))),
            _ => {}
        }
        reply = ear.hear();
    }
}

/// Whether a command is left out: it expires keys by themselves, or picks by chance.
fn is_left_out(line: &str) -> bool {
    let name = line.split(' ').next().unwrap_or_default();
    matches!(name, "SPOP" | "RANDOMKEY" | "FLUSHALL" | "FLUSHDB" | "SWAPDB" | "ONCE" | "PFCOUNT" | "PFDEBUG")
}

#[test]
fn events_are_those_of_redis() {
    let (seed, count) = seed_and_count();
    let Some(mut redis) = Redis::start(&["--notify-keyspace-events", "KEA"]) else {
        println!("there is no redis-server on the path: nothing to compare with, the test is skipped");
        return;
    };
    let mut ear = redis.connect();
    ear.run(&words("PSUBSCRIBE __key*@*__:*"));
    let mut heard = Heard::new("KEA");
    let mut maker = Maker::new(seed);
    let mut different: BTreeMap<&str, (u64, String)> = BTreeMap::new();
    let mut events = 0;
    for step in 0..count {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        heard.machine.context.time.0 = u64::try_from(now.as_millis()).expect("a time");
        let (template, _) = TEMPLATES[maker.below(TEMPLATES.len())];
        let line = maker.fill(template);
        if is_left_out(&line) {
            continue;
        }
        heard.machine.apply(&words(&line));
        redis.run(&words(&line));
        let ours = without_expired(heard.take());
        let theirs = without_expired(published(&mut ear));
        events += theirs.len();
        if ours != theirs {
            let report = format!("step {step}: {line}\n  redis:   {theirs:?}\n  onecopy: {ours:?}");
            different.entry(template).or_insert((0, report)).0 += 1;
        }
    }
    let reports: Vec<String> =
        different.values().map(|(times, report)| format!("({times} times) {report}")).collect();
    println!("{events} events");
    assert!(reports.is_empty(), "seed {seed}:\n{}", reports.join("\n"));
    assert!(events as u64 > count / 4);
}

/// When something has expired, and when that is noticed, is another matter on either side.
fn without_expired(events: Vec<String>) -> Vec<String> {
    events.into_iter().filter(|event| !event.contains("expired")).collect()
}

#[test]
fn what_expires_is_said_once_and_before_it_is_replaced() {
    let mut heard = Heard::new("Ex");
    for key in ["a", "b", "c"] {
        heard.machine.run(&format!("SET {key} x PX 100"));
    }
    heard.machine.context.time.0 += 100;
    heard.machine.run("SET a y");
    let mut events = heard.take();
    events.sort();
    assert_eq!(events, ["__keyevent@0__:expired a", "__keyevent@0__:expired b", "__keyevent@0__:expired c"]);
    heard.machine.run("DEL a b c");
    assert_eq!(heard.take(), Vec::<String>::new());
}

#[test]
fn a_script_that_is_stopped_has_said_nothing_and_an_image_keeps_the_classes() {
    let mut heard = Heard::new("KEg$");
    let text =
        "redis.call('set', 'k', 'v') redis.call('publish', '__keyx@0__:', 'p') while ARGV[1] do end return 1";
    let script = |heard: &mut Heard, args: &[&str]| {
        let mut all: Vec<Vec<u8>> = vec![b"EVAL".to_vec(), text.into(), b"0".to_vec()];
        all.extend(args.iter().map(|arg| arg.as_bytes().to_vec()));
        heard.machine.apply(&all)
    };
    let stopped = script(&mut heard, &["forever"]);
    assert_eq!(stopped.first(), Some(&b'-'));
    assert_eq!(heard.take(), Vec::<String>::new());
    script(&mut heard, &[]);
    assert_eq!(heard.take(), ["__keyspace@0__:k set", "__keyevent@0__:set k", "__keyx@0__: p"]);
    let image = heard.machine.image();
    let mut restored = onecopy_keyspace::Keyspace::new([3, 4]);
    restored.restore(&image).expect("an image");
    restored.restore_finish().expect("all of it");
    assert_eq!(restored.digest(), heard.machine.keyspace.digest());
    heard.machine.keyspace = restored;
    heard.machine.run("DEL k");
    assert_eq!(heard.take(), ["__keyspace@0__:k del", "__keyevent@0__:del k"]);
}
