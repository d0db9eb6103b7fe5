"""A mixed run of commands with redis-py: mixed.py PORT PROTOCOL PORT_OF_ANOTHER_NODE"""

import sys
import time
import uuid

import redis

port, protocol, elsewhere = map(int, sys.argv[1:4])
r = redis.Redis(port=port, protocol=protocol, decode_responses=True, client_name="mixed-py")


def check(actual, expected):
    assert actual == expected, f"{actual!r} instead of {expected!r}"


check(r.ping(), True)
check(r.echo("hello"), "hello")
check(r.client_getname(), "mixed-py")
assert r.client_id() > 0
assert "loading" in r.info("persistence")
assert r.command_count() > 100
check(r.config_get("save"), {"save": ""})
r.flushall()

# Strings and counters
check(r.set("s", "one"), True)
check(r.set("s", "two", nx=True), None)
check(r.set("s", "two", xx=True, get=True), "one")
check(r.append("s", "!"), 4)
check(r.getrange("s", 0, 2), "two")
check(r.setrange("s", 3, "?"), 4)
check(r.get("s"), "two?")
check([r.incr("n"), r.incrby("n", 9), r.decr("n"), r.incrbyfloat("n", 0.5)], [1, 10, 9, 9.5])
check(r.mset({"a": "1", "b": "2"}), True)
check(r.mget("a", "b", "missing"), ["1", "2", None])

# Bits and HyperLogLogs
check([r.setbit("bits", 7, 1), r.setbit("bits", 7, 1), r.getbit("bits", 7)], [0, 1, 1])
check([r.bitcount("bits"), r.bitpos("bits", 1), r.bitcount("bits", 0, 6, "BIT")], [1, 7, 0])
check(r.bitop("NOT", "bits", "bits"), 1)
check(r.bitfield("bits").incrby("u8", 0, 3, "SAT").get("u4", 0).execute(), [255, 15])
check(r.lcs("a", "b", len=True), 0)
check([r.pfadd("seen", "x", "y"), r.pfadd("seen", "x"), r.pfcount("seen")], [1, 0, 2])
check(r.pfmerge("all-seen", "seen"), True)
check(r.pfcount("all-seen", "seen"), 2)
check(r.delete("bits", "seen", "all-seen"), 3)

# Keys and expiry
check(r.exists("a", "b", "missing"), 2)
check(r.type("a"), "string")
check(r.expire("a", 100), True)
assert 99 <= r.ttl("a") <= 100
check(r.persist("a"), True)
check(r.ttl("a"), -1)
check(r.set("short", "x", px=50), True)
time.sleep(0.2)
check(r.get("short"), None)
check(sorted(r.keys("[ab]")), ["a", "b"])
check(sorted(r.scan_iter(match="*", count=3)), sorted(r.keys("*")))
check(r.dbsize(), 4)
assert r.randomkey() in {"a", "b", "s", "n"}
check(r.delete("a", "b", "missing"), 2)
seconds, micros = r.time()
assert abs(seconds - time.time()) < 5 and 0 <= micros < 1_000_000

# Hashes, lists, sets, sorted sets
check(r.hset("h", mapping={"f": "1", "g": "2"}), 2)
check(r.hgetall("h"), {"f": "1", "g": "2"})
check(r.hincrby("h", "f", 4), 5)
check(r.rpush("l", "a", "b", "c"), 3)
check(r.lpop("l"), "a")
check(r.lrange("l", 0, -1), ["b", "c"])
check(r.sadd("t", "x", "y", "z"), 3)
check(r.smembers("t"), {"x", "y", "z"})
assert r.srandmember("t") in {"x", "y", "z"}
popped = r.spop("t")
check(r.sismember("t", popped), 0)
check(r.zadd("z", {"one": 1, "two": 2, "three": 3}), 3)
pairs = [["one", 1.0], ["two", 2.0]] if protocol == 3 else [("one", 1.0), ("two", 2.0)]
check([list(pair) for pair in r.zrange("z", 0, 1, withscores=True)], [list(pair) for pair in pairs])
check(r.zscore("z", "three"), 3.0)
check([list(pair) for pair in r.zpopmin("z", 1)], [["one", 1.0]])

# Errors, databases, pipelines
try:
    r.lpush("s", "x")
    raise AssertionError("WRONGTYPE expected")
except redis.ResponseError as error:
    assert "WRONGTYPE" in str(error), error
other = redis.Redis(port=port, protocol=protocol, db=5, decode_responses=True)
check(other.get("s"), None)
other.set("s", "five")
check(other.get("s"), "five")
check(r.get("s"), "two?")
pipe = r.pipeline(transaction=False)
for i in range(1000):
    pipe.set(f"p{i}", i)
    pipe.get(f"p{i}")
check(pipe.execute(), [value for i in range(1000) for value in (True, str(i))])
big = "x" * 5_000_000
check(r.set("big", big), True)
check(r.get("big"), big)

# Transactions, and what another client does to a watched key, through another node
another = redis.Redis(port=elsewhere, protocol=protocol, decode_responses=True)
pipe = r.pipeline(transaction=True)
check(pipe.set("t", "1").incr("t").mget("t", "missing").execute(), [True, 2, ["2", None]])
with r.pipeline() as pipe:
    pipe.watch("t")
    another.set("t", "10")
    pipe.multi()
    pipe.incr("t")
    try:
        pipe.execute()
        raise AssertionError("a watched key has changed")
    except redis.WatchError:
        pass
check(r.transaction(lambda pipe: (pipe.get("t"), pipe.multi(), pipe.incr("t")), "t"), [11])
check(another.get("t"), "11")
another.close()

# A command under a token counts once, whichever nodes it is sent through
token = str(uuid.uuid4())
check(r.execute_command("ONCE", token, "INCR", "visits"), 1)
another = redis.Redis(port=elsewhere, protocol=protocol, decode_responses=True)
check(another.execute_command("ONCE", token, "INCR", "visits"), 1)
check(another.get("visits"), "1")
try:
    another.execute_command("ONCE", token, "DECR", "visits")
    raise AssertionError("a token stands for one command")
except redis.ResponseError as error:
    assert "the token was used before" in str(error), error
another.close()

r.flushdb()
check(r.dbsize(), 0)
check(other.dbsize(), 1)
other.flushall()
print(f"redis-py {redis.__version__} RESP{protocol}: fine")
