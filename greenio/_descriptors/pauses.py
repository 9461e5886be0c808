"""Looking again and again, in growing pauses, for changes that the system does not report.

Examples: the end of a child without a pidfd, the release of a system's semaphore, room in the queue of a Unix socket.
"""

from __future__ import annotations

from time import monotonic

from hub import sleep

__all__ = ["Pauses", "pauses_for_room"]


class Pauses:
    """The pauses between two looks: the first takes `first` seconds, each later one twice as long, at most `longest`.

    There are no more pauses when `timeout` seconds (float; None for ever) have passed from now on.
    """

    __slots__ = ["_end", "_longest", "_next"]

    def __init__(self, first: float, longest: float, timeout: float | None = None) -> None:
        self._next = first
        self._longest = longest
        self._end = None if timeout is None else monotonic() + timeout

    def pause(self) -> bool:
        """Sleep for the next pause, but at most until the timeout. Returns False at once if it has passed. Switches."""
        left = self._next if self._end is None else self._end - monotonic()
        if left <= 0:
            return False
        sleep(min(self._next, left))
        self._next = min(2 * self._next, self._longest)
        return True


def pauses_for_room(timeout: float | None = None) -> Pauses:
    """The pauses after which sending to a full Unix socket is tried again. `timeout`: seconds (float), or None."""
    return Pauses(0.001, 0.05, timeout)
