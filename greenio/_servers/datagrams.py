"""Receiving datagrams for a server, and answering each from the address to which it was sent.

Theory
    A machine may have several addresses. A socket that is bound to all of them answers from the one that the system
    chooses. If the client has sent its datagram to another one, it drops the answer. So the socket asks the system for
    the destination of each datagram (IP_PKTINFO, IPV6_RECVPKTINFO; see ip(7) and ipv6(7)). The destination travels in
    the client's address (ClientAddress), and becomes the source of the answer.
"""

from __future__ import annotations

import socket as _standard
import struct
from errno import EAGAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from greenio.socket import socket

__all__ = ["ClientAddress", "receive", "request_destinations", "send"]

#: The size of the largest datagram (bytes).
LARGEST = 65535
#: As in <linux/in.h>; CPython before 3.14 does not name it.
IP_PKTINFO = getattr(_standard, "IP_PKTINFO", 8)
#: struct in_pktinfo: the interface, the local address for the answer, the destination of the datagram.
IPV4_INFO = struct.Struct("=I4s4s")
#: struct in6_pktinfo: the destination of the datagram, the interface.
IPV6_INFO = struct.Struct("=16sI")


class ClientAddress(tuple):  # type: ignore[type-arg]
    """A client's address, as the socket module has it, with the destination of the client's datagram."""

    #: The control messages that make the destination the source of an answer.
    control: list[tuple[int, int, bytes]]


def request_destinations(sock: socket) -> bool:
    """Ask the system for the destination of each datagram, if a socket is bound to all addresses.

    Returns whether it is (bool). Does not switch.
    """
    if sock.family == _standard.AF_INET and sock.getsockname()[0] == "0.0.0.0":
        sock.setsockopt(_standard.IPPROTO_IP, IP_PKTINFO, 1)
    elif sock.family == _standard.AF_INET6 and sock.getsockname()[0] == "::":
        sock.setsockopt(_standard.IPPROTO_IPV6, _standard.IPV6_RECVPKTINFO, 1)
    else:
        return False
    return True


def receive(sock: socket, with_destination: bool) -> tuple[bytes, Any] | None:
    """Receive one datagram that is there already: ``(data, address)``, or None. Does not switch.

    `with_destination`: the result of request_destinations().
    """
    try:
        if not with_destination:
            return sock.recvfrom(LARGEST, _standard.MSG_DONTWAIT)
        data, controls, _, address = sock.recvmsg(LARGEST, 128, _standard.MSG_DONTWAIT)
    except OSError as error:
        if error.errno == EAGAIN:
            return None
        raise
    client = ClientAddress(address)
    client.control = [message for each in controls if (message := _control_of_answer(*each)) is not None]
    return data, client


def _control_of_answer(level, kind, data):
    """Return the control message for the answer to a datagram that came with this one, or None."""
    if (level, kind) == (_standard.IPPROTO_IP, IP_PKTINFO) and len(data) == IPV4_INFO.size:
        _, local, destination = IPV4_INFO.unpack(data)
        # For a datagram to a broadcast or multicast address, `local` is the interface's own address.
        return level, kind, IPV4_INFO.pack(0, local, destination)
    if (level, kind) == (_standard.IPPROTO_IPV6, _standard.IPV6_PKTINFO) and len(data) == IPV6_INFO.size:
        destination, interface = IPV6_INFO.unpack(data)
        is_multicast, is_link_local = destination[0] == 0xFF, destination[:2] == b"\xfe\x80"
        if not is_multicast:
            return level, kind, IPV6_INFO.pack(destination, interface if is_link_local else 0)
    return None


def send(sock: socket, data: Any, flags: int, address: Any) -> int:
    """Send a datagram, and return its size (int). Switches.

    If `address` came from receive(), the datagram is sent from the address that the client knows.
    """
    if type(address) is ClientAddress:
        return sock.sendmsg([data], address.control, flags, tuple(address))
    return sock.sendto(data, flags, address)
