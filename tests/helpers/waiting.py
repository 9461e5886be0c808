"""Waiting in tests until something has happened, so that no test depends on how fast the machine is.

until_waiting() waits until a greenlet waits; until() waits until a condition is true. A test that something does not
happen calls let_others_run() first, and then looks.
"""

import threading
import time

from greenio import get_hub, sleep, spawn

LIMIT = 30  # seconds after which until() fails


def until(condition):
    """Let others run until condition() is true; return what it returned."""
    end = time.monotonic() + LIMIT
    while not (found := condition()):
        assert time.monotonic() < end, f"the condition stays false; these greenlets wait:\n{get_hub().format_waits()}"
        sleep(0.001)
    return found


def until_waiting(*greenlets):
    """Let others run until all of these greenlets of this thread wait at the same time.

    Not for a greenlet whose wait a timeout may end at once: after sleep(0) it has begun to wait.
    """

    def wait_now():
        waiting = [wait.greenlet for wait in get_hub().parked_waits()]
        return all(any(each is greenlet for each in waiting) for greenlet in greenlets)

    until(wait_now)


def waiting_in(function, *args):
    """Call a function in a greenlet, and return the greenlet when it waits. Its error is raised by get() only."""
    job = spawn(function, *args)
    job.reports_errors = False
    until_waiting(job)
    return job


def until_asleep(pid):
    """Let others run until a process sleeps in a system call."""

    def is_asleep():
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "S"

    until(is_asleep)


def until_others_ran(ticks):
    """Block a thread until greenlets of the main one have added to a list (the fixture `ticks`). Returns whether so."""
    before, end = len(ticks), time.monotonic() + LIMIT
    while len(ticks) < before + 10 and time.monotonic() < end:
        time.sleep(0.001)
    return len(ticks) >= before + 10


def let_others_run():
    """Let every greenlet and every callback of the loop run several times."""
    for _ in range(3):
        sleep(0.001)


def in_thread(function, *args):
    """Call a function in a new thread; return its result or raise its error. Nothing runs in this thread meanwhile."""
    outcome = []

    def call():
        try:
            outcome.append((function(*args), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(LIMIT)
    assert not thread.is_alive(), "the thread does not end"
    result, error = outcome[0]
    if error is not None:
        raise error
    return result
