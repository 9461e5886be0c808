"""Waiting in tests for what must happen. How long that takes is up to the machine, and no test depends on it.

A greenlet that was spawned and then waits, is seen by until_waiting(); anything else, by until() and a condition. That
something does not happen is seen after some_turns().
"""

import threading
import time

from greenio import get_hub, sleep, spawn

LIMIT = 30  # seconds after which a test fails that would never end


def until(condition):
    """Let others run until condition() is true; return what it returned."""
    end = time.monotonic() + LIMIT
    while not (found := condition()):
        assert time.monotonic() < end, f"it is never so; what waits:\n{get_hub().format_waits()}"
        sleep(0.001)
    return found


def until_waiting(*greenlets):
    """Let others run until all of these greenlets of this thread wait, at one time.

    Not for those that a timeout may have ended before that is seen: after sleep(0) they have begun to wait.
    """

    def wait_now():
        waiting = [wait.greenlet for wait in get_hub().parked_waits()]
        return all(any(each is greenlet for each in waiting) for greenlet in greenlets)

    until(wait_now)


def waiting_in(function, *args):
    """A greenlet that waits in this call. Only who asks for its result is told of its error."""
    job = spawn(function, *args)
    job.reports_errors = False
    until_waiting(job)
    return job


def until_asleep(pid):
    """Let others run until a process has nothing to do: it waits in a call of the system."""

    def is_asleep():
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "S"

    until(is_asleep)


def until_others_ran(ticks):
    """Called in a thread: wait until a greenlet has added some to a list (the fixture `ticks`). True if it has."""
    before, end = len(ticks), time.monotonic() + LIMIT
    while len(ticks) < before + 10 and time.monotonic() < end:
        time.sleep(0.001)
    return len(ticks) >= before + 10


def some_turns():
    """Let others run, and the loop look at everything, several times: what comes by itself has come."""
    for _ in range(3):
        sleep(0.001)


def in_thread(function, *args):
    """Call a function in a thread of its own, and wait for its end. Returns what it returned, or raises what it raised.

    Nothing else runs in this thread meanwhile.
    """
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
