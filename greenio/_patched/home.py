"""Homes: native threads in which greenlets live that stand for threads of the program.

A thread runs until its function returns, whatever started it. A greenlet lives no longer than the hub of its native
thread, and cannot move to another one. So a greenlet that stands for a thread cannot live in a native thread that may
end.

Rules
    1. Threads that the main native thread starts live in that native thread: its hub stays until the program ends.
    2. Any other native thread may be one of a pool, or a C library's. Threads that it starts live in a native thread of
       ours, the home, and so do threads that those start. They run even while the main thread is in a blocking call.
    3. A home begins when the first thread is to live there. It ends when none lives there any more and nothing is left
       to do.
    4. A thread that asked for more stack than the main native thread has, with threading.stack_size(), lives in a home
       with that much, wherever it was started.
    5. In a forked child the native thread that forked goes on. If it is a home, it stays. If it is neither a home nor
       the main one, it may end, and the threads that it starts live in a new home.

What does not belong here: starting and joining such threads (`greenio.thread`).
"""

from __future__ import annotations

import sys
import threading
from _thread import stack_size
from resource import RLIM_INFINITY, RLIMIT_STACK, getrlimit

from hub.current import get_hub
from hub.forks import in_child
from hub.native import LibraryLock, allocate_lock, get_ident, start_new_thread

from greenio.event import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hub.hub import Hub

__all__ = ["Home", "count_homes", "home_of_new_threads"]

_homes: dict[int, Home] = {}  # homes that take new threads, by the sizes of their stacks in bytes; 0: the default size
_lock = LibraryLock()  # for the number of threads in a home; finalizers may come back here
_lasting = threading.main_thread().ident  # the native thread whose hub stays until the program ends
_running = [0]  # how many native threads are homes


class Home:
    """A native thread for greenlets that cannot live in the thread that starts them. Made for the first of them."""

    def __init__(self, stack: int = 0) -> None:
        self.hub: Hub = None  # type: ignore[assignment]  # until the thread runs
        self._stack = stack
        self.native_ident: int | None = None
        self._count = 1  # greenlets that live here, or are about to
        self._empty = Event()
        self._error: BaseException | None = None
        begun = allocate_lock()
        begun.acquire()
        start_new_thread(self._run, (begun,))
        begun.acquire()
        if self._error is not None:
            raise RuntimeError("can't start new thread") from self._error

    def leave(self) -> None:
        """Note that a greenlet does not live here any more. May be called from any thread. Does not switch."""
        with _lock:
            self._count -= 1
            if self._count == 0:
                self._empty.set()

    def _enter(self):
        self._count += 1
        self._empty.clear()

    def _run(self, begun):
        _running[0] += 1
        try:
            try:
                self.native_ident = get_ident()
                self.hub = get_hub()
            except BaseException as error:
                self._error = error
                return
            finally:
                begun.release()
            while not self._is_over():
                self._wait()
            self.hub.destroy()
        finally:
            _running[0] -= 1

    def _wait(self):
        try:
            self._empty.wait()
            self.hub.join()  # other greenlets that these have left
        except SystemExit:
            pass  # such a greenlet has raised it, and it ends no other greenlet here
        except BaseException as error:
            sys.excepthook(type(error), error, error.__traceback__)

    def _is_over(self):
        with _lock:
            if self._count == 0 and _homes.get(self._stack) is self:
                del _homes[self._stack]
            return self._count == 0


def _large_stack():
    """The size in bytes of a new thread's stack, if it is larger than the main native thread's; otherwise 0."""
    size = stack_size()
    if not size:
        return 0
    stack_size(size)  # asking has set it to 0
    limit = getrlimit(RLIMIT_STACK)[0]
    return 0 if limit == RLIM_INFINITY or size <= limit else size


def home_of_new_threads() -> Home | None:
    """The home for a thread that is started now; None if the thread is to live on the current hub.

    The thread has to leave() the home at its end. Raises RuntimeError if a home is needed and cannot be made. Does not
    switch.
    """
    stack = _large_stack()
    if not stack and get_ident() == _lasting:
        return None
    with _lock:
        home = _homes.get(stack)
        if home is None:
            home = _homes[stack] = Home(stack)
        else:
            home._enter()
        return home


def count_homes() -> int:
    """How many native threads are homes (int)."""
    return _running[0]


def _after_fork_in_child():
    global _lasting, _lock
    if any(home.native_ident == get_ident() for home in _homes.values()):
        _lasting = get_ident()  # nothing here will end it: its end stays behind in the parent
    _homes.clear()
    _lock = LibraryLock()
    _running[0] = 0


in_child(_after_fork_in_child)
