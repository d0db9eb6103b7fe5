use onecopy_core::Encodings;

use crate::support::{Machine, expect};

#[test]
fn whatever_they_hold() {
    expect(
        "
        MSET a 1 b 2 c 3             => OK
        EXISTS a a x                 => :2
        TOUCH a x                    => :1
        TYPE a                       => string
        TYPE x                       => none
        DEL a x                      => :1
        UNLINK b                     => :1
        DBSIZE                       => :1
        RENAME x y                   => -ERR no such key
        RENAME c d                   => OK
        RENAME d d                   => OK
        SET e 5 EX 10                => OK
        RENAMENX d e                 => :0
        RENAME e d                   => OK
        TTL d                        => :10
        RENAMENX d f                 => :1
        COPY f f                     => -ERR source and destination objects are the same
        COPY f g                     => :1
        COPY f g                     => :0
        COPY f g REPLACE             => :1
        COPY f f DB 1                => :1
        COPY f f DB 16               => -ERR DB index is out of range
        TTL g                        => :10
        MOVE g 1                     => :1
        MOVE g 1                     => :0
        MOVE f 0                     => -ERR source and destination objects are the same
        SWAPDB 0 1                   => OK
        KEYS f*                      => [f]
        SWAPDB a 1                   => -ERR invalid first DB index
        SWAPDB 0 16                  => -ERR DB index is out of range
        TIME                         => [1000 0]
        OBJECT ENCODING f            => int
        OBJECT REFCOUNT f            => :1
        OBJECT IDLETIME f            => -ERR idle time is only tracked while a maxmemory policy other than noeviction is selected
        OBJECT ENCODING x            => nil
        OBJECT ENCODING              => -ERR wrong number of arguments for 'object|encoding' command
        OBJECT x                     => -ERR unknown subcommand 'x'. Try OBJECT HELP.
        MEMORY USAGE f               => :41
        MEMORY USAGE x               => nil
        FLUSHDB x                    => -ERR syntax error
        FLUSHALL ASYNC               => OK
        DBSIZE                       => :0
        RANDOMKEY                    => nil
        ",
    );
}

#[test]
fn expiry() {
    let mut machine = Machine::default();
    machine.expect(
        "
        EXPIRE k 10                  => :0
        SET k v                      => OK
        TTL k                        => :-1
        TTL x                        => :-2
        EXPIRE k 10 XX               => :0
        EXPIRE k 10 GT               => :0
        EXPIRE k 10 NX               => :1
        EXPIRE k 5 GT                => :0
        EXPIRE k 20 LT               => :0
        EXPIRE k 20 GT               => :1
        PEXPIRE k 1500 LT            => :1
        TTL k                        => :2
        EXPIRETIME k                 => :1002
        PEXPIRETIME k                => :1001500
        EXPIRE k 1 NX XX             => -ERR NX and XX, GT or LT options at the same time are not compatible
        EXPIRE k 1 GT LT             => -ERR GT and LT options at the same time are not compatible
        EXPIRE k 1 YY                => -ERR Unsupported option YY
        EXPIRE k 9223372036854775807 => -ERR invalid expire time in 'expire' command
        ",
    );
    machine.sleep(1499);
    machine.expect("PTTL k => :1");
    assert_eq!(machine.query(1_001_499, "PTTL k"), ":1");
    // Time alone does not make a key absent: only an entry does.
    assert_eq!(machine.query(9_000_000, "PTTL k"), ":0");
    assert_eq!(machine.query(9_000_000, "GET k"), "v");
    machine.sleep(1);
    machine.expect(
        "
        GET k                        => nil
        SET k v                      => OK
        EXPIRE k -1                  => :1
        EXISTS k                     => :0
        SET k v EX 1                 => OK
        PERSIST k                    => :1
        PERSIST k                    => :0
        EXPIREAT k 2000              => :1
        PEXPIREAT k 1                => :1
        EXISTS k                     => :0
        ",
    );
}

