#!/usr/bin/env python3
"""Measures each family of commands on one node of Onecopy and on one Redis, and prints the ratio of their throughput.

    cargo build --release && bench/families.py [--runs 3] [--requests 200000] [--only WORD] [--json FILE]

Both servers run at the same time, and are asked in turn by redis-benchmark: 50 connections, pipelines of 16. One node,
one copy, durable in the memory of the operating system; Redis without append-only file and snapshots. The median of the
runs counts. A ratio below 0.7 is marked: profile it. On a machine where others work the numbers are noisy, and the
ratios less so.
Only the Python standard library is needed, and redis-server and redis-benchmark (Debian: apt-get install redis).
"""

import argparse
import json
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
BINARY = ROOT / "target" / "release" / "onecopy"
TOO_SLOW = 0.7

# By family: what is asked before, which makes the data, and the commands that are measured. `__rand_int__` is one of
# the keyspace of redis-benchmark (`-r`), or of the members of one key.
FAMILIES = {
    "strings": (
        ["MSET s:000000000001 value n:000000000001 1"],
        [
            "SET s:__rand_int__ value",
            "GET s:__rand_int__",
            "INCR n:__rand_int__",
            "MGET s:__rand_int__ s:__rand_int__ s:__rand_int__ s:__rand_int__",
            "APPEND appended x",
            "GETRANGE s:__rand_int__ 0 2",
            "SET s:__rand_int__ value EX 100",
        ],
    ),
    "keys": (
        [],
        [
            "EXISTS s:__rand_int__",
            "EXPIRE s:__rand_int__ 100",
            "TTL s:__rand_int__",
            "DEL s:__rand_int__",
            "TYPE s:__rand_int__",
        ],
    ),
    "bitmaps": ([], ["SETBIT bits 1000 1", "GETBIT bits 1000", "BITCOUNT bits 0 100", "BITFIELD bits INCRBY u8 100 1"]),
    "hyperloglogs": ([], ["PFADD seen __rand_int__", "PFCOUNT seen"]),
    "hashes": (
        ["HSET small a 1 b 2 c 3 d 4 e 5 f 6 g 7 h 8"],
        [
            "HSET hash field:__rand_int__ value",
            "HGET hash field:__rand_int__",
            "HINCRBY hash n 1",
            "HGETALL small",
            "HMGET small a b c",
        ],
    ),
    "lists": (
        ["RPUSH items " + " ".join(map(str, range(500)))],
        [
            "LPUSH list value",
            "RPUSH list value",
            "LPOP list",
            "RPOP list",
            "LRANGE items 0 99",
            "LINDEX items 250",
            "LMOVE items items LEFT RIGHT",
        ],
    ),
    "sets": (
        ["SADD few a b c d e f", "SADD others b d f h"],
        [
            "SADD set __rand_int__",
            "SISMEMBER set __rand_int__",
            "SPOP set",
            "SRANDMEMBER set",
            "SINTER few others",
            "SMEMBERS few",
        ],
    ),
    "sorted sets": (
        [],
        [
            "ZADD zset __rand_int__ member:__rand_int__",
            "ZSCORE zset member:__rand_int__",
            "ZINCRBY zset 1 member:__rand_int__",
            "ZRANK zset member:__rand_int__",
            "ZRANGE zset 0 9",
            "ZRANGEBYSCORE zset __rand_int__ +inf LIMIT 0 10",
            "ZPOPMIN zset",
        ],
    ),
    "streams": (
        ["XGROUP CREATE stream group $ MKSTREAM"],
        [
            "XADD stream MAXLEN ~ 1000 * field value",
            "XRANGE stream - + COUNT 10",
            "XLEN stream",
            "XREADGROUP GROUP group me COUNT 1 STREAMS stream >",
        ],
    ),
    "places": (
        [],
        [
            "GEOADD places 13.361389 38.115556 place:__rand_int__",
            "GEOPOS places place:__rand_int__",
            "GEOSEARCH places FROMLONLAT 13 38 BYRADIUS 100 km COUNT 10 ANY",
        ],
    ),
    "scripts": (
        [],
        [
            "EVAL return(redis.call('INCR',KEYS[1])) 1 n:__rand_int__",
            "EVAL return(redis.call('GET',KEYS[1])) 1 s:__rand_int__",
            "EVAL return(1) 0",
        ],
    ),
    "sorting": (["RPUSH numbers 5 3 8 1 9 2 7"], ["SORT numbers", "SORT numbers ALPHA DESC LIMIT 0 3"]),
    "channels": ([], ["PUBLISH channel message"]),
}


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def cli(port, line):
    return subprocess.run(["redis-cli", "-p", str(port), *line.split()], capture_output=True, text=True).stdout.strip()


