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

    The socket is closed when the handler ends.
    `backlog`: how many connections may wait in the system to be accepted (int); only with an address, not a socket.
    `ssl_context`: an SSLContext for TLS. The handshake is made in the handler's greenlet, and the handler gets a TLS
    socket. gevent's arguments `certfile`, `keyfile`, `cert_reqs`, `ca_certs`, `ciphers` and `ssl_version` do the same.
    `handshake_timeout`: the most seconds that a handshake may take (float, 10; None for ever).
    The other arguments are BaseServer's.

        def handle(sock, address):
            while data := sock.recv(65536):
                sock.sendall(data)

        StreamServer(("127.0.0.1", 7000), handle).serve_forever()
    """

    #: How many connections may wait in the system to be accepted. Also an argument.
    backlog: int = 128
    #: Whether the server may take an address at which connections of an earlier server linger.
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
        #: The context of new TLS connections, or None. May be replaced while the server runs.
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
        self._set_times(handshake_timeout=handshake_timeout)

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

        `backlog`: as in the class. `family`: such as AF_INET6; IPv4 if None. Raises OSError that names the address.
        """
        backlog = cls.backlog if backlog is None else backlog
        return bound_socket(address, family, _standard.SOCK_STREAM, backlog, cls.reuse_addr)

    def init_socket(self) -> None:
        """Make the listening socket, unless there is one. Called by start(). Switches as that does."""
        if self.socket is None:
            if self.reuse_port or self.family == _standard.AF_UNIX:
                self.socket = bound_socket(
                    self.address, self.family, self._kind, self.backlog, self.reuse_addr, self.reuse_port, self._bind
                )
            else:
                self.socket = self.get_listener(self.address, self.backlog, self.family)
            self._backlog_limit = self.backlog + 1
            self._owns_socket = True
            self.address = self.socket.getsockname()
        self._accepted = (self.socket.family, self.socket.type, self.socket.proto)

    # --- several processes ---

    def serve_forever(self, stop_timeout: float | None = None, *, workers: int | None = None, **options: Any) -> None:
        """As BaseServer.serve_forever(). With `workers` (int), that many forked processes serve. Switches.

        `options`: those of greenio.workers.serve(). In a worker it does not return: the process ends. Raises
        RuntimeError if the server is started in this process already, TypeError for `options` without `workers`.
        """
        if workers is None:
            if options:
                raise TypeError(f"serve_forever() takes {next(iter(options))!r} together with workers")
            super().serve_forever(stop_timeout)
            return
        from greenio import workers as _workers  # most programs need no workers: they need not import this

        if self.started:
            raise RuntimeError(f"{self!r} was started already: its workers start it")
        self._check_handler()
        if stop_timeout is not None:
            options.setdefault("drain", stop_timeout)
        _workers._serve_with(self, workers, options)

    # --- a connection ---

    def do_read(self) -> tuple[socket, _RetAddress] | None:
        """Accept one connection that is there already: ``(socket, address)``, or None. Does not switch.

        Raises RuntimeError if the server does not listen.
        """
        if self.socket is None:
            raise RuntimeError(f"{self!r} does not listen: call start()")
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
        # Not BaseServer's `handle(*args)`: a call with separate arguments does not nest another interpreter loop. The
        # greenlet's C stack, which is copied at each switch, is a sixth smaller.
        self._handlers.add_current()
        numbers = self._numbers
        if numbers is not None:
            numbers[_CONNECTIONS] += 1
        try:
            if self.ssl_context is None:
                self.handle(sock, address)  # type: ignore[misc]  # start() has checked that it is not None
            else:
                self.wrap_socket_and_handle(sock, address)
        finally:
            self._handlers.remove_current()
            self._places.place_is_free()
            self.do_close(sock, address)
            numbers = self._numbers  # None if the handler has forked, and this is the child
            if numbers is not None:
                numbers[_CLOSED] += 1

    def wrap_socket_and_handle(self, client_socket: socket, address: Any) -> None:
        """Make the TLS handshake with a client, call the handler, and end the connection. Switches."""
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
        """Called when a TLS handshake has failed, with the client's address and the error. Does not switch.

        TimeoutError says that the client was too slow. This method does nothing, because every scan of the port causes
        such errors. A subclass may count or log them. The connection is closed afterwards.
        """

    def do_close(self, sock: socket, *args: Any) -> None:
        """Close the connection. Called when its handler has ended. Does not switch."""
        sock.close()


class DatagramServer(BaseServer):
    """Receives datagrams and calls ``handle(data, address)`` for each in a greenlet of its own.

    Datagrams are received whole, up to 65,535 bytes. ``sendto(data, address)`` answers, from the address of this
    machine to which the client had sent. The arguments are BaseServer's.

        def handle(data, address):
            server.sendto(data, address)

        server = DatagramServer(("127.0.0.1", 7000), handle)
        server.serve_forever()
    """

    #: Whether the server may take the address of another socket (SO_REUSEADDR).
    reuse_addr: int | None = None
    _kind = _standard.SOCK_DGRAM
    _knows_destinations = False  # whether the system tells the destination of each datagram
    _answering: socket | None = None  # the socket for the handlers' answers while the server ends

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
            of_tls = unknown.keys() & {"ssl_context", "certfile", "keyfile", "ssl_version"}
            tls = ": it does not support TLS" if of_tls else ""
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
        """Make a socket that is bound to an address. Switches only if a host's name is looked up.

        `family`: such as AF_INET6; IPv4 if None. Raises OSError that names the address.
        """
        return bound_socket(address, family, _standard.SOCK_DGRAM, None, cls.reuse_addr)

    def init_socket(self) -> None:
        """Make the socket, unless there is one, and bind it. Called by start(). Switches as that does."""
        if self.socket is None:
            if self.reuse_port or self.family == _standard.AF_UNIX:
                self.socket = bound_socket(
                    self.address, self.family, self._kind, None, self.reuse_addr, self.reuse_port, self._bind
                )
            else:
                self.socket = self.get_listener(self.address, self.family)
            self._owns_socket = True
            self.address = self.socket.getsockname()
        self._knows_destinations = _datagrams.request_destinations(self.socket)

    def do_read(self) -> tuple[bytes, Any] | None:
        """Receive one datagram that is there already: ``(data, address)``, or None. Does not switch.

        Raises RuntimeError if the server does not listen.
        """
        if self.socket is None:
            raise RuntimeError(f"{self!r} does not listen: call start()")
        return _datagrams.receive(self.socket, self._knows_destinations)

    def sendto(self, data: Any, *args: Any) -> int:
        """``sendto(data[, flags], address)``: send a datagram from the server's socket. Switches.

        Returns its size (int). Handlers may still answer while the server is being stopped. Raises RuntimeError if the
        server does not listen, and what socket.sendto() raises.
        """
        sock = self.socket or self._answering
        if sock is None:
            raise RuntimeError(f"{self!r} does not listen: call start()")
        if len(args) not in (1, 2):
            raise TypeError(f"sendto() takes data, optional flags, and an address, not {len(args) + 1} arguments")
        return _datagrams.send(sock, data, args[0] if len(args) == 2 else 0, args[-1])

    def _release_socket(self, sock):
        if self._ends_under_way and self._handlers.running:
            self._answering = sock
        else:
            super()._release_socket(sock)

    def _one_end_is_done(self):
        super()._one_end_is_done()
        sock = self._answering
        if sock is not None and not self._ends_under_way:
            self._answering = None
            super()._release_socket(sock)
