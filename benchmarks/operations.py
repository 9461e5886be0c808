"""One operation of one library, in a process of its own: prints CPU microseconds (or bytes, or ms) for each.

    python benchmarks/operations.py greenio|gevent|greenlet OPERATION

compare.py runs all of them and prints a table.
"""

import importlib
import os
import random
import signal
import statistics
import sys
import threading
import time

COUNT = 100_000


def cpu_per(count, function):
    """Return the CPU microseconds of this process for each of `count` operations that `function` does."""
    begun = time.process_time()
    function()
    return (time.process_time() - begun) / count * 1e6


def switch(library):
    """sleep(0) of two greenlets in turn."""

    def body():
        for _ in range(COUNT):
            library.sleep(0)

    greenlets = [library.spawn(body), library.spawn(body)]
    return cpu_per(2 * COUNT, lambda: library.joinall(greenlets))


def bare_switch(library):
    """greenlet.switch() of two bare greenlets in turn."""

    def body(other):
        for _ in range(COUNT):
            other().switch()

    first = library.greenlet(lambda: body(lambda: second))
    second = library.greenlet(lambda: body(lambda: first))
    return cpu_per(2 * COUNT, first.switch)


def spawn(library):
    """Make, run and join a greenlet that does nothing."""

    def nothing():
        pass

    def run():
        library.joinall([library.spawn(nothing) for _ in range(COUNT)])

    run()
    return cpu_per(COUNT, run)


def sleepers(library):
    """A greenlet that sleeps 1 to 2,000 ms, all of them at once."""
    numbers = random.Random(1)
    seconds = [numbers.randint(1, 2000) / 1000 for _ in range(COUNT)]
    return cpu_per(COUNT, lambda: library.joinall([library.spawn(library.sleep, each) for each in seconds]))


def timeout(library):
    """with Timeout(10): pass"""

    def run():
        for _ in range(COUNT):
            with library.Timeout(10):
                pass

    run()
    return cpu_per(COUNT, run)


def memory(library):
    """Resident bytes of a greenlet that is parked in sleep(), called from a Python function."""

    def body():
        library.sleep(1000)

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    greenlets = [library.spawn(body) for _ in range(20_000)]
    library.sleep(1)  # until all of them have begun
    used = (resident() - before) / len(greenlets)
    library.killall(greenlets)
    return used


def signals(library):
    """Milliseconds from os.kill() in a thread to the Python handler, while the process sleeps: the median."""
    latencies, sent = [], [0.0]

    def handler(number, frame):
        latencies.append(time.perf_counter() - sent[0])

    def send():
        for _ in range(100):
            time.sleep(0.01)
            sent[0] = time.perf_counter()
            os.kill(os.getpid(), signal.SIGUSR1)

    signal.signal(signal.SIGUSR1, handler)
    thread = threading.Thread(target=send)
    thread.start()
    with library.Timeout(10):
        while len(latencies) < 100:
            library.sleep(0.5)
    thread.join()
    return statistics.median(latencies) * 1000


OPERATIONS = {
    function.__name__: function for function in (switch, bare_switch, spawn, sleepers, timeout, memory, signals)
}

if __name__ == "__main__":
    print(OPERATIONS[sys.argv[2]](importlib.import_module(sys.argv[1])))
