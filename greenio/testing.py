"""For tests of programs that use greenio: a mock clock, time limits, and a check that code leaves nothing behind.

With pytest, the plugin does this for each test: see docs/testing.md. This module is for other ways of testing, and for
parts of tests.
"""

from __future__ import annotations

from contextlib import contextmanager

from greenio._testing.clock import MockClock
from greenio._testing.leftovers import Snapshot, check_kinds, leftovers
from greenio._testing.limits import TimeLimit, TimeLimitExceeded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LeftBehind", "MockClock", "TimeLimit", "TimeLimitExceeded", "nothing_left_behind"]


class LeftBehind(AssertionError):
    """Something was left behind; the message names it."""


@contextmanager
def nothing_left_behind(*kinds: str) -> Iterator[None]:
    """``with nothing_left_behind(): ...`` raises LeftBehind if the block leaves something behind. Switches.

    `kinds`: the kinds of things to look for (str); by default all: "clock", "hub", "greenlets", "timeouts", "handles",
    "threads" and "descriptors". Greenlets, timeouts and handles are those of the current thread. Things that end by
    themselves within a second do not count, nor do the threads of the hub's own pool and of its resolver. If the block
    raises an exception, that goes on, and nothing is checked. Raises ValueError for an unknown kind.
    """
    wanted = check_kinds(kinds)
    before = Snapshot()
    yield
    left = leftovers(before, wanted)
    if left:
        raise LeftBehind(f"left behind:\n{left}")
