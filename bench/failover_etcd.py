#!/usr/bin/env python3
"""For how long can nobody write to etcd when its leader fails? The peer of `onecopy-bench failover --replication raft`.

    bench/failover_etcd.py [--rounds 50] [--cases kill,pause,follower]

Three members with their default timeouts (heartbeats every 100 ms, elections after 1,000 ms). Eight writers at the members
that survive write all the time, with a pause of 1 ms after each answer, as with Onecopy. A round: half a second of quiet,
the fault, two seconds or until it is over, heal, wait until all members are healthy. Milliseconds without an acknowledged
write. Only the Python standard library is needed, and an etcd on the PATH (Debian: apt-get install etcd-server).
"""

import argparse
import base64
import http.client
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from compare import free_ports

NAMES = ["a", "b", "c"]
WRITERS = 8
PAUSE = 0.001
QUIET = 0.5
TITLES = {
    "kill": "kill -9 of the leader",
    "pause": "SIGSTOP of the leader",
    "follower": "kill -9 of a follower",
}


class Cluster:
    def __init__(self, directory):
        self.directory = directory
        ports = free_ports(6)
        self.client = dict(zip(NAMES, ports[:3]))
        self.peer = dict(zip(NAMES, ports[3:]))
        self.processes = {}
        for name in NAMES:
            self.start(name)

    def start(self, name):
        own, peer = f"http://127.0.0.1:{self.client[name]}", f"http://127.0.0.1:{self.peer[name]}"
        members = ",".join(f"{other}=http://127.0.0.1:{port}" for other, port in self.peer.items())
        self.processes[name] = subprocess.Popen(
            ["etcd", "--name", name, "--data-dir", os.path.join(self.directory, name)]
            + ["--listen-client-urls", own, "--advertise-client-urls", own]
            + ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
            + ["--initial-cluster", members, "--logger", "zap", "--log-outputs", "/dev/null"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def leader(self):
        """Who leads, once all members say the same and none is behind."""
        for _ in range(300):
            try:
                said = {name: ask(self.client[name], "maintenance/status", {}) for name in NAMES}
                ids = {answer["header"]["member_id"]: name for name, answer in said.items()}
                leaders = {answer.get("leader", "0") for answer in said.values()}
                if len(leaders) == 1 and leaders <= set(ids):
                    return ids[leaders.pop()]
            except (OSError, http.client.HTTPException, KeyError, ValueError):
                pass
            time.sleep(0.1)
        sys.exit("etcd has no leader")

    def stop(self):
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


def ask(port, what, body, timeout=2.0):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    connection.request("POST", f"/v3/{what}", json.dumps(body))
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


class Load:
    """Writers at some members, and the longest time in which none of them had an answer."""

    def __init__(self, ports):
        self.lock = threading.Lock()
        self.last, self.longest, self.errors, self.ends = time.monotonic(), 0.0, 0, False
        write = lambda number: self.write(number, ports[number % len(ports)])
        self.threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
        for thread in self.threads:
            thread.start()

    def write(self, number, port):
        connection, count = http.client.HTTPConnection("127.0.0.1", port, timeout=10), 0
        while not self.ends:
            count += 1
            key = base64.b64encode(f"{number}:{count % 100}".encode()).decode()
            try:
                connection.request("POST", "/v3/kv/put", json.dumps({"key": key, "value": key}))
                response = connection.getresponse()
                response.read()
                failed = response.status != 200
            except (OSError, http.client.HTTPException):
                connection, failed = http.client.HTTPConnection("127.0.0.1", port, timeout=10), True
            with self.lock:
                self.errors += failed
                if not failed:
                    now = time.monotonic()
                    self.longest, self.last = max(self.longest, now - self.last), now
            time.sleep(PAUSE)

    def take_longest(self):
        with self.lock:
            longest, self.longest = max(self.longest, time.monotonic() - self.last), 0.0
            return longest * 1000

    def stop(self):
        self.ends = True
        for thread in self.threads:
            thread.join()


def run(case, cluster):
    """One round: the quiet before, the time without a write, and the errors."""
    leader = cluster.leader()
    victim = leader if case != "follower" else next(name for name in NAMES if name != leader)
    load = Load([cluster.client[name] for name in NAMES if name != victim])
    time.sleep(QUIET)
    load.take_longest()
    time.sleep(QUIET)
    quiet = load.take_longest()
    process = cluster.processes[victim]
    process.send_signal(signal.SIGSTOP if case == "pause" else signal.SIGKILL)
    began = load.last
    while time.monotonic() - began < 2 or (load.last <= began and time.monotonic() - began < 30):
        time.sleep(0.05)
    gap = load.take_longest()
    if case == "pause":
        process.send_signal(signal.SIGCONT)
    else:
        process.wait()
        cluster.start(victim)
    cluster.leader()
    load.stop()
    return quiet, gap, load.errors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--cases", default=",".join(TITLES))
    arguments = parser.parse_args()
    if not shutil.which("etcd"):
        sys.exit("there is no etcd on the PATH (apt-get install etcd-server)")
    print("| case (etcd) | rounds | quiet | median | p99 | max | errors |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for case in arguments.cases.split(","):
        with tempfile.TemporaryDirectory(prefix="onecopy-etcd-") as directory:
            cluster = Cluster(directory)
            try:
                rounds = [run(case, cluster) for _ in range(arguments.rounds)]
            finally:
                cluster.stop()
        quiet, gaps, errors = (list(column) for column in zip(*rounds))
        gaps.sort()
        p99 = gaps[min(len(gaps) - 1, int(len(gaps) * 0.99))]
        row = [TITLES[case], len(gaps)] + [round(number) for number in (statistics.median(quiet), statistics.median(gaps), p99, gaps[-1])]
        print("|", " | ".join(map(str, row + [sum(errors)])), "|", flush=True)


if __name__ == "__main__":
    main()
