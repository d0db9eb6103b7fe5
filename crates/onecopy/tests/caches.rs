//! Clients' caches (`CLIENT TRACKING`), with real processes: what is said is what Redis says, and in its
//! order; and whoever dies, no client keeps what is not so any more.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use onecopy_harness::{Cluster, Options, PATIENCE, RedisServer, free_port, wait};
use onecopy_resp::replies_length;

/// A connection that says lines, and hears whatever comes.
struct Line {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl Line {
    fn to(address: SocketAddr) -> Self {
        Self::try_to(address).expect("a connection")
    }

    fn try_to(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_millis(1)))?;
        Ok(Self { stream, heard: Vec::new() })
    }

    /// One that speaks RESP3.
    fn three(address: SocketAddr) -> Self {
        let mut line = Self::to(address);
        line.say("HELLO 3");
        line
    }

    /// The same, which caches.
    fn caching(address: SocketAddr, options: &str) -> Self {
        let mut line = Self::three(address);
        assert_eq!(line.say(&format!("CLIENT TRACKING ON {options}")), "+OK\r\n");
        line
    }

    fn send(&mut self, line: &str) {
        let _ = self.stream.write_all(format!("{line}\r\n").as_bytes());
    }

    /// What comes next, if it has come.
    fn poll(&mut self) -> Result<Option<String>, ErrorKind> {
        let mut chunk = [0; 1 << 14];
        loop {
            if let Some(length) = replies_length(&self.heard, 1) {
                let reply = self.heard.drain(..length).collect();
                return Ok(Some(String::from_utf8(reply).expect("text")));
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof),
                Ok(count) => self.heard.extend_from_slice(&chunk[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(error) => return Err(error.kind()),
            }
        }
    }

    fn hear(&mut self) -> String {
        wait("a reply", PATIENCE, || self.poll().expect("it is connected"))
    }

    fn say(&mut self, line: &str) -> String {
        self.send(line);
        self.hear()
    }

    fn id(&mut self) -> String {
        self.say("CLIENT ID").trim_start_matches(':').trim_end().to_owned()
    }

    /// What has come, up to the answer to a read. That answer comes behind everything that it reflects.
    fn all(&mut self) -> Vec<String> {
        self.send("DBSIZE");
        let mut all = Vec::new();
        // What Redis tells of prefixes it tells once it has executed all that has come: a question may
        // overtake that, and one that is asked after its answer does not.
        for question in ["that-is-nearly-all", "that-is-all"] {
            self.send(&format!("ECHO {question}"));
            loop {
                match self.hear() {
                    heard if heard.contains(question) => break,
                    heard => all.push(heard),
                }
            }
        }
        all
    }
}

/// A push that a key, or everything, is invalid.
fn invalid(key: &str) -> String {
    match key {
        "" => ">2\r\n$10\r\ninvalidate\r\n_\r\n".to_owned(),
        key => format!(">2\r\n$10\r\ninvalidate\r\n*1\r\n${}\r\n{key}\r\n", key.len()),
    }
}

/// The keys of pushes that say so; anything else as it is.
fn keys(pushes: &[String]) -> Vec<String> {
    let key = |push: &String| {
        let words: Vec<&str> = push.split("\r\n").collect();
        match words.as_slice() {
            [">2", _, "invalidate", "_", ..] => vec![String::new()],
            [">2", _, "invalidate", _, rest @ ..] => {
                rest.iter().skip(1).step_by(2).map(|key| (*key).to_owned()).collect()
            }
            _ => vec![push.clone()],
        }
    };
    pushes.iter().flat_map(key).collect()
}

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

const KEYS: [&str; 6] = ["a1", "a2", "b1", "b2", "l", "h"];

