"""The limit on a server's handlers: how many may run at a time, and waiting until one of them ends."""

from __future__ import annotations

import resource

from hub import Wait

from greenio.greenlet import Greenlet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sized
    from typing import Any, Protocol

    class Pool(Protocol):
        """An object that starts handlers, and knows how many of them there are."""

        def spawn(self, *args: Any, **kwargs: Any) -> Any: ...
        def full(self) -> bool: ...
        def wait_available(self) -> object: ...
        def join(self, timeout: float | None = None) -> object: ...
        def kill(self, *, block: bool = True, timeout: float | None = None) -> object: ...


__all__ = ["Places"]


class Places:
    """The places for a server's handlers: each of them takes one while it runs.

    `running`: the container of the handlers that run.
    """

    def __init__(self, running: Sized) -> None:
        #: The function that starts a handler; None if handlers run in the greenlet that accepts.
        self.spawn: Callable[..., Any] | None = None
        self.pool: Pool | None = None
        #: How many handlers may run (int), or None if only a pool limits them.
        self.limit: int | None = None
        self._connection_limit: int | None = None
        self._spawn_limit: int | None = None
        self._running = running
        self._wait: Wait | None = None

    def set_spawn(self, spawn: Any) -> None:
        """Say how handlers are started: see BaseServer. Raises TypeError or ValueError. Does not switch."""
        pool = limit = None
        if spawn == "default":
            start = Greenlet.spawn
        elif hasattr(spawn, "spawn"):
            pool, start = spawn, spawn.spawn
        elif isinstance(spawn, int) and not isinstance(spawn, bool):
            if spawn <= 0:
                raise ValueError(f"a server must be allowed at least one handler at a time, not {spawn}")
            limit, start = spawn, Greenlet.spawn
        elif spawn is None or callable(spawn):
            start = spawn
        else:
            raise TypeError(f"spawn must be 'default', a number, a callable, a pool or None, not {spawn!r}")
        self.spawn, self.pool, self._spawn_limit = start, pool, limit
        self._find_limit()
        self.place_is_free()

    def set_max_connections(self, max_connections: int | None) -> None:
        """Set the server's limit (int). None: four fifths of the descriptors that the process may have.

        Called when the server starts, because the process's limit may change before. Does not switch.
        """
        if max_connections is None:
            descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            if descriptors != resource.RLIM_INFINITY:
                max_connections = max(1, descriptors * 4 // 5)
        self._connection_limit = max_connections
        self._find_limit()

    def _find_limit(self):
        limits = (self._connection_limit, self._spawn_limit)
        self.limit = min((each for each in limits if each is not None), default=None)

    def full(self) -> bool:
        """Whether no place is free (bool). Does not switch."""
        if self.pool is not None and self.pool.full():
            return True
        return self.limit is not None and len(self._running) >= self.limit

    def wait(self, server: object) -> None:
        """Wait until a place may be free. `server`: what reports name as waiting. Switches."""
        if self.pool is not None and self.pool.full():
            self.pool.wait_available()
            return
        wait = self._wait = Wait(f"{server!r} to have room for another handler")
        try:
            wait.park()
        finally:
            if self._wait is wait:
                self._wait = None

    def place_is_free(self) -> None:
        """End wait(): a handler has ended, or more of them may run. Does not switch."""
        if self._wait is not None:
            self._wait.wake()
