"""How late sleeps, timeouts and timers are, beside time.sleep(): microseconds, as a table.

    python benchmarks/timer_accuracy.py [--count 200]

The row of time.sleep() is the best that the system itself can do, so the machine should have nothing else to do. gevent
is left out if it is not installed.
"""

import argparse
import importlib
import time

SECONDS = (0.0001, 0.001, 0.005, 0.0105, 0.2)


def waits_of(library):
    """Return a dict: name -> function(seconds) that waits for that time."""
    event_of_nobody = importlib.import_module(f"{library.__name__}.event").Event()
    ours, theirs = importlib.import_module(f"{library.__name__}.socket").socketpair()

    def timeout(seconds):
        with library.Timeout(seconds, False):
            library.sleep(60)

    def settimeout(seconds):
        ours.settimeout(seconds)
        try:
            ours.recv(1)
        except TimeoutError:
            theirs.fileno()  # the socket stays open until here

    def timer(seconds):
        done = library.event.Event()
        watcher = library.get_hub().loop.timer(seconds)
        watcher.start(done.set)
        done.wait()
        watcher.close()

    return {
        "sleep()": library.sleep,
        "Timeout": timeout,
        "Event.wait(timeout)": event_of_nobody.wait,
        "recv() with settimeout()": settimeout,
        "loop.timer()": timer,
    }


def lateness(wait, seconds, count):
    """Return how late `count` waits of `seconds` end, in microseconds, sorted."""
    late = []
    for _ in range(count):
        begun = time.monotonic()
        wait(seconds)
        late.append((time.monotonic() - begun - seconds) * 1e6)
    return sorted(late)


def main():
    parser = argparse.ArgumentParser(description="Compare how late timers are.")
    parser.add_argument("--count", type=int, default=200, help="waits of each kind; fewer of long ones")
    options = parser.parse_args()
    rows = {"time.sleep()": time.sleep}
    for name in ("greenio", "gevent"):
        try:
            library = importlib.import_module(name)
        except ImportError:
            continue
        rows.update({f"{name}: {kind}": wait for kind, wait in waits_of(library).items()})
    print("| late by µs: median, 99 % | " + " | ".join(f"{seconds * 1000:g} ms" for seconds in SECONDS) + " |")
    print("| --- |" + " --- |" * len(SECONDS))
    for kind, wait in rows.items():
        cells = []
        for seconds in SECONDS:
            late = lateness(wait, seconds, max(5, min(options.count, int(2 / seconds))))
            early = " EARLY" if late[0] < 0 else ""
            cells.append(f"{late[len(late) // 2]:.0f}, {late[int(len(late) * 0.99)]:.0f}{early}")
        print(f"| {kind} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
