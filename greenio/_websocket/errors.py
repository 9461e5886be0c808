"""The exceptions of WebSockets.

What does not belong here: requests that a server refuses (_wsgi/errors.py).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["HandshakeError", "WebSocketError"]


class WebSocketError(ConnectionError):
    """The WebSocket is closed, has failed, or could not be made. An OSError."""


class HandshakeError(WebSocketError):
    """The server, or a proxy, has refused to make a WebSocket.

    `status`: the status of its answer (int), or None if that was not HTTP. `headers`: the answer's fields (list of
    pairs of str). `body`: as much of the answer's body as has come (bytes).
    """

    def __init__(
        self, text: str, status: int | None = None, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> None:
        super().__init__(text)
        self.status = status
        self.headers = list(headers)
        self.body = body
