"""RQ and Celery, unchanged, while the primary is killed: jobs.py rq|celery PORT PORT PORT

Those who ask and those who work are at the nodes that stay, and at different ones; half way the primary's process
is killed with kill -9. Every job must be done. How many were done twice is printed: RQ starts a job again only
if it has failed, and Celery promises at most once as long as it acknowledges before it works (its default)."""

import os
import subprocess
import sys
import tempfile
from importlib.metadata import version

import redis
from celery import Celery, chord, group
from nodes import Nodes, check
from rq import Queue, Retry

here = os.path.dirname(os.path.abspath(__file__))
broker = os.environ.get("BROKER", "redis://127.0.0.1")
app = Celery("jobs", broker=f"{broker}/1", backend=f"{broker}/2")


def ran(name):
    """Tells of a job that runs, where nothing goes astray with it."""
    with open(os.environ["RUNS"], "a") as runs:
        runs.write(f"{name}\n")


def twice():
    with open(os.environ["RUNS"]) as runs:
        names = runs.read().split()
    return len(names) - len(set(names))


@app.task(bind=True)
def add(self, first, second):
    ran(self.request.id)
    return first + second


@app.task
def total(numbers):
    return sum(numbers)


def double(number):
    ran(number)
    return number * 2


def run_rq(nodes, urls):
    queue = Queue("high", connection=redis.Redis.from_url(urls[0]))
    jobs = [queue.enqueue("jobs.double", number, retry=Retry(max=2)) for number in range(20)]
    command = [sys.executable, "-m", "rq.cli", "worker", "--quiet", "--url"]
    workers = [subprocess.Popen([*command, url, "high"], cwd=here) for url in urls]
    try:
        for number in range(20, 60):
            jobs.append(queue.enqueue("jobs.double", number, retry=Retry(max=2)))
            if number == 30:
                nodes.kill()
        results = [job.latest_result(timeout=60) for job in jobs]
        check([result.return_value for result in results], [2 * number for number in range(60)])
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            check(worker.wait(timeout=60), 0)
    print(f"RQ {version('rq')}: 60 jobs, the primary killed half way: all done, {twice()} of them twice")


def run_celery(nodes, urls):
    environment = {**os.environ, "BROKER": urls[1], "C_FORCE_ROOT": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "celery", "-A", "jobs", "worker", "--concurrency", "2", "--loglevel", "ERROR"]
    worker = subprocess.Popen([*command, "--without-mingle"], cwd=here, env=environment, stdout=subprocess.DEVNULL)
    try:
        app.conf.update(broker_url=f"{urls[0]}/1", result_backend=f"{urls[0]}/2")
        results = [add.delay(number, 1) for number in range(100)]
        check([result.get(timeout=60) for result in results[:50]], [number + 1 for number in range(50)])
        nodes.kill()
        results += [add.delay(number, 1) for number in range(100, 200)]
        check([result.get(timeout=60) for result in results], [number + 1 for number in range(200)])
        check(chord([add.s(number, number) for number in range(10)])(total.s()).get(timeout=60), 90)
        check(group(add.s(number, 2) for number in range(20))().get(timeout=60), list(range(2, 22)))
        check(add.apply_async((1, 2), countdown=1).get(timeout=60), 3)
    finally:
        worker.terminate()
        worker.wait(timeout=60)
    print(
        f"Celery {version('celery')}: 232 tasks, a chord, a group and a delay, the primary killed half way: all done, "
        f"{twice()} of them twice"
    )


if __name__ == "__main__":
    nodes = Nodes([int(port) for port in sys.argv[2:]])
    urls = [f"redis://127.0.0.1:{port}" for port in nodes.stay]
    with tempfile.NamedTemporaryFile() as runs:
        os.environ["RUNS"] = runs.name
        {"rq": run_rq, "celery": run_celery}[sys.argv[1]](nodes, urls)
