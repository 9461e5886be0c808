"""Exceptions that cannot be raised, as nobody is there to catch them: sys.unraisablehook is told."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["tell_unraisable"]


def _arguments(error: BaseException, message: str | None, source: object) -> Any:
    """What a hook takes."""
    # The type is nowhere by name, and Python's own hook takes nothing else. This module lives as long as the process,
    # and debug builds of CPython end with an abort if the type is still referred to: it is looked up each time.
    kinds: list[Any] = [kind for kind in tuple.__subclasses__() if kind.__name__ == "UnraisableHookArgs"]
    return kinds[0]((type(error), error, error.__traceback__, message, source))


def tell_unraisable(error: BaseException, message: str | None, source: object = None) -> None:
    """Call sys.unraisablehook with an exception (an instance), a message, and the object it concerns (or None).

    What the program's own hook raises goes to Python's own. Does not switch of itself.
    """
    try:
        sys.unraisablehook(_arguments(error, message, source))
    except Exception as failure:
        sys.__unraisablehook__(_arguments(failure, "Exception ignored in sys.unraisablehook", sys.unraisablehook))
