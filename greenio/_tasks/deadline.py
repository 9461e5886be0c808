"""Deadlines for a block of code: fail_after and move_on_after, as trio has them.

They are made of `Timeout`, which may not be mixed up with another: each knows its own, so they nest.
"""

import time

from hub.arguments import seconds_of

from greenio.timeout import Timeout

__all__ = ["Deadline", "fail_after", "move_on_after"]


class Deadline:
    """A context manager that ends its block when its time is over (internal base class).

    `seconds` (float): None for never. The time begins with the block. It is noticed where the block waits; code that
    never waits is not interrupted. It can be used once.
    """

    def __init__(self, seconds):
        if seconds is not None:
            seconds_of(seconds)
        self.seconds = seconds
        #: Whether it has ended its block (bool).
        self.expired = False
        self._timeout = None
        self._end = None

    def __enter__(self):
        if self._timeout is not None:
            raise RuntimeError(f"{self!r} was used already; make a new one for each block")
        self.reschedule(self.seconds)
        return self

    def __exit__(self, kind, value, traceback):
        self._timeout.cancel()
        self.expired = value is not None and value is self._timeout
        return self.expired and self._ended(value)

    def _ended(self, timeout):
        raise NotImplementedError

    @property
    def remaining(self):
        """How many seconds are left (float, not less than 0), or None for a deadline that never comes."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def reschedule(self, seconds):
        """Let it come in `seconds` from now (float; None for never) instead. For the greenlet in the block."""
        end = None if seconds is None else time.monotonic() + seconds_of(seconds)
        if self._timeout is not None:
            self._timeout.cancel()
        self.seconds = seconds
        self._end = end
        self._timeout = Timeout(seconds)
        self._timeout.start()

    def __repr__(self) -> str:
        state = "expired" if self.expired else "not begun" if self._timeout is None else "begun"
        return f"<{type(self).__name__} at {id(self):#x} seconds={self.seconds} {state}>"


class fail_after(Deadline):
    """``with fail_after(seconds): ...`` raises the builtin TimeoutError if the block takes longer."""

    def _ended(self, timeout):
        raise TimeoutError(f"the block took longer than {self.seconds} seconds") from None


class move_on_after(Deadline):
    """``with move_on_after(seconds) as deadline: ...`` leaves the block if it takes longer; then `expired` is true."""

    def _ended(self, timeout):
        return True
