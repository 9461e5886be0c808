"""Calling a function in a greenlet of another thread's hub: for a server that another thread stops.

A server's greenlets belong to the hub of the thread that has started it. Only that thread can wake and end them.
"""

from __future__ import annotations

from greenlet import GreenletExit
from hub import HubDestroyed

from greenio.event import AsyncResult
from greenio.greenlet import Greenlet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hub import Hub

__all__ = ["call_in_hub"]


def call_in_hub(hub: Hub, function: Callable[..., int | None], **arguments: Any) -> int | None:
    """Call ``function(**arguments)`` in a greenlet of another thread's hub, and return its result (int). Switches.

    Returns None if that hub ends first: then nothing runs there any more. Raises what the function raises.
    """
    outcome: AsyncResult = AsyncResult()

    def begin() -> None:
        try:
            job = Greenlet.spawn(function, **arguments)
        except HubDestroyed as error:
            outcome.set(error)
        else:
            job.reports_errors = False  # outcome.get() raises them
            job.link(outcome)

    try:
        hub.loop.run_callback_threadsafe(begin)
    except HubDestroyed:
        return None
    result = outcome.get()
    return None if isinstance(result, GreenletExit) else result or 0
