"""Deadlines for a block of code: fail_after and move_on_after, as trio has them.

Each of them has a `Timeout` of its own and swallows no other, so they nest.
"""

from __future__ import annotations

from time import monotonic

from hub.arguments import seconds_of

from greenio.timeout import Timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Literal

    from typing_extensions import Self

__all__ = ["Deadline", "fail_after", "move_on_after"]


class Deadline:
    """A context manager that ends its block when its time is over (internal base class).

    `seconds` (float; None for never): how long the block may take. The block ends where it waits; code that never waits
    is not interrupted. A deadline serves for one block. Raises TypeError or ValueError if `seconds` is not a number of
    seconds, RuntimeError if it is used again. Its methods do not switch.
    """

    def __init__(self, seconds: float | None) -> None:
        if seconds is not None:
            seconds_of(seconds)
        self.seconds = seconds
        #: Whether it has ended its block (bool).
        self.expired = False
        self._timeout: Timeout = None  # type: ignore[assignment]  # until the block begins
        self._end: float | None = None

    def __enter__(self) -> Self:
        if self._timeout is not None:
            raise RuntimeError(f"{self!r} was used already; make a new one for each block")
        self.reschedule(self.seconds)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self._timeout.cancel()
        self.expired = value is not None and value is self._timeout
        return self.expired and self._on_expired()

    def _on_expired(self):
        """Whether the block is left without an exception (bool)."""
        raise NotImplementedError

    @property
    def remaining(self) -> float | None:
        """How many seconds are left (float, not less than 0), or None for a deadline that never comes."""
        return None if self._end is None else max(0.0, self._end - monotonic())

    def reschedule(self, seconds: float | None) -> None:
        """Move it to `seconds` from now (float; None for never). To be called by the greenlet in the block.

        Raises TypeError or ValueError if `seconds` is not a number of seconds.
        """
        end = None if seconds is None else monotonic() + seconds_of(seconds)
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

    if TYPE_CHECKING:  # it swallows no exception

        def __exit__(
            self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
        ) -> Literal[False]: ...

    def _on_expired(self):
        raise TimeoutError(f"the block took longer than {self.seconds} seconds") from None


class move_on_after(Deadline):
    """``with move_on_after(seconds) as deadline: ...`` leaves the block if it takes longer; then `expired` is true."""

    def _on_expired(self):
        return True