def wait_for(port):
    deadline = time.monotonic() + 30
    while cli(port, "SET ready yes") != "OK":
        if time.monotonic() > deadline:
            sys.exit(f"nobody answers at {port}")
        time.sleep(0.1)


def measure(port, line, options):
    """Requests in a second."""
    command = [
        "redis-benchmark",
        "-p",
        str(port),
        "-c",
        "50",
        "-P",
        "16",
        "-n",
        str(options.requests),
        "-r",
        "10000",
        "--csv",
    ]
    said = subprocess.run([*command, *line.split()], capture_output=True, text=True)
    rows = [row for row in said.stdout.splitlines() if row.startswith('"') and not row.startswith('"test"')]
    if said.returncode != 0 or not rows or "ERR" in said.stdout + said.stderr:
        sys.exit(f"{line}: {said.stdout} {said.stderr}")
    # The name may have commas.
    return float(rows[-1].rsplit('","', 7)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--only", help="families or commands with this word")
    parser.add_argument("--json")
    options = parser.parse_args()
    for needed in ["redis-server", "redis-benchmark", "redis-cli"]:
        if shutil.which(needed) is None:
            sys.exit(f"there is no {needed}")
    ports = {"redis": free_port(), "onecopy": free_port()}
    data = tempfile.mkdtemp()
    node = [BINARY, "dev", "--nodes", "1", "--copies", "1", "--view-nodes", "1", "--durability", "memory"]
    node += ["--data", f"{data}/onecopy", "--port", str(ports["onecopy"]), "--http-port", str(free_port())]
    redis = ["redis-server", "--port", str(ports["redis"]), "--save", "", "--appendonly", "no", "--dir", data]
    servers = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for command in [node, redis]
    ]
    results = []
    try:
        for port in ports.values():
            wait_for(port)
        print("| family | command | Redis, 1/s | Onecopy, 1/s | ratio | |\n| --- | --- | ---: | ---: | ---: | --- |")
        for family, (before, lines) in FAMILIES.items():
            wanted = [line for line in lines if not options.only or options.only.lower() in f"{family} {line}".lower()]
            if not wanted:
                continue
            for port in ports.values():
                for line in before:
                    cli(port, line)
            for line in wanted:
                runs = {name: [] for name in ports}
                for _ in range(options.runs):
                    for name, port in ports.items():
                        runs[name].append(measure(port, line, options))
                median = {name: statistics.median(rates) for name, rates in runs.items()}
                ratio = median["onecopy"] / median["redis"]
                results.append({"family": family, "command": line, **median, "ratio": ratio})
                mark = "slow" if ratio < TOO_SLOW else ""
                shown = line.replace("__rand_int__", "#")
                print(
                    f"| {family} | `{shown}` | {median['redis']:,.0f} | {median['onecopy']:,.0f} | {ratio:.2f} | {mark} |",
                    flush=True,
                )
    finally:
        for server in servers:
            server.send_signal(signal.SIGINT)
        for server in servers:
            server.wait(timeout=30)
        shutil.rmtree(data)
    ratios = [result["ratio"] for result in results]
    print(
        f"\n{len(ratios)} commands, the median of the ratios {statistics.median(ratios):.2f}, the lowest {min(ratios):.2f}"
    )
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