#[test]
fn what_is_due_is_absent_before_it_is_removed() {
    use onecopy_core::{StateMachine, Timestamp};
    let mut machine = Machine::default();
    for key in 0..3500 {
        machine.run(&format!("SET k{key} v PX 10"));
    }
    machine.run("SET other v");
    assert_eq!(machine.keyspace.due(), Some(Timestamp(1_000_010)));
    machine.sleep(10);
    assert_eq!(machine.query(0, "DBSIZE"), ":1");
    assert_eq!(machine.query(0, "KEYS k*"), "[]");
    assert_eq!(machine.keyspace.due(), None, "reads would see nothing new");
    let left = |machine: &Machine| machine.keyspace.memory() / 36;
    assert!(machine.keyspace.has_leftovers() && left(&machine) > 1500, "ten milliseconds' worth is gone");
    machine.expect("RANDOMKEY => other");
    let before = left(&machine);
    machine.sleep(0);
    assert!(left(&machine) >= before - 8, "entries that follow each other at once remove little");
    machine.sleep(60_000);
    assert!(machine.keyspace.has_leftovers(), "and an entry after a long rest not everything");
    machine.sleep(1_000);
    machine.sleep(1_000);
    assert!(!machine.keyspace.has_leftovers());
    machine.expect("DEL other => :1");
    assert_eq!(machine.keyspace.memory(), 0);
}

#[test]
fn a_read_changes_nothing() {
    let machine = Machine::default();
    let refused = "-ERR the command 'set' changes or settles state and cannot be executed as a read";
    assert_eq!(machine.query(0, "SET k v"), refused);
    assert_eq!(machine.query(0, "GET k"), "nil");
    assert_eq!(machine.query(0, "EXISTS"), "-ERR wrong number of arguments for 'exists' command");
}

#[test]
fn a_scan_returns_what_stays() {
    let mut machine = Machine::default();
    for key in 0..1000 {
        machine.run(&format!("SET stays:{key} v"));
        machine.run(&format!("SET goes:{key} v"));
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut cursor = "0".to_string();
    let mut step = 0;
    loop {
        let reply = machine.run(&format!("SCAN {cursor} MATCH stays:* COUNT 7"));
        let (next, found) = reply[1..reply.len() - 2].split_once(" [").expect("two parts");
        seen.extend(found.split_whitespace().map(str::to_string));
        machine.run(&format!("DEL goes:{} goes:{}", step, 999 - step));
        machine.run(&format!("SET new:{step} v"));
        step += 1;
        cursor = next.to_string();
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(seen.len(), 1000);
    machine.expect(
        "
        SCAN x                       => -ERR invalid cursor
        SCAN 0 COUNT 0               => -ERR syntax error
        SCAN 0 COUNT x               => -ERR value is not an integer or out of range
        SCAN 0 MATCH                 => -ERR syntax error
        SCAN 0 COUNT 1000000 MATCH stays:7 => [0 [stays:7]]
        SCAN 0 COUNT 1000000 TYPE list => [0 []]
        SCAN 18446744073709551615    => [0 []]
        ",
    );
}

#[test]
fn the_limits_of_encodings_are_said_by_entries() {
    let mut machine = Machine::default();
    for line in
        ["RPUSH l a b c d", "HSET h f1 v f2 longer", "SADD t 1 2 3", "SADD w one two", "ZADD z 1 a 2 bb"]
    {
        machine.run(line);
    }
    let encodings = |machine: &mut Machine| {
        let keys = ["l", "h", "t", "w", "z"];
        keys.map(|key| machine.run(&format!("OBJECT ENCODING {key}"))).join(" ")
    };
    assert_eq!(encodings(&mut machine), "listpack listpack intset listpack listpack");
    let usual = machine.context.encodings;
    for (limits, expected) in [
        (Encodings { list_size: 3, ..usual }, "quicklist listpack intset listpack listpack"),
        (Encodings { list_size: 4, hash_value: 5, ..usual }, "listpack hashtable intset listpack listpack"),
        (Encodings { hash_entries: 1, ..usual }, "listpack hashtable intset listpack listpack"),
        (Encodings { intset_entries: 2, ..usual }, "listpack listpack listpack listpack listpack"),
        (Encodings { set_value: 2, ..usual }, "listpack listpack intset hashtable listpack"),
        (
            Encodings { intset_entries: 0, set_entries: 0, ..usual },
            "listpack listpack hashtable hashtable listpack",
        ),
        (Encodings { zset_value: 1, ..usual }, "listpack listpack intset listpack skiplist"),
        (Encodings { zset_entries: 1, ..usual }, "listpack listpack intset listpack skiplist"),
    ] {
        machine.context.encodings = limits;
        assert_eq!(encodings(&mut machine), expected, "{limits:?}");
        let script = "EVAL return(redis.call('OBJECT','ENCODING','h')) 0";
        assert_eq!(machine.run(script), expected.split(' ').nth(1).unwrap_or_default());
    }
}
