//! Commands that wait, with real processes: they answer what Redis answers, in the same order, and whatever
//! dies, every element is given to one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use onecopy_harness::{Cluster, Line, Options, PATIENCE, RedisServer, free_port, run, wait};

/// How many clients of an address wait, as it says.
fn blocked(control: &mut Line) -> usize {
    let info = control.say("INFO clients");
    let line = info.lines().find_map(|line| line.strip_prefix("blocked_clients:"));
    line.and_then(|count| count.parse().ok()).expect("a count")
}

/// Some clients of one server, of which some wait.
struct Crowd {
    control: Line,
    lines: Vec<Line>,
    ids: Vec<String>,
    waits: Vec<bool>,
}

impl Crowd {
    fn at(address: SocketAddr, size: usize) -> Self {
        let mut lines: Vec<Line> = (0..size).map(|_| Line::to(address)).collect();
        for line in lines.iter_mut().skip(1).step_by(2) {
            line.say("HELLO 3");
        }
        let ids = lines.iter_mut().map(|line| line.say("CLIENT ID")[1..].trim().to_owned()).collect();
        Self { control: Line::to(address), lines, ids, waits: vec![false; size] }
    }

    /// Says something on a line that does not wait; what everybody hears until all is quiet.
    fn say(&mut self, line: usize, what: &str) -> BTreeMap<usize, String> {
        self.lines[line].send(what);
        self.waits[line] = true;
        let (mut heard, mut quiet) = (BTreeMap::new(), 0);
        wait("all to be quiet", PATIENCE, || {
            let waiting = (0..self.lines.len()).filter(|line| self.waits[*line]).collect::<Vec<_>>();
            for line in waiting {
                if let Some(reply) = self.lines[line].poll().expect("it is connected") {
                    self.waits[line] = false;
                    assert!(heard.insert(line, reply).is_none(), "two replies");
                    quiet = 0;
                }
            }
            let waits = self.waits.iter().filter(|waits| **waits).count();
            // A command that is on its way counts among those that wait: it is looked at more than once.
            quiet = if blocked(&mut self.control) == waits { quiet + 1 } else { 0 };
            std::thread::sleep(Duration::from_millis(8));
            (quiet > 4).then_some(())
        });
        heard
    }
}

/// Numbers that look like chance, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn random_range(&mut self, range: std::ops::Range<usize>) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        range.start + ((mixed ^ mixed >> 31) % range.len() as u64) as usize
    }
}

fn list(dice: &mut Dice) -> String {
    format!("l{}", dice.random_range(1..4))
}

fn zset(dice: &mut Dice) -> String {
    format!("z{}", dice.random_range(1..3))
}

/// Something that a client may say. Where Redis 7.2 answers something else than 7.0, on purpose, nothing is
/// asked: of several keys that get something at once, and of groups that go.
fn anything(dice: &mut Dice, step: u32) -> String {
    let ends = ["LEFT", "RIGHT"];
    let mut end = || ends[dice.random_range(0..2)];
    let (from, to) = (end(), end());
    match dice.random_range(0..24) {
        0 | 1 => format!("BLPOP {} {} 0", list(dice), list(dice)),
        2 => format!("BRPOP {} 0", list(dice)),
        3 | 4 => format!("BLMOVE {} {} {from} {to} 0", list(dice), list(dice)),
        5 => format!("BRPOPLPUSH {} {} 0", list(dice), list(dice)),
        6 => format!("BLMPOP 0 1 {} {from} COUNT {}", list(dice), dice.random_range(1..4)),
        7 => format!("BZPOPMIN {} {} 0", zset(dice), zset(dice)),
        8 => format!("BZPOPMAX {} 0", zset(dice)),
        9 => format!("BZMPOP 0 1 {} MIN COUNT {}", zset(dice), dice.random_range(1..4)),
        10 => "XREAD BLOCK 0 STREAMS s $".to_owned(),
        11 => format!("XREADGROUP GROUP g c{step} BLOCK 0 STREAMS t >"),
        12 => format!("XADD s {step}-1 f v"),
        13 => format!("XADD t {step}-1 f v"),
        14 | 15 => format!("LPUSH {} a{step} b{step} c{step}", list(dice)),
        16 => format!("RPUSH {} e{step}", list(dice)),
        17 => format!("ZADD {} {step} m{step} 1 n{step}", zset(dice)),
        18 => format!("LMOVE {} {} {from} {to}", list(dice), list(dice)),
        19 => format!("DEL {}", list(dice)),
        20 => format!("RENAME {} {}", list(dice), list(dice)),
        21 => format!("LLEN {}", list(dice)),
        22 => format!("SET {} s", zset(dice)),
        _ => format!("DEL {}", zset(dice)),
    }
}

