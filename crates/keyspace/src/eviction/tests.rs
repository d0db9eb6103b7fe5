//! Two copies with other seeds, of which one names victims: what goes, and that the other follows.

use onecopy_core::{Eviction, Index, Need, StateMachine, Timestamp};
use onecopy_resp::Version;

use super::*;
use crate::request::{BodyBuilder, SegmentBuilder};

/// A primary and a backup.
struct Pair {
    primary: Keyspace,
    backup: Keyspace,
    eviction: Eviction,
    memory_max: u64,
    now: u64,
    index: u64,
}

impl Pair {
    fn new(policy: Policy, memory_max: u64) -> Self {
        let eviction = Eviction { policy, ..Eviction::default() };
        let (primary, backup) = (Keyspace::new([1, 2]), Keyspace::new([3, 4]));
        let mut pair = Self { primary, backup, eviction, memory_max, now: 1_000_000_000, index: 0 };
        pair.primary.observe(eviction, Timestamp(pair.now));
        pair
    }

    /// Executes a command at both, in an entry for which the primary names victims.
    fn run(&mut self, line: &str) -> String {
        let names = match self.memory_max {
            0 => bytes::Bytes::new(),
            max => {
                let bytes = (self.primary.memory() + 2 * line.len() as u64).saturating_sub(max);
                self.primary.victims(Need { now: Timestamp(self.now), bytes })
            }
        };
        self.run_named(line, &names)
    }

    fn run_named(&mut self, line: &str, victims: &[u8]) -> String {
        self.index += 1;
        let context = ApplyContext::new(Index(self.index), Timestamp(self.now), self.index * 7);
        let (memory_max, policy) = (self.memory_max, self.eviction.policy);
        let context = ApplyContext { memory_max, policy, victims, ..context };
        let mut segment = SegmentBuilder::new(0, Version::Two);
        segment.push(line.split(' ').map(str::as_bytes));
        let mut body = BodyBuilder::new();
        body.push(&segment.finish());
        let body = body.finish();
        let answers = [&mut self.primary, &mut self.backup].map(|machine| {
            let mut response = Vec::new();
            machine.advance(&context);
            machine.apply(&context, &body, &mut response);
            String::from_utf8_lossy(&response[4..]).trim_end().to_owned()
        });
        assert_eq!(answers[0], answers[1], "{line}");
        assert_eq!(self.primary.digest(), self.backup.digest(), "after {line}");
        assert_eq!(self.primary.memory(), self.backup.memory());
        answers[0].clone()
    }

    /// Reads at the primary alone.
    fn read(&self, line: &str) -> String {
        let mut segment = SegmentBuilder::new(0, Version::Two);
        segment.push(line.split(' ').map(str::as_bytes));
        let mut body = BodyBuilder::new();
        body.push(&segment.finish());
        let mut response = Vec::new();
        let context = onecopy_core::QueryContext::at(Timestamp(self.now));
        self.primary.query(&context, &body.finish(), &mut response);
        String::from_utf8_lossy(&response[4..]).trim_end().to_owned()
    }

    /// How many of the keys with this beginning are there.
    fn there(&self, prefix: &str, keys: u64) -> u64 {
        let is_there = |number: &u64| self.primary.is_there(0, format!("{prefix}{number}").as_bytes());
        (0..keys).filter(is_there).count() as u64
    }
}

/// Fills to the limit: half of 400 keys are used again and again, in part by reads, and then as much is
/// written once more.
fn fill(policy: Policy) -> Pair {
    let mut pair = Pair::new(policy, 50_000);
    for number in 0..400 {
        let expiry = if policy.is_volatile() { format!(" EX {}", 10_000 + number) } else { String::new() };
        pair.run(&format!("SET key{number} {}{expiry}", "x".repeat(60)));
    }
    for round in 0..20 {
        pair.now += 61_000;
        for number in (0..400).step_by(2) {
            if (number + round) % 4 == 0 {
                drop(pair.read(&format!("GET key{number}")))
            } else {
                drop(pair.run(&format!("APPEND key{number} ''")))
            }
        }
    }
    for number in 0..300 {
        assert_eq!(pair.run(&format!("SET new{number} {}", "y".repeat(60))), "+OK");
        assert!(pair.primary.memory() < 50_000 + 200);
    }
    pair
}

/// How many of those keys are left that were used, and of those that were not.
fn left(pair: &Pair) -> (u64, u64) {
    let is_there = |number: &u64| pair.primary.is_there(0, format!("key{number}").as_bytes());
    let used = (0..400).step_by(2).filter(is_there).count() as u64;
    (used, pair.there("key", 400) - used)
}

#[test]
fn what_is_used_stays_under_lru_and_lfu() {
    for policy in [Policy::AllkeysLru, Policy::AllkeysLfu, Policy::VolatileLru, Policy::VolatileLfu] {
        let pair = fill(policy);
        let (used, unused) = left(&pair);
        assert!(
            used > 140 && unused < used / 2,
            "{policy:?}: {used} of those that are used, {unused} others"
        );
        assert_eq!(pair.primary.counts().evicted, pair.backup.counts().evicted);
        assert!(pair.primary.counts().evicted >= 100);
    }
}

#[test]
fn what_expires_next_goes_first_under_ttl() {
    let pair = fill(Policy::VolatileTtl);
    let late =
        (200..400).filter(|number| pair.primary.is_there(0, format!("key{number}").as_bytes())).count();
    let early = pair.there("key", 200);
    assert!(late > 140 && early < late as u64 / 2, "{late} late ones, {early} early ones");
}

