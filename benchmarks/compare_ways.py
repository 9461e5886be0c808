"""The cost of a message, a connection and a task: greenio beside gevent, asyncio and threads, as a table.

pip install '.[bench]' && python benchmarks/compare_ways.py [--rounds 5] [--seconds 0.5]

It has four rows of the other benchmarks, and beside them Python's own ways: asyncio's streams on its own loop, and a
thread for each connection. docs/draw_speed.py draws a picture of the output.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys

import compare_io

WAYS = ["greenio", "gevent", "asyncio", "threads"]
ROWS = {
    "echo-50-1k": ("a message of 1 KiB, echoed", "µs"),
    "churn": ("a connection accepted, served and closed", "µs"),
    "task": ("a task started and waited for", "µs"),
    "idle": ("memory of a connection that waits", "KB"),
}

TASKS = 20_000

TASK = {
    "greenio": "greenio.joinall([greenio.spawn(nothing) for _ in range(count)])",
    "gevent": "gevent.joinall([gevent.spawn(nothing) for _ in range(count)])",
    "asyncio": "asyncio.run(main(count))",
    "threads": "run_threads(count)",
}
PROGRAM = """
import asyncio, sys, threading, time
{imports}

def nothing():
    pass

async def nothing_async():
    pass

async def main(count):
    await asyncio.gather(*[asyncio.create_task(nothing_async()) for _ in range(count)])

def run_threads(count):
    for _ in range(count // 100):
        threads = [threading.Thread(target=nothing) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

def run(count):
    {task}

run(1000)
begun = time.process_time()
run({count})
print((time.process_time() - begun) / {count} * 1e6)
"""


def task(way, rounds):
    """Return the CPU microseconds for a task that does nothing: the median of fresh processes."""
    imports = f"import {way}" if way in ("greenio", "gevent") else ""
    program = PROGRAM.format(imports=imports, task=TASK[way], count=TASKS)
    command = [sys.executable, "-c", program]
    figures = [float(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout) for _ in range(rounds)]
    return statistics.median(figures)


def measure(row, options):
    """Return the figure of each way ({way: float})."""
    if row == "task":
        return {way: task(way, options.rounds) for way in WAYS}
    if row == "idle":
        return {way: compare_io.idle_memory(way, connections=2000) / 1000 for way in WAYS}
    return compare_io.measure(row, options.rounds, options.seconds, WAYS)


def main():
    parser = argparse.ArgumentParser(description="Compare greenio with gevent, asyncio and threads.")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each round; default: %(default)s")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
    print(f"| | | {' | '.join(WAYS)} |\n" + "| --- " * (len(WAYS) + 2) + "|")
    for row, (title, unit) in ROWS.items():
        figures = measure(row, options)
        print(f"| {title} | {unit} | {' | '.join(f'{figures[way]:.3g}' for way in WAYS)} |", flush=True)


if __name__ == "__main__":
    main()