#[test]
fn a_node_gives_what_redis_gives_and_to_the_same() {
    const CLIENTS: usize = 6;
    let Ok(redis) = RedisServer::start(free_port(), &[]) else {
        return println!("skipped: there is no redis-server");
    };
    let alone = Options { nodes: 1, copies: 1, view_nodes: 1, durability: "memory", ..Options::default() };
    let cluster = Cluster::start(alone);
    let (mut compared, mut waited) = (0, 0);
    for round in 0..3 {
        let mut dice = Dice(round);
        let mut crowds =
            [redis.address(), cluster.redis_address(1)].map(|address| Crowd::at(address, CLIENTS));
        let setup = ["FLUSHALL", "XGROUP CREATE t g $ MKSTREAM"];
        setup.iter().for_each(|line| crowds.iter_mut().for_each(|crowd| drop(crowd.control.say(line))));
        for step in 1..70 {
            let free: Vec<usize> = (0..CLIENTS).filter(|line| !crowds[0].waits[*line]).collect();
            let line = if free.len() < 2 {
                // Somebody must be able to speak.
                let busy = (0..CLIENTS).find(|line| crowds[0].waits[*line]).expect("somebody who waits");
                let reason = ["", " TIMEOUT", " ERROR"][dice.random_range(0..3)];
                let heard = crowds.each_mut().map(|crowd| {
                    let line = format!("CLIENT UNBLOCK {}{reason}", crowd.ids[busy]);
                    crowd.say(free[0], &line)
                });
                assert_eq!(heard[0], heard[1], "round {round}, step {step}: unblock {busy}{reason}");
                continue;
            } else {
                free[dice.random_range(0..free.len())]
            };
            let what = match dice.random_range(0..8) {
                0 => "MULTI".to_owned(),
                _ => anything(&mut dice, step),
            };
            let inside: Vec<String> = match what.as_str() {
                "MULTI" => {
                    let list = list(&mut dice);
                    let one = [
                        format!("RPUSH {list} x{step} y{step}"),
                        format!("BLPOP {list} 0"),
                        "EXEC".to_owned(),
                    ];
                    one.into()
                }
                _ => Vec::new(),
            };
            for line_said in std::iter::once(what).chain(inside) {
                let heard = crowds.each_mut().map(|crowd| crowd.say(line, &line_said));
                assert_eq!(heard[0], heard[1], "round {round}, step {step}: {line} says {line_said}");
                compared += heard[0].len();
                waited += usize::from(crowds[0].waits[line]);
            }
        }
    }
    println!("{compared} replies are alike; {waited} commands waited");
    assert!(waited > 30, "{waited}");
}

#[test]
fn a_script_of_redis_is_answered_alike() {
    let Ok(redis) = RedisServer::start(free_port(), &[]) else {
        return println!("skipped: there is no redis-server");
    };
    let cluster = Cluster::start(Options { nodes: 1, copies: 1, view_nodes: 1, ..Options::default() });
    let lines = [
        "BLPOP a 0.01",
        "BLMOVE a b LEFT LEFT 0.01",
        "BRPOPLPUSH a b 0.01",
        "BZPOPMIN a 0.01",
        "BLMPOP 0.01 1 a LEFT",
        "BZMPOP 0.01 2 a b MAX COUNT 2",
        "XREAD BLOCK 1 STREAMS a $",
        "BLPOP a -1",
        "BLPOP a x",
        "BLPOP a",
        "BLMOVE a b LEFT MIDDLE 0",
        "BLMPOP 0 0 a LEFT",
        "BLMPOP 0 1 a LEFT COUNT 0",
        "BZMPOP x 1 a MIN",
        "XREAD BLOCK -1 STREAMS a $",
        "XREAD BLOCK x STREAMS a $",
        "SET s s",
        "BLPOP a s 0",
        "BLMOVE s b LEFT LEFT 0",
        "BZPOPMAX s 0",
        "RPUSH l 1 2 3",
        "BLMOVE l s LEFT LEFT 0",
        "BLPOP a l 0",
        "BRPOP l 0",
        "CLIENT UNBLOCK 999999",
        "CLIENT UNBLOCK x",
        "CLIENT UNBLOCK 1 SOON",
        "MULTI",
        "BLPOP a 0",
        "BLMOVE a b LEFT LEFT 0",
        "BZPOPMIN a 0",
        "BLMPOP 0 1 a LEFT",
        "XREAD BLOCK 0 STREAMS a $",
        "EXEC",
    ];
    for version in ["HELLO 2", "HELLO 3"] {
        let mut both = [redis.address(), cluster.redis_address(1)].map(Line::to);
        both.iter_mut().for_each(|line| drop((line.say(version), line.say("FLUSHALL"))));
        for line in lines {
            let [expected, heard] = both.each_mut().map(|both| both.say(line));
            assert_eq!(heard, expected, "{version}, {line}");
        }
    }
}

