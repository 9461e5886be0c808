"""A table of greenio beside gevent and bare greenlets: medians, each operation in fresh processes, in turn.

pip install '.[bench]' && python benchmarks/compare.py [--rounds 5] [operation ...]
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

import operations
import primitives

HERE = Path(__file__).parent
ROWS = {
    "switch": ("sleep(0) switch between two greenlets", "µs", ["greenio", "gevent"]),
    "bare_switch": ("switch between two bare greenlets", "µs", ["greenlet"]),
    "spawn": ("spawn, run and joinall, 100,000", "µs", ["greenio", "gevent"]),
    "sleepers": ("100,000 sleepers of 1 to 2,000 ms", "µs", ["greenio", "gevent"]),
    "timeout": ("with Timeout(10): pass", "µs", ["greenio", "gevent"]),
    "memory": ("memory of a greenlet parked in sleep", "bytes", ["greenio", "gevent"]),
    "signals": ("signal to handler, sleeping process", "ms", ["greenio"]),
    "queue_ping_pong": ("Queue(1), put and get between two greenlets", "µs", ["greenio", "gevent"]),
    "queue_no_switch": ("Queue(), put and get without a switch", "µs", ["greenio", "gevent"]),
    "semaphore": ("Semaphore(1), 100 greenlets that sleep(0) inside", "µs", ["greenio", "gevent"]),
    "async_result": ("AsyncResult, set in one greenlet, get in another", "µs", ["greenio", "gevent"]),
    "pool_map": ("Pool(100).map of an empty function", "µs", ["greenio", "gevent"]),
    "threadpool_apply": ("ThreadPool.apply of an empty function", "µs", ["greenio", "gevent"]),
    "lock": ("Lock, acquire and release", "µs", ["greenio", "threading"]),
}
SCRIPTS = {"primitives.py": primitives.OPERATIONS, "operations.py": operations.OPERATIONS}


def measure(library, operation):
    """Return one figure, from a fresh process."""
    script = next(name for name, operations in SCRIPTS.items() if operation in operations)
    command = [sys.executable, str(HERE / script), library, operation]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=HERE).stdout)


def main():
    parser = argparse.ArgumentParser(description="Compare greenio with gevent.")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("operation", nargs="*", choices=[*ROWS, []], help="default: all")
    options = parser.parse_args()
    print("| operation | greenio | gevent | other | gevent / greenio |\n| --- | --- | --- | --- | --- |")
    for operation in options.operation or ROWS:
        title, unit, libraries = ROWS[operation]
        figures = {library: [] for library in libraries}
        for _ in range(options.rounds):
            for library in libraries:
                figures[library].append(measure(library, operation))
        medians = {library: statistics.median(values) for library, values in figures.items()}
        shown = {library: f"{value:.4g} {unit}" for library, value in medians.items()}
        other = next(
            (f"{library}: {text}" for library, text in shown.items() if library not in ("greenio", "gevent")), ""
        )
        ratio = f"{medians['gevent'] / medians['greenio']:.2f}" if {"greenio", "gevent"} <= medians.keys() else ""
        print(f"| {title} | {shown.get('greenio', '')} | {shown.get('gevent', '')} | {other} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
