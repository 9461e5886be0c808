"""Finding out whether threads and child processes of this process are at work, by asking the system.

A thread that waits for a lock without a timeout is not at work: only another thread can wake it. A thread that sleeps,
computes, or waits for anything else is at work. A child process is at work until it ends.

What does not belong here: threads that wait in a loop (clock.py).
"""

from __future__ import annotations

import os
import platform
from _thread import get_native_id
from contextlib import suppress

from hub.native import original

from greenio._testing.limits import native_ids_of_watchers
from greenio.threadpool import idle_threads, native_ids

__all__ = ["Workers"]

# All locks wait in futex(2). These are its number, and its operations that wait. Its fourth argument is the timeout.
_FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine())
_WAITS = (0, 9)  # FUTEX_WAIT, FUTEX_WAIT_BITSET
_OPERATION = 0x7F

_waitid = original("os", "waitid")


class Workers:
    """The threads and children that are at work, except those that were at work when this object was made.

    `hubs`: the native ids of threads that have a hub. These threads always count, and so do those of pools and the
    current one.
    """

    def __init__(self, hubs: set[int]) -> None:
        ours = hubs | native_ids() | {get_native_id()}
        self._strangers = {each for each in _threads() if each not in ours and not _waits_for_a_lock(each)}
        self._children = _children()

    def forget(self) -> None:
        """Forget the parent's threads and children, in a forked child."""
        self._strangers = set()
        self._children = set()

    def any_at_work(self, hubs: set[int], idle: set[int]) -> bool:
        """Whether a thread or a child is at work (bool).

        `hubs`: the native ids of threads that have a hub now. `idle`: those of threads that sleep in their loops.
        """
        ignored = self._strangers - hubs | idle | native_ids_of_watchers()
        found = self._sleep_counts(ignored)
        # A thread may have woken one that was checked before it. So no thread may have run until a second check.
        if found is None or self._sleep_counts(ignored) != found:
            return True
        return any(child not in self._children and _runs(child) for child in _children())

    def _sleep_counts(self, ignored):
        """Return how often each thread has gone to sleep, without the `ignored` ones; None if one is at work."""
        pooled = idle_threads()
        if pooled is None:
            return None
        found = {}
        for thread in _threads():
            if thread not in ignored:
                if thread not in pooled and not _waits_for_a_lock(thread):
                    return None
                sleeps = _sleeps(thread)
                if sleeps is None:
                    return None
                found[thread] = sleeps
        return found


def _threads():
    return [int(name) for name in os.listdir("/proc/self/task")]


def _waits_for_a_lock(thread):
    if _FUTEX is None:
        return False
    try:
        with open(f"/proc/self/task/{thread}/syscall") as file:
            fields = file.read().split()
    except OSError:
        return not os.path.exists(f"/proc/self/task/{thread}")  # a thread that has just ended is not at work
    if len(fields) < 5 or fields[0] != str(_FUTEX):
        return False
    return int(fields[2], 16) & _OPERATION in _WAITS and int(fields[4], 16) == 0


def _sleeps(thread):
    """Return how often a thread has gone to sleep, as text; None if it does not sleep now: it may have been woken."""
    try:
        with open(f"/proc/self/task/{thread}/status") as file:
            text = file.read()
    except OSError:
        return 0 if not os.path.exists(f"/proc/self/task/{thread}") else None
    return text[text.index("voluntary_ctxt") :] if "State:\tS" in text else None


def _children():
    try:
        _waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return set()
    found: set[int] = set()
    for thread in _threads():
        with suppress(OSError):
            with open(f"/proc/self/task/{thread}/children") as file:
                found.update(map(int, file.read().split()))
    return found


def _runs(child):
    try:
        with open(f"/proc/{child}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
