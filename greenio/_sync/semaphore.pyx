"""Semaphores: a limited number of greenlets may be inside at once. Everything here may be used from any thread.

A place that is released while greenlets stand in line belongs to the first of them from then on: a later acquire() does
not overtake.
"""

from libc.limits cimport LONG_MAX

from hub.arguments cimport count_of, seconds_of
from hub.ready cimport fifo_t
from hub.waits cimport Wait
from hub.wait_queue cimport await_turn, line_grant, line_grant_all, line_join, new_turn

from greenio._sync.linkable cimport Linkable

__all__ = ["BoundedSemaphore", "DummySemaphore", "Semaphore"]


cdef class Semaphore(Linkable):
    """A counter that acquire() lowers and release() raises; acquire() waits while it is 0.

    `value` (int): the first value of the counter. `hub` is accepted for compatibility: a semaphore belongs to no hub.
    Raises ValueError if `value` is negative.
    """

    def __init__(self, value=1, hub=None):
        if value is None:
            value = 1
        self.count = count_of(value, "the initial value of a semaphore")
        if self.count < 0:
            raise ValueError(f"the initial value of a semaphore must not be negative, and is {value!r}")

    @property
    def counter(self):
        """How many greenlets could acquire it now (int)."""
        return self.count

    cdef bint is_ready(self) noexcept:
        return self.count > 0

    def locked(self):
        """Whether acquire() would have to wait (bool)."""
        return self.count <= 0

    cdef bint take(self, object blocking, object timeout) except -1:
        cdef Wait wait
        if timeout is not None:
            seconds_of(timeout)
        if self.count > 0:
            self.count -= 1
            return True
        if not blocking:
            return False
        wait = new_turn(self, timeout)
        if self.count > 0:
            self.count -= 1
            return True
        return self.take_turn(wait)

    cdef int give(self) except -1:
        if self.waiters.head != NULL and line_grant(&self.waiters, None):
            return 0
        return self.add(1)

    cdef int add(self, long n) except -1:
        self.count += n
        if self.onlookers.head != NULL:
            line_grant_all(&self.onlookers)
        if self.links is not None:
            self.notify_links()
        return 0

    def acquire(self, blocking=True, timeout=None):
        """Lower the counter; wait at most `timeout` seconds (float; None for ever) while it is 0. Switches if it waits.

        Returns True, or False if the timeout passed first or, with ``blocking=False``, if the counter was 0.
        """
        return self.take(blocking, timeout)

    def release(self, n=1):
        """Raise the counter by `n` (int), and wake as many greenlets. Does not switch. Returns the counter (int).

        The counter may grow beyond its initial value. Raises ValueError if `n` is less than 1, or, for a
        BoundedSemaphore, if the counter would grow beyond its initial value; OverflowError if it would not fit into
        64 bits.
        """
        self.give_checked(count_of(n, "n"))
        return self.count

    cdef int give_checked(self, long n) except -1:
        if n < 1:
            raise ValueError(f"n must be 1 or more, and is {n!r}")
        if n > LONG_MAX - self.count:
            raise OverflowError(f"{self!r} cannot count {n} more")
        while n and self.waiters.head != NULL and line_grant(&self.waiters, None):
            n -= 1
        return self.add(n) if n else 0

    def wait(self, timeout=None):
        """Wait until the counter is not 0, at most `timeout` seconds (float; None for ever). Switches if it waits.

        Returns the counter (int), and does not lower it. The counter is 0 if the timeout passed first, or if another
        greenlet was faster.
        """
        cdef Wait wait
        if timeout is not None:
            seconds_of(timeout)
        if self.count <= 0:
            wait = new_turn(self, timeout)
            if self.count <= 0:
                line_join(&self.onlookers, wait)
                await_turn(wait)
        return self.count

    def __enter__(self):
        self.take(True, None)

    def __exit__(self, kind, value, traceback):
        self.give_checked(1)

    cdef bint take_now(self, Wait taker) except -1:
        if self.count <= 0:
            return False
        self.count -= 1
        return True

    cdef fifo_t *line(self) except NULL:
        return &self.waiters

    cdef object taken(self, Wait taker):
        return True

    cdef int give_back(self, Wait taker) except -1:
        return self.give()

    def _at_fork_reinit(self):
        """Become free. The standard library's threading calls this in a forked child."""
        self.count = 1

    def __repr__(self):
        waiting = self.waiters.length + self.onlookers.length
        return f"<{type(self).__name__} at {id(self):#x} counter={self.count}, {waiting} waiting>"


cdef class BoundedSemaphore(Semaphore):
    """A semaphore whose counter cannot grow beyond its initial value: one release() too many is a ValueError."""

    def __init__(self, value=1, hub=None):
        Semaphore.__init__(self, value, hub)
        self.initial = self.count

    cdef int give_checked(self, long n) except -1:
        if n >= 1 and n > self.initial - self.count:
            raise ValueError(f"{self!r} was released more often than it was acquired")
        return Semaphore.give_checked(self, n)

    def _at_fork_reinit(self):
        """Become free. The standard library's threading calls this in a forked child."""
        self.count = self.initial


class DummySemaphore:
    """Has a semaphore's methods and never blocks: for code that needs one but has no limit."""

    def __init__(self, value=None):
        pass

    def acquire(self, blocking=True, timeout=None):
        """Returns True at once."""
        return True

    def release(self):
        """Does nothing."""

    def locked(self):
        """False."""
        return False

    def ready(self):
        """True."""
        return True

    def wait(self, timeout=None):
        """Returns 1 at once."""
        return 1

    def rawlink(self, callback):
        """Does nothing: the callback would be called when it becomes ready, and it always is."""

    def unlink(self, callback):
        """Does nothing."""

    def __enter__(self):
        pass

    def __exit__(self, *exc_info):
        pass

    def __repr__(self):
        return f"<{type(self).__name__} at {id(self):#x}>"
