use onecopy_core::StateMachine;
use onecopy_resp::Version;

use crate::support::{Machine, expect};

#[test]
fn single_bits() {
    expect(
        "
        SETBIT k 7 1                 => :0
        GET k                        => \\x01
        SETBIT k 7 1                 => :1
        GETBIT k 7                   => :1
        GETBIT k 6                   => :0
        GETBIT k 4294967295          => :0
        GETBIT x 0                   => :0
        EXISTS x                     => :0
        SETBIT k 7 0                 => :1
        GET k                        => \\x00
        SETBIT k 23 0                => :0
        STRLEN k                     => :3
        SETBIT k -1 1                => -ERR bit offset is not an integer or out of range
        SETBIT k x 1                 => -ERR bit offset is not an integer or out of range
        SETBIT k #1 1                => -ERR bit offset is not an integer or out of range
        SETBIT k 4294967296 1        => -ERR bit offset is not an integer or out of range
        GETBIT k 4294967296          => -ERR bit offset is not an integer or out of range
        SETBIT k 1 2                 => -ERR bit is not an integer or out of range
        SETBIT k 1 x                 => -ERR bit is not an integer or out of range
        SET n 10                     => OK
        SETBIT n 6 1                 => :0
        GET n                        => 30
        INCR n                       => :31
        EXPIRE n 100                 => :1
        SETBIT n 100 1               => :0
        TTL n                        => :100
        SETBIT k 1                   => -ERR wrong number of arguments for 'setbit' command
        ",
    );
}

#[test]
fn the_last_bit_of_the_longest_string() {
    let mut machine = Machine::default();
    machine.expect(
        "
        SETBIT k 4294967295 1        => :0
        STRLEN k                     => :536870912
        GETBIT k 4294967295          => :1
        BITCOUNT k                   => :1
        BITPOS k 1                   => :4294967295
        BITFIELD k GET u8 4294967288 GET u8 4294967295 => [:1 :128]
        BITFIELD k SET u8 4294967295 1 => -ERR string exceeds maximum allowed size (proto-max-bulk-len)
        STRLEN k                     => :536870912
        ",
    );
}

#[test]
fn bits_are_counted() {
    expect(
        "
        SET k foobar                 => OK
        BITCOUNT k                   => :26
        BITCOUNT k 0 0               => :4
        BITCOUNT k 1 1 BYTE          => :6
        BITCOUNT k 1 1 byte          => :6
        BITCOUNT k 5 30 BIT          => :17
        BITCOUNT k 0 -1              => :26
        BITCOUNT k -1 -1             => :4
        BITCOUNT k -2 -3             => :0
        BITCOUNT k 3 2               => :0
        BITCOUNT k -100 -200         => :0
        BITCOUNT k -200 -100         => :4
        BITCOUNT k 100 200           => :0
        BITCOUNT k 0 0 BIT           => :0
        BITCOUNT k 1 2 BIT           => :2
        BITCOUNT k -8 -1 BIT         => :4
        BITCOUNT k -9223372036854775808 9223372036854775807 BIT => :26
        BITCOUNT k 0                 => -ERR syntax error
        BITCOUNT k 0 1 BITS          => -ERR syntax error
        BITCOUNT k 0 1 BIT BIT       => -ERR syntax error
        BITCOUNT k x 1               => -ERR value is not an integer or out of range
        BITCOUNT k 0 x BITS          => -ERR value is not an integer or out of range
        BITCOUNT x                   => :0
        BITCOUNT x 0                 => :0
        BITCOUNT x x x               => :0
        SET n 123                    => OK
        BITCOUNT n                   => :10
        SET k ''                     => OK
        BITCOUNT k                   => :0
        BITCOUNT k 0 -1 BIT          => :0
        ",
    );
}

