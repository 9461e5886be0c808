"""Workers for gunicorn: its processes, with a greenlet for each client.

    gunicorn -k greenio.contrib.gunicorn.GreenioWorker -w 4 module:application

GreenioWorker uses gunicorn's own HTTP, with all of its settings. GreenioWSGIWorker uses greenio.wsgi's HTTP, which
costs a fraction of the time, and refuses settings that it does not support. Both patch the standard library in each
worker. With `preload_app`, gunicorn's first process is patched before it imports the application.

Theory
    Each client of GreenioWorker has a greenlet, which runs gunicorn's own code. The connection is idle from the end of
    a request to the first byte of the next one. If it is idle when the worker ends, recv() returns the end of input.

See https://gunicorn.org/reference/settings/. Methods that wait say that they switch; the others do not switch.
"""

from __future__ import annotations

import select as _select
import socket as _standard
from contextlib import suppress
from datetime import datetime
from functools import partial
from time import monotonic

from greenlet import GreenletExit, getcurrent
from gunicorn.sock import ssl_context
from gunicorn.workers.base import Worker
from gunicorn.workers.base_async import AsyncWorker
from hub import get_hub
from hub.native import original

from greenio._wsgi.limits import NEXT_REQUEST
from greenio.contrib._gunicorn.process import GreenletProcess
from greenio.contrib._gunicorn.requests import Answer, CountingHandler, Handler
from greenio.contrib._gunicorn.settings import arguments_of, refused
from greenio.greenlet import Greenlet
from greenio.server import StreamServer
from greenio.timeout import Timeout
from greenio.wsgi import LoggingLogAdapter, WSGIServer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from greenio.socket import socket

__all__ = ["GreenioWSGIWorker", "GreenioWorker"]

_poll = original("select", "poll")
_LARGE = 65536  # from this size on (bytes), a block is not copied behind the head to be sent with it


class GreenioWorker(GreenletProcess, AsyncWorker):  # type: ignore[misc]  # gunicorn has no types
    """A worker with gunicorn's own HTTP, and a greenlet for each client. It supports all of gunicorn's settings."""

    def init_process(self) -> None:
        """Called by gunicorn in the worker's process. Returns when the worker ends. Switches."""
        self.clients: set[_Client] = set()
        super().init_process()

    def load_wsgi(self) -> None:
        """Import the application. Called by gunicorn."""
        super().load_wsgi()
        application = self.wsgi

        def call(environ, start_response):
            def start(*args):
                # gunicorn checks this before it calls the application. The worker may be told to end meanwhile.
                if not self.alive:
                    start_response.__self__.force_close()
                return start_response(*args)

            return application(environ, start)

        self.wsgi = call

    def make_server(self, listener: socket) -> StreamServer:
        """Return a server for a listener, which is not started yet."""
        context: Any = ssl_context(self.cfg) if self.cfg.is_ssl else None
        return _Server(self, listener, max_connections=self.worker_connections, ssl_context=context)

    def timeout_ctx(self) -> Timeout:
        """Return the Timeout within which gunicorn's code waits for a request."""
        return Timeout(self.cfg.keepalive, False)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve a connection. Switches."""
        watched = _Client(client)
        self.clients.add(watched)
        try:
            super().handle(listener, watched, addr)
        finally:
            self.clients.discard(watched)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        """Answer a request. Switches."""
        sock.has_answer = False
        try:
            return super().handle_request(listener_name, req, sock, addr)
        except BaseException as error:
            # gunicorn's code handles an Exception in the middle of an answer, but not a Timeout.
            if not sock.has_answer or isinstance(error, (Exception, SystemExit, GreenletExit)):
                raise
            self.log.exception("Error handling request")
            sock.cut_off()
            raise StopIteration() from None
        finally:
            sock.flush()
            self.has_answered(sock)

    def handle_http2(self, listener: Any, client: Any, addr: Any, *args: Any, **kwargs: Any) -> None:
        """Serve a connection of HTTP/2. Switches."""
        client.is_http2 = client.is_idle = True
        super().handle_http2(listener, client, addr, *args, **kwargs)

    def handle_http2_request(self, listener_name: Any, req: Any, sock: Any, addr: Any, h2_conn: Any) -> None:
        """Answer a request of HTTP/2. Switches."""
        sock.is_idle = False
        try:
            super().handle_http2_request(listener_name, req, sock, addr, h2_conn)
        finally:
            sock.last_stream = (h2_conn, req.stream.stream_id)
            self.has_answered(sock)
            if not self.alive:
                sock.say_goodbye()

    def has_answered(self, client: Any) -> None:
        """Note that a request was answered: its connection is idle. The worker may end after its last request."""
        client.is_idle = True
        client.idle_since = monotonic()
        if not self.alive:
            self.end_event.set()
            client.end_soon()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Handle an exception that has ended a connection. Switches."""
        if not isinstance(exc, GreenletExit):  # the worker's graceful timeout
            super().handle_error(req, client, addr, exc)


