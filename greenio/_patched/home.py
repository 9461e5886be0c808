"""Where threads that are greenlets live.

A thread runs until its function returns, whoever started it. A greenlet lives no longer than the hub of its native
thread, and cannot move to another one. So the hub of a native thread that may end is no place for it.

Rules
    1. What the main native thread starts lives there: that hub stays until the program ends.
    2. What any other native thread starts, one of a pool or a C library say, lives in a native thread of ours, the
       home; and so does what is started there. It runs even while the main thread is in a call that blocks.
    3. The home begins when somebody is to live there. It ends when nobody does any more, and nothing is left to do.
    4. A thread for which more stack was asked, by threading.stack_size(), than the main native thread has lives in a
       home with that much, whoever starts it.
    5. In a forked child the native thread that forked goes on. If it is the home, that stays; if it is neither that
       nor the main one, it may end, and what it starts lives in a new home.

What does not belong here: what such a thread does. See `greenio.thread`.
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

_homes: dict[int, Home] = {}  # those that take new threads, by the sizes of their stacks in bytes; 0: whatever that is
_lock = LibraryLock()  # for the number of those who live in a home; finalizers may come back here
_lasting = threading.main_thread().ident  # the native thread whose hub stays until the program ends
_running = [0]  # how many native threads are homes


class Home:
    """A native thread, for those whose own may end or is too small. Whoever makes one lives there."""

    def __init__(self, stack: int = 0) -> None:
        self.hub: Hub = None  # type: ignore[assignment]  # until the thread runs
        self._stack = stack
        self.native_ident: int | None = None
        self._count = 1  # of those who live here, or are to
        self._empty = Event()
        self._error: BaseException | None = None
        begun = allocate_lock()
        begun.acquire()
        start_new_thread(self._run, (begun,))
        begun.acquire()
        if self._error is not None:
            raise RuntimeError("can't start new thread") from self._error

    def leave(self) -> None:
        """Somebody does not live here any more. May be called from any thread. Does not switch."""
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
            self.hub.join()  # greenlets that those who lived here have left
        except SystemExit:
            pass  # such a greenlet's: it ends nobody else here
        except BaseException as error:
            sys.excepthook(type(error), error, error.__traceback__)

    def _is_over(self):
        with _lock:
            if self._count == 0 and _homes.get(self._stack) is self:
                del _homes[self._stack]
            return self._count == 0


def _large_stack():
    """How much stack a new thread is to have, in bytes, if that is more than the main native thread's; or 0."""
    size = stack_size()
    if not size:
        return 0
    stack_size(size)  # as asking has set it to 0
    limit = getrlimit(RLIMIT_STACK)[0]
    return 0 if limit == RLIM_INFINITY or size <= limit else size


def home_of_new_threads() -> Home | None:
    """The home where a thread is to live that is started now, and that is to leave() it; None: on the current hub.

    Raises RuntimeError if there is none and none can be made. Does not switch.
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
        _lasting = get_ident()  # what would end it stays behind
    _homes.clear()
    _lock = LibraryLock()
    _running[0] = 0


in_child(_after_fork_in_child)
