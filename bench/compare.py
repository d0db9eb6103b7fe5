#!/usr/bin/env python3
"""Measures Onecopy against Redis on one machine, in turn, and prints medians, ratios and the processor time per operation.

    cargo build --release --workspace && bench/compare.py [--runs 5] [--json FILE]

Systems, each with two copies of the data:
  onecopy disk     three nodes, two copies, synced before acknowledging
  onecopy memory   the same, in the operating system of both before acknowledging
  redis async      redis-server with one replica, appendonly off: acknowledged before the replica has it
  redis WAIT 1     the same, every SET followed by WAIT 1 0 in the same pipeline (writes only)

Load: 50 connections, pipelines of 1 and of 16, 64-byte values, 100,000 keys, from one process (onecopy-bench).
Only the Python standard library is needed, and a redis-server on the PATH (Debian: apt-get install redis-server).
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARIES = ROOT / "target" / "release"
TICKS = os.sysconf("SC_CLK_TCK")


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def consecutive_ports(count):
    """The first of `count` free ports in a row."""
    for first in range(21000 + os.getpid() % 4000, 60000, count + 7):
        sockets = []
        try:
            for port in range(first, first + count):
                s = socket.socket()
                sockets.append(s)
                s.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for s in sockets:
                s.close()
    sys.exit("no free ports")


def command(port, *args):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
        s.sendall(b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%s\r\n" % (len(a), a.encode()) for a in args))
        return s.recv(65536).decode()


def wait_until(what, check, seconds=30):
    deadline = time.time() + seconds
    while time.time() < deadline:
        try:
            if check():
                return
        except OSError:
            pass
        time.sleep(0.05)
    sys.exit(f"timed out: {what}")


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


class Onecopy:
    def __init__(self, durability, directory):
        self.name = f"onecopy {durability}"
        self.first = consecutive_ports(6)
        self.directory = pathlib.Path(directory)
        self.process = subprocess.Popen(
            [BINARIES / "onecopy", "dev", "--data", directory, "--durability", durability]
            + ["--port", str(self.first), "--http-port", str(self.first + 3)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until("onecopy starts", lambda: "PONG" in command(self.first, "PING"))
        wait_until("a primary", lambda: "+OK" in command(self.first, "SET", "ready", "1"))
        self.port = self.primary_port()

    def primary_port(self):
        """The clients of Redis are connected to its primary, so ours are too."""
        wait_until("the view is shown", lambda: "onecopy_primary" in command(self.first, "INFO", "replication"))
        info = command(self.first, "INFO", "replication")
        primary = int(info.split("onecopy_primary:")[1].split()[0])
        return self.first + primary - 1

    def pids(self):
        return [node["pid"] for node in json.loads((self.directory / "cluster.json").read_text())["nodes"]]

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=20)


class Redis:
    def __init__(self, name, directory):
        self.name = name
        self.processes = []
        self.port, replica = free_ports(2)
        for port, extra in ((self.port, []), (replica, ["--replicaof", "127.0.0.1", str(self.port)])):
            home = pathlib.Path(directory) / str(port)
            home.mkdir()
            self.processes.append(subprocess.Popen(
                ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(home)] + extra,
                stdout=subprocess.DEVNULL))
        wait_until("redis replicates", lambda: "state=online" in command(self.port, "INFO", "replication"))

    def pids(self):
        return [process.pid for process in self.processes]

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(timeout=20)


def measure(system, test, pipeline, requests):
    before = cpu_seconds(system.pids())
    out = subprocess.run(
        [BINARIES / "onecopy-bench", "load", "--address", f"127.0.0.1:{system.port}", "--test", test]
        + ["--pipeline", str(pipeline), "--requests", str(requests)],
        check=True, capture_output=True, text=True).stdout
    result = json.loads(out)
    if result["errors"]:
        sys.exit(f"{system.name} answered {result['errors']} errors")
    result["cpu_per_million"] = (cpu_seconds(system.pids()) - before) / requests * 1e6
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="runs of each case; medians are printed")
    parser.add_argument("--json", help="write all results to this file")
    arguments = parser.parse_args()
    if not shutil.which("redis-server"):
        sys.exit("redis-server is not on the PATH: apt-get install redis-server")
    for binary in ("onecopy", "onecopy-bench"):
        if not (BINARIES / binary).exists():
            sys.exit(f"{BINARIES / binary} is missing: cargo build --release --workspace")

    cases = [(test, pipeline) for pipeline in (1, 16) for test in ("set", "get")]
    results = {}
    with tempfile.TemporaryDirectory() as directory:
        systems = []
        try:
            for durability in ("disk", "memory"):
                systems.append(Onecopy(durability, os.path.join(directory, durability)))
            systems.append(Redis("redis async", directory))
            for run in range(-1, arguments.runs):  # the first one warms up and does not count
                for system in systems:
                    variants = [(system.name, test, pipeline, test) for test, pipeline in cases]
                    if isinstance(system, Redis):
                        variants += [("redis WAIT 1", "set", pipeline, "set-wait") for pipeline in (1, 16)]
                    for name, test, pipeline, load in variants:
                        requests = 60_000 if pipeline == 1 else 400_000
                        result = measure(system, load, pipeline, requests)
                        if run >= 0:
                            results.setdefault((test, pipeline), {}).setdefault(name, []).append(result)
        finally:
            for system in systems:
                system.stop()

    def median(runs, key):
        return statistics.median(run[key] for run in runs)

    print(f"medians of {arguments.runs} runs, 50 connections, 64-byte values, {os.cpu_count()} cores for servers and load")
    print(f"{'test':<10}{'system':<17}{'ops/s':>10}{'min':>10}{'max':>10}{'ratio':>8}{'p50 ms':>9}{'p99 ms':>9}{'CPU s/M':>9}")
    for (test, pipeline), systems in sorted(results.items(), key=lambda item: (item[0][1], item[0][0] != "set")):
        reference = median(systems["redis async"], "per_second")
        for name, runs in systems.items():
            rates = [run["per_second"] for run in runs]
            rate = statistics.median(rates)
            print(f"{test.upper() + ' P' + str(pipeline):<10}{name:<17}{rate:>10,.0f}{min(rates):>10,.0f}{max(rates):>10,.0f}"
                  f"{rate / reference:>8.2f}{median(runs, 'p50_us') / 1000:>9.2f}{median(runs, 'p99_us') / 1000:>9.2f}"
                  f"{median(runs, 'cpu_per_million'):>9.2f}")
    print("ratio: to redis async in the same test; CPU s/M: processor seconds of all server processes per million operations")
    if arguments.json:
        rows = [{"test": t, "pipeline": p, "system": n, "runs": r} for (t, p), s in results.items() for n, r in s.items()]
        pathlib.Path(arguments.json).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