/// Some commands that a connection may say, one after the other.
fn anything(dice: &mut Dice) -> Vec<String> {
    let (key, other) = (dice.pick(&KEYS[..4]), dice.pick(&KEYS[..4]));
    let one = |line: String| vec![line];
    match dice.below(30) {
        0..6 => one(format!("GET {key}")),
        6 => one(format!("MGET {key} {other}")),
        7 => {
            one(dice.pick(&["LLEN l", "LRANGE l 0 -1", "HGETALL h", "HGET h f", "EXISTS a1 l", "STRLEN b1"]))
        }
        8..12 => one(format!("SET {key} {}", dice.below(100))),
        12 => one(format!("MSET {key} x {other} y")),
        13 => one(format!("DEL {key} {other}")),
        14 => one(format!("RENAME {key} {other}")),
        15 => one(dice.pick(&["RPUSH l x", "LPOP l", "LTRIM l 0 2", "HSET h f 1", "HSET h f 2", "HDEL h f"])),
        16 => one(format!("APPEND {key} z")),
        17 => one(format!("SETRANGE {key} 0 q")),
        18 => one(format!("EXPIRE {key} 100")),
        19 => one(format!("PERSIST {key}")),
        20 => one(format!("EVAL \"return redis.call('GET', '{key}')\" 1 {key}")),
        21 => one(format!(
            "EVAL \"redis.call('SET', '{key}', 's') return redis.call('SET', '{other}', 't')\" 0"
        )),
        // Redis 7.0 tracks what a script names, and 7.2 what it reads.
        22 => one(format!("EVAL_RO \"return redis.call('MGET', KEYS[1], KEYS[2])\" 2 {key} {other}")),
        23 => [format!("GET {key}"), format!("SET {key} 7"), format!("GET {other}")].to_vec(),
        24 => ["MULTI", &format!("GET {key}"), &format!("GET {other}"), "EXEC"].map(str::to_owned).to_vec(),
        25 => ["MULTI", &format!("SET {key} m"), &format!("DEL {other}"), "EXEC"].map(str::to_owned).to_vec(),
        26 => vec!["CLIENT CACHING YES".to_owned(), format!("GET {key}"), format!("GET {other}")],
        27 => one(format!("GETEX {key} EX 50")),
        28 => one(dice.pick(&[
            "CLIENT TRACKING ON FOO",
            "CLIENT CACHING NO",
            "CLIENT TRACKING ON PREFIX x",
            "COPY a1 b1",
        ])),
        _ => one(dice.pick(&["FLUSHALL", "FLUSHDB", "SCAN 0 MATCH never*", "TTL a1", "TYPE a2"])),
    }
}

/// Connections that cache in all the ways that there are.
fn crowd(address: SocketAddr) -> Vec<Line> {
    let mut target = Line::caching(address, "BCAST PREFIX never:");
    let id = target.id();
    vec![
        Line::caching(address, ""),
        Line::caching(address, "NOLOOP"),
        Line::caching(address, "BCAST PREFIX a"),
        Line::caching(address, "OPTIN"),
        Line::caching(address, "OPTOUT"),
        Line::caching(address, &format!("REDIRECT {id}")),
        target,
    ]
}

#[test]
fn a_node_says_what_redis_says() {
    if !RedisServer::is_installed() {
        println!("skipped: there is no redis-server");
        return;
    }
    let redis = RedisServer::start(free_port(), &[]).expect("a redis-server");
    let cluster = Cluster::start(Options { nodes: 1, copies: 1, view_nodes: 1, ..Options::default() });
    let (mut ours, mut theirs) = (crowd(cluster.redis_address(1)), crowd(redis.address()));
    let (mut dice, mut pushes, mut history) = (Dice(11), 0, Vec::new());
    for step in 0..3_000 {
        let (line, commands) = (dice.below(6) as usize, anything(&mut dice));
        history.push(format!("{line}: {commands:?}"));
        for crowd in [&mut ours, &mut theirs] {
            crowd[line].send(&commands.join("\r\n"));
        }
        // Whoever has said something first: everybody else looks after that.
        let order = std::iter::once(line).chain((0..7).filter(|other| *other != line));
        for place in order {
            let [mut our, mut their] = [&mut ours, &mut theirs].map(|crowd| crowd[place].all());
            if place == 2 || place == 5 {
                // One push may have many keys there; a redirection orders nothing between two connections.
                for all in [&mut our, &mut their] {
                    *all = keys(all);
                }
                our[..].sort();
                their[..].sort();
                our.dedup();
                their.dedup();
            }
            pushes += their.iter().filter(|heard| heard.starts_with('>')).count();
            let last = &history[history.len().saturating_sub(25)..];
            assert_eq!(our, their, "step {step}, at connection {place}, behind {last:#?}");
        }
    }
    println!("3000 steps: {pushes} pushes are the same, and in the same place");
    assert!(pushes > 1_000);
}

