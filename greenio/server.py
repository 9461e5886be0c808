"""StreamServer: a TCP or Unix stream server with a greenlet for each connection."""

from __future__ import annotations

import os
import socket as _standard

from greenio._descriptors import accepting as _accepting
from greenio.baseserver import BaseServer
from greenio.socket import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import _RetAddress
    from collections.abc import Callable
    from typing import Any

    from greenio.baseserver import Address, Listener, Spawn
    from greenio.socket import AddressFamily

__all__ = ["StreamServer"]


class StreamServer(BaseServer):
    """Accepts connections and calls ``handle(socket, address)`` for each in a greenlet of its own.

    The socket is closed when the handler ends. `backlog` is how many connections the system may hold ready for
    acceptance (int; only for an address, not for a socket). The rest is as in BaseServer.

        def handle(sock, address):
            while data := sock.recv(65536):
                sock.sendall(data)

        StreamServer(("127.0.0.1", 7000), handle).serve_forever()
    """

    #: The system's queue of connections that are not accepted yet.
    backlog: int = 128
    #: Whether the address may be taken over from connections that linger after an earlier server.
    reuse_addr: int = 1

    def __init__(
        self,
        listener: Address | Listener,
        handle: Callable[[socket, Any], object] | None = None,
        backlog: int | None = None,
        spawn: Spawn = "default",
    ) -> None:
        if backlog is not None:
            if hasattr(listener, "accept"):
                raise TypeError("backlog goes with an address; a socket that is passed in listens already")
            self.backlog = backlog
        super().__init__(listener, handle=handle, spawn=spawn)

    @classmethod
    def get_listener(
        cls, address: tuple[Any, ...], backlog: int | None = None, family: AddressFamily | int | None = None
    ) -> socket:
        """Make a listening socket for ``(host, port)``. Raises OSError, naming the address, if that is impossible."""
        sock = socket(_standard.AF_INET if family is None else family, _standard.SOCK_STREAM)
        try:
            if cls.reuse_addr:
                sock.setsockopt(_standard.SOL_SOCKET, _standard.SO_REUSEADDR, 1)
            if sock.family == _standard.AF_INET6 and address[0] == "":
                sock.setsockopt(_standard.IPPROTO_IPV6, _standard.IPV6_V6ONLY, 0)
            sock.bind(address)
            sock.listen(cls.backlog if backlog is None else backlog)
        except OSError as error:
            sock.close()
            error.strerror = f"{error.strerror}: {address!r}"
            raise
        except BaseException:
            sock.close()
            raise
        return sock

    def init_socket(self) -> None:
        """Listen, if it does not yet."""
        if self.socket is None:
            self.socket = self.get_listener(self.address, self.backlog, self.family)
            self._owns_socket = True
            self.address = self.socket.getsockname()
        self._accepted = (self.socket.family, self.socket.type, self.socket.proto)

    def do_read(self) -> tuple[socket, _RetAddress] | None:
        """Accept one connection that is there already: ``(socket, address)``, or None.

        Raises RuntimeError if the server does not listen yet, or any more.
        """
        if self.socket is None:
            raise RuntimeError(f"{self!r} does not listen: start() makes it")
        accepted = _accepting.accept_ready(self.socket)
        if accepted is None:
            return None
        fd, address = accepted
        try:
            sock = socket(*self._accepted, fileno=fd)
            sock._endpoint.inherit_limits(self.socket._endpoint)
            return sock, address
        except BaseException:
            os.close(fd)
            raise

    def _run_handler(self, sock, address):
        # Called with each argument by itself, a handler runs in the interpreter's loop that is here already: what the
        # greenlet has on the C stack, which is copied when it is switched to, is a sixth smaller.
        try:
            self.handle(sock, address)  # type: ignore[misc]  # not None: start() has seen to that
        finally:
            self.do_close(sock, address)

    def do_close(self, sock: socket, *args: Any) -> None:
        """Close the connection; called when its handler has ended."""
        sock.close()
