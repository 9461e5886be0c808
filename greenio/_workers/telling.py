"""What a supervisor and its workers say on standard error, though nobody may be there who reads it.

Theory
    A pipe whose reader has stopped, or a terminal that was held, takes nothing more: whoever writes to it waits. The
    descriptor cannot be made non-blocking, for it is shared with other programs. So it is asked first whether it takes
    something, and given no more at a time than a pipe then takes.

Rules
    1. Whoever does not read holds up nobody: what is not taken in time is dropped. Nor does a failure end anybody.
    2. Standard error is descriptor 2, or nothing is said: never a socket that has got this number.

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
#: Seconds for which it is waited until something more is taken.
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
    """Write to a descriptor that may block, for so many seconds at most. Raises OSError."""
    asking = _poll()
    asking.register(descriptor, POLLOUT)
    end = monotonic() + seconds
    while data and asking.poll(max(0.0, end - monotonic()) * 1000):
        data = data[write(descriptor, data[:PIPE_BUF]) :]


def hold_standard_descriptors() -> None:
    """See to it that descriptors 0, 1 and 2 are in use: a socket that gets one gets what is printed, too."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
