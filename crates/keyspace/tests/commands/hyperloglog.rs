use onecopy_core::StateMachine;

use crate::support::{Machine, Reply, expect};

const CORRUPT: &str = "-INVALIDOBJ Corrupted HLL object detected";
const NONE: &str = "-WRONGTYPE Key is not a valid HyperLogLog string value.";

/// Counts the numbers from `from` up to `to`.
fn add(machine: &mut Machine, key: &str, from: usize, to: usize) {
    for start in (from..to).step_by(5_000) {
        let numbers = start..to.min(start + 5_000);
        let words = numbers.map(|number| number.to_string().into_bytes());
        let command: Vec<Vec<u8>> = [b"PFADD".to_vec(), key.into()].into_iter().chain(words).collect();
        machine.apply(&command);
    }
}

/// Puts a string that claims to be sparse, with these runs.
fn put(machine: &mut Machine, key: &str, runs: &[u8]) {
    let value = [b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80", runs].concat();
    machine.apply(&[b"SET".to_vec(), key.into(), value]);
}

fn get(machine: &mut Machine, key: &str) -> Vec<u8> {
    match Reply::parse(&mut machine.apply(&[b"GET".to_vec(), key.into()]).as_slice()) {
        Some(Reply::Bulk(bytes)) => bytes,
        other => panic!("{other:?} is no string"),
    }
}

#[test]
fn elements_are_counted() {
    expect(
        "
        PFCOUNT k                    => :0
        EXISTS k                     => :0
        PFADD k                      => :1
        PFADD k                      => :0
        GET k                        => HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x7f\\xff
        PFCOUNT k                    => :0
        PFADD k a b                  => :1
        PFADD k b a                  => :0
        GET k                        => HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80q\\xa6\\x84K\\xfb\\x80BZ
        PFDEBUG DECODE k             => Z:12711 v:2,1 Z:3068 v:1,1 Z:603
        PFCOUNT k                    => :2
        PFADD other b c d            => :1
        PFCOUNT k other              => :4
        PFCOUNT k other missing k    => :4
        PFMERGE sum k other          => OK
        PFCOUNT sum                  => :4
        PFMERGE k                    => OK
        PFMERGE new                  => OK
        PFCOUNT new                  => :0
        TYPE k                       => string
        EXPIRE k 100                 => :1
        PFADD k e                    => :1
        PFMERGE k other              => OK
        PFDEBUG TODENSE k            => :1
        PFADD k f                    => :1
        TTL k                        => :100
        PFADD                        => -ERR wrong number of arguments for 'pfadd' command
        PFCOUNT                      => -ERR wrong number of arguments for 'pfcount' command
        ",
    );
}

/// What redis-server 7.0.15 answers for the same numbers.
#[test]
fn estimates_are_those_of_redis() {
    let mut machine = Machine::default();
    let mut counted = 0;
    for (numbers, bytes, estimate) in [
        (1, 21, 1),
        (10, 48, 10),
        (100, 287, 100),
        (1_000, 1_923, 1_001),
        (2_000, 12_304, 2_007),
        (10_000, 12_304, 9_987),
        (100_000, 12_304, 99_565),
        (1_000_000, 12_304, 1_009_972),
    ] {
        add(&mut machine, "k", counted, numbers);
        counted = numbers;
        assert_eq!(machine.run("STRLEN k"), format!(":{bytes}"), "{numbers} numbers");
        assert_eq!(machine.run("PFCOUNT k"), format!(":{estimate}"), "{numbers} numbers");
        assert_eq!(machine.run("PFCOUNT k missing"), format!(":{estimate}"), "{numbers} numbers");
    }
}

#[test]
fn to_count_is_a_read() {
    let mut machine = Machine::default();
    add(&mut machine, "k", 0, 100);
    let (digest, bytes) = (machine.keyspace.digest(), get(&mut machine, "k"));
    assert_eq!(machine.query(0, "PFCOUNT k"), ":100");
    machine.expect("PFCOUNT k => :100\nPFCOUNT k missing => :100");
    assert_eq!((machine.keyspace.digest(), get(&mut machine, "k")), (digest, bytes));
}

#[test]
fn the_cardinality_that_came_with_a_string_is_used_until_it_changes() {
    let mut machine = Machine::default();
    let value = b"HYLL\x01\0\0\0\x2a\0\0\0\0\0\0\0\x7f\xff".to_vec();
    machine.apply(&[b"SET".to_vec(), b"k".to_vec(), value]);
    machine.expect("PFCOUNT k => :42\nPFADD k a => :1\nPFCOUNT k => :1");
}

#[test]
fn representations() {
    let mut machine = Machine::default();
    add(&mut machine, "k", 0, 100);
    machine.expect(
        "
        PFDEBUG ENCODING k           => sparse
        COPY k d                     => :1
        PFDEBUG TODENSE d            => :1
        PFDEBUG TODENSE d            => :0
        PFDEBUG encoding d           => dense
        STRLEN d                     => :12304
        PFCOUNT d                    => :100
        PFDEBUG DECODE d             => -ERR HLL encoding is not sparse
        PFDEBUG nonsense d           => -ERR Unknown PFDEBUG subcommand 'nonsense'
        PFDEBUG GETREG missing       => -ERR The specified key does not exist
        PFDEBUG GETREG               => -ERR wrong number of arguments for 'pfdebug' command
        PFMERGE into k               => OK
        PFDEBUG ENCODING into        => sparse
        PFMERGE into d               => OK
        PFDEBUG ENCODING into        => dense
        PFCOUNT into                 => :100
        ",
    );
    let registers = machine.run("PFDEBUG GETREG d");
    assert_eq!(registers.split(' ').count(), 16_384);
    assert_eq!(machine.run("PFDEBUG GETREG k"), registers);
    machine.expect("PFDEBUG ENCODING k => dense");
    assert!(
        get(&mut machine, "k") == get(&mut machine, "d")
            && get(&mut machine, "d") == get(&mut machine, "into")
    );
}

#[test]
fn a_string_that_is_no_hyperloglog() {
    let mut machine = Machine::default();
    machine.expect("PFADD good a => :1\nRPUSH list x => :1");
    let header = b"HYLL\0\0\0\0\0\0\0\0\0\0\0\x80";
    for value in [
        b"".to_vec(),
        b"foo".to_vec(),
        b"1234567890123456".to_vec(),
        b"HYLL\x01".to_vec(),
        b"HYLL\x02\0\0\0\0\0\0\0\0\0\0\0\x7f\xff".to_vec(),
        [&header[..], &[0; 12_287]].concat(),
        [&header[..], &[0; 12_289]].concat(),
    ] {
        machine.apply(&[b"SET".to_vec(), b"k".to_vec(), value]);
        for command in [
            "PFADD k",
            "PFADD k a",
            "PFCOUNT k",
            "PFCOUNT good k",
            "PFMERGE good k",
            "PFMERGE k good",
            "PFDEBUG GETREG k",
            "PFDEBUG nonsense k",
        ] {
            assert_eq!(machine.run(command), NONE, "{command}");
        }
    }
    machine.expect("PFCOUNT good => :1");
}

#[test]
fn corrupt_registers_are_an_error_and_change_nothing() {
    let mut machine = Machine::default();
    machine.expect("PFADD good a => :1");
    for runs in [
        &b""[..],
        b"\x7f",
        b"\x7f\xfe",
        b"\x7f\xff\x00",
        b"\x80\x7f\xff",
        &[0x3f; 255],
        &[0x3f; 257],
        &[0xff; 100_000],
        &[0; 1 << 20],
    ] {
        put(&mut machine, "k", runs);
        let digest = machine.keyspace.digest();
        for command in [
            "PFADD k a",
            "PFCOUNT k",
            "PFCOUNT good k",
            "PFMERGE good k",
            "PFMERGE k good",
            "PFDEBUG GETREG k",
            "PFDEBUG DECODE k",
            "PFDEBUG TODENSE k",
        ] {
            assert_eq!(machine.run(command), CORRUPT, "{command}");
        }
        machine.expect("PFADD k => :0\nPFDEBUG ENCODING k => sparse");
        assert_eq!(machine.keyspace.digest(), digest);
    }
}

#[test]
fn registers_that_no_element_makes() {
    let mut machine = Machine::default();
    // What Redis answers, too.
    put(&mut machine, "k", &[0xff; 4_096]);
    machine.expect("PFCOUNT k => :50760319129350\nPFADD k a => :0");
    for byte in [0xff, 0xfe, 0xcf, 0x55] {
        let value = [&b"HYLL\0\0\0\0\0\0\0\0\0\0\0\x80"[..], &[byte; 12_288]].concat();
        machine.apply(&[b"SET".to_vec(), b"k".to_vec(), value]);
        assert!(machine.run("PFCOUNT k").starts_with(':'));
        machine.run("DEL to");
        machine.expect("PFADD k a b c => :0\nPFMERGE to k => OK");
        assert_eq!(get(&mut machine, "to"), get(&mut machine, "k"));
    }
}
