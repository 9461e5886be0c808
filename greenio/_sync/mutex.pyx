"""Locks: one greenlet at a time holds a lock. Everything here may be used from any thread.

A lock that is released while greenlets stand in line belongs to the first of them from then on.
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


cdef object seconds_or_none(object blocking, object timeout):
    """Convert a timeout of the standard library's locks, where -1 means for ever, to seconds or None. May raise."""
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
    """Raise TypeError for a timeout of None: the standard library's locks refuse it."""
    if timeout is None:
        raise TypeError("timeout value must be a number of seconds, or -1 for ever, not None")
    return 0


cdef str name_of(object kind):
    """The name of a type for repr(); it has a module if the type replaces one of the standard library."""
    return f"_thread.{kind.__name__}" if kind.__module__ == "_thread" else kind.__name__


cdef class Lock(Waitable):
    """A lock that any greenlet or thread may release, as `threading.Lock`."""

    def __init__(self):
        pass  # it takes no arguments

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
        # If greenlets stand in line, the lock stays held: by the first of them.
        if self.waiters.head == NULL or not line_grant(&self.waiters, None):
            self.held = False
        return 0

    def acquire(self, blocking=True, timeout=-1):
        """Take the lock; wait for it at most `timeout` seconds (float; -1 or None for ever). Switches if it waits.

        Returns True, or False if the timeout passed first or, with ``blocking=False``, if the lock was taken.
        Raises ValueError for any other negative timeout, and for a timeout with ``blocking=False``; OverflowError for
        one beyond threading.TIMEOUT_MAX.
        """
        if timeout is not -1:
            timeout = seconds_or_none(blocking, timeout)
        elif not self.held:
            self.held = True
            return True
        else:
            timeout = None
        return self.take(blocking, timeout)

    def release(self):
        """Give the lock up. Does not switch. Raises RuntimeError if the lock is not held."""
        if not self.held:
            raise RuntimeError(f"release of {self!r}, which nobody holds")
        self.give()

    def locked(self):
        """Whether the lock is held (bool)."""
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
        """Become free. The standard library's threading calls this in a forked child."""
        self.held = False

    def __repr__(self):
        state = "locked" if self.held else "unlocked"
        return f"<{state} {name_of(type(self))} object at {id(self):#x}, {self.waiters.length} waiting>"


@final
cdef class ThreadLock(Lock):
    """The lock that allocate_lock() makes. As in the standard library, nothing else makes one before CPython 3.13."""

    def __init__(self):
        if PY_VERSION_HEX < 0x030D0000:
            kind = type(self)
            raise TypeError(f"cannot create '{kind.__module__}.{kind.__qualname__}' instances")

    def acquire(self, blocking=True, timeout=-1):
        """Take the lock; wait for it at most `timeout` seconds (float; -1 for ever). Switches if it waits.

        As Lock.acquire(), but a `timeout` of None is a TypeError, as in the standard library.
        """
        if timeout is -1 and not self.held:
            self.held = True
            return True
        refuse_none(timeout)
        return self.take(blocking, seconds_or_none(blocking, timeout))

    acquire_lock = acquire
    release_lock = Lock.release
    locked_lock = Lock.locked


@binding(False)  # as an attribute of a class it stays a function and does not become a method
def allocate_lock():
    """Make a new lock, as the function of `_thread` does. Does not switch."""
    return ThreadLock.__new__(ThreadLock)


cdef class RLock(Waitable):
    """A lock that its owner, a greenlet, may take again, as `threading.RLock`.

    `hub` is accepted for compatibility: the lock belongs to no hub.
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
        """Release a lock that the current greenlet is known to hold."""
        self.depth -= 1
        if self.depth == 0:
            self.pass_on()
        return 0

    cdef int pass_on(self) except -1:
        """Hand the lock over to the next in line, or leave it free."""
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
        """Take the lock, or take it once more if the current greenlet holds it already. Switches if it waits.

        It waits at most `timeout` seconds (float; -1 or None for ever). Returns True, or False if the timeout passed
        first or, with ``blocking=False``, if another greenlet has the lock. Raises ValueError and OverflowError as
        Lock.acquire() does.
        """
        return self.take(blocking, seconds_or_none(blocking, timeout))

    def release(self):
        """Give the lock up once; it becomes free when it was released as often as taken. Does not switch.

        Raises RuntimeError if the current greenlet does not hold it.
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
        """For `Condition`: give the lock up altogether. Returns the argument for _acquire_restore()."""
        if not self._is_owned():
            raise RuntimeError(f"release of {self!r} by a greenlet that does not hold it")
        depth = self.depth
        self.pass_on()
        return depth

    def _acquire_restore(self, depth):
        """For `Condition`: take the lock as often as before."""
        self.take(True, None)
        self.depth = depth

    def _recursion_count(self):
        """How often the current greenlet has taken it (int)."""
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
        """Become free. The standard library's threading calls this in a forked child."""
        self.depth = 0
        self.owner = None

    def __repr__(self):
        state = "unlocked" if self.owner is None else "locked"
        owner = "" if self.owner is None else f" owner={self.owner!r}"
        name = name_of(type(self))
        return f"<{state} {name} object{owner} count={self.depth} at {id(self):#x}, {self.waiters.length} waiting>"


cdef class ThreadRLock(RLock):
    """The reentrant lock of a patched `threading`. Before CPython 3.15 it takes any arguments, as the standard one."""

    def __init__(self, *args, **kwargs):
        if PY_VERSION_HEX >= 0x030F0000 and (args or kwargs):
            raise TypeError(f"{type(self).__name__}() takes no arguments")

    def acquire(self, blocking=True, timeout=-1):
        """Take the lock, or take it once more if the current greenlet holds it already. Switches if it waits.

        As RLock.acquire(), but a `timeout` of None is a TypeError, as in the standard library.
        """
        refuse_none(timeout)
        return self.take(blocking, seconds_or_none(blocking, timeout))


def name_as_standard():
    """Give the types of patched threads' locks the names of the standard types that they replace.

    Some programs know the standard types by name: trio's assertions, and code that looks for locks among attributes.
    """
    name_type(ThreadLock, b"_thread.lock")
    name_type(ThreadRLock, b"_thread.RLock")