#[test]
fn what_other_nodes_change_is_told_in_all_databases() {
    let databases = vec!["beside:16:raft".to_owned(), "loose:17:optimistic".to_owned()];
    let cluster = Cluster::start(Options { nodes: 3, copies: 2, databases, ..Options::default() });
    (1..=3).for_each(|id| cluster.wait_until_serving(id));
    let [one, two, three] = [1, 2, 3].map(|id| cluster.redis_address(id));
    let mut caches: Vec<Line> = [one, two, three].map(|address| Line::caching(address, "")).into();
    let mut writer = Line::to(three);
    writer.say("SET key 1");
    for cache in &mut caches {
        assert_eq!(cache.say("GET key"), "$1\r\n1\r\n");
    }
    writer.say("SET key 2");
    for cache in &mut caches {
        assert_eq!(cache.hear(), invalid("key"));
    }
    // What expires goes by itself.
    writer.say("SET brief 1 PX 200");
    for cache in &mut caches {
        assert_eq!(cache.say("GET brief"), "$1\r\n1\r\n");
    }
    for cache in &mut caches {
        assert_eq!(cache.hear(), invalid("brief"));
    }
    // Databases of other groups are followed as well; those whose copies agree about nothing cannot be.
    let mut other = Line::to(one);
    other.say("SELECT 16");
    for cache in &mut caches {
        assert_eq!(cache.say("SELECT 16"), "+OK\r\n");
        assert_eq!(cache.say("GET far"), "_\r\n");
    }
    assert_eq!(other.say("SET far 1"), "+OK\r\n");
    for cache in &mut caches {
        assert_eq!(cache.hear(), invalid("far"));
        assert!(cache.say("SELECT 17").starts_with("-ERR clients' caches are not tracked in optimistic"));
    }
    let mut loose = Line::three(one);
    assert_eq!(loose.say("SELECT 17"), "+OK\r\n");
    assert!(
        loose.say("CLIENT TRACKING ON").starts_with("-ERR clients' caches are not tracked in optimistic")
    );
}

#[test]
fn a_client_in_resp2_is_told_through_another_connection() {
    let cluster = Cluster::start(Options { nodes: 1, copies: 1, view_nodes: 1, ..Options::default() });
    let address = cluster.redis_address(1);
    let (mut ear, mut cache, mut writer) = (Line::to(address), Line::to(address), Line::to(address));
    let id = ear.id();
    ear.say("SUBSCRIBE __redis__:invalidate");
    assert_eq!(cache.say(&format!("CLIENT TRACKING ON REDIRECT {id}")), "+OK\r\n");
    cache.say("GET key");
    writer.say("SET key 1");
    let told = "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$3\r\nkey\r\n";
    assert_eq!(ear.hear(), told);
    writer.say("FLUSHALL");
    assert_eq!(ear.hear(), "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n$-1\r\n");
    let line = cache.say("CLIENT INFO");
    assert!(line.contains(" flags=t ") && line.contains(&format!(" redir={id} ")), "{line}");
    let info = writer.say("INFO clients");
    assert!(info.contains("tracking_clients:1\r\n"), "{info}");
    drop(ear);
    wait("the other to be gone", PATIENCE, || {
        (!writer.say("CLIENT LIST").contains(&format!("id={id} "))).then_some(())
    });
    cache.say("HELLO 3");
    cache.say("GET key");
    writer.say("SET key 2");
    assert_eq!(cache.hear(), format!(">2\r\n$21\r\ntracking-redir-broken\r\n:{id}\r\n"));
    assert!(cache.say("CLIENT TRACKINGINFO").contains("broken_redirect"));
    assert!(cache.say("CLIENT INFO").contains(" flags=tR "));
}

