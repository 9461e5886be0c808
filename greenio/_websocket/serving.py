"""What greenio.wsgi calls for a request for a WebSocket, and `environ["wsgi.websocket"]`.

Theory
    The handshake is made when the application first uses the WebSocket. Until then it may answer as to any request. If
    it takes `werkzeug.socket` instead, the handshake is the affair of the library that it gives that to. Either way the
    connection is taken over: nothing of HTTP is sent any more, and it ends with the application.

Rules
    1. An application that returns has closed the WebSocket; with 1011 if it has failed, with 1001 if the server ends.
    2. When the server ends, each peer is told (1001), whoever speaks with it.

What does not belong here: the protocol (connection.py), whether a request is granted (request.py).
"""

from __future__ import annotations

from contextlib import suppress

from greenlet import GreenletExit

from greenio._websocket.arguments import checked_fields
from greenio._websocket.connection import LAST_WORD, WebSocket
from greenio._websocket.errors import WebSocketError
from greenio._websocket.sansio import accept_key, need_websockets, negotiate_compression, server_protocol
from greenio._websocket.sending import Settings
from greenio._websocket.taken import TakenSocket
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
    """A request for a WebSocket, until its connection is over. Who takes the connection is its `owner`, or None."""

    def __init__(self, handler: Any, environ: dict[str, Any]) -> None:
        self.handler = handler
        self.sock = handler.socket
        self.owner: Any = None
        self._status = 200
        environ["wsgi.websocket"] = ServerWebSocket(self, environ)
        environ["wsgi.websocket_version"] = environ["HTTP_SEC_WEBSOCKET_VERSION"]
        environ["werkzeug.socket"] = TakenSocket(self)

    def take(self, owner: Any) -> None:
        """The connection is a WebSocket from now on. Raises WebSocketError if that cannot be."""
        if self.handler is None:
            raise WebSocketError("the request is over")
        if self.owner is not None:
            raise WebSocketError("another object than this has taken the connection: wsgi.websocket or werkzeug.socket")
        if self.handler.headers_sent:
            raise WebSocketError("the answer has begun: it is too late for a WebSocket")
        self.handler.take_over()
        self.owner = owner

    def rest(self) -> bytes:
        """What has come behind the request."""
        stream = self.handler.stream
        return stream.take(stream.rest())  # type: ignore[no-any-return]

    def told(self, status: str) -> None:
        """The application has answered all the same, as frameworks do that have caught an error."""
        if status[:1] == "5":
            self._status = 500

    def begun(self) -> None:
        """The handshake is made."""
        if self.handler.server.draining:
            Greenlet.spawn(self.go_away)

    def go_away(self) -> None:
        """The server ends. Switches."""
        owner = self.owner
        if owner is not None:
            owner.go_away()

    def end(self, error: BaseException | None) -> BaseException | None:
        """The application is over. Switches. Returns the error that is left to report, or None."""
        owner, handler = self.owner, self.handler
        try:
            if owner is None:
                return error
            if isinstance(owner, ServerWebSocket):
                if not owner.closed:
                    self._close(owner, error)
                elif isinstance(error, (WebSocketError, ClientGone)):
                    error = None  # it is the peer's affair
                handler.linger_at_end(owner.has_failed)
            else:
                if isinstance(error, (ConnectionError, StopIteration, ClientGone)):
                    error = None  # which say that the connection was taken
                handler.linger_at_end(True)
            return error
        finally:
            if isinstance(owner, ServerWebSocket):
                owner.forget()
            # These refer to one another.
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
            # It is being killed, and has little time.
            code = _GOING_AWAY if isinstance(error, GreenletExit) and self.handler.server.draining else _INTERNAL
            with Timeout(LAST_WORD, False):
                owner.close(code)


class ServerWebSocket(WebSocket):
    """A WebSocket of greenio.wsgi: `environ["wsgi.websocket"]` of a request for one.

    The handshake is made by the first call of a method that sends, receives or closes, or by accept(). Until then the
    application may answer with start_response(), as to any request.
    """

    def __init__(self, upgrade: Upgrade, environ: dict[str, Any]) -> None:
        super().__init__()
        self._upgrade = upgrade
        #: The subprotocols that the client offers, the one it likes best first (list of str).
        self.subprotocols: list[str] = [
            each for each in map(str.strip, environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "").split(",")) if each
        ]
        #: The page that asks (str), or None if it is no browser.
        self.origin: str | None = environ.get("HTTP_ORIGIN")
        self.path: str = environ["PATH_INFO"]
        self._key = environ["HTTP_SEC_WEBSOCKET_KEY"]
        self._extensions = environ.get("HTTP_SEC_WEBSOCKET_EXTENSIONS")
        self._opening = Lock()

    def accept(
        self, subprotocol: str | None = None, headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()
    ) -> None:
        """Make the handshake. Switches.

        `subprotocol`: what is spoken, one of `subprotocols`. `headers`: fields of the answer, such as cookies. Raises
        ImportError if `websockets` is missing, WebSocketError if the request was answered already or the client has
        gone, ValueError for a subprotocol that was not offered, TypeError or ValueError for a field that cannot be, or
        is the handshake's own.
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
            # Whatever it was, nobody knows how much was sent.
            self.closed = self._over = True
            self.close_code = 1006
            if not isinstance(error, OSError):
                raise
            raise WebSocketError(f"the client has gone: {error}") from error
        self.subprotocol = subprotocol
        self._begin_with(
            handler.socket, server_protocol(settings.max_size, extensions), settings, False, upgrade.rest()
        )
        upgrade.begun()

    def _open(self):
        with self._opening:
            if self.closed:
                raise self._is_closed()
            if self._protocol is None:
                self._accept(None, ())

    @property
    def has_failed(self) -> bool:
        """Whether the client has broken a rule, and was told so (bool)."""
        return self._failed

    def forget(self) -> None:
        """The socket is closed next."""
        if not self._over:
            self._end(1006, "")

    def go_away(self) -> None:
        """Say that the server ends. Switches."""
        if self._protocol is not None and not self.closed:
            self.close(_GOING_AWAY)
