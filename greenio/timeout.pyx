"""Timeout: an exception that is thrown into a greenlet when its time has come.

Most Timeouts are started and cancelled, and never fire. That takes a timer from the loop's pool and gives it back.
"""

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF

from hub.arguments cimport seconds_of
from hub.ready cimport alarm_t
from hub.scheduler cimport Scheduler, current_hub
from hub.thrown cimport alarm_cancel

__all__ = ["Timeout", "with_timeout"]


cdef PyObject *exception_of(PyObject *owner) except NULL:
    """The exception that an expired Timeout throws: a new reference."""
    cdef Timeout timeout = <Timeout> owner
    cdef object exception = timeout.exception
    if exception is None or exception is False or isinstance(exception, str):
        exception = timeout
    elif isinstance(exception, type) and issubclass(exception, BaseException):
        exception = exception()
    elif not isinstance(exception, BaseException):
        exception = TypeError(f"a Timeout was given {exception!r} to throw, which is not an exception")
    Py_INCREF(exception)
    return <PyObject *> exception


cdef class Timeout(BaseException):
    """Raise an exception in the current greenlet after `seconds`, unless cancelled before.

    ``with Timeout(10): ...`` starts and cancels it; ``timeout.start()`` and ``timeout.close()`` do so by hand.
    It is thrown where the greenlet waits; a greenlet that never waits is not interrupted. No method switches.

    `seconds` (float): None never expires; 0 expires as soon as the greenlet waits.
    `exception`: None or a string raises the Timeout itself; an exception class or instance raises that instead;
    False raises the Timeout, and the ``with`` statement of this very Timeout swallows it.
    `ref=False`: a running Timeout does not keep the loop alive. `priority` is accepted for compatibility.
    Raises TypeError or ValueError if `seconds` is not a number of seconds.
    `seconds`, `exception` and `ref` can be read later; `seconds` as it was given.

    Derives from BaseException, so that ``except Exception`` does not take it for an ordinary error. Where several
    may be active, compare identity: ``except Timeout as t: if t is not mine: raise``.
    """
    cdef alarm_t alarm
    cdef readonly object seconds    # after how long it expires, or None
    cdef double delay               # the same as a number
    cdef public object exception    # which exception is raised: see above
    cdef readonly bint ref          # whether it keeps the loop alive

    def __cinit__(self):  # takes no arguments: a subclass may have an __init__() with others
        self.alarm.exception = exception_of

    def __init__(self, seconds=None, exception=None, ref=True, priority=-1):
        BaseException.__init__(self)
        if seconds is not None:
            self.delay = seconds_of(seconds)
        self.seconds = seconds
        self.exception = exception
        self.ref = ref

    @classmethod
    def start_new(cls, timeout=None, exception=None, ref=True):
        """Return a started Timeout: a new one of `timeout` seconds, or `timeout` itself if it is a Timeout already.

        `exception` and `ref` are for a new one. Does not switch.
        """
        if isinstance(timeout, Timeout):
            if not timeout.pending:
                timeout.start()
            return timeout
        timeout = cls(timeout, exception, ref=ref)
        timeout.start()
        return timeout

    cpdef start(self):
        """Start it, for the current greenlet. Does not switch.

        Raises AssertionError if it runs already.
        """
        cdef Scheduler hub
        if self.alarm.is_set:
            raise AssertionError(f"{self!r} is already started; to restart it, cancel it first")
        if self.seconds is None:
            return
        hub = current_hub()
        hub.alarm_set(&self.alarm, self, self.delay, self.ref)

    @property
    def pending(self):
        """Whether it runs: it was started, and has neither expired nor been cancelled (bool)."""
        return self.alarm.is_set and self.alarm.timer.timer != NULL

    cpdef cancel(self):
        """Stop it, if it runs, or has expired and was not raised yet. It may be started again. Does not switch."""
        if self.alarm.is_set:
            alarm_cancel(&self.alarm)

    cpdef close(self):
        """The same as cancel(). Every start() by hand should be followed by it, in a ``finally``. Does not switch."""
        if self.alarm.is_set:
            alarm_cancel(&self.alarm)

    def __enter__(self):
        if not self.alarm.is_set:
            self.start()
        return self

    def __exit__(self, kind, value, traceback):
        if self.alarm.is_set:
            alarm_cancel(&self.alarm)
        return value is self and self.exception is False

    def __repr__(self):
        state = "" if self.alarm.is_set and self.alarm.timer.timer != NULL else " (stopped)"
        exception = "" if self.exception is None else f" exception={self.exception!r}"
        return f"<{type(self).__name__} at {id(self):#x} seconds={self.seconds}{exception}{state}>"

    def __str__(self):
        if self.seconds is None:
            return ""
        suffix = "" if self.seconds == 1 else "s"
        if self.exception is None:
            return f"{self.seconds} second{suffix}"
        if self.exception is False:
            return f"{self.seconds} second{suffix} (silent)"
        return f"{self.seconds} second{suffix}: {self.exception}"

    def __lt__(self, other):
        """Compare by seconds, with a Timeout or a number; None is longer than any."""
        other = other.seconds if isinstance(other, Timeout) else other
        if not isinstance(other, (int, float, type(None))):
            return NotImplemented
        if self.seconds is None or other is None:
            return other is None and self.seconds is not None
        return self.seconds < other


def with_timeout(seconds, function, *args, **kwds):
    """Call ``function(*args, **kwds)`` for at most `seconds` (float; None for ever). Returns its result.

    Raises Timeout when the time is over. If the keyword argument `timeout_value` is given, returns that instead. If the
    function fails with another Timeout, that one is raised all the same. Switches when the function does.
    """
    timeout = Timeout.start_new(seconds)
    try:
        if "timeout_value" not in kwds:
            return function(*args, **kwds)
        timeout_value = kwds.pop("timeout_value")
        try:
            return function(*args, **kwds)
        except Timeout as error:
            if error is timeout:
                return timeout_value
            raise
    finally:
        timeout.cancel()