#[test]
fn a_full_table_gives_up_keys_and_says_so() {
    let cluster = Cluster::start(Options { nodes: 1, copies: 1, view_nodes: 1, ..Options::default() });
    let address = cluster.redis_address(1);
    let mut admin = Line::to(address);
    assert_eq!(admin.say("CONFIG SET tracking-table-max-keys 10"), "+OK\r\n");
    let mut cache = Line::caching(address, "");
    let mut told = BTreeSet::new();
    for number in 0..100 {
        cache.send(&format!("GET key{number}"));
        told.extend(keys(&cache.all()).into_iter().filter(|key| key.starts_with("key")));
    }
    // What goes because of a reply comes behind it.
    told.extend(keys(&cache.all()).into_iter().filter(|key| key.starts_with("key")));
    assert_eq!(told.len(), 90);
    let info = admin.say("INFO stats");
    assert!(info.contains("tracking_total_keys:10\r\ntracking_total_items:10\r\n"), "{info}");
}

/// A cluster whose nodes do not hear each other any more: nobody knows what changes.
#[test]
fn who_is_cut_off_keeps_nothing() {
    let cluster = Cluster::start(Options { nodes: 3, copies: 2, proxied: true, ..Options::default() });
    (1..=3).for_each(|id| cluster.wait_until_serving(id));
    let alone = (1..=3).find(|id| *id != cluster.primary()).expect("another node");
    let (mut cache, mut writer) =
        (Line::caching(cluster.redis_address(alone), ""), Line::to(cluster.redis_address(cluster.primary())));
    writer.say("SET key 1");
    assert_eq!(cache.say("GET key"), "$1\r\n1\r\n");
    cluster.isolate(alone);
    assert_eq!(cache.hear(), invalid(""));
    wait("the others to go on", PATIENCE, || (writer.say("SET key 2") == "+OK\r\n").then_some(()));
    cluster.heal_all();
    wait("the node to serve again", PATIENCE, || {
        let heard = cache.say("GET key");
        (heard == "$1\r\n2\r\n").then_some(())
    });
    writer.say("SET key 3");
    wait("the change", PATIENCE, || (cache.poll().expect("connected")? == invalid("key")).then_some(()));
}

/// Reads counters, and keeps what it has read until it is told to forget. What it has kept to the end, by the
/// key; and how often it had kept what it read once more.
fn cache(number: u64, address: SocketAddr, stop: &AtomicBool) -> (BTreeMap<String, String>, u64, u64) {
    let mut dice = Dice(number);
    let (mut kept, mut agreed, mut forgotten) = (BTreeMap::<String, String>::new(), 0, 0);
    let mut line: Option<Line> = None;
    let forget = |heard: &str, kept: &mut BTreeMap<String, String>| {
        for key in keys(&[heard.to_owned()]) {
            if key.is_empty() { kept.clear() } else { drop(kept.remove(&key)) }
        }
    };
    loop {
        let is_over = stop.load(Ordering::SeqCst);
        let Some(connection) = &mut line else {
            if is_over {
                return (kept, agreed, forgotten);
            }
            kept.clear();
            line = Line::try_to(address).ok().and_then(|mut line| {
                line.send("HELLO 3\r\nCLIENT TRACKING ON");
                let begin = std::time::Instant::now();
                let mut heard = Vec::new();
                while heard.len() < 2 && begin.elapsed() < PATIENCE {
                    heard.extend(line.poll().ok()?);
                }
                (heard.last().map(String::as_str) == Some("+OK\r\n")).then_some(line)
            });
            continue;
        };
        let key = format!("n{}", dice.below(4));
        if is_over {
            // Whoever is told later than this was told too late.
            connection.send("ECHO over");
        } else {
            connection.send(&format!("GET {key}"));
        }
        let reply = loop {
            match connection.poll() {
                Ok(Some(heard)) if heard.starts_with('>') => {
                    forgotten += 1;
                    forget(&heard, &mut kept);
                }
                Ok(Some(heard)) => break Some(heard),
                Ok(None) => {}
                Err(_) => break None,
            }
        };
        match reply {
            None => line = None,
            Some(_) if is_over => return (kept, agreed, forgotten),
            Some(reply) if reply.starts_with('-') => {}
            Some(reply) => {
                if let Some(before) = kept.insert(key.clone(), reply.clone()) {
                    assert_eq!(before, reply, "{key} had changed, and nobody had said so before");
                    agreed += 1;
                }
            }
        }
    }
}

