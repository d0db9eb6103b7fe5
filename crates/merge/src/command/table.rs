//! Which command merges how: every command of the other kinds of databases, as data.
//!
//! `docs/optimistic.md` has the same table for people, and a test compares the two with the commands that
//! there are.

use onecopy_resp::Writer;

use super::Outcome;
use super::{
    counters, dump, expiry, hashes, keys, lists, lists_inside, random, scan, set, set_algebra, sets, strings,
    zset_algebra, zset_range, zsets,
};
use crate::transaction::Transaction;

/// What becomes of a command in an optimistic database. *Local* is what is decided by what the replica that
/// executes the command has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It only reads what this replica has seen.
    Reads,
    /// What it writes merges with what others write concurrently: how.
    Merges(&'static str),
    /// What it writes merges as well, but what it decides, it decides by what this replica has seen: what
    /// that is.
    Local(&'static str),
    /// It is refused: what makes it so.
    Refused(&'static str),
}

/// What carries a command out.
#[derive(Clone, Copy)]
pub(super) enum Run {
    As(fn(&mut Transaction<'_>, &[&[u8]], &mut Writer<'_>) -> Outcome),
    Not,
}

/// A command.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) class: Class,
    pub(super) run: Run,
}

macro_rules! table {
    (@class Reads) => { Class::Reads };
    (@class $class:ident $how:literal) => { Class::$class($how) };
    (@run) => { Run::Not };
    (@run $module:ident $function:ident) => { Run::As($module::$function) };
    ($($name:literal $class:ident $($how:literal)? $(=> $module:ident::$function:ident)?;)*) => {
        &[$(Row {
            name: $name,
            class: table!(@class $class $($how)?),
            run: table!(@run $($module $function)?),
        }),*]
    };
}

/// The commands, sorted by name.
static TABLE: &[Row] = table! {
    "append" Merges
        "writes the whole string, as SET does; of concurrent ones the latest shows" => strings::append;
    "bitcount" Refused
        "works on bits of a string, and strings merge as a whole";
    "bitfield" Refused
        "works on bits of a string, and strings merge as a whole";
    "bitfield_ro" Refused
        "works on bits of a string, and strings merge as a whole";
    "bitop" Refused
        "works on bits of a string, and strings merge as a whole";
    "bitpos" Refused
        "works on bits of a string, and strings merge as a whole";
    "blmove" Refused
        "waits for what somebody else puts there, and no replica can say who is first";
    "blmpop" Refused
        "waits for what somebody else puts there, and no replica can say who is first";
    "blpop" Refused
        "waits for what somebody else puts there, and no replica can say who is first";
    "brpop" Refused
        "waits for what somebody else puts there, and no replica can say who is first";
    "brpoplpush" Refused
        "waits for what somebody else puts there, and no replica can say who is first";
    "bzmpop" Refused
        "waits for what somebody else puts there, and no replica can say who is first";
    "bzpopmax" Refused
        "waits for what somebody else puts there, and no replica can say who is first";
    "bzpopmin" Refused
        "waits for what somebody else puts there, and no replica can say who is first";
    "cluster" Refused
        "keys are not kept by slots here";
    "copy" Local
        "puts what this replica shows under another name; concurrent writes to the old name stay there" => keys::copy;
    "dbsize" Reads => keys::dbsize;
    "debug" Refused
        "compares its copies by digests of its own";
    "decr" Merges
        "concurrent increments add up; who removes takes away those that it had seen" => counters::decr;
    "decrby" Merges
        "concurrent increments add up; who removes takes away those that it had seen" => counters::decrby;
    "del" Merges
        "removes what it has seen" => keys::del;
    "dump" Reads => dump::dump;
    "eval" Refused
        "runs scripts, which are not there yet";
    "eval_ro" Refused
        "runs scripts, which are not there yet";
    "evalsha" Refused
        "runs scripts, which are not there yet";
    "evalsha_ro" Refused
        "runs scripts, which are not there yet";
    "exists" Reads => keys::exists;
    "expire" Merges
        "of concurrent ones the latest counts, about what its replica has seen" => expiry::expire;
    "expireat" Merges
        "of concurrent ones the latest counts, about what its replica has seen" => expiry::expireat;
    "expiretime" Reads => expiry::expiretime;
    "fcall" Refused
        "runs scripts, which are not there yet";
    "fcall_ro" Refused
        "runs scripts, which are not there yet";
    "flushall" Merges
        "removes what it has seen" => keys::flushall;
    "flushdb" Merges
        "removes what it has seen" => keys::flushdb;
    "function" Refused
        "runs scripts, which are not there yet";
    "geoadd" Refused
        "works on places, which are not merged yet";
    "geodist" Refused
        "works on places, which are not merged yet";
    "geohash" Refused
        "works on places, which are not merged yet";
    "geopos" Refused
        "works on places, which are not merged yet";
    "georadius" Refused
        "works on places, which are not merged yet";
    "georadius_ro" Refused
        "works on places, which are not merged yet";
    "georadiusbymember" Refused
        "works on places, which are not merged yet";
    "georadiusbymember_ro" Refused
        "works on places, which are not merged yet";
    "geosearch" Refused
        "works on places, which are not merged yet";
    "geosearchstore" Refused
        "works on places, which are not merged yet";
    "get" Reads => strings::get;
    "getbit" Refused
        "works on bits of a string, and strings merge as a whole";
    "getdel" Merges
        "answers what this replica has seen; writes as SET or DEL does" => strings::getdel;
    "getex" Merges
        "as GET, with EXPIRE or PERSIST" => set::getex;
    "getrange" Reads => strings::getrange;
    "getset" Merges
        "answers what this replica has seen; writes as SET or DEL does" => strings::getset;
    "hdel" Merges
        "removes what it has seen of the fields" => hashes::hdel;
    "hexists" Reads => hashes::hexists;
    "hget" Reads => hashes::hget;
    "hgetall" Reads => hashes::hgetall;
    "hincrby" Merges
        "concurrent increments add up; who removes takes away those that it had seen" => counters::hincrby;
    "hincrbyfloat" Merges
        "concurrent increments add up; who removes takes away those that it had seen" => counters::hincrbyfloat;
    "hkeys" Reads => hashes::hkeys;
    "hlen" Reads => hashes::hlen;
    "hmget" Reads => hashes::hmget;
    "hmset" Merges
        "each field as SET does; survives a concurrent HDEL" => hashes::hmset;
    "hrandfield" Reads => random::hrandfield;
    "hscan" Reads => scan::hscan;
    "hset" Merges
        "each field as SET does; survives a concurrent HDEL" => hashes::hset;
    "hsetnx" Local
        "whether the field is free is local: it is no lock" => hashes::hsetnx;
    "hstrlen" Reads => hashes::hstrlen;
    "hvals" Reads => hashes::hvals;
    "incr" Merges
        "concurrent increments add up; who removes takes away those that it had seen" => counters::incr;
    "incrby" Merges
        "concurrent increments add up; who removes takes away those that it had seen" => counters::incrby;
    "incrbyfloat" Merges
        "concurrent increments add up; who removes takes away those that it had seen" => counters::incrbyfloat;
    "keys" Reads => scan::keys;
    "lcs" Refused
        "compares two strings, and is not there yet";
    "lindex" Reads => lists_inside::lindex;
    "linsert" Merges
        "puts the element between the two that this replica shows there" => lists_inside::linsert;
    "llen" Reads => lists::llen;
    "lmove" Local
        "two replicas may move the same element: it is pushed twice" => lists::lmove;
    "lmpop" Local
        "two replicas may pop the same element: each is given at least once" => lists::lmpop;
    "lpop" Local
        "two replicas may pop the same element: each is given at least once" => lists::lpop;
    "lpos" Reads => lists_inside::lpos;
    "lpush" Merges
        "concurrent pushes are all kept, those of one replica side by side" => lists::lpush;
    "lpushx" Local
        "whether there is a list is local" => lists::lpushx;
    "lrange" Reads => lists_inside::lrange;
    "lrem" Local
        "which elements go is local" => lists_inside::lrem;
    "lset" Merges
        "writes to the element that this replica shows there; of concurrent ones the latest shows" => lists_inside::lset;
    "ltrim" Local
        "which elements go is local" => lists_inside::ltrim;
    "memory" Reads => keys::memory;
    "mget" Reads => strings::mget;
    "move" Local
        "as RENAME, to another database" => keys::move_key;
    "mset" Merges
        "each key as SET does, shown together" => strings::mset;
    "msetnx" Local
        "whether the keys are free is local: it is no lock" => strings::msetnx;
    "object" Reads => keys::object;
    "once" Refused
        "must know everything that was executed under a token, wherever that was";
    "persist" Merges
        "of concurrent ones the latest counts, about what its replica has seen" => expiry::persist;
    "pexpire" Merges
        "of concurrent ones the latest counts, about what its replica has seen" => expiry::pexpire;
    "pexpireat" Merges
        "of concurrent ones the latest counts, about what its replica has seen" => expiry::pexpireat;
    "pexpiretime" Reads => expiry::pexpiretime;
    "pfadd" Refused
        "works on HyperLogLogs, which are not merged yet";
    "pfcount" Refused
        "works on HyperLogLogs, which are not merged yet";
    "pfdebug" Refused
        "works on HyperLogLogs, which are not merged yet";
    "pfmerge" Refused
        "works on HyperLogLogs, which are not merged yet";
    "psetex" Merges
        "replaces what it has seen; of concurrent ones the latest shows. Its conditions are local" => set::psetex;
    "psubscribe" Refused
        "listens to what is published, which goes through a log";
    "pttl" Reads => expiry::pttl;
    "publish" Refused
        "goes through a log, and there is none";
    "pubsub" Refused
        "tells who listens to what is published";
    "punsubscribe" Refused
        "ends what PSUBSCRIBE begins";
    "randomkey" Reads => random::randomkey;
    "rename" Local
        "puts what this replica shows under another name; concurrent writes to the old name stay there" => keys::rename;
    "renamenx" Local
        "puts what this replica shows under another name; concurrent writes to the old name stay there" => keys::renamenx;
    "restore" Local
        "whether the key is free is local; puts the value there as COPY does. Streams are refused" => dump::restore;
    "rpop" Local
        "two replicas may pop the same element: each is given at least once" => lists::rpop;
    "rpoplpush" Local
        "two replicas may move the same element: it is pushed twice" => lists::rpoplpush;
    "rpush" Merges
        "concurrent pushes are all kept, those of one replica side by side" => lists::rpush;
    "rpushx" Local
        "whether there is a list is local" => lists::rpushx;
    "sadd" Merges
        "survives a concurrent SREM" => sets::sadd;
    "scan" Reads => scan::scan;
    "scard" Reads => sets::scard;
    "script" Refused
        "runs scripts, which are not there yet";
    "sdiff" Reads => set_algebra::sdiff;
    "sdiffstore" Local
        "computes from what this replica has seen, and replaces what it has seen" => set_algebra::sdiffstore;
    "set" Merges
        "replaces what it has seen; of concurrent ones the latest shows. Its conditions are local" => set::set;
    "setbit" Refused
        "works on bits of a string, and strings merge as a whole";
    "setex" Merges
        "replaces what it has seen; of concurrent ones the latest shows. Its conditions are local" => set::setex;
    "setnx" Local
        "whether the key is free is local: it is no lock" => set::setnx;
    "setrange" Merges
        "writes the whole string, as SET does; of concurrent ones the latest shows" => strings::setrange;
    "sinter" Reads => set_algebra::sinter;
    "sintercard" Reads => set_algebra::sintercard;
    "sinterstore" Local
        "computes from what this replica has seen, and replaces what it has seen" => set_algebra::sinterstore;
    "sismember" Reads => sets::sismember;
    "smembers" Reads => sets::smembers;
    "smismember" Reads => sets::smismember;
    "smove" Local
        "whether the member is there is local; moved concurrently to two sets, it is in both" => sets::smove;
    "sort" Refused
        "may look at any key, and is not there yet";
    "sort_ro" Refused
        "may look at any key, and is not there yet";
    "spop" Local
        "two replicas may pop the same member concurrently" => sets::spop;
    "spublish" Refused
        "goes through a log, and there is none";
    "srandmember" Reads => random::srandmember;
    "srem" Merges
        "removes what it has seen of the members" => sets::srem;
    "sscan" Reads => scan::sscan;
    "ssubscribe" Refused
        "listens to what is published, which goes through a log";
    "strlen" Reads => strings::strlen;
    "subscribe" Refused
        "listens to what is published, which goes through a log";
    "substr" Reads => strings::getrange;
    "sunion" Reads => set_algebra::sunion;
    "sunionstore" Local
        "computes from what this replica has seen, and replaces what it has seen" => set_algebra::sunionstore;
    "sunsubscribe" Refused
        "ends what SSUBSCRIBE begins";
    "swapdb" Refused
        "exchanges all keys of two databases at one moment, and replicas have no moment in common";
    "time" Reads => keys::time;
    "touch" Reads => keys::exists;
    "ttl" Reads => expiry::ttl;
    "type" Reads => keys::type_of;
    "unlink" Merges
        "removes what it has seen" => keys::del;
    "unsubscribe" Refused
        "ends what SUBSCRIBE begins";
    "unwatch" Local
        "ends what WATCH began" => keys::unwatch;
    "watch" Local
        "the transaction is executed if this replica has seen no change of the keys: it is no lock" => keys::watch;
    "xack" Refused
        "works on streams, which are not merged yet";
    "xadd" Refused
        "works on streams, which are not merged yet";
    "xautoclaim" Refused
        "works on streams, which are not merged yet";
    "xclaim" Refused
        "works on streams, which are not merged yet";
    "xdel" Refused
        "works on streams, which are not merged yet";
    "xgroup" Refused
        "works on streams, which are not merged yet";
    "xinfo" Refused
        "works on streams, which are not merged yet";
    "xlen" Refused
        "works on streams, which are not merged yet";
    "xpending" Refused
        "works on streams, which are not merged yet";
    "xrange" Refused
        "works on streams, which are not merged yet";
    "xread" Refused
        "works on streams, which are not merged yet";
    "xreadgroup" Refused
        "works on streams, which are not merged yet";
    "xrevrange" Refused
        "works on streams, which are not merged yet";
    "xsetid" Refused
        "works on streams, which are not merged yet";
    "xtrim" Refused
        "works on streams, which are not merged yet";
    "zadd" Merges
        "of concurrent scores the latest shows; survives a concurrent ZREM. Its conditions are local" => zsets::zadd;
    "zcard" Reads => zsets::zcard;
    "zcount" Reads => zset_range::zcount;
    "zdiff" Reads => zset_algebra::zdiff;
    "zdiffstore" Local
        "computes from what this replica has seen, and replaces what it has seen" => zset_algebra::zdiffstore;
    "zincrby" Merges
        "concurrent increments of one score add up, and go with it" => zsets::zincrby;
    "zinter" Reads => zset_algebra::zinter;
    "zintercard" Reads => zset_algebra::zintercard;
    "zinterstore" Local
        "computes from what this replica has seen, and replaces what it has seen" => zset_algebra::zinterstore;
    "zlexcount" Reads => zset_range::zlexcount;
    "zmpop" Local
        "two replicas may pop the same member concurrently" => zsets::zmpop;
    "zmscore" Reads => zsets::zmscore;
    "zpopmax" Local
        "two replicas may pop the same member concurrently" => zsets::zpopmax;
    "zpopmin" Local
        "two replicas may pop the same member concurrently" => zsets::zpopmin;
    "zrandmember" Reads => random::zrandmember;
    "zrange" Reads => zset_range::zrange;
    "zrangebylex" Reads => zset_range::zrangebylex;
    "zrangebyscore" Reads => zset_range::zrangebyscore;
    "zrangestore" Local
        "computes from what this replica has seen, and replaces what it has seen" => zset_range::zrangestore;
    "zrank" Reads => zsets::zrank;
    "zrem" Merges
        "removes what it has seen of the members" => zsets::zrem;
    "zremrangebylex" Local
        "which members are in the range is local" => zset_range::zremrangebylex;
    "zremrangebyrank" Local
        "which members are in the range is local" => zset_range::zremrangebyrank;
    "zremrangebyscore" Local
        "which members are in the range is local" => zset_range::zremrangebyscore;
    "zrevrange" Reads => zset_range::zrevrange;
    "zrevrangebylex" Reads => zset_range::zrevrangebylex;
    "zrevrangebyscore" Reads => zset_range::zrevrangebyscore;
    "zrevrank" Reads => zsets::zrevrank;
    "zscan" Reads => scan::zscan;
    "zscore" Reads => zsets::zscore;
    "zunion" Reads => zset_algebra::zunion;
    "zunionstore" Local
        "computes from what this replica has seen, and replaces what it has seen" => zset_algebra::zunionstore;
};

/// The command with this name, in small letters.
pub(super) fn find(name: &str) -> Option<&'static Row> {
    TABLE.binary_search_by_key(&name, |row| row.name).ok().map(|at| &TABLE[at])
}

