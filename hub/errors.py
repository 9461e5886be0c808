"""Every exception of the hub. Each docstring says whose fault it is and what to do about it."""

from __future__ import annotations

from greenlet import GreenletExit, greenlet

__all__ = [
    "BlockingSwitchOutError",
    "ConcurrentObjectUseError",
    "HubDestroyed",
    "InvalidSwitchError",
    "InvalidThreadUseError",
    "LoopExit",
]


class LoopExit(Exception):
    """The main greenlet waits, and nothing is left that could wake it: the program would hang forever.

    The program's fault, nearly always: a value that nobody puts, an event that nobody sets, a greenlet that
    waits for itself. The text lists every greenlet that waits, on what, where, and its spawner.

    `hub` is the hub that found it out.
    """

    hub: greenlet | None = None

    def __init__(
        self, message: str = "This operation would block forever", hub: greenlet | None = None, report: str = ""
    ) -> None:
        super().__init__(message, hub, report)
        self.message = message
        self.hub = hub
        self.report = report

    def __str__(self) -> str:
        return f"{self.message}\n{self.report}" if self.report else self.message


class BlockingSwitchOutError(AssertionError):
    """A blocking function was called where nothing can wait: in a callback that runs on the hub greenlet.

    The caller's fault: spawn a greenlet from the callback and let that one block.
    """


class InvalidSwitchError(AssertionError):
    """A greenlet that waits was switched to directly, by something other than what it waits for.

    The fault of the code that called ``switch()`` on it: a waiting greenlet is woken through its wait.
    """


class ConcurrentObjectUseError(AssertionError):
    """Two greenlets use, at the same time, an object that only one may use. The callers' fault."""


class InvalidThreadUseError(RuntimeError):
    """An object that belongs to one thread's hub was used from another thread.

    The caller's fault: go through ``hub.run_callback_threadsafe``.
    """


class HubDestroyed(GreenletExit):
    """The hub was destroyed: its greenlets are ended with this, and it can no longer be used.

    Not an error where a greenlet gets it, and it ends quietly. Where a destroyed hub is used afterwards, the
    user's fault: ``get_hub()`` makes a new one.
    """