#[test]
fn nobody_keeps_what_has_changed_whoever_dies() {
    // Two copies on four nodes: there is always a node without one.
    let mut cluster = Cluster::start(Options { nodes: 4, copies: 2, ..Options::default() });
    (1..=4).for_each(|id| cluster.wait_until_serving(id));
    let addresses: Vec<SocketAddr> = (1..=4).map(|id| cluster.redis_address(id)).collect();
    let (writes_no_more, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let written = AtomicU64::new(0);
    let mut kills = 0;
    let caches: Vec<_> = std::thread::scope(|scope| {
        let caches: Vec<_> = (0..8)
            .map(|number| {
                let (address, over) = (addresses[number as usize % 4], &over);
                scope.spawn(move || cache(number, address, over))
            })
            .collect();
        for writer in 0..2 {
            let (addresses, stop, written) = (&addresses, &writes_no_more, &written);
            scope.spawn(move || {
                let mut dice = Dice(100 + writer);
                let mut line: Option<Line> = None;
                while !stop.load(Ordering::SeqCst) {
                    let Some(connection) = &mut line else {
                        line = Line::try_to(addresses[dice.below(4) as usize]).ok();
                        continue;
                    };
                    connection.send(&format!("INCR n{}", dice.below(4)));
                    let heard = loop {
                        match connection.poll() {
                            Ok(None) => {}
                            other => break other,
                        }
                    };
                    match heard {
                        Ok(_) => drop(written.fetch_add(1, Ordering::SeqCst)),
                        Err(_) => line = None,
                    }
                    // Something is to be kept for a while.
                    std::thread::sleep(Duration::from_millis(3));
                }
            });
        }
        for _ in 0..4 {
            std::thread::sleep(Duration::from_millis(1_500));
            let victim = cluster.primary();
            cluster.kill(victim);
            kills += 1;
            cluster.wait_for_other_primary(victim);
            cluster.start_node(victim);
            cluster.wait_until_complete();
        }
        writes_no_more.store(true, Ordering::SeqCst);
        // Everybody has had the time to hear, and goes on reading meanwhile.
        std::thread::sleep(Duration::from_secs(2));
        over.store(true, Ordering::SeqCst);
        caches.into_iter().map(|it| it.join().expect("it caches")).collect()
    });
    let mut client = Line::to(addresses[0]);
    let (mut agreed, mut forgotten) = (0, 0);
    for (kept, agrees, forgets) in &caches {
        (agreed, forgotten) = (agreed + agrees, forgotten + forgets);
        for (key, value) in kept {
            assert_eq!(client.say(&format!("GET {key}")), *value, "{key} was kept, and has changed");
        }
    }
    let written = written.load(Ordering::SeqCst);
    println!(
        "{kills} kills, {written} writes; {agreed} times what was kept was read again, {forgotten} times told"
    );
    assert!(kills == 4 && written > 500 && agreed > 500 && forgotten > 500);
}
