//! Publish and subscribe, with real processes: what is said is what Redis says, and whoever dies, every
//! subscriber of a node that lives hears everything once, and all of them in one order.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use onecopy_harness::{Cluster, Line, Options, PATIENCE, RedisServer, free_port, run, wait};

/// Numbers that look like chance, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % bound
    }

    fn pick(&mut self, of: &[&str]) -> String {
        of[self.below(of.len() as u64) as usize].to_owned()
    }
}

/// Something that a connection may say. What has several replies in an order that Redis does not tell is not
/// among it.
fn anything(dice: &mut Dice, step: u64) -> String {
    let channel = dice.pick(&["a", "ab", "b", "c", "news"]);
    let pattern = dice.pick(&["a*", "*", "[ab]", "?", "n[^x]ws", "never*"]);
    match dice.below(26) {
        0..3 => format!("SUBSCRIBE {channel}"),
        3 => format!("SUBSCRIBE {channel} {}", dice.pick(&["a", "c", "x y"])),
        4..6 => format!("PSUBSCRIBE {pattern}"),
        6 => format!("SSUBSCRIBE {channel}"),
        7 => format!("UNSUBSCRIBE {channel}"),
        8 => format!("PUNSUBSCRIBE {pattern}"),
        9 => format!("SUNSUBSCRIBE {channel}"),
        10..15 => format!("PUBLISH {channel} text{step}"),
        15 => format!("SPUBLISH {channel} shard{step}"),
        16 => format!("PUBSUB NUMSUB {channel} c"),
        17 => format!("PUBSUB SHARDNUMSUB {channel}"),
        18 => "PUBSUB NUMPAT".to_owned(),
        19 => {
            dice.pick(&["PUBSUB", "PUBSUB NUMPAT x", "PUBSUB CHANNELS a b", "PUBSUB NONSENSE", "SUBSCRIBE"])
        }
        20 => dice.pick(&["PUBLISH a", "SPUBLISH", "GET key", "SET key value", "INCR n"]),
        21 => dice.pick(&["PING", "PING hello"]),
        22 => format!("EVAL \"return redis.call('publish', '{channel}', 'script{step}')\" 0"),
        23 => "EVAL \"return redis.pcall('subscribe', 'a')\" 0".to_owned(),
        24 => format!("EVAL_RO \"return redis.pcall('publish', '{channel}', 'x')\" 0"),
        _ => dice.pick(&["PUBSUB CHANNELS never*", "PUBSUB CHANNELS news", "RESET"]),
    }
}

/// Some clients of one server, and what each has heard: replies, and what it did not ask for. In Redis, too,
/// a message may come before a reply or behind it.
struct Crowd {
    lines: Vec<Line>,
    replies: Vec<Vec<String>>,
    messages: Vec<Vec<String>>,
}

impl Crowd {
    fn at(address: SocketAddr, size: usize) -> Self {
        let mut lines: Vec<Line> = (0..size).map(|_| Line::to(address)).collect();
        for line in lines.iter_mut().skip(1).step_by(2) {
            line.say("HELLO 3");
        }
        Self { lines, replies: vec![Vec::new(); size], messages: vec![Vec::new(); size] }
    }

    /// Says something, and waits until it is answered.
    fn say(&mut self, line: usize, what: &str, step: u64) {
        let end = format!("end{step}.");
        self.lines[line].send(what);
        self.lines[line].send(&format!("PING {end}"));
        loop {
            let heard = self.lines[line].hear();
            if heard.contains(&end) {
                return;
            }
            self.sort(line, heard);
        }
    }

    fn sort(&mut self, line: usize, heard: String) {
        let mut words = heard.split("\r\n").skip(2);
        let is_message = matches!(words.next(), Some("message" | "pmessage" | "smessage"));
        let heard_so_far = if is_message { &mut self.messages } else { &mut self.replies };
        heard_so_far[line].push(heard);
    }

    /// Takes in what has come without being asked for.
    fn listen(&mut self) {
        for line in 0..self.lines.len() {
            while let Some(heard) = self.lines[line].poll().expect("it is connected") {
                self.sort(line, heard);
            }
        }
    }
}

