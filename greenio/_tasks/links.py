"""Links that call their function in a greenlet of its own, for link(), link_value() and link_exception()."""

from __future__ import annotations

from hub import get_hub

from greenio._tasks.raw import spawn_raw

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["SpawnedAlways", "SpawnedLink", "SpawnedOnException", "SpawnedOnValue"]


class SpawnedLink:
    """A link that calls its function in a new greenlet. Equal to its function, so that unlink() finds it."""

    __slots__ = ["callback"]

    def __init__(self, callback: Callable[[Any], Any]) -> None:
        if not callable(callback):
            raise TypeError(f"a link must be callable, not {callback!r}")
        self.callback = callback

    def wants(self, source: Any) -> bool:
        """Whether the function is to be called for this source (bool)."""
        return True

    def __call__(self, source: Any) -> None:
        if self.wants(source):
            if get_hub().destroying:
                self.callback(source)  # no greenlet is started any more
            else:
                spawn_raw(self.callback, source)

    def __eq__(self, other: object) -> bool:
        return self.callback == getattr(other, "callback", other)

    def __hash__(self) -> int:
        return hash(self.callback)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.callback!r}>"


class SpawnedAlways(SpawnedLink):
    """For link()."""

    __slots__ = ()


class SpawnedOnValue(SpawnedLink):
    """For link_value()."""

    __slots__ = ()

    def wants(self, source: Any) -> bool:
        """Whether the source has succeeded (bool)."""
        return source.successful()


class SpawnedOnException(SpawnedLink):
    """For link_exception()."""

    __slots__ = ()

    def wants(self, source: Any) -> bool:
        """Whether the source has failed (bool)."""
        return not source.successful()
