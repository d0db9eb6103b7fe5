"""redis-py through a failover, as a client of Redis Cluster or of Sentinel:
failover.py cluster|sentinel PROTOCOL PORT PORT PORT

Threads count in keys of several slots. In the middle the primary's process is killed with kill -9. At the end
each counter must hold what was acknowledged; it may hold more, since the client sends again by itself."""

import os
import signal
import sys
import threading
import time

import redis
from redis.cluster import ClusterNode, RedisCluster
from redis.sentinel import Sentinel

kind, protocol, *ports = sys.argv[1], int(sys.argv[2]), *map(int, sys.argv[3:])
KEYS = [f"counter:{number}" for number in range(8)]
SECONDS = 4


def connect():
    if kind == "cluster":
        nodes = [ClusterNode("127.0.0.1", port) for port in ports]
        return RedisCluster(startup_nodes=nodes, protocol=protocol, decode_responses=True)
    sentinels = Sentinel([("127.0.0.1", port) for port in ports], protocol=protocol, decode_responses=True)
    return sentinels.master_for("mymaster", protocol=protocol, decode_responses=True)


def primary():
    """Where the primary takes clients, as the protocol says it."""
    if kind == "cluster":
        return connect().get_primaries()[0].port
    return Sentinel([("127.0.0.1", port) for port in ports]).discover_master("mymaster")[1]


class Counting(threading.Thread):
    def __init__(self, key):
        super().__init__()
        self.key, self.acknowledged, self.unknown, self.after_kill = key, 0, 0, 0
        self.client = connect()

    def run(self):
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            try:
                self.client.incr(self.key)
                self.acknowledged += 1
                self.after_kill += killed.is_set()
            except redis.RedisError:
                # It may have been executed, once or, as the client tries again by itself, several times.
                self.unknown += 1
                time.sleep(0.02)


killed = threading.Event()
client = connect()
for key in KEYS:
    client.delete(key)
client.set("before", "kept")
before = primary()
pid = redis.Redis(port=before).info("server")["process_id"]
threads = [Counting(key) for key in KEYS]
for thread in threads:
    thread.start()
time.sleep(SECONDS / 4)
os.kill(pid, signal.SIGKILL)
killed.set()
for thread in threads:
    thread.join()
after = primary()
assert after != before, f"{before} is dead, and still the primary"
assert client.get("before") == "kept"
for thread in threads:
    held = int(client.get(thread.key))
    assert held >= thread.acknowledged, f"{thread.key}: {held}, and {thread.acknowledged} were acknowledged"
    assert thread.after_kill > 0, f"{thread.key}: nothing was acknowledged after the failover"
client.set("after", "written")
assert client.get("after") == "written"
if kind == "sentinel":
    replica = Sentinel([("127.0.0.1", port) for port in ports]).slave_for("mymaster", decode_responses=True)
    assert replica.get("after") == "written"
acknowledged = sum(thread.acknowledged for thread in threads)
print(f"redis-py {redis.__version__}, {kind}, RESP{protocol}: {acknowledged} increments acknowledged, all there; "
      f"{sum(thread.unknown for thread in threads)} errors")