#[test]
fn bits_are_found() {
    expect(
        "
        BITFIELD k SET u24 0 16773120 => [:0]
        GET k                        => \\xff\\xf0\\x00
        BITPOS k 0                   => :12
        BITPOS k 1                   => :0
        BITPOS k 1 2                 => :-1
        BITPOS k 0 0 0               => :-1
        BITPOS k 0 1                 => :12
        BITPOS k 1 1                 => :8
        BITPOS k 1 -2                => :8
        BITPOS k 1 0 -1              => :0
        BITPOS k 1 12 -1 BIT         => :-1
        BITPOS k 1 11 -1 BIT         => :11
        BITPOS k 0 3 11 BIT          => :-1
        BITPOS k 0 3 12 BIT          => :12
        BITPOS k 0 14 14 BIT         => :14
        BITPOS k 0 5 1               => :-1
        BITPOS k 0 9                 => :-1
        BITPOS k 0 -100 -200         => :-1
        BITPOS k 2                   => -ERR The bit argument must be 1 or 0.
        BITPOS k x                   => -ERR value is not an integer or out of range
        BITPOS k 1 x                 => -ERR value is not an integer or out of range
        BITPOS k 1 0 1 x             => -ERR syntax error
        BITPOS k 1 0 1 BIT x         => -ERR syntax error
        BITPOS x 0                   => :0
        BITPOS x 1                   => :-1
        BITPOS x 0 1 2 3 4           => :0
        SET e ''                     => OK
        BITPOS e 0                   => :-1
        BITPOS e 0 0                 => :-1
        BITPOS e 1                   => :-1
        BITFIELD f SET i64 0 -1      => [:0]
        BITPOS f 0                   => :64
        BITPOS f 0 7                 => :64
        BITPOS f 0 0 -1              => :-1
        BITPOS f 0 0 -1 BIT          => :-1
        ",
    );
}

#[test]
fn bits_are_found_far_from_both_ends() {
    // At every place within a word.
    for bit in (0..20).map(|place| 8 * 3_000 + 7 * place) {
        expect(&format!(
            "
            SETBIT k 80000 0             => :0
            SETBIT k {bit} 1             => :0
            BITPOS k 1                   => :{bit}
            BITPOS k 1 {bit} {bit} BIT   => :{bit}
            BITCOUNT k 3 80000 BIT       => :1
            BITOP NOT k k                => :10001
            BITPOS k 0                   => :{bit}
            "
        ));
    }
}

#[test]
fn strings_are_combined() {
    expect(
        "
        SET a abc                    => OK
        SET b abcdef                 => OK
        SET n 123                    => OK
        BITOP AND d a b              => :6
        GET d                        => abc\\x00\\x00\\x00
        BITOP OR d a b n             => :6
        GET d                        => qrsdef
        BITOP XOR d a b              => :6
        GET d                        => \\x00\\x00\\x00def
        BITOP XOR d d d d            => :6
        GET d                        => \\x00\\x00\\x00def
        BITOP NOT d a                => :3
        GET d                        => \\x9e\\x9d\\x9c
        BITOP not d d                => :3
        GET d                        => abc
        BITOP AND d a missing b      => :6
        GET d                        => \\x00\\x00\\x00\\x00\\x00\\x00
        BITOP OR d missing a         => :3
        GET d                        => abc
        BITOP OR d n                 => :3
        GET d                        => 123
        INCR d                       => :124
        EXPIRE d 100                 => :1
        BITOP OR d a                 => :3
        TTL d                        => :-1
        BITOP AND d missing          => :0
        EXISTS d                     => :0
        SET e ''                     => OK
        BITOP NOT e e                => :0
        EXISTS e                     => :0
        RPUSH l x                    => :1
        BITOP OR l a                 => :3
        GET l                        => abc
        BITOP NOT d a b              => -ERR BITOP NOT must be called with a single source key.
        BITOP NAND d a b             => -ERR syntax error
        BITOP AND d                  => -ERR wrong number of arguments for 'bitop' command
        ",
    );
}

