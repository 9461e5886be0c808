"""The sockets of one address: the supervisor opens them before there is any worker, and holds them to the end.

Theory
    For a port, each slot has a socket of its own, with SO_REUSEPORT: the system spreads clients evenly among them. (Of
    one socket that is shared, the worker that wakes first takes all that is there.) Clients who have connected and were
    not accepted yet belong to their socket. So it must outlive the worker: the supervisor holds it, and the next worker
    in the slot goes on with it. A worker that opened its own would take them with it when it is killed.
    Unix sockets and inherited ones exist once. All workers have them, and accept one client a turn.

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

    `backlog`, `reuse_port`, `mode`: as of StreamServer. `family`: of the address, if it is as the system has it.
    `sock`: one that listens already, in place of an address.
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
        #: Whether the workers have one and the same socket.
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
        """Where it listens."""
        return self.sockets[0].getsockname()

    def close(self) -> None:
        """The supervisor holds the sockets no longer; workers that have them still do. Does not switch."""
        if self._path is not None:
            self._path.remove()
        for sock in self.sockets:
            sock.close()

    def keep_only(self, sock: socket) -> None:
        """In a worker: the sockets of the other slots are not its affair. Does not switch."""
        for each in self.sockets:
            if each is not sock:
                each.close()


def _open_ports(family, address, backlog, count, reuse_port):
    if not reuse_port and address[1]:
        # With SO_REUSEPORT the system would let another server of this user listen here as well, and have a share of
        # the clients: a service that was started twice would go unnoticed.
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
    # A name is looked up here, and not in a thread: a process that forks has none.
    return lambda sock: _basic.bind(sock, address)


def _with_port(address, sock):
    return (address[0], sock.getsockname()[1], *address[2:])
