"""The redis_exporter of Prometheus, unchanged, at each node, while the primary is killed: exporter.py PORT PORT PORT

Of each node that lives it says that it is up, and what a dashboard shows; of the one that is killed, that it is not.
All that a dashboard shows must be there."""

import re
import socket
import subprocess
import sys
import time
import urllib.request

import redis
from nodes import Nodes, check

EXPORTER = "prometheus-redis-exporter"
# What the dashboard that comes with it shows.
SHOWN = """
    redis_uptime_in_seconds redis_connected_clients redis_blocked_clients redis_memory_used_bytes redis_memory_max_bytes
    redis_memory_used_rss_bytes redis_mem_fragmentation_ratio redis_commands_processed_total redis_commands_total
    redis_commands_duration_seconds_total redis_keyspace_hits_total redis_keyspace_misses_total redis_net_input_bytes_total
    redis_net_output_bytes_total redis_db_keys redis_db_keys_expiring redis_expired_keys_total redis_evicted_keys_total
    redis_instance_info redis_connected_slaves redis_master_repl_offset redis_slowlog_length
    redis_rejected_connections_total redis_config_maxclients redis_cpu_sys_seconds_total redis_cpu_user_seconds_total
    redis_up redis_exporter_last_scrape_error redis_last_slow_execution_duration_seconds redis_rdb_changes_since_last_save
    redis_pubsub_channels redis_mem_clients_normal
    redis_lazyfree_pending_objects redis_aof_enabled redis_errors_total redis_io_threads_active
""".split()

ports = [int(port) for port in sys.argv[1:]]
nodes = Nodes(ports)
client = redis.Redis(port=ports[0])
for number in range(20):
    client.set(f"key:{number}", number, ex=600 if number % 2 else None)
    client.get(f"key:{number}")
    client.get("missing")
try:
    client.lpush("key:1", "no list")
except redis.ResponseError:
    pass


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def scrape(port):
    """The metrics of a node by their names, each with the sum of its values."""
    url = f"http://127.0.0.1:{listens}/scrape?target=redis://127.0.0.1:{port}"
    metrics = {}
    for line in urllib.request.urlopen(url, timeout=20).read().decode().splitlines():
        if found := re.match(r"(redis_\w+)(?:{.*})? (\S+)$", line):
            metrics[found[1]] = metrics.get(found[1], 0) + float(found[2])
    return metrics


listens = free_port()
command = [EXPORTER, "-web.listen-address", f"127.0.0.1:{listens}"]
exporter = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
try:
    deadline = time.monotonic() + 30
    while True:
        try:
            scrape(nodes.stay[0])
            break
        except OSError:
            assert time.monotonic() < deadline and exporter.poll() is None, f"{EXPORTER} does not answer"
            time.sleep(0.1)
    for port in ports:
        metrics = scrape(port)
        check([name for name in SHOWN if name not in metrics], [])
        check([metrics["redis_up"], metrics["redis_exporter_last_scrape_error"]], [1, 0])
    held = scrape(nodes.primary)
    check([held["redis_db_keys"], held["redis_db_keys_expiring"]], [20, 10])
    nodes.kill()
    check(scrape(nodes.primary)["redis_up"], 0)
    for port in nodes.stay:
        # Its first write waits for the failover.
        redis.Redis(port=port).incr("after")
        metrics = scrape(port)
        check([name for name in SHOWN if name not in metrics], [])
        check([metrics["redis_up"], metrics["redis_exporter_last_scrape_error"]], [1, 0])
finally:
    exporter.terminate()
    exporter.wait()
print(f"redis_exporter: {len(SHOWN)} metrics of a dashboard, at each node, the primary killed: all there")
