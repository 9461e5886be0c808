"""What gevent offers to a program as a whole: signal_handler, fork, reinit, idle, the switch interval."""

from __future__ import annotations

import sys
from os import fork as _fork

from hub import get_hub, get_hub_if_exists
from hub.arguments import seconds_of

from greenio.greenlet import Greenlet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hub.hub import Hub

__all__ = ["fork", "getswitchinterval", "idle", "reinit", "setswitchinterval", "signal_handler"]


class signal_handler:
    """Call ``handler(*args, **kwargs)`` in a new greenlet whenever the process gets signal `signalnum`.

    Python's own handler for that signal is displaced until ``cancel()``. The handler may block. Its exceptions go
    to ``hub.handle_error``. `ref` says whether the handler keeps the loop alive (bool; False at first).
    Does not switch. Raises TypeError if the handler cannot be called, ValueError or OSError for a signal that
    cannot be handled.
    """

    def __init__(self, signalnum: int, handler: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        if not callable(handler):
            raise TypeError(f"a signal handler must be callable, not {handler!r}")
        self.handler = handler
        self.args = args
        self.kwargs = kwargs
        self.hub = get_hub()
        self.watcher = self.hub.loop.signal(signalnum, ref=False)
        self.watcher.start(self._spawn)

    def _spawn(self):
        Greenlet.spawn(self.handle)

    @property
    def ref(self) -> bool:
        """Whether waiting for this signal keeps the loop alive (bool). Assignable."""
        return self.watcher.ref

    @ref.setter
    def ref(self, value: bool) -> None:
        self.watcher.ref = value

    def cancel(self) -> None:
        """Stop handling the signal, and restore the earlier handler. A second call does nothing. Does not switch."""
        self.watcher.close()

    def handle(self) -> None:
        """Call the handler, and pass its exceptions to ``hub.handle_error``."""
        try:
            self.handler(*self.args, **self.kwargs)
        except BaseException as error:
            self.hub.report(None, error)


def fork() -> int:
    """Fork the process, as os.fork() does. Returns 0 in the child, the child's id in the parent. Does not switch.

    In the child only the greenlet that forked goes on, with a new loop. Raises OSError.
    """
    return _fork()


def reinit(hub: Hub | None = None) -> None:
    """Do nothing: hubs notice forks themselves. Returns None. Does not switch.

    It is there for programs written for gevent, which call it in a child.
    """


def idle(priority: int = 0) -> None:
    """Wait until nothing is ready to run and the loop would sleep. Returns None. Switches.

    `priority` is accepted for compatibility.
    """
    hub = get_hub()
    with hub.loop.idle() as watcher:
        while True:
            hub.wait(watcher)
            if hub.loop.pendingcnt == 0:
                return


def setswitchinterval(seconds: float) -> None:
    """Set how long greenlets and callbacks may run before the loop looks for I/O, in seconds (float).

    The same number serves CPython's threads: this calls sys.setswitchinterval() too. Does not switch. Raises ValueError
    unless it is greater than 0.
    """
    sys.setswitchinterval(seconds_of(seconds))
    hub = get_hub_if_exists()
    if hub is not None:
        hub.setswitchinterval(seconds)


def getswitchinterval() -> float:
    """The switch interval in seconds (float). Does not switch."""
    return sys.getswitchinterval()
