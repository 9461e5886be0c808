"""Events and results: one side reports that something has happened; any number of greenlets and threads wait for it.

Everything here may be used from any thread. Methods that wait say that they switch; the others do not switch.
"""

import warnings
from _thread import TIMEOUT_MAX

from hub.arguments cimport seconds_of
from hub.ready cimport fifo_t
from hub.waits cimport Wait

from greenio._sync.linkable cimport Linkable
from greenio.timeout import Timeout

__all__ = ["AsyncResult", "Event"]

cdef double LONGEST = TIMEOUT_MAX


cdef class Event(Linkable):
    """A flag that greenlets wait for: set() raises it and wakes all of them, clear() lowers it.

    As `threading.Event`, for greenlets and threads.
    """
    cdef bint is_ready(self) noexcept:
        return self.flag

    def is_set(self):
        """Whether the flag is raised (bool)."""
        return self.flag

    def isSet(self):
        """Deprecated, as in the standard library: use is_set()."""
        warnings.warn("isSet() is deprecated, use is_set() instead", DeprecationWarning, stacklevel=2)
        return self.flag

    def set(self):
        """Raise the flag, and wake all greenlets and threads that wait. Does not switch."""
        self.raise_flag()

    cdef int raise_flag(self) except -1:
        self.flag = True
        return self.tell_all()

    def clear(self):
        """Lower the flag. Greenlets that were woken already go on. Does not switch."""
        self.flag = False

    def wait(self, timeout=None):
        """Wait until the flag is raised, at most `timeout` seconds (float; None for ever). Switches.

        Returns True, or False if the timeout passed first. True also if the flag was raised and lowered again.
        Raises OverflowError for a timeout beyond threading.TIMEOUT_MAX.
        """
        if timeout is not None and not self.flag and seconds_of(timeout) > LONGEST:
            raise OverflowError("timeout value is too large")
        return self.wait_until_ready(timeout)

    cdef bint take_now(self, Wait taker) except -1:
        taker.given = True
        return self.flag

    cdef fifo_t *line(self) except NULL:
        return &self.waiters

    cdef object taken(self, Wait taker):
        return True

    def _at_fork_reinit(self):
        """Do nothing. The standard library's threading calls this in a forked child, where no greenlet waits."""

    def __repr__(self):
        state = "set" if self.flag else "unset"
        waiting = f", {self.waiters.length} waiting" if self.waiters.length else ""
        return f"<greenio.{type(self).__name__} at {id(self):#x}{waiting}: {state}>"


cdef class AsyncResult(Linkable):
    """A value or an exception that comes later: one side sets it, any number of greenlets and threads get it.

    It may be used as a link of a greenlet, which then sets it. Setting it again replaces the value or exception.
    """
    cdef bint is_ready(self) noexcept:
        return self.is_set

    done = Linkable.ready

    def successful(self):
        """Whether a value is there, and not an exception (bool)."""
        return self.is_set and self.error is None

    @property
    def value(self):
        """The value, or None if there is none."""
        return self.result_value

    @property
    def exception(self):
        """The exception instance, or None if there is none."""
        return self.error

    @property
    def exc_info(self):
        """(type, instance, traceback) of the exception, or an empty tuple."""
        return () if self.error is None else (type(self.error), self.error, self.error_traceback)

    def set(self, value=None):
        """Set the value, and wake all greenlets and threads that wait. Does not switch."""
        self.result_value = value
        self.error = self.error_traceback = None
        self.is_set = True
        self.tell_all()

    set_result = set

    def set_exception(self, exception, exc_info=None):
        """Set the exception (an instance) that get() is to raise, and wake all that wait. Does not switch.

        `exc_info`, a triple, has the traceback to raise it with. Raises TypeError if `exception` is not an exception.
        """
        if not isinstance(exception, BaseException):
            raise TypeError(f"set_exception() needs an exception instance, not {exception!r}")
        self.result_value = None
        self.error_traceback = exc_info[2] if exc_info else exception.__traceback__
        self.error = exception
        self.is_set = True
        self.tell_all()

    cdef object outcome(self):
        if self.error is not None:
            raise self.error.with_traceback(self.error_traceback)
        return self.result_value

    def get(self, block=True, timeout=None):
        """Return the value or raise the exception; wait for it at most `timeout` seconds (float; None for ever).

        Raises Timeout if the timeout passes first or, with ``block=False``, if it is not set. Switches if it waits.
        """
        if timeout is not None:
            seconds_of(timeout)
        if not self.is_set:
            if not block:
                raise Timeout(0)
            if not self.wait_until_ready(timeout):
                raise Timeout(timeout)
        return self.outcome()

    def get_nowait(self):
        """Return the value or raise the exception; raise Timeout if it is not set. Does not switch."""
        return self.get(False)

    def result(self, timeout=None):
        """As get(), under the name that `concurrent.futures` uses. Raises Timeout. Switches if it waits."""
        return self.get(True, timeout)

    def wait(self, timeout=None):
        """Wait until it is set, at most `timeout` seconds (float; None for ever). Switches.

        Returns the value, or None if there is no value. An exception that was set is not raised.
        """
        self.wait_until_ready(timeout)
        return self.result_value

    def cancel(self):
        """Does nothing: a result cannot be cancelled. Returns False."""
        return False

    def cancelled(self):
        """Whether it was cancelled: always False."""
        return False

    def __call__(self, source):
        """Take over the value or exception of a greenlet or another result, as its link. Does not switch."""
        if source.successful():
            self.set(source.value)
        else:
            self.set_exception(source.exception, getattr(source, "exc_info", None))

    cdef bint take_now(self, Wait taker) except -1:
        return self.is_set

    cdef fifo_t *line(self) except NULL:
        return &self.waiters

    cdef object taken(self, Wait taker):
        return self.result_value

    def __repr__(self):
        if not self.is_set:
            state = "unset"
        elif self.error is not None:
            state = f"exception={self.error!r}"
        else:
            state = f"value={self.result_value!r}"
        return f"<{type(self).__name__} at {id(self):#x} {state}, {self.waiters.length} waiting>"
