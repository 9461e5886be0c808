"""Who waits for what: the text that LoopExit shows and `hub.format_waits()` returns."""

import sys

from greenlet import getcurrent

__all__ = ["format_waits", "where"]

# Where a greenlet waits is a line of the program, not of the library that waits for it.
_OWN_PACKAGES = ("hub", "greenio")


def where(frame):
    """`file:line in function` of the innermost frame outside of the library, or a phrase when there is none."""
    if frame is None:
        return "nowhere (no Python frame)"
    innermost = frame
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _OWN_PACKAGES:
        frame = frame.f_back
    frame = frame or innermost
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"


def format_waits(hub):
    """A paragraph for each greenlet parked on `hub`: what it waits on, where, and who spawned it."""
    waits = hub.parked_waits()
    if not waits:
        return "No greenlet of this hub waits."
    lines = [f"{len(waits)} greenlet{'s wait' if len(waits) > 1 else ' waits'}:"]
    lines += [line for wait in waits for line in _paragraph(hub, wait)]
    return "\n".join(lines)


def _paragraph(hub, wait):
    greenlet = wait.greenlet
    if greenlet is None:
        return
    # The greenlet that runs the loop waits too, and is the current one: its frames are on the running stack.
    frame = sys._getframe() if greenlet is getcurrent() else greenlet.gr_frame
    yield f"  {'main greenlet' if greenlet is hub.main else _safely(repr, greenlet)}"
    yield f"    waits on {wait.what if isinstance(wait.what, str) else _safely(repr, wait.what)}"
    yield f"    at {where(frame)}"
    spawned = getattr(greenlet, "format_spawn", None)
    if spawned is not None:
        spawner = getattr(greenlet, "spawning_greenlet", None)
        spawner = spawner() if spawner is not None else None
        by = f" by {_safely(repr, spawner)}" if spawner is not None and spawner is not hub.main else ""
        yield f"    spawned at {spawned() or 'an unrecorded place'}{by}"


def _safely(function, value):
    try:
        return function(value)
    except Exception as error:
        return f"<{type(value).__name__} whose repr failed: {error!r}>"
