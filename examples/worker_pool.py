"""A pool of workers with a progress bar: many slow jobs, a few at a time, in one thread.

python examples/worker_pool.py [--jobs 200] [--workers 20]
"""

import argparse
import random
import sys
import time

import greenio
from greenio.pool import Pool


def job(number):
    """A stand-in for a request to a slow server: waits, and sometimes fails."""
    greenio.sleep(random.uniform(0.01, 0.1))
    if random.random() < 0.05:
        raise ConnectionError(f"job {number} was refused")
    return number


def attempt(number):
    try:
        return job(number), None
    except ConnectionError as error:
        return number, error


def show(done, total, failed, width=40):
    filled = width * done // total
    end = "\n" if done == total else ""
    print(f"\r[{'#' * filled}{'.' * (width - filled)}] {done}/{total}, {failed} failed", end=end, flush=True)


def main():
    parser = argparse.ArgumentParser(description="Do many slow jobs, a few at a time.")
    parser.add_argument("--jobs", type=int, default=200, help="default: %(default)s")
    parser.add_argument("--workers", type=int, default=20, help="how many at a time; default: %(default)s")
    options = parser.parse_args()

    started = time.monotonic()
    failed = 0
    pool = Pool(options.workers)
    for done, (_number, error) in enumerate(pool.imap_unordered(attempt, range(options.jobs)), 1):
        failed += error is not None
        show(done, options.jobs, failed)
    seconds = time.monotonic() - started
    print(f"{options.jobs} jobs, {options.workers} at a time, in {seconds:.1f} seconds")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
