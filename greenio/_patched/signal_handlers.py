"""Signal handlers that run on the main greenlet, whichever greenlet the signal interrupts.

CPython calls a handler in the main thread, between two instructions of whatever runs there: with greenlets, of any of
them, which then gets the handler's exception too. Handlers that are set with `signal()` of this module run on the main
greenlet, in the middle of its wait, and what they raise is raised there, at once.

Python's own, default_int_handler, raises KeyboardInterrupt on the main greenlet anyhow: see hub.signals.
"""

from __future__ import annotations

from contextlib import suppress
from enum import IntEnum
from signal import default_int_handler as _default_int_handler
from signal import getsignal as _getsignal
from signal import signal as _set_signal
from signal import valid_signals as _valid_signals

from hub import get_hub_if_exists

from greenio._patched.identity import in_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from signal import Handlers
    from types import FrameType
    from typing import Any

    Handler = Callable[[int, FrameType | None], Any] | int | Handlers | None

__all__ = ["call_before", "getsignal", "move_to_main", "require_main", "see_to_handler", "signal"]

_before: dict[int, Callable[[], object]] = {}  # a signal -> what is called before its handler is


def call_before(signalnum: int, function: Callable[[], object]) -> None:
    """Have ``function()`` called before any handler of a signal (int) runs, wherever that is. It must not block."""
    _before[signalnum] = function


class _Wrapped:
    """A handler that was set with the standard library's signal(), and what is to be called before it."""

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
        return hub.call_on_main(lambda: self.handler(signalnum, frame))


def _belongs_on_main(handler):
    return callable(handler) and not isinstance(handler, (IntEnum, _OnMain)) and handler is not _default_int_handler


def see_to_handler(signalnum: int) -> None:
    """Let what is to be called before a signal's handler be so, whoever has set that. In other threads: nothing."""
    handler = _getsignal(signalnum)
    if _belongs_on_main(handler) and not isinstance(handler, _Wrapped):
        with suppress(ValueError):  # in another thread
            _set_signal(signalnum, _Wrapped(handler))


def _inside(handler):
    return handler.handler if isinstance(handler, _Wrapped) else handler


def require_main(name: str) -> None:
    """Raise ValueError where the current greenlet stands for a thread: what function `name` does is not for that."""
    if in_thread():
        raise ValueError(f"{name} only works in main thread of the main interpreter")


def signal(signalnum: int, handler: Handler) -> Handler:
    """As signal.signal(): set what is called when the process gets a signal. Returns what was called before.

    The handler runs on the main greenlet; it may block. Raises ValueError in a thread that is not the main one.
    """
    require_main("signal")
    if _belongs_on_main(handler):
        handler = _OnMain(_inside(handler))
    return _inside(_set_signal(signalnum, handler))


def getsignal(signalnum: int) -> Handler:
    """As signal.getsignal(): what is called when the process gets a signal."""
    return _inside(_getsignal(signalnum))


def move_to_main() -> None:
    """Let the handlers that are set already run on the main greenlet. For the main thread; others change nothing."""
    for signalnum in _valid_signals():
        handler = _getsignal(signalnum)
        if _belongs_on_main(handler):
            try:
                _set_signal(signalnum, _OnMain(_inside(handler)))
            except ValueError:  # in another thread
                return
