"""The PROXY protocol, versions 1 and 2: a load balancer sends the client's address ahead of the client's data.

See https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt

Rules
    1. It is read only from peers that are known to send it, and those peers must send it.
    2. Not a byte behind it is read, because TLS may begin there.
"""

from __future__ import annotations

import ipaddress
import socket as _standard
import struct

from greenio.timeout import Timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from greenio.socket import socket

__all__ = ["ProxyProtocolError", "read_client"]

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
#: The length of the longest line of version 1 (bytes).
_LONGEST_LINE = 107
#: The most bytes that version 2 may have after its head: addresses, and extensions of load balancers.
_MAX_LENGTH = 4096
_FORMS = {0x11: ("4s4sHH", _standard.AF_INET), 0x21: ("16s16sHH", _standard.AF_INET6)}


class ProxyProtocolError(Exception):
    """The peer has not sent the PROXY protocol, or not in time (internal)."""


def read_client(sock: socket, address: Any, seconds: float | None) -> Any:
    """Read the PROXY protocol, and return the client's address as the socket module has it. Switches.

    `address`: the load balancer's own address, which is returned if the balancer tells no client's. Raises
    ProxyProtocolError if the protocol is malformed or does not come within `seconds`, OSError if the connection fails.
    """
    with Timeout(seconds, False):
        first = _receive(sock, 1)
        if first == b"P":
            return _read_version_1(sock, address)
        if first == _SIGNATURE[:1]:
            return _read_version_2(sock, address)
        raise ProxyProtocolError("this is not the PROXY protocol")
    raise ProxyProtocolError("the PROXY protocol comes too late")


def _receive(sock, length):
    data = b""
    while len(data) < length:
        more = sock.recv(length - len(data))
        if not more:
            raise ProxyProtocolError("the connection ended in the PROXY protocol")
        data += more
    return data


def _read_version_1(sock, address):
    line = b"P"
    while not line.endswith(b"\n"):
        seen = sock.recv(_LONGEST_LINE - len(line), _standard.MSG_PEEK)
        if not seen:
            raise ProxyProtocolError("the line of the PROXY protocol does not end")
        line += _receive(sock, (seen.find(b"\n") + 1) or len(seen))
        if not line.startswith(b"PROXY "[: len(line)]) or (len(line) >= _LONGEST_LINE and line[-1:] != b"\n"):
            raise ProxyProtocolError("the line of the PROXY protocol is malformed")
    words = line.split(b" ")
    if line.endswith(b"\r\n") and words[1].rstrip() == b"UNKNOWN":
        return address
    try:
        kind = {b"TCP4": 4, b"TCP6": 6}[words[1]]
        _, _, source, target, port, last = (word.decode("ascii") for word in words)
        if not last.endswith("\r\n") or not all(each.isdigit() for each in (port, last[:-2])):
            raise ValueError
        if "%" in source + target:  # the name of an interface, which could be any text
            raise ValueError
        hosts = [ipaddress.ip_address(each) for each in (source, target)]
        if int(port) > 65535 or int(last) > 65535 or any(host.version != kind for host in hosts):
            raise ValueError
    except (KeyError, ValueError):
        raise ProxyProtocolError("the line of the PROXY protocol is malformed") from None
    return _as_address(source, int(port), _standard.AF_INET if kind == 4 else _standard.AF_INET6)


def _read_version_2(sock, address):
    head = _SIGNATURE[:1] + _receive(sock, 15)
    command, form, length = struct.unpack(">BBH", head[12:])
    if head[:12] != _SIGNATURE or command not in (0x20, 0x21) or length > _MAX_LENGTH:
        raise ProxyProtocolError("the head of the PROXY protocol is malformed")
    data = _receive(sock, length)
    if command == 0x20 or form not in _FORMS:
        return address
    layout, family = _FORMS[form]
    if length < struct.calcsize(">" + layout):
        raise ProxyProtocolError("the head of the PROXY protocol is too short")
    source, _, port, _ = struct.unpack_from(">" + layout, data)
    return _as_address(_standard.inet_ntop(family, source), port, family)


def _as_address(host, port, family):
    return (host, port) if family == _standard.AF_INET else (host, port, 0, 0)
