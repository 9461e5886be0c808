"""Generic classes without `typing`, which takes longer to import than most of this package.

    class Box(Generic[T]): ...

is generic for type checkers. At run time, a subscript of it is the class itself.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Generic, TypeVar

    T = TypeVar("T")
    E = TypeVar("E", bound=BaseException)
else:

    class Generic:
        """As typing.Generic, for type checkers only."""

        __slots__ = ()

        def __class_getitem__(cls, kinds: object) -> type[Generic]:
            return cls

    T = E = object

__all__ = ["E", "Generic", "T"]
