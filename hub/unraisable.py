"""Exceptions that cannot be raised, as nobody is there to catch them: sys.unraisablehook is told."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["tell_unraisable"]

# The type is nowhere by name, and Python's own hook takes nothing else.
_Arguments: Any = next(kind for kind in tuple.__subclasses__() if kind.__name__ == "UnraisableHookArgs")


def tell_unraisable(error: BaseException, message: str | None, source: object = None) -> None:
    """Call sys.unraisablehook with an exception (an instance), a message, and the object it concerns (or None).

    What the program's own hook raises goes to Python's own. Does not switch of itself.
    """
    arguments = _Arguments((type(error), error, error.__traceback__, message, source))
    try:
        sys.unraisablehook(arguments)
    except Exception as failure:
        hook = sys.unraisablehook
        sys.__unraisablehook__(
            _Arguments((type(failure), failure, failure.__traceback__, "Exception ignored in sys.unraisablehook", hook))
        )
