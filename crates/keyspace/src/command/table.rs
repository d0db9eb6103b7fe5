//! Every command that the state machine knows, as data.
//!
//! One row is: name and arity; kind, whether it grows the data, whether it is fast; first key, last key and
//! step as `COMMAND` gives them, and at which argument the number of further keys stands (0: nowhere); group,
//! and the version of Redis that had it first; the function; the time that it takes, with the meanings of the
//! letters that Redis' documentation gives them; what it does.

use super::{Command, Kind, Run, Spec};
use crate::commands::{
    bitfield, bitop, bits, counters, databases, dump, expiry, geo, geo_search, hashes, hyperloglog, keys,
    lcs, lists, object, once, random, scan, set, set_algebra, sets, sort, stream_claim, stream_groups,
    stream_info, stream_pending, stream_range, stream_read, streams, strings, watching, zset_algebra,
    zset_range, zsets,
};

macro_rules! table {
    (@grows grows) => { true };
    (@grows -) => { false };
    (@fast fast) => { true };
    (@fast -) => { false };
    ($($name:literal $arity:literal, $kind:ident $grows:tt $fast:tt,
        $first:literal $last:literal $step:literal $count_at:literal,
        $group:literal $since:literal => $run:ident $module:ident::$function:ident;
        $complexity:literal $summary:literal;)*) => {
        &[$(Command {
            spec: Spec {
                name: $name,
                arity: $arity,
                kind: Kind::$kind,
                grows: table!(@grows $grows),
                fast: table!(@fast $fast),
                first_key: $first,
                last_key: $last,
                key_step: $step,
                key_count_at: $count_at,
                group: $group,
                since: $since,
                complexity: $complexity,
                summary: $summary,
            },
            run: Run::$run($module::$function),
        }),*]
    };
}

