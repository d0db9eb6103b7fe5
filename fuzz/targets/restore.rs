//! Payloads of `DUMP`: what `RESTORE` takes, `DUMP` gives again, every command can look at, and an image
//! holds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use onecopy_fuzz::Machine;
use onecopy_resp::Version::Two;

const LOOKS: &[&[&[u8]]] = &[
    &[b"TYPE", b"a"],
    &[b"OBJECT", b"ENCODING", b"a"],
    &[b"GET", b"a"],
    &[b"LRANGE", b"a", b"0", b"-1"],
    &[b"SMEMBERS", b"a"],
    &[b"HGETALL", b"a"],
    &[b"ZRANGE", b"a", b"0", b"-1", b"WITHSCORES"],
    &[b"XRANGE", b"a", b"-", b"+"],
    &[b"XINFO", b"STREAM", b"a", b"FULL"],
    &[b"PFCOUNT", b"a"],
    &[b"COPY", b"a", b"b"],
];

fuzz_target!(|value: &[u8]| {
    let mut payload = value.to_vec();
    onecopy_rdb::seal(&mut payload, onecopy_rdb::RDB_VERSION, &mut |_| {});
    let mut machine = Machine::new(1);
    if machine.apply(Two, &[b"RESTORE", b"a", b"0", &payload]) != b"+OK\r\n" {
        return;
    }
    for look in LOOKS {
        machine.apply(Two, look);
    }
    let dump = machine.apply(Two, &[b"DUMP", b"a"]);
    let begin = dump.iter().position(|byte| *byte == b'\n').expect("a bulk string") + 1;
    let again = machine.apply(Two, &[b"RESTORE", b"c", b"0", &dump[begin..dump.len() - 2]]);
    assert_eq!(again, b"+OK\r\n", "what DUMP gives, RESTORE takes");
    assert_eq!(dump, machine.apply(Two, &[b"DUMP", b"c"]), "and it is the same");
    let mut restored = machine.restored(2);
    assert_eq!(machine.digest(), restored.digest());
    assert_eq!(dump, restored.apply(Two, &[b"DUMP", b"a"]));
});
