"""The handlers of a server: how many there are, waiting until they have ended, ending them.

Theory
    A handler is known from when it is spawned: it may be ended before it begins, and then what it was to handle is
    given back here. One that somebody else's function has started, and of which that function returns no greenlet, is
    known from when it begins. A handler that runs in another native thread is counted, and cannot be ended.
    A server may be started again while it is being stopped. What is begun then is another run, and stopping ends the
    handlers of its own run and of those before. A handler that stops the server itself is not waited for by another
    one that does: each would wait for the other.
"""

from __future__ import annotations

from contextlib import suppress
from time import monotonic

from greenlet import getcurrent
from hub import get_hub

from greenio._tasks.waiting import killall
from greenio.event import Event
from greenio.greenlet import Greenlet
from greenio.timeout import Timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["Handlers"]


class Handlers:
    """The handlers that run, or are about to. ``give_back(*args)`` is called for one that is ended before it begins."""

    def __init__(self, give_back: Callable[..., object]) -> None:
        # Greenlet -> what it is to handle (tuple), or None once it has begun.
        self.running: dict[Any, tuple[Any, ...] | None] = {}
        self._give_back = give_back
        self._few_left: Event | None = None
        #: The number of the run.
        self.run = 0
        self._runs: dict[Any, int] = {}  # of the handlers of earlier runs
        self._ending: list[Any] = []  # the greenlets that stop the server

    def __len__(self) -> int:
        return len(self.running)

    def spawned(self, greenlet: object, args: tuple[Any, ...]) -> None:
        """A function that starts handlers has returned this. Does not switch."""
        if isinstance(greenlet, Greenlet) and not greenlet.dead and self.running.setdefault(greenlet, args) is not None:
            greenlet.rawlink(self._ended_unbegun)

    def begun(self) -> None:
        """A handler begins, in the current greenlet. Does not switch."""
        self.running[getcurrent()] = None

    def ended(self) -> None:
        """The handler in the current greenlet has ended. Does not switch."""
        self.forget(getcurrent())

    def forget(self, greenlet: object) -> None:
        """The handler in that greenlet has ended, or will not begin. Does not switch."""
        self.running.pop(greenlet, None)
        if self._few_left is not None and (len(self.running) < 2 or self._runs or len(self._ending) > 1):
            self._few_left.set()
        self._runs.pop(greenlet, None)

    def _ended_unbegun(self, greenlet):
        args = self.running.get(greenlet)
        if args is not None:
            self.forget(greenlet)
            self._give_back(*args)

    # --- runs, and their ends ---

    def begin_run(self) -> None:
        """The server starts while it is being stopped. Does not switch."""
        for greenlet in self.running:
            self._runs.setdefault(greenlet, self.run)
        self.run += 1

    def ending(self) -> int:
        """The current greenlet stops the server. Returns the number of the run (int). Does not switch."""
        self._ending.append(getcurrent())
        if self._few_left is not None:
            self._few_left.set()
        return self.run

    def has_ended(self) -> None:
        """What the current greenlet has called ending() for is done. Does not switch."""
        self._ending.remove(getcurrent())

    def others(self, run: int) -> list[Any]:
        """The handlers of a run and of those before that the current greenlet is to end (list of greenlets)."""
        current = getcurrent()
        spared = self._ending if current in self.running else (current,)
        return [
            greenlet
            for greenlet in self.running.copy()
            if greenlet not in spared and self._runs.get(greenlet, self.run) <= run
        ]

    def wait(self, seconds: float | None, run: int) -> bool:
        """Wait until the others have ended, at most `seconds` (float; None for ever). Returns whether so.

        Switches.
        """
        end = None if seconds is None else monotonic() + seconds
        while self.others(run):
            left = None if end is None else end - monotonic()
            if left is not None and left <= 0:
                return False
            if self._few_left is None or self._few_left.is_set():
                self._few_left = Event()
            self._few_left.wait(left)
        return True

    def kill(self, seconds: float | None, run: int) -> list[Any]:
        """End the others, and wait for that, at most `seconds` (float; None for ever).

        Returns those it has found running (list of greenlets). Switches, unless it is called on the hub: then it does
        not wait.
        """
        others = self.others(run)
        for greenlet in others:
            args = self.running.get(greenlet)
            if args is not None:
                self.forget(greenlet)
                self._give_back(*args)
        ours = [greenlet for greenlet in others if isinstance(greenlet, Greenlet)]
        if getcurrent() is get_hub():
            killall(ours, block=False)
            return others
        with suppress(Timeout):
            killall(ours, timeout=seconds)
        return others