/// Puts a client into a queue, through a node; when it waits.
fn enqueue(address: SocketAddr, line: &str) -> Line {
    let mut control = Line::to(address);
    let before = blocked(&mut control);
    let mut client = Line::to(address);
    client.send(line);
    wait("a client to wait", PATIENCE, || (blocked(&mut control) > before).then_some(()));
    client
}

#[test]
fn queues_are_fair_over_all_nodes_and_keep_their_places() {
    const CLIENTS: usize = 30;
    let mut cluster = Cluster::start(Options { durability: "memory", ..Options::default() });
    let ids = cluster.data_ids();
    let mut control = cluster.client(ids[0]);
    let mut crowd: Vec<Line> =
        (0..CLIENTS).map(|client| enqueue(cluster.redis_address(ids[client % 3]), "BLPOP q 0")).collect();
    for (client, line) in crowd.iter_mut().enumerate() {
        let _: i64 = run(&mut control, &format!("RPUSH q {client}"));
        let reply = wait("an element", PATIENCE, || line.poll().expect("it is connected"));
        assert!(reply.ends_with(&format!("\r\n{client}\r\n")), "{client}: {reply}");
    }
    // Again, and the primary dies. Nobody who is gone is given anything, and the others keep their places.
    let crowd: Vec<(u32, Line)> = (0..CLIENTS)
        .map(|client| ids[client % 3])
        .map(|id| (id, enqueue(cluster.redis_address(id), "BLPOP q 0")))
        .collect();
    let victim = cluster.primary();
    cluster.kill(victim);
    cluster.wait_for_other_primary(victim);
    let survivor = ids.iter().copied().find(|id| *id != victim).expect("another");
    let mut control = cluster.client(survivor);
    let mut left: Vec<Line> =
        crowd.into_iter().filter(|(home, _)| *home != victim).map(|(_, line)| line).collect();
    for (element, line) in left.iter_mut().enumerate() {
        let _: i64 = run(&mut control, &format!("RPUSH q {element}"));
        let reply = wait("an element", PATIENCE, || line.poll().expect("it is connected"));
        assert!(reply.ends_with(&format!("\r\n{element}\r\n")), "{element}: {reply}");
    }
    assert_eq!(run::<i64>(&mut control, "LLEN q"), 0);
}

#[test]
fn a_client_that_leaves_takes_its_waiter_with_it() {
    let cluster = Cluster::start(Options::default());
    let mut control = cluster.client(1);
    for id in cluster.data_ids() {
        let mut client = enqueue(cluster.redis_address(id), "BLPOP q 0");
        // What it has sent behind does not hide that it has left.
        client.send("SET behind 1");
        drop(client);
        let mut line = Line::to(cluster.redis_address(id));
        wait("the client to be gone", PATIENCE, || (blocked(&mut line) == 0).then_some(()));
        let length: i64 = run(&mut control, "RPUSH q x");
        assert_eq!((length, run::<i64>(&mut control, "DEL q")), (1, 1));
    }
    assert_eq!(run::<i64>(&mut control, "EXISTS behind"), 0);
}

