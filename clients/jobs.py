"""RQ and Celery, unchanged, with their workers at other nodes than those who ask: jobs.py PORT PORT PORT"""

import os
import subprocess
import sys

import redis
from celery import Celery, chord, group
from rq import Queue, Retry

here = os.path.dirname(os.path.abspath(__file__))
broker = os.environ.get("BROKER", "redis://127.0.0.1")
app = Celery("jobs", broker=f"{broker}/1", backend=f"{broker}/2")


@app.task
def add(first, second):
    return first + second


@app.task
def total(numbers):
    return sum(numbers)


def double(number):
    return number * 2


def check(actual, expected):
    assert actual == expected, f"{actual!r} instead of {expected!r}"


def run_rq(urls):
    queue = Queue("high", connection=redis.Redis.from_url(urls[0]))
    jobs = [queue.enqueue("jobs.double", number, retry=Retry(max=2)) for number in range(40)]
    command = [sys.executable, "-m", "rq.cli", "worker", "--burst", "--quiet", "--url"]
    workers = [subprocess.Popen([*command, url, "high"], cwd=here) for url in urls[1:]]
    for worker in workers:
        check(worker.wait(timeout=120), 0)
    check([job.return_value(refresh=True) for job in jobs], [2 * number for number in range(40)])
    print("RQ: 40 jobs, all done")


def run_celery(urls):
    environment = {**os.environ, "BROKER": urls[1], "C_FORCE_ROOT": "1"}
    command = [sys.executable, "-m", "celery", "-A", "jobs", "worker", "--concurrency", "2", "--loglevel", "ERROR"]
    worker = subprocess.Popen([*command, "--without-mingle"], cwd=here, env=environment, stdout=subprocess.DEVNULL)
    try:
        app.conf.update(broker_url=f"{urls[0]}/1", result_backend=f"{urls[2]}/2")
        results = [add.delay(number, 1) for number in range(200)]
        check([result.get(timeout=60) for result in results], [number + 1 for number in range(200)])
        check(chord([add.s(number, number) for number in range(10)])(total.s()).get(timeout=60), 90)
        check(group(add.s(number, 2) for number in range(20))().get(timeout=60), list(range(2, 22)))
        check(add.apply_async((1, 2), countdown=1).get(timeout=60), 3)
    finally:
        worker.terminate()
        worker.wait(timeout=60)
    print("Celery: 232 tasks, a chord, a group and a delay, all done")


if __name__ == "__main__":
    urls = [f"redis://127.0.0.1:{port}" for port in sys.argv[1:]]
    run_rq(urls)
    run_celery(urls)
