"""Keeps the lowest descriptor numbers free for the program: its descriptors have the same numbers as without a hub.

The system gives each descriptor the lowest free number. Some programs close ranges of numbers, or expect consecutive
ones. Descriptors of the hub among them would be in the way. (In a forked child libuv still opens two low ones.)
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

LOWEST = 32  # the hub's descriptors are numbered from here
LEAST = 256  # a process whose limit of descriptors is lower needs every number
ROOM = 64  # a process that has no more numbers left than this needs every number, too


@contextmanager
def kept_free() -> Iterator[None]:
    """In the ``with`` statement, new descriptors get numbers from 32 on, unless the process is short of descriptors."""
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
    """Raise OSError unless `count` descriptors can be opened now.

    For callers that would leak some of them if opening failed in the middle.
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