/// One message under several patterns: in which order, Redis leaves open.
fn settled(messages: &[Vec<String>]) -> Vec<Vec<String>> {
    let text = |message: &String| message.rsplit("\r\n").nth(1).unwrap_or_default().to_owned();
    let of_one = |all: &Vec<String>| {
        let mut all = all.clone();
        all.chunk_by_mut(|one, other| text(one) == text(other)).for_each(<[String]>::sort);
        all
    };
    messages.iter().map(of_one).collect()
}

#[test]
fn a_node_says_what_redis_says() {
    if !RedisServer::is_installed() {
        return;
    }
    let redis = RedisServer::start(free_port(), &[]).expect("a redis-server");
    let cluster = Cluster::start(Options { nodes: 1, copies: 1, view_nodes: 1, ..Options::default() });
    let [mut ours, mut theirs] = [cluster.redis_address(1), redis.address()].map(|it| Crowd::at(it, 5));
    let mut dice = Dice(7);
    for step in 1..=4_000 {
        let (line, what) = (dice.below(5) as usize, anything(&mut dice, step));
        for crowd in [&mut ours, &mut theirs] {
            crowd.say(line, &what, step);
            // A client in RESP3 that is reset speaks RESP2.
            if what == "RESET" && line % 2 == 1 {
                crowd.lines[line].say("HELLO 3");
            }
        }
        assert_eq!(ours.replies[line].last(), theirs.replies[line].last(), "step {step}, on {line}: {what}");
        if step % 40 == 0 {
            assert_eq!(ours.replies, theirs.replies, "by step {step}");
            theirs.listen();
            wait("all messages", PATIENCE, || {
                ours.listen();
                let come = ours.messages.iter().flatten().count();
                (come >= theirs.messages.iter().flatten().count()).then_some(())
            });
            assert_eq!(settled(&ours.messages), settled(&theirs.messages), "by step {step}");
        }
    }
    let [replies, messages] = [&ours.replies, &ours.messages].map(|all| all.iter().flatten().count());
    println!("4000 steps: {replies} replies and {messages} messages are the same");
    assert!(replies > 4_000 && messages > 1_000);
}

