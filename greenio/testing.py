"""For tests of programs that use greenio: a clock, limits of time, a look at what a piece of code leaves behind.

With pytest, the plugin does this for each test: see docs/testing.md. What is here is for other ways of testing, and for
parts of tests.
"""

from __future__ import annotations

from contextlib import contextmanager

from greenio._testing.clock import MockClock
from greenio._testing.leftovers import Look, check_kinds, leftovers
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

    `kinds`: what is looked for; "clock", "hub", "greenlets", "timeouts", "handles", "threads" and "descriptors" if none
    is named. Greenlets, timeouts and handles are those of the current thread. What ends by itself within a second does
    not count, nor do the threads of the hub's own pool and of its resolver. An exception of the block goes on, and
    nothing is looked for.
    """
    wanted = check_kinds(kinds)
    before = Look()
    yield
    left = leftovers(before, wanted)
    if left:
        raise LeftBehind(f"left behind:\n{left}")
