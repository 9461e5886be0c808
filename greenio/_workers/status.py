"""The status pages of a supervisor, at an address of its own.

    /healthz    200 while all workers are ready; 503 while one is not, and while the service ends
    /metrics    the workers' counters, for Prometheus

It answers one short request per connection, and is no web server for the public: let it listen on a loopback or private
address.
"""

from __future__ import annotations

from contextlib import suppress

from greenio._workers.listeners import Listener
from greenio._workers.metrics import render
from greenio._workers.stacks import SupervisorGreenlet
from greenio.server import StreamServer
from greenio.timeout import Timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from greenio.socket import socket

__all__ = ["StatusServer"]

_MAX_REQUEST = 8192  # bytes
_SECONDS = 5.0  # for a request and its answer


class StatusServer(StreamServer):
    """Serves the status pages of `supervisor` at `address`. Raises OSError or ValueError."""

    def __init__(self, address: Any, supervisor: Any) -> None:
        self._listener = Listener(address, 1, backlog=16)
        self._supervisor = supervisor
        self._open: set[socket] = set()
        super().__init__(self._listener.sockets[0], spawn=SupervisorGreenlet.spawn, max_connections=20)

    def start_accepting(self) -> None:
        """Begin to accept. Does not switch."""
        self._acceptor = SupervisorGreenlet.spawn(self._accept_forever)

    def handle(self, sock: socket, address: Any) -> None:
        """Answer one request. Switches."""
        self._open.add(sock)
        try:
            with Timeout(_SECONDS, False), suppress(OSError):
                data = b""
                while b"\r\n\r\n" not in data:
                    more = sock.recv(_MAX_REQUEST - len(data))
                    if not more:
                        return
                    data += more
                sock.sendall(self._answer(data))
        finally:
            self._open.discard(sock)

    def _answer(self, request):
        method, _, rest = request.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        kind = "text/plain; charset=utf-8"
        if method not in (b"GET", b"HEAD"):
            status, text = "405 Method Not Allowed", "only GET and HEAD\n"
        elif path == b"/healthz":
            status, text = self._health()
        elif path == b"/metrics":
            status, text, kind = "200 OK", render(self._supervisor), "text/plain; version=0.0.4; charset=utf-8"
        else:
            status, text = "404 Not Found", "there are /healthz and /metrics\n"
        body = text.encode()
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
            f"Cache-Control: no-store\r\nConnection: close\r\n\r\n"
        ).encode()
        return head if method == b"HEAD" else head + body

    def _health(self):
        supervisor = self._supervisor
        if supervisor.is_ending:
            return "503 Service Unavailable", "draining\n"
        # One missing worker is enough: its slot's socket gets clients that no other worker accepts.
        missing = [str(slot.number) for slot in supervisor.slots if slot.worker is None or not slot.worker.is_ready]
        if len(missing) == len(supervisor.slots):
            return "503 Service Unavailable", "no worker is ready\n"
        if missing:
            return "503 Service Unavailable", f"not ready: worker {', '.join(missing)}\n"
        return "200 OK", "ok\n"

    def close_in_child(self) -> None:
        """Close the sockets in a worker, which has inherited them. Does not switch."""
        # Otherwise a client would wait for the end of its answer as long as the worker lives.
        unbegun = [args[0] for args in self._handlers.running.values() if args is not None]
        for sock in [*self._open, *unbegun]:
            sock.close()
        for sock in self._listener.sockets:
            sock.close()

    def end(self) -> None:
        """Close the sockets, and end the handlers. Switches."""
        self.close()
        self._listener.close()
