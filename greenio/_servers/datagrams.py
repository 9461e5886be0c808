"""Receiving datagrams for a server, and answering from the address that a client has sent to.

Theory
    A socket that is bound to all addresses answers from whichever the system chooses. On a machine with several, a
    client that has asked another one drops the answer. So such a socket is told, with each datagram, where it came in
    (IP_PKTINFO, IPV6_RECVPKTINFO; see ip(7) and ipv6(7)), and the answer says so. The client's address carries that
    from one to the other.
"""

from __future__ import annotations

import socket as _standard
import struct
from errno import EAGAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from greenio.socket import socket

__all__ = ["Asked", "ask_for_places", "receive", "send"]

#: The most that a datagram can hold.
LARGEST = 65535
#: As in <linux/in.h>; CPython before 3.14 does not name it.
IP_PKTINFO = getattr(_standard, "IP_PKTINFO", 8)
#: struct in_pktinfo: the interface, the address to answer from, the address that was asked.
OF_IPV4 = struct.Struct("=I4s4s")
#: struct in6_pktinfo: the address that was asked, the interface.
OF_IPV6 = struct.Struct("=16sI")


class Asked(tuple):  # type: ignore[type-arg]
    """A client's address, as the socket module has it, that knows at which of this machine's it has asked."""

    control: list[tuple[int, int, bytes]]


def ask_for_places(sock: socket) -> bool:
    """Have a socket told where datagrams come in, if it is bound to all addresses. Returns whether it is."""
    if sock.family == _standard.AF_INET and sock.getsockname()[0] == "0.0.0.0":
        sock.setsockopt(_standard.IPPROTO_IP, IP_PKTINFO, 1)
    elif sock.family == _standard.AF_INET6 and sock.getsockname()[0] == "::":
        sock.setsockopt(_standard.IPPROTO_IPV6, _standard.IPV6_RECVPKTINFO, 1)
    else:
        return False
    return True


def receive(sock: socket, told: bool) -> tuple[bytes, Any] | None:
    """One datagram that is there already: ``(data, address)``; None if there is none. Does not switch.

    `told`: what ask_for_places() has said.
    """
    try:
        if not told:
            return sock.recvfrom(LARGEST, _standard.MSG_DONTWAIT)
        data, controls, _, address = sock.recvmsg(LARGEST, 128, _standard.MSG_DONTWAIT)
    except OSError as error:
        if error.errno == EAGAIN:
            return None
        raise
    asked = Asked(address)
    asked.control = [answer for each in controls if (answer := _answer_to(*each)) is not None]
    return data, asked


def _answer_to(level, kind, data):
    """What to send with the answer to a datagram that came with this."""
    if (level, kind) == (_standard.IPPROTO_IP, IP_PKTINFO) and len(data) == OF_IPV4.size:
        _, local, asked = OF_IPV4.unpack(data)
        # A datagram to a broadcast or multicast address is answered from the interface's own.
        return level, kind, OF_IPV4.pack(0, local, asked)
    if (level, kind) == (_standard.IPPROTO_IPV6, _standard.IPV6_PKTINFO) and len(data) == OF_IPV6.size:
        address, interface = OF_IPV6.unpack(data)
        if address[0] != 0xFF:
            return level, kind, OF_IPV6.pack(address, interface if address[:2] == b"\xfe\x80" else 0)
    return None


def send(sock: socket, data: Any, flags: int, address: Any) -> int:
    """Send a datagram; if `address` is of one that was received, from where it came in. Returns its size. Switches."""
    if type(address) is Asked:
        return sock.sendmsg([data], address.control, flags, tuple(address))
    return sock.sendto(data, flags, address)
