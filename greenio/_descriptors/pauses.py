"""Looking again and again, in growing pauses, for changes that the system does not report.

For a child process without a pidfd, a semaphore of the system, a peer of a Unix socket with a full queue.
"""

from __future__ import annotations

from time import monotonic

from hub import sleep

__all__ = ["Pauses", "until_there_is_room"]


class Pauses:
    """The pauses between two looks: at first `first` seconds, then twice as long each, at most `longest`.

    `timeout`: after how many seconds (float) from now on there are no more; None for never.
    """

    __slots__ = ["_end", "_longest", "_next"]

    def __init__(self, first: float, longest: float, timeout: float | None = None) -> None:
        self._next = first
        self._longest = longest
        self._end = None if timeout is None else monotonic() + timeout

    def pause(self) -> bool:
        """Sleep for the next one, or for what is left of the time. Returns True; False if nothing is left. Switches."""
        left = self._next if self._end is None else self._end - monotonic()
        if left <= 0:
            return False
        sleep(min(self._next, left))
        self._next = min(2 * self._next, self._longest)
        return True


def until_there_is_room(timeout: float | None = None) -> Pauses:
    """The pauses in which a Unix socket whose queue is full is tried again. `timeout` in seconds (float; or None)."""
    return Pauses(0.001, 0.05, timeout)