/// A client that takes elements, each under a token of its own, and goes elsewhere if its node dies.
fn worker(number: usize, addresses: &[SocketAddr], stop: &AtomicBool, taken: &Mutex<Vec<u64>>) {
    let mut home = number;
    let mut connection: Option<redis::Connection> = None;
    for turn in 0u64.. {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let element = loop {
            let Some(there) = &mut connection else {
                home += 1;
                connection = connect(addresses[home % addresses.len()]);
                continue;
            };
            let mut line = redis::cmd("ONCE");
            line.arg(format!("take-{number}-{turn}")).arg("BLPOP").arg("q").arg(1);
            match line.query::<Option<(String, u64)>>(there) {
                Ok(element) => break element,
                Err(error) if error.is_io_error() => connection = None,
                // Its outcome is unknown, or another attempt took its place: it is asked for again.
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        taken.lock().expect("no panic").extend(element.map(|(_, element)| element));
    }
}

fn connect(address: SocketAddr) -> Option<redis::Connection> {
    let client = redis::Client::open(format!("redis://{address}/")).expect("an address");
    let connection = client.get_connection_with_timeout(Duration::from_millis(500)).ok();
    if connection.is_none() {
        std::thread::sleep(Duration::from_millis(20));
    }
    connection.inspect(|it| it.set_read_timeout(Some(Duration::from_secs(15))).expect("a timeout"))
}

#[test]
fn every_element_is_given_once_whoever_dies() {
    const WORKERS: usize = 100;
    let mut cluster = Cluster::start(Options { copies: 3, durability: "memory", ..Options::default() });
    let addresses: Vec<SocketAddr> =
        cluster.data_ids().into_iter().map(|id| cluster.redis_address(id)).collect();
    let (stop, idle, taken) = (AtomicBool::new(false), AtomicBool::new(false), Mutex::new(Vec::new()));
    let (mut kills, mut pushed) = (0, 0u64);
    std::thread::scope(|scope| {
        for number in 0..WORKERS {
            let (addresses, stop, taken) = (&addresses, &stop, &taken);
            scope.spawn(move || worker(number, addresses, stop, taken));
        }
        let pushing = {
            let (addresses, idle) = (&addresses, &idle);
            scope.spawn(move || {
                let (mut connection, mut home, mut number) = (None, 0, 0u64);
                while !idle.load(Ordering::SeqCst) {
                    let Some(there) = &mut connection else {
                        home += 1;
                        connection = connect(addresses[home % addresses.len()]);
                        continue;
                    };
                    let mut line = redis::cmd("ONCE");
                    line.arg(format!("put-{number}")).arg("RPUSH").arg("q").arg(number);
                    match line.query::<i64>(there) {
                        Ok(_) => number += 1,
                        Err(error) if error.is_io_error() => connection = None,
                        Err(_) => std::thread::sleep(Duration::from_millis(20)),
                    }
                }
                number
            })
        };
        for _ in 0..4 {
            std::thread::sleep(Duration::from_secs(2));
            let victim = cluster.primary();
            cluster.kill(victim);
            kills += 1;
            cluster.wait_for_other_primary(victim);
            cluster.start_node(victim);
            cluster.wait_until_serving(victim);
            cluster.wait_until_complete();
        }
        idle.store(true, Ordering::SeqCst);
        pushed = pushing.join().expect("no panic");
        let all = Instant::now() + PATIENCE;
        while Instant::now() < all && (taken.lock().expect("no panic").len() as u64) < pushed {
            std::thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::SeqCst);
    });
    let taken = taken.into_inner().expect("no panic");
    println!("{kills} kills, {pushed} pushed, {} taken", taken.len());
    let different: BTreeSet<u64> = taken.iter().copied().collect();
    assert_eq!(taken.len(), different.len(), "an element was given twice");
    let missing: Vec<u64> = (0..pushed).filter(|element| !different.contains(element)).collect();
    assert!(missing.is_empty(), "{} elements were given to nobody: {missing:?}", missing.len());
    assert!(pushed > 100, "{pushed}");
}

/// The processor time of a process so far, in clock ticks.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

#[test]
fn to_wait_costs_nothing() {
    const CLIENTS: usize = 600;
    let cluster = Cluster::start(Options::default());
    let measure = || {
        let pids: Vec<u32> = cluster.data_ids().into_iter().filter_map(|id| cluster.pid(id)).collect();
        let before: u64 = pids.iter().map(|pid| ticks(*pid)).sum();
        std::thread::sleep(Duration::from_secs(4));
        pids.iter().map(|pid| ticks(*pid)).sum::<u64>() - before
    };
    let at_rest = measure();
    let mut clients: Vec<Line> =
        (0..CLIENTS).map(|client| Line::to(cluster.redis_address(1 + (client % 3) as u32))).collect();
    clients.iter_mut().for_each(|client| client.send("BLPOP q 0"));
    for id in cluster.data_ids() {
        let mut control = Line::to(cluster.redis_address(id));
        wait("all to wait", PATIENCE, || (blocked(&mut control) == CLIENTS / 3).then_some(()));
    }
    std::thread::sleep(Duration::from_secs(1));
    let waiting = measure();
    println!("{at_rest} ticks in 4 s at rest, {waiting} with {CLIENTS} clients that wait");
    // A look at each of them ten times a second would be a multiple of that.
    assert!(waiting <= 2 * at_rest + 60, "{at_rest} ticks at rest, {waiting} when {CLIENTS} wait");
}
