"""The loop as users see it: `Loop` with gevent's names for making watchers and callbacks.

Two watchers that are not libuv handles stand here. `child` waits for a process through its pidfd, so it needs no
SIGCHLD handler and reaps no other child. `fork` fires in a forked child. What does not belong here: other watchers
(hub.watchers).

Nothing here switches.
"""

from __future__ import annotations

import os
import signal as signal_module
from os import close, wait4

from hub import watchers
from hub.loop import LIBUV_VERSION, Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from resource import struct_rusage
    from types import TracebackType
    from typing import Any

    from hub.callbacks import Callback
    from typing_extensions import Self

__all__ = ["EventLoop"]


class EventLoop(Loop):
    """A hub's loop, with gevent's methods that make watchers.

    Every watcher has start, stop, close, ref, active and pending. `ref`: whether it keeps the loop alive while it is
    started (bool). `priority` is ignored. Constructors raise the errors of the classes in hub.watchers.
    """

    #: libuv has no priorities; kept for code written for gevent.
    MAXPRI = MINPRI = 0
    backend = "libuv"

    def __new__(cls, hub: Any, default: bool = True) -> Self:
        return super().__new__(cls, default)

    def __init__(self, hub: Any, default: bool = True) -> None:
        self.hub = hub

    @property
    def version(self) -> str:
        """The version of libuv (str)."""
        return LIBUV_VERSION

    def io(self, fd: int, events: int, ref: bool = True, priority: int | None = None) -> watchers.io:
        """A watcher that fires while descriptor `fd` is readable (1), writable (2) or either (3)."""
        return watchers.io(self, fd, events, ref)

    def timer(self, after: float, repeat: float = 0.0, ref: bool = True, priority: int | None = None) -> watchers.timer:
        """A watcher that fires after `after` seconds, then every `repeat` seconds."""
        return watchers.timer(self, after, repeat, ref)

    def async_(self, ref: bool = True, priority: int | None = None) -> watchers.async_:
        """A watcher that fires after its send(), which any thread may call."""
        return watchers.async_(self, ref)

    def signal(self, signum: int, ref: bool = True, priority: int | None = None) -> watchers.signal:
        """A watcher that fires when the process gets signal `signum`. Raises TypeError unless that is an integer."""
        if not isinstance(signum, int):
            raise TypeError(f"a signal is a number, such as signal.SIGTERM, not {signum!r}")
        return watchers.signal(self, signum, ref)

    def prepare(self, ref: bool = True, priority: int | None = None) -> watchers.prepare:
        """A watcher that fires at each turn of the loop, before it looks for I/O."""
        return watchers.prepare(self, ref)

    def check(self, ref: bool = True, priority: int | None = None) -> watchers.check:
        """A watcher that fires at each turn of the loop, after it has looked for I/O."""
        return watchers.check(self, ref)

    def idle(self, ref: bool = True, priority: int | None = None) -> watchers.idle:
        """A watcher that fires at each turn of the loop and keeps it from sleeping."""
        return watchers.idle(self, ref)

    def stat(
        self, path: str | bytes, interval: float = 0.0, ref: bool = True, priority: int | None = None
    ) -> watchers.stat:
        """A watcher that fires when the file at `path` changes. It checks every `interval` seconds (0: every 5)."""
        return watchers.stat(self, path, interval, ref)

    def child(self, pid: int, trace: int = 0, ref: bool = True) -> child:
        """A watcher that fires when child process `pid` has ended, and reaps it. `trace` is ignored."""
        return child(self, pid, ref)

    def fork(self, ref: bool = True, priority: int | None = None) -> fork:
        """A watcher that fires in a forked child. It never keeps the loop alive."""
        return fork(self)

    @property
    def supported_backends(self) -> list[str]:
        """The names of the loops that can be chosen (list of str)."""
        return [self.backend]

    def debug(self) -> str:
        """The state of the loop, its counts and its parked greenlets, as text for people (str)."""
        counts = ", ".join(f"{name} {count}" for name, count in self.statistics().items())
        return f"{self!r}\n{counts}\n{self.hub.format_waits()}"

    def run_callback(self, callback: Callable[..., Any], *args: Any) -> Callback:
        """See `Hub.run_callback`."""
        return self.hub.run_callback(callback, *args)

    def run_callback_threadsafe(self, callback: Callable[..., Any], *args: Any) -> None:
        """See `Hub.run_callback_threadsafe`."""
        return self.hub.run_callback_threadsafe(callback, *args)


