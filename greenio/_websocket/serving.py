"""`environ["wsgi.websocket"]`: WebSockets of greenio.wsgi, from the request to the end of the application.

Theory
    The handshake is made when the application first uses the WebSocket. Until then it may answer as to any request. An
    application may use `werkzeug.socket` instead, and give it to a library that makes the handshake itself. Either way
    the connection is taken over from the server: no more HTTP is sent, and the connection ends with the application.

Rules
    1. When the application returns, the WebSocket is closed: with the code 1011 after an error, with 1001 if the server
       ends.
    2. When the server ends, each peer gets a close frame with the code 1001, even if a library handles the frames.

What does not belong here: messages (connection.py), checking requests (request.py).
"""

from __future__ import annotations

from contextlib import suppress

from greenlet import GreenletExit

from greenio._websocket.arguments import checked_fields
from greenio._websocket.connection import LAST_WORD, WebSocket
from greenio._websocket.errors import WebSocketError
from greenio._websocket.sansio import accept_key, need_websockets, negotiate_compression, server_protocol
from greenio._websocket.sending import Settings
from greenio._websocket.werkzeug_socket import TakenSocket
from greenio._wsgi.errors import ClientGone
from greenio._wsgi.response import render_fields
from greenio.greenlet import Greenlet
from greenio.lock import Lock
from greenio.timeout import Timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

__all__ = ["ServerWebSocket", "Upgrade"]

_GOING_AWAY, _INTERNAL = 1001, 1011


class Upgrade:
    """A request for a WebSocket, until its connection has ended.

    `owner`: the ServerWebSocket or TakenSocket that has taken over the connection; None before.
    """

    def __init__(self, handler: Any, environ: dict[str, Any]) -> None:
        self.handler = handler
        self.sock = handler.socket
        self.owner: Any = None
        self._status = 200
        environ["wsgi.websocket"] = ServerWebSocket(self, environ)
        environ["wsgi.websocket_version"] = environ["HTTP_SEC_WEBSOCKET_VERSION"]
        environ["werkzeug.socket"] = TakenSocket(self)

    def take(self, owner: Any) -> None:
        """Give the connection to `owner`. Raises WebSocketError if it is too late for that. Does not switch."""
        if self.handler is None:
            raise WebSocketError("the request is over")
        if self.owner is not None:
            raise WebSocketError("the other of wsgi.websocket and werkzeug.socket has taken the connection already")
        if self.handler.headers_sent:
            raise WebSocketError("the answer has begun: it is too late for a WebSocket")
        self.handler.take_over()
        self.owner = owner

    def rest(self) -> bytes:
        """Take, and return, the data that has come behind the request (bytes). Does not switch."""
        stream = self.handler.stream
        return stream.take(stream.rest())  # type: ignore[no-any-return]

    def note_status(self, status: str) -> None:
        """Note the status of an answer that came after the handshake, as frameworks answer when they catch an error."""
        if status[:1] == "5":
            self._status = 500

    def note_handshake(self) -> None:
        """Note that the handshake is made. If the server ends meanwhile, say so to the peer. Does not switch."""
        if self.handler.server.draining:
            Greenlet.spawn(self.go_away)

    def go_away(self) -> None:
        """Tell the peer that the server ends. Switches."""
        owner = self.owner
        if owner is not None:
            owner.go_away()

    def end(self, error: BaseException | None) -> BaseException | None:
        """End the connection after the application, which may have raised `error`. Switches.

        Returns the error that must be reported, or None.
        """
        owner, handler = self.owner, self.handler
        try:
            if owner is None:
                return error
            if isinstance(owner, ServerWebSocket):
                if not owner.closed:
                    self._close(owner, error)
                elif isinstance(error, (WebSocketError, ClientGone)):
                    error = None  # the peer has closed the connection, which is no error of the application
                handler.linger_at_end(owner.has_failed)
            else:
                if isinstance(error, (ConnectionError, StopIteration, ClientGone)):
                    error = None  # libraries raise these to say that they have taken the connection
                handler.linger_at_end(True)
            return error
        finally:
            if isinstance(owner, ServerWebSocket):
                owner.forget()
            # Breaks the cycles of references through this object.
            self.handler = self.owner = None
            environ = handler.environ
            for key in ("wsgi.websocket", "werkzeug.socket"):
                environ.pop(key, None)

    def _close(self, owner, error):
        if error is None or isinstance(error, Exception):
            failed = error is not None or self._status == 500
            code = _INTERNAL if failed else _GOING_AWAY if self.handler.server.draining else 1000
            owner.close(code)
        else:
            # The greenlet is being killed, and should end soon.
            code = _GOING_AWAY if isinstance(error, GreenletExit) and self.handler.server.draining else _INTERNAL
            with Timeout(LAST_WORD, False):
                owner.close(code)


