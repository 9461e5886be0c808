"""Numeric addresses and ports, which take no lookup. Every module with sockets loads this; it loads nothing itself."""

from __future__ import annotations

import _socket
import re
from operator import index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hub.protocols import AddressInfo

__all__ = ["is_ipv4", "is_number", "may_be_numeric", "numeric_addrinfo"]

# Texts that may be numeric addresses, in any of the forms that inet_aton() and inet_pton() take.
_MAY_BE_NUMERIC = re.compile(r"[0-9][0-9a-fA-FxX.]*|[0-9a-fA-F]*:[0-9a-fA-F:.]*(%.+)?", re.ASCII)


def may_be_numeric(host: object) -> bool:
    """Whether a host (str or bytes) looks like a numeric address, which takes no lookup (bool)."""
    if isinstance(host, (bytes, bytearray)):
        host = host.decode("latin-1")
    return isinstance(host, str) and _MAY_BE_NUMERIC.fullmatch(host) is not None


def is_ipv4(host: Any) -> bool:
    """Whether a host (str or bytes) is an IPv4 address, in any of the forms that inet_aton() takes (bool)."""
    if not may_be_numeric(host):
        return False
    try:
        _socket.inet_aton(host if isinstance(host, str) else host.decode("latin-1"))
    except OSError:
        return False
    return True


def is_number(port: object) -> bool:
    """Whether a port is a number, or none, so that no service is looked up (bool)."""
    return port is None or isinstance(port, int) or (isinstance(port, str) and port.isascii() and port.isdigit())


def numeric_addrinfo(
    host: bytes | str | None, port: bytes | str | int | None, family: int, type: int, proto: int, flags: int
) -> list[AddressInfo]:
    """socket.getaddrinfo() of a host that is a numeric address or None.

    Checks every argument as the standard function does. Raises gaierror(EAI_NONAME) for a host that is a name. Does not
    switch.
    """
    return _socket.getaddrinfo(host, port, family, type, proto, index(flags) | _socket.AI_NUMERICHOST)