/// All commands, sorted by name, and what becomes of them.
pub fn all() -> impl ExactSizeIterator<Item = (&'static str, Class)> {
    TABLE.iter().map(|row| (row.name, row.class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_classified() {
        let known: Vec<&str> = onecopy_keyspace::command::all().map(|spec| spec.name).collect();
        let classified: Vec<&str> = all().map(|(name, _)| name).collect();
        assert_eq!(classified, known);
    }

    /// Its line in `docs/optimistic.md`.
    fn line(row: &Row) -> String {
        let becomes = match row.class {
            Class::Reads => "reads".to_string(),
            Class::Merges(how) => format!("merges: {how}"),
            Class::Local(what) => format!("decides by itself: {what}"),
            Class::Refused(why) => format!("refused: {why}"),
        };
        format!("| `{}` | {becomes} |", row.name.to_uppercase())
    }

    #[test]
    fn the_documentation_has_every_line() {
        let page = include_str!("../../../../docs/optimistic.md");
        let lines: Vec<String> = TABLE.iter().map(line).collect();
        let missing: Vec<&str> = lines
            .iter()
            .map(String::as_str)
            .filter(|line| !page.lines().any(|other| other == *line))
            .collect();
        assert!(missing.is_empty(), "missing from docs/optimistic.md:\n{}", missing.join("\n"));
    }

    #[test]
    fn what_is_refused_has_no_function_and_everything_else_has() {
        for row in TABLE {
            assert_eq!(matches!(row.class, Class::Refused(_)), matches!(row.run, Run::Not), "{}", row.name);
        }
    }
}
