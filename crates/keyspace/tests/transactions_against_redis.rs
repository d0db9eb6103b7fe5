//! The same transactions, on two connections, to a real Redis and to a keyspace: random commands, of which
//! some are queued, and keys that are watched while the other connection changes them. The replies must be
//! equal, and so must be what was executed and what was not.
//!
//! Like `against_redis`, it needs a `redis-server` of version 7.

mod support;

use onecopy_resp::Version;
use support::maker::Maker;
use support::redis::{Connection, Redis, comparable};
use support::templates::{Compare, TEMPLATES};
use support::{Machine, Reply, words};

/// A client of both.
struct Client {
    redis: Connection,
    db: u8,
    /// The watch that it has, if it has one.
    watch: Option<u64>,
}

struct Scene {
    machine: Machine,
    maker: Maker,
    next_watch: u64,
    executed: u64,
    refused: u64,
    /// What was asked.
    history: Vec<String>,
    different: Vec<String>,
}

/// Commands of streams, some of which change what is watched.
const STREAMS: &[&str] = &[
    "XADD KX NEWID a VX b VX",
    "XADD m2 NEWID a VX",
    "XDEL KX ID ID ID",
    "XTRIM KX MAXLEN LEN",
    "XGROUP CREATE KX GX 0 ?MKSTREAM",
    "XGROUP SETID KX GX 0",
    "XGROUP DESTROY KX GX",
    "XREADGROUP GROUP GX CX COUNT 3 STREAMS KX >",
    "XACK KX GX ID ID ID",
    "XRANGE KX - +",
];

impl Scene {
    /// A command, and how to compare what it answers.
    fn command(&mut self) -> (String, Compare) {
        if self.maker.below(8) == 0 {
            let template = STREAMS[self.maker.below(STREAMS.len())];
            return (self.maker.fill(template), Compare::Exact);
        }
        loop {
            let (template, compare) = TEMPLATES[self.maker.below(TEMPLATES.len())];
            let is_rare = template.starts_with("FLUSH") || template.starts_with("SWAP");
            if !is_rare || self.maker.below(20) == 0 {
                return (self.maker.fill(template), compare);
            }
        }
    }

    fn note(&mut self, line: &str, ours: &Reply, theirs: &Reply) {
        if ours.text().trim_end() != theirs.text().trim_end() {
            self.different.push(format!("{line}\n  redis:   {}\n  onecopy: {}", theirs.text(), ours.text()));
        }
    }

    fn plain(&mut self, client: &mut Client) {
        let (line, compare) = self.command();
        self.history.push(format!("in {}: {line}", client.db));
        let raw = self.machine.apply(&words(&line));
        let ours = comparable(Reply::parse(&mut raw.as_slice()).expect("a reply"), compare);
        let theirs = comparable(client.redis.run(&words(&line)), compare);
        self.note(&line, &ours, &theirs);
    }

    fn watch(&mut self, client: &mut Client) {
        let count = 1 + self.maker.below(3);
        let line = self.maker.fill(&format!("WATCH{}", " K".repeat(count)));
        let number = *client.watch.get_or_insert_with(|| {
            self.next_watch += 1;
            self.next_watch
        });
        self.history.push(format!("in {}: {number}: {line}", client.db));
        assert_eq!(self.machine.watching(number, &line), "OK");
        assert_eq!(client.redis.run(&words(&line)).text(), "OK");
    }

    fn unwatch(&mut self, client: &mut Client) {
        if let Some(number) = client.watch.take() {
            assert_eq!(self.machine.watching(number, "UNWATCH"), "OK");
        }
        assert_eq!(client.redis.run(&words("UNWATCH")).text(), "OK");
    }

    fn transaction(&mut self, client: &mut Client) {
        let mut commands: Vec<(String, Compare)> = (0..self.maker.below(6)).map(|_| self.command()).collect();
        let mut db = client.db;
        if self.maker.below(4) == 0 {
            let number = ["0", "1", "99", "x"][self.maker.below(4)];
            db = number.parse().ok().filter(|number| *number < 16).unwrap_or(db);
            let at = self.maker.below(commands.len() + 1);
            commands.insert(at, (format!("SELECT {number}"), Compare::Exact));
        }
        assert_eq!(client.redis.run(&words("MULTI")).text(), "OK");
        // What Redis refuses to queue is no part of the transaction.
        let mut is_refused = false;
        let mut queued = Vec::new();
        for command in commands {
            match client.redis.run(&words(&command.0)).text().as_str() {
                "QUEUED" => queued.push(command),
                _ => is_refused = true,
            }
        }
        let theirs = client.redis.run(&words("EXEC"));
        let watch = client.watch.take();
        if is_refused {
            assert!(theirs.text().starts_with("-EXECABORT"), "{}", theirs.text());
            if let Some(number) = watch {
                self.machine.watching(number, "UNWATCH");
            }
            return;
        }
        let lines: Vec<&str> = queued.iter().map(|(line, _)| line.as_str()).collect();
        let ours = self.machine.transact(watch, &lines);
        let shown = format!("in {}: {watch:?} {lines:?}", client.db);
        self.history.push(shown.clone());
        match (ours, theirs) {
            (Reply::Array(ours), Reply::Array(theirs)) if ours.len() == theirs.len() => {
                client.db = db;
                self.executed += 1;
                for (((line, compare), ours), theirs) in queued.iter().zip(ours).zip(theirs) {
                    let (ours, theirs) = (comparable(ours, *compare), comparable(theirs, *compare));
                    self.note(&format!("{line} in {shown}"), &ours, &theirs);
                }
            }
            (ours, theirs) => {
                self.refused += u64::from(theirs == Reply::Null);
                self.note(&shown, &ours, &theirs);
            }
        }
    }
}

fn compare(version: Version) {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    let (seed, count) = (number("ONECOPY_REDIS_SEED", 1), number("ONECOPY_REDIS_COMMANDS", 30_000));
    let Some(redis) = Redis::start(&[]) else {
        println!("there is no redis-server on the path: nothing to compare with, the test is skipped");
        return;
    };
    let client = || {
        let mut redis = redis.connect();
        if version == Version::Three {
            redis.run(&words("HELLO 3"));
        }
        Client { redis, db: 0, watch: None }
    };
    let mut clients = [client(), client()];
    let mut scene = Scene {
        machine: Machine { version, ..Machine::default() },
        maker: Maker::new(seed),
        next_watch: 0,
        executed: 0,
        refused: 0,
        history: Vec::new(),
        different: Vec::new(),
    };
    for step in 0..count {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        scene.machine.context.time.0 = u64::try_from(now.as_millis()).expect("a time");
        let client = &mut clients[scene.maker.below(2)];
        scene.machine.db = client.db;
        match scene.maker.below(10) {
            0..5 => scene.plain(client),
            5 | 6 => scene.watch(client),
            7 if scene.maker.below(4) == 0 => scene.unwatch(client),
            _ => scene.transaction(client),
        }
        let history = scene.history.iter().rev().take(30).rev().cloned().collect::<Vec<_>>();
        let (history, different) = (history.join("\n"), scene.different.join("\n"));
        assert!(
            different.is_empty(),
            "{version:?}, seed {seed}, step {step}:\n{different}\nafter\n{history}"
        );
    }
    let Scene { executed, refused, .. } = scene;
    assert!(count < 1_000 || executed > 0 && refused > 0, "{executed} executed, {refused} refused");
}

#[test]
fn transactions_are_those_of_redis_in_resp2() {
    compare(Version::Two);
}

#[test]
fn transactions_are_those_of_redis_in_resp3() {
    compare(Version::Three);
}
