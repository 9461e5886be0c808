"""A process of gunicorn's whose clients are greenlets: patching, signals, the main loop, the end.

Theory
    gunicorn forks its workers and then calls init_process(). From there on the standard library is patched, and the
    main greenlet does no more than tell gunicorn every second that the process is alive. gunicorn kills a worker that
    has not told for `timeout` seconds: one whose greenlets do not let others run.

Rules
    1. gunicorn's first process is patched only where it imports the application (preload_app). Its threads stay native
       even then: it waits where greenlets could not run.
    2. Signal handlers run on the main greenlet, and may wait.
    3. At the end, connections that wait for a request are closed, and the others when they are done, or after
       `graceful_timeout`.
    4. A signal to end that comes while the process begins is kept until it has its handlers.

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
_EVERY = 1.0  # seconds between two signs of life


class GreenletProcess:
    """What both of our workers are besides a worker class of gunicorn's."""

    # gunicorn's, which the other base class has.
    alive: bool
    cfg: Any
    log: Any
    pid: int
    ppid: int
    sockets: list[Any]
    wsgi: Any

    @classmethod
    def setup(cls) -> None:
        """Called by gunicorn in its first process, before it imports the application, if it does."""
        # gunicorn calls this in a property of its settings, which are not given.
        settings: Any = sys._getframe(1).f_locals.get("self")
        if getattr(settings, "preload_app", False):
            monkey.patch_all(thread=False)

    def init_process(self) -> None:
        """Called by gunicorn in the worker's process; returns when the worker ends. Switches."""
        # It still has the handlers of gunicorn's first process, which would forget what is meant for this one.
        self._blocked_before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        monkey.patch_all()
        self.told = Event()
        self.sockets = [socket(each.FAMILY, _standard.SOCK_STREAM, fileno=each.sock.detach()) for each in self.sockets]
        super().init_process()  # type: ignore[misc]

    # --- signals ---

    def init_signals(self) -> None:
        """Set the handlers of signals. Called by gunicorn."""
        super().init_signals()  # type: ignore[misc]
        # gunicorn has CPython write signals to a pipe that only its own loop reads: the hub waits for them itself.
        signal.set_wakeup_fd(-1)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked_before)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: end gently."""
        super().handle_exit(sig, frame)  # type: ignore[misc]
        self.told.set()

    def handle_abort(self, sig: int, frame: Any) -> None:
        """SIGABRT, from gunicorn: nothing was heard of this process for `timeout` seconds.

        Tells where its greenlets are, and ends it. The greenlet that computes is interrupted.
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
        """The server for a listener; it is not started yet."""
        raise NotImplementedError

    def run(self) -> None:
        """Serve until gunicorn says otherwise. Switches."""
        servers = [self.make_server(listener) for listener in self.sockets]
        for server in servers:
            if self.cfg.workers > 1:
                # Others accept from the same listener: whoever is busy leaves clients to them.
                server.max_accept = 1
            server.start()
        while self.alive:
            self.notify()
            self.told.wait(_EVERY)
        self.drain(servers)

    def drain(self, servers: list[StreamServer]) -> None:
        """Accept nobody any more, and let the connections come to their ends. Switches."""
        stopping = [Greenlet.spawn(server.stop, drain=self.cfg.graceful_timeout) for server in servers]
        while not all(each.ready() for each in stopping):
            self.notify()
            joinall(stopping, timeout=_EVERY)
        # With a port of its own (reuse_port), nobody else would serve who connects from now on.
        for listener in self.sockets:
            listener.close()
        killed = sum(each.value or 0 for each in stopping)
        if killed:
            self.log.warning("Worker graceful timeout (pid:%s): %d connections were cut off", self.pid, killed)

    def notify(self) -> None:
        """Tell gunicorn that this process is alive; end if gunicorn itself is not."""
        super().notify()  # type: ignore[misc]
        if self.ppid != os.getppid():
            self.log.info("Parent changed, shutting down: %s", self)
            sys.exit(0)
