//! Nothing that comes from outside makes the machine panic, hang, or take memory without bound.

use onecopy_core::{QueryContext, StateMachine, Timestamp};
use onecopy_keyspace::command;
use onecopy_resp::Version;
use proptest::prelude::*;

use crate::support::{Machine, Reply, body_of, words};

fn hostile_arg() -> impl Strategy<Value = Vec<u8>> {
    let words = vec![
        "",
        "0",
        "1",
        "-1",
        "2",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551615",
        "4294967296",
        "1.5",
        "-inf",
        "inf",
        "nan",
        "1e308",
        "(1",
        "[a",
        "(",
        "[",
        "-",
        "+",
        "*",
        "[^",
        "\\",
        "a",
        "b",
        "string",
        "list",
        "hash",
        "set",
        "zset",
        "NX",
        "XX",
        "GT",
        "LT",
        "CH",
        "INCR",
        "EX",
        "PX",
        "EXAT",
        "PXAT",
        "KEEPTTL",
        "GET",
        "PERSIST",
        "COUNT",
        "MATCH",
        "TYPE",
        "LIMIT",
        "WITHSCORES",
        "WITHVALUES",
        "BYSCORE",
        "BYLEX",
        "REV",
        "WEIGHTS",
        "AGGREGATE",
        "SUM",
        "LEFT",
        "RIGHT",
        "MIN",
        "MAX",
        "BEFORE",
        "AFTER",
        "RANK",
        "MAXLEN",
        "DB",
        "REPLACE",
        "ENCODING",
        "USAGE",
        "SAMPLES",
        "HELP",
        "ASYNC",
        "ASC",
        "DESC",
        "ALPHA",
        "BY",
        "STORE",
        "STOREDIST",
        "FROMLONLAT",
        "FROMMEMBER",
        "BYRADIUS",
        "BYBOX",
        "km",
        "ANY",
        "a*->1",
        "#",
        "IDX",
        "ONCE",
        "DEL",
        "INCR",
        "LPOP",
        "ZPOPMIN",
        "BIT",
        "AND",
        "NOT",
        "u8",
        "i64",
        "#1",
        "SAT",
        "FAIL",
        "OVERFLOW",
        "SET",
        "INCRBY",
        "IDX",
        "LEN",
        "MINMATCHLEN",
        "WITHMATCHLEN",
        "GETREG",
        "TODENSE",
        "stream",
        "group",
        "consumer",
        "1-1",
        "2-*",
        "(1-1",
        "18446744073709551615-18446744073709551615",
        "$",
        ">",
        "~",
        "=",
        "STREAMS",
        "GROUP",
        "NOACK",
        "BLOCK",
        "MINID",
        "NOMKSTREAM",
        "MKSTREAM",
        "CREATE",
        "SETID",
        "DESTROY",
        "CREATECONSUMER",
        "DELCONSUMER",
        "ENTRIESREAD",
        "ENTRIESADDED",
        "MAXDELETEDID",
        "IDLE",
        "TIME",
        "RETRYCOUNT",
        "FORCE",
        "JUSTID",
        "LASTID",
        "STREAM",
        "GROUPS",
        "CONSUMERS",
        "FULL",
    ];
    prop_oneof![
        8 => prop::sample::select(words).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

fn hostile_command() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let name = prop::sample::select(command::all().map(|spec| spec.name).collect::<Vec<_>>());
    (name, prop::collection::vec(hostile_arg(), 0..9))
        .prop_map(|(name, args)| std::iter::once(name.as_bytes().to_vec()).chain(args).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn commands_with_any_arguments_get_one_reply(commands in prop::collection::vec(hostile_command(), 1..60)) {
        let mut machine = Machine::default();
        machine.expect(
            "SET string v => OK\nRPUSH list a b c => :3\nHSET hash a 1 b 2 => :2\nSADD set a b c => :3\nZADD zset 1 a 2 b => :2\nXADD stream 1-1 a 1 => 1-1\nXADD stream 2-1 b 1 c 2 => 2-1\nXGROUP CREATE stream group 0 => OK\nXREADGROUP GROUP group consumer COUNT 1 STREAMS stream > => [[stream [[1-1 [a 1]]]]]",
        );
        for command in commands {
            // These are right to take as long as they do.
            if command[0].starts_with(b"setrange") || command.len() > 2 && command[2].len() > 8 && command[0].ends_with(b"randmember") {
                continue;
            }
            let raw = machine.apply(&command);
            let mut rest = raw.as_slice();
            prop_assert!(Reply::parse(&mut rest).is_some());
            prop_assert!(rest.is_empty());
            let mut response = Vec::new();
            let context = QueryContext::at(Timestamp(0));
            machine.keyspace.query(&context, &body_of(0, Version::Three, &command), &mut response);
        }
        let image = machine.image();
        let mut restored = Machine::default();
        restored.keyspace.restore(&image).expect("an image");
        restored.keyspace.restore_finish().expect("complete");
        machine.sleep(u64::from(u32::MAX));
        machine.sleep(0);
    }

    #[test]
    fn any_string_with_the_header_of_a_hyperloglog_is_answered(
        encoding in 0u8..3,
        cardinality in any::<[u8; 8]>(),
        registers in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            prop::collection::vec(any::<u8>(), 12_288),
            any::<u8>().prop_map(|byte| vec![byte; 16_384]),
            any::<u8>().prop_map(|byte| vec![byte; 4_096]),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|runs| {
                // What covers all registers, though hardly ever in the way that it would be here.
                let covered: usize = runs.iter().map(|byte| usize::from(byte & 3) + 1).sum();
                let rest = u16::try_from(16_384 - covered - 1).unwrap() | 0x4000;
                runs.iter().map(|byte| byte | 0x80).chain(rest.to_be_bytes()).collect()
            }),
        ],
    ) {
        let mut machine = Machine::default();
        machine.expect("PFADD good a b c => :1\nPFADD dense x => :1\nPFDEBUG TODENSE dense => :1");
        let value = [&b"HYLL"[..], &[encoding, 0, 0, 0], &cardinality, &registers].concat();
        for line in [
            "PFADD k x y z",
            "PFADD k",
            "PFCOUNT k",
            "PFCOUNT k good",
            "PFMERGE k",
            "PFMERGE k good",
            "PFMERGE k dense",
            "PFMERGE good k",
            "PFDEBUG GETREG k",
            "PFDEBUG DECODE k",
            "PFDEBUG ENCODING k",
            "PFDEBUG TODENSE k",
            "BITCOUNT k",
            "BITOP NOT k k",
        ] {
            machine.apply(&[b"SET".to_vec(), b"k".to_vec(), value.clone()]);
            machine.run(line);
        }
    }

    #[test]
    fn any_body_is_answered(body in prop::collection::vec(any::<u8>(), 0..200), db in 0u8..20, flags in 0u8..40) {
        let mut machine = Machine::default();
        let mut response = Vec::new();
        machine.keyspace.apply(&machine.context, &body, &mut response);
        // Behind a good header.
        let length = u32::try_from(body.len()).unwrap().to_le_bytes();
        let framed = [&[db, flags, 1, 0, 0, 0][..], &length, &body].concat();
        machine.keyspace.apply(&machine.context, &framed, &mut response);
        machine.keyspace.query(&QueryContext::at(Timestamp(0)), &framed, &mut response);
    }
}

