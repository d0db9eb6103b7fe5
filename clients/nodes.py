"""What the programs here do to a cluster of which they know the ports: who leads, who stays, and kill -9."""

import os
import signal
import threading

import redis


def look(port):
    client = redis.Redis(port=port)
    info = client.info("everything")
    client.close()
    return port, info["process_id"], info["onecopy_node"] == info["onecopy_primary"]


class Nodes:
    """`primary`, and the ports of those who `stay` when it is killed."""

    def __init__(self, ports):
        nodes = [look(port) for port in ports]
        leading = [node for node in nodes if node[2]]
        assert len(leading) == 1, nodes
        self.primary, self.process, _ = leading[0]
        self.stay = [port for port, _, leads in nodes if not leads]
        self.killed = threading.Event()

    def kill(self):
        os.kill(self.process, signal.SIGKILL)
        self.killed.set()


def check(actual, expected):
    assert actual == expected, f"{actual!r} instead of {expected!r}"
