use onecopy_core::StateMachine;

use onecopy_resp::Version;

use crate::support::maker::Maker;
use crate::support::{Machine, expect, words};

#[test]
fn a_token_is_executed_once_and_answered_as_often_as_it_comes() {
    expect(
        "
        ONCE t1 INCR n                  => :1
        ONCE t1 INCR n                  => :1
        ONCE t2 INCR n                  => :2
        once t1 incr n                  => :1
        GET n                           => 2
        ONCE t3 RPUSH l a b c           => :3
        ONCE t4 LPOP l 2                => [a b]
        ONCE t4 LPOP l 2                => [a b]
        LLEN l                          => :1
        FLUSHALL                        => OK
        ONCE t1 INCR n                  => :1
        EXISTS n                        => :0
        ONCE t5 FLUSHALL                => OK
        ONCE t5 FLUSHALL                => OK
        ",
    );
}

#[test]
fn a_token_belongs_to_one_command_in_one_database() {
    let mut machine = Machine::default();
    machine.expect(
        "
        ONCE t INCRBY n 5               => :5
        ONCE t INCRBY n 6               => -ERR the token was used before, for another command
        ONCE t DECRBY n 5               => -ERR the token was used before, for another command
        GET n                           => 5
        ",
    );
    machine.db = 1;
    machine.expect("ONCE t INCRBY n 5 => -ERR the token was used before, for another command");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let long = "x".repeat(65);
    let mut machine = Machine::default();
    assert_eq!(machine.run(&format!("ONCE {long} INCR n")), "-ERR a token has 1 to 64 bytes");
    assert_eq!(machine.run(&format!("ONCE {} INCR n", &long[1..])), ":1");
    machine.expect(
        "
        ONCE                            => -ERR wrong number of arguments for 'once' command
        ONCE t                          => -ERR wrong number of arguments for 'once' command
        ONCE '' INCR n                  => -ERR a token has 1 to 64 bytes
        ONCE t INCR                     => -ERR wrong number of arguments for 'incr' command
        ONCE t ONCE t INCR n            => -ERR ONCE calls can not be nested
        ONCE t GET n                    => -ERR ONCE executes commands that change data, and 'GET' is not one of them
        ONCE t TIME                     => -ERR ONCE executes commands that change data, and 'TIME' is not one of them
        ONCE t PING                     => -ERR ONCE executes commands that change data, and 'PING' is not one of them
        ONCE t x                        => -ERR ONCE executes commands that change data, and 'x' is not one of them
        ONCE t INCR n                   => :2
        ",
    );
    assert_eq!(
        machine.query(0, "ONCE t INCR n"),
        "-ERR the command 'once' changes or settles state and cannot be executed as a read"
    );
}

#[test]
fn an_error_is_an_answer_and_a_refusal_is_none() {
    let mut machine = Machine::default();
    let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    machine.expect("SET k x => OK");
    assert_eq!(machine.run("ONCE t1 LPUSH k a"), wrong_type);
    machine.expect("DEL k => :1");
    assert_eq!(machine.run("ONCE t1 LPUSH k a"), wrong_type);
    machine.context.memory_max = 1;
    machine.expect("ONCE t2 SET k v => -OOM command not allowed when used memory > 'maxmemory'.");
    machine.expect("ONCE t3 DEL k   => :0");
    machine.context.memory_max = 0;
    machine.expect("ONCE t2 SET k v => OK");
}

#[test]
fn tokens_count_as_memory_and_never_keep_anybody_from_making_room() {
    let mut machine = Machine::default();
    machine.context.memory_max = 1_000_000;
    let value = "x".repeat(1_000);
    let mut refused = 0;
    for number in 0..2_000 {
        refused +=
            usize::from(machine.run(&format!("ONCE s{number} SET k{number} {value}")).starts_with("-OOM"));
    }
    assert!(refused > 900, "tokens count: {refused}");
    for number in 0..2_000 {
        machine.run(&format!("ONCE d{number} DEL k{number}"));
    }
    assert!(machine.keyspace.memory() <= 250_000, "tokens take a quarter at most");
    machine.expect("ONCE last SET k v => OK");
}

#[test]
fn a_token_is_forgotten_after_ten_minutes() {
    let mut machine = Machine::default();
    machine.expect("ONCE t INCR n => :1");
    machine.sleep(599_999);
    machine.expect("ONCE t INCR n => :1");
    machine.sleep(1);
    machine.expect("ONCE t INCR n => :2");
}

#[test]
fn a_long_answer_is_given_once() {
    let mut machine = Machine::default();
    machine.apply(&[b"SET".to_vec(), b"k".to_vec(), vec![b'x'; 2 << 20]]);
    assert_eq!(machine.run("ONCE t GETDEL k").len(), 2 << 20);
    machine.expect("ONCE t GETDEL k => -ERR executed before, but its reply was too large to be kept");
    machine.expect("EXISTS k => :0");
}

/// Whatever is asked under a token, in whichever protocol, and by whomever it is asked again in another one:
/// the answer is what the command would have been answered without the token.
#[test]
fn every_repetition_is_in_the_protocol_that_it_is_asked_in() {
    let mut maker = Maker::new(11);
    let mut plain = [Version::Two, Version::Three].map(|version| Machine { version, ..Machine::default() });
    let mut tokens = Machine::default();
    let mut repeated = 0;
    for step in 0..20_000 {
        let line = maker.any();
        // The same random numbers.
        tokens.context = plain[0].context;
        let [two, three] = plain.each_mut().map(|machine| machine.apply(&words(&line)));
        let once = words(&format!("ONCE token-{step} {line}"));
        let mut asked = Vec::new();
        for version in [[Version::Two, Version::Three], [Version::Three, Version::Two]][step % 2] {
            tokens.version = version;
            asked.push((version, tokens.apply(&once)));
        }
        if asked[0].1.starts_with(b"-ERR ONCE executes") || asked[0].1.starts_with(b"-ERR wrong number") {
            continue;
        }
        repeated += 1;
        for (version, answer) in asked {
            let expected = if version == Version::Two { &two } else { &three };
            assert_eq!(answer.escape_ascii().to_string(), expected.escape_ascii().to_string(), "{line}");
        }
    }
    assert!(repeated > 5_000, "{repeated}");
}
