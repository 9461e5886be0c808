"""The standard library's `time`, with a sleep() that lets other greenlets run."""

from sys import version_info as _version_info
from time import *  # noqa: F403  (this module offers everything that the standard one does)
from time import pthread_getcpuclockid as _pthread_getcpuclockid

from hub import sleep as _sleep
from hub.arguments import seconds_of as _seconds_of

from greenio._patched.identity import native_ident as _native_ident

__all__ = ["pthread_getcpuclockid", "sleep"]

_NUMBERS = ("__float__", "__index__") if _version_info >= (3, 15) else ("__index__",)  # numbers have one of these
_TOO_LONG = 2.0**63 / 1e9  # seconds, as nanoseconds are counted in 64 bits


def pthread_getcpuclockid(thread_id, /):
    """As time.pthread_getcpuclockid(): the clock of a native thread; for a greenlet, of the one in which it runs.

    Does not switch. Raises ProcessLookupError if there is no such thread.
    """
    return _pthread_getcpuclockid(_native_ident(thread_id))


def sleep(seconds, /):
    """Let others run for `seconds` (float). Returns None. Switches.

    Raises as the standard library does: TypeError if `seconds` is not a number (before CPython 3.15: neither a float
    nor a whole number), ValueError if it is negative or NaN, OverflowError if it is 292 years or more.
    """
    if type(seconds) is not float and not isinstance(seconds, (int, float)) and not _is_number(type(seconds)):
        raise TypeError(f"a time is a number of seconds (int or float), not {seconds!r}")
    seconds = _seconds_of(seconds)
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    if seconds >= _TOO_LONG:
        raise OverflowError("sleep length is too large")
    _sleep(seconds)


def _is_number(kind):
    return any(hasattr(kind, name) for name in _NUMBERS)
