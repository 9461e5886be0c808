"""Signal handlers that run on the main greenlet, whichever greenlet the signal interrupts.

CPython calls a handler in the main thread, between two instructions of the code that runs there. That may be any
greenlet, and the handler's exception would be raised in it. Handlers that are set with `signal()` of this module run on
the main greenlet, in the middle of its wait, and their exceptions are raised there, at once.

Python's own handler, default_int_handler, raises KeyboardInterrupt on the main greenlet anyhow: see hub.signals.
"""

from __future__ import annotations

from contextlib import suppress
from enum import IntEnum
from signal import default_int_handler as _default_int_handler
from signal import getsignal as _getsignal
from signal import signal as _set_signal
from signal import valid_signals as _valid_signals

from hub import get_hub_if_exists
from hub.signals import call_on_main

from greenio._patched.identity import in_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from signal import Handlers
    from types import FrameType
    from typing import Any

    Handler = Callable[[int, FrameType | None], Any] | int | Handlers | None

__all__ = ["call_before", "getsignal", "move_to_main", "require_main", "signal", "wrap_present_handler"]

_before: dict[int, Callable[[], object]] = {}  # a signal -> the function to call before its handler


def call_before(signalnum: int, function: Callable[[], object]) -> None:
    """Have ``function()`` called before any handler of a signal (int), on any greenlet. The function must not block."""
    _before[signalnum] = function


class _Wrapped:
    """A handler that was set with the standard library's signal(), with the function of call_before()."""

    __slots__ = ("handler",)

    def __init__(self, handler):
        self.handler = handler

    def __call__(self, signalnum, frame):
        _before[signalnum]()
        return self.handler(signalnum, frame)


class _OnMain(_Wrapped):
    """A handler that calls another on the main greenlet."""

    __slots__ = ()

    def __call__(self, signalnum, frame):
        before = _before.get(signalnum)
        if before is not None:
            before()
        hub = get_hub_if_exists()
        if hub is None or hub.destroyed:
            return self.handler(signalnum, frame)
        return call_on_main(hub, lambda: self.handler(signalnum, frame))


def _belongs_on_main(handler):
    return callable(handler) and not isinstance(handler, (IntEnum, _OnMain)) and handler is not _default_int_handler


def wrap_present_handler(signalnum: int) -> None:
    """Let the present handler of a signal (int) call the function of call_before(). Only in the main thread."""
    handler = _getsignal(signalnum)
    if _belongs_on_main(handler) and not isinstance(handler, _Wrapped):
        with suppress(ValueError):  # in another thread
            _set_signal(signalnum, _Wrapped(handler))


def _inside(handler):
    return handler.handler if isinstance(handler, _Wrapped) else handler


def require_main(name: str) -> None:
    """Raise ValueError if the current greenlet stands for a thread: function `name` (str) is not for threads."""
    if in_thread():
        raise ValueError(f"{name} only works in main thread of the main interpreter")


def signal(signalnum: int, handler: Handler) -> Handler:
    """As signal.signal(): set the handler of a signal (int). Returns the one before. Does not switch.

    The handler runs on the main greenlet, and may block. Raises ValueError in a thread that is not the main one.
    """
    require_main("signal")
    if _belongs_on_main(handler):
        handler = _OnMain(_inside(handler))
    return _inside(_set_signal(signalnum, handler))


def getsignal(signalnum: int) -> Handler:
    """As signal.getsignal(): the handler of a signal (int), as it was given to signal()."""
    return _inside(_getsignal(signalnum))


def move_to_main() -> None:
    """Let the handlers that are set already run on the main greenlet. Does nothing in other threads."""
    for signalnum in _valid_signals():
        handler = _getsignal(signalnum)
        if _belongs_on_main(handler):
            try:
                _set_signal(signalnum, _OnMain(_inside(handler)))
            except ValueError:  # in another thread
                return
