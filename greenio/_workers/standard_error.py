"""Printing to standard error, where a reader that has stopped must not hold up the supervisor or a worker.

Theory
    A pipe whose reader has stopped, or a terminal that is held, takes no more data, and a write to it blocks. The
    descriptor cannot be made non-blocking, because other programs share it. So poll(2) is asked first whether it takes
    data, and a write has no more bytes than a pipe then takes for sure.

Rules
    1. A text that is not taken in time is dropped. Errors are ignored.
    2. Descriptor 2 is standard error, or nothing is printed. It is never a socket that has got this number.

Nothing here switches.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from posix import write
from select import PIPE_BUF, POLLOUT
from time import monotonic

from hub.native import original

__all__ = ["hold_standard_descriptors", "say", "write_to"]

_poll = original("select", "poll")
#: The most seconds to wait until standard error takes a text.
_PATIENCE = 0.5


def say(text: str) -> None:
    """Print a text to standard error."""
    stream, own = sys.stderr, sys.__stderr__
    if stream is None:
        return
    with suppress(OSError, ValueError):
        if own is not None and stream is own:
            write_to(own.fileno(), f"{text}\n".encode(own.encoding, "backslashreplace"), _PATIENCE)
        else:
            print(text, file=stream, flush=True)


def write_to(descriptor: int, data: bytes, seconds: float) -> None:
    """Write to a descriptor that may block, for at most so many seconds (float). Raises OSError."""
    poll = _poll()
    poll.register(descriptor, POLLOUT)
    end = monotonic() + seconds
    while data and poll.poll(max(0.0, end - monotonic()) * 1000):
        data = data[write(descriptor, data[:PIPE_BUF]) :]


def hold_standard_descriptors() -> None:
    """Open those of the descriptors 0, 1 and 2 that are closed, so that no socket gets the number of one of them."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
