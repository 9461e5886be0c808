"""What a program may say about its workers."""

from __future__ import annotations

from contextlib import suppress

from hub.arguments import count_of

from greenio._servers.addresses import address_text
from greenio._servers.seconds import seconds_or_infinity, seconds_or_none
from greenio._workers.telling import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["CannotStart", "Options", "tell"]


#: Seconds beyond `drain` after which a worker that was told to end is killed.
_GRACE = 5.0


class CannotStart(Exception):
    """A worker cannot start. Its text is all that is told of it: there is no traceback."""


def tell(text: str) -> None:
    """Print a line of the supervisor's, or of a worker's, to standard error."""
    say(f"greenio: {text}")


class Options:
    """The settings of a supervisor. Raises TypeError or ValueError for one that cannot be."""

    def __init__(
        self,
        workers: int,
        *,
        worker_timeout: float | None = 60.0,
        drain: float = 30.0,
        pre_drain: float | None = 0.0,
        max_requests: int | None = None,
        max_requests_jitter: int | None = None,
        max_rss: int | None = None,
        preload: bool = False,
        status: Any = None,
        tell: Callable[[str], object] = tell,
        name_of: Callable[[Any], str] = address_text,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise TypeError(f"workers have no argument {next(iter(unknown))!r}")
        self.workers = _at_least_one(workers, "workers")
        #: Seconds after which a worker whose hub does not turn is killed; None for never.
        self.worker_timeout = seconds_or_none(worker_timeout, "worker_timeout")
        if self.worker_timeout == 0:
            raise ValueError(f"worker_timeout must be greater than 0, not {worker_timeout}")
        #: Seconds that handlers have to end; infinity for as long as they take.
        self.drain = seconds_or_infinity(drain, "drain")
        #: Seconds for which workers go on accepting when they are to end; None for until they are told again.
        self.pre_drain = seconds_or_none(pre_drain, "pre_drain")
        #: After so many requests a worker is recycled; where there are no requests, after so many connections.
        self.max_requests = None if max_requests is None else _at_least_one(max_requests, "max_requests")
        if max_requests_jitter is None:
            max_requests_jitter = (self.max_requests or 0) // 10
        #: Up to how many more it may be, so that not all workers are recycled at a time.
        self.max_requests_jitter = count_of(max_requests_jitter, "max_requests_jitter")
        if self.max_requests_jitter < 0:
            raise ValueError(f"max_requests_jitter must not be negative: {max_requests_jitter}")
        #: A worker that has more bytes of memory is recycled.
        self.max_rss = None if max_rss is None else _at_least_one(max_rss, "max_rss")
        self.preload = preload
        #: Where the supervisor answers /healthz and /metrics.
        self.status = status
        self._tell = tell
        #: What an address is called in what is told.
        self.name_of = name_of

    def tell(self, text: str) -> None:
        """Tell a line to whoever reads what the service tells. That nobody does any more must not end it."""
        with suppress(OSError, ValueError):
            self._tell(text)

    @property
    def longest_end(self) -> float | None:
        """Seconds after which a worker that was told to end is killed; None for never."""
        return seconds_or_none(self.drain + _GRACE, "drain")

    @property
    def tick(self) -> float:
        """Seconds between two looks at the workers, and between two signs of life of theirs."""
        return 1.0 if self.worker_timeout is None else min(1.0, self.worker_timeout / 4)


def _at_least_one(value, name):
    if count_of(value, name) <= 0:
        raise ValueError(f"{name} must be at least one, not {value}")
    return value
