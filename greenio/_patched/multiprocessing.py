"""Makes `multiprocessing` cooperative: greenlets run while it waits for other processes.

Its pipes are read and written with `greenio.os`. Its locks are semaphores of the system, which does not report their
release. So a greenlet that waits for a semaphore looks again and again, at first after half a millisecond and in the
end 50 times a second.
"""

from __future__ import annotations

import os

from hub import native, sleep

from greenio import os as _os
from greenio._descriptors.accepting import make_all_blocking_again
from greenio._descriptors.pauses import Pauses
from greenio._patched.identity import get_ident
from greenio.lock import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["adapt_connection", "adapt_synchronize", "adapt_util"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.02


def adapt_connection(module: Any) -> None:
    """Let the connections of multiprocessing.connection read and write cooperatively."""
    for method, original, new in (
        (module.Connection._send, native.original("os", "write"), _os.write),
        (module.Connection._recv, native.original("os", "read"), _os.read),
    ):
        method.__defaults__ = tuple(new if each is original else each for each in method.__defaults__)

    class WaitSelector(module._WaitSelector):  # type: ignore[misc,name-defined]  # whatever the module has
        """The selector that multiprocessing.connection.wait() uses."""

        def select(self, timeout=None):
            # The thread that watches a pool's processes calls this again and again while a result is ready. Another
            # thread takes that result, and needs a turn for it.
            if timeout is None or timeout > 0:
                sleep(0)
            return super().select(timeout)

    module._WaitSelector = WaitSelector


def adapt_util(module: Any) -> None:
    """Make listeners blocking again before multiprocessing.util starts a process, which may inherit them."""
    original = module.spawnv_passfds

    def spawnv_passfds(path, args, passfds):
        make_all_blocking_again()
        return original(path, args, passfds)

    module.spawnv_passfds = spawnv_passfds


class _SemLock:
    """One semaphore of the system, for greenlets: it replaces the `_semlock` of a lock, and has all its attributes.

    A recursive semaphore counts by native thread. A lock of ours knows which greenlet of that thread holds it.
    """

    def __init__(self, semlock, recursive):
        self._semlock = semlock
        self._recursive = recursive
        self._made_in = None
        self._last = None  # the thread that acquired it last

    def __getattr__(self, name):
        return getattr(self._semlock, name)

    def _is_mine(self):
        return self._semlock._count() > 0 and self._last == get_ident()

    def _greenlet_lock(self):
        # In a forked child there is a new lock: the holder of the old one has stayed in the parent.
        if self._made_in != os.getpid():
            self._made_in, self._lock = os.getpid(), RLock()
        return self._lock

    def acquire(self, block=True, timeout=None):
        """As multiprocessing's. `timeout` in seconds (float). Returns True, or False if it passed first. Switches."""
        timeout = None if timeout is None else max(timeout, 0)
        pauses = Pauses(_FIRST_PAUSE, _LONGEST_PAUSE, timeout)
        if self._recursive:
            wait = timeout if block and timeout is not None else -1
            if not self._greenlet_lock().acquire(block, wait):
                return False
        try:
            taken = self._acquire(block, pauses)
        except BaseException:
            if self._recursive:
                self._lock.release()
            raise
        if taken:
            self._last = get_ident()
        elif self._recursive:
            self._lock.release()
        return taken

    def _acquire(self, block, pauses):
        while not self._semlock.acquire(False):
            if not block or not pauses.pause():
                return False
        return True

    def release(self):
        """As multiprocessing's: AssertionError if it is recursive and the caller does not hold it. Does not switch."""
        if self._recursive and not self._is_mine():
            raise AssertionError("attempt to release recursive lock not owned by thread")
        self._semlock.release()
        if self._recursive:
            self._greenlet_lock().release()


def adapt_synchronize(module: Any) -> None:
    """Make the locks of multiprocessing.synchronize cooperative."""
    make_methods = module.SemLock._make_methods

    def _make_methods(self):
        make_methods(self)
        self._semlock = _SemLock(self._semlock, self._semlock.kind == module.RECURSIVE_MUTEX)
        self.acquire, self.release = self._semlock.acquire, self._semlock.release

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *exc_info):
        self.release()

    module.SemLock._make_methods = _make_methods
    module.SemLock.__enter__ = __enter__
    module.SemLock.__exit__ = __exit__