#[test]
fn transactions_and_other_databases_publish_too_or_say_why_not() {
    let databases = vec!["beside:16".to_owned()];
    let cluster =
        Cluster::start(Options { nodes: 2, copies: 1, view_nodes: 1, databases, ..Options::default() });
    cluster.wait_until_serving(2);
    let mut ear = Line::to(cluster.redis_address(2));
    assert_eq!(ear.say("SUBSCRIBE news"), "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    let mut mouth = Line::to(cluster.redis_address(1));
    assert_eq!(mouth.say("MULTI"), "+OK\r\n");
    assert_eq!(mouth.say("SUBSCRIBE x"), "-ERR Command not allowed inside a transaction\r\n");
    assert_eq!(mouth.say("DISCARD"), "+OK\r\n");
    mouth.say("MULTI");
    assert_eq!(mouth.say("SET key value"), "+QUEUED\r\n");
    assert_eq!(mouth.say("PUBLISH news one"), "+QUEUED\r\n");
    assert_eq!(mouth.say("PUBSUB NUMSUB news"), "+QUEUED\r\n");
    assert_eq!(mouth.say("EXEC"), "*3\r\n+OK\r\n:1\r\n*2\r\n$4\r\nnews\r\n:1\r\n");
    assert_eq!(ear.hear(), "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$3\r\none\r\n");
    assert_eq!(mouth.say("SELECT 16"), "+OK\r\n");
    assert_eq!(mouth.say("PUBLISH news two"), ":1\r\n");
    assert_eq!(ear.hear(), "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$3\r\ntwo\r\n");
    assert_eq!(mouth.say("PUBSUB CHANNELS"), "*1\r\n$4\r\nnews\r\n");
    mouth.say("MULTI");
    assert!(mouth.say("PUBLISH news three").contains("database with the number 0"));
    assert!(mouth.say("EXEC").starts_with("-EXECABORT"));
    let script = mouth.say("EVAL \"return redis.call('PUBLISH', 'news', 'four')\" 0");
    assert!(script.contains("database with the number 0"), "{script}");
    let line = mouth.say("CLIENT LIST");
    assert!(line.contains(" sub=0 psub=0 ssub=0 "), "{line}");
    let list = Line::to(cluster.redis_address(2)).say("CLIENT LIST TYPE pubsub");
    assert!(list.contains(" flags=P ") && list.contains(" sub=1 psub=0 ssub=0 "), "{list}");
    drop(ear);
    wait("nobody to listen", PATIENCE, || {
        (mouth.say("PUBSUB NUMSUB news").ends_with(":0\r\n")).then_some(())
    });
}

/// As Spring Session does it.
#[test]
fn events_about_keys_are_heard_at_every_node() {
    let cluster = Cluster::start(Options { nodes: 3, copies: 2, ..Options::default() });
    let mut ears: Vec<Line> = (1..=3).map(|id| Line::to(cluster.redis_address(id))).collect();
    let mut client = Line::to(cluster.redis_address(3));
    let setting =
        |classes: &str| format!("*2\r\n$22\r\nnotify-keyspace-events\r\n${}\r\n{classes}\r\n", classes.len());
    assert_eq!(client.say("CONFIG GET notify-keyspace-events"), setting(""));
    assert_eq!(client.say("CONFIG SET notify-keyspace-events Egx"), "+OK\r\n");
    assert!(client.say("CONFIG SET notify-keyspace-events Q").starts_with("-ERR CONFIG SET failed"));
    assert_eq!(Line::to(cluster.redis_address(1)).say("CONFIG GET notify-keyspace-events"), setting("gxE"));
    assert!(client.say("CONFIG GET notify*").contains("gxE"));
    for ear in &mut ears {
        ear.say("SUBSCRIBE __keyevent@0__:expired");
        ear.say("SUBSCRIBE __keyevent@3__:del");
    }
    assert_eq!(client.say("SET session x PX 50"), "+OK\r\n");
    client.say("SELECT 3");
    client.say("SET other x");
    assert_eq!(client.say("DEL other other"), ":1\r\n");
    for ear in &mut ears {
        let mut heard =
            [ear.hear(), ear.hear()].map(|heard| heard.split("\r\n").nth(6).unwrap_or("").to_owned());
        heard.sort();
        assert_eq!(heard, ["other", "session"]);
    }
    assert_eq!(client.say("CONFIG SET notify-keyspace-events \"\""), "+OK\r\n");
}

#[test]
fn a_monitor_is_shown_what_others_send() {
    let cluster = Cluster::start(Options { nodes: 1, copies: 1, view_nodes: 1, ..Options::default() });
    let mut monitor = Line::to(cluster.redis_address(1));
    assert_eq!(monitor.say("MONITOR"), "+OK\r\n");
    let mut client = Line::to(cluster.redis_address(1));
    let from = client.from();
    client.say("SELECT 3");
    client.say("SET key \"a b\\n\"");
    client.say("AUTH secret");
    client.say("PUBLISH news x");
    for (db, shown) in [(0, r#""SELECT" "3""#), (3, r#""SET" "key" "a b\n""#), (3, r#""PUBLISH" "news" "x""#)]
    {
        let heard = monitor.hear();
        let (time, rest) = heard.split_once(' ').expect("a time");
        assert!(time[1..].parse::<f64>().is_ok_and(|time| time > 1e9), "{heard}");
        assert_eq!(rest, format!("[{db} {from}] {shown}\r\n"));
    }
    let list = client.say("CLIENT LIST");
    assert!(list.contains(" flags=O "), "{list}");
}

/// The commands that a monitor is shown, without their times, up to one that says `end`.
fn shown_until(monitor: &mut Line, end: &str) -> Vec<String> {
    let mut shown = Vec::new();
    loop {
        let heard = monitor.hear();
        let (_, command) = heard.trim_end().split_once(' ').expect("a time");
        if command.contains(end) {
            return shown;
        }
        shown.push(command.to_owned());
    }
}

#[test]
fn a_monitor_is_shown_what_scripts_call() {
    let cluster = Cluster::start(Options { nodes: 3, copies: 2, ..Options::default() });
    let mut monitors: Vec<Line> = (1..=3).map(|id| Line::to(cluster.redis_address(id))).collect();
    monitors.iter_mut().for_each(|monitor| assert_eq!(monitor.say("MONITOR"), "+OK\r\n"));
    let primary = cluster.primary();
    let mut client = Line::to(cluster.redis_address(primary));
    let script =
        "redis.call('select',2) redis.call('set',KEYS[1],ARGV[1]) return redis.pcall('incr',KEYS[1])";
    client.say(&format!("EVAL \"{script}\" 1 key value"));
    client.say("EVAL_RO \"return redis.call('get',KEYS[1])\" 1 key");
    client.say("FUNCTION LOAD \"#!lua name=lib\\nredis.register_function('f', function(k) return redis.call('del',k[1]) end)\"");
    client.say("FCALL f 1 key");
    client.say("ECHO end");
    let shown = shown_until(&mut monitors[primary as usize - 1], "\"end\"");
    let by_scripts: Vec<&str> =
        shown.iter().filter(|shown| shown.contains(" lua] ")).map(String::as_str).collect();
    assert_eq!(
        by_scripts,
        [
            "[2 lua] \"select\" \"2\"",
            "[2 lua] \"set\" \"key\" \"value\"",
            "[2 lua] \"incr\" \"key\"",
            "[0 lua] \"get\" \"key\"",
            "[0 lua] \"del\" \"key\"",
        ]
    );
    // What another node's client has sent is for the monitors there, although each copy executes it.
    for id in (1..=3).filter(|id| *id != primary) {
        Line::to(cluster.redis_address(id)).say("ECHO end");
        let shown = shown_until(&mut monitors[id as usize - 1], "\"end\"");
        assert!(shown.is_empty(), "{shown:?}");
    }
}

/// A subscriber, and the numbers that it has heard.
struct Subscriber {
    node: u32,
    heard: Vec<u64>,
    /// To the end: its connection was never closed.
    is_alive: bool,
}

/// Subscribes at a node, and hears until all is over.
fn listen(node: u32, address: SocketAddr, stop: &AtomicBool, ready: &AtomicU64) -> Subscriber {
    let mut line = Line::to(address);
    assert!(line.say("SUBSCRIBE numbers").contains("subscribe"));
    ready.fetch_add(1, Ordering::SeqCst);
    let mut heard = Vec::new();
    let mut quiet_since = Instant::now();
    loop {
        match line.poll() {
            Ok(Some(message)) => {
                let text = message.split("\r\n").nth(6).expect("a message");
                heard.push(text.parse().expect("a number"));
                quiet_since = Instant::now();
            }
            Ok(None) if stop.load(Ordering::SeqCst) && quiet_since.elapsed() > Duration::from_secs(4) => {
                return Subscriber { node, heard, is_alive: true };
            }
            Ok(None) => {}
            Err(_) => return Subscriber { node, heard, is_alive: false },
        }
    }
}

/// Publishes numbers through one node after the other; those that were acknowledged.
fn publish(addresses: &[SocketAddr], stop: &AtomicBool, next: &AtomicU64) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    let mut client: Option<redis::Connection> = None;
    let mut at = 0;
    while !stop.load(Ordering::SeqCst) {
        let Some(connection) = &mut client else {
            at += 1;
            let address = addresses[at % addresses.len()];
            client = redis::Client::open(format!("redis://{address}/")).ok().and_then(|client| {
                let connection = client.get_connection_with_timeout(Duration::from_millis(500)).ok()?;
                connection.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
                Some(connection)
            });
            continue;
        };
        let number = next.fetch_add(1, Ordering::SeqCst);
        match redis::cmd("PUBLISH").arg("numbers").arg(number).query::<i64>(connection) {
            Ok(_) => acknowledged.push(number),
            Err(_) => client = None,
        }
    }
    acknowledged
}

#[test]
fn no_message_is_lost_or_doubled_whoever_dies() {
    // Two copies on four nodes: there is always a node without one.
    let mut cluster = Cluster::start(Options { nodes: 4, copies: 2, ..Options::default() });
    cluster.wait_until_serving(4);
    let addresses: Vec<SocketAddr> = (1..=4).map(|id| cluster.redis_address(id)).collect();
    let (stop, done, next, ready) =
        (AtomicBool::new(false), AtomicBool::new(false), AtomicU64::new(1), AtomicU64::new(0));
    let mut kills = 0;
    let (subscribers, acknowledged): (Vec<Subscriber>, BTreeSet<u64>) = std::thread::scope(|scope| {
        let subscribers: Vec<_> = (0..12)
            .map(|number| {
                let (node, done, ready) = (number as u32 % 4 + 1, &done, &ready);
                let address = addresses[number % 4];
                scope.spawn(move || listen(node, address, done, ready))
            })
            .collect();
        wait("all to listen", PATIENCE, || (ready.load(Ordering::SeqCst) == 12).then_some(()));
        let publishers: Vec<_> = (0..3).map(|_| scope.spawn(|| publish(&addresses, &stop, &next))).collect();
        // The primaries of nodes 1 to 3 die; the subscribers of node 4 hear everything to the end.
        for _ in 0..6 {
            std::thread::sleep(Duration::from_millis(1_500));
            let victim = cluster.primary();
            if victim == 4 {
                continue;
            }
            cluster.kill(victim);
            kills += 1;
            cluster.wait_for_other_primary(victim);
            cluster.start_node(victim);
            cluster.wait_until_complete();
        }
        stop.store(true, Ordering::SeqCst);
        let acknowledged = publishers.into_iter().flat_map(|it| it.join().expect("it publishes")).collect();
        done.store(true, Ordering::SeqCst);
        let subscribers = subscribers.into_iter().map(|it| it.join().expect("it listens"));
        (subscribers.collect(), acknowledged)
    });
    let alive: Vec<&Vec<u64>> = subscribers.iter().filter(|it| it.is_alive).map(|it| &it.heard).collect();
    println!("{kills} kills, {} acknowledged, {} subscribers to the end", acknowledged.len(), alive.len());
    assert!(kills >= 3 && alive.len() >= 3 && acknowledged.len() > 500);
    let mut of_the_last = subscribers.iter().filter(|subscriber| subscriber.node == 4);
    assert!(of_the_last.all(|subscriber| subscriber.is_alive), "the node of these has never died");
    for heard in &alive {
        let different: BTreeSet<u64> = heard.iter().copied().collect();
        assert_eq!(different.len(), heard.len(), "something came twice");
        let lost: Vec<_> = acknowledged.difference(&different).collect();
        assert!(lost.is_empty(), "{lost:?} were lost");
        assert_eq!(*heard, alive[0], "the order is the same for all");
    }
    // Whoever was cut off had heard the beginning of the same.
    for Subscriber { heard, .. } in &subscribers {
        assert_eq!(heard.as_slice(), &alive[0][..heard.len()]);
    }
}

#[test]
fn a_slow_subscriber_is_cut_off_and_delays_nobody() {
    let cluster = Cluster::start(Options { nodes: 2, copies: 2, view_nodes: 1, ..Options::default() });
    let mut slow = Line::to(cluster.redis_address(2));
    slow.say("SUBSCRIBE large");
    let mut quick = Line::to(cluster.redis_address(2));
    quick.say("SUBSCRIBE large");
    let mut client = cluster.client(1);
    let text = "x".repeat(1 << 20);
    let mut longest = Duration::ZERO;
    let mut receivers = Vec::new();
    for _ in 0..60 {
        let begin = Instant::now();
        let heard: i64 = redis::cmd("PUBLISH").arg("large").arg(&text).query(&mut client).expect("published");
        longest = longest.max(begin.elapsed());
        receivers.push(heard);
        assert_eq!(
            quick.hear().len(),
            "*3\r\n$7\r\nmessage\r\n$5\r\nlarge\r\n$1048576\r\n\r\n".len() + text.len()
        );
    }
    assert_eq!(receivers[0], 2);
    wait("one to listen", PATIENCE, || {
        let heard: i64 = redis::cmd("PUBLISH").arg("large").arg("end").query(&mut client).expect("published");
        (heard == 1).then_some(())
    });
    assert!(cluster.log(2).contains("it does not read what it is sent as fast as that comes"));
    println!("60 messages of 1 MiB; the longest took {longest:?}");
    let numbers: (String, u64) = run(&mut client, "PUBSUB NUMSUB large");
    assert_eq!(numbers, ("large".to_owned(), 1));
}