class child:
    """Fires once when process `pid`, a child of this process, has ended; reaps that process and no other.

    `rpid`, `rstatus` and `rusage` then have the results of wait4(). If the process was reaped elsewhere, `rstatus` and
    `rusage` are None. If the system makes no pidfd, the watcher watches SIGCHLD instead.
    """

    def __init__(self, loop: EventLoop, pid: int, ref: bool = True) -> None:
        if pid <= 0:
            raise ValueError(f"a child watcher needs the id of one process, not {pid}")
        self.loop = loop
        self.pid = pid
        self.rpid: int | None = None
        self.rstatus: int | None = None
        self.rusage: struct_rusage | None = None
        self.callback: Callable[..., Any] | None = None
        self.args: tuple[Any, ...] | None = None
        self._fd: int | None = None
        self._ref = ref
        self._watcher: watchers.io | watchers.signal | Callback | None = None

    def start(self, callback: Callable[..., Any], *args: Any) -> None:
        """Call ``callback(*args)`` on the hub greenlet when the process has ended.

        Raises ProcessLookupError if there is no such process, TypeError if `callback` is not callable.
        """
        if not callable(callback):
            raise TypeError(f"a callback must be callable, not {callback!r}")
        self.callback, self.args = callback, args
        if self._watcher is not None:
            return
        if self.rpid is not None:
            self._watcher = self.loop.run_callback(self._finish)
            return
        try:
            self._fd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            raise
        except (AttributeError, OSError):  # the system has no pidfds, or refuses this one
            self._watcher = watchers.signal(self.loop, signal_module.SIGCHLD, self._ref)
        else:
            self._watcher = watchers.io(self.loop, self._fd, watchers.READ, self._ref)
        self._watcher.start(self._look)
        self._look()

    def _look(self):
        if self.rpid is None:
            try:
                pid, status, usage = wait4(self.pid, os.WNOHANG)
            except ChildProcessError:
                # It has ended, and other code has reaped it: its status is lost.
                pid, status, usage = self.pid, None, None
            if pid != 0:
                self.ended(status, usage)

    def ended(self, status: int | None, usage: struct_rusage | None = None) -> None:
        """Fire: the process was reaped, with this wait status (internal)."""
        if self.rpid is None:
            self.rpid, self.rstatus, self.rusage = self.pid, status, usage
            self._release()
            self._watcher = self.loop.run_callback(self._finish)

    def _finish(self):
        callback, args = self.callback, self.args
        self._watcher = None
        if callback is not None and args is not None:
            callback(*args)

    def _release(self):
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        if self._fd is not None:
            close(self._fd)
            self._fd = None

    @property
    def hub(self) -> Any:
        """The hub of its loop."""
        return self.loop.hub

    def stop(self) -> None:
        """Stop watching."""
        self.callback = self.args = None
        self._release()

    close = stop

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    @property
    def ref(self) -> bool:
        """Whether the watcher, while it is started, keeps the loop alive (bool). Assignable."""
        return self._ref

    @ref.setter
    def ref(self, value: bool) -> None:
        self._ref = bool(value)
        if self._fd is not None:
            self._watcher.ref = value  # type: ignore[union-attr]  # a descriptor's watcher: it is started

    @property
    def active(self) -> bool:
        """Whether the watcher is started and can fire (bool)."""
        return self._watcher is not None

    @property
    def pending(self) -> bool:
        """Whether the process has ended and the callback is still to run (bool)."""
        return self.rpid is not None and self._watcher is not None

    def __repr__(self) -> str:
        state = "ended" if self.rpid is not None else "active" if self.active else "stopped"
        return f"<child watcher at {id(self):#x} {state} pid={self.pid} rstatus={self.rstatus}>"


class fork:
    """Fires in a forked child."""

    def __init__(self, loop: EventLoop) -> None:
        self.loop = loop
        self.callback: Callable[..., Any] | None = None
        self.args: tuple[Any, ...] | None = None
        self.ref = False

    def start(self, callback: Callable[..., Any], *args: Any) -> None:
        """Call ``callback(*args)`` on the hub greenlet of a forked child."""
        if not callable(callback):
            raise TypeError(f"a callback must be callable, not {callback!r}")
        self.callback, self.args = callback, args
        if self not in self.loop.fork_watchers:
            self.loop.fork_watchers.append(self)

    def stop(self) -> None:
        """Stop watching."""
        self.callback = self.args = None
        if self in self.loop.fork_watchers:
            self.loop.fork_watchers.remove(self)

    close = stop

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    @property
    def active(self) -> bool:
        """Whether the watcher is started (bool)."""
        return self.callback is not None

    pending = False

    def __repr__(self) -> str:
        return f"<fork watcher at {id(self):#x} {'active' if self.active else 'stopped'}>"
