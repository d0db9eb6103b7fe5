//! What each command answers, as tables of `command => reply`.

#[path = "../support/mod.rs"]
mod support;

mod bits;
mod blocking;
mod bounds;
mod debug;
mod dump;
mod geo;
mod hashes;
mod hyperloglog;
mod keys;
mod lcs;
mod lists;
mod once;
mod sets;
mod sort;
mod stream_groups;
mod streams;
mod strings;
mod transactions;
mod zsets;

/// Every command on a value of another type.
#[test]
fn wrong_types() {
    let mut machine = support::Machine::default();
    machine.expect(
        "
        SET string x                 => OK
        RPUSH list x                 => :1
        HSET hash x 1                => :1
        SADD set x                   => :1
        ZADD zset 1 x                => :1
        XADD stream 1-1 a 1          => 1-1
        ",
    );
    for command in [
        "GET list",
        "GETSET hash x",
        "GETDEL set",
        "GETEX zset",
        "SET list x GET",
        "APPEND list x",
        "STRLEN set",
        "GETRANGE set 0 1",
        "SETRANGE set 0 x",
        "SETBIT list 0 1",
        "GETBIT list 0",
        "BITCOUNT hash",
        "BITCOUNT hash x",
        "BITPOS set 1",
        "BITOP AND new string zset",
        "BITFIELD list GET u8 0",
        "BITFIELD list SET u8 0 1",
        "BITFIELD_RO list GET u8 0",
        "PFADD list x",
        "PFCOUNT hash",
        "PFCOUNT missing set",
        "PFMERGE missing zset",
        "PFDEBUG GETREG list",
        "INCR hash",
        "INCRBYFLOAT hash 1",
        "HSET string a 1",
        "HSETNX string a 1",
        "HGET string a",
        "HGETALL list",
        "HDEL set a",
        "HINCRBY zset a 1",
        "HSCAN string 0",
        "HRANDFIELD string",
        "LPUSH string a",
        "LPUSHX string a",
        "LPOP hash",
        "LRANGE hash 0 1",
        "LSET hash 0 1",
        "LPOS hash 1",
        "LMOVE list hash LEFT LEFT",
        "LMPOP 1 hash LEFT",
        "SADD string a",
        "SREM list a",
        "SMEMBERS zset",
        "SPOP zset",
        "SMOVE set zset x",
        "SINTER set zset",
        "SINTER missing zset",
        "SUNIONSTORE x set zset",
        "SRANDMEMBER hash",
        "ZADD set 1 a",
        "ZINCRBY set 1 a",
        "ZSCORE set a",
        "ZRANGE set 0 1",
        "ZUNION 2 zset list",
        "ZPOPMIN list",
        "ZREMRANGEBYRANK list 0 1",
        "ZRANDMEMBER list",
        "GEOADD set 1 1 a",
        "GEOPOS set a",
        "GEODIST set a b",
        "GEOHASH string a",
        "GEOSEARCH list FROMMEMBER a BYRADIUS 1 m",
        "GEOSEARCHSTORE x list FROMMEMBER a BYRADIUS 1 m",
        "GEORADIUS hash 1 1 1 m",
        "SORT string",
        "SORT stream",
        "GET stream",
        "SADD stream a",
        "XADD string * a 1",
        "XADD string NOMKSTREAM * a 1",
        "XLEN list",
        "XDEL hash 1-1",
        "XTRIM set MAXLEN 1",
        "XRANGE zset - +",
        "XREVRANGE zset + -",
        "XREAD STREAMS stream string 0 0",
        "XREADGROUP GROUP g c STREAMS string >",
        "XGROUP CREATE list g $ MKSTREAM",
        "XGROUP DESTROY list g",
        "XACK hash g 1-1",
        "XPENDING set g",
        "XCLAIM zset g c 0 1-1",
        "XAUTOCLAIM zset g c 0 0",
        "XINFO STREAM string",
        "XSETID string 1-1",
        "SORT_RO hash",
    ] {
        let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
        assert_eq!(machine.run(command), wrong, "{command}");
    }
    machine.expect("MGET string list => [x nil]");
}