/// The commands, sorted by name.
pub(super) static TABLE: &[Command] = table! {
    "append" 3, Write grows fast, 1 1 1 0, "string" "2.0.0" => Write strings::append;
        "O(1)" "Append a value to a key";
    "bitcount" -2, Read - -, 1 1 1 0, "bitmap" "2.6.0" => Read bits::bitcount;
        "O(N)" "Count the bits of a string that are set";
    "bitfield" -2, Write grows -, 1 1 1 0, "bitmap" "3.2.0" => Write bitfield::bitfield;
        "O(1) for each subcommand specified" "Read and write integers of any number of bits within a string";
    "bitfield_ro" -2, Read - fast, 1 1 1 0, "bitmap" "6.0.0" => Read bitfield::bitfield_ro;
        "O(1) for each subcommand specified" "Read integers of any number of bits within a string";
    "bitop" -4, Write grows -, 2 -1 1 0, "bitmap" "2.6.0" => Write bitop::bitop;
        "O(N)" "Combine strings bit by bit, and store the result in a key";
    "bitpos" -3, Read - -, 1 1 1 0, "bitmap" "2.8.7" => Read bits::bitpos;
        "O(N)" "Find the first bit of a string that is set, or that is clear";
    "copy" -3, Write grows -, 1 2 1 0, "generic" "6.2.0" => Write keys::copy;
        "O(N)" "Copy a key";
    "dbsize" 1, Read - fast, 0 0 0 0, "server" "1.0.0" => Read databases::dbsize;
        "O(1)" "Return the number of keys in the selected database";
    "decr" 2, Write grows fast, 1 1 1 0, "string" "1.0.0" => Write counters::decr;
        "O(1)" "Decrement the integer value of a key by one";
    "decrby" 3, Write grows fast, 1 1 1 0, "string" "1.0.0" => Write counters::decrby;
        "O(1)" "Decrement the integer value of a key by the given number";
    "del" -2, Write - -, 1 -1 1 0, "generic" "1.0.0" => Write keys::del;
        "O(N)" "Delete a key";
    "dump" 2, Read - -, 1 1 1 0, "generic" "2.6.0" => Read dump::dump;
        "O(1)+O(N*M)" "Return a serialized version of the value of a key";
    "exists" -2, Read - fast, 1 -1 1 0, "generic" "1.0.0" => Read keys::exists;
        "O(N)" "Determine if a key exists";
    "expire" -3, Write - fast, 1 1 1 0, "generic" "1.0.0" => Write expiry::expire;
        "O(1)" "Set a key's time to live in seconds";
    "expireat" -3, Write - fast, 1 1 1 0, "generic" "1.2.0" => Write expiry::expireat;
        "O(1)" "Set the expiration for a key as a UNIX timestamp";
    "expiretime" 2, Read - fast, 1 1 1 0, "generic" "7.0.0" => Read expiry::expiretime;
        "O(1)" "Get the expiration Unix timestamp for a key";
    "flushall" -1, Write - -, 0 0 0 0, "server" "1.0.0" => Write databases::flushall;
        "O(N)" "Remove all keys from all databases";
    "flushdb" -1, Write - -, 0 0 0 0, "server" "1.0.0" => Write databases::flushdb;
        "O(N)" "Remove all keys from the current database";
    "geoadd" -5, Write grows -, 1 1 1 0, "geo" "3.2.0" => Write geo::geoadd;
        "O(log(N))" "Add places to a sorted set, or move them";
    "geodist" -4, Read - -, 1 1 1 0, "geo" "3.2.0" => Read geo::geodist;
        "O(1)" "Get the distance between two places of a sorted set";
    "geohash" -2, Read - -, 1 1 1 0, "geo" "3.2.0" => Read geo::geohash;
        "O(1)" "Get the geohashes of places as texts";
    "geopos" -2, Read - -, 1 1 1 0, "geo" "3.2.0" => Read geo::geopos;
        "O(1)" "Get the longitudes and latitudes of places";
    "georadius" -6, Write grows -, 1 1 1 0, "geo" "3.2.0" => Write geo_search::georadius;
        "O(N+log(M))" "Find the places within a distance from a point, and perhaps store them";
    "georadius_ro" -6, Read - -, 1 1 1 0, "geo" "3.2.10" => Read geo_search::georadius_ro;
        "O(N+log(M))" "Find the places within a distance from a point";
    "georadiusbymember" -5, Write grows -, 1 1 1 0, "geo" "3.2.0" => Write geo_search::georadiusbymember;
        "O(N+log(M))" "Find the places within a distance from another place, and perhaps store them";
    "georadiusbymember_ro" -5, Read - -, 1 1 1 0, "geo" "3.2.10" => Read geo_search::georadiusbymember_ro;
        "O(N+log(M))" "Find the places within a distance from another place";
    "geosearch" -7, Read - -, 1 1 1 0, "geo" "6.2.0" => Read geo_search::geosearch;
        "O(N+log(M))" "Find the places in a circle or a rectangle";
    "geosearchstore" -8, Write grows -, 1 2 1 0, "geo" "6.2.0" => Write geo_search::geosearchstore;
        "O(N+log(M))" "Store the places in a circle or a rectangle in a sorted set";
    "get" 2, Read - fast, 1 1 1 0, "string" "1.0.0" => Read strings::get;
        "O(1)" "Get the value of a key";
    "getbit" 3, Read - fast, 1 1 1 0, "bitmap" "2.2.0" => Read bits::getbit;
        "O(1)" "Get the bit at an offset of a string";
    "getdel" 2, Write - fast, 1 1 1 0, "string" "6.2.0" => Write strings::getdel;
        "O(1)" "Get the value of a key and delete the key";
    "getex" -2, Write - fast, 1 1 1 0, "string" "6.2.0" => Write set::getex;
        "O(1)" "Get the value of a key and optionally set its expiration";
    "getrange" 4, Read - -, 1 1 1 0, "string" "2.4.0" => Read strings::getrange;
        "O(N)" "Get a substring of the string stored at a key";
    "getset" 3, Write grows fast, 1 1 1 0, "string" "1.0.0" => Write strings::getset;
        "O(1)" "Set the string value of a key and return its old value";
    "hdel" -3, Write - fast, 1 1 1 0, "hash" "2.0.0" => Write hashes::hdel;
        "O(N)" "Delete one or more hash fields";
    "hexists" 3, Read - fast, 1 1 1 0, "hash" "2.0.0" => Read hashes::hexists;
        "O(1)" "Determine if a hash field exists";
    "hget" 3, Read - fast, 1 1 1 0, "hash" "2.0.0" => Read hashes::hget;
        "O(1)" "Get the value of a hash field";
    "hgetall" 2, Read - -, 1 1 1 0, "hash" "2.0.0" => Read hashes::hgetall;
        "O(N)" "Get all the fields and values in a hash";
    "hincrby" 4, Write grows fast, 1 1 1 0, "hash" "2.0.0" => Write hashes::hincrby;
        "O(1)" "Increment the integer value of a hash field by the given number";
    "hincrbyfloat" 4, Write grows fast, 1 1 1 0, "hash" "2.6.0" => Write hashes::hincrbyfloat;
        "O(1)" "Increment the float value of a hash field by the given amount";
    "hkeys" 2, Read - -, 1 1 1 0, "hash" "2.0.0" => Read hashes::hkeys;
        "O(N)" "Get all the fields in a hash";
    "hlen" 2, Read - fast, 1 1 1 0, "hash" "2.0.0" => Read hashes::hlen;
        "O(1)" "Get the number of fields in a hash";
    "hmget" -3, Read - fast, 1 1 1 0, "hash" "2.0.0" => Read hashes::hmget;
        "O(N)" "Get the values of all the given hash fields";
    "hmset" -4, Write grows fast, 1 1 1 0, "hash" "2.0.0" => Write hashes::hmset;
        "O(N)" "Set multiple hash fields to multiple values";
    "hrandfield" -2, Settled - -, 1 1 1 0, "hash" "6.2.0" => Write random::hrandfield;
        "O(N)" "Get one or multiple random fields from a hash";
    "hscan" -3, Read - -, 1 1 1 0, "hash" "2.8.0" => Read scan::hscan;
        "O(1)" "Incrementally iterate hash fields and associated values";
    "hset" -4, Write grows fast, 1 1 1 0, "hash" "2.0.0" => Write hashes::hset;
        "O(1)" "Set the string value of a hash field";
    "hsetnx" 4, Write grows fast, 1 1 1 0, "hash" "2.0.0" => Write hashes::hsetnx;
        "O(1)" "Set the value of a hash field, only if the field does not exist";
    "hstrlen" 3, Read - fast, 1 1 1 0, "hash" "3.2.0" => Read hashes::hstrlen;
        "O(1)" "Get the length of the value of a hash field";
    "hvals" 2, Read - -, 1 1 1 0, "hash" "2.0.0" => Read hashes::hvals;
        "O(N)" "Get all the values in a hash";
    "incr" 2, Write grows fast, 1 1 1 0, "string" "1.0.0" => Write counters::incr;
        "O(1)" "Increment the integer value of a key by one";
    "incrby" 3, Write grows fast, 1 1 1 0, "string" "1.0.0" => Write counters::incrby;
        "O(1)" "Increment the integer value of a key by the given amount";
    "incrbyfloat" 3, Write grows fast, 1 1 1 0, "string" "2.6.0" => Write counters::incrbyfloat;
        "O(1)" "Increment the float value of a key by the given amount";
    "keys" 2, Read - -, 0 0 0 0, "generic" "1.0.0" => Read scan::keys;
        "O(N)" "Find all keys matching the given pattern";
    "lcs" -3, Read - -, 1 2 1 0, "string" "7.0.0" => Read lcs::lcs;
        "O(N*M)" "Find the longest subsequence that two strings have in common";
    "lindex" 3, Read - -, 1 1 1 0, "list" "1.0.0" => Read lists::lindex;
        "O(N)" "Get an element from a list by its index";
    "linsert" 5, Write grows -, 1 1 1 0, "list" "2.2.0" => Write lists::linsert;
        "O(N)" "Insert an element before or after another element in a list";
    "llen" 2, Read - fast, 1 1 1 0, "list" "1.0.0" => Read lists::llen;
        "O(1)" "Get the length of a list";
    "lmove" 5, Write grows -, 1 2 1 0, "list" "6.2.0" => Write lists::lmove;
        "O(1)" "Pop an element from a list, push it to another list and return it";
    "lmpop" -4, Write - -, 0 0 0 1, "list" "7.0.0" => Write lists::lmpop;
        "O(N+M)" "Pop elements from a list";
    "lpop" -2, Write - fast, 1 1 1 0, "list" "1.0.0" => Write lists::lpop;
        "O(N)" "Remove and get the first elements in a list";
    "lpos" -3, Read - -, 1 1 1 0, "list" "6.0.6" => Read lists::lpos;
        "O(N)" "Return the index of matching elements on a list";
    "lpush" -3, Write grows fast, 1 1 1 0, "list" "1.0.0" => Write lists::lpush;
        "O(1)" "Prepend one or multiple elements to a list";
    "lpushx" -3, Write grows fast, 1 1 1 0, "list" "2.2.0" => Write lists::lpushx;
        "O(1)" "Prepend an element to a list, only if the list exists";
    "lrange" 4, Read - -, 1 1 1 0, "list" "1.0.0" => Read lists::lrange;
        "O(S+N)" "Get a range of elements from a list";
    "lrem" 4, Write - -, 1 1 1 0, "list" "1.0.0" => Write lists::lrem;
        "O(N+M)" "Remove elements from a list";
    "lset" 4, Write grows -, 1 1 1 0, "list" "1.0.0" => Write lists::lset;
        "O(N)" "Set the value of an element in a list by its index";
    "ltrim" 4, Write - -, 1 1 1 0, "list" "1.0.0" => Write lists::ltrim;
        "O(N)" "Trim a list to the specified range";
    "memory" -2, Read - -, 2 2 1 0, "server" "4.0.0" => Read object::memory;
        "O(1)" "Tell what a key occupies";
    "mget" -2, Read - fast, 1 -1 1 0, "string" "1.0.0" => Read strings::mget;
        "O(N)" "Get the values of all the given keys";
    "move" 3, Write - fast, 1 1 1 0, "generic" "1.0.0" => Write databases::move_key;
        "O(1)" "Move a key to another database";
    "mset" -3, Write grows -, 1 -1 2 0, "string" "1.0.1" => Write strings::mset;
        "O(N)" "Set multiple keys to multiple values";
    "msetnx" -3, Write grows -, 1 -1 2 0, "string" "1.0.1" => Write strings::msetnx;
        "O(N)" "Set multiple keys to multiple values, only if none of the keys exist";
    "object" -2, Read - -, 2 2 1 0, "generic" "2.2.3" => Read object::object;
        "O(1)" "Inspect the object at a key";
    "once" -3, Write - -, 0 0 0 0, "generic" "7.0.0" => Write once::once;
        "O(1) and what the command takes" "Execute a command once, however often it is sent under its token";
    "persist" 2, Write - fast, 1 1 1 0, "generic" "2.2.0" => Write expiry::persist;
        "O(1)" "Remove the expiration from a key";
    "pexpire" -3, Write - fast, 1 1 1 0, "generic" "2.6.0" => Write expiry::pexpire;
        "O(1)" "Set a key's time to live in milliseconds";
    "pexpireat" -3, Write - fast, 1 1 1 0, "generic" "2.6.0" => Write expiry::pexpireat;
        "O(1)" "Set the expiration for a key as a UNIX timestamp specified in milliseconds";
    "pexpiretime" 2, Read - fast, 1 1 1 0, "generic" "7.0.0" => Read expiry::pexpiretime;
        "O(1)" "Get the expiration Unix timestamp for a key in milliseconds";
    "pfadd" -2, Write grows fast, 1 1 1 0, "hyperloglog" "2.8.9" => Write hyperloglog::pfadd;
        "O(1) for each element" "Let a HyperLogLog count elements";
    "pfcount" -2, Read - -, 1 -1 1 0, "hyperloglog" "2.8.9" => Read hyperloglog::pfcount;
        "O(N)" "Estimate how many different elements HyperLogLogs have counted, and change nothing";
    "pfdebug" 3, Write grows -, 2 2 1 0, "hyperloglog" "2.8.9" => Write hyperloglog::pfdebug;
        "O(1)" "Look into the representation of a HyperLogLog";
    "pfmerge" -2, Write grows -, 1 -1 1 0, "hyperloglog" "2.8.9" => Write hyperloglog::pfmerge;
        "O(N)" "Merge HyperLogLogs into one";
    "psetex" 4, Write grows -, 1 1 1 0, "string" "2.6.0" => Write set::psetex;
        "O(1)" "Set the value and expiration in milliseconds of a key";
    "pttl" 2, Read - fast, 1 1 1 0, "generic" "2.6.0" => Read expiry::pttl;
        "O(1)" "Get the time to live for a key in milliseconds";
    "randomkey" 1, Settled - -, 0 0 0 0, "generic" "1.0.0" => Write random::randomkey;
        "O(1)" "Return a random key from the keyspace";
    "rename" 3, Write - -, 1 2 1 0, "generic" "1.0.0" => Write keys::rename;
        "O(1)" "Rename a key";
    "renamenx" 3, Write - fast, 1 2 1 0, "generic" "1.0.0" => Write keys::renamenx;
        "O(1)" "Rename a key, only if the new key does not exist";
    "restore" -4, Write grows -, 1 1 1 0, "generic" "2.6.0" => Write dump::restore;
        "O(1)+O(N*M)" "Create a key from the serialized version of a value";
    "rpop" -2, Write - fast, 1 1 1 0, "list" "1.0.0" => Write lists::rpop;
        "O(N)" "Remove and get the last elements in a list";
    "rpoplpush" 3, Write grows -, 1 2 1 0, "list" "1.2.0" => Write lists::rpoplpush;
        "O(1)" "Remove the last element in a list, prepend it to another list and return it";
    "rpush" -3, Write grows fast, 1 1 1 0, "list" "1.0.0" => Write lists::rpush;
        "O(1)" "Append one or multiple elements to a list";
    "rpushx" -3, Write grows fast, 1 1 1 0, "list" "2.2.0" => Write lists::rpushx;
        "O(1)" "Append an element to a list, only if the list exists";
    "sadd" -3, Write grows fast, 1 1 1 0, "set" "1.0.0" => Write sets::sadd;
        "O(1)" "Add one or more members to a set";
    "scan" -2, Read - -, 0 0 0 0, "generic" "2.8.0" => Read scan::scan;
        "O(1)" "Incrementally iterate the keys space";
    "scard" 2, Read - fast, 1 1 1 0, "set" "1.0.0" => Read sets::scard;
        "O(1)" "Get the number of members in a set";
    "sdiff" -2, Read - -, 1 -1 1 0, "set" "1.0.0" => Read set_algebra::sdiff;
        "O(N)" "Subtract multiple sets";
    "sdiffstore" -3, Write grows -, 1 -1 1 0, "set" "1.0.0" => Write set_algebra::sdiffstore;
        "O(N)" "Subtract multiple sets and store the resulting set in a key";
    "set" -3, Write grows -, 1 1 1 0, "string" "1.0.0" => Write set::set;
        "O(1)" "Set the string value of a key";
    "setbit" 4, Write grows -, 1 1 1 0, "bitmap" "2.2.0" => Write bits::setbit;
        "O(1)" "Set or clear the bit at an offset of a string";
    "setex" 4, Write grows -, 1 1 1 0, "string" "2.0.0" => Write set::setex;
        "O(1)" "Set the value and expiration of a key";
    "setnx" 3, Write grows fast, 1 1 1 0, "string" "1.0.0" => Write set::setnx;
        "O(1)" "Set the value of a key, only if the key does not exist";
    "setrange" 4, Write grows -, 1 1 1 0, "string" "2.2.0" => Write strings::setrange;
        "O(1)" "Overwrite part of a string at key starting at the specified offset";
    "sinter" -2, Read - -, 1 -1 1 0, "set" "1.0.0" => Read set_algebra::sinter;
        "O(N*M)" "Intersect multiple sets";
    "sintercard" -3, Read - -, 0 0 0 1, "set" "7.0.0" => Read set_algebra::sintercard;
        "O(N*M)" "Intersect multiple sets and return the cardinality of the result";
    "sinterstore" -3, Write grows -, 1 -1 1 0, "set" "1.0.0" => Write set_algebra::sinterstore;
        "O(N*M)" "Intersect multiple sets and store the resulting set in a key";
    "sismember" 3, Read - fast, 1 1 1 0, "set" "1.0.0" => Read sets::sismember;
        "O(1)" "Determine if a given value is a member of a set";
    "smembers" 2, Read - -, 1 1 1 0, "set" "1.0.0" => Read sets::smembers;
        "O(N)" "Get all the members in a set";
    "smismember" -3, Read - fast, 1 1 1 0, "set" "6.2.0" => Read sets::smismember;
        "O(N)" "Returns the membership associated with the given elements for a set";
    "smove" 4, Write - fast, 1 2 1 0, "set" "1.0.0" => Write sets::smove;
        "O(1)" "Move a member from one set to another";
    "sort" -2, Write grows -, 1 1 1 0, "generic" "1.0.0" => Write sort::sort_and_store;
        "O(N+M*log(M))" "Sort the elements of a list, a set or a sorted set, and perhaps store them";
    "sort_ro" -2, Read - -, 1 1 1 0, "generic" "7.0.0" => Read sort::sort_ro;
        "O(N+M*log(M))" "Sort the elements of a list, a set or a sorted set";
    "spop" -2, Write - fast, 1 1 1 0, "set" "1.0.0" => Write sets::spop;
        "O(1)" "Remove and return one or multiple random members from a set";
    "srandmember" -2, Settled - -, 1 1 1 0, "set" "1.0.0" => Write random::srandmember;
        "O(1)" "Get one or multiple random members from a set";
    "srem" -3, Write - fast, 1 1 1 0, "set" "1.0.0" => Write sets::srem;
        "O(N)" "Remove one or more members from a set";
    "sscan" -3, Read - -, 1 1 1 0, "set" "2.8.0" => Read scan::sscan;
        "O(1)" "Incrementally iterate Set elements";
    "strlen" 2, Read - fast, 1 1 1 0, "string" "2.2.0" => Read strings::strlen;
        "O(1)" "Get the length of the value stored in a key";
    "substr" 4, Read - -, 1 1 1 0, "string" "1.0.0" => Read strings::substr;
        "O(N)" "Get a substring of the string stored at a key";
    "sunion" -2, Read - -, 1 -1 1 0, "set" "1.0.0" => Read set_algebra::sunion;
        "O(N)" "Add multiple sets";
    "sunionstore" -3, Write grows -, 1 -1 1 0, "set" "1.0.0" => Write set_algebra::sunionstore;
        "O(N)" "Add multiple sets and store the resulting set in a key";
    "swapdb" 3, Write - fast, 0 0 0 0, "server" "4.0.0" => Write databases::swapdb;
        "O(N)" "Swaps two Redis databases";
    "time" 1, Settled - fast, 0 0 0 0, "server" "2.6.0" => Write databases::time;
        "O(1)" "Return the current server time";
    "touch" -2, Read - fast, 1 -1 1 0, "generic" "3.2.1" => Read keys::touch;
        "O(N)" "Alters the last access time of a key(s). Returns the number of existing keys specified.";
    "ttl" 2, Read - fast, 1 1 1 0, "generic" "1.0.0" => Read expiry::ttl;
        "O(1)" "Get the time to live for a key in seconds";
    "type" 2, Read - fast, 1 1 1 0, "generic" "1.0.0" => Read keys::type_of;
        "O(1)" "Determine the type stored at key";
    "unlink" -2, Write - fast, 1 -1 1 0, "generic" "4.0.0" => Write keys::unlink;
        "O(1)" "Delete a key asynchronously in another thread. Otherwise it is just as DEL, but non blocking.";
    "unwatch" 1, Settled - fast, 0 0 0 0, "transactions" "2.2.0" => Write watching::unwatch;
        "O(1)" "Forget about all watched keys";
    "watch" -2, Settled - fast, 1 -1 1 0, "transactions" "2.2.0" => Write watching::watch;
        "O(1) for every key" "Monitor changes of keys to determine the execution of a transaction";
    "xack" -4, Write - fast, 1 1 1 0, "stream" "5.0.0" => Write stream_groups::xack;
        "O(1) for each id" "Acknowledge entries that a group was given";
    "xadd" -5, Write grows fast, 1 1 1 0, "stream" "5.0.0" => Write streams::xadd;
        "O(1), and O(N) for N entries that are trimmed" "Append an entry to a stream, and perhaps trim it";
    "xautoclaim" -6, Write - fast, 1 1 1 0, "stream" "6.2.0" => Write stream_claim::xautoclaim;
        "O(1) if COUNT is small" "Give entries that were not acknowledged for a time to another consumer";
    "xclaim" -6, Write - fast, 1 1 1 0, "stream" "5.0.0" => Write stream_claim::xclaim;
        "O(log(N))" "Give entries that were not acknowledged to another consumer";
    "xdel" -3, Write - fast, 1 1 1 0, "stream" "5.0.0" => Write streams::xdel;
        "O(1) for each entry" "Remove entries of a stream";
    "xgroup" -2, Write - -, 2 2 1 0, "stream" "5.0.0" => Write stream_groups::xgroup;
        "O(1); O(N) for N entries that a consumer gives up" "Make, move and remove groups and their consumers";
    "xinfo" -2, Read - -, 2 2 1 0, "stream" "5.0.0" => Read stream_info::xinfo;
        "O(N)" "Tell about a stream, its groups and their consumers";
    "xlen" 2, Read - fast, 1 1 1 0, "stream" "5.0.0" => Read streams::xlen;
        "O(1)" "Return the number of entries of a stream";
    "xpending" -3, Read - -, 1 1 1 0, "stream" "5.0.0" => Read stream_pending::xpending;
        "O(N)" "Tell what a group was given and has not acknowledged";
    "xrange" -4, Read - -, 1 1 1 0, "stream" "5.0.0" => Read stream_range::xrange;
        "O(log(N)+M)" "Return the entries of a stream from one id to another";
    "xread" -4, Read - -, 0 0 0 0, "stream" "5.0.0" => Read stream_read::xread;
        "O(M)" "Return the entries behind an id, of one stream or several";
    "xreadgroup" -7, Write - -, 0 0 0 0, "stream" "5.0.0" => Write stream_read::xreadgroup;
        "O(M)" "Give entries that nobody of a group was given to a consumer, or once more what it was given";
    "xrevrange" -4, Read - -, 1 1 1 0, "stream" "5.0.0" => Read stream_range::xrevrange;
        "O(log(N)+M)" "Return the entries of a stream from one id back to another";
    "xsetid" -3, Write grows fast, 1 1 1 0, "stream" "5.0.0" => Write streams::xsetid;
        "O(1)" "Set the last id of a stream";
    "xtrim" -4, Write - -, 1 1 1 0, "stream" "5.0.0" => Write streams::xtrim;
        "O(N)" "Remove the oldest entries of a stream";
    "zadd" -4, Write grows fast, 1 1 1 0, "sorted-set" "1.2.0" => Write zsets::zadd;
        "O(log(N))" "Add one or more members to a sorted set, or update its score if it already exists";
    "zcard" 2, Read - fast, 1 1 1 0, "sorted-set" "1.2.0" => Read zsets::zcard;
        "O(1)" "Get the number of members in a sorted set";
    "zcount" 4, Read - fast, 1 1 1 0, "sorted-set" "2.0.0" => Read zset_range::zcount;
        "O(log(N))" "Count the members in a sorted set with scores within the given values";
    "zdiff" -3, Read - -, 0 0 0 1, "sorted-set" "6.2.0" => Read zset_algebra::zdiff;
        "O(L + (N-K)log(N))" "Subtract multiple sorted sets";
    "zdiffstore" -4, Write grows -, 1 1 1 2, "sorted-set" "6.2.0" => Write zset_algebra::zdiffstore;
        "O(L + (N-K)log(N))" "Subtract multiple sorted sets and store the resulting sorted set in a new key";
    "zincrby" 4, Write grows fast, 1 1 1 0, "sorted-set" "1.2.0" => Write zsets::zincrby;
        "O(log(N))" "Increment the score of a member in a sorted set";
    "zinter" -3, Read - -, 0 0 0 1, "sorted-set" "6.2.0" => Read zset_algebra::zinter;
        "O(N*K)" "Intersect multiple sorted sets";
    "zintercard" -3, Read - -, 0 0 0 1, "sorted-set" "7.0.0" => Read zset_algebra::zintercard;
        "O(N*K)" "Intersect multiple sorted sets and return the cardinality of the result";
    "zinterstore" -4, Write grows -, 1 1 1 2, "sorted-set" "2.0.0" => Write zset_algebra::zinterstore;
        "O(N*K)" "Intersect multiple sorted sets and store the resulting sorted set in a new key";
    "zlexcount" 4, Read - fast, 1 1 1 0, "sorted-set" "2.8.9" => Read zset_range::zlexcount;
        "O(log(N))" "Count the number of members in a sorted set between a given lexicographical range";
    "zmpop" -4, Write - -, 0 0 0 1, "sorted-set" "7.0.0" => Write zsets::zmpop;
        "O(K)" "Remove and return members with scores in a sorted set";
    "zmscore" -3, Read - fast, 1 1 1 0, "sorted-set" "6.2.0" => Read zsets::zmscore;
        "O(N)" "Get the score associated with the given members in a sorted set";
    "zpopmax" -2, Write - fast, 1 1 1 0, "sorted-set" "5.0.0" => Write zsets::zpopmax;
        "O(log(N)*M)" "Remove and return members with the highest scores in a sorted set";
    "zpopmin" -2, Write - fast, 1 1 1 0, "sorted-set" "5.0.0" => Write zsets::zpopmin;
        "O(log(N)*M)" "Remove and return members with the lowest scores in a sorted set";
    "zrandmember" -2, Settled - -, 1 1 1 0, "sorted-set" "6.2.0" => Write random::zrandmember;
        "O(N)" "Get one or multiple random elements from a sorted set";
    "zrange" -4, Read - -, 1 1 1 0, "sorted-set" "1.2.0" => Read zset_range::zrange;
        "O(log(N)+M)" "Return a range of members in a sorted set";
    "zrangebylex" -4, Read - -, 1 1 1 0, "sorted-set" "2.8.9" => Read zset_range::zrangebylex;
        "O(log(N)+M)" "Return a range of members in a sorted set, by lexicographical range";
    "zrangebyscore" -4, Read - -, 1 1 1 0, "sorted-set" "1.0.5" => Read zset_range::zrangebyscore;
        "O(log(N)+M)" "Return a range of members in a sorted set, by score";
    "zrangestore" -5, Write grows -, 1 2 1 0, "sorted-set" "6.2.0" => Write zset_range::zrangestore;
        "O(log(N)+M)" "Store a range of members from sorted set into another key";
    "zrank" -3, Read - fast, 1 1 1 0, "sorted-set" "2.0.0" => Read zsets::zrank;
        "O(log(N))" "Determine the index of a member in a sorted set";
    "zrem" -3, Write - fast, 1 1 1 0, "sorted-set" "1.2.0" => Write zsets::zrem;
        "O(M*log(N))" "Remove one or more members from a sorted set";
    "zremrangebylex" 4, Write - -, 1 1 1 0, "sorted-set" "2.8.9" => Write zset_range::zremrangebylex;
        "O(log(N)+M)" "Remove all members in a sorted set between the given lexicographical range";
    "zremrangebyrank" 4, Write - -, 1 1 1 0, "sorted-set" "2.0.0" => Write zset_range::zremrangebyrank;
        "O(log(N)+M)" "Remove all members in a sorted set within the given indexes";
    "zremrangebyscore" 4, Write - -, 1 1 1 0, "sorted-set" "1.2.0" => Write zset_range::zremrangebyscore;
        "O(log(N)+M)" "Remove all members in a sorted set within the given scores";
    "zrevrange" -4, Read - -, 1 1 1 0, "sorted-set" "1.2.0" => Read zset_range::zrevrange;
        "O(log(N)+M)" "Return a range of members in a sorted set, by index, with scores ordered from high to low";
    "zrevrangebylex" -4, Read - -, 1 1 1 0, "sorted-set" "2.8.9" => Read zset_range::zrevrangebylex;
        "O(log(N)+M)" "Return a range of members in a sorted set, by lexicographical range, ordered from higher to lower strings.";
    "zrevrangebyscore" -4, Read - -, 1 1 1 0, "sorted-set" "2.2.0" => Read zset_range::zrevrangebyscore;
        "O(log(N)+M)" "Return a range of members in a sorted set, by score, with scores ordered from high to low";
    "zrevrank" -3, Read - fast, 1 1 1 0, "sorted-set" "2.0.0" => Read zsets::zrevrank;
        "O(log(N))" "Determine the index of a member in a sorted set, with scores ordered from high to low";
    "zscan" -3, Read - -, 1 1 1 0, "sorted-set" "2.8.0" => Read scan::zscan;
        "O(1)" "Incrementally iterate sorted sets elements and associated scores";
    "zscore" 3, Read - fast, 1 1 1 0, "sorted-set" "1.2.0" => Read zsets::zscore;
        "O(1)" "Get the score associated with the given member in a sorted set";
    "zunion" -3, Read - -, 0 0 0 1, "sorted-set" "6.2.0" => Read zset_algebra::zunion;
        "O(N)" "Add multiple sorted sets";
    "zunionstore" -4, Write grows -, 1 1 1 2, "sorted-set" "2.0.0" => Write zset_algebra::zunionstore;
        "O(N)" "Add multiple sorted sets and store the resulting sorted set in a new key";
};
