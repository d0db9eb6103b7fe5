"""Pottery's Redlock and redis-py's Lock, unchanged, while the primary is killed: locks.py PORT PORT PORT

Workers at the nodes that stay read a number and write the next one, under a lock. No two may be inside."""

import sys
import threading
from importlib.metadata import version

import pottery
import redis
from nodes import Nodes, check

ROUNDS = 20
nodes = Nodes([int(port) for port in sys.argv[1:]])
# Longer than a failover: what a lock that has lapsed may do is no question of the store.
KINDS = {
    "redis-py": lambda client: client.lock("lock", timeout=20, sleep=0.01),
    "pottery": lambda client: pottery.Redlock(key="lock", masters={client}, auto_release_time=20),
}


class Worker(threading.Thread):
    inside = 0

    def __init__(self, name, port):
        super().__init__()
        self.client = redis.Redis(port=port)
        self.number, self.lock = f"number:{name}", KINDS[name]
        self.rounds, self.failure = 0, None

    def run(self):
        try:
            for _ in range(ROUNDS):
                with self.lock(self.client):
                    Worker.inside += 1
                    check(Worker.inside, 1)
                    self.client.set(self.number, int(self.client.get(self.number) or 0) + 1)
                    Worker.inside -= 1
                self.rounds += 1
        except Exception as failure:
            self.failure = failure


for name in KINDS:
    workers = [Worker(name, nodes.stay[at % 2]) for at in range(4)]
    for worker in workers:
        worker.start()
    # The first kind meets the failover; the second goes on after it.
    while not nodes.killed.wait(0.01):
        if sum(worker.rounds for worker in workers) >= ROUNDS:
            nodes.kill()
    for worker in workers:
        worker.join()
        assert worker.failure is None, repr(worker.failure)
    check(int(redis.Redis(port=nodes.stay[0]).get(f"number:{name}")), 4 * ROUNDS)
print(
    f"Locks of redis-py {version('redis')} and pottery {version('pottery')}: {8 * ROUNDS} rounds, the primary killed: "
    "none inside with another"
)
