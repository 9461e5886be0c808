"""The standard library's `_thread` for greenlets: it starts threads, makes locks, and tells threads apart.

A thread here is a greenlet: the hub starts it, and it lets others run when it blocks. Patching replaces the originals,
on which `threading` is built, with the functions here. Functions and methods that wait say that they switch; the others
do not switch.
"""

from __future__ import annotations

import sys
from _thread import error
from contextvars import Context
from weakref import WeakSet

import greenlet
from hub import get_hub, native
from hub.current import fork_count
from hub.forks import in_child
from hub.unraisable import tell_unraisable

from greenio._patched.home import count_homes, home_of_new_threads
from greenio._patched.identity import add_started_thread, at_end, get_ident, is_native
from greenio._sync.mutex import ThreadLock, allocate_lock
from greenio._sync.mutex import ThreadRLock as RLock
from greenio.event import Event
from greenio.greenlet import Greenlet
from greenio.local import local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn

__all__ = [
    "LockType", "RLock", "ThreadGreenlet", "allocate_lock", "error", "exit", "get_ident", "local", "start_new_thread",
]  # fmt: skip

LockType = lock = ThreadLock


class ThreadGreenlet(Greenlet):
    """A greenlet that runs a thread's function.

    Like a thread, it begins with an empty context (`contextvars`). SystemExit ends it silently; any other exception
    goes to sys.unraisablehook. It runs on the hub that `greenio._patched.home` chooses, so start it with
    start_elsewhere().
    """

    def __init__(self, function: Callable[..., object], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        home = home_of_new_threads()
        try:
            hub = get_hub() if home is None else home.hub
            self.initialize_elsewhere(hub, None, (function, args, kwargs), None, Context())
        except BaseException:
            if home is not None:
                home.leave()
            raise
        if home is not None:
            at_end(self, "home", home.leave)
        add_started_thread(self)
        self.reports_errors = False

    def _run(self, function, args, kwargs):
        global _running
        _running += 1
        try:
            function(*args, **kwargs)
        except SystemExit:
            pass
        except greenlet.GreenletExit:
            raise
        except BaseException as error:
            traceback: Any = error.__traceback__
            error.__traceback__ = traceback.tb_next  # without this frame
            message = "Exception ignored in thread started by"
            if sys.version_info >= (3, 13):  # its message names the function
                tell_unraisable(error, f"{message} {function!r}")
            else:
                tell_unraisable(error, message, function)
        finally:
            _running -= 1


_running = 0  # how many ThreadGreenlets have begun and not ended


def _count():
    """The number of threads of the program (int), greenlets and native ones; the library's own do not count."""
    pools = sys.modules.get("greenio.threadpool")
    ours = count_homes() + (pools.count_threads() if pools else 0)
    return _running + native.original("_thread", "_count")() - ours


def start_new_thread(
    function: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any] | None = None, /
) -> int:
    """Run ``function(*args, **kwargs)`` in a new greenlet, soon. Returns its identifier (int). Does not switch.

    Raises TypeError for arguments that are not a callable, a tuple and a dict.
    """
    if not callable(function):
        raise TypeError("first arg must be callable")
    if not isinstance(args, tuple):
        raise TypeError("2nd arg must be a tuple")
    if kwargs is not None and not isinstance(kwargs, dict):
        raise TypeError("optional 3rd arg must be a dictionary")
    return id(_started(function, args, kwargs or {}))


def _started(function, args, kwargs):
    made = ThreadGreenlet(function, args, kwargs)
    _start(made)
    return made


def _start(made):
    try:
        made.start_elsewhere()
    except BaseException:
        made.kill(block=False)  # it has no hub to run on
        raise


start_new = start_new_thread


def exit() -> NoReturn:
    """End the current thread: raises SystemExit."""
    raise SystemExit


exit_thread = exit


# --- how `threading` learns of the end of a thread ----------------------------------------------------------------


