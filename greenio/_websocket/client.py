"""connect(): a client's WebSocket.

What does not belong here: messages and the end (connection.py), the bytes of the handshake (sansio.py).
"""

from __future__ import annotations

from greenio import socket as _socket
from greenio._servers.seconds import seconds_or_none
from greenio._websocket.arguments import checked_fields, checked_origin, checked_subprotocols, checked_uri
from greenio._websocket.connection import WebSocket
from greenio._websocket.errors import HandshakeError
from greenio._websocket.proxies import head_of_answer, parts_of, proxy_of, tunnel
from greenio._websocket.sansio import client_handshake, client_protocol, need_websockets
from greenio._websocket.sending import Settings
from greenio._wsgi.limits import seconds_between, seconds_limit, size_limit
from greenio.timeout import Timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from greenio.ssl import SSLContext

__all__ = ["ClientWebSocket", "connect"]

#: The size of the largest answer to a handshake (bytes).
_MAX_ANSWER = 1 << 20


def connect(
    uri: str,
    *,
    timeout: float | None = 10.0,
    subprotocols: Sequence[str] | None = None,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    origin: str | None = None,
    ssl_context: SSLContext | None = None,
    proxy: str | bool | None = True,
    compression: bool = False,
    max_size: int | None = 1 << 20,
    max_fragments: int | None = 1024,
    ping_interval: float | None = 20.0,
    ping_timeout: float | None = 20.0,
    write_timeout: float | None = 60.0,
) -> WebSocket:
    """Connect to a server, and return a WebSocket. Switches.

    `uri`: ``ws://host:port/path``, or ``wss://host:port/path`` for TLS. `timeout`: the most seconds that connecting may
    take (float), the handshake included; None for ever. `subprotocols`: the names that are offered to the server, the
    preferred one first; the attribute `subprotocol` of the result has its choice. `headers`: fields that are added to
    the request. `origin`: the field Origin, for servers that require it. `ssl_context`: for ``wss://``, in place of the
    default one. `proxy`: "http://host:port" or "http://user:password@host:port"; True for the proxy that the
    environment names, if any; None for no proxy. `compression`: whether it is offered to the server (bool).
    `max_size` and the arguments after it are limits. WSGIServer has the same ones: `write_timeout`,
    `websocket_max_size` and so on.

    Raises ImportError if `websockets` is missing, TypeError or ValueError for a wrong argument, TimeoutError,
    HandshakeError if the server or the proxy refuses, and the errors of sockets. A redirection is not followed: it is
    a HandshakeError.
    """
    need_websockets()
    settings = Settings(
        size_limit(max_size, "max_size"),
        size_limit(max_fragments, "max_fragments"),
        seconds_between(ping_interval, "ping_interval"),
        seconds_limit(ping_timeout, "ping_timeout"),
        seconds_limit(write_timeout, "write_timeout"),
    )
    protocol, parts = client_protocol(
        checked_uri(uri), checked_origin(origin), checked_subprotocols(subprotocols), settings.max_size, compression
    )
    request = client_handshake(protocol, checked_fields(headers))
    if ssl_context is not None and not hasattr(ssl_context, "wrap_socket"):
        raise TypeError(f"ssl_context is a greenio.ssl.SSLContext, not {ssl_context!r}")
    if proxy is not None and not isinstance(proxy, (str, bool)):
        raise TypeError(f"a proxy is a text such as 'http://host:port', True or None, not {proxy!r}")
    limit = Timeout.start_new(seconds_or_none(timeout, "timeout", past_is_now=True))
    sock: Any = None
    try:
        sock = _connected(parts, proxy)
        if parts.secure:
            sock = _with_tls(sock, parts.host, ssl_context)
        rest = _handshake(sock, protocol, request)
        websocket = ClientWebSocket(sock, protocol, settings, rest)
        sock = None
        return websocket
    except Timeout as error:
        if error is not limit:
            raise
        raise TimeoutError(f"no WebSocket within {timeout} s: {uri}") from None
    finally:
        limit.cancel()
        if sock is not None:
            sock.close()


def _connected(uri, proxy):
    """Return a socket that is connected to the server, perhaps through a proxy."""
    if proxy is True:
        proxy = proxy_of(uri.secure, uri.host, uri.port)
    if not proxy:
        return _socket.create_connection((uri.host, uri.port))
    host, port, fields = parts_of(proxy)
    sock = _socket.create_connection((host, port))
    try:
        tunnel(sock, fields, uri.host, uri.port)
    except BaseException:
        sock.close()
        raise
    return sock


def _with_tls(sock, host, context):
    from greenio import ssl  # TLS takes long to import

    try:
        context = context or ssl.create_default_context()
        return context.wrap_socket(sock, server_hostname=host)
    except BaseException:
        sock.close()
        raise


def _handshake(sock, protocol, request):
    """Send the request, and read the answer. Returns the data that has come behind the answer."""
    sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
    sock.sendall(request)
    answer, end = _with_head(sock, b"")
    while answer.startswith(b"HTTP/1.1 1") and answer[9:12] != b"101":
        # An interim answer (RFC 9110, 15.2): the final one is still to come.
        answer, end = _with_head(sock, answer[end:])
    rest = b""
    if answer.startswith(b"HTTP/1.1 101"):
        answer, rest = answer[:end], answer[end:]
        protocol.receive_data(answer)
    else:
        answer = _refusal(sock, protocol, answer)
    responses = protocol.events_received()
    if protocol.handshake_exc is not None or not responses:
        raise _refused(answer, responses[0] if responses else None, protocol.handshake_exc)
    return rest


def _with_head(sock, data):
    """Receive until the head of an answer is there. Returns ``(data, end)``: the position behind the head is `end`."""
    while (end := data.find(b"\r\n\r\n")) < 0:
        more = sock.recv(65536)
        if not more or len(data) > _MAX_ANSWER:
            raise HandshakeError("the server has not answered with HTTP")
        data += more
    return data, end + 4


def _refusal(sock, protocol, answer):
    """Read an answer that refuses the handshake, to its end, and feed it to the protocol. Returns all of it."""
    data = answer
    while True:
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
        if not data or protocol.handshake_exc is not None or protocol.events or len(answer) > _MAX_ANSWER:
            return answer
        data = sock.recv(65536)
        answer += data


def _refused(answer, response, error):
    """Return the error to raise. `response`: the answer as parsed; None if it is malformed, which `error` describes."""
    if response is not None:
        fields = list(response.headers.raw_items())
        return HandshakeError(
            f"the server has refused: {error}", response.status_code, fields, bytes(response.body or b"")
        )
    head, _, body = answer.partition(b"\r\n\r\n")
    status, fields = head_of_answer(head)
    if status is None or status < 200:
        return HandshakeError(f"the server has not answered with HTTP: {error}")
    text = f"the server has refused: HTTP {status}, with a body that is too long, cut short or malformed"
    return HandshakeError(text, status, fields, body)


class ClientWebSocket(WebSocket):
    """A WebSocket of connect(). Its socket is closed when the connection has ended, or the object is collected."""

    def __init__(self, sock: Any, protocol: Any, settings: Settings, rest: bytes) -> None:
        super().__init__()
        self.subprotocol = protocol.subprotocol
        self._start(sock, protocol, settings, True, rest)
        if self._over:
            sock.close()

    def _received(self, data):
        super()._received(data)
        if self._over:
            self._sock.close()

    def _lose(self, error):
        raised = super()._lose(error)
        self._sock.close()
        return raised

    def __del__(self) -> None:
        self._stop_timer()
        sock = getattr(self, "_sock", None)
        if sock is not None:
            sock.close()
