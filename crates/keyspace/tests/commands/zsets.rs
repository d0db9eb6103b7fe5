use onecopy_resp::Version;

use crate::support::{Machine, expect};

#[test]
fn adding() {
    expect(
        "
        ZADD z 1 a 2 b 3 c           => :3
        ZADD z 5 a 6 d               => :1
        ZADD z CH 1 a 6 d            => :1
        ZADD z NX 9 a 9 e            => :1
        ZADD z XX 7 e 7 f            => :0
        ZADD z GT CH 6 e 8 e         => :1
        ZADD z LT CH 9 e             => :0
        ZADD z INCR 1 a              => 2
        ZADD z NX INCR 1 a           => nil
        ZADD z NX XX 1 a             => -ERR XX and NX options at the same time are not compatible
        ZADD z GT LT 1 a             => -ERR GT, LT, and/or NX options at the same time are not compatible
        ZADD z INCR 1 a 2 b          => -ERR INCR option supports a single increment-element pair
        ZADD z 1                     => -ERR wrong number of arguments for 'zadd' command
        ZADD z 1 a 2                 => -ERR syntax error
        ZADD z x a                   => -ERR value is not a valid float
        ZADD z nan a                 => -ERR value is not a valid float
        ZADD z inf i                 => :1
        ZINCRBY z -inf i             => -ERR resulting score is not a number (NaN)
        ZINCRBY z 1.5 a              => 3.5
        ZSCORE z a                   => 3.5
        ZSCORE z i                   => inf
        ZMSCORE z a x                => [3.5 nil]
        ZCARD z                      => :6
        ZRANK z b                    => :0
        ZREVRANK z b                 => :5
        ZRANK z x                    => nil
        ZRANK z b WITHSCORE          => [:0 2]
        ZREVRANK z b WITHSCORE       => [:5 2]
        ZRANK z x WITHSCORE          => nil
        ZRANK z b x                  => -ERR syntax error
        ZREVRANK z b WITHSCORE x     => -ERR wrong number of arguments for 'zrevrank' command
        ZREM z a x                   => :1
        ZADD n XX 1 a                => :0
        EXISTS n                     => :0
        ",
    );
}

#[test]
fn ranges() {
    expect(
        "
        ZADD z 1 a 2 b 2 c 3 d       => :4
        ZRANGE z 0 -1                => [a b c d]
        ZRANGE z 0 1 WITHSCORES      => [a 1 b 2]
        ZRANGE z 0 1 REV             => [d c]
        ZREVRANGE z 1 2 WITHSCORES   => [c 2 b 2]
        ZRANGE z (1 2 BYSCORE        => [b c]
        ZRANGE z 2 (1 BYSCORE REV    => [c b]
        ZRANGE z -inf +inf BYSCORE LIMIT 1 2 => [b c]
        ZRANGE z 0 -1 LIMIT 0 1      => -ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX
        ZRANGE z - + BYLEX WITHSCORES => -ERR syntax error, WITHSCORES not supported in combination with BYLEX
        ZRANGE z 0 x                 => -ERR value is not an integer or out of range
        ZRANGEBYSCORE z 2 (3         => [b c]
        ZRANGEBYSCORE z x 3          => -ERR min or max is not a float
        ZREVRANGEBYSCORE z +inf 2 LIMIT 0 2 WITHSCORES => [d 3 c 2]
        ZCOUNT z 2 2                 => :2
        ZCOUNT z (2 (2               => :0
        ZCOUNT z -inf inf            => :4
        ZADD l 0 a 0 b 0 c 0 d       => :4
        ZRANGEBYLEX l [b (d          => [b c]
        ZRANGEBYLEX l - +            => [a b c d]
        ZREVRANGEBYLEX l + (b        => [d c]
        ZRANGEBYLEX l b d            => -ERR min or max not valid string range item
        ZLEXCOUNT l (a [c            => :2
        ZREMRANGEBYLEX l [a [b       => :2
        ZREMRANGEBYSCORE z 2 2       => :2
        ZREMRANGEBYRANK z -1 -1      => :1
        ZRANGE z 0 -1                => [a]
        ZRANGESTORE r l 0 0          => :1
        ZRANGE r 0 -1                => [c]
        ZRANGESTORE r x 0 0          => :0
        EXISTS r                     => :0
        ",
    );
}

#[test]
fn popping() {
    expect(
        "
        ZADD z 1 a 2 b 3 c 4 d       => :4
        ZPOPMIN z                    => [a 1]
        ZPOPMAX z 2                  => [d 4 c 3]
        ZPOPMIN z 0                  => []
        ZPOPMIN x                    => []
        ZPOPMIN z -1                 => -ERR value is out of range, must be positive
        ZMPOP 2 x z MAX COUNT 5      => [z [[b 2]]]
        ZMPOP 1 z MIN                => nil
        ZMPOP 0 z MIN                => -ERR numkeys should be greater than 0
        EXISTS z                     => :0
        ",
    );
}

#[test]
fn algebra() {
    expect(
        "
        ZADD a 1 x 2 y               => :2
        ZADD b 10 y 20 z             => :2
        SADD s x z                   => :2
        ZUNION 2 a b WITHSCORES      => [x 1 y 12 z 20]
        ZUNION 2 a b WEIGHTS 2 1 AGGREGATE MAX WITHSCORES => [x 2 y 10 z 20]
        ZINTER 2 a b WITHSCORES      => [y 12]
        ZINTER 2 a s WITHSCORES      => [x 2]
        ZDIFF 2 a b WITHSCORES       => [x 1]
        ZUNIONSTORE c 2 a b          => :3
        ZINTERSTORE c 2 a b AGGREGATE MIN => :1
        ZSCORE c y                   => 2
        ZDIFFSTORE c 2 a a           => :0
        EXISTS c                     => :0
        ZINTERCARD 2 a b             => :1
        ZINTERCARD 2 b b LIMIT 1     => :1
        ZUNION 0 a                   => -ERR at least 1 input key is needed for 'zunion' command
        ZUNION 3 a b                 => -ERR syntax error
        ZUNION 1 a WEIGHTS x         => -ERR weight value is not a float
        ZDIFF 1 a WEIGHTS 1          => -ERR syntax error
        ",
    );
}

#[test]
fn resp3_has_doubles_and_pairs() {
    let mut machine = Machine { version: Version::Three, ..Machine::default() };
    machine.expect(
        "
        ZADD z 1 a 2.5 b             => :2
        ZSCORE z b                   => ,2.5
        ZRANGE z 0 -1 WITHSCORES     => [[a ,1] [b ,2.5]]
        ZPOPMIN z                    => [a ,1]
        ZPOPMIN z 1                  => [[b ,2.5]]
        ",
    );
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let mut machine = Machine::default();
    machine.expect("ZADD z 1 a => :1");
    for options in ["BYLEX BYSCORE", "BYSCORE BYLEX", "BYSCORE BYSCORE", "REV REV"] {
        assert_eq!(machine.run(&format!("ZRANGE z 0 1 {options}")), "-ERR syntax error", "{options}");
        assert_eq!(machine.run(&format!("ZRANGESTORE d z 0 1 {options}")), "-ERR syntax error", "{options}");
    }
    machine.expect(
        "
        ZADD z 1e-999 a              => -ERR value is not a valid float
        ZADD z 0x1p-2 a              => :0
        ZSCORE z a                   => 0.25
        INCRBYFLOAT f 1e-999         => 0
        INCRBYFLOAT f 0x10           => 16
        INCRBYFLOAT f 1e-9999        => -ERR value is not a valid float
        ",
    );
}
