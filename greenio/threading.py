"""The parts of a patched `threading` that are not in `greenio.thread`.

`threading` itself stays the standard library's: `Thread`, `Timer`, `Condition`, `Barrier` and the rest are its code, on
the functions of `greenio.thread`. This file has the exceptions: threads that `threading` has not started, and native
threads.

Methods that wait say that they switch, or that they block the native thread. The others do not switch.
"""

from __future__ import annotations

import os
import threading as _standard
from functools import partial
from types import FunctionType

import greenlet
from hub import native

from greenio._descriptors.pauses import Pauses
from greenio._patched.identity import add_unstarted_thread, at_end, get_ident
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

_internals: Any = _standard  # for names that are not public, and have no types

# Seconds between two looks whether a native thread has ended.
_LOOK = 0.01


def main_native_thread() -> _standard.Thread:
    """The main thread, as a threading.Thread."""
    return _standard.main_thread()


class _DummyThread(_standard._DummyThread):
    """Stands for a greenlet that was not started as a thread. It is forgotten when the greenlet ends."""

    def __init__(self):
        super().__init__()
        ident = self.ident
        add_unstarted_thread()
        at_end(greenlet.getcurrent(), "dummy thread", lambda: _forget(ident, self))


def know_forking_greenlets() -> None:
    """Let `threading` know each greenlet that forks, before the fork: it is the main thread in the child.

    In the child, `threading` would take a greenlet that it does not know for the native main thread, which has another
    identifier.
    """
    os.register_at_fork(before=_standard.current_thread)


def _nothing_to_delete(thread):
    """Does nothing. The original forgets a dummy thread when a native thread ends; here _DummyThread does that."""


def _forget(ident, thread):
    if _internals._active.get(ident) is thread:
        del _internals._active[ident]


# --- the end of the interpreter -----------------------------------------------------------------------------------


def _shutdown():
    """Wait for all threads that are not daemons: for `threading` of CPython 3.13 and later. Switches.

    Greenlets go on running while there are native threads, which may wait for them.
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
    return (
        thread is not _standard.main_thread()
        and thread.is_alive()
        and not isinstance(_handle_of(thread), _ThreadHandle)
    )


class _ShutdownLocks(set):  # type: ignore[type-arg]  # of locks
    """The locks of the threads for which the interpreter waits at its end: in `threading` of CPython 3.12 and before.

    Waiting for the lock of a native thread lets greenlets run.
    """

    def __iter__(self):
        return (each if isinstance(each, _Sentinel) else _Watched(each) for each in super().__iter__())


class _Watched:
    """A native lock. acquire() lets greenlets run while it waits, and looks every 10 ms."""

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


def wait_for_native_threads_at_end() -> None:
    """Let greenlets run while the interpreter waits, at its end, for native threads."""
    if hasattr(_standard, "_shutdown_locks"):
        _internals._shutdown_locks = _ShutdownLocks(_internals._shutdown_locks)
        os.register_at_fork(after_in_child=_replace_locks_in_child)


def _replace_locks_in_child():
    _internals._shutdown_locks = _ShutdownLocks(_internals._shutdown_locks)


# --- native threads, and native ways to wait ----------------------------------------------------------------------


class _NativeGlobals(dict):  # type: ignore[type-arg]  # of names
    """The globals of `threading`, with native threads and locks instead of their replacements."""

    _NAMES = (
        "Lock", "_allocate_lock", "_start_new_thread", "_set_sentinel", "_start_joinable_thread", "_ThreadHandle",
        "_make_thread_handle",
    )  # fmt: skip

    def __init__(self, names):
        super().__init__({name: native.original("threading", name) for name in self._NAMES if hasattr(_standard, name)})
        self.update(names, RLock=native.RLock)

    def __missing__(self, name):
        # A KeyError makes Python look among the builtins.
        return vars(_standard)[name]


def natively(function: Function, **names: object) -> Function:
    """A copy of a function of `threading` that makes native threads and locks. `names` replace other globals."""
    made: Any = FunctionType(
        function.__code__, _NativeGlobals(names), function.__name__, function.__defaults__, function.__closure__
    )
    made.__kwdefaults__ = function.__kwdefaults__
    made.__doc__ = function.__doc__
    return made


class NativeThread(_standard.Thread):
    """A threading.Thread that is a native thread, even if threads are patched.

    A call that blocks in the thread blocks this thread alone. Patched functions use a hub of the thread's own there.
    join() lets greenlets run.
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
    """A threading.Condition whose wait() blocks the native thread, with all its greenlets."""

    if not TYPE_CHECKING:  # the types are those that it inherits
        __init__ = natively(_standard.Condition.__init__)
    wait = natively(_standard.Condition.wait)


class NativeEvent(_standard.Event):
    """A threading.Event whose wait() blocks the native thread, with all its greenlets."""

    if not TYPE_CHECKING:  # the types are those that it inherits
        __init__ = natively(_standard.Event.__init__, Condition=NativeCondition)


class LibraryThread(NativeThread):
    """A NativeThread for a library's own work: start() does not let greenlets run."""

    if not TYPE_CHECKING:  # the types are those that it inherits
        __init__ = natively(_standard.Thread.__init__, Event=NativeEvent)


def join_native(
    thread: _standard.Thread,
    timeout: float | None = None,
    join: Callable[[_standard.Thread, float | None], None] = _standard.Thread.join,
) -> None:
    """Wait for a native thread, at most `timeout` seconds (float; None for ever). Raises as Thread.join(). Switches."""
    main = thread is _standard.main_thread()
    if main and _standard.current_thread() is thread:
        raise RuntimeError("cannot join current thread")
    if not main:
        # The standard function raises its errors at once. It is not called for the main thread: it would take any
        # greenlet there for the main thread itself.
        join(thread, 0)
    pauses = Pauses(_LOOK, _LOOK, timeout)
    while thread.is_alive() and pauses.pause():
        pass
    if not main:
        join(thread, 0)


def adopt_running_threads() -> None:
    """Make join() cooperative for native threads that run already, including the main one."""
    for thread in _standard.enumerate():
        if not isinstance(_handle_of(thread), (_Sentinel, _ThreadHandle)):
            thread.join = partial(join_native, thread)  # type: ignore[method-assign]  # of this thread only


def _handle_of(thread):
    """The object by which the standard library joins a thread: of CPython 3.14 and later, 3.13, and before."""
    for name in ("_os_thread_handle", "_handle", "_tstate_lock"):
        handle = getattr(thread, name, None)
        if handle is not None:
            return handle
    return None
