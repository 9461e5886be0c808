"""Reports exceptions that cannot be raised, because no code would catch them, to sys.unraisablehook."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["tell_unraisable"]


def _arguments(error: BaseException, message: str | None, source: object) -> Any:
    """The argument of a hook."""
    # No module has the type of this argument under a name, and Python's own hook accepts no other. It is looked up each
    # time, because debug builds of CPython abort at their end if something, such as this module, still refers to it.
    kinds: list[Any] = [kind for kind in tuple.__subclasses__() if kind.__name__ == "UnraisableHookArgs"]
    return kinds[0]((type(error), error, error.__traceback__, message, source))


def tell_unraisable(error: BaseException, message: str | None, source: object = None) -> None:
    """Call sys.unraisablehook for an exception (an instance).

    `message`: what failed, or None. `source`: the object in which it failed, or None. If the program's own hook raises
    an exception, Python's own hook reports that. Does not switch, unless the hook does.
    """
    try:
        sys.unraisablehook(_arguments(error, message, source))
    except Exception as failure:
        sys.__unraisablehook__(_arguments(failure, "Exception ignored in sys.unraisablehook", sys.unraisablehook))
