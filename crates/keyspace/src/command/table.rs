//! Every command that the state machine knows, as data.
//!
//! One row is: name and arity; kind, whether it grows the data, whether it is fast; first key, last key and step as
//! `COMMAND` gives them, and at which argument the number of further keys stands (0: nowhere); group, and the version
//! of Redis that had it first; the function; the time that it takes, with the meanings of the letters that Redis'
//! documentation gives them; what it does.

use super::{Command, Kind, Run, Spec};
use crate::commands::{counters, databases, expiry, keys, random, scan, set, strings};

macro_rules! table {
    (@grows grows) => { true };
    (@grows -) => { false };
    (@fast fast) => { true };
    (@fast -) => { false };
    ($($name:literal $arity:literal, $kind:ident $grows:tt $fast:tt, $first:literal $last:literal $step:literal $count_at:literal,
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
        "O(1). The amortized time complexity is O(1) assuming the appended value is small and the already present value is of any size, since the dynamic string library used by Redis will double the free space available on every reallocation."
        "Append a value to a key";
    "copy" -3, Write grows -, 1 2 1 0, "generic" "6.2.0" => Write keys::copy;
        "O(N) worst case for collections, where N is the number of nested items. O(1) for string values."
        "Copy a key";
    "dbsize" 1, Read - fast, 0 0 0 0, "server" "1.0.0" => Read databases::dbsize;
        "O(1)"
        "Return the number of keys in the selected database";
    "decr" 2, Write grows fast, 1 1 1 0, "string" "1.0.0" => Write counters::decr;
        "O(1)"
        "Decrement the integer value of a key by one";
    "decrby" 3, Write grows fast, 1 1 1 0, "string" "1.0.0" => Write counters::decrby;
        "O(1)"
        "Decrement the integer value of a key by the given number";
    "del" -2, Write - -, 1 -1 1 0, "generic" "1.0.0" => Write keys::del;
        "O(N) where N is the number of keys that will be removed. When a key to remove holds a value other than a string, the individual complexity for this key is O(M) where M is the number of elements in the list, set, sorted set or hash. Removing a single key that holds a string value is O(1)."
        "Delete a key";
    "exists" -2, Read - fast, 1 -1 1 0, "generic" "1.0.0" => Read keys::exists;
        "O(N) where N is the number of keys to check."
        "Determine if a key exists";
    "expire" -3, Write - fast, 1 1 1 0, "generic" "1.0.0" => Write expiry::expire;
        "O(1)"
        "Set a key's time to live in seconds";
    "expireat" -3, Write - fast, 1 1 1 0, "generic" "1.2.0" => Write expiry::expireat;
        "O(1)"
        "Set the expiration for a key as a UNIX timestamp";
    "expiretime" 2, Read - fast, 1 1 1 0, "generic" "7.0.0" => Read expiry::expiretime;
        "O(1)"
        "Get the expiration Unix timestamp for a key";
    "flushall" -1, Write - -, 0 0 0 0, "server" "1.0.0" => Write databases::flushall;
        "O(N) where N is the total number of keys in all databases"
        "Remove all keys from all databases";
    "flushdb" -1, Write - -, 0 0 0 0, "server" "1.0.0" => Write databases::flushdb;
        "O(N) where N is the number of keys in the selected database"
        "Remove all keys from the current database";
    "get" 2, Read - fast, 1 1 1 0, "string" "1.0.0" => Read strings::get;
        "O(1)"
        "Get the value of a key";
    "getdel" 2, Write - fast, 1 1 1 0, "string" "6.2.0" => Write strings::getdel;
        "O(1)"
        "Get the value of a key and delete the key";
    "getex" -2, Write - fast, 1 1 1 0, "string" "6.2.0" => Write set::getex;
        "O(1)"
        "Get the value of a key and optionally set its expiration";
    "getrange" 4, Read - -, 1 1 1 0, "string" "2.4.0" => Read strings::getrange;
        "O(N) where N is the length of the returned string. The complexity is ultimately determined by the returned length, but because creating a substring from an existing string is very cheap, it can be considered O(1) for small strings."
        "Get a substring of the string stored at a key";
    "getset" 3, Write grows fast, 1 1 1 0, "string" "1.0.0" => Write strings::getset;
        "O(1)"
        "Set the string value of a key and return its old value";
    "hrandfield" -2, Settled - -, 1 1 1 0, "hash" "6.2.0" => Write random::hrandfield;
        "O(N) where N is the number of fields returned"
        "Get one or multiple random fields from a hash";
    "hscan" -3, Read - -, 1 1 1 0, "hash" "2.8.0" => Read scan::hscan;
        "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.."
        "Incrementally iterate hash fields and associated values";
    "incr" 2, Write grows fast, 1 1 1 0, "string" "1.0.0" => Write counters::incr;
        "O(1)"
        "Increment the integer value of a key by one";
    "incrby" 3, Write grows fast, 1 1 1 0, "string" "1.0.0" => Write counters::incrby;
        "O(1)"
        "Increment the integer value of a key by the given amount";
    "incrbyfloat" 3, Write grows fast, 1 1 1 0, "string" "2.6.0" => Write counters::incrbyfloat;
        "O(1)"
        "Increment the float value of a key by the given amount";
    "keys" 2, Read - -, 0 0 0 0, "generic" "1.0.0" => Read scan::keys;
        "O(N) with N being the number of keys in the database, under the assumption that the key names in the database and the given pattern have limited length."
        "Find all keys matching the given pattern";
    "memory" -2, Read - -, 2 2 1 0, "server" "4.0.0" => Read keys::memory;
        "O(1)"
        "Tell what a key occupies";
    "mget" -2, Read - fast, 1 -1 1 0, "string" "1.0.0" => Read strings::mget;
        "O(N) where N is the number of keys to retrieve."
        "Get the values of all the given keys";
    "move" 3, Write - fast, 1 1 1 0, "generic" "1.0.0" => Write databases::move_key;
        "O(1)"
        "Move a key to another database";
    "mset" -3, Write grows -, 1 -1 2 0, "string" "1.0.1" => Write strings::mset;
        "O(N) where N is the number of keys to set."
        "Set multiple keys to multiple values";
    "msetnx" -3, Write grows -, 1 -1 2 0, "string" "1.0.1" => Write strings::msetnx;
        "O(N) where N is the number of keys to set."
        "Set multiple keys to multiple values, only if none of the keys exist";
    "object" -2, Read - -, 2 2 1 0, "generic" "2.2.3" => Read keys::object;
        "O(1)"
        "Inspect the object at a key";
    "persist" 2, Write - fast, 1 1 1 0, "generic" "2.2.0" => Write expiry::persist;
        "O(1)"
        "Remove the expiration from a key";
    "pexpire" -3, Write - fast, 1 1 1 0, "generic" "2.6.0" => Write expiry::pexpire;
        "O(1)"
        "Set a key's time to live in milliseconds";
    "pexpireat" -3, Write - fast, 1 1 1 0, "generic" "2.6.0" => Write expiry::pexpireat;
        "O(1)"
        "Set the expiration for a key as a UNIX timestamp specified in milliseconds";
    "pexpiretime" 2, Read - fast, 1 1 1 0, "generic" "7.0.0" => Read expiry::pexpiretime;
        "O(1)"
        "Get the expiration Unix timestamp for a key in milliseconds";
    "psetex" 4, Write grows -, 1 1 1 0, "string" "2.6.0" => Write set::psetex;
        "O(1)"
        "Set the value and expiration in milliseconds of a key";
    "pttl" 2, Read - fast, 1 1 1 0, "generic" "2.6.0" => Read expiry::pttl;
        "O(1)"
        "Get the time to live for a key in milliseconds";
    "randomkey" 1, Settled - -, 0 0 0 0, "generic" "1.0.0" => Write random::randomkey;
        "O(1)"
        "Return a random key from the keyspace";
    "rename" 3, Write - -, 1 2 1 0, "generic" "1.0.0" => Write keys::rename;
        "O(1)"
        "Rename a key";
    "renamenx" 3, Write - fast, 1 2 1 0, "generic" "1.0.0" => Write keys::renamenx;
        "O(1)"
        "Rename a key, only if the new key does not exist";
    "scan" -2, Read - -, 0 0 0 0, "generic" "2.8.0" => Read scan::scan;
        "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection."
        "Incrementally iterate the keys space";
    "set" -3, Write grows -, 1 1 1 0, "string" "1.0.0" => Write set::set;
        "O(1)"
        "Set the string value of a key";
    "setex" 4, Write grows -, 1 1 1 0, "string" "2.0.0" => Write set::setex;
        "O(1)"
        "Set the value and expiration of a key";
    "setnx" 3, Write grows fast, 1 1 1 0, "string" "1.0.0" => Write set::setnx;
        "O(1)"
        "Set the value of a key, only if the key does not exist";
    "setrange" 4, Write grows -, 1 1 1 0, "string" "2.2.0" => Write strings::setrange;
        "O(1), not counting the time taken to copy the new string in place. Usually, this string is very small so the amortized complexity is O(1). Otherwise, complexity is O(M) with M being the length of the value argument."
        "Overwrite part of a string at key starting at the specified offset";
    "srandmember" -2, Settled - -, 1 1 1 0, "set" "1.0.0" => Write random::srandmember;
        "Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count."
        "Get one or multiple random members from a set";
    "sscan" -3, Read - -, 1 1 1 0, "set" "2.8.0" => Read scan::sscan;
        "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.."
        "Incrementally iterate Set elements";
    "strlen" 2, Read - fast, 1 1 1 0, "string" "2.2.0" => Read strings::strlen;
        "O(1)"
        "Get the length of the value stored in a key";
    "substr" 4, Read - -, 1 1 1 0, "string" "1.0.0" => Read strings::substr;
        "O(N) where N is the length of the returned string. The complexity is ultimately determined by the returned length, but because creating a substring from an existing string is very cheap, it can be considered O(1) for small strings."
        "Get a substring of the string stored at a key";
    "swapdb" 3, Write - fast, 0 0 0 0, "server" "4.0.0" => Write databases::swapdb;
        "O(N) where N is the count of clients watching or blocking on keys from both databases."
        "Swaps two Redis databases";
    "time" 1, Settled - fast, 0 0 0 0, "server" "2.6.0" => Write databases::time;
        "O(1)"
        "Return the current server time";
    "touch" -2, Read - fast, 1 -1 1 0, "generic" "3.2.1" => Read keys::touch;
        "O(N) where N is the number of keys that will be touched."
        "Alters the last access time of a key(s). Returns the number of existing keys specified.";
    "ttl" 2, Read - fast, 1 1 1 0, "generic" "1.0.0" => Read expiry::ttl;
        "O(1)"
        "Get the time to live for a key in seconds";
    "type" 2, Read - fast, 1 1 1 0, "generic" "1.0.0" => Read keys::type_of;
        "O(1)"
        "Determine the type stored at key";
    "unlink" -2, Write - fast, 1 -1 1 0, "generic" "4.0.0" => Write keys::unlink;
        "O(1) for each key removed regardless of its size. Then the command does O(N) work in a different thread in order to reclaim memory, where N is the number of allocations the deleted objects where composed of."
        "Delete a key asynchronously in another thread. Otherwise it is just as DEL, but non blocking.";
    "zrandmember" -2, Settled - -, 1 1 1 0, "sorted-set" "6.2.0" => Write random::zrandmember;
        "O(N) where N is the number of elements returned"
        "Get one or multiple random elements from a sorted set";
    "zscan" -3, Read - -, 1 1 1 0, "sorted-set" "2.8.0" => Read scan::zscan;
        "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.."
        "Incrementally iterate sorted sets elements and associated scores";
};
