"""Reading the requests of a connection: cutting heads out of what has come, and judging them.

Rules
    1. The usual case, a head that has come whole, costs as little as it can. The others have methods of their own.
    2. The time for a head counts from its first byte, that of a connection's first from its beginning: bytes that come
       one by one do not prolong it.

What does not belong here: what heads mean (parser.py, request.py), bodies (body.py).
"""

from __future__ import annotations

from time import monotonic

from greenio._wsgi.body import NOTHING, Input, Nothing
from greenio._wsgi.client import Client
from greenio._wsgi.errors import Refused
from greenio._wsgi.forwarded import believe
from greenio._wsgi.parser import BAD_REQUEST, HeadParser
from greenio._wsgi.request import settle
from greenio._wsgi.stream import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from greenio.socket import socket

__all__ = ["Requests"]

_CR = 13
_END = b"\r\n\r\n"


class Requests:
    """Reads the requests of one connection, one after the other. The base of WSGIHandler, which says more."""

    environ: dict[str, Any]
    wsgi_input: Input | Nothing = NOTHING
    close_connection = False
    #: Whether the connection waits for a request (bool).
    idle = False

    _head = b""
    _upgrade = False
    _is_11 = True

    def __init__(self, sock: socket, address: Any, server: Any) -> None:
        self.socket = sock
        self.client_address = address
        self.server = server
        self.application = server.application
        self.stream = Stream(sock, server.limits.write_timeout, server.limits.max_pipelined)
        self.client = Client(sock, address)
        self._parser = HeadParser()
        self._is_draining = server.draining.is_set
        self._address = server.describe_client(address)
        self._began: float | None = monotonic()
        self.environ = {}

    def send_early_hints(self, headers: Iterable[tuple[str, str]]) -> None:
        """Send 103 with these fields."""
        raise NotImplementedError

    def read_request(self) -> bool:
        """Read a head, and prepare for its answer; return whether there was one. Switches.

        Raises Refused for a head that is malformed, OSError if the connection fails.
        """
        stream, server, parser = self.stream, self.server, self._parser
        data, position = stream.data, stream.position
        if position >= len(data):
            limits = server.limits
            self.idle = True
            stream.endpoint.timeout = limits.idle_timeout if self._began is None else limits.header_timeout
            data = stream.data = stream.recv(stream.size)
            stream.position = position = 0
            self.idle = False
            if not data:
                return False
        end = data.find(_END, position) + 4
        environ = server.environ.copy()
        parser.begin(environ)
        if end > 3 and data[position] not in b"\r\n":
            head = data if end == len(data) and not position else data[position:end]
            stream.position = end
            self._head = head
            parser.feed(head)
        else:
            whole = self._read_in_pieces()
            if whole is None:
                return False
            self._head = head = whole
        if not parser.complete:
            raise Refused(BAD_REQUEST, "the head is malformed")
        self._began = None
        self._is_11, keep_alive, length = settle(head, environ, server.limits, server.script_name)
        self._upgrade = parser.upgrade
        self.close_connection = not keep_alive
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = self._address
        if server.forwarded_from is not None:
            believe(environ, self.client_address, server.forwarded_from)
        environ["greenio.client"] = self.client
        environ["wsgi.early_hints"] = self.send_early_hints
        if length:
            self._expect_body(environ, length)
        else:
            environ["wsgi.input"] = self.wsgi_input = NOTHING
            if "HTTP_EXPECT" in environ:
                self._continues(environ)
        self.environ = environ
        return True

    def _read_in_pieces(self):
        """The rare case of a head that has not come whole, or has an empty line before it."""
        stream, limits, parser = self.stream, self.server.limits, self._parser
        began = monotonic() if self._began is None else self._began
        buffer = bytearray(stream.take(len(stream.data)))
        fed, skipped = 0, False
        while True:
            if not fed:
                if not skipped and buffer.startswith(b"\r\n"):
                    del buffer[:2]
                    skipped = True
                if buffer and buffer[0] in b"\r\n" and (skipped or buffer != b"\r"):
                    raise Refused(BAD_REQUEST, "there is an empty line in front of the request")
            if buffer and buffer[0] != _CR:
                end = buffer.find(_END, max(0, fed - 3)) + 4
                stop = end if end > 3 else len(buffer)
                self._head = bytes(buffer[:stop]) if end > 3 else bytes(buffer[:1024])
                parser.feed(bytes(buffer[fed:stop]))
                fed = stop
                if end > 3:
                    stream.data, stream.position = bytes(buffer[stop:]), 0
                    return self._head
                if parser.complete:
                    raise Refused(BAD_REQUEST, "the head ends before its empty line")
                self._check_size(buffer, limits)
            left = None if limits.header_timeout is None else limits.header_timeout - (monotonic() - began)
            if left is not None and left <= 0:
                raise Refused("408 Request Timeout", "the request comes too late")
            try:
                data = stream.receive(left)
            except TimeoutError:
                continue
            if not data:
                return None
            stream.take(len(data))
            buffer += data

    def _check_size(self, buffer, limits):
        line = buffer.find(b"\r\n", 0, limits.max_request_line + 2)
        if line < 0:
            if len(buffer) > limits.max_request_line + 1:
                raise Refused("414 URI Too Long", "the request line is too long")
        elif len(buffer) - line > limits.max_header_bytes:
            raise Refused("431 Request Header Fields Too Large", "the fields are too large")

    def _expect_body(self, environ, length):
        # llhttp waits for a body that it will not get.
        self._parser.forget()
        waits = "HTTP_EXPECT" in environ and self._continues(environ)
        environ["wsgi.input"] = self.wsgi_input = Input(self.stream, self.server.limits, length, waits)

    def _continues(self, environ):
        """Whether the client waits for 100 (Continue)."""
        if not self._is_11:
            return False
        if environ["HTTP_EXPECT"].lower() != "100-continue":
            raise Refused("417 Expectation Failed", "the only expectation that is known is 100-continue")
        return True

    # --- what is told of a request ---

    @property
    def requestline(self) -> str:
        """The first line of the request (str)."""
        return self._head.partition(b"\r\n")[0].decode("latin-1")

    @property
    def command(self) -> str | None:
        """The request's method (str)."""
        return self.environ.get("REQUEST_METHOD")

    @property
    def path(self) -> str:
        """The request's target (str)."""
        target: str = self.environ.get("RAW_URI", "")
        return target

    @property
    def request_version(self) -> str | None:
        """ "HTTP/1.1" or "HTTP/1.0"."""
        return self.environ.get("SERVER_PROTOCOL")

    @property
    def content_length(self) -> str | None:
        """The request's Content-Length (str), or None."""
        return self.environ.get("CONTENT_LENGTH")
