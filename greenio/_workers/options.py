"""The settings of a supervisor and its workers, checked."""

from __future__ import annotations

from contextlib import suppress

from hub.arguments import count_of

from greenio._servers.addresses import address_text
from greenio._servers.seconds import seconds_or_infinity, seconds_or_none
from greenio._workers.standard_error import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["CannotStart", "Options", "tell"]


#: Seconds after `drain` until a worker that should have ended is killed.
_GRACE = 5.0


class CannotStart(Exception):
    """A worker cannot start. Only the text of this exception is printed, and no traceback."""


def tell(text: str) -> None:
    """Print a line of the supervisor or of a worker to standard error. Does not switch."""
    say(f"greenio: {text}")


class Options:
    """The settings of a supervisor. Raises TypeError or ValueError for a wrong one."""

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
        #: Seconds after which a worker whose hub does not turn is killed; None: never.
        self.worker_timeout = seconds_or_none(worker_timeout, "worker_timeout")
        if self.worker_timeout == 0:
            raise ValueError(f"worker_timeout must be greater than 0, not {worker_timeout}")
        #: Seconds that handlers have to finish; infinity: as long as they take.
        self.drain = seconds_or_infinity(drain, "drain")
        #: Seconds for which workers go on accepting when the service ends; None: until the next signal.
        self.pre_drain = seconds_or_none(pre_drain, "pre_drain")
        #: The number of requests (connections, if there are no requests) after which a worker is recycled.
        self.max_requests = None if max_requests is None else _at_least_one(max_requests, "max_requests")
        if max_requests_jitter is None:
            max_requests_jitter = (self.max_requests or 0) // 10
        #: The most that is added to it at random, so that not all workers are recycled at the same time.
        self.max_requests_jitter = count_of(max_requests_jitter, "max_requests_jitter")
        if self.max_requests_jitter < 0:
            raise ValueError(f"max_requests_jitter must not be negative: {max_requests_jitter}")
        #: The bytes of memory above which a worker is recycled.
        self.max_rss = None if max_rss is None else _at_least_one(max_rss, "max_rss")
        self.preload = preload
        #: The address at which the supervisor answers /healthz and /metrics.
        self.status = status
        self._tell = tell
        #: The function that makes a text of an address, for messages.
        self.name_of = name_of

    def tell(self, text: str) -> None:
        """Print a message. An error is ignored: a service must not end because its messages cannot be printed."""
        with suppress(OSError, ValueError):
            self._tell(text)

    @property
    def longest_end(self) -> float | None:
        """Seconds after which a worker that should have ended is killed (float); None: never."""
        return seconds_or_none(self.drain + _GRACE, "drain")

    @property
    def tick(self) -> float:
        """Seconds between two checks of the workers, and between two beats of a worker (float)."""
        return 1.0 if self.worker_timeout is None else min(1.0, self.worker_timeout / 4)


def _at_least_one(value, name):
    if count_of(value, name) <= 0:
        raise ValueError(f"{name} must be at least one, not {value}")
    return value