class _Server(StreamServer):
    """The server for one listener of gunicorn's."""

    def __init__(self, worker, listener, **options):
        super().__init__(listener, partial(worker.handle, listener), **options)
        self.worker = worker

    def close_idle(self):
        for client in list(self.worker.clients):
            client.end_soon()


class _NoMore(BaseException):
    """Thrown into a recv() that waits for a request, when the worker ends."""


class _Client:
    """Stands for a client's socket in gunicorn's code, and knows whether the connection waits for a request.

    It also saves system calls. gunicorn sends the head of an answer and its first block separately: this sends them
    together. gunicorn sets the timeout after each request, to the same value: this leaves it alone.
    """

    def __init__(self, sock):
        self._sock = sock
        self._recv, self._sendall, self.gettimeout = sock.recv, sock.sendall, sock.gettimeout
        self._head = b""  # the head of an answer, which is sent together with the first block
        self.is_idle = True
        self.idle_since = monotonic()
        self.has_answer = False  # whether the answer to the current request has begun
        self.is_http2 = False
        self.last_stream: Any = None  # for HTTP/2: gunicorn's connection object, and the number of the last request
        self._ends = False  # whether the connection ends as soon as it is idle
        self._waiting: Any = None  # the greenlet that receives
        self._thrown: Any = None  # the exception that is thrown into it

    def recv(self, *args):
        if self._ends and self.is_idle and not self._has_more():
            return self._no_more()
        self._waiting = getcurrent()
        try:
            data = self._recv(*args)
        except _NoMore:
            return self._no_more()
        finally:
            if self._thrown is not None:
                get_hub().take_back(self._waiting, self._thrown)
                self._thrown = None
            self._waiting = None
        if not self.is_http2:
            self.is_idle = self.is_idle and not data
        elif self._ends and self.is_idle:
            return self._no_more()
        return data

    def sendall(self, data):
        head = self._head
        if head:
            self._head = b""
            if len(data) < _LARGE:
                data = head + data
            else:
                self._sendall(head)
        elif data.startswith(b"HTTP/1.") and data[9:10] != b"1" and not (self.is_idle or self.is_http2):
            self._head = data
            self.has_answer = True
            return
        self._sendall(data)

    def flush(self):
        """Send the head that waits, if any. Switches."""
        head, self._head = self._head, b""
        if head:
            self._sendall(head)

    def cut_off(self):
        """End the connection in the middle of an answer, so that the client does not take it for complete. Switches."""
        with suppress(OSError):
            self.flush()
            self._sock.shutdown(_standard.SHUT_RDWR)

    def settimeout(self, value):
        if value != self.gettimeout():
            self._sock.settimeout(value)

    def _no_more(self):
        if self.is_http2:
            self.say_goodbye()
            raise TimeoutError("the worker ends")  # at the end of input, gunicorn's code would not send GOAWAY
        return b""

    def say_goodbye(self):
        """Send GOAWAY with the number of the last request that was answered. The client repeats later requests.

        gunicorn's own code sends it only if no request was answered. Switches.
        """
        if self.last_stream is not None:
            connection, number = self.last_stream
            connection.close(last_stream_id=number)

    def end_soon(self):
        """End the connection, if it waits for a request and none comes soon. Does not switch.

        A client that was just answered may be about to send its next request, which would fail. The answer to that
        request says that the connection closes.
        """
        if self.is_http2 or monotonic() - self.idle_since >= NEXT_REQUEST:
            self.end_if_idle()
        else:
            Greenlet.spawn_later(NEXT_REQUEST, self.end_if_idle)

    def end_if_idle(self):
        """Let recv() return the end of input, if the connection waits for a request. Does not switch."""
        self._ends = True
        if self.is_idle and self._waiting is not None and self._thrown is None and not self._has_more():
            self._thrown = _NoMore()
            get_hub().throw_soon(self._waiting, self._thrown)

    def _has_more(self):
        if self.is_http2:
            return False
        descriptor = self._sock.fileno()
        if descriptor < 0:
            return True  # the socket is closed: recv() raises that
        poll = _poll()
        poll.register(descriptor, _select.POLLIN)
        return bool(poll.poll(0)) or bool(getattr(self._sock, "pending", int)())

    @property  # type: ignore[misc]
    def __class__(self):
        # gunicorn checks with isinstance() whether it is a TLS socket.
        return type(self._sock)

    def __getattr__(self, name):
        self.flush()  # the attribute may be a method that sends
        return getattr(self._sock, name)


