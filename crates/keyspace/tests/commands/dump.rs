use onecopy_core::StateMachine;
use onecopy_rdb::{RDB_VERSION, open, seal};

use crate::support::maker::Maker;
use crate::support::{Machine, Reply, words};

/// What a command answers.
fn run(machine: &mut Machine, args: &[Vec<u8>]) -> Reply {
    Reply::parse(&mut machine.apply(args).as_slice()).expect("a reply")
}

fn dump(machine: &mut Machine, key: &str) -> Vec<u8> {
    match run(machine, &words(&format!("DUMP {key}"))) {
        Reply::Bulk(payload) => payload,
        other => panic!("{} is no payload", other.text()),
    }
}

/// `RESTORE` with these words around the payload.
fn restore(machine: &mut Machine, line: &str, payload: &[u8]) -> String {
    let mut args = words(line);
    let place = args.iter().position(|arg| arg == b"@").expect("a place for the payload");
    args[place] = payload.to_vec();
    run(machine, &args).text()
}

#[test]
fn options_and_errors() {
    let mut machine = Machine::default();
    machine.expect(
        "
        SET s 10                     => OK
        DUMP x                       => nil
        DUMP                         => -ERR wrong number of arguments for 'dump' command
        RESTORE t 0                  => -ERR wrong number of arguments for 'restore' command
        RESTORE t 0 payload          => -ERR DUMP payload version or checksum are wrong
        RESTORE s 0 payload          => -BUSYKEY Target key name already exists.
        RESTORE t -1 payload         => -ERR Invalid TTL value, must be >= 0
        RESTORE t x payload          => -ERR value is not an integer or out of range
        RESTORE t 0 payload KEEPTTL  => -ERR syntax error
        RESTORE t 0 payload FREQ 256 => -ERR Invalid FREQ value, must be >= 0 and <= 255
        ",
    );
    let payload = dump(&mut machine, "s");
    assert_eq!(payload[..5], [0, 0xc0, 10, RDB_VERSION as u8, 0]);
    assert_eq!(restore(&mut machine, "RESTORE t 5000 @ IDLETIME 3", &payload), "OK");
    machine.expect("PTTL t => :5000");
    assert_eq!(restore(&mut machine, "RESTORE t 0 @ REPLACE FREQ 3", &payload), "OK");
    machine.expect("PTTL t => :-1");
    assert_eq!(restore(&mut machine, "RESTORE t 1000007 @ REPLACE ABSTTL", &payload), "OK");
    machine.expect("PTTL t => :7");
    // What has expired already replaces what is there, by nothing.
    assert_eq!(restore(&mut machine, "RESTORE t 1 @ REPLACE ABSTTL", &payload), "OK");
    machine.expect("EXISTS t => :0");
}

/// A machine with a value of each type, small and large.
fn with_values() -> (Machine, Vec<String>) {
    let (mut machine, mut keys) = (Machine::default(), Vec::new());
    for count in [1, 5, 200] {
        let numbers = |prefix: &str| (0..count).map(|at| format!(" {prefix}{at}")).collect::<String>();
        let twice = |prefix: &str| (0..count).map(|at| format!(" {at} {prefix}{at}")).collect::<String>();
        machine.run(&format!("SET text{count} {}", "ab".repeat(count)));
        machine.run(&format!("RPUSH list{count}{}", numbers("x")));
        machine.run(&format!("SADD set{count}{}", numbers("")));
        machine.run(&format!("HSET hash{count}{}", twice("v")));
        machine.run(&format!("ZADD zset{count}{}", twice("m")));
        for at in 0..count {
            machine.run(&format!("XADD stream{count} {}-{} f{} {at} g text", at / 3 + 1, at % 3, at % 2));
        }
        machine.run(&format!("XGROUP CREATE stream{count} g 0"));
        machine.run(&format!("XREADGROUP GROUP g one COUNT {count} STREAMS stream{count} >"));
        machine.run(&format!("XGROUP CREATECONSUMER stream{count} g two"));
        keys.extend(["text", "list", "set", "hash", "zset", "stream"].map(|kind| format!("{kind}{count}")));
    }
    (machine, keys)
}

#[test]
fn every_value_comes_back_the_same() {
    let (mut machine, keys) = with_values();
    for key in keys {
        let payload = dump(&mut machine, &key);
        assert_eq!(restore(&mut machine, "RESTORE copy 0 @ REPLACE", &payload), "OK", "{key}");
        assert!(dump(&mut machine, "copy") == payload, "{key}");
    }
}

/// Payloads in which something was changed and that are whole again: nothing is believed, and what is taken
/// can be written, read and copied like everything else.
#[test]
fn payloads_that_lie_are_refused_or_harmless() {
    let (mut machine, keys) = with_values();
    let (mut maker, mut taken) = (Maker::new(7), 0);
    for round in 0..4_000 {
        let key = &keys[maker.below(keys.len())];
        let payload = dump(&mut machine, key);
        let mut value = open(&payload, &mut |_| {}).expect("it is whole").to_vec();
        for _ in 0..=maker.below(3) {
            let at = maker.below(value.len());
            match maker.below(4) {
                0 => value.truncate(at + 1),
                1 => value[at] = [0, 1, 0x7f, 0x80, 0x81, 0xc3, 0xfe, 0xff][maker.below(8)],
                2 => value.insert(at, maker.below(256) as u8),
                _ => value[at] ^= 1 << maker.below(8),
            }
        }
        seal(&mut value, RDB_VERSION, &mut |_| {});
        match restore(&mut machine, "RESTORE copy 0 @ REPLACE", &value).as_str() {
            "OK" => taken += 1,
            error => {
                assert_eq!(error, "-ERR Bad data format", "round {round}: {key}");
                continue;
            }
        }
        let again = dump(&mut machine, "copy");
        assert_eq!(restore(&mut machine, "RESTORE again 0 @ REPLACE", &again), "OK", "round {round}: {key}");
        assert!(dump(&mut machine, "again") == again, "round {round}: {key}");
        machine.run("XINFO STREAM copy FULL");
    }
    assert!(taken > 100, "{taken} were taken");
    let image = machine.image();
    let mut restored = Machine::default();
    for piece in image.chunks(1 << 16) {
        restored.keyspace.restore(piece).expect("an image of them makes sense");
    }
    restored.keyspace.restore_finish().expect("and is whole");
    assert!(restored.image() == image);
}
