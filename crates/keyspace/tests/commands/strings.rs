use onecopy_core::StateMachine;

use crate::support::{Machine, expect};

#[test]
fn set_and_its_options() {
    expect(
        "
        GET k                        => nil
        SET k v                      => OK
        GET k                        => v
        SET k w NX                   => nil
        SET n w XX                   => nil
        SET k w XX GET               => v
        SET k x NX GET               => w
        SET n x NX GET               => nil
        GET n                        => x
        SET k v NX XX                => -ERR syntax error
        SET k v EX 1 PX 1            => -ERR syntax error
        SET k v EX 1 KEEPTTL         => -ERR syntax error
        SET k v EX                   => -ERR syntax error
        SET k v EX x                 => -ERR value is not an integer or out of range
        SET k v EX 0                 => -ERR invalid expire time in 'set' command
        SET k v PX 9223372036854775807 => -ERR invalid expire time in 'set' command
        SET k v EX 9223372036854775  => -ERR invalid expire time in 'set' command
        SET k v EX 100               => OK
        TTL k                        => :100
        SET k v KEEPTTL              => OK
        TTL k                        => :100
        SET k v                      => OK
        TTL k                        => :-1
        SET k v PXAT 1000            => OK
        EXISTS k                     => :0
        SET                          => -ERR wrong number of arguments for 'set' command
        SETEX k 10 v                 => OK
        PTTL k                       => :10000
        SETEX k 0 v                  => -ERR invalid expire time in 'setex' command
        PSETEX k 10 v                => OK
        PTTL k                       => :10
        GETEX k PERSIST              => v
        TTL k                        => :-1
        GETEX k EX 5                 => v
        TTL k                        => :5
        GETEX k EXAT 1               => v
        GETEX k                      => nil
        SETNX k a                    => :1
        SETNX k b                    => :0
        GETSET k c                   => a
        GETDEL k                     => c
        GETDEL k                     => nil
        nonsense a b                 => -ERR unknown command 'nonsense', with args beginning with: 'a' 'b'
        ",
    );
}

#[test]
fn several_at_once() {
    expect(
        "
        MSET a 1 b 2                 => OK
        MSET a 1 b                   => -ERR wrong number of arguments for 'mset' command
        MGET a x b                   => [1 nil 2]
        MSETNX b 3 c 4               => :0
        MSETNX c 4 d 5               => :1
        MGET a b c d                 => [1 2 4 5]
        ",
    );
}

#[test]
fn parts_of_strings() {
    expect(
        "
        APPEND k hello               => :5
        APPEND k 1                   => :6
        STRLEN k                     => :6
        STRLEN x                     => :0
        GETRANGE k 0 -1              => hello1
        GETRANGE k 1 2               => el
        GETRANGE k -3 -2             => lo
        GETRANGE k -2 -3             => ''
        GETRANGE k 5 1               => ''
        GETRANGE k 0 -100            => h
        SUBSTR k 0 0                 => h
        GETRANGE x 0 -1              => ''
        SETRANGE k 1 a               => :6
        GET k                        => hallo1
        SETRANGE x 2 ab              => :4
        GET x                        => \\x00\\x00ab
        SETRANGE y 5 ''              => :0
        EXISTS y                     => :0
        SETRANGE k -1 a              => -ERR offset is out of range
        SETRANGE k 536870912 a       => -ERR string exceeds maximum allowed size (proto-max-bulk-len)
        SETRANGE k 9223372036854775807 a => -ERR string exceeds maximum allowed size (proto-max-bulk-len)
        ",
    );
}

#[test]
fn counters() {
    expect(
        "
        INCR n                       => :1
        INCRBY n 41                  => :42
        DECR n                       => :41
        DECRBY n 1                   => :40
        GET n                        => 40
        OBJECT ENCODING n            => int
        SET n 9223372036854775807    => OK
        INCR n                       => -ERR increment or decrement would overflow
        DECRBY n -9223372036854775808 => -ERR decrement would overflow
        SET n x                      => OK
        INCR n                       => -ERR value is not an integer or out of range
        SET n ''                     => OK
        INCR n                       => -ERR value is not an integer or out of range
        INCRBYFLOAT f 10.5           => 10.5
        INCRBYFLOAT f 0.1            => 10.6
        INCRBYFLOAT f -10.6          => 0
        INCRBYFLOAT f 5.0e3          => 5000
        INCRBYFLOAT f x              => -ERR value is not a valid float
        INCRBYFLOAT f inf            => -ERR increment would produce NaN or Infinity
        INCR f                       => :5001
        ",
    );
}

#[test]
fn a_full_memory_refuses_what_grows() {
    let mut machine = Machine::default();
    machine.run("SET k v");
    machine.context.memory_max = machine.keyspace.memory();
    machine.expect(
        "
        SET k w                      => -OOM command not allowed when used memory > 'maxmemory'.
        GET k                        => v
        DEL k                        => :1
        SET k w                      => OK
        ",
    );
    machine.context.memory_beside = machine.context.memory_max;
    assert_eq!(machine.run("SET k v"), "-OOM command not allowed when used memory > 'maxmemory'.");
}

/// Fourteen strings of 100 MiB in one request once took 1.4 GB of 100 MB.
#[test]
fn memory_is_settled_as_each_command_executes() {
    let mut machine = Machine::default();
    machine.context.memory_max = 100_000;
    let lines = (0..14).map(|key| format!("SETRANGE k{key} 99999 x")).collect::<Vec<_>>();
    let reply = machine.run_together(&lines);
    assert_eq!(reply[0], ":100000");
    let refused = "-OOM command not allowed when used memory > 'maxmemory'.";
    assert!(reply[1..].iter().all(|reply| reply == refused), "{reply:?}");
    assert_eq!(
        machine.run_together(&["DEL k0".to_owned(), "SET k1 v".to_owned()]),
        [":1", "OK"],
        "room was made"
    );
}
