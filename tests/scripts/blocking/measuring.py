"""Calls by name, and a measurement for the files beside this one: do other greenlets run during a call?

A call waits for something that `later()` does. In a process for calls that are cooperative, or handed to a thread,
another greenlet does it, after it has counted some ticks: a call that kept greenlets from running would never end. In
a process for calls that block, a native thread does it, and there must not have been a single tick.
"""

import os
import sys

from greenio import joinall, monkey, sleep, spawn

WITH_GREENLETS = sys.argv[1] != "blocking"

#: The name that docs/monkey.md has -> a function that makes the call, by way of `measured()`.
CALLS = {}
TICKS = 5


def call(*names):
    """Register the decorated function, which makes a call, under these names."""

    def keep(function):
        for name in names:
            CALLS[name] = function
        return function

    return keep


class _State:
    ticks = 0
    measuring = False
    threads = 0  # the highest number of threads during a call


def tick_for_ever():
    while True:
        sleep(0.001)
        if _State.measuring:
            _State.ticks += 1
            _State.threads = max(_State.threads, _count_threads())


def _count_threads():
    return len(os.listdir("/proc/self/task"))


def measured(function, *args, **kwargs):
    """Call a function, and note how many ticks were counted meanwhile. Returns the function's result."""
    before = _count_threads()
    _State.ticks, _State.threads, _State.measuring = 0, 0, True
    try:
        return function(*args, **kwargs)
    finally:
        _State.measuring = False
        result.update(ticks=_State.ticks, threads=_State.threads, threads_before=before)
        joinall(_helping, timeout=10, raise_error=True)
        _helping.clear()


def on_condition(condition, wait):
    """Call ``wait(condition, told)``, until `later()` appends to `told` and notifies."""
    told = []

    def notify():
        with condition:
            told.append(True)
            condition.notify()

    with condition:
        later(notify)
        measured(wait, condition, told)


result = {}
_helping: list = []


def later(function, *args):
    """Call a function when the measured call has waited for a while."""
    if WITH_GREENLETS:
        _helping.append(spawn(_after_ticks, function, args))
    else:
        monkey.get_original("_thread", "start_new_thread")(_after_a_while, (function, args))


def _after_ticks(function, args):
    while not _State.measuring or _State.ticks < TICKS:
        sleep(0.001)
    function(*args)


def _after_a_while(function, args):
    native_sleep = monkey.get_original("time", "sleep")
    while not _State.measuring:
        native_sleep(0.001)
    native_sleep(0.03)
    function(*args)
