"""Locks: one may be inside at once. Everything here may be used from any thread.

Released while somebody stands in line, a lock belongs to the first in line from then on.
"""

from _thread import TIMEOUT_MAX

from cpython.object cimport PyObject
from cpython.version cimport PY_VERSION_HEX
from cython cimport binding, final

from hub.greenlet_api cimport import_greenlet, running_greenlet
from hub.arguments cimport seconds_of
from hub.ready cimport fifo_t
from hub.waits cimport Wait
from hub.wait_queue cimport Waitable, line_grant, line_take, line_wake, new_turn

from greenio._sync.naming cimport name_type

import_greenlet()

__all__ = ["Lock", "RLock", "ThreadLock", "ThreadRLock", "allocate_lock", "name_as_standard"]


cdef object none_for_ever(object blocking, object timeout):
    """The timeout of the standard library's locks, where -1 is for ever, as None or seconds."""
    if timeout is None:
        return None
    if timeout == -1:
        return None
    if not blocking:
        raise ValueError("can't specify a timeout for a non-blocking call")
    if seconds_of(timeout) < 0:
        raise ValueError("timeout value must be a non-negative number")
    if timeout > TIMEOUT_MAX:
        raise OverflowError("timeout value is too large")
    return timeout


cdef int refuse_none(object timeout) except -1:
    """The standard library's locks have no None for ever."""
    if timeout is None:
        raise TypeError("timeout value must be a number of seconds, or -1 for ever, not None")
    return 0


cdef str name_of(object kind):
    """What repr() calls a type: as the standard library does, if it stands for one of that."""
    return f"_thread.{kind.__name__}" if kind.__module__ == "_thread" else kind.__name__


cdef class Lock(Waitable):
    """A lock that any greenlet or thread may release, as `threading.Lock`."""

    cdef bint take(self, object blocking, object timeout) except -1:
        cdef Wait wait
        if not self.held:
            self.held = True
            return True
        if not blocking:
            return False
        wait = new_turn(self, timeout)
        if not self.held:
            self.held = True
            return True
        return self.take_turn(wait)

    cdef int give(self) except -1:
        # When somebody stands in line it stays held: by the first of them.
        if self.waiters.head == NULL or not line_grant(&self.waiters, None):
            self.held = False
        return 0

    def acquire(self, blocking=True, timeout=-1):
        """Take the lock; wait for it at most `timeout` seconds (float; -1 or None for ever). Switches if it waits.

        Returns True, or False if the timeout passed first or, with ``blocking=False``, if it was taken.
        Raises ValueError for another negative timeout, or one that is not to be waited for; OverflowError for one
        beyond threading.TIMEOUT_MAX.
        """
        if timeout is not -1:
            timeout = none_for_ever(blocking, timeout)
        elif not self.held:
            self.held = True
            return True
        else:
            timeout = None
        return self.take(blocking, timeout)

    def release(self):
        """Give the lock up. Does not switch. Raises RuntimeError if nobody holds it."""
        if not self.held:
            raise RuntimeError(f"release of {self!r}, which nobody holds")
        self.give()

    def locked(self):
        """Whether somebody holds it (bool)."""
        return self.held

    def __enter__(self):
        return self.take(True, None)

    def __exit__(self, kind, value, traceback):
        self.release()

    cdef bint take_now(self, Wait taker) except -1:
        if self.held:
            return False
        self.held = True
        return True

    cdef fifo_t *line(self) except NULL:
        return &self.waiters

    cdef object taken(self, Wait taker):
        return True

    cdef int give_back(self, Wait taker) except -1:
        return self.give()

    def _at_fork_reinit(self):
        """For the standard library's threading, which calls it in a forked child: be free."""
        self.held = False

    def __repr__(self):
        state = "locked" if self.held else "unlocked"
        return f"<{state} {name_of(type(self))} object at {id(self):#x}, {self.waiters.length} waiting>"


@final
cdef class ThreadLock(Lock):
    """What allocate_lock() makes. It cannot be made in any other way before CPython 3.13, as its counterpart there."""

    def __init__(self):
        if PY_VERSION_HEX < 0x030D0000:
            kind = type(self)
            raise TypeError(f"cannot create '{kind.__module__}.{kind.__qualname__}' instances")

    def acquire(self, blocking=True, timeout=-1):
        """Take the lock; wait for it at most `timeout` seconds (float; -1 for ever). Switches if it waits.

        As of Lock, but raises TypeError where `timeout` is None, as its counterpart does.
        """
        if timeout is -1 and not self.held:
            self.held = True
            return True
        refuse_none(timeout)
        return self.take(blocking, none_for_ever(blocking, timeout))

    acquire_lock = acquire
    release_lock = Lock.release
    locked_lock = Lock.locked


