use crate::support::expect;

#[test]
fn numbers_and_texts() {
    expect(
        "
        RPUSH l 3 1 10 2             => :4
        SORT l                       => [1 2 3 10]
        SORT l DESC                  => [10 3 2 1]
        SORT l ALPHA                 => [1 10 2 3]
        SORT l LIMIT 1 2             => [2 3]
        SORT l LIMIT -5 2            => [1 2]
        SORT l LIMIT 1 -1            => [2 3 10]
        SORT l LIMIT 9 2             => []
        SORT l LIMIT 0 0             => []
        SORT_RO l DESC LIMIT 0 1     => [10]
        SORT missing                 => []
        SORT l BY nosort             => [3 1 10 2]
        SORT l BY nosort DESC LIMIT 1 2 => [10 1]
        SADD s b a                   => :2
        SORT s                       => -ERR One or more scores can't be converted into double
        SORT s ALPHA                 => [a b]
        ZADD z 1 b 2 a 3 c           => :3
        SORT z ALPHA                 => [a b c]
        SORT z BY nosort             => [b a c]
        SORT z BY nosort DESC LIMIT 0 2 => [c a]
        SORT l LIMIT 1               => -ERR syntax error
        SORT l LIMIT x 1             => -ERR value is not an integer or out of range
        SORT l BY                    => -ERR syntax error
        SORT_RO l STORE d            => -ERR syntax error
        ",
    );
}

#[test]
fn weights_and_what_is_got() {
    expect(
        "
        RPUSH l a b c                => :3
        MSET w_a 3 w_b 1 w_c 2       => OK
        HSET h_a n Anna              => :1
        HSET h_b n Bert              => :1
        SORT l BY w_*                => [b c a]
        SORT l BY w_* DESC GET #     => [a c b]
        SORT l BY w_* GET # GET h_*->n => [b Bert c nil a Anna]
        SORT l BY h_*->n ALPHA DESC  => [b a c]
        SORT l BY none_* GET w_*     => [3 1 2]
        SORT l BY # GET constant     => [nil nil nil]
        SORT l BY h_*                => [a b c]
        SORT l BY w_*->              => [a b c]
        SORT l BY w_* GET h_*->n STORE d => :3
        LRANGE d 0 -1                => [Bert '' Anna]
        SORT missing STORE d         => :0
        EXISTS d                     => :0
        SADD s c a b                 => :3
        SORT s BY nosort STORE d     => :3
        LRANGE d 0 -1                => [a b c]
        SORT d ALPHA DESC STORE d    => :3
        LRANGE d 0 -1                => [c b a]
        SET w_a x                    => OK
        SORT l BY w_*                => -ERR One or more scores can't be converted into double
        ",
    );
}

#[test]
fn weights_are_read_as_strtod_does() {
    let mut machine = crate::support::Machine::default();
    machine.expect("RPUSH l a b c d => :4");
    for (key, weight) in [("w_a", " 3"), ("w_b", ""), ("w_c", "\t0x2"), ("w_d", "1\0nonsense")] {
        machine.apply(&[b"SET".to_vec(), key.into(), weight.into()]);
    }
    machine.expect("SORT l BY w_* => [b d c a]");
    for weight in [" ", "1 ", "nan", "1e999", "1x"] {
        machine.apply(&[b"SET".to_vec(), b"w_a".to_vec(), weight.into()]);
        let error = "-ERR One or more scores can't be converted into double";
        assert_eq!(machine.run("SORT l BY w_*"), error, "{weight:?}");
    }
}
