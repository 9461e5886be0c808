"""Servers with a greenlet for each client: StreamServer for TCP, TLS and Unix sockets, DatagramServer for UDP.

Methods that wait say that they switch; the others do not switch.
"""

from __future__ import annotations

import os
import socket as _standard

from hub.arguments import count_of

from greenio._descriptors import accepting as _accepting
from greenio._servers import datagrams as _datagrams
from greenio._servers.counts import CLOSED as _CLOSED
from greenio._servers.counts import CONNECTIONS as _CONNECTIONS
from greenio._servers.listening import bound_socket
from greenio.baseserver import BaseServer
from greenio.socket import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import _RetAddress
    from collections.abc import Callable
    from typing import Any

    from typing_extensions import Never

    from greenio._servers.addresses import Address
    from greenio.baseserver import Listener, Seconds, Spawn
    from greenio.socket import AddressFamily
    from greenio.ssl import SSLContext

__all__ = ["DatagramServer", "StreamServer"]


class StreamServer(BaseServer):
    """Accepts connections and calls ``handle(socket, address)`` for each in a greenlet of its own.

    The socket is closed when the handler ends. `backlog` is how many connections the system may hold ready for
    acceptance (int; only for an address, not for a socket). With `ssl_context` (an SSLContext), or with gevent's
    arguments `certfile`, `keyfile`, `cert_reqs`, `ca_certs`, `ciphers`, `ssl_version`, the handler gets a TLS socket.
    The handshake is made in its greenlet before, and takes `handshake_timeout` seconds at most (float, 10; None for
    ever). The rest is as in BaseServer.

        def handle(sock, address):
            while data := sock.recv(65536):
                sock.sendall(data)

        StreamServer(("127.0.0.1", 7000), handle).serve_forever()
    """

    #: The system's queue of connections that are not accepted yet.
    backlog: int = 128
    #: Whether the address may be taken over from connections that linger after an earlier server.
    reuse_addr: int = 1
    #: Seconds for a client's TLS handshake; None for ever. Also an argument.
    handshake_timeout: float | None = 10
    _times = (*BaseServer._times, "handshake_timeout")

    def __init__(
        self,
        listener: Address | Listener,
        handle: Callable[[socket, Any], object] | None = None,
        backlog: int | None = None,
        spawn: Spawn = "default",
        *,
        reuse_port: bool = False,
        max_connections: int | None = None,
        mode: int = 0o600,
        stop_timeout: Seconds = "default",
        kill_timeout: Seconds = "default",
        handshake_timeout: Seconds = "default",
        ssl_context: SSLContext | None = None,
        **ssl_args: Any,
    ) -> None:
        if backlog is not None:
            if hasattr(listener, "accept"):
                raise TypeError("backlog goes with an address; a socket that is passed in listens already")
            if count_of(backlog, "backlog") < 0:
                raise ValueError(f"backlog must not be negative: {backlog}")
            self.backlog = backlog
        if ssl_args:
            from greenio._servers.tls import context_of  # TLS takes long to import

            ssl_context = context_of(ssl_args, ssl_context)
        if ssl_context is not None and (isinstance(ssl_context, type) or not hasattr(ssl_context, "wrap_socket")):
            raise TypeError(f"ssl_context must be an ssl.SSLContext or None, not {ssl_context!r}")
        #: The context of TLS connections to come, or None. May be replaced while it serves.
        self.ssl_context = ssl_context
        self.ssl_args = ssl_args
        super().__init__(
            listener,
            handle=handle,
            spawn=spawn,
            reuse_port=reuse_port,
            max_connections=max_connections,
            mode=mode,
            stop_timeout=stop_timeout,
            kill_timeout=kill_timeout,
        )
        self._take_times(handshake_timeout=handshake_timeout)

    @property
    def ssl_enabled(self) -> bool:
        """Whether connections use TLS (bool)."""
        return self.ssl_context is not None

    # --- listening ---

    @classmethod
    def get_listener(
        cls, address: Any, backlog: int | None = None, family: AddressFamily | int | None = None
    ) -> socket:
        """Make a listening socket for an address. Switches only if a host's name is looked up.

        Raises OSError, naming the address, if that is impossible.
        """
        backlog = cls.backlog if backlog is None else backlog
        return bound_socket(address, family, _standard.SOCK_STREAM, backlog, cls.reuse_addr)

    def init_socket(self) -> None:
        """Listen, if it does not yet. Called by start(). Switches as that does."""
        if self.socket is None:
            if self.reuse_port or self.family == _standard.AF_UNIX:
                self.socket = bound_socket(
                    self.address, self.family, self._kind, self.backlog, self.reuse_addr, self.reuse_port, self._bind
                )
            else:
                self.socket = self.get_listener(self.address, self.backlog, self.family)
            self._most_waiting = self.backlog + 1
            self._owns_socket = True
            self.address = self.socket.getsockname()
        self._accepted = (self.socket.family, self.socket.type, self.socket.proto)

    # --- several processes ---

    def serve_forever(self, stop_timeout: float | None = None, *, workers: int | None = None, **options: Any) -> None:
        """As BaseServer's; with `workers` (int), in so many processes that are forked here.

        `options`: as of greenio.workers.serve(). Raises RuntimeError if the server accepts already in this process.
        In a worker it does not return: the process ends.
        """
        if workers is None:
            if options:
                raise TypeError(f"serve_forever() takes {next(iter(options))!r} together with workers")
            super().serve_forever(stop_timeout)
            return
        from greenio import workers as _workers  # most programs do without

        if self.started:
            raise RuntimeError(f"{self!r} was started already: its workers start it")
        self._check_handler()
        if stop_timeout is not None:
            options.setdefault("drain", stop_timeout)
        _workers._serve_with(self, workers, options)

    # --- a connection ---

    def do_read(self) -> tuple[socket, _RetAddress] | None:
        """Accept one connection that is there already: ``(socket, address)``, or None. Does not switch.

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
        self._handlers.begun()
        numbers = self._numbers
        if numbers is not None:
            numbers[_CONNECTIONS] += 1
        try:
            if self.ssl_context is None:
                self.handle(sock, address)  # type: ignore[misc]  # not None: start() has seen to that
            else:
                self.wrap_socket_and_handle(sock, address)
        finally:
            self._handlers.ended()
            self._places.one_is_free()
            self.do_close(sock, address)
            numbers = self._numbers  # a handler may have forked: then this is another process
            if numbers is not None:
                numbers[_CLOSED] += 1

    def wrap_socket_and_handle(self, client_socket: socket, address: Any) -> None:
        """Make the TLS connection of an accepted socket, have it handled, and end it. Switches."""
        from greenio._servers import tls

        context: Any = self.ssl_context
        try:
            connection = tls.handshake(context, client_socket, self.handshake_timeout, self.ssl_args)
        except OSError as error:
            self.handshake_failed(address, error)
            return
        try:
            self.handle(connection, address)  # type: ignore[misc]
        finally:
            tls.end_politely(connection)

    def handshake_failed(self, address: Any, error: OSError) -> None:
        """A client did not make its TLS handshake: called with its address and the error (TimeoutError: it was late).

        Does nothing: whoever tries a port causes such errors. A subclass may count or log them. The connection is
        closed afterwards.
        """

    def do_close(self, sock: socket, *args: Any) -> None:
        """Close the connection; called when its handler has ended. Does not switch."""
        sock.close()


class DatagramServer(BaseServer):
    """Receives datagrams and calls ``handle(data, address)`` for each in a greenlet of its own.

    Datagrams are received whole, up to 65,535 bytes. sendto() answers: on a machine with several addresses, an answer
    to `address` comes from the one that the client has asked. The rest is as in BaseServer.

        def handle(data, address):
            server.sendto(data, address)

        server = DatagramServer(("127.0.0.1", 7000), handle)
        server.serve_forever()
    """

    #: Whether the address may be taken over from an earlier server.
    reuse_addr: int | None = None
    _kind = _standard.SOCK_DGRAM
    _told = False  # where datagrams come in
    _answering: socket | None = None  # what handlers answer on while the server ends

    def __init__(
        self,
        listener: Address | Listener,
        handle: Callable[[bytes, Any], object] | None = None,
        spawn: Spawn = "default",
        *,
        reuse_port: bool = False,
        max_connections: int | None = None,
        mode: int = 0o600,
        stop_timeout: Seconds = "default",
        kill_timeout: Seconds = "default",
        **unknown: Never,
    ) -> None:
        if unknown:
            tls = ": it speaks no TLS" if unknown.keys() & {"ssl_context", "certfile", "keyfile", "ssl_version"} else ""
            raise TypeError(f"a DatagramServer has no argument {min(unknown)!r}{tls}")
        super().__init__(
            listener,
            handle=handle,
            spawn=spawn,
            reuse_port=reuse_port,
            max_connections=max_connections,
            mode=mode,
            stop_timeout=stop_timeout,
            kill_timeout=kill_timeout,
        )

    @classmethod
    def get_listener(cls, address: Any, family: AddressFamily | int | None = None) -> socket:
        """Make a socket bound to an address. Switches only if a host's name is looked up.

        Raises OSError, naming the address, if that is impossible.
        """
        return bound_socket(address, family, _standard.SOCK_DGRAM, None, cls.reuse_addr)

    def init_socket(self) -> None:
        """Bind a socket, if there is none. Called by start(). Switches as that does."""
        if self.socket is None:
            if self.reuse_port or self.family == _standard.AF_UNIX:
                self.socket = bound_socket(
                    self.address, self.family, self._kind, None, self.reuse_addr, self.reuse_port, self._bind
                )
            else:
                self.socket = self.get_listener(self.address, self.family)
            self._owns_socket = True
            self.address = self.socket.getsockname()
        self._told = _datagrams.ask_for_places(self.socket)

    def do_read(self) -> tuple[bytes, Any] | None:
        """Receive one datagram that is there already: ``(data, address)``, or None. Does not switch.

        Raises RuntimeError if the server does not listen yet, or any more.
        """
        if self.socket is None:
            raise RuntimeError(f"{self!r} does not listen: start() makes it")
        return _datagrams.receive(self.socket, self._told)

    def sendto(self, data: Any, *args: Any) -> int:
        """``sendto(data[, flags], address)``: send a datagram from the server's socket. Returns its size (int).

        While the server is being stopped, handlers may still answer. Raises RuntimeError if the server does not listen,
        and what socket.sendto() raises. Switches.
        """
        sock = self.socket or self._answering
        if sock is None:
            raise RuntimeError(f"{self!r} does not listen: start() makes it")
        if len(args) not in (1, 2):
            raise TypeError(f"sendto() takes data, flags if any, and an address, not {len(args) + 1} arguments")
        return _datagrams.send(sock, data, args[0] if len(args) == 2 else 0, args[-1])

    def _give_up(self, sock):
        if self._ends and self._handlers.running:
            self._answering = sock
        else:
            super()._give_up(sock)

    def _end_is_over(self):
        super()._end_is_over()
        sock = self._answering
        if sock is not None and not self._ends:
            self._answering = None
            super()._give_up(sock)
