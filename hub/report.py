"""The texts of LoopExit, of `hub.format_waits()` and of errors about code that cannot wait."""

from __future__ import annotations

import os
import sys

from greenlet import getcurrent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Any

__all__ = ["describe_hub_call", "format_wait", "format_waits", "is_of_a_library", "program_frame", "safely", "where"]

# Reports name the line of the program at which a greenlet waits, not a line of the library.
_OWN_PACKAGES = ("hub", "greenio")
_OWN_FILES = tuple(os.path.join(os.path.dirname(os.path.dirname(__file__)), name, "") for name in _OWN_PACKAGES)
_STANDARD_FILES = (os.path.join(os.path.dirname(os.__file__), ""), "<frozen ")


def where(frame: FrameType | None) -> str:
    """`file:line in function` of the innermost frame outside of the library (str), or a phrase if there is none."""
    if frame is None:
        return "nowhere (no Python frame)"
    innermost = frame
    while frame is not None and _is_own(frame):
        frame = frame.f_back
    frame = frame or innermost
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"


def _is_own(frame):
    return frame.f_globals.get("__name__", "").partition(".")[0] in _OWN_PACKAGES


def is_of_a_library(path: str) -> bool:
    """Whether a file of Python code belongs to the standard library, to greenio or to the hub, not to the program."""
    if path.startswith(_OWN_FILES):
        return True
    return path.startswith(_STANDARD_FILES) and "/site-packages/" not in path and "/dist-packages/" not in path


def program_frame(frame: Any) -> Any:
    """The innermost frame that is not of a library, from `frame` outwards; None if there is none."""
    while frame is not None and is_of_a_library(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def _called_at(frame):
    """The line at which the program has called into the standard library, if where() is a line of that; else ""."""
    while frame is not None and _is_own(frame):
        frame = frame.f_back
    caller = program_frame(frame)
    return "" if caller is frame or caller is None else where(caller)


def describe_hub_call(callback: object) -> str:
    """Describe the code that runs on the hub greenlet now, for the error that it cannot wait there: a phrase (str).

    `callback`: the function that the hub greenlet has called, or None. If it has called none, Python has called the
    code between two greenlets, and only its frames are known.
    """
    frame = sys._getframe().f_back
    place = f"at {where(frame)}, " if frame is not None else ""
    if callback is not None:
        return f"{place}in {safely(repr, callback)}"
    outermost = frame
    while outermost is not None and outermost.f_back is not None:
        outermost = outermost.f_back
    name = f": {getattr(outermost.f_code, 'co_qualname', outermost.f_code.co_name)}" if outermost is not None else ""
    return f"{place}in a finalizer or the like that Python ran in passing{name}"


def format_waits(hub: Any) -> str:
    """A paragraph (str) for each greenlet parked on `hub`: what it waits on, where it does, and its spawner."""
    waits = hub.parked_waits()
    if not waits:
        return "No greenlet of this hub waits."
    lines = [f"{len(waits)} greenlet{'s wait' if len(waits) > 1 else ' waits'}:"]
    lines += [line for wait in waits for line in format_wait(hub, wait)]
    return "\n".join(lines)


def format_wait(hub: Any, wait: Any) -> Iterator[str]:
    """Yield the lines (str) of the paragraph for one wait on `hub`."""
    greenlet = wait.greenlet
    if greenlet is None:
        return
    # The greenlet that runs the loop waits too, and is the current one: its frames are on the running stack.
    frame = sys._getframe() if greenlet is getcurrent() else greenlet.gr_frame
    yield f"  {'main greenlet' if greenlet is hub.main else safely(repr, greenlet)}"
    yield f"    waits on {wait.what if isinstance(wait.what, str) else safely(repr, wait.what)}"
    yield f"    at {where(frame)}"
    if called_at := _called_at(frame):
        yield f"    called at {called_at}"
    spawned = getattr(greenlet, "format_spawn", None)
    if spawned is not None:
        spawner = getattr(greenlet, "spawning_greenlet", None)
        spawner = spawner() if spawner is not None else None
        by = f" by {safely(repr, spawner)}" if spawner is not None and spawner is not hub.main else ""
        yield f"    spawned at {spawned() or 'an unrecorded place'}{by}"


def safely(function: Callable[[Any], str], value: Any) -> str:
    """Return ``function(value)``, such as ``repr(value)``, or a phrase if the function fails (str)."""
    try:
        return function(value)
    except Exception as error:
        return f"<{type(value).__name__} whose repr failed: {error!r}>"
