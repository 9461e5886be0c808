"""The counters of a worker process, in memory that it shares with its supervisor.

Why shared memory: counting is one addition, and nothing is sent. The supervisor can read the counters of a worker that
is stuck, and of one that was killed.

Rules
    1. The worker writes, the supervisor reads. Each worker has memory of its own.
    2. Numbers are whole, 64 bits each; times are nanoseconds.

What does not belong here: what the supervisor makes of the numbers (greenio._workers).
"""

from __future__ import annotations

from mmap import mmap

__all__ = [
    "BEATS", "CLOSED", "CONNECTIONS", "DONE", "ENDING", "LAG", "REQUESTS", "SIZE", "STACKS", "STATUS", "STATUSES",
    "TIMEOUTS", "Counts",
]  # fmt: skip

#: Turns of the worker's hub. While this number grows, the worker is not stuck.
BEATS = 0
#: How late the last beat came (nanoseconds).
LAG = 1
#: How often the worker has printed its stacks.
STACKS = 2
#: Connections that were handed to a handler, and those whose handler has ended.
CONNECTIONS, CLOSED = 3, 4
#: Requests that have begun, and those whose answer has ended.
REQUESTS, DONE = 5, 6
#: Clients and applications that exceeded a limit in seconds. The limit for idle connections does not count.
TIMEOUTS = 7
#: 1 once the worker accepts no more connections.
ENDING = 8
#: Answers by their status: those with status 200 are at STATUS + 200.
STATUS = 9
#: The statuses that are counted.
STATUSES = range(100, 600)
SIZE = STATUS + STATUSES.stop


class Counts:
    """The counters of one worker. `numbers`: a memoryview that has each of them at its index above."""

    __slots__ = ("_memory", "numbers")

    def __init__(self) -> None:
        self._memory: mmap | None = None
        self.numbers: memoryview = memoryview(bytearray(SIZE * 8)).cast("q")

    def share(self) -> None:
        """Move to memory that is shared with processes that are forked from now on. Raises OSError."""
        self._memory = mmap(-1, SIZE * 8)
        self.numbers = memoryview(self._memory).cast("q")

    def close(self) -> None:
        """Free the shared memory. `numbers` keeps the last values."""
        if self._memory is not None:
            last = memoryview(bytearray(self.numbers)).cast("q")
            self.numbers.release()
            self._memory.close()
            self._memory, self.numbers = None, last
