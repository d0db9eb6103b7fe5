//! The same commands to a real Redis and to a keyspace: the replies must be equal.
//!
//! Needs a `redis-server` of version 7 on the path; without one the test says so and passes. How many
//! commands, and from which seed, can be set by `ONECOPY_REDIS_COMMANDS` and `ONECOPY_REDIS_SEED`.
//!
//! What is compared with care: orders that Redis does not promise (sets, hashes, keys) are sorted, doubles
//! are compared as numbers (Redis 7.0 writes them with 17 digits), and remaining times are rounded, because
//! the two clocks differ.

mod support;

use std::collections::BTreeMap;

use onecopy_keyspace::command;
use onecopy_resp::Version;
use support::maker::Maker;
use support::redis::{Redis, comparable, seed_and_count};
use support::templates::TEMPLATES;
use support::{Machine, Reply, words};

/// The families of commands, as the table of commands calls them.
const FAMILIES: &[&str] =
    &["string", "bitmap", "hyperloglog", "generic", "hash", "list", "set", "sorted-set", "geo"];

/// Whether a template is of a family.
fn is_of(template: &str, family: &str) -> bool {
    let name = template.split(' ').next().unwrap_or_default();
    command::lookup(name.as_bytes()).is_some_and(|spec| spec.group == family)
}

/// Commands of all families together, or three of four of one, which then meets values that have grown.
fn compare_replies(version: Version, family: Option<&str>, count: u64) {
    let (seed, _) = seed_and_count();
    let of_family: Vec<usize> = (0..TEMPLATES.len())
        .filter(|at| family.is_some_and(|family| is_of(TEMPLATES[*at].0, family)))
        .collect();
    assert!(family.is_none() || of_family.len() > 10, "{family:?}: {of_family:?}");
    let Some(mut redis) = Redis::start(&[]) else {
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
        let at = match maker.below(4) {
            1.. if family.is_some() => of_family[maker.below(of_family.len())],
            _ => maker.below(TEMPLATES.len()),
        };
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
    assert!(reports.is_empty(), "{version:?}, {family:?}, seed {seed}:\n{}", reports.join("\n"));
}

#[test]
fn replies_are_those_of_redis_in_resp2() {
    compare_replies(Version::Two, None, seed_and_count().1);
}

#[test]
fn replies_are_those_of_redis_in_resp3() {
    compare_replies(Version::Three, None, seed_and_count().1);
}

#[test]
fn each_family_by_itself_is_that_of_redis_in_resp2() {
    FAMILIES.iter().for_each(|family| compare_replies(Version::Two, Some(family), seed_and_count().1 / 3));
}

#[test]
fn each_family_by_itself_is_that_of_redis_in_resp3() {
    FAMILIES.iter().for_each(|family| compare_replies(Version::Three, Some(family), seed_and_count().1 / 3));
}

/// Among all other commands, hardly any HyperLogLog grows large before it is deleted.
#[test]
fn hyperloglogs_have_the_bytes_of_redis() {
    let (seed, count) = seed_and_count();
    let Some(mut redis) = Redis::start(&[]) else {
        println!("there is no redis-server on the path: nothing to compare with, the test is skipped");
        return;
    };
    let (mut machine, mut maker) = (Machine::default(), Maker::new(seed));
    let (mut sparse, mut dense) = (0, 0);
    for step in 0..count / 10 {
        let key = format!("key{}", maker.below(6));
        let line = match maker.below(40) {
            0 => format!("DEL {key}"),
            1 => format!("PFMERGE {key} key{} key{}", maker.below(6), maker.below(6)),
            2 => format!("PFMERGE new{} {key}", maker.below(2)),
            3 => format!("PFDEBUG DECODE {key}"),
            _ => {
                let most = [3, 30, 300][maker.below(3)];
                let count = 1 + maker.below(most);
                format!("PFADD {key}{}", maker.fill(&" N".repeat(count)))
            }
        };
        // The cardinality of one alone would be written into it, by Redis.
        let look = ["GET key", "PFCOUNT missing key", "PFDEBUG ENCODING key", "STRLEN new"]
            .map(|look| format!("{}{}", look, if look.ends_with("new") { "0" } else { &key[3..] }));
        for line in std::iter::once(&line).chain(&look) {
            let args = words(line);
            let ours = Reply::parse(&mut machine.apply(&args).as_slice()).expect("a reply");
            let theirs = redis.run(&args);
            sparse += u64::from(ours == Reply::Simple("sparse".into()));
            dense += u64::from(ours == Reply::Simple("dense".into()));
            assert!(ours == theirs, "seed {seed}, step {step}: {}", &line[..line.len().min(200)]);
        }
    }
    assert!(count < 1_000 || sparse > 0 && dense > 0, "{sparse} looks at sparse ones, {dense} at dense ones");
}

/// Sets of places so dense that cells matter, and so many that each is asked for once.
#[test]
fn places_are_found_where_redis_finds_them() {
    let Some(mut redis) = Redis::start(&[]) else { return };
    let (mut machine, mut maker) = (Machine::default(), Maker::new(5));
    let mut both = |line: &str| {
        let args = words(line);
        let raw = machine.apply(&args);
        (Reply::parse(&mut raw.as_slice()).expect("a reply").text(), redis.run(&args).text())
    };
    for member in 0..4_000 {
        let place = maker.place();
        // Those that are made often would be equally far from everything.
        if place.len() > 25 {
            let (ours, theirs) = both(&format!("GEOADD g {place} {member}"));
            assert_eq!(ours.trim_end(), theirs.trim_end());
        }
    }
    let (ours, theirs) = both("ZRANGE g 0 -1 WITHSCORES");
    assert!(ours == theirs, "scores differ");
    let (mut asked, mut found, mut longest) = (0, 0, 0);
    for number in 0..1_500 {
        let from = match number % 2 {
            0 => format!("FROMMEMBER {}", maker.below(4_000)),
            _ => format!("FROMLONLAT {}", maker.place()),
        };
        let mut size =
            || [0.01, 1.0, 30.0, 200.0, 3_000.0, 25_000.0][maker.below(6)] * (1 + maker.below(9)) as f64;
        let (width, height) = (size(), size());
        let area = match number % 3 {
            0 => format!("BYBOX {width} {height} km"),
            _ => format!("BYRADIUS {width} km"),
        };
        let rest =
            ["ASC WITHDIST WITHHASH", "DESC WITHCOORD", "COUNT 7", "COUNT 9 ASC WITHDIST", ""][number % 5];
        let line = format!("GEOSEARCH g {from} {area} {rest}");
        let (ours, theirs) = both(&line);
        assert!(ours.trim_end() == theirs.trim_end(), "{line}\n  redis:   {theirs}\n  onecopy: {ours}");
        (asked, found) = (asked + 1, found + usize::from(ours != "[]"));
        longest = longest.max(ours.len());
        let (ours, theirs) = both(&format!("GEOSEARCHSTORE d g {from} {area}"));
        assert_eq!(ours.trim_end(), theirs.trim_end(), "{line}");
        let (ours, theirs) = both("ZRANGE d 0 -1 WITHSCORES");
        assert!(ours == theirs, "stored by {line}");
    }
    assert!(found * 2 > asked && longest > 50_000, "{found} of {asked} find something");
}
