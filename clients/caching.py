"""redis-py with its cache in front of each node: caching.py SECONDS PORT PORT...

Readers with a cache and writers without one use all nodes, whichever die meanwhile. What a reader sees of a
counter never goes back; and when all is quiet, no cache holds what is not so any more."""

import sys
import threading
import time

import redis
from redis.cache import CacheConfig
from redis.connection import CacheProxyConnection

# It wants a Redis of 7.4, although what it uses is there from 6.0 on.
CacheProxyConnection.MIN_ALLOWED_VERSION = "6.0.0"

seconds, ports = float(sys.argv[1]), [int(port) for port in sys.argv[2:]]
KEYS = [f"counter{number}" for number in range(4)]


def connect(port, **options):
    return redis.Redis(port=port, protocol=3, socket_timeout=15, **options)


def check(actual, expected):
    assert actual == expected, f"{actual!r} instead of {expected!r}"


# One writes, the other has cached it, on whichever node.
for port in ports:
    for elsewhere in ports:
        reader = connect(port, cache_config=CacheConfig())
        writer = connect(elsewhere)
        writer.set("key", "one")
        check(reader.get("key"), b"one")
        # A node hears of that write by its feed: perhaps after the question, and then the answer is not kept.
        deadline = time.time() + 10
        while reader.get_cache().size == 0:
            assert time.time() < deadline, "nothing is ever kept"
            check(reader.get("key"), b"one")
        check(reader.get("key"), b"one")
        writer.set("key", "two")
        while reader.get("key") != b"two":
            assert time.time() < deadline, "it has never been invalidated"
        reader.set("key", "three")
        check(reader.get("key"), b"three")
        writer.delete("key")
        while reader.get("key") is not None:
            assert time.time() < deadline, "it has never been invalidated"
        reader.close()
        writer.close()

stop = threading.Event()
failures, hits, errors, writes = [], [0], [0], [0]
readers = []


def read(port):
    """Reads until all is over, and checks that nothing goes back."""
    client = connect(port, cache_config=CacheConfig())
    seen = dict.fromkeys(KEYS, 0)
    readers.append(client)
    while not stop.is_set():
        for key in KEYS:
            try:
                held = client.get_cache().size
                value = int(client.get(key) or 0)
                hits[0] += client.get_cache().size == held
            except (redis.RedisError, OSError):
                errors[0] += 1
                time.sleep(0.05)
                continue
            if value < seen[key]:
                failures.append(f"{key} at {port} went back from {seen[key]} to {value}")
            seen[key] = value


def write(port):
    client = connect(port)
    while not stop.is_set():
        for key in KEYS:
            try:
                client.incr(key)
                writes[0] += 1
            except (redis.RedisError, OSError):
                errors[0] += 1
            time.sleep(0.01)


for key in KEYS:
    connect(ports[0]).delete(key)
threads = [threading.Thread(target=read, args=[port]) for port in ports]
threads += [threading.Thread(target=write, args=[port]) for port in ports]
for thread in threads:
    thread.start()
time.sleep(seconds)
stop.set()
for thread in threads:
    thread.join()
time.sleep(2)
for key in KEYS:
    truth = None
    while truth is None:
        try:
            truth = connect(ports[0]).get(key)
        except (redis.RedisError, OSError):
            time.sleep(0.2)
    for client in readers:
        try:
            check(client.get(key), truth)
        except (redis.RedisError, OSError):
            errors[0] += 1
assert not failures, failures[:3]
assert writes[0] > 20 and hits[0] > 100, (writes, hits)
print(f"caching.py {ports}: {writes[0]} writes, {hits[0]} hits, {errors[0]} errors; nothing stale")
