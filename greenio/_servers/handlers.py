"""The handlers of a server: counting them, waiting until they have ended, and killing them.

Theory
    A handler is counted from the moment it is spawned. It may be killed before it begins: its client is given back
    then. If a program's own `spawn` function returns no greenlet, the handler is counted from the moment it begins. A
    handler that runs in another native thread is counted too, but cannot be killed.

    A server may be started again while it is being stopped. That begins another *run*. Stopping kills the handlers of
    its own run and of earlier ones only.

    Several handlers may stop the server at the same time. They do not wait for one another: none would ever end.
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
    """The handlers that run, or are about to.

    ``give_back(*args)`` is called with the arguments of a handler that was killed before it began.
    """

    def __init__(self, give_back: Callable[..., object]) -> None:
        # Greenlet -> the arguments of its handler (tuple) until the handler begins, None from then on.
        self.running: dict[Any, tuple[Any, ...] | None] = {}
        self._give_back = give_back
        self._few_left: Event | None = None
        #: The number of the current run.
        self.run = 0
        self._runs: dict[Any, int] = {}  # the run of each handler of an earlier run
        self._ending: list[Any] = []  # the greenlets that stop the server

    def __len__(self) -> int:
        return len(self.running)

    def add_spawned(self, greenlet: object, args: tuple[Any, ...]) -> None:
        """Count a handler that was just spawned; `greenlet` is what the `spawn` function returned. Does not switch."""
        if isinstance(greenlet, Greenlet) and not greenlet.dead and self.running.setdefault(greenlet, args) is not None:
            greenlet.rawlink(self._give_back_unbegun)

    def add_current(self) -> None:
        """Note that a handler begins in the current greenlet. Does not switch."""
        self.running[getcurrent()] = None

    def remove_current(self) -> None:
        """Note that the handler in the current greenlet has ended. Does not switch."""
        self.forget(getcurrent())

    def forget(self, greenlet: object) -> None:
        """Note that the handler in a greenlet has ended, or will never begin. Does not switch."""
        self.running.pop(greenlet, None)
        if self._few_left is not None and (len(self.running) < 2 or self._runs or len(self._ending) > 1):
            self._few_left.set()
        self._runs.pop(greenlet, None)

    def _give_back_unbegun(self, greenlet):
        args = self.running.get(greenlet)
        if args is not None:
            self.forget(greenlet)
            self._give_back(*args)

    # --- runs, and their ends ---

    def begin_run(self) -> None:
        """Begin another run: the server starts while it is being stopped. Does not switch."""
        for greenlet in self.running:
            self._runs.setdefault(greenlet, self.run)
        self.run += 1

    def begin_ending(self) -> int:
        """Note that the current greenlet stops the server. Returns the number of the run (int). Does not switch."""
        self._ending.append(getcurrent())
        if self._few_left is not None:
            self._few_left.set()
        return self.run

    def finish_ending(self) -> None:
        """Note that the current greenlet is done with stopping the server. Does not switch."""
        self._ending.remove(getcurrent())

    def to_end(self, run: int) -> list[Any]:
        """Return the handlers of a run, and of earlier ones, that the current greenlet must end (list of greenlets)."""
        current = getcurrent()
        spared = self._ending if current in self.running else (current,)
        return [
            greenlet
            for greenlet in self.running.copy()
            if greenlet not in spared and self._runs.get(greenlet, self.run) <= run
        ]

    def wait(self, seconds: float | None, run: int) -> bool:
        """Wait at most `seconds` (float; None for ever) for the handlers of to_end(). Switches.

        Returns whether all of them have ended (bool).
        """
        end = None if seconds is None else monotonic() + seconds
        while self.to_end(run):
            left = None if end is None else end - monotonic()
            if left is not None and left <= 0:
                return False
            if self._few_left is None or self._few_left.is_set():
                self._few_left = Event()
            self._few_left.wait(left)
        return True

    def kill(self, seconds: float | None, run: int) -> list[Any]:
        """Kill the handlers of to_end(), and wait at most `seconds` (float; None for ever) until they have ended.

        Returns the handlers that it has killed (list of greenlets). Switches, except on the hub, where it does not
        wait.
        """
        killed = self.to_end(run)
        for greenlet in killed:
            args = self.running.get(greenlet)
            if args is not None:
                self.forget(greenlet)
                self._give_back(*args)
        ours = [greenlet for greenlet in killed if isinstance(greenlet, Greenlet)]
        if getcurrent() is get_hub():
            killall(ours, block=False)
            return killed
        with suppress(Timeout):
            killall(ours, timeout=seconds)
        return killed
