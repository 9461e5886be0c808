"""Starts redis and two workers of celery on loopback, as `docker compose up` would, and ends them on Ctrl-C.

    pip install greenio 'celery[redis]'         # and redis-server, of the system
    python examples/celery_stack.py
    python examples/celery_tasks.py             # in another terminal

Each line that one of them prints is shown with its name. When one ends, all are ended.
"""

import argparse
import os
import signal
import sys
import tempfile

import greenio
from greenio.event import Event
from greenio.socket import create_connection
from greenio.subprocess import PIPE, STDOUT, Popen

HERE = os.path.dirname(os.path.abspath(__file__))


class Stack:
    """Processes that live and end together."""

    def __init__(self):
        self.processes = {}  # name -> Popen, in the order in which they were started
        self.showing = []
        self.over = Event()
        self.ready = set()

    def start(self, name, command, **environ):
        process = Popen(
            command, cwd=HERE, env={**os.environ, **environ}, stdout=PIPE, stderr=STDOUT, text=True, bufsize=1
        )
        self.processes[name] = process
        self.showing.append(greenio.spawn(self.show, name, process))

    def show(self, name, process):
        for line in process.stdout:
            print(f"{name:8} | {line}", end="", flush=True)
            if line.rstrip().endswith(" ready."):
                self.ready.add(name)
        process.wait()
        print(f"{name:8} | has ended with status {process.returncode}", flush=True)
        self.over.set()

    def end(self):
        """End the last first: workers need redis to the end."""
        for process in reversed(self.processes.values()):
            if process.poll() is None:
                process.terminate()
            process.wait()
        greenio.joinall(self.showing)


def wait_for(port):
    while True:
        try:
            create_connection(("127.0.0.1", port), timeout=5).close()
            return
        except ConnectionRefusedError:
            greenio.sleep(0.05)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=6390, help="of redis")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--concurrency", type=int, default=500, help="tasks at once in each")
    options = parser.parse_args()

    stack = Stack()
    for signum in (signal.SIGINT, signal.SIGTERM):
        greenio.signal_handler(signum, stack.over.set)
    with tempfile.TemporaryDirectory() as folder:
        redis = ["redis-server", "--port", str(options.port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        try:
            stack.start("redis", redis)
            greenio.wait_any(greenio.spawn(wait_for, options.port), stack.over)
            names = [f"worker{number}" for number in range(1, options.workers + 1)]
            for name in names:
                command = [sys.executable, "-m", "celery", "-A", "celery_tasks", "worker", "-P", "custom"]
                command += ["-c", str(options.concurrency), "-n", f"{name}@localhost", "-l", "info"]
                stack.start(
                    name,
                    command,
                    CELERY_CUSTOM_WORKER_POOL="greenio.contrib.celery:TaskPool",
                    EXAMPLE_REDIS=f"redis://127.0.0.1:{options.port}/0",
                )
            while not stack.over.is_set() and not stack.ready.issuperset(names):
                stack.over.wait(0.1)
            if not stack.over.is_set():
                print("all are ready: python examples/celery_tasks.py; Ctrl-C ends them", flush=True)
            stack.over.wait()
        finally:
            stack.end()


if __name__ == "__main__":
    main()
