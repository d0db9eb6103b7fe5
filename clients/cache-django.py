"""django-redis, unchanged, as a client of Sentinel, while the primary is killed: cache-django.py SENTINEL...

What was cached before is there during and after; counters hold at least what was acknowledged, and under a lock
exactly as much."""

import os
import signal
import sys
import threading
import time
from importlib.metadata import version

import django
import redis
from django.conf import settings
from redis.sentinel import Sentinel

sentinels = [("127.0.0.1", int(port)) for port in sys.argv[1:]]
settings.configure(
    DJANGO_REDIS_CONNECTION_FACTORY="django_redis.pool.SentinelConnectionFactory",
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    CACHES={
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": "redis://mymaster/0",
            "KEY_PREFIX": "site",
            "OPTIONS": {
                "CLIENT_CLASS": "django_redis.client.SentinelClient",
                "SENTINELS": sentinels,
                "CONNECTION_POOL_CLASS": "redis.sentinel.SentinelConnectionPool",
            },
        }
    },
)
django.setup()
from django.contrib.sessions.backends.cache import SessionStore  # noqa: E402
from django.core.cache import cache  # noqa: E402


def check(actual, expected):
    assert actual == expected, f"{actual!r} instead of {expected!r}"


def use_everything():
    """What an application asks of its cache."""
    cache.clear()
    check(cache.get("missing", "default"), "default")
    cache.set("page", {"title": "home"}, timeout=60)
    check(cache.get("page"), {"title": "home"})
    assert 50 < cache.ttl("page") <= 60 and 50_000 < cache.pttl("page") <= 60_000
    check(cache.persist("page"), True)
    check(cache.ttl("page"), None)
    check(cache.expire("page", 60), True)
    check([cache.add("page", "other"), cache.add("new", 1)], [False, True])
    check(cache.set("new", 2, nx=True), False)
    cache.set_many({f"many:{number}": number for number in range(50)}, timeout=60)
    check(cache.get_many(["many:1", "many:49", "missing"]), {"many:1": 1, "many:49": 49})
    check(len(list(cache.iter_keys("many:*"))), 50)
    check(sorted(cache.keys("many:1")), ["many:1"])
    check(cache.delete_pattern("many:*"), 50)
    check([cache.incr("new"), cache.decr("new", 3)], [2, -1])
    check(cache.get_or_set("computed", lambda: [1, 2], 60), [1, 2])
    check(cache.touch("computed", 10), True)
    check(cache.delete_many(["computed", "missing"]), 1)
    check(cache.incr_version("page"), 2)
    check(cache.get("page", version=2), {"title": "home"})
    check(cache.sadd("tags", "a", "b", "c"), 3)
    check([cache.sismember("tags", "a"), cache.scard("tags")], [True, 3])
    check(cache.zadd("ranks", {"first": 1, "second": 2}), 2)
    check(cache.zrange("ranks", 0, -1), ["first", "second"])
    cache.hset("fields", "field", 7)
    check([cache.hexists("fields", "field"), cache.hlen("fields")], [True, 1])
    check(cache.ttl("missing"), 0)
    session = SessionStore()
    session["user"] = 17
    session.save()
    return session.session_key


class Visitor(threading.Thread):
    def __init__(self, number):
        super().__init__()
        self.key, self.acknowledged, self.after_kill, self.errors = f"visits:{number}", 0, 0, 0
        self.locked = 0

    def run(self):
        # redis-py waits for seconds before it tries again: as long as that takes, within a minute.
        until = time.monotonic() + 60
        while self.after_kill < 50 and time.monotonic() < until:
            try:
                cache.incr(self.key)
                self.acknowledged += 1
                self.after_kill += killed.is_set()
                # Longer than redis-py tries again: one that was cut off inside writes late, and keeps the
                # others out until then.
                with cache.lock("gate", timeout=30, sleep=0.01, blocking_timeout=0.5):
                    cache.set("inside", cache.get("inside") + 1, timeout=None)
                self.locked += 1
            except redis.RedisError:
                self.errors += 1
                time.sleep(0.02)


killed = threading.Event()
session = use_everything()
cache.set("inside", 0, timeout=None)
visitors = [Visitor(number) for number in range(4)]
for visitor in visitors:
    cache.set(visitor.key, 0, timeout=None)
port = Sentinel(sentinels).discover_master("mymaster")[1]
process = redis.Redis(port=port).info("server")["process_id"]
for visitor in visitors:
    visitor.start()
time.sleep(1)
os.kill(process, signal.SIGKILL)
killed.set()
for visitor in visitors:
    visitor.join()
    assert visitor.after_kill > 0, f"{visitor.key}: nothing was acknowledged after the failover"
    held = cache.get(visitor.key)
    assert held >= visitor.acknowledged, f"{visitor.key}: {held}, and {visitor.acknowledged} were acknowledged"
locked, errors = sum(v.locked for v in visitors), sum(v.errors for v in visitors)
inside = cache.get("inside")
# Who was cut off inside may have written, and has not counted it.
assert locked <= inside <= locked + errors, (locked, inside, errors)
check(SessionStore(session)["user"], 17)
use_everything()
print(
    f"django-redis {version('django-redis')}, sentinel: {sum(v.acknowledged for v in visitors)} increments and {locked} "
    f"rounds under a lock, the primary killed: all there; {errors} errors"
)
