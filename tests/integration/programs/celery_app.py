"""Tasks for a worker with greenio.contrib.celery's pool. Tests read their results, and the files that they write."""

import os
import socket
import threading
import time

from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded, WorkerShutdown

app = Celery("celery_app", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    worker_enable_remote_control=True,
    result_expires=600,
    # seconds after which tasks that were not acknowledged are delivered again
    broker_transport_options={"visibility_timeout": 60},
)
barriers = {}
making = threading.Lock()


def note(path, text):
    with open(path, "a") as file:
        file.write(f"{text}\n")


def until_there(path):
    while not os.path.exists(path):
        time.sleep(0.02)


@app.task
def meet(name, number):
    """Return when so many of these run at one time."""
    with making:
        barrier = barriers.setdefault(name, threading.Barrier(number))
    barrier.wait()
    return os.getpid()


@app.task
def is_patched():
    from greenio import monkey

    return [monkey.is_module_patched("socket"), socket.socket.__module__, threading.current_thread().name]


@app.task
def add(first, second):
    return first + second


@app.task
def gated(begun, gate, ended):
    """Say that it has begun, wait for a file, and say that it has ended."""
    note(begun, "begun")
    try:
        until_there(gate)
    except BaseException as error:
        note(ended, type(error).__name__)
        raise
    note(ended, "done")
    return "done"


late_meet = app.task(name="celery_app.late_meet", acks_late=True)(meet.run)
late = app.task(name="celery_app.late", acks_late=True)(gated.run)


@app.task
def catching_the_soft_limit(seconds):
    try:
        time.sleep(seconds)
    except SoftTimeLimitExceeded as error:
        return f"caught {error}"


@app.task
def stubborn(path):
    """Catch the first two exceptions that should end the task."""
    for _ in range(2):
        try:
            time.sleep(1000)
        except BaseException as error:
            note(path, type(error).__name__)
    try:
        time.sleep(1000)
    finally:
        note(path, "ended")


@app.task
def exiting():
    raise SystemExit(3)


@app.task(bind=True, max_retries=2, default_retry_delay=0.1)
def retrying(self):
    if self.request.retries < 2:
        raise self.retry()
    return self.request.retries


@app.task
def ending_the_worker():
    raise WorkerShutdown(0)
