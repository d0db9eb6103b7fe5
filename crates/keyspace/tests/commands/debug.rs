use crate::support::Machine;

/// One value of each type, and of each form that it has.
const VALUES: &str = "
    SET s text                            => OK
    SET n 12345                           => OK
    SETRANGE large 70000 x                => :70001
    RPUSH l a b 1                         => :3
    SADD numbers 1 2 3                    => :3
    SADD words a b 1                      => :3
    HSET h f v g 2                        => :2
    ZADD z 1.5 a -inf b                   => :2
    XADD x 5-1 f v                        => 5-1
    XADD x 6-1 f w                        => 6-1
    XGROUP CREATE x g 0                   => OK
    PEXPIREAT n 99999999999999            => :1
    ";

#[test]
fn equal_values_have_equal_digests() {
    let mut machine = Machine::default();
    machine.expect("DEBUG DIGEST  => 0000000000000000000000000000000000000000");
    machine.expect(VALUES);
    for key in ["s", "n", "large", "l", "numbers", "words", "h", "z", "x"] {
        machine.expect(&format!("COPY {key} other REPLACE  => :1"));
        let [digest, other, missing] =
            digests(&mut machine, &format!("DEBUG DIGEST-VALUE {key} other missing"));
        assert_eq!(digest, other, "{key}");
        assert_eq!(missing.trim_start_matches('0'), "");
        assert_ne!(digest, missing);
    }
    let [before] = digests(&mut machine, "DEBUG DIGEST");
    machine.expect("APPEND s !  => :5");
    let [after] = digests(&mut machine, "DEBUG DIGEST");
    assert_ne!(before, after);
    machine.expect("SET s text  => OK");
    assert_eq!(digests(&mut machine, "DEBUG DIGEST"), [before]);
}

#[test]
fn all_values_survive_a_round_trip() {
    let mut machine = Machine::default();
    machine.expect(VALUES);
    machine.expect(
        "
        DEBUG RELOAD                   => OK
        DEBUG RELOAD MERGE NOFLUSH     => OK
        DEBUG LOADAOF                  => OK
        DEBUG RELOAD x                 => -ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.
        DEBUG SEGFAULT                 => -ERR unknown subcommand 'SEGFAULT'. Try DEBUG HELP.
        TTL n                          => :99999999000
        ",
    );
}

fn digests<const N: usize>(machine: &mut Machine, command: &str) -> [String; N] {
    let reply = machine.run(command);
    let digests = reply.trim_matches(['[', ']']).split(' ').map(str::to_owned);
    digests.collect::<Vec<_>>().try_into().expect("as many digests as keys")
}