class _Sentinel:
    """A lock that a thread holds while it runs. When the thread ends, every waiting acquire() gets the lock at once."""

    def __init__(self):
        self._taken = False
        self._ended = Event()
        self._held = False  # whether the lock was acquired since the thread's end, and not released
        # The greenlets whose acquire() an exception has ended, until they call locked(). Not their identifiers, as
        # these are reused.
        self._interrupted: WeakSet[greenlet.greenlet] = WeakSet()

    def acquire(self, blocking=True, timeout=-1):
        if not self._taken:
            self._taken = True
            return True
        if not blocking:
            got = self._ended.is_set() and not self._held
        else:
            current = greenlet.getcurrent()
            self._interrupted.discard(current)
            try:
                got = self._ended.wait(None if timeout < 0 else timeout)
            except BaseException:
                self._interrupted.add(current)
                raise
        self._held |= got
        return got

    def release(self):
        self._ended.set()
        self._held = False

    def locked(self):
        # `threading` calls this when an exception has ended a join(). If the result is true, it takes itself for the
        # lock's owner, releases it, and counts the thread as ended.
        current = greenlet.getcurrent()
        if current in self._interrupted:
            self._interrupted.discard(current)
            return False
        return self._taken and (self._held or not self._ended.is_set())

    def _at_fork_reinit(self):
        self._taken = False
        self._ended.clear()
        self._held = False
        self._interrupted.clear()


def _set_sentinel():
    """A lock that is released when the current thread ends: for `threading` of CPython 3.12 and before."""
    if is_native():
        return native.original("_thread", "_set_sentinel")()
    sentinel = _Sentinel()
    at_end(greenlet.getcurrent(), "sentinel", sentinel._ended.set)
    return sentinel


class _ThreadHandle:
    """A thread that can be joined: for `threading` of CPython 3.13 and later."""

    def __init__(self):
        self.ident = 0
        self._started = False
        self._done = Event()
        self._forks = fork_count()

    def is_done(self) -> bool:
        """Whether the thread has ended (bool)."""
        return self._done.is_set() or (self._forks != fork_count() and self.ident != get_ident())

    def _set_done(self):
        if not self._started:
            raise RuntimeError("thread not started")
        _awaited.discard(self)
        self._done.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread has ended, at most `timeout` seconds (float; None or negative: for ever). Switches.

        Raises RuntimeError if the thread was not started, or is the current one.
        """
        if self.is_done():
            return
        if not self._started:
            raise RuntimeError("thread not started")
        if self.ident == get_ident():
            raise RuntimeError("Cannot join current thread")
        self._done.wait(None if timeout is None or timeout < 0 else timeout)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object: ident={self.ident}>"


def start_joinable_thread(
    function: Callable[[], object], handle: _ThreadHandle | None = None, daemon: bool = True
) -> _ThreadHandle:
    """Run ``function()`` in a new greenlet, soon. Returns its handle: `handle`, or a new one. Does not switch.

    The interpreter waits at its end for threads that are not `daemon`. Raises TypeError if `function` cannot be called
    or `handle` is not a handle, and RuntimeError if the handle was used before.
    """
    if not callable(function):
        raise TypeError("thread function must be callable")
    if handle is None:
        handle = _ThreadHandle()
    elif not isinstance(handle, _ThreadHandle):
        raise TypeError("'handle' must be a _ThreadHandle")
    if handle._started:
        raise RuntimeError("thread already started")
    made = ThreadGreenlet(function, (), {})
    handle._started = True
    handle.ident = id(made)
    if not daemon:
        _awaited.add(handle)
    at_end(made, "handle", lambda: _ended(handle))
    _start(made)
    return handle


def _make_thread_handle(ident):
    handle = _ThreadHandle()
    handle._started = True
    handle.ident = ident
    return handle


def _ended(handle):
    handle._set_done()


_awaited: set[_ThreadHandle] = set()  # handles of the threads that the interpreter waits for at its end


def _shutdown():
    """Wait until all greenlets that are threads, but not daemons, have ended. Switches."""
    while _awaited:
        next(iter(_awaited)).join()


def _after_fork_in_child():
    for handle in list(_awaited):
        if handle.ident != get_ident():
            _awaited.discard(handle)


in_child(_after_fork_in_child)
