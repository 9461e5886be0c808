"""Limits of time for blocks of code, which tell where every greenlet and thread is when they are passed.

A native thread watches, so that it does not matter what the watched thread does. When the limit is passed, the watcher
collects the stacks, and sends a signal to the main thread. Python's handler for it raises TimeLimitExceeded: in the
greenlet of the block, which it wakes if it waits, and in whatever greenlet computes. A block that goes on nevertheless
has it raised again as the limit passes again. One that catches it each time is ended by force.

A call into C may keep Python's handlers from running. If they have not run some seconds later, the stacks go to the
standard error stream, and the process ends with status 1. If that call has the GIL and the watcher cannot run either,
the thread of `faulthandler` does so.

The signal is the last one that has no handler, of those that have no name. SIGALRM and ITIMER_REAL are left alone:
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

#: How many seconds there are for the handler of the signal to run in.
GRACE = 10.0
#: How many seconds after the limit `faulthandler` ends the process, if nothing else could.
GUARD = 20.0
#: How often a block may go on nevertheless.
TIMES = 3
LONGEST = 1e9  # seconds that faulthandler can wait

_set_handler = original("signal", "signal")
_get_handler = original("signal", "getsignal")


class TimeLimitExceeded(BaseException):
    """A block of code took longer than its TimeLimit. `stacks` (str) says where all greenlets and threads were."""

    def __init__(self, message: str, stacks: str) -> None:
        super().__init__(message)
        self.stacks = stacks


class TimeLimit:
    """``with TimeLimit(seconds): ...`` raises TimeLimitExceeded if the block takes longer, whatever it does.

    `seconds`: float, of real time. `what` names the block in messages. `error` (the descriptor of a file): where the
    stacks go if the block cannot be ended, and the process ends. `on_expired` is called with the stacks (str) when the
    limit is passed, in another thread. `guard`: see to it with `faulthandler`, too. In the main thread only, or a
    RuntimeError is raised. Limits nest, those with a guard do not. No method switches.
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
            raise ValueError(f"a limit of time is more than 0 seconds, not {seconds!r}")
        self.what = what
        self.error = error
        self.on_expired = on_expired
        self.guard = guard
        #: Whether the limit was passed (bool).
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
            # The block has swallowed it, or came to its end at that moment.
            raise self._exception() from value

    def cancel(self) -> None:
        """There is no limit any more."""
        self._due = float("inf")
        self._end_guard()

    def _set_guard(self):
        if self.guard:
            self._end_guard()
            before = os.listdir("/proc/self/task")
            seconds = min(self.seconds + GUARD, LONGEST)
            faulthandler.dump_traceback_later(seconds, exit=True, file=self.error)
            # Its thread is among the new ones. Python does not tell which it is.
            _watcher.guards = set(map(int, set(os.listdir("/proc/self/task")) - set(before)))

    def _end_guard(self):
        if self.guard:
            faulthandler.cancel_dump_traceback_later()
            _watcher.guards = set()

    def _exception(self):
        return TimeLimitExceeded(f"{self.what} took longer than {self.seconds:g} seconds", self._stacks)

    # --- in the watcher ---

    def _expire(self):
        """The limit is passed, or the time that the handler had."""
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
        """On the main greenlet if the thread sleeps, in the greenlet that computes otherwise."""
        __tracebackhide__ = True  # pytest does not show this frame
        self._raised = True
        self._times += 1
        self._due = monotonic() + max(GRACE, self.seconds)
        self._set_guard()
        hub = get_hub_if_exists()
        if getcurrent() is not self._greenlet and hub is not None and not self._greenlet.dead:
            hub.throw_soon(self._greenlet, self._exception())
            if getcurrent() is hub.main:
                return  # it was only borrowed, to run the handler
        raise self._exception()


class _Watcher:
    """The thread that watches, and the limits that it watches."""

    def __init__(self):
        self._lock = LibraryLock()
        self._limits: list[TimeLimit] = []
        self._wakes = float("inf")  # when the thread looks again
        self._wake: Any = None  # released to have it look at once
        self._signal: int | None = None

        self.native_id = 0
        self.guards: set[int] = set()  # native ids of threads, one of which is faulthandler's

    def check(self):
        if get_ident() != original("threading", "main_thread")().ident:
            raise RuntimeError("limits of time can be set in the main thread only")

    def add(self, limit):
        if self._wake is None:
            self._start()
        if not self._limits:
            self._set_signal()
        with self._lock:
            self._limits.append(limit)
            if limit._due < self._wakes:
                self._wakes = 0
                self._look_at_once()

    def remove(self, limit):
        with self._lock:
            self._limits.remove(limit)
        if not self._limits and self._signal is not None:
            number, self._signal = self._signal, None
            if _get_handler(number) == self._handle:
                _set_handler(number, signal.SIG_DFL)

    def _look_at_once(self):
        with suppress(RuntimeError):  # it is about to
            self._wake.release()

    def _start(self):
        self._wake = allocate_lock()
        self._wake.acquire()
        count_idle_thread(1)  # a hub does not wait for what it might do
        start_new_thread(self._run, ())

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
            signal.pthread_kill(original("threading", "main_thread")().ident, number)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        __tracebackhide__ = True
        for limit in reversed(self._limits):
            if limit.expired and not limit._raised:
                limit._raise()

    def after_fork_in_child(self):
        """Nobody watches in a child."""
        self.__init__()  # type: ignore[misc]


def _stacks(current):
    """All threads and greenlets as text, without the one that watches. `current`: the thread to be marked."""
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
    """The system's identifiers of the threads that watch: ours, and the one of `faulthandler`."""
    return {_watcher.native_id, *filter(_blocks_all_signals, _watcher.guards)}


def _blocks_all_signals(thread):
    """Whether it is a thread as `faulthandler` has it: a program's threads have signals."""
    try:
        with open(f"/proc/self/task/{thread}/status") as file:
            blocked = int(file.read().partition("SigBlk:")[2].split()[0], 16)
    except OSError:
        return False  # it has ended
    return all(blocked >> number - 1 & 1 for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1))


_watcher = _Watcher()
in_child(_watcher.after_fork_in_child)
