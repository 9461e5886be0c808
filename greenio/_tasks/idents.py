"""Small numbers by which people tell greenlets apart: Greenlet.minimal_ident."""

from __future__ import annotations

import heapq

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.hub import Hub

__all__ = ["IdentRegistry", "ident_registry"]


class IdentRegistry:
    """The numbers of one hub's greenlets. The lowest free number is given out first; dead greenlets give them back."""

    def __init__(self) -> None:
        self.free: list[int] = []
        self.next = 0

    def take(self) -> int:
        """Take the lowest number that is not in use (int)."""
        if self.free:
            return heapq.heappop(self.free)
        self.next += 1
        return self.next - 1

    def give(self, ident: int, push: Callable[[list[int], int], None] = heapq.heappush) -> None:
        """Give a number back. `push` is a default because this module's names may be gone when greenlets die."""
        free = getattr(self, "free", None)
        if free is not None:  # the collector may have cleared the registry, with its hub, before the greenlet
            push(free, ident)


def ident_registry(hub: Hub) -> IdentRegistry:
    """The hub's registry of greenlet numbers, made on first use."""
    registry = hub.__dict__.get("ident_registry")
    if registry is None:
        registry = hub.__dict__["ident_registry"] = IdentRegistry()
    return registry