#[test]
fn fields() {
    expect(
        "
        BITFIELD k                   => []
        BITFIELD k GET u8 0          => [:0]
        EXISTS k                     => :0
        BITFIELD k SET u8 0 255 GET u8 0 GET i8 0 GET u4 2 => [:0 :255 :-1 :15]
        BITFIELD k INCRBY u8 0 10    => [:9]
        BITFIELD k OVERFLOW SAT INCRBY u8 0 250 INCRBY u8 0 -300 => [:255 :0]
        BITFIELD k OVERFLOW FAIL INCRBY u8 0 -1 INCRBY u8 0 1 => [nil :1]
        BITFIELD k OVERFLOW fail SET u8 0 256 SET u8 0 255 => [nil :1]
        BITFIELD k SET i8 #1 127 INCRBY i8 #1 1 => [:0 :-128]
        BITFIELD k OVERFLOW SAT INCRBY i8 #1 -1 OVERFLOW WRAP INCRBY i8 #1 -1 => [:-128 :127]
        BITFIELD k SET u5 7 23       => [:23]
        GET k                        => \\xff\\x7f
        BITFIELD w SET i64 3 -9223372036854775808 GET i64 3 INCRBY i64 3 -1 => [:0 :-9223372036854775808 :9223372036854775807]
        STRLEN w                     => :9
        BITFIELD w SET u63 1 -1 GET u63 1 INCRBY u63 1 1 => [:1152921504606846975 :9223372036854775807 :0]
        BITFIELD w OVERFLOW SAT SET u3 0 -1 SET i3 0 -100 GET i3 0 => [:0 :-1 :-4]
        BITFIELD low OVERFLOW SAT SET i8 0 -9223372036854775808 GET i8 0 => [:0 :-128]
        BITFIELD s OVERFLOW FAIL SET u1 100 2 => [nil]
        STRLEN s                     => :13
        SET n 10                     => OK
        EXPIRE n 100                 => :1
        BITFIELD n INCRBY u8 #0 1    => [:50]
        GET n                        => 20
        TTL n                        => :100
        BITFIELD_RO n GET u8 0 GET u16 0 GET u8 100 => [:50 :12848 :0]
        BITFIELD_RO x                => []
        BITFIELD_RO x GET i64 0      => [:0]
        BITFIELD_RO n SET u8 0 1     => -ERR BITFIELD_RO only supports the GET subcommand
        BITFIELD_RO n OVERFLOW SAT   => []
        ",
    );
    let mut machine = Machine { version: Version::Three, ..Machine::default() };
    machine.expect("BITFIELD k OVERFLOW FAIL SET u1 0 2 => [nil]");
}

#[test]
fn fields_that_make_no_sense() {
    let kind =
        "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.";
    let mut machine = Machine::default();
    for word in ["u64", "i65", "u0", "i0", "u", "i", "8", "U8", "u-1", "u08", "''", "i9223372036854775808"] {
        assert_eq!(machine.run(&format!("BITFIELD k GET {word} 0")), kind, "{word}");
    }
    for offset in ["-1", "x", "#-1", "#x", "#", "4294967296", "#536870912", "#4611686018427387904"] {
        let reply = machine.run(&format!("BITFIELD k SET u8 {offset} 0"));
        assert_eq!(reply, "-ERR bit offset is not an integer or out of range", "{offset}");
    }
    machine.expect(
        "
        BITFIELD k GET u8            => -ERR syntax error
        BITFIELD k SET u8 0          => -ERR syntax error
        BITFIELD k INCRBY u8 0       => -ERR syntax error
        BITFIELD k OVERFLOW          => -ERR syntax error
        BITFIELD k OVERFLOW x        => -ERR Invalid OVERFLOW type specified
        BITFIELD k SET u8 0 x        => -ERR value is not an integer or out of range
        BITFIELD k SET u8 0 1 PUT    => -ERR syntax error
        EXISTS k                     => :0
        ",
    );
}

#[test]
fn a_bit_that_is_right_already_changes_nothing() {
    let mut machine = Machine::default();
    machine.expect("SETBIT k 100 1 => :0");
    let digest = machine.keyspace.digest();
    machine.expect("SETBIT k 100 1 => :1\nSETBIT k 3 0 => :0");
    assert_eq!(machine.keyspace.digest(), digest);
}
