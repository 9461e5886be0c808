"""Time limits for blocks of code. A block that takes too long is ended, with the stacks of all greenlets and threads.

Theory
    A native thread watches the limits, so that it does not matter what the watched thread does. When a limit has
    passed, the watcher collects the stacks, and sends a signal to the main thread. Python's handler for the signal
    raises TimeLimitExceeded in the greenlet of the block, which it wakes if it waits, and in the greenlet that computes
    if that is another one. If the block goes on nevertheless, the exception is raised again when the time has passed
    again. If the block catches it each time, the process is ended.

    A call into C may keep Python's handlers from running. If they have not run some seconds later, the watcher prints
    the stacks to standard error, and ends the process with status 1. If the call holds the GIL, so that the watcher
    cannot run either, the thread of `faulthandler` does the same.

    The signal is the last of the real-time signals that has no handler. SIGALRM and ITIMER_REAL are left alone, because
    pytest-timeout and many programs use them. Time here is always real.

What does not belong here: pytest. See `greenio._testing.plugin`.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import traceback
from _thread import get_native_id
from contextlib import suppress
from time import monotonic

from greenlet import getcurrent
from hub.arguments import seconds_of
from hub.current import count_idle_thread, get_hub_if_exists
from hub.forks import in_child
from hub.native import LibraryLock, allocate_lock, get_ident, original, start_new_thread

from greenio.util import GreenletTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Any

    from typing_extensions import Self

__all__ = ["GRACE", "GUARD", "TimeLimit", "TimeLimitExceeded", "native_ids_of_watchers"]

#: Seconds that the handler of the signal has to run.
GRACE = 10.0
#: Seconds after the limit when `faulthandler` ends the process, if nothing else could.
GUARD = 20.0
#: How often a block may go on after the exception.
TIMES = 3
LONGEST = 1e9  # the most seconds that faulthandler can wait

_set_handler = original("signal", "signal")
_get_handler = original("signal", "getsignal")
_send_signal = original("signal", "pthread_kill")
_set_mask = original("signal", "pthread_sigmask")


class TimeLimitExceeded(BaseException):
    """A block of code took longer than its TimeLimit. `stacks`: where all greenlets and threads were (str)."""

    def __init__(self, message: str, stacks: str) -> None:
        super().__init__(message)
        self.stacks = stacks


class TimeLimit:
    """``with TimeLimit(seconds): ...`` raises TimeLimitExceeded if the block takes longer, whatever it does.

    `seconds`: real time (float). `what`: the name of the block in messages (str). `error`: the descriptor to which the
    stacks are written if the block cannot be ended and the process is (int). `on_expired`: a function that is called
    with the stacks (str), in another thread, when the limit has passed. `guard`: whether `faulthandler` watches too
    (bool). Limits can be nested, except those with a guard. Raises RuntimeError outside of the main thread, ValueError
    or TypeError for wrong `seconds`. No method switches.
    """

    def __init__(
        self,
        seconds: float,
        what: str = "the block",
        *,
        error: int = 2,
        on_expired: Callable[[str], object] | None = None,
        guard: bool = False,
    ) -> None:
        self.seconds = seconds_of(seconds)
        if not self.seconds > 0:
            raise ValueError(f"a time limit must be more than 0 seconds, not {seconds!r}")
        self.what = what
        self.error = error
        self.on_expired = on_expired
        self.guard = guard
        #: Whether the limit has passed (bool).
        self.expired = False
        self._stacks = ""
        self._due = 0.0
        self._raised = False
        self._times = 0  # how often it was raised

    def __enter__(self) -> Self:
        _watcher.check()
        self._greenlet = getcurrent()
        self._hub = get_hub_if_exists()
        self._ident = get_ident()
        self._due = monotonic() + self.seconds
        self._set_guard()
        _watcher.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        _watcher.remove(self)
        self._end_guard()
        if self.expired and not (isinstance(value, TimeLimitExceeded) and value.stacks is self._stacks):
            # The block has caught the exception, or has ended at that moment.
            raise self._exception() from value

    def cancel(self) -> None:
        """Remove the limit. Does not switch."""
        self._due = float("inf")
        self._end_guard()

    def _set_guard(self):
        if self.guard:
            self._end_guard()
            before = os.listdir("/proc/self/task")
            seconds = min(self.seconds + GUARD, LONGEST)
            faulthandler.dump_traceback_later(seconds, exit=True, file=self.error)
            # faulthandler's thread is one of the new ones. Python does not tell which.
            _watcher.guards = set(map(int, set(os.listdir("/proc/self/task")) - set(before)))

    def _end_guard(self):
        if self.guard:
            faulthandler.cancel_dump_traceback_later()
            _watcher.guards = set()

    def _exception(self):
        return TimeLimitExceeded(f"{self.what} took longer than {self.seconds:g} seconds", self._stacks)

    # --- in the watcher ---

    def _expire(self):
        """Handle a limit that has passed, or a handler that has not run in time."""
        stacks = _stacks(self._ident)
        if self.expired and (not self._raised or self._times > TIMES):
            message = f"{self.what} took longer than {self.seconds:g} seconds, and cannot be ended\n{stacks}\n"
            os.write(self.error, message.encode(errors="backslashreplace"))
            os._exit(1)
        if not self.expired:
            self._stacks = stacks
            if self.on_expired is not None:
                self.on_expired(stacks)
        self._raised = False
        self.expired = True
        self._due = monotonic() + GRACE
        _watcher.send_signal()

    # --- in the handler of the signal ---

    def _raise(self):
        """Raise the exception. Called on the main greenlet if the thread sleeps, otherwise in the running greenlet."""
        __tracebackhide__ = True  # pytest does not show this frame
        self._raised = True
        self._times += 1
        self._due = monotonic() + max(GRACE, self.seconds)
        self._set_guard()
        hub = get_hub_if_exists()
        if getcurrent() is not self._greenlet and hub is not None and not self._greenlet.dead:
            hub.throw_soon(self._greenlet, self._exception())
            if getcurrent() is hub.main:
                return  # the main greenlet only ran the handler: the block's greenlet gets the exception
        raise self._exception()


class _Watcher:
    """The thread that watches, and its limits."""

    def __init__(self):
        self._lock = LibraryLock()
        self._limits: list[TimeLimit] = []
        self._wakes = float("inf")  # when the thread checks the limits again
        self._wake: Any = None  # a lock; releasing it makes the thread check at once
        self._signal: int | None = None
        self.native_id = 0
        self.guards: set[int] = set()  # native ids of threads, one of which is faulthandler's

    def check(self):
        if get_ident() != original("threading", "main_thread")().ident:
            raise RuntimeError("time limits can be set in the main thread only")

    def add(self, limit):
        if self._wake is None:
            self._start()
        if not self._limits:
            self._set_signal()
        with self._lock:
            self._limits.append(limit)
            if limit._due < self._wakes:
                self._wakes = 0
                self._check_at_once()

    def remove(self, limit):
        with self._lock:
            self._limits.remove(limit)
        if not self._limits and self._signal is not None:
            number, self._signal = self._signal, None
            if _get_handler(number) == self._handle:
                _set_handler(number, signal.SIG_DFL)

    def _check_at_once(self):
        with suppress(RuntimeError):  # the lock is released already: the thread is about to check
            self._wake.release()

    def _start(self):
        self._wake = allocate_lock()
        self._wake.acquire()
        count_idle_thread(1)  # a hub with nothing else to wait for does not wait for this thread
        # It takes no signal: a program that waits for one has blocked it in all of the threads that it knows.
        before = _set_mask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            start_new_thread(self._run, ())
        finally:
            _set_mask(signal.SIG_SETMASK, before)

    def _run(self):
        self.native_id = get_native_id()
        while True:
            now = monotonic()
            with self._lock:
                due = [limit for limit in self._limits if limit._due <= now]
            for limit in due:
                limit._expire()
            with self._lock:
                self._wakes = min((limit._due for limit in self._limits), default=float("inf"))
                left = self._wakes - monotonic()
            if left > 0:
                self._wake.acquire(timeout=-1 if left == float("inf") else min(left, 1e6))

    # --- the signal ---

    def _set_signal(self):
        for number in range(signal.SIGRTMAX, signal.SIGRTMIN - 1, -1):
            if _get_handler(number) == signal.SIG_DFL:
                _set_handler(number, self._handle)
                self._signal = number
                return

    def send_signal(self):
        number = self._signal
        if number is not None and _get_handler(number) == self._handle:
            _send_signal(original("threading", "main_thread")().ident, number)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        __tracebackhide__ = True
        for limit in reversed(self._limits):
            if limit.expired and not limit._raised:
                limit._raise()

    def after_fork_in_child(self):
        """Start anew in a forked child, which has no watching thread."""
        self.__init__()  # type: ignore[misc]


def _stacks(current):
    """Return the stacks of all threads and greenlets, except the thread that watches. `current`: the thread to mark."""
    lines = ["threads:"]
    names = {thread.ident: thread.name for thread in original("threading", "enumerate")()}
    for ident, frame in sys._current_frames().items():
        if ident != get_ident():
            lines.append(f"Thread {ident:#x} ({names.get(ident)}){' (CURRENT)' * (ident == current)}")
            lines += "".join(traceback.format_stack(frame)).splitlines()
    lines += ["", "greenlets:"]
    for tree in GreenletTree.forest():
        if not tree.is_current_tree:
            lines += tree.format_lines()
    return "\n".join(lines)


def native_ids_of_watchers() -> set[int]:
    """Return the native ids of the threads that watch: ours, and the one of `faulthandler`."""
    return {_watcher.native_id, *filter(_blocks_all_signals, _watcher.guards)}


def _blocks_all_signals(thread):
    """Whether a thread blocks all signals, as the thread of `faulthandler` does and a program's threads do not."""
    try:
        with open(f"/proc/self/task/{thread}/status") as file:
            blocked = int(file.read().partition("SigBlk:")[2].split()[0], 16)
    except OSError:
        return False  # the thread has ended
    return all(blocked >> number - 1 & 1 for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1))


_watcher = _Watcher()
in_child(_watcher.after_fork_in_child)
