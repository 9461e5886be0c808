"""The standard library's `time`, with a sleep() that lets other greenlets run."""

from time import *  # noqa: F403  (this module offers everything that the standard one does)

from hub import sleep as _sleep

__all__ = ["sleep"]


def sleep(seconds, /):
    """Let others run for `seconds` (float). Returns None. Switches.

    Raises ValueError if `seconds` is negative, as the standard library does.
    """
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    _sleep(seconds)