class ServerWebSocket(WebSocket):
    """A server's WebSocket: `environ["wsgi.websocket"]` of a request for one.

    accept() makes the handshake, and so does the first call that sends, receives or closes. Until then the application
    may answer with start_response(), as to any request.
    """

    def __init__(self, upgrade: Upgrade, environ: dict[str, Any]) -> None:
        super().__init__()
        self._upgrade = upgrade
        #: The subprotocols that the client offers, the preferred one first (list of str).
        self.subprotocols: list[str] = [
            each for each in map(str.strip, environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "").split(",")) if each
        ]
        #: The site of the page that has sent the request (str); None if the client is not a browser.
        self.origin: str | None = environ.get("HTTP_ORIGIN")
        self.path: str = environ["PATH_INFO"]
        self._key = environ["HTTP_SEC_WEBSOCKET_KEY"]
        self._extensions = environ.get("HTTP_SEC_WEBSOCKET_EXTENSIONS")
        self._opening = Lock()

    def accept(
        self, subprotocol: str | None = None, headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()
    ) -> None:
        """Make the handshake. Switches.

        `subprotocol`: the one to use, out of `subprotocols`. `headers`: fields that are added to the answer, such as
        cookies. Raises ImportError if `websockets` is missing, WebSocketError if the request was answered already or
        the client has gone, ValueError for a subprotocol that was not offered, TypeError or ValueError for a field that
        is malformed or the handshake's own.
        """
        with self._opening:
            if self._protocol is not None:
                raise WebSocketError("the handshake was made already")
            self._accept(subprotocol, headers)

    def _accept(self, subprotocol, headers):
        need_websockets()
        if subprotocol is not None and subprotocol not in self.subprotocols:
            raise ValueError(f"the client has not offered the subprotocol {subprotocol!r}, only {self.subprotocols}")
        upgrade = self._upgrade
        handler = upgrade.handler
        if handler is None:
            raise WebSocketError("the request is over")
        fields = render_fields(checked_fields(headers), False)[0].decode("latin-1")
        extensions = []
        if handler.server.websocket_compression and self._extensions:
            with suppress(ValueError):
                agreed = negotiate_compression(self._extensions)
                if agreed is not None:
                    fields += f"Sec-WebSocket-Extensions: {agreed[0]}\r\n"
                    extensions.append(agreed[1])
        if subprotocol is not None:
            fields += f"Sec-WebSocket-Protocol: {subprotocol}\r\n"
        upgrade.take(self)
        limits = handler.server.limits
        settings = Settings(
            limits.websocket_max_size,
            limits.websocket_max_fragments,
            limits.websocket_ping_interval,
            limits.websocket_ping_timeout,
            limits.write_timeout,
        )
        head = (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept_key(self._key)}\r\n{fields}\r\n"
        ).encode("latin-1")
        try:
            handler.stream.write(head)
        except BaseException as error:
            # A part of it may have been sent.
            self.closed = self._over = True
            self.close_code = 1006
            if not isinstance(error, OSError):
                raise
            raise WebSocketError(f"the client has gone: {error}") from error
        self.subprotocol = subprotocol
        self._start(handler.socket, server_protocol(settings.max_size, extensions), settings, False, upgrade.rest())
        upgrade.note_handshake()

    def _open(self):
        with self._opening:
            if self.closed:
                raise self._is_closed()
            if self._protocol is None:
                self._accept(None, ())

    @property
    def has_failed(self) -> bool:
        """Whether the client has broken a rule of the protocol (bool)."""
        return self._failed

    def forget(self) -> None:
        """Note that the server closes the socket next. Does not switch."""
        if not self._over:
            self._end(1006, "")

    def go_away(self) -> None:
        """Close the connection, because the server ends. Switches."""
        if self._protocol is not None and not self.closed:
            self.close(_GOING_AWAY)
