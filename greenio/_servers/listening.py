"""Making the sockets that servers listen on."""

from __future__ import annotations

import socket as _standard

from greenio.socket import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["bound_socket"]


def bound_socket(
    address: Any,
    family: int | None,
    kind: int,
    backlog: int | None = None,
    reuse_addr: int | bool | None = False,
    reuse_port: bool = False,
    bind: Callable[[socket], object] | None = None,
) -> socket:
    """Make a socket, and bind it to an address.

    `family`: such as AF_INET6; None for IPv4. `kind`: its type, such as SOCK_STREAM. `backlog`: how many connections
    the system may hold ready (int); without it the socket does not listen. `reuse_addr`, `reuse_port`: as in the
    servers. `bind`: a function that binds the socket, where that takes more than the system's call.
    Raises OSError that names the address. Switches only if a host's name is looked up, or if `bind` does.
    """
    sock = socket(_standard.AF_INET if family is None else family, kind)
    try:
        if sock.family != _standard.AF_UNIX:
            if reuse_addr:
                sock.setsockopt(_standard.SOL_SOCKET, _standard.SO_REUSEADDR, 1)
            if reuse_port:
                sock.setsockopt(_standard.SOL_SOCKET, _standard.SO_REUSEPORT, 1)
        if sock.family == _standard.AF_INET6 and address[0] == "":
            sock.setsockopt(_standard.IPPROTO_IPV6, _standard.IPV6_V6ONLY, 0)
        if bind is None:
            sock.bind(address)
        else:
            bind(sock)
        if backlog is not None:
            sock.listen(backlog)
    except OSError as error:
        sock.close()
        error.strerror = f"{error.strerror}: {address!r}"
        raise
    except BaseException:
        sock.close()
        raise
    return sock
