"""Addresses of servers as people write them: hosts and ports, paths of Unix sockets, inherited descriptors.

What does not belong here: making sockets that listen there (_servers.listening, _servers.unix_paths).
"""

from __future__ import annotations

import os
import socket as _standard

from greenio.socket import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from greenio.socket import AddressFamily

    Address = tuple[Any, ...] | str | int  # see parse_address()

__all__ = ["address_text", "inherited_socket", "parse_address"]

#: The first descriptor that systemd passes to a service.
#: See https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html
FIRST_OF_SYSTEMD = 3


def parse_address(address: Address) -> tuple[AddressFamily, Any]:
    """Return ``(family, address)``, as the socket module takes them, for an address that a person has written.

    Accepted are a tuple ``(host, port)``, "host:port", ":port", "[::1]:80", a port, "unix:/path", and "unix:@name" for
    a Unix socket in the abstract namespace. Raises ValueError for anything else. Does not switch.
    """
    if isinstance(address, tuple):
        if len(address) < 2:
            raise ValueError(f"an address must be (host, port), not {address!r}")
        host, port = address[:2]
        if not isinstance(port, int):
            raise ValueError(f"the port of an address must be a number, not {port!r}")
        if isinstance(host, str) and ":" in host:
            return _standard.AF_INET6, address
        return _standard.AF_INET, (host, port)
    if isinstance(address, int) and not isinstance(address, bool):
        return _standard.AF_INET6 if _standard.has_ipv6 else _standard.AF_INET, ("", address)
    if isinstance(address, str):
        if address.startswith("unix:"):
            return _standard.AF_UNIX, _unix_address(address)
        host, colon, port = address.rpartition(":")
        if not colon:
            host, port = "", address
        if port.isdecimal() and int(port) < 65536:
            if host.startswith("[") and host.endswith("]"):
                return _standard.AF_INET6, (host[1:-1], int(port))
            if not host:
                return parse_address(int(port))
            if not any(mark in host for mark in "[]:"):
                return _standard.AF_INET, (host, int(port))
    raise ValueError(
        f"cannot listen on {address!r}: give (host, port), 'host:port', ':port', '[host]:port', a port, 'unix:/path', "
        f"'unix:@name', 'fd://3' or 'systemd'"
    )


def _unix_address(text):
    path = text.removeprefix("unix:").removeprefix("//")
    if path.startswith("@") and len(path) > 1:
        return "\0" + path[1:]
    if path.startswith("/"):
        return path
    raise ValueError(f"cannot listen on {text!r}: give a whole path, 'unix:/path', or a name, 'unix:@name'")


def address_text(address: Any) -> str:
    """Return a socket's address as people read it, and as parse_address() takes it (str)."""
    if not isinstance(address, tuple):
        name = os.fsdecode(address)
        return f"unix:@{name[1:]}" if name.startswith("\0") else f"unix:{name}"
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    return f"{host}:{address[1]}"


def inherited_socket(address: object, kind: int) -> socket | None:
    """Return the socket that "fd://3" or "systemd" stands for, and None for any other address.

    "fd://3" is descriptor 3. "systemd" is the one descriptor that systemd has passed to this process; of several,
    "systemd:NAME" is the one with that name (``FileDescriptorName=``). `kind`: which type of socket it must be, such as
    SOCK_STREAM. The socket owns the descriptor from then on, and children do not inherit it.
    Raises ValueError if there is no such descriptor, or if it is not a socket of that kind. Does not switch.
    """
    if not isinstance(address, str):
        return None
    if address.startswith("fd://"):
        number = address.removeprefix("fd://")
        if not number.isdecimal():
            raise ValueError(f"cannot listen on {address!r}: give the number of a descriptor, such as 'fd://3'")
        descriptor = int(number)
    elif address == "systemd" or address.startswith("systemd:"):
        descriptor = _descriptor_of_systemd(address)
    else:
        return None
    try:
        sock = socket(fileno=descriptor)
    except OSError as error:
        raise ValueError(f"cannot listen on {address!r}: {error.strerror or error}") from None
    problem = None
    if sock.type != kind:
        problem = f"it is a socket of another type, {sock.type!r}"
    elif kind == _standard.SOCK_STREAM and not sock.getsockopt(_standard.SOL_SOCKET, _standard.SO_ACCEPTCONN):
        problem = "it is a socket that does not listen"
    if problem is not None:
        sock.detach()
        raise ValueError(f"cannot listen on {address!r}: {problem}")
    os.set_inheritable(descriptor, False)
    return sock


def _descriptor_of_systemd(address):
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        raise ValueError(
            f"cannot listen on {address!r}: no descriptor was passed to this process (LISTEN_PID is not {os.getpid()})"
        )
    count = os.environ.get("LISTEN_FDS", "")
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    numbers = range(FIRST_OF_SYSTEMD, FIRST_OF_SYSTEMD + (int(count) if count.isdecimal() else 0))
    named = dict(zip(numbers, names, strict=False))
    name = address.removeprefix("systemd").removeprefix(":")
    found = [number for number in numbers if not name or named.get(number) == name]
    if len(found) != 1:
        known = ", ".join(f"{number} ({named.get(number) or 'no name'})" for number in numbers) or "none"
        raise ValueError(
            f"cannot listen on {address!r}: {len(found)} descriptors are meant; this process was passed: {known}. "
            f"Write 'systemd:NAME', or 'fd://NUMBER'"
        )
    return found[0]
