"""Keeps the buffers of a call from being resized while the call waits, as the standard library's calls do.

A call that is tried again gets its arguments anew each time. So its buffers are held from the first wait to its end.
"""

from __future__ import annotations

from collections.abc import Collection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from typing_extensions import Self

__all__ = ["Held"]


class Held:
    """Holds the buffers among arguments, and in lists among them, until `release()` or the end of a `with` (internal).

    `args`: the arguments (tuple) for the next tries. The lists in it are copies, so the program cannot change them.
    """

    __slots__ = ["_views", "args"]

    def __init__(self, args: Iterable[Any]) -> None:
        self._views: list[memoryview] = []
        self.args = tuple(self._hold(each) for each in args)

    def _hold(self, each):
        if each is None or isinstance(each, (int, str, bytes)):
            return each
        try:
            self._views.append(memoryview(each))
            return each
        except TypeError:  # it is not a buffer
            pass
        if not isinstance(each, Collection):
            return each
        held = [self._hold(inside) for inside in each]
        return tuple(held) if isinstance(each, tuple) else held

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()

    def release(self) -> None:
        """Let the buffers go."""
        for view in self._views:
            view.release()
