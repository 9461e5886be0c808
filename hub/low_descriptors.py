"""Keeps the lowest descriptor numbers for the program, so that those it opens are numbered as they would be without us.

The system gives the lowest number that is free. Between the program's own descriptors the hub's would be in the way of
what closes, or counts on, numbers side by side. (In a forked child libuv opens two that are low.)
"""

import os
from contextlib import contextmanager, suppress
from os import close
from os import open as open_descriptor

__all__ = ["kept_free"]

LOWEST = 32  # what is opened inside is numbered from here
LEAST = 256  # a process that may not open so many needs every number


@contextmanager
def kept_free():
    """Inside, whatever is opened gets a number of at least 32, if the process may have as many as 256."""
    taken = []
    try:
        if os.sysconf("SC_OPEN_MAX") >= LEAST:
            with suppress(OSError):
                while not taken or taken[-1] < LOWEST - 1:
                    taken.append(open_descriptor("/", os.O_PATH | os.O_CLOEXEC))
        yield
    finally:
        for descriptor in taken:
            close(descriptor)