#[test]
fn announced_sizes_take_no_memory() {
    let mut machine = Machine::default();
    machine.expect(
        "
        RPUSH list a                 => :1
        SADD set a                   => :1
        ZADD zset 1 a                => :1
        HSET hash a 1                => :1
        SRANDMEMBER set -9223372036854775807 => -ERR value is out of range
        SRANDMEMBER set 9223372036854775807 => [a]
        HRANDFIELD hash 9223372036854775807 => [a]
        ZRANDMEMBER zset -100000000  => -ERR value is out of range
        LPOP list 9223372036854775807 => [a]
        SPOP set 9223372036854775807 => [a]
        ZPOPMIN zset 9223372036854775807 => [a 1]
        SINTERCARD 9223372036854775807 a => -ERR Number of keys can't be greater than number of args
        ZUNION 9223372036854775807 a => -ERR syntax error
        LMPOP 9223372036854775807 a LEFT => -ERR syntax error
        XADD stream 1-1 a 1          => 1-1
        XGROUP CREATE stream g 0     => OK
        XRANGE stream - + COUNT 9223372036854775807 => [[1-1 [a 1]]]
        XREADGROUP GROUP g c COUNT 9223372036854775807 STREAMS stream > => [[stream [[1-1 [a 1]]]]]
        XPENDING stream g - + 9223372036854775807 => [[1-1 c :0 :1]]
        XAUTOCLAIM stream g c 0 0 COUNT 576460752303423487 JUSTID => [0-0 [1-1] []]
        XAUTOCLAIM stream g c 0 0 COUNT 9223372036854775807 => -ERR COUNT must be > 0
        XTRIM stream MAXLEN ~ 9223372036854775807 LIMIT 9223372036854775807 => :0
        XCLAIM stream g c 9223372036854775807 1-1 IDLE -9223372036854775808 => []
        XCLAIM stream g c 0 1-1 JUSTID RETRYCOUNT 9223372036854775807 => [1-1]
        XCLAIM stream g c 0 1-1      => [[1-1 [a 1]]]
        SETRANGE s 536870911 ''      => :0
        SETRANGE s 9223372036854775807 x => -ERR string exceeds maximum allowed size (proto-max-bulk-len)
        ",
    );
}

#[test]
fn a_reply_without_bound_is_an_error() {
    let mut machine = Machine::default();
    let value = vec![b'x'; 64 << 20];
    machine.apply(&[b"SET".to_vec(), b"big".to_vec(), value]);
    let reply = machine.run(&format!("MGET {}", "big ".repeat(20)));
    assert_eq!(reply, "-ERR the reply would be too large; ask for less at a time");
    machine.expect("STRLEN big => :67108864");
}

#[test]
fn a_segment_of_an_unknown_database_is_an_error() {
    let mut machine = Machine { db: 16, ..Machine::default() };
    assert_eq!(machine.run("GET k"), "-ERR DB index is out of range");
    assert_eq!(machine.apply(&words("GET k")), b"-ERR DB index is out of range\r\n");
}
