//! Whatever takes long pauses, and nothing of it shows.

use std::cell::Cell;

use bytes::Bytes;
use onecopy_core::{ApplyContext, Budget, Index, Pause, Slices, StateMachine, Timestamp};
use onecopy_keyspace::Keyspace;
use onecopy_keyspace::request::{BodyBuilder, SegmentBuilder};
use onecopy_resp::Version;

/// How many elements the collections have.
const ELEMENTS: usize = 5_000;
/// How long the strings are.
const LONG: usize = 8 << 20;

fn body(args: &[&[u8]]) -> Bytes {
    let mut segment = SegmentBuilder::new(0, Version::Three);
    segment.push(args.iter().copied());
    let mut body = BodyBuilder::new();
    body.push(&segment.finish());
    body.finish()
}

fn execute(keyspace: &mut Keyspace, args: &[&[u8]], budget: Budget<'_>) -> Vec<u8> {
    let context = ApplyContext { budget, ..ApplyContext::new(Index(1), Timestamp(1_000), 7) };
    let mut response = Vec::new();
    keyspace.apply(&context, &body(args), &mut response);
    response
}

#[test]
fn a_long_string_that_came_in_parts_is_not_copied() {
    let steps = |own: bool| {
        let spent = Cell::new(0);
        let pause = |_| {
            spent.set(spent.get() + 1);
            1
        };
        let slices = Slices::new(1, &pause);
        let body = body(&[b"SET", b"string", &vec![b'@'; LONG]]);
        let mut keyspace = Keyspace::new([1, 2]);
        let context = ApplyContext {
            own_body: own.then_some(&body),
            budget: slices.budget(),
            ..ApplyContext::new(Index(1), Timestamp(1_000), 7)
        };
        keyspace.apply(&context, &body, &mut Vec::new());
        (spent.get(), keyspace)
    };
    let ((copying, mut copied), (sharing, mut shared)) = (steps(false), steps(true));
    assert!(copying > LONG >> 20 && sharing < 5, "{copying} pauses, and {sharing}");
    // Nobody can tell them apart, whatever is done to them.
    for command in
        ["STRLEN string", "APPEND string x", "GETRANGE string -3 -1", "SETRANGE string 5 yz", "GET string"]
    {
        let answers = [&mut copied, &mut shared].map(|keyspace| run(keyspace, command, Budget::ENDLESS));
        assert!(answers[0] == answers[1], "{command}");
        assert_eq!((copied.memory(), copied.digest()), (shared.memory(), shared.digest()), "{command}");
    }
}

/// The words of a command; `#name` stands for as many different words, `@` for a long string.
fn words(command: &str) -> Vec<Vec<u8>> {
    let expand = |word: &str| match word.strip_prefix('#') {
        _ if word == "@" => vec![vec![b'@'; LONG]],
        Some("pair") => (0..ELEMENTS)
            .flat_map(|number| [number.to_string(), format!("pair:{number}")].map(String::into_bytes))
            .collect(),
        Some("id") => (1..=ELEMENTS).map(|number| format!("{number}-0").into_bytes()).collect(),
        Some(name) => (0..ELEMENTS).map(|number| format!("{name}:{number}").into_bytes()).collect(),
        None => vec![word.as_bytes().to_vec()],
    };
    command.split(' ').flat_map(expand).collect()
}

fn run(keyspace: &mut Keyspace, command: &str, budget: Budget<'_>) -> Vec<u8> {
    let words = words(command);
    execute(keyspace, &words.iter().map(Vec::as_slice).collect::<Vec<_>>(), budget)
}

/// A keyspace with a large collection of each type, a long string, and many keys.
fn large() -> Keyspace {
    let mut keyspace = Keyspace::new([1, 2]);
    for command in [
        "MSET #pair",
        "SADD set #pair",
        "SADD other #pair more",
        "HSET hash #pair",
        "ZADD zset #pair",
        "RPUSH list #pair",
        "SET string @",
        "SETRANGE blank-string 8388608 x",
        "SETRANGE text 2000 x",
        "SETRANGE blank-text 1999 y",
        "PFADD hyperloglog #pair",
        "XGROUP CREATE stream group 0 MKSTREAM",
    ] {
        let reply = run(&mut keyspace, command, Budget::ENDLESS);
        assert_ne!(reply[4], b'-', "{command}: {}", String::from_utf8_lossy(&reply[4..]));
    }
    for number in 1..=ELEMENTS {
        run(&mut keyspace, &format!("XADD stream {number}-0 field value"), Budget::ENDLESS);
    }
    run(&mut keyspace, "XADD entry 1-0 #pair", Budget::ENDLESS);
    run(&mut keyspace, "XGROUP CREATE entry group 0", Budget::ENDLESS);
    run(&mut keyspace, "XREADGROUP GROUP group consumer COUNT 4000 STREAMS stream >", Budget::ENDLESS);
    keyspace
}