#[test]
fn under_random_all_go_alike() {
    for policy in [Policy::AllkeysRandom, Policy::VolatileRandom] {
        let (used, unused) = left(&fill(policy));
        assert!(used.abs_diff(unused) < 60, "{policy:?}: {used}, {unused}");
    }
}

#[test]
fn what_does_not_expire_stays_under_volatile_policies() {
    for policy in [Policy::VolatileLru, Policy::VolatileLfu, Policy::VolatileRandom, Policy::VolatileTtl] {
        let mut pair = Pair::new(policy, 20_000);
        for number in 0..100 {
            let expiry = if number % 2 == 0 { " EX 1000" } else { "" };
            pair.run(&format!("SET key{number} {}{expiry}", "x".repeat(60)));
        }
        let mut refused = 0;
        for number in 0..500 {
            let answer = pair.run(&format!("SET more{number} {}", "x".repeat(60)));
            refused += usize::from(answer.starts_with("-OOM"));
        }
        let left = |odd: u64| {
            let numbers = (0..100).filter(|number| number % 2 == odd);
            numbers.filter(|number| pair.primary.is_there(0, format!("key{number}").as_bytes())).count()
        };
        assert_eq!((left(0), left(1)), (0, 50), "{policy:?}");
        // Nothing is left that may go.
        assert!(refused > 100, "{policy:?}: {refused}");
        assert_eq!(pair.run("GET key1"), format!("$60\r\n{}", "x".repeat(60)));
    }
}

#[test]
fn without_names_or_with_wrong_ones_copies_agree_too() {
    for policy in [Policy::AllkeysLru, Policy::VolatileTtl, Policy::VolatileLfu, Policy::AllkeysRandom] {
        let mut pair = Pair::new(policy, 10_000);
        for number in 0..300u64 {
            let mut names = BytesMut::new();
            // Some are not there, some do not expire, and the last one is cut short.
            (0..number % 5)
                .for_each(|other| name(0, format!("key{}", number / 2 + other).as_bytes(), &mut names));
            names.extend_from_slice(&[1, 200][..(number % 3) as usize]);
            let answer = pair.run_named(&format!("SET key{number} {} EX 500", "x".repeat(60)), &names);
            assert_eq!(answer, "+OK");
        }
        assert!(pair.primary.memory() < 10_000 + 200 && pair.primary.counts().evicted > 100);
    }
}

#[test]
fn a_limit_that_is_lowered_is_reached_by_entries_without_commands() {
    let mut pair = Pair::new(Policy::AllkeysLru, 0);
    for number in 0..5_000 {
        pair.run(&format!("SET key{number} value"));
    }
    pair.memory_max = 20_000;
    let mut entries = 0;
    while pair.primary.memory() >= 20_000 {
        pair.run("PING");
        entries += 1;
    }
    assert!((5..20).contains(&entries), "{entries}: so many go with one entry, and no more");
}

#[test]
fn what_a_client_hears_of_it() {
    let mut pair = Pair::new(Policy::AllkeysLru, 0);
    pair.run("SET a 1");
    pair.now += 50_000;
    assert_eq!(pair.read("OBJECT IDLETIME a"), ":50");
    assert_eq!(pair.read("TTL a"), ":-1");
    assert_eq!(pair.read("EXISTS a"), ":1");
    assert_eq!(pair.read("OBJECT IDLETIME a"), ":50", "to ask is no use");
    assert!(pair.read("OBJECT FREQ a").starts_with("-ERR An LFU maxmemory policy is not selected"));
    pair.read("TOUCH a");
    assert_eq!(pair.read("OBJECT IDLETIME a"), ":0");
    let (hits, misses) = (pair.primary.counts().hits.get(), pair.primary.counts().misses.get());
    pair.read("MGET a b c");
    assert_eq!(pair.primary.counts().hits.get(), hits + 1);
    assert_eq!(pair.primary.counts().misses.get(), misses + 2);
    pair.primary.observe(Eviction { policy: Policy::AllkeysLfu, ..pair.eviction }, Timestamp(pair.now));
    assert_eq!(pair.read("OBJECT FREQ a"), ":5");
    for _ in 0..40 {
        pair.read("GET a");
    }
    let frequency: u64 = pair.read("OBJECT FREQ a")[1..].parse().expect("a number");
    assert!((6..20).contains(&frequency), "{frequency}");
    pair.now += 3 * 60_000;
    assert_eq!(pair.read("OBJECT FREQ a"), format!(":{}", frequency - 3));
    assert!(pair.read("OBJECT IDLETIME a").starts_with("-ERR An LFU maxmemory policy is selected"));
    pair.primary.observe(Eviction::default(), Timestamp(pair.now));
    assert!(pair.read("OBJECT IDLETIME a").starts_with("-ERR idle time is only tracked"));
}

#[test]
fn nothing_goes_within_a_script_or_a_transaction() {
    let mut pair = Pair::new(Policy::AllkeysRandom, 0);
    for number in 0..200 {
        pair.run(&format!("SET key{number} {}", "x".repeat(60)));
    }
    pair.memory_max = pair.primary.memory() + 100;
    let before = pair.primary.counts().evicted;
    let script =
        "for\ti=1,100\tdo\tredis.call('SET','more'..i,string.rep('x',60))end\treturn\tredis.call('DBSIZE')";
    assert_eq!(pair.run(&format!("EVAL {script} 0")), ":300");
    assert_eq!(pair.primary.counts().evicted, before);
    pair.run("SET last x");
    assert!(pair.primary.memory() < pair.memory_max + 100 && pair.primary.counts().evicted > 50);
}