class GreenioWSGIWorker(GreenletProcess, Worker):  # type: ignore[misc]
    """A worker with greenio.wsgi's HTTP, in gunicorn's processes.

    It supports all of gunicorn's settings for processes, all hooks, and those settings for HTTP that greenio.wsgi has
    too. gunicorn does not start if another one is set: the error names it.
    """

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Called by gunicorn before it starts workers. Raises RuntimeError for settings that are not supported."""
        names = refused(cfg)
        if names:
            raise RuntimeError(
                f"GreenioWSGIWorker does not have the settings {', '.join(names)}: leave them out, or use "
                "greenio.contrib.gunicorn.GreenioWorker, which has them all"
            )

    def init_process(self) -> None:
        """Called by gunicorn in the worker's process. Returns when the worker ends. Switches."""
        names = refused(self.cfg)
        if names:
            # The settings were changed while gunicorn was running. It would be worse to end the service.
            self.log.error("GreenioWSGIWorker does not have these settings, and ignores them: %s", ", ".join(names))
        super().init_process()

    def make_server(self, listener: socket) -> WSGIServer:
        """Return a server for a listener, which is not started yet."""
        context: Any = ssl_context(self.cfg) if self.cfg.is_ssl else None
        return _WSGIServer(self, listener, context)

    def has_begun(self) -> None:
        """Count a request that is about to be answered. The worker ends after `max_requests` of them."""
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
            self.end_event.set()


class _WSGIServer(WSGIServer):
    """The server for one listener of gunicorn's, with greenio.wsgi's HTTP."""

    def __init__(self, worker, listener, context):
        self.worker = worker
        self.hooks, self.policy, arguments = arguments_of(worker.cfg)
        plain = worker.cfg.max_requests == 0 and self.hooks.pre_request is None and self.hooks.post_request is None
        super().__init__(
            listener,
            worker.wsgi,
            max_connections=worker.cfg.worker_connections,
            ssl_context=context,
            log=LoggingLogAdapter(worker.log.access_log) if self.hooks.logs(worker.log) else None,
            error_log=LoggingLogAdapter(worker.log.error_log, 40),
            handler_class=Handler if plain else CountingHandler,
            environ={"wsgi.multiprocess": worker.cfg.workers > 1, **self.policy.environ},
            **arguments,
        )

    def write_access(self, handler):
        answer = Answer(handler)
        took = datetime.fromtimestamp(handler.time_finish) - datetime.fromtimestamp(handler.time_start)
        self.worker.log.access(answer, answer.request, answer.environ, took)
