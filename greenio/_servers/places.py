"""How many handlers a server may have at a time, and waiting until one of them ends."""

from __future__ import annotations

import resource

from hub import Wait

from greenio.greenlet import Greenlet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sized
    from typing import Any, Protocol

    class Pool(Protocol):
        """What starts handlers, and knows how many there are."""

        def spawn(self, *args: Any, **kwargs: Any) -> Any: ...
        def full(self) -> bool: ...
        def wait_available(self) -> object: ...
        def join(self, timeout: float | None = None) -> object: ...
        def kill(self, *, block: bool = True, timeout: float | None = None) -> object: ...


__all__ = ["Places"]


class Places:
    """The places for a server's handlers. `running`: the handlers that there are, in a container with a length."""

    def __init__(self, running: Sized) -> None:
        #: What starts a handler; None if it runs in the greenlet that accepts.
        self.spawn: Callable[..., Any] | None = None
        self.pool: Pool | None = None
        #: How many there may be (int), or None if only a pool limits them.
        self.most: int | None = None
        self._most_connections: int | None = None
        self._most_spawned: int | None = None
        self._running = running
        self._wait: Wait | None = None

    def set_spawn(self, spawn: Any) -> None:
        """Say how handlers are started: see BaseServer. Raises TypeError or ValueError. Does not switch."""
        pool = most = None
        if spawn == "default":
            start = Greenlet.spawn
        elif hasattr(spawn, "spawn"):
            pool, start = spawn, spawn.spawn
        elif isinstance(spawn, int) and not isinstance(spawn, bool):
            if spawn <= 0:
                raise ValueError(f"a server must be allowed at least one handler at a time, not {spawn}")
            most, start = spawn, Greenlet.spawn
        elif spawn is None or callable(spawn):
            start = spawn
        else:
            raise TypeError(f"spawn must be 'default', a number, a callable, a pool or None, not {spawn!r}")
        self.spawn, self.pool, self._most_spawned = start, pool, most
        self._find_least()
        self.one_is_free()

    def count(self, max_connections: int | None) -> None:
        """Find out how many there may be, for a server that starts to listen. Does not switch.

        `max_connections`: the server's limit (int). None: four fifths of the descriptors that the process may have.
        """
        if max_connections is None:
            descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            if descriptors != resource.RLIM_INFINITY:
                max_connections = max(1, descriptors * 4 // 5)
        self._most_connections = max_connections
        self._find_least()

    def _find_least(self):
        limits = (self._most_connections, self._most_spawned)
        self.most = min((each for each in limits if each is not None), default=None)

    def full(self) -> bool:
        """Whether no place is free (bool). Does not switch."""
        if self.pool is not None and self.pool.full():
            return True
        return self.most is not None and len(self._running) >= self.most

    def wait(self, whose: object) -> None:
        """Wait until a place may be free; `whose` is the server that the wait names. Switches."""
        if self.pool is not None and self.pool.full():
            self.pool.wait_available()
            return
        wait = self._wait = Wait(f"{whose!r} to have room for another handler")
        try:
            wait.park()
        finally:
            if self._wait is wait:
                self._wait = None

    def one_is_free(self) -> None:
        """A handler has ended, or more may run: wait() is over. Does not switch."""
        if self._wait is not None:
            self._wait.wake()
