"""Keeps the lowest descriptor numbers for the program, so that those it opens are numbered as they would be without us.

The system gives the lowest number that is free. Between the program's own descriptors the hub's would be in the way of
what closes, or counts on, numbers side by side. (In a forked child libuv opens two that are low.)
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from os import close
from os import open as open_descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ensure", "kept_free"]

LOWEST = 32  # what is opened inside is numbered from here
LEAST = 256  # a process that may not open so many needs every number
ROOM = 64  # so does one that has as few left


@contextmanager
def kept_free() -> Iterator[None]:
    """Inside, whatever is opened gets a number of at least 32, unless the process is short of descriptors."""
    taken: list[int] = []
    most = os.sysconf("SC_OPEN_MAX")
    try:
        if most >= LEAST:
            try:
                while not taken or taken[-1] < LOWEST - 1:
                    taken.append(open_descriptor("/", os.O_PATH | os.O_CLOEXEC))
                crowded = taken[-1] > most - ROOM
            except OSError:
                crowded = True
            if crowded:
                give_back(taken)
        yield
    finally:
        give_back(taken)


def ensure(count: int) -> None:
    """Raise OSError if not as many descriptors as `count` can be opened.

    For callers that would lose some if they found that out in the middle.
    """
    taken: list[int] = []
    try:
        while len(taken) < count:
            taken.append(open_descriptor("/", os.O_PATH | os.O_CLOEXEC))
    except OSError as error:
        raise OSError(
            error.errno,
            f"{error.strerror}: an event loop needs {count} descriptors, and {len(taken)} are left; "
            "raise the limit RLIMIT_NOFILE (ulimit -n), or close some",
        ) from None
    finally:
        give_back(taken)


def give_back(descriptors: list[int]) -> None:
    while descriptors:
        close(descriptors.pop())
