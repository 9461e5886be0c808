"""Tasks for celery's worker with greenio's pool, and a program that sends them and waits for their results.

    pip install greenio 'celery[redis]'
    python examples/celery_stack.py             # redis and two workers, in another terminal
    python examples/celery_tasks.py             # 200 tasks that wait for a second each

A worker runs 500 of them at once in one process:

    export CELERY_CUSTOM_WORKER_POOL=greenio.contrib.celery:TaskPool
    celery -A celery_tasks worker -P custom -c 500
"""

import argparse
import os
import time

from celery import Celery, group
from celery.exceptions import SoftTimeLimitExceeded

REDIS = os.environ.get("EXAMPLE_REDIS", "redis://127.0.0.1:6390/0")

app = Celery("celery_tasks", broker=REDIS, backend=REDIS)
app.conf.update(
    broker_connection_retry_on_startup=True,
    # A worker takes no more from redis than it can begin, so that the other one has its share.
    worker_prefetch_multiplier=1,
    # redis delivers a task again that nobody has acknowledged for so long: longer than any task takes.
    broker_transport_options={"visibility_timeout": 3600},
    # A worker acknowledges a task when it has ended: one that dies with its worker is run again.
    task_acks_late=True,
    result_expires=3600,
)


@app.task(soft_time_limit=5, time_limit=10)
def ask_a_service(number, seconds):
    """Ask somebody who is slow: hundreds of these wait at once. Running it twice does no harm."""
    try:
        time.sleep(seconds)  # in a patched worker all others go on
    except SoftTimeLimitExceeded:
        return None
    return [number, os.getpid()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=1.0, help="that each task waits")
    options = parser.parse_args()
    began = time.monotonic()
    sent = group(ask_a_service.s(number, options.seconds) for number in range(options.tasks)).apply_async()
    results = [result for result in sent.get(timeout=600) if result is not None]
    took = time.monotonic() - began
    workers = {worker for _, worker in results}
    print(f"{len(results)} tasks of {options.seconds} s in {took:.1f} s, by {len(workers)} workers")


if __name__ == "__main__":
    main()
