"""`environ["werkzeug.socket"]`: the connection's socket, for libraries that implement WebSocket themselves.

Theory
    A library does not tell the server that it takes the socket. So it gets this object in place of the socket. The
    first call that sends or receives takes the connection over. simple-websocket, Flask-Sock and Flask-SocketIO send
    one whole frame with each call. So the server can send a close frame between two calls, which it does when it ends.

What does not belong here: the server's own WebSocket (connection.py).
"""

from __future__ import annotations

from contextlib import suppress

from greenio.lock import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["TakenSocket"]

#: Other methods of a socket that send or receive, or make objects that do. Only recv() returns data that has come
#: behind the request.
_METHODS_THAT_TAKE = frozenset([
    "detach", "dup", "makefile", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into", "read", "sendfile", "sendmsg",
    "sendto", "unwrap", "write",
])  # fmt: skip
#: A close frame with the code 1001.
_GOING_AWAY = b"\x88\x02\x03\xe9"


class TakenSocket:
    """Stands for a connection's socket. All attributes that it does not have itself are the socket's."""

    def __init__(self, upgrade: Any) -> None:
        self._upgrade = upgrade
        self._sock: Any = upgrade.sock
        self._writing = Lock()
        self._rest = b""
        self._is_taken = False

    def _take(self):
        if not self._is_taken:
            self._upgrade.take(self)
            self._is_taken = True
            self._rest = self._upgrade.rest()
            self._sock.settimeout(None)

    def recv(self, size: int, *flags: int) -> bytes:
        """As the socket's. Switches."""
        self._take()
        if self._rest:
            data, self._rest = self._rest[:size], self._rest[size:]
            return data
        return self._sock.recv(size, *flags)  # type: ignore[no-any-return]

    def recv_into(self, buffer: Any, size: int = 0, *flags: int) -> int:
        """As the socket's. Switches."""
        view = memoryview(buffer).cast("B")
        data = self.recv(size or len(view), *flags)
        view[: len(data)] = data
        return len(data)

    def send(self, data: Any, *flags: int) -> int:
        """Send all of `data`, after other greenlets that send. Returns its size (int). Switches."""
        self.sendall(data, *flags)
        return memoryview(data).nbytes

    def sendall(self, data: Any, *flags: int) -> None:
        """Send all of `data`, after other greenlets that send. Switches."""
        self._take()
        with self._writing:
            self._sock.sendall(data, *flags)

    def close(self) -> None:
        """End the connection. The socket itself is closed when the application has returned. Does not switch."""
        with suppress(OSError):  # the connection has ended already
            self._sock.shutdown(2)

    def go_away(self) -> None:
        """Send a close frame, because the server ends. Switches."""
        with suppress(OSError):  # the connection has ended already
            self.sendall(_GOING_AWAY)

    def __getattr__(self, name: str) -> Any:
        if name in _METHODS_THAT_TAKE:
            self._take()
        return getattr(self._sock, name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._sock!r}>"
