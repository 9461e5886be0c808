"""What `threading` needs beside the functions of `greenio.thread` when its threads are greenlets.

The module itself is the standard library's, on other foundations: `Thread`, `Timer`, `Condition`, `Barrier` and the
rest are its own code. This has the exceptions: threads that were not started by it, and those that are to be native.
"""

from __future__ import annotations

import os
import threading as _standard
from functools import partial
from types import FunctionType

import greenlet
from hub import native

from greenio._descriptors.pauses import Pauses
from greenio._patched.identity import at_end, get_ident, take_for_thread
from greenio._sync.mutex import ThreadRLock as RLock
from greenio.event import Event
from greenio.local import local
from greenio.lock import Lock
from greenio.thread import _Sentinel, _ThreadHandle
from greenio.thread import _shutdown as _wait_for_greenlets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])

__all__ = [
    "Event", "LibraryThread", "Lock", "NativeCondition", "NativeEvent", "NativeThread", "RLock", "get_ident", "local",
    "main_native_thread",
]  # fmt: skip

_internals: Any = _standard  # what it has for itself

# How often a native thread is asked whether it has ended, in seconds.
_LOOK = 0.01


def main_native_thread() -> _standard.Thread:
    """The main thread, as a threading.Thread."""
    return _standard.main_thread()


class _DummyThread(_standard._DummyThread):
    """Stands for a greenlet that was not started as a thread. It is forgotten when the greenlet ends."""

    def __init__(self):
        super().__init__()
        ident = self.ident
        take_for_thread()
        at_end(greenlet.getcurrent(), "dummy thread", lambda: _forget(ident, self))


def know_who_forks() -> None:
    """Let `threading` know the greenlet that forks, which is the main thread in the child.

    One that it does not know it takes for the native main thread there, which has another identifier.
    """
    os.register_at_fork(before=_standard.current_thread)


def _nothing_to_delete(thread):
    """In the place of what forgets a dummy thread when a native thread ends: _DummyThread does it."""


def _forget(ident, thread):
    if _internals._active.get(ident) is thread:
        del _internals._active[ident]


# --- the end of the interpreter -----------------------------------------------------------------------------------


def _shutdown():
    """Wait for all threads that are not daemons: for `threading` of CPython 3.13 and later. Switches.

    Greenlets run for as long as there are native ones, which may wait for them.
    """
    while True:
        _wait_for_greenlets()
        natives = [each for each in _standard.enumerate() if not each.daemon and _is_native_and_runs(each)]
        if not natives:
            break
        for each in natives:
            join_native(each)
    native.original("_thread", "_shutdown")()


def _is_native_and_runs(thread):
    return thread is not _standard.main_thread() and thread.is_alive() and not isinstance(thread._handle, _ThreadHandle)


class _ShutdownLocks(set):  # type: ignore[type-arg]  # of locks
    """The locks that threads hold which the interpreter waits for: for `threading` of CPython 3.12 and before.

    Those of native threads are waited for without keeping greenlets from running.
    """

    def __iter__(self):
        return (each if isinstance(each, _Sentinel) else _Watched(each) for each in super().__iter__())


class _Watched:
    """A native lock. Whoever waits for it lets greenlets run, and looks every 10 ms."""

    def __init__(self, lock):
        self._lock = lock
        self.locked, self.release = lock.locked, lock.release

    def acquire(self):
        pauses = Pauses(_LOOK, _LOOK)
        while not self._lock.acquire(False):
            pauses.pause()
        return True

    def __eq__(self, other):
        return other is self or other is self._lock

    def __hash__(self):
        return hash(self._lock)


def wait_for_native_threads_too() -> None:
    """Let the interpreter wait for native threads at its end as it does for greenlets."""
    if hasattr(_standard, "_shutdown_locks"):
        _internals._shutdown_locks = _ShutdownLocks(_internals._shutdown_locks)
        os.register_at_fork(after_in_child=_wait_in_child_too)


