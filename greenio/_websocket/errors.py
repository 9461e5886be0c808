"""What goes wrong with WebSockets.

What does not belong here: requests that a server refuses, which are greenio.wsgi's affair.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["HandshakeError", "WebSocketError"]


class WebSocketError(ConnectionError):
    """A WebSocket is closed, or cannot be made. An OSError."""


class HandshakeError(WebSocketError):
    """A server, or a proxy, has not made a WebSocket of a connection.

    `status`: of its answer (int), or None if that was none of HTTP. `headers`: the answer's fields (list of pairs of
    str). `body`: as much of the answer's body as has come (bytes).
    """

    def __init__(
        self, text: str, status: int | None = None, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> None:
        super().__init__(text)
        self.status = status
        self.headers = list(headers)
        self.body = body