@binding(False)  # as an attribute of a class it is what it was: a function, and no method
def allocate_lock():
    """A new Lock, as the function of `_thread` makes one."""
    return ThreadLock.__new__(ThreadLock)


cdef class RLock(Waitable):
    """A lock that its owner, a greenlet, may take again, as `threading.RLock`.

    `hub` is accepted for compatibility: it belongs to no hub.
    """

    def __init__(self, hub=None):
        pass

    cdef bint take(self, object blocking, object timeout) except -1:
        cdef object current = <object> running_greenlet()
        cdef Wait wait
        if self.owner is current:
            self.depth += 1
            return True
        if self.owner is None:
            self.owner = current
            self.depth = 1
            return True
        if not blocking:
            return False
        wait = new_turn(self, timeout)
        if self.owner is None:
            self.owner = current
            self.depth = 1
            return True
        wait.given = current
        return self.take_turn(wait)

    cdef int give(self) except -1:
        """What release() does, for who holds it for sure."""
        self.depth -= 1
        if self.depth == 0:
            self.pass_on()
        return 0

    cdef int pass_on(self) except -1:
        """Nobody holds it any more: the next does, or it is free."""
        cdef Wait wait
        if self.waiters.head != NULL:
            wait = line_take(&self.waiters)
            if wait is not None:
                self.depth = 1
                self.owner = wait.given
                line_wake(wait)
                return 0
        self.depth = 0
        self.owner = None
        return 0

    def acquire(self, blocking=True, timeout=-1):
        """Take the lock, once more if the greenlet has it; wait for it at most `timeout` seconds. May switch.

        `timeout` is a float; -1 or None for ever. Returns True, or False if the timeout passed first or, with
        ``blocking=False``, if another greenlet has it.
        """
        return self.take(blocking, none_for_ever(blocking, timeout))

    def release(self):
        """Give the lock up as often as it was taken. Does not switch.

        Raises RuntimeError if another greenlet, or nobody, holds it.
        """
        if not self._is_owned():
            raise RuntimeError(f"release of {self!r} by a greenlet that does not hold it")
        self.give()

    def locked(self):
        """Whether a greenlet holds it (bool)."""
        return self.owner is not None

    def __enter__(self):
        return self.take(True, None)

    def __exit__(self, kind, value, traceback):
        self.release()

    def _is_owned(self):
        """For `Condition`: whether the current greenlet holds it (bool)."""
        return <PyObject *> self.owner is running_greenlet()

    def _release_save(self):
        """For `Condition`: give it up altogether; returns what _acquire_restore() needs."""
        if not self._is_owned():
            raise RuntimeError(f"release of {self!r} by a greenlet that does not hold it")
        depth = self.depth
        self.pass_on()
        return depth

    def _acquire_restore(self, depth):
        """For `Condition`: take it as often as before."""
        self.take(True, None)
        self.depth = depth

    def _recursion_count(self):
        """How often the current greenlet holds it (int)."""
        return self.depth if self._is_owned() else 0

    cdef bint take_now(self, Wait taker) except -1:
        return self.take(False, None)

    cdef fifo_t *line(self) except NULL:
        return &self.waiters

    cdef object taken(self, Wait taker):
        return True

    cdef int give_back(self, Wait taker) except -1:
        return self.give()

    def _at_fork_reinit(self):
        """For the standard library's threading, which calls it in a forked child: be free."""
        self.depth = 0
        self.owner = None

    def __repr__(self):
        state = "unlocked" if self.owner is None else "locked"
        owner = "" if self.owner is None else f" owner={self.owner!r} count={self.depth}"
        name = name_of(type(self))
        return f"<{state} {name} object{owner} at {id(self):#x}, {self.waiters.length} waiting>"


cdef class ThreadRLock(RLock):
    """What `threading` makes its reentrant locks of. It takes any arguments, as its counterpart in `_thread`."""

    def __init__(self, *args, **kwargs):
        pass

    def acquire(self, blocking=True, timeout=-1):
        """Take the lock, once more if the greenlet has it; wait for it at most `timeout` seconds. May switch.

        As of RLock, but raises TypeError where `timeout` is None, as its counterpart does.
        """
        refuse_none(timeout)
        return self.take(blocking, none_for_ever(blocking, timeout))


def name_as_standard():
    """Let the types of threads' locks have the names of those in whose place they are put.

    Some programs know the standard library's by them: trio's assertions, what picks locks out of attributes.
    """
    name_type(ThreadLock, b"_thread.lock")
    name_type(ThreadRLock, b"_thread.RLock")