/// Each takes a step or more for each of many elements, or for 64 of many bytes.
const LONG_COMMANDS: [&str; 100] = [
    "KEYS *",
    "KEYS *x",
    "SCAN 0 COUNT 100000",
    "SSCAN set 0 COUNT 100000",
    "HSCAN hash 0 COUNT 100000",
    "ZSCAN zset 0 COUNT 100000",
    "SMEMBERS set",
    "HGETALL hash",
    "HKEYS hash",
    "HVALS hash",
    "LRANGE list 0 -1",
    "ZRANGE zset 0 -1 WITHSCORES",
    "ZRANGE zset 0 -1 REV",
    "SUNION set other",
    "SINTER set other",
    "SDIFF set nothing",
    "SINTERCARD 2 set other",
    "SUNIONSTORE to set other",
    "SINTERSTORE to set other",
    "SDIFFSTORE to other nothing",
    "ZUNION 2 zset set",
    "ZINTER 2 zset set",
    "ZUNIONSTORE to 2 zset set",
    "ZINTERSTORE to 2 zset set",
    "ZDIFFSTORE to 2 zset nothing",
    "ZRANGESTORE to zset 0 -1",
    "SRANDMEMBER set 4000",
    "SRANDMEMBER set 1000",
    "SRANDMEMBER set -4000",
    "HRANDFIELD hash 4000 WITHVALUES",
    "ZRANDMEMBER zset -4000",
    "SPOP set 4000",
    "LPOP list 4000",
    "LMPOP 1 list RIGHT COUNT 4000",
    "ZPOPMIN zset 4000",
    "ZMPOP 1 zset MAX COUNT 4000",
    "LREM list 0 nothing",
    "LINSERT list BEFORE nothing x",
    "LPOS list nothing",
    "LTRIM list 2000 2010",
    "ZREMRANGEBYRANK zset 0 4000",
    "COPY set to",
    "COPY list to",
    "COPY zset to",
    "COPY hash to",
    "COPY string to",
    "DEL #pair",
    "MGET #key",
    "EXISTS #key",
    "MSETNX #new",
    "SREM set #pair",
    "SMISMEMBER set #pair",
    "HDEL hash #pair",
    "ZREM zset #pair",
    "GEOPOS zset #pair",
    "GEOSEARCH zset FROMLONLAT -180 -85 BYRADIUS 30000 km",
    "GEOSEARCH zset FROMLONLAT -180 -85 BYBOX 30000 30000 km DESC WITHDIST",
    "GEOSEARCHSTORE to zset FROMLONLAT -180 -85 BYRADIUS 30000 km",
    "GEORADIUS zset -180 -85 30000 km STOREDIST to",
    "SORT list ALPHA",
    "SORT list ALPHA DESC LIMIT 0 10 STORE to",
    "SORT set BY nosort STORE to",
    "SORT zset BY nosort GET *",
    "SORT set BY pair:* ALPHA",
    "SORT_RO list BY *->x GET nothing* LIMIT 0 3",
    "GETRANGE string 5 -1",
    "APPEND string @",
    "SETRANGE string 7 @",
    "BITCOUNT string",
    "BITPOS blank-string 1",
    "BITOP NOT to string",
    "BITOP AND to string blank-string string",
    "LCS text blank-text",
    "LCS text blank-text LEN",
    "PFADD hyperloglog #new",
    "PFADD to #pair",
    "PFMERGE to hyperloglog",
    "XADD to 2-0 #pair",
    "XADD large-string 2-0 field @",
    "XADD entry 2-0 #pair",
    "XDEL stream #id",
    "XTRIM stream MAXLEN 0",
    "XTRIM stream MINID 4950",
    "XRANGE stream - +",
    "XREVRANGE stream + -",
    "XRANGE entry - +",
    "XREAD STREAMS stream entry 0 0",
    "XREADGROUP GROUP group other STREAMS stream entry > >",
    "XREADGROUP GROUP group consumer STREAMS stream 0",
    "XGROUP DELCONSUMER stream group consumer",
    "XACK stream group #id",
    "XPENDING stream group - + 5000",
    "XPENDING stream group IDLE 1000000 - + 10",
    "XPENDING stream group - + 4000 consumer",
    "XCLAIM stream group other 0 #id",
    "XCLAIM stream group other 0 #id FORCE JUSTID",
    "XAUTOCLAIM stream group other 0 0 COUNT 5000",
    "XAUTOCLAIM stream group other 1000000 0 COUNT 5000",
    "XINFO STREAM stream FULL COUNT 0",
    "COPY stream to",
];

#[test]
fn whatever_takes_long_pauses_and_nothing_of_it_shows() {
    for command in LONG_COMMANDS {
        let (mut whole, mut sliced) = (large(), large());
        let expected = run(&mut whole, command, Budget::ENDLESS);
        assert_ne!(expected[4], b'-', "{command}: {}", String::from_utf8_lossy(&expected[4..]));
        let pauses = Cell::new(0usize);
        let pause = |Pause { command: name, .. }| {
            assert!(command.to_ascii_lowercase().starts_with(name), "{name} is executed, not {command}");
            pauses.set(pauses.get() + 1);
            25
        };
        let slices = Slices::new(25, &pause);
        assert!(run(&mut sliced, command, slices.budget()) == expected, "{command} answers something else");
        assert_eq!(sliced.digest(), whole.digest(), "{command}");
        // A string is copied in pieces of a MiB, a collection in blocks of its own.
        let expected = match command {
            _ if command.contains("string") => LONG >> 20,
            _ if command.starts_with("COPY") || command.starts_with("XTRIM") => 3,
            _ => 50,
        };
        assert!(pauses.get() >= expected, "{command} pauses {} times", pauses.get());
    }
}