def _wait_in_child_too():
    _internals._shutdown_locks = _ShutdownLocks(_internals._shutdown_locks)


# --- native threads, and what they wait with ----------------------------------------------------------------------


class _Natively(dict):  # type: ignore[type-arg]  # of names
    """The globals of `threading`, in which threads and locks are native whatever has been put in place of them."""

    _NAMES = (
        "Lock", "_allocate_lock", "_start_new_thread", "_set_sentinel", "_start_joinable_thread", "_ThreadHandle",
        "_make_thread_handle",
    )  # fmt: skip

    def __init__(self, names):
        super().__init__({name: native.original("threading", name) for name in self._NAMES if hasattr(_standard, name)})
        self.update(names, RLock=native.RLock)

    def __missing__(self, name):
        # If it is not there, the builtins are asked next.
        return vars(_standard)[name]


def natively(function: Function, **names: object) -> Function:
    """A function of `threading` that makes native threads and locks, and uses `names` for what goes by them."""
    made: Any = FunctionType(
        function.__code__, _Natively(names), function.__name__, function.__defaults__, function.__closure__
    )
    made.__kwdefaults__ = function.__kwdefaults__
    made.__doc__ = function.__doc__
    return made


class NativeThread(_standard.Thread):
    """A threading.Thread that is a native thread, also where threads are greenlets otherwise.

    What blocks in it blocks it alone: in it, patched functions use a hub of its own. join() lets greenlets run.
    """

    if not TYPE_CHECKING:  # the types are those that it inherits
        __init__ = natively(_standard.Thread.__init__)
    start = natively(_standard.Thread.start)
    if hasattr(_standard.Thread, "_set_tstate_lock"):
        _set_tstate_lock = natively(_standard.Thread._set_tstate_lock)

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread has ended, at most `timeout` seconds (float). Switches, and looks every 10 ms."""
        join_native(self, timeout)


class NativeCondition(_standard.Condition):
    """A threading.Condition that blocks the native thread while it waits, and all greenlets in it."""

    if not TYPE_CHECKING:  # the types are those that it inherits
        __init__ = natively(_standard.Condition.__init__)
    wait = natively(_standard.Condition.wait)


class NativeEvent(_standard.Event):
    """A threading.Event that blocks the native thread while it is waited for, and all greenlets in it."""

    if not TYPE_CHECKING:  # the types are those that it inherits
        __init__ = natively(_standard.Event.__init__, Condition=NativeCondition)


class LibraryThread(NativeThread):
    """A NativeThread of a library, of which the program knows nothing: start() does not let greenlets run."""

    if not TYPE_CHECKING:  # the types are those that it inherits
        __init__ = natively(_standard.Thread.__init__, Event=NativeEvent)


def join_native(
    thread: _standard.Thread,
    timeout: float | None = None,
    join: Callable[[_standard.Thread, float | None], None] = _standard.Thread.join,
) -> None:
    """Wait for a native thread without keeping greenlets from running. Raises what Thread.join() raises."""
    main = thread is _standard.main_thread()
    if main and _standard.current_thread() is thread:
        raise RuntimeError("cannot join current thread")
    if not main:
        # What the standard function would raise, it raises at once. Greenlets of the main thread it takes for that.
        join(thread, 0)
    pauses = Pauses(_LOOK, _LOOK, timeout)
    while thread.is_alive() and pauses.pause():
        pass
    if not main:
        join(thread, 0)


def adopt_running_threads() -> None:
    """Let join() of the native threads that run already let greenlets run, of the main one too."""
    for thread in _standard.enumerate():
        if not isinstance(_handle_of(thread), (_Sentinel, _ThreadHandle)):
            thread.join = partial(join_native, thread)  # type: ignore[method-assign]


def _handle_of(thread):
    return getattr(thread, "_handle", None) or getattr(thread, "_tstate_lock", None)
