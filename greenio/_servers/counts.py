"""Counts: what a worker process has done, in memory that its supervisor shares.

Why shared memory: counting is one addition, nothing is sent, the supervisor sees the state of a worker that is stuck,
and what a worker has counted is there when it was killed.

Rules
    1. The worker writes, the supervisor reads. Each worker has memory of its own.
    2. Numbers are whole, 64 bits each; times are nanoseconds.

What does not belong here: what is made of the numbers (greenio._workers).
"""

from __future__ import annotations

from mmap import mmap

__all__ = [
    "BEATS", "CLOSED", "CONNECTIONS", "DONE", "ENDING", "LAG", "REQUESTS", "SIZE", "STACKS", "STATUS", "STATUSES",
    "TIMEOUTS", "Counts",
]  # fmt: skip

#: Turns of the worker's hub: while this goes up, it is not stuck.
BEATS = 0
#: By how much the last beat came late.
LAG = 1
#: How often the worker has printed its stacks.
STACKS = 2
#: Connections that were handed to a handler, and those whose handler has ended.
CONNECTIONS, CLOSED = 3, 4
#: Requests that have begun, and those whose answer has ended.
REQUESTS, DONE = 5, 6
#: Clients and applications that were too slow: every limit in seconds but the one for idle connections.
TIMEOUTS = 7
#: Whether the worker accepts nothing more.
ENDING = 8
#: From here on, answers by their status, which is added to it.
STATUS = 9
#: The statuses that are counted.
STATUSES = range(100, 600)
SIZE = STATUS + STATUSES.stop


class Counts:
    """The memory of one worker. `numbers`: what is in it, at the places above."""

    __slots__ = ("_memory", "numbers")

    def __init__(self) -> None:
        self._memory: mmap | None = None
        self.numbers: memoryview = memoryview(bytearray(SIZE * 8)).cast("q")

    def share(self) -> None:
        """Have processes that are forked from now on write where this one reads. Raises OSError."""
        self._memory = mmap(-1, SIZE * 8)
        self.numbers = memoryview(self._memory).cast("q")

    def close(self) -> None:
        """Give the memory back; `numbers` has the last of them from then on."""
        if self._memory is not None:
            last = memoryview(bytearray(self.numbers)).cast("q")
            self.numbers.release()
            self._memory.close()
            self._memory, self.numbers = None, last