#[test]
fn one_bit_of_a_long_string_is_no_more_work_than_one_of_a_short_string() {
    let mut keyspace = Keyspace::new([1, 2]);
    run(&mut keyspace, "SETRANGE string 104857599 x", Budget::ENDLESS);
    for command in [
        "SETBIT string 1000 1",
        "SETBIT string 1000 0",
        "GETBIT string 838860799",
        "BITFIELD string SET u63 70001 5 GET i8 3",
        "BITFIELD_RO string GET u8 800000000",
        "BITCOUNT string -3 -1",
        "BITPOS string 1 -1",
    ] {
        let pauses = Cell::new(0);
        let pause = |_| {
            pauses.set(pauses.get() + 1);
            100
        };
        let slices = Slices::new(100, &pause);
        assert_ne!(run(&mut keyspace, command, slices.budget())[4], b'-', "{command}");
        assert_eq!(pauses.get(), 0, "{command} pauses");
    }
}

#[test]
fn a_transaction_pauses_between_its_commands_and_within_them() {
    let mut segment = SegmentBuilder::new(0, Version::Two).transaction();
    (0..ELEMENTS).for_each(|number| segment.push([b"SET".as_slice(), number.to_string().as_bytes(), b"x"]));
    segment.push([b"SMEMBERS".as_slice(), b"set"]);
    let body = segment.finish();
    let pauses = Cell::new((0, 0));
    let pause = |Pause { command, .. }| {
        let (between, within) = pauses.get();
        pauses.set(if command == "set" { (between + 1, within) } else { (between, within + 1) });
        100
    };
    let slices = Slices::new(100, &pause);
    let responses = [Budget::ENDLESS, slices.budget()].map(|budget| {
        let (mut keyspace, mut response) = (large(), Vec::new());
        let context = ApplyContext { budget, ..ApplyContext::new(Index(1), Timestamp(1), 7) };
        keyspace.apply(&context, &body, &mut response);
        response
    });
    assert!(responses[0] == responses[1]);
    let (between, within) = pauses.get();
    assert!(between > ELEMENTS / 20 && within > ELEMENTS / 200, "{between} and {within}");
}

#[test]
fn many_short_commands_pause_between() {
    let mut segment = SegmentBuilder::new(0, Version::Two);
    (0..ELEMENTS).for_each(|number| segment.push([b"SET".as_slice(), number.to_string().as_bytes(), b"x"]));
    let mut body = BodyBuilder::new();
    body.push(&segment.finish());
    let pauses = Cell::new(0usize);
    let pause = |_| {
        pauses.set(pauses.get() + 1);
        100
    };
    let slices = Slices::new(100, &pause);
    let mut keyspace = Keyspace::new([1, 2]);
    let context = ApplyContext { budget: slices.budget(), ..ApplyContext::new(Index(1), Timestamp(1), 7) };
    keyspace.apply(&context, &body.finish(), &mut Vec::new());
    assert!(pauses.get() > ELEMENTS / 20, "{}", pauses.get());
}

#[test]
fn many_keys_that_expire_at_once_are_counted_bit_by_bit() {
    let expiring = || {
        let mut segment = SegmentBuilder::new(0, Version::Two);
        for number in 0..ELEMENTS {
            segment.push([b"SET".as_slice(), number.to_string().as_bytes(), b"x", b"PXAT", b"2000"]);
        }
        let mut body = BodyBuilder::new();
        body.push(&segment.finish());
        let mut keyspace = Keyspace::new([1, 2]);
        keyspace.apply(&ApplyContext::new(Index(1), Timestamp(1), 7), &body.finish(), &mut Vec::new());
        keyspace
    };
    let (mut whole, mut sliced) = (expiring(), expiring());
    let context = ApplyContext::new(Index(2), Timestamp(2_000), 7);
    whole.advance(&context);
    let pauses = Cell::new(0usize);
    let pause = |Pause { command: name, .. }| {
        assert_eq!(name, "expiry");
        pauses.set(pauses.get() + 1);
        25
    };
    let slices = Slices::new(25, &pause);
    sliced.advance(&ApplyContext { budget: slices.budget(), ..context });
    assert!(pauses.get() >= 50, "{} pauses", pauses.get());
    assert_eq!(sliced.digest(), whole.digest());
    let size = |keyspace: &mut Keyspace| execute(keyspace, &[b"DBSIZE"], Budget::ENDLESS);
    assert_eq!(size(&mut sliced), size(&mut whole));
}
