"""The sockets of one address. The supervisor opens them before it forks the first worker, and holds them to the end.

Theory
    For a port, each slot has a socket of its own, with SO_REUSEPORT, and the system spreads clients evenly among the
    sockets. (If the workers shared one socket, the first to wake would take all clients that wait.)

    A client that has connected, and was not accepted yet, belongs to its socket. So that it is not lost with a worker
    that is killed, the supervisor holds the socket, and the next worker in the slot serves it.

    Unix sockets and inherited sockets exist only once. All workers share them, and accept one client at a turn.

What does not belong here: accepting.
"""

from __future__ import annotations

import os
import socket as _standard
from _socket import socket as _basic

from greenio._servers.addresses import inherited_socket, parse_address
from greenio._servers.listening import bound_socket
from greenio._servers.unix_paths import UnixPath
from greenio.socket import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Listener"]


class Listener:
    """The sockets of one address, for `count` workers. Raises OSError, TypeError or ValueError.

    `backlog`, `reuse_port`, `mode`: as in StreamServer. `family`: the family of `address` if that is one of the socket
    module; None if a person has written it. `sock`: a socket that listens already, in place of an address.
    """

    def __init__(
        self,
        address: Any,
        count: int,
        *,
        backlog: int | None = None,
        reuse_port: bool = False,
        mode: int = 0o600,
        family: int | None = None,
        sock: socket | None = None,
    ) -> None:
        self._path: UnixPath | None = None
        #: Whether all workers share one socket.
        self.shared = True
        backlog = 128 if backlog is None else backlog
        if sock is None and family is None:
            sock = inherited_socket(address, _standard.SOCK_STREAM)
        if sock is None and hasattr(address, "accept"):
            sock = socket(address.family, address.type, address.proto, fileno=os.dup(address.fileno()))
        if sock is None:
            if family is None:
                family, address = parse_address(address)
            if family != _standard.AF_UNIX:
                self.shared = False
                self.sockets = _open_ports(family, address, backlog, count, reuse_port)
                return
            sock = bound_socket(address, family, _standard.SOCK_STREAM, backlog, bind=self._binder(address, mode))
        self.sockets = [sock] * count

    def _binder(self, address, mode):
        if address.startswith("\0"):
            return None
        self._path = UnixPath(address, mode)
        return self._path.bind

    @property
    def address(self) -> Any:
        """The address of the first socket."""
        return self.sockets[0].getsockname()

    def close(self) -> None:
        """Close the sockets in this process. Workers keep theirs. Does not switch."""
        if self._path is not None:
            self._path.remove()
        for sock in self.sockets:
            sock.close()

    def keep_only(self, sock: socket) -> None:
        """Close the sockets of all other slots, in a worker. Does not switch."""
        for each in self.sockets:
            if each is not sock:
                each.close()


def _open_ports(family, address, backlog, count, reuse_port):
    if not reuse_port and address[1]:
        # SO_REUSEPORT would let the same service be started twice, unnoticed, with each getting half of the clients. A
        # socket without it cannot be bound while another process listens.
        probe = bound_socket(address, family, _standard.SOCK_STREAM, None, True, False, _binder_to(address))
        probe.close()
    sockets: list[socket] = []
    try:
        for _ in range(count):
            each = bound_socket(address, family, _standard.SOCK_STREAM, backlog, True, True, _binder_to(address))
            sockets.append(each)
            address = _with_port(address, each)
    except BaseException:
        for each in sockets:
            each.close()
        raise
    return sockets


def _binder_to(address):
    # The system's bind() looks up a name without a thread. greenio's would start one, and the supervisor must not have
    # threads when it forks.
    return lambda sock: _basic.bind(sock, address)


def _with_port(address, sock):
    return (address[0], sock.getsockname()[1], *address[2:])
