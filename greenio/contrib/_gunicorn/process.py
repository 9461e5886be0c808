"""A worker process of gunicorn's with a greenlet for each client: patching, signals, the main loop, the end.

Theory
    gunicorn forks its workers and then calls init_process(). From there on the standard library is patched, and the
    main greenlet only tells gunicorn every second that the process is alive. gunicorn kills a worker that has not done
    so for `timeout` seconds. Such a worker has a greenlet that does not let others run.

Rules
    1. gunicorn's first process is patched only if it imports the application (preload_app). Even then its threads stay
       native, because it waits in places where greenlets could not run.
    2. Signal handlers run on the main greenlet, and may wait.
    3. At the end, connections that wait for a request are closed. Others are closed after their requests, or after
       `graceful_timeout`.
    4. A signal to end that comes while the process begins is blocked until the process has its handlers.

What does not belong here: HTTP.

Methods that wait say that they switch; the others do not switch.
"""

from __future__ import annotations

import os
import signal
import socket as _standard
import sys

from greenlet import getcurrent
from hub import get_hub

from greenio import monkey
from greenio._tasks.waiting import joinall
from greenio.event import Event
from greenio.greenlet import Greenlet
from greenio.socket import socket
from greenio.util import format_run_info

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from greenio.server import StreamServer

__all__ = ["GreenletProcess"]

_ENDING = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)
_NOTIFY_INTERVAL = 1.0  # seconds, at most


class GreenletProcess:
    """The base of both workers, beside a worker class of gunicorn's."""

    # Attributes of gunicorn's base class.
    alive: bool
    cfg: Any
    timeout: float
    log: Any
    pid: int
    ppid: int
    sockets: list[Any]
    wsgi: Any

    @classmethod
    def setup(cls) -> None:
        """Called by gunicorn in its first process, before it may import the application."""
        # gunicorn calls this in a property of its settings, and does not pass them.
        settings: Any = sys._getframe(1).f_locals.get("self")
        if getattr(settings, "preload_app", False):
            monkey.patch_all(thread=False)

    def init_process(self) -> None:
        """Called by gunicorn in the worker's process. Returns when the worker ends. Switches."""
        # The process still has the handlers of gunicorn's first process, which would drop a signal for this one.
        self._blocked_before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        monkey.patch_all()
        self.end_event = Event()
        self.sockets = [socket(each.FAMILY, _standard.SOCK_STREAM, fileno=each.sock.detach()) for each in self.sockets]
        super().init_process()  # type: ignore[misc]

    # --- signals ---

    def init_signals(self) -> None:
        """Set the handlers of signals. Called by gunicorn."""
        super().init_signals()  # type: ignore[misc]
        # gunicorn lets CPython write signals to a pipe that only its own loop reads. The hub has its own descriptor.
        signal.set_wakeup_fd(-1)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked_before)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Handle SIGTERM: end when the requests are finished."""
        super().handle_exit(sig, frame)  # type: ignore[misc]
        self.end_event.set()

    def handle_abort(self, sig: int, frame: Any) -> None:
        """Handle SIGABRT, which gunicorn sends when this process has not called notify() for `timeout` seconds.

        Logs the stacks of all greenlets, and ends the process. The greenlet that computes is interrupted.
        """
        self.log.critical("the greenlets of worker %s:\n%s", self.pid, "\n".join(format_run_info()))
        try:
            super().handle_abort(sig, frame)  # type: ignore[misc]
        except SystemExit as end:
            hub = get_hub()
            if getcurrent() is not hub.main:
                hub.throw_soon(hub.main, end)
            raise

    # --- the main greenlet ---

    def make_server(self, listener: socket) -> StreamServer:
        """Return a server for a listener, which is not started yet."""
        raise NotImplementedError

    def run(self) -> None:
        """Serve until gunicorn ends this process. Switches."""
        servers = [self.make_server(listener) for listener in self.sockets]
        for server in servers:
            if self.cfg.workers > 1:
                # Other processes accept from the same listener: a busy one leaves clients to them.
                server.max_accept = 1
            server.start()
        while self.alive:
            self.notify()
            self.end_event.wait(self._notify_interval())
        self.drain(servers)

    def drain(self, servers: list[StreamServer]) -> None:
        """Stop accepting, and let the connections finish their requests. Switches."""
        stopping = [Greenlet.spawn(server.stop, drain=self.cfg.graceful_timeout) for server in servers]
        while not all(each.ready() for each in stopping):
            self.notify()
            joinall(stopping, timeout=self._notify_interval())
        # With reuse_port, this process's sockets would go on getting clients that no other process can accept.
        for listener in self.sockets:
            listener.close()
        killed = sum(each.value or 0 for each in stopping)
        if killed:
            self.log.warning("Worker graceful timeout (pid:%s): %d connections were cut off", self.pid, killed)

    def _notify_interval(self) -> float:
        # `timeout` is half of gunicorn's: a worker that notified as seldom as gunicorn's would be late at times.
        return min(_NOTIFY_INTERVAL, self.timeout or _NOTIFY_INTERVAL)

    def notify(self) -> None:
        """Tell gunicorn that this process is alive, and end the process if gunicorn itself has died."""
        super().notify()  # type: ignore[misc]
        if self.ppid != os.getppid():
            self.log.info("Parent changed, shutting down: %s", self)
            sys.exit(0)
